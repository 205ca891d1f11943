"""Sections of a report on pages: their seconds, where workers' time went, failures, tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from comic_ocr.job.report.bins import SecondsHistogram, bin_start
from comic_ocr.job.report.charts import Row, Series, draw_histogram, draw_rows, draw_shares
from comic_ocr.job.report.figures import CallFigures, Figures, PageFigures
from comic_ocr.job.report.frames import NOTHING, make_figure, make_section
from comic_ocr.job.report.markup import Markup, element, table
from comic_ocr.job.report.words import say_count, say_seconds, say_share

_STAGES = (
    Series("fetch", "c-api"),
    Series("decode", "c-spare"),
    Series("read", "c-done"),
    Series("arrange", "c-rest"),
)
_WORK = (
    Series("read", "c-done"),
    Series("fetch, decode, write, wait", "c-api"),
    Series("start and load", "c-rest"),
    Series("lost calls", "c-lost"),
    Series("superseded calls", "c-spare"),
)
_FAILED = (
    Series("pages that stayed failed", "c-lost"),
    Series("attempts that failed and were followed by another", "c-lost pale"),
)
_QUANTILES = (("half of the pages", 0.5), ("95 %", 0.95), ("99 %", 0.99))


def show_failures(figures: Figures) -> Markup:
    """Return failures of pages and of calls, by code."""
    heading = "Failures by code"
    stayed = figures.pages.failed_pages()
    attempts = figures.pages.failed_attempts
    lost = figures.calls.lost_by_code
    parts = []
    if attempts:
        parts.append(_show_page_failures(attempts, stayed))
    if lost:
        parts.append(_show_lost_calls(lost))
    if not parts:
        parts.append(element("p", "No page has failed, and no call was lost.", class_="note"))
    return make_section(heading, *parts)


def _show_lost_calls(lost: Counter[str]) -> Markup:
    counts = lost.most_common()
    title = "Calls that were lost"
    summary = ", ".join(f"{count:,} {code}" for code, count in counts)
    bars = [Row(code, (count,), f"{count:,}") for code, count in counts]
    return make_figure(
        draw_rows(bars, _FAILED[:1], title=title, summary=summary),
        caption=f"{title}: {summary}. Their pages went to other calls.",
        data=table(["code", "calls"], [[code, f"{count:,}"] for code, count in counts]),
    )


def _show_page_failures(attempts: Counter[str], stayed: Counter[str]) -> Markup:
    codes = sorted(attempts, key=lambda code: (-attempts[code], code))
    counts = {code: (stayed[code], attempts[code] - stayed[code]) for code in codes}
    bars = [
        Row(code, (left, again), f"{left:,}" + (f" and {again:,} tried again" if again else ""))
        for code, (left, again) in counts.items()
    ]
    legend = _FAILED if any(again for _, again in counts.values()) else _FAILED[:1]
    title = "Pages that failed"
    summary = ", ".join(f"{left:,} {code}" for code, (left, _) in counts.items())
    rows = [[code, f"{left:,}", f"{again:,}"] for code, (left, again) in counts.items()]
    return make_figure(
        draw_rows(bars, _FAILED, title=title, summary=summary),
        caption=f"{title}: {summary}.",
        legend=legend,
        data=table(["code", "pages that stayed failed", "attempts with another after"], rows),
    )


def show_page_seconds(pages: PageFigures) -> Markup:
    """Return the histogram of seconds per page, and the share of each step."""
    heading = "Seconds per page"
    seconds = pages.seconds
    if not seconds.count:
        return make_section(heading, element("p", "No page has been read yet.", class_="note"))
    bars = list(_list_bars(seconds))
    marks = [(name, seconds.quantile(share)) for name, share in _QUANTILES]
    said = "; ".join(f"{name} within {say_seconds(value)}" for name, value in marks)
    title = "Pages by the seconds that each took"
    mean = say_seconds(seconds.total_s / seconds.count)
    summary = f"{said}; mean {mean}, longest {say_seconds(seconds.longest_s)}."
    data = table(
        ["from", "to", "pages"],
        [[say_seconds(start), say_seconds(end), f"{count:,}"] for start, end, count in bars],
        words=2,
    )
    return make_section(
        heading,
        make_figure(
            draw_histogram(bars, marks[:2], "c-done", title=title, summary=summary),
            caption=f"{title}, from fetching to arranging: {summary}",
            data=data,
        ),
        _show_stages(pages),
    )


def _list_bars(seconds: SecondsHistogram) -> Iterable[tuple[float, float, int]]:
    for index in range(min(seconds.bins), max(seconds.bins) + 1):
        yield bin_start(index), bin_start(index + 1), seconds.bins[index]


def _show_stages(pages: PageFigures) -> Markup:
    return _show_shares(
        "Steps of a page",
        list(zip(_STAGES, pages.stages, strict=True)),
        note="Sums over the pages that were read.",
        heads=("step", "seconds", "share"),
    )


def show_worker_time(calls: CallFigures) -> Markup:
    """Return what workers did with their time, all of which is paid where workers are."""
    heading = "Time of workers"
    work = share_work(calls)
    if not sum(work):
        text = "This job has no record of its calls."
        return make_section(heading, element("p", text, class_="note"))
    figure = _show_shares(
        "What workers did with their time",
        list(zip(_WORK, work, strict=True)),
        note="As the calls report it; of a lost call, what the driver waited.",
        heads=("what", "time", "share"),
    )
    return make_section(heading, figure)


def share_work(calls: CallFigures) -> tuple[float, float, float, float, float]:
    """Return seconds of workers, by the series of the picture.

    Engines that have many pages in flight count more seconds than pass; those that pass count.
    """
    done = calls.by_outcome["done"]
    working = max(done.worker_s - done.load_s, 0.0)
    reading = min(done.ocr_s, working)
    lost, spare = (calls.by_outcome[name].worker_s for name in ("lost", "superseded"))
    return reading, working - reading, done.load_s, lost, spare


def _show_shares(
    title: str, parts: list[tuple[Series, float]], *, note: str, heads: tuple[str, str, str]
) -> Markup:
    whole = sum(seconds for _, seconds in parts)
    shares = [(series.name, seconds, say_share(seconds, whole)) for series, seconds in parts]
    summary = ", ".join(f"{name} {share}" for name, seconds, share in shares if seconds)
    rows = [[name, say_seconds(seconds), share] for name, seconds, share in shares]
    return make_figure(
        draw_shares(parts, title=title, summary=summary),
        caption=f"{title}: {summary}. {note}",
        legend=[series for series, seconds in parts if seconds],
        data=table(heads, rows),
    )


def show_slowest(pages: PageFigures) -> Markup:
    """Return the table of the slowest pages."""
    rows = [
        [page.canonical_id, say_seconds(page.seconds), *(say_seconds(s) for s in page.stages)]
        for page in sorted(pages.slowest, reverse=True)
    ]
    if not rows:
        return NOTHING
    names = [series.name for series in _STAGES]
    return make_section("Slowest pages", table(["page", "seconds", *names], rows))


def show_failed(pages: PageFigures, output: str) -> Markup:
    """Return a table of failed pages, of each code some."""
    kept = pages.sample_failures()
    if not kept:
        return NOTHING
    rows = [
        [row.canonical_id, row.code, row.message, row.source, say_count(row.attempts)]
        for row in kept
    ]
    count = sum(pages.failed_pages().values())
    shown = f"{len(rows)} of {count:,}; " if count > len(rows) else ""
    note = element("p", f"{shown}all of them: ", element("code", f"batch_ocr failures {output}"))
    heads = ["page", "code", "reason", "source", "attempts"]
    return make_section("Failed pages", note, table(heads, rows, words=4))

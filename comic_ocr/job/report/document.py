"""The whole report as one HTML document: no scripts, nothing fetched from elsewhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from comic_ocr._version import __version__
from comic_ocr.job.report.costs import KindCosts, find_costs
from comic_ocr.job.report.figures import Figures
from comic_ocr.job.report.frames import make_section
from comic_ocr.job.report.markup import Markup, element, table
from comic_ocr.job.report.over_time import show_cost, show_speed, show_workers
from comic_ocr.job.report.pages import (
    share_work,
    show_failed,
    show_failures,
    show_page_seconds,
    show_slowest,
    show_worker_time,
)
from comic_ocr.job.report.style import STYLE
from comic_ocr.job.report.words import say_count, say_seconds, say_share, say_time, say_usd
from comic_ocr.job.state import JobFile
from comic_ocr.job.summary import JobSummary

# Not even by mistake: a browser that obeys this runs no script and asks no server.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render_report(
    job: JobFile, summary: JobSummary | None, figures: Figures, *, output: str, now: float
) -> str:
    """Return a report as HTML.

    Args:
        job: what is reported.
        summary: of its last run, where there is one.
        figures: of all of its runs.
        output: URL of the job's output.
        now: time of writing, seconds since the epoch.
    """
    costs = find_costs(figures, summary)
    body = element(
        "body",
        _show_head(job, summary, output, now),
        _show_tiles(summary, figures, costs),
        element(
            "main",
            show_workers(figures),
            show_speed(figures),
            show_failures(figures),
            show_cost(figures, costs),
            show_page_seconds(figures.pages),
            show_worker_time(figures.calls),
            show_slowest(figures.pages),
            show_failed(figures.pages, output),
            _show_settings(job, summary),
        ),
        element("footer", f"Written {say_time(now)} by comic_ocr {__version__}."),
    )
    head = element(
        "head",
        Markup('<meta charset="utf-8"/>'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1"/>'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>'),
        element("title", f"{job.method}: {output}"),
        element("style", Markup(STYLE)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _show_head(job: JobFile, summary: JobSummary | None, output: str, now: float) -> Markup:
    parts = [
        element("h1", f"OCR job: {job.method}"),
        element("p", element("code", output), class_="sub"),
        element("p", _say_state(job, summary, now), class_="sub"),
    ]
    if summary is not None and summary.message:
        parts.append(element("p", summary.message, class_="alarm"))
    return element("header", *parts)


def _say_state(job: JobFile, summary: JobSummary | None, now: float) -> str:
    begun = f"begun {_say_iso(job.created_at)}"
    if summary is None:
        return f"{begun}; no summary of a run can be read"
    updated = datetime.fromisoformat(summary.updated_at).timestamp()
    last = f"its last run is {summary.state}, as of {say_time(updated)}"
    if summary.state == "running":
        last += f", {say_seconds(max(now - updated, 0.0))} before this was written"
    return f"On {summary.backend}, {begun}; {last}"


def _say_iso(text: str) -> str:
    return say_time(datetime.fromisoformat(text).astimezone(UTC).timestamp())


def _show_tiles(summary: JobSummary | None, figures: Figures, costs: KindCosts) -> Markup:
    pages, calls = figures.pages, figures.calls
    read = pages.rows["done"]
    tiles = _tile_pages(summary, figures)
    worked_s = figures.clock.total_s
    speed = f"{say_count(read / worked_s)} pages/s" if read else "–"
    tiles.append(("Speed", speed, f"{read:,} pages in {say_seconds(worked_s)} of work"))
    usd = costs.total_usd
    per_page = f"{say_usd(1000 * usd / read)} for 1,000 pages" if read and usd else ""
    tiles.append(("Cost", say_usd(usd), per_page))
    if calls.calls:
        done, lost, spare = (sums.calls for sums in calls.by_outcome.values())
        small = f"{done:,} done, {lost:,} lost, {spare:,} superseded"
        tiles.append(("Calls", f"{calls.calls:,}", small))
        work = share_work(calls)
        share = say_share(work[0], sum(work))
        tiles.append(("Recognition", share, "of the workers' time"))
    peak = max(calls.peak_memory_mb, summary.peak_worker_memory_mb if summary else 0)
    tiles.append(("Memory", f"{peak:,} MB", "of the largest worker"))
    return element("dl", *(_make_tile(*tile) for tile in tiles), class_="tiles")


def _tile_pages(summary: JobSummary | None, figures: Figures) -> list[tuple[str, str, str]]:
    if summary is None:
        failed = sum(figures.pages.failed_pages().values())
        rows = figures.pages.rows
        return [
            ("Read", f"{rows['done'] + rows['found']:,}", "pages, as the ledger says"),
            ("Failed", f"{failed:,}", "pages"),
        ]
    done, failed = summary.done_before + summary.done, summary.failed_before + summary.failed
    whole = summary.pages
    tiles = [
        ("Read", f"{done:,}", f"of {whole:,} pages, {say_share(done, whole)}"),
        ("Failed", f"{failed:,}", f"{say_share(failed, whole)} of the pages"),
    ]
    if summary.remaining:
        eta = summary.remaining / summary.pages_per_s if summary.pages_per_s else 0.0
        small = f"about {say_seconds(eta)} at this speed" if eta else "pages"
        tiles.append(("Left", f"{summary.remaining:,}", small))
    return tiles


def _make_tile(name: str, big: str, small: str) -> Markup:
    value = element(
        "dd", element("span", big, class_="big"), element("span", small, class_="small")
    )
    return element("div", element("dt", name), value)


def _show_settings(job: JobFile, summary: JobSummary | None) -> Markup:
    rows = [("job", job.job_id), ("method", job.method)]
    for method, options in job.options.items():
        said = ", ".join(f"{key}={json.dumps(value)}" for key, value in options.items())
        rows.append((f"options of {method}", said or "none"))
    rows.append(("languages", ", ".join(job.languages) or "the method's own"))
    rows.append(("reading direction", job.direction))
    if job.min_confidence:
        rows.append(("least confidence", str(job.min_confidence)))
    if summary is not None:
        rows.append(("backend", f"{summary.backend}, {summary.workers:,} workers"))
        rows.append(("last run", summary.run_id))
    rows.append(("begun with", f"comic_ocr {job.package_version}"))
    return make_section("What ran", table(["setting", "value"], rows, words=2))

"""Sections of a report that show a job over its working time: workers, speed, cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from comic_ocr.job.history import CallRecord
from comic_ocr.job.report.bins import Segment, rebin
from comic_ocr.job.report.charts import Row, Series, draw_over_time, draw_rows
from comic_ocr.job.report.clock import WorkClock
from comic_ocr.job.report.costs import KindCosts
from comic_ocr.job.report.figures import OUTCOMES, STATUSES, Figures
from comic_ocr.job.report.frames import NOTHING, make_figure, make_section, say_pauses
from comic_ocr.job.report.lanes import MAX_LANES, assign_lanes, draw_lanes
from comic_ocr.job.report.markup import Markup, element, join, table
from comic_ocr.job.report.words import say_count, say_seconds, say_time, say_usd

_TABLE_ROWS = 12
_CALLS = (
    Series("done", "c-done"),
    Series("lost", "c-lost"),
    Series("superseded: its other copy was first", "c-spare"),
)
_PAGES = (
    Series("read", "c-done"),
    Series("found: its page JSON was there already", "c-spare"),
    Series("failed", "c-lost"),
)
_SAID = {"done": "pages read", "found": "found to be read already", "failed": "attempts failed"}
_SPENT = (
    Series("compute", "c-done"),
    Series("compute of lost and superseded calls", "c-lost"),
    Series("APIs", "c-api"),
)


def show_workers(figures: Figures) -> Markup:
    """Return the calls over time: each one while they are few, else how many ran."""
    calls = figures.calls
    heading = "Workers over time"
    if not calls.calls:
        text = "This job has no record of its calls."
        return make_section(heading, element("p", text, class_="note"))
    drawn = sorted(calls.drawn or (), key=lambda call: (call.submitted_at, call.chunk_id))
    lanes = assign_lanes(drawn)
    if drawn and max(lanes) < MAX_LANES:
        return make_section(heading, _show_lanes(figures, drawn, lanes))
    return make_section(heading, _show_running(figures))


def _show_lanes(figures: Figures, calls: Sequence[CallRecord], lanes: Sequence[int]) -> Markup:
    summary = f"{_sum_up_calls(figures)} At most {max(lanes) + 1} at once."
    colours = {name: series.css for name, series in zip(OUTCOMES, _CALLS, strict=True)}
    title = "Calls, one bar each"
    return make_figure(
        draw_lanes(figures.clock, calls, lanes, colours, title=title, summary=summary),
        caption=f"{title}. {summary} A bar is pale while its call waits for a worker, starts and "
        f"loads. {say_pauses(figures.clock)}",
        legend=_pick_calls(figures),
        data=_tabulate_calls(figures),
    )


def _show_running(figures: Figures) -> Markup:
    segments = figures.calls.running.segments()
    most = max(sum(segment.values) for segment in segments)
    summary = f"{_sum_up_calls(figures)} At most about {most:,.0f} at once."
    title = "Calls that ran at a time, by what became of them"
    picture = draw_over_time(
        figures.clock, segments, _CALLS, say=say_count, title=title, summary=summary
    )
    return make_figure(
        picture,
        caption=f"{title}. {summary} {say_pauses(figures.clock)}",
        legend=_pick_calls(figures),
        data=join(
            [
                _tabulate_calls(figures),
                _tabulate(figures.clock, segments, OUTCOMES, say_count),
            ]
        ),
    )


def _pick_calls(figures: Figures) -> list[Series]:
    sums = figures.calls.by_outcome.values()
    return [series for series, some in zip(_CALLS, sums, strict=True) if some.calls]


def _sum_up_calls(figures: Figures) -> str:
    counts = [f"{sums.calls:,} {name}" for name, sums in figures.calls.by_outcome.items()]
    return f"{figures.calls.calls:,} calls: {', '.join(counts)}."


def _tabulate_calls(figures: Figures) -> Markup:
    rows = [
        [name, f"{s.calls:,}", f"{s.pages:,}", say_seconds(s.worker_s), say_usd(s.compute_usd)]
        for name, s in figures.calls.by_outcome.items()
    ]
    return table(["calls", "number", "pages", "time of workers", "compute"], rows)


def show_speed(figures: Figures) -> Markup:
    """Return pages per second over time."""
    sums = figures.pages.over_time
    segments = [
        Segment(s.start, s.end, tuple(value / sums.width_s for value in s.values))
        for s in sums.segments()
    ]
    heading = "Pages per second"
    if not segments:
        return make_section(heading, element("p", "No page has been tried yet.", class_="note"))
    title = "Pages per second over working time"
    rows = figures.pages.rows
    counts = [f"{rows[name]:,} {said}" for name, said in _SAID.items() if rows[name]]
    summary = f"{', '.join(counts)}, in {say_seconds(figures.clock.total_s)} of work."
    clock = figures.clock
    picture = draw_over_time(clock, segments, _PAGES, say=say_count, title=title, summary=summary)
    figure = make_figure(
        picture,
        caption=f"{title}. {summary} {say_pauses(clock)}",
        legend=[
            series
            for series, name in zip(_PAGES, STATUSES, strict=True)
            if figures.pages.rows[name]
        ],
        data=_tabulate(clock, segments, STATUSES, say_count),
    )
    return make_section(heading, figure)


def show_cost(figures: Figures, costs: KindCosts) -> Markup:
    """Return the cost by kind, and how it grew."""
    heading = "Cost"
    if not costs.total_usd:
        text = costs.note or "Nothing was charged."
        return make_section(heading, element("p", text, class_="note"))
    rows = [[kind, say_usd(usd)] for kind, usd in costs.by_kind.items()]
    data = table(["kind", "dollars"], [*rows, ["all", say_usd(costs.total_usd)]])
    title = "Cost by kind"
    kinds = {kind: usd for kind, usd in costs.by_kind.items() if usd}
    by_kind = draw_rows(
        [Row(kind, (usd,), say_usd(usd)) for kind, usd in kinds.items()],
        [Series("", "c-done")],
        title=title,
        summary=", ".join(f"{kind} {say_usd(usd)}" for kind, usd in kinds.items()),
    )
    caption = f"{title}, {say_usd(costs.total_usd)} in all. {costs.note}"
    return make_section(
        heading, make_figure(by_kind, caption=caption, data=data), _show_spending(figures)
    )


def _show_spending(figures: Figures) -> Markup:
    segments = add_up_spending(figures)
    if not segments:
        return NOTHING
    spent = sum(segments[-1].values)
    title = "Cost so far over working time"
    summary = f"{say_usd(spent)} by the end, for compute and APIs; calls count when they end."
    picture = draw_over_time(
        figures.clock, segments, _SPENT, say=say_usd, title=title, summary=summary
    )
    names = [series.name for series in _SPENT]
    data = _tabulate(figures.clock, segments, names, say_usd, last=True)
    legend = [series for series, usd in zip(_SPENT, segments[-1].values, strict=True) if usd]
    return make_figure(picture, caption=f"{title}: {summary}", legend=legend, data=data)


def add_up_spending(figures: Figures) -> list[Segment]:
    """Return what had been spent in each stretch of time, by the series of the chart."""
    steps = [(s.start, (*s.values, 0.0)) for s in figures.calls.compute_usd.segments()]
    steps += [(s.start, (0.0, 0.0, *s.values)) for s in figures.pages.api_usd.segments()]
    steps.sort()
    end = figures.clock.time(figures.clock.total_s)
    spent = (0.0, 0.0, 0.0)
    found = []
    for place, (at, more) in enumerate(steps):
        spent = (spent[0] + more[0], spent[1] + more[1], spent[2] + more[2])
        until = steps[place + 1][0] if place + 1 < len(steps) else max(end, at)
        if until > at:
            found.append(Segment(at, until, spent))
    return found


def _tabulate(
    clock: WorkClock,
    segments: Sequence[Segment],
    names: Sequence[str],
    say: Callable[[float], str],
    *,
    last: bool = False,
) -> Markup:
    """Return a chart over time as a table of means, or of the last values, in a dozen rows."""
    working = [s._replace(start=clock.at(s.start), end=clock.at(s.end)) for s in segments]
    edges = [clock.total_s * i / _TABLE_ROWS for i in range(_TABLE_ROWS + 1)]
    rows = []
    for part in rebin(working, edges):
        values = part.values
        if last:
            before = [s.values for s in working if s.start < part.end]
            values = before[-1] if before else (0.0,) * len(names)
        since = say_time(clock.time(part.start))
        rows.append([f"{say_seconds(part.end)}", since, *(say(value) for value in values)])
    return table(["working time, up to", "from", *names], rows, words=2)

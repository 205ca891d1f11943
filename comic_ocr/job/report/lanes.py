"""A picture of calls: one bar for each, in as many lanes as ran at once."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from comic_ocr.job.history import CallRecord, Outcome
from comic_ocr.job.report.clock import WorkClock
from comic_ocr.job.report.markup import Markup, element
from comic_ocr.job.report.shapes import TOP, Frame, box, draw_time_axis, label, picture
from comic_ocr.job.report.words import say_seconds

#: More lanes than this would be too thin to see.
MAX_LANES = 150
_ROOM = 420.0
_EDGES = 48.0


def assign_lanes(calls: Sequence[CallRecord]) -> list[int]:
    """Return for each call, by time of submission, the lowest lane that is free by then."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    lanes = []
    for call in calls:
        while busy and busy[0][0] <= call.submitted_at:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (call.ended_at, lane))
        lanes.append(lane)
    return lanes


def draw_lanes(
    clock: WorkClock,
    calls: Sequence[CallRecord],
    lanes: Sequence[int],
    colours: Mapping[Outcome, str],
    *,
    title: str,
    summary: str,
) -> Markup:
    """Return the bars of calls; pale while a call starts and loads, full while it reads."""
    count = max(lanes) + 1
    thick = min(max(_ROOM / count, 2.5), 18.0)
    frame = Frame(count * thick + _EDGES)
    height = thick - (2 if thick > 6 else 0.5)
    bars = [
        _draw_call(
            clock,
            frame,
            call,
            y=TOP + lane * thick,
            height=height,
            css=colours[call.outcome],
        )
        for call, lane in zip(calls, lanes, strict=True)
    ]
    marks = [
        label(frame.x(0) - 8, TOP + (lane + 0.5) * thick + 4, str(lane + 1), "end")
        for lane in sorted({0, count - 1})
    ]
    return picture(frame.height, title, summary, *bars, *marks, draw_time_axis(clock, frame))


def _draw_call(
    clock: WorkClock, frame: Frame, call: CallRecord, *, y: float, height: float, css: str
) -> Markup:
    worked_from = max(call.ended_at - call.worker_s + call.load_s, call.submitted_at)
    times = (call.submitted_at, min(worked_from, call.ended_at), call.ended_at)
    start, reading, end = (frame.x(clock.at(at) / clock.total_s) for at in times)
    parts = [element("title", describe_call(call))]
    if reading > start:
        parts.append(box(start, y, reading - start, height, f"{css} pale"))
    parts.append(box(reading, y, max(end - reading - 0.5, 0.8), height, css))
    return element("g", *parts)


def describe_call(call: CallRecord) -> str:
    """Return one line on a call, for whoever points at it."""
    copy = " (backup)" if call.copy else ""
    why = f" ({call.code})" if call.code else ""
    pages = "1 page" if call.pages == 1 else f"{call.pages} pages"
    took = say_seconds(call.ended_at - call.submitted_at)
    return f"{call.chunk_id} attempt {call.attempt}{copy}: {call.outcome}{why}, {pages}, {took}"

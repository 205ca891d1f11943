"""Charts as inline SVG: shapes and words only, coloured by the classes of the page's style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from comic_ocr.job.report.bins import Segment
from comic_ocr.job.report.clock import WorkClock
from comic_ocr.job.report.markup import Markup, element
from comic_ocr.job.report.shapes import (
    TOP,
    WIDTH,
    Frame,
    box,
    draw_time_axis,
    draw_value_axis,
    label,
    line,
    nice_ticks,
    picture,
)
from comic_ocr.job.report.words import say_seconds

_ROW = 26.0
_LABEL = 170.0


class Series(NamedTuple):
    """A colour with its meaning; `css` is a class of the style sheet."""

    name: str
    css: str


class Row(NamedTuple):
    """A horizontal bar: a value for each series."""

    label: str
    values: tuple[float, ...]
    said: str


def draw_over_time(
    clock: WorkClock,
    segments: Sequence[Segment],
    series: Sequence[Series],
    *,
    say: Callable[[float], str],
    title: str,
    summary: str,
) -> Markup:
    """Return areas over working time, one on the other; the values of a segment are levels."""
    frame = Frame(240.0)
    ticks = nice_ticks(max((sum(s.values) for s in segments), default=0.0))
    top = ticks[-1]
    shapes = []
    for index in reversed(range(len(series))):
        path = _area_path(clock, frame, segments, index, top)
        shapes.append(element("path", d=path, class_=series[index].css))
    return picture(
        frame.height,
        title,
        summary,
        draw_value_axis(frame, ticks, say),
        *shapes,
        draw_time_axis(clock, frame),
    )


def _area_path(
    clock: WorkClock, frame: Frame, segments: Sequence[Segment], index: int, top: float
) -> str:
    """Return the path of steps as high as the first index + 1 series together."""
    steps = []
    reached = 0.0
    for segment in segments:
        start, end = (clock.at(at) / clock.total_s for at in (segment.start, segment.end))
        if start > reached:
            steps.append(f"V{frame.floor:.1f}H{frame.x(start):.1f}")
        level = frame.y(sum(segment.values[: index + 1]) / top)
        steps.append(f"V{level:.1f}H{frame.x(end):.1f}")
        reached = end
    return f"M{frame.x(0):.1f},{frame.floor:.1f}{''.join(steps)}V{frame.floor:.1f}Z"


def draw_rows(rows: Sequence[Row], series: Sequence[Series], *, title: str, summary: str) -> Markup:
    """Return horizontal bars with their labels and values."""
    top = max((sum(row.values) for row in rows), default=0.0) or 1.0
    room = WIDTH - _LABEL - 240.0
    parts = []
    for place, row in enumerate(rows):
        y = 4 + place * _ROW
        x = _LABEL
        parts.append(label(_LABEL - 10, y + 14, row.label, "end", "name"))
        for value, kind in zip(row.values, series, strict=True):
            width = room * value / top
            if width > 0:
                parts.append(box(x, y, max(width, 1.0), _ROW - 8, kind.css))
            x += width
        parts.append(label(x + 8, y + 14, row.said, "start"))
    return picture(len(rows) * _ROW + 4, title, summary, *parts)


def draw_shares(parts: Sequence[tuple[Series, float]], *, title: str, summary: str) -> Markup:
    """Return one bar cut into shares of a whole."""
    whole = sum(value for _, value in parts) or 1.0
    x = 0.0
    boxes = []
    for kind, value in parts:
        width = WIDTH * value / whole
        boxes.append(box(x, 0, width, 30, kind.css))
        x += width
    return picture(30, title, summary, *boxes)


def draw_histogram(
    bars: Sequence[tuple[float, float, int]],
    marks: Sequence[tuple[str, float]],
    css: str,
    *,
    title: str,
    summary: str,
) -> Markup:
    """Return bars (from seconds, to seconds, count) over a logarithmic axis, with marked values."""
    frame = Frame(250.0)
    low = math.floor(math.log10(bars[0][0]) + 1e-9)
    high = max(math.ceil(math.log10(bars[-1][1]) - 1e-9), low + 1)

    def place(seconds: float) -> float:
        return frame.x((math.log10(seconds) - low) / (high - low))

    # With room above the bars for the words of the marks.
    ticks = nice_ticks(1.15 * max(count for _, _, count in bars), whole=True)
    parts = [draw_value_axis(frame, ticks, lambda value: f"{value:,.0f}")]
    for start, end, count in bars:
        y = frame.y(count / ticks[-1])
        width = max(place(end) - place(start) - 1, 0.5)
        said = f"{say_seconds(start)} to {say_seconds(end)}: {count:,}"
        bar = box(place(start), y, width, frame.floor - y, css)
        parts.append(element("g", element("title", said), bar))
    parts.append(line(frame.x(0), frame.floor, frame.x(1), frame.floor, "axis"))
    steps = (1, 2, 5) if high - low <= 4 else (1,)
    for seconds in (10.0**power * step for power in range(low, high + 1) for step in steps):
        x = place(seconds)
        if x <= frame.x(1) + 1:
            parts.append(line(x, frame.floor, x, frame.floor + 4, "axis"))
            parts.append(label(x, frame.floor + 19, say_seconds(seconds), "middle"))
    for row, (name, seconds) in enumerate(marks):
        x = place(max(seconds, bars[0][0]))
        parts.append(line(x, TOP, x, frame.floor, "mark-line"))
        anchor, shift = ("end", -6) if row == 0 and x > frame.x(0.25) else ("start", 6)
        if x > frame.x(0.8):
            anchor, shift = "end", -6
        said = f"{name} within {say_seconds(seconds)}"
        parts.append(label(x + shift, TOP + 10 + 16 * row, said, anchor, "name"))
    return picture(frame.height, title, summary, *parts)

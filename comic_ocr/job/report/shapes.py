"""What all charts are made of: an area with axes, lines, boxes and words, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from comic_ocr.job.report.clock import WorkClock
from comic_ocr.job.report.markup import Markup, element, join
from comic_ocr.job.report.words import say_seconds

#: of every picture; a browser scales it
WIDTH = 960.0
TOP = 14.0
_LEFT, _RIGHT, _BOTTOM = 64.0, 16.0, 34.0


class Frame(NamedTuple):
    """The area of a chart with axes."""

    height: float

    @property
    def floor(self) -> float:
        return self.height - _BOTTOM

    def x(self, share: float) -> float:
        """Return where a share of the width is."""
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, share: float) -> float:
        """Return where a share of the height is, from the floor up."""
        return self.floor - share * (self.floor - TOP)


def nice_ticks(top: float, *, whole: bool = False) -> list[float]:
    """Return three to six round values from 0 to the top or a little more."""
    if top <= 0:
        return [0.0, 1.0]
    rough = top / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    if whole:
        step = max(math.ceil(step), 1)
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def draw_value_axis(frame: Frame, ticks: Sequence[float], say: Callable[[float], str]) -> Markup:
    """Return the axis of values, with a line across the chart for each tick."""
    parts = []
    for tick in ticks:
        y = frame.y(tick / ticks[-1])
        parts.append(line(frame.x(0), y, frame.x(1), y, "grid"))
        parts.append(label(frame.x(0) - 8, y + 4, say(tick), "end"))
    return join(parts)


def label(x: float, y: float, text: str, anchor: str, css: str | None = None) -> Markup:
    """Return words at a point."""
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=css)


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=css)


def box(x: float, y: float, width: float, height: float, css: str) -> Markup:
    return element("rect", x=x, y=y, width=width, height=height, class_=css)


def picture(height: float, title: str, summary: str, *parts: Markup) -> Markup:
    """Return an SVG that tells its title and what is to be seen in it."""
    return element(
        "svg",
        element("title", title),
        element("desc", summary),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_label=f"{title}. {summary}",
    )


def draw_time_axis(clock: WorkClock, frame: Frame) -> Markup:
    """Return the axis of working time, with a dashed line for each pause."""
    parts = [line(frame.x(0), frame.floor, frame.x(1), frame.floor, "axis")]
    for tick in clock.ticks():
        x = frame.x(tick / clock.total_s)
        parts.append(line(x, frame.floor, x, frame.floor + 4, "axis"))
        near_end = x > frame.x(1) - 24
        at, anchor = (WIDTH, "end") if near_end else (x, "middle")
        parts.append(label(at, frame.floor + 19, say_seconds(tick), anchor))
    for pause in clock.pauses():
        x = frame.x(pause.at_s / clock.total_s)
        said = element("title", f"pause of {say_seconds(pause.length_s)}")
        parts.append(element("g", said, line(x, TOP, x, frame.floor, "pause")))
    return join(parts)

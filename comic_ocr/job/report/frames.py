"""What every section of a report looks like: heading, picture, legend, and its figures as text."""

from __future__ import annotations

from collections.abc import Sequence

from comic_ocr.job.report.charts import Series
from comic_ocr.job.report.clock import WorkClock
from comic_ocr.job.report.markup import Markup, element, join
from comic_ocr.job.report.words import say_seconds, say_time

NOTHING = Markup("")


def make_section(heading: str, *parts: Markup) -> Markup:
    """Return a section with its heading."""
    return element("section", element("h2", heading), *parts)


def make_figure(
    picture: Markup, *, caption: str, legend: Sequence[Series] = (), data: Markup = NOTHING
) -> Markup:
    """Return a picture with its caption, what its colours mean, and its figures as a table."""
    marks = join(
        element("li", element("span", class_=f"mark {series.css}", aria_hidden="true"), series.name)
        for series in legend
    )
    return element(
        "figure",
        element("figcaption", caption.strip()),
        element("ul", marks, class_="legend") if legend else NOTHING,
        element("div", picture, class_="wide"),
        show_details("As a table", data) if data else NOTHING,
    )


def show_details(summary: str, *parts: Markup) -> Markup:
    """Return what is shown when asked for."""
    return element("details", element("summary", summary), *parts)


def say_pauses(clock: WorkClock) -> str:
    """Return a sentence on the pauses that charts leave out, nothing where there are none."""
    pauses = clock.pauses()
    if not pauses:
        return ""
    said = [
        f"{say_seconds(pause.length_s)} from {say_time(clock.time(pause.at_s) - pause.length_s)}"
        for pause in pauses
    ]
    return f"Dashed lines are pauses that are left out: {'; '.join(said)}."

"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from comic_ocr.job.events import ChunkDone, ChunkLost, Event, JobPlanned, Trouble
from comic_ocr.job.summary import JobSummary

_LINE_EVERY_S = 10.0


class ProgressPrinter:
    """Shows a run's events. A context manager, so that a bar is always taken down."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._line_due = time.monotonic() + _LINE_EVERY_S
        self._last_line = ""

    def __enter__(self) -> ProgressPrinter:
        if not self._quiet and sys.stderr.isatty():
            columns = (
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} pages"),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def handle(self, event: Event) -> None:
        """Show one event."""
        if self._quiet:
            return
        if isinstance(event, JobPlanned):
            self._say(self.describe_plan(event))
            self._start_bar(event.summary)
        if isinstance(event, ChunkLost):
            self._say(
                f"call {event.chunk_id} with {count(event.pages, 'page')} was lost "
                f"({event.code}: {event.message}); {_DECISIONS[event.decision]}"
            )
        if isinstance(event, Trouble):
            self._say(event.message)
        if isinstance(event, ChunkDone) and self._verbose:
            report = event.report
            self._say(
                f"call {report.chunk_id}: {report.done} read, {report.failed} failed, "
                f"{report.wall_s:.1f} s, {report.peak_memory_mb} MB"
            )
        self._update(event.summary)

    @staticmethod
    def describe_plan(planned: JobPlanned) -> str:
        """Return one line on what a run will do."""
        s = planned.summary
        text = f"{s.method} on {s.backend}, {count(s.workers, 'worker')}: {count(s.pages, 'page')}"
        if s.done_before:
            text += f", {s.done_before} done before"
        if s.failed_before:
            text += f", {s.failed_before} failed before"
        if not s.remaining:
            return f"{text}, none to read"
        cost = f"compute {format_usd(planned.expected_usd)}"
        if planned.expected_api_usd is None:
            cost += ", API by the token"
        elif planned.expected_api_usd:
            cost += f", API {format_usd(planned.expected_api_usd)}"
        return (
            f"{text}, {s.remaining} to read in about {count(planned.calls, 'call')}, "
            f"{format_seconds(planned.expected_s)}; {cost}"
        )

    def _start_bar(self, summary: JobSummary) -> None:
        if self._bar is not None and summary.remaining:
            self._task = self._bar.add_task("", total=summary.remaining)
            self._bar.start()

    def _update(self, summary: JobSummary) -> None:
        if self._bar is not None and self._task is not None:
            read = summary.done + summary.failed
            self._bar.update(self._task, completed=read, description=describe_progress(summary))
        elif time.monotonic() >= self._line_due and summary.state == "running":
            self._line_due = time.monotonic() + _LINE_EVERY_S
            read = summary.done + summary.failed
            line = f"{read}/{read + summary.remaining} pages, {describe_progress(summary)}"
            if line != self._last_line:
                self._say(line)
            self._last_line = line

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=True)


_DECISIONS = {
    "retry": "its pages are read again",
    "split": "its pages are read again in two halves",
    "give_up": "its page is written down as failed",
    "found": "its page had been written before",
    "abort": "the run stops",
}


def describe_progress(summary: JobSummary) -> str:
    """Return failures, speed, time left and cost so far."""
    parts = [f"{summary.failed} failed"]
    if summary.pages_per_s:
        parts.append(f"{summary.pages_per_s:.2f} pages/s")
    if summary.pages_per_s and summary.remaining:
        parts.append(f"{format_seconds(summary.remaining / summary.pages_per_s)} left")
    if summary.cost_usd is None:
        parts.append("cost unknown")
    elif summary.cost_usd:
        parts.append(f"{format_usd(summary.cost_usd)} so far")
    return ", ".join(parts)


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 page` or `2 pages`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_usd(dollars: float | None) -> str:
    """Return a price for people, such as `$12.30`, or `$0.0042` for a small one."""
    if dollars is None:
        return "unknown"
    return f"${dollars:.2f}" if dollars >= 1 or not dollars else f"${dollars:.4f}"


def format_seconds(seconds: float) -> str:
    """Return a duration for people, such as `40 s`, `3 min` or `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"

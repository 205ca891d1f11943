"""What happens in a run, for whoever watches: progress bars, logs, tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from comic_ocr.job.summary import JobSummary
from comic_ocr.page import ChunkReport


@dataclass(frozen=True)
class JobPlanned:
    """The manifest is read and checked, and what is done is known."""

    summary: JobSummary
    #: calls and seconds expected
    calls: int
    expected_s: float
    #: dollars for compute, and for APIs; None where the price is not known before
    expected_usd: float | None
    expected_api_usd: float | None = 0.0


@dataclass(frozen=True)
class ChunkDone:
    """A call came back with its report."""

    report: ChunkReport
    summary: JobSummary


@dataclass(frozen=True)
class ChunkLost:
    """A call was lost; `decision` says what becomes of its pages."""

    chunk_id: str
    pages: int
    code: str
    message: str
    decision: str
    summary: JobSummary


@dataclass(frozen=True)
class Tick:
    """Time passed without news."""

    summary: JobSummary


@dataclass(frozen=True)
class Trouble:
    """Something failed that does not stop the run and will be tried again."""

    message: str
    summary: JobSummary


@dataclass(frozen=True)
class JobEnded:
    """The last event of a run."""

    summary: JobSummary


Event = JobPlanned | ChunkDone | ChunkLost | Trouble | Tick | JobEnded
EventHandler = Callable[[Event], None]

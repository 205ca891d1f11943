"""What runs calls: the driver submits chunks and asks what has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from comic_ocr.page import ChunkRef, ChunkReport
from comic_ocr.worker import ChunkTask


@dataclass(frozen=True)
class CallLoss:
    """A call that ended without a report. `code` is one of errors.py."""

    code: str
    message: str


@dataclass(frozen=True)
class CallResult:
    """The end of one call: a report, or what became of it instead."""

    chunk: ChunkRef
    report: ChunkReport | None = None
    loss: CallLoss | None = None


@dataclass(frozen=True)
class WorkerLimits:
    """What a worker of this backend may use."""

    #: cores; 0 for all that it sees
    threads: int = 0
    #: seconds after which it must start no further page; 0 for no limit
    deadline_s: float = 0.0
    #: local process whose end also ends the worker; 0 for none
    watched_pid: int = 0


class Backend(Protocol):
    """Runs calls somewhere. Used from one thread of the driver."""

    name: str
    limits: WorkerLimits
    #: pause between polls
    poll_s: float

    def submit(self, tasks: Sequence[ChunkTask]) -> None:
        """Start one call per task, or queue it; returns without waiting for any.

        Raises:
            BackendError: calls cannot be started at all. Not retryable.
        """

    def poll(self) -> list[CallResult]:
        """Return the calls that ended since the last poll, each once."""

    def close(self) -> None:
        """Stop what still runs, where the backend can, and remove what the calls left behind."""

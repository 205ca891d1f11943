"""What runs calls: the driver submits chunks and asks what has ended."""

from __future__ import annotations

import time
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
    #: 0 for the first call of a chunk's attempt, 1 for its backup
    copy: int = 0


@dataclass(frozen=True)
class WorkerLimits:
    """What a worker of this backend may use."""

    #: cores; 0 for all that it sees
    threads: int = 0
    #: seconds after which it must start no further page; 0 for no limit
    deadline_s: float = 0.0
    #: local process whose end also ends the worker; 0 for none
    watched_pid: int = 0
    #: MiB that a call can be given, at most; 0 where it cannot be chosen by call
    most_memory_mb: int = 0
    #: calls may get backups: workers do not share a machine
    backups: bool = False
    #: calls at once that the backend allows, for --workers auto
    most_workers: int = 1000


class Clock(Protocol):
    """The driver's time: real, or played by a simulated cloud."""

    def now(self) -> float:
        """Return seconds that only grow."""

    def time(self) -> float:
        """Return seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class RealClock:
    """This machine's time."""

    def now(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class Backend(Protocol):
    """Runs calls somewhere. Used from one thread of the driver."""

    name: str
    limits: WorkerLimits
    #: pause between polls
    poll_s: float
    clock: Clock

    def submit(self, tasks: Sequence[ChunkTask]) -> int:
        """Start one call per task, or queue it; returns without waiting for any.

        Returns:
            How many of the tasks were taken, from the front: all, unless the backend takes no
            more calls for now. The driver offers the others again later, and fewer at once.

        Raises:
            BackendError: calls cannot be started at all. Not retryable.
        """

    def poll(self) -> list[CallResult]:
        """Return the calls that ended since the last poll, each once."""

    def close(self) -> None:
        """Stop what still runs, where the backend can, and remove what the calls left behind."""

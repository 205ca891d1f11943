"""The calls that run: what each reads, since when, and which of them are copies of one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from comic_ocr.job.plan import Chunk


@dataclass
class RunningCall:
    """One copy of a chunk's call."""

    chunk: Chunk
    copy: int
    #: driver's clock, and seconds since the epoch
    since: float
    submitted_at: float
    #: its other copy was first: its result is only paid for
    superseded: bool = False


class RunningCalls:
    """Calls by chunk and copy."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, int, int], RunningCall] = {}
        self.pages = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[RunningCall]:
        return iter(self._calls.values())

    @property
    def wanted(self) -> int:
        """Calls whose result is waited for."""
        return sum(not call.superseded for call in self._calls.values())

    def add(self, chunk: Chunk, copy: int, *, now: float, submitted_at: float) -> None:
        """Note a call that was taken."""
        key = (chunk.chunk_id, chunk.attempt, copy)
        self._calls[key] = RunningCall(chunk, copy, now, submitted_at)
        if copy == 0:
            self.pages += chunk.pages

    def end(self, chunk_id: str, attempt: int, copy: int) -> RunningCall | None:
        """Return the call that ended; None for one that ended before, as calls may run twice."""
        return self._calls.pop((chunk_id, attempt, copy), None)

    def find_other(self, call: RunningCall) -> RunningCall | None:
        """Return the other copy, if it runs."""
        chunk = call.chunk
        return self._calls.get((chunk.chunk_id, chunk.attempt, 1 - call.copy))

    def settle(self, call: RunningCall) -> None:
        """Note that a call's pages are accounted for, so that its other copy is not waited for."""
        self.pages -= call.chunk.pages
        other = self.find_other(call)
        if other is not None:
            other.superseded = True

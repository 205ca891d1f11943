"""The calls that run: what each reads, since when, and which of them are copies of one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from comic_ocr.job.plan import Chunk

#: Of one call at once or one after the other: a backup may be late, too.
MOST_COPIES = 4


@dataclass
class RunningCall:
    """One copy of a chunk's call."""

    chunk: Chunk
    copy: int
    #: driver's clock, and seconds since the epoch
    since: float
    submitted_at: float
    #: another copy was first: its result is only paid for
    superseded: bool = False
    #: it is the last copy so far
    newest: bool = True


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
        call = RunningCall(chunk, copy, now, submitted_at)
        for other in self.find_others(call):
            other.newest = False
        self._calls[chunk.chunk_id, chunk.attempt, copy] = call
        if copy == 0:
            self.pages += chunk.pages

    def end(self, chunk_id: str, attempt: int, copy: int) -> RunningCall | None:
        """Return the call that ended; None for one that ended before, as calls may run twice."""
        call = self._calls.pop((chunk_id, attempt, copy), None)
        if call is not None and call.newest:
            for other in self.find_others(call)[-1:]:
                other.newest = True
        return call

    def find_others(self, call: RunningCall) -> list[RunningCall]:
        """Return the other copies that run."""
        chunk = call.chunk
        keys = [(chunk.chunk_id, chunk.attempt, copy) for copy in range(MOST_COPIES)]
        return [self._calls[key] for key in keys if key in self._calls and key[2] != call.copy]

    def settle(self, call: RunningCall) -> None:
        """Note that a call's pages are accounted for, so that no other copy is waited for."""
        self.pages -= call.chunk.pages
        for other in self.find_others(call):
            other.superseded = True

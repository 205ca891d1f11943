"""The time that a job worked: pauses between its runs are left out, and marked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from comic_ocr.job.report.bins import Segment

#: Nothing happens for this long: a pause, unless there are too many of them to show.
_PAUSE_S = 120.0
_MAX_PAUSES = 8
_TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]
_TICKS += [7200, 10800, 21600, 43200, 86400, 172800, 604800]


class Pause(NamedTuple):
    """A pause of a job, at so many seconds of its working time."""

    at_s: float
    length_s: float


class WorkClock:
    """Turns times (seconds since the epoch) into seconds that the job had worked by then."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        spans = _join((s.start, s.end) for s in segments)
        pauses = sorted((b[0] - a[1] for a, b in pairwise(spans)), reverse=True)
        shortest = max([_PAUSE_S, *pauses[_MAX_PAUSES : _MAX_PAUSES + 1]])
        self._spans = _join(spans, shortest) or [(0.0, 1.0)]
        self._begins = [start for start, _ in self._spans]
        self._before = [0.0]
        for start, end in self._spans:
            self._before.append(self._before[-1] + end - start)
        self.begin = self._spans[0][0]
        self.total_s = self._before[-1]

    def at(self, time: float) -> float:
        """Return the working seconds at a time; within a pause those at its begin."""
        index = max(bisect_right(self._begins, time) - 1, 0)
        start, end = self._spans[index]
        return self._before[index] + min(max(time - start, 0.0), end - start)

    def time(self, seconds: float) -> float:
        """Return the time at which the job had worked so long."""
        index = min(bisect_right(self._before, seconds) - 1, len(self._spans) - 1)
        return self._spans[index][0] + seconds - self._before[index]

    def pauses(self) -> list[Pause]:
        """Return the pauses that are left out."""
        ends = zip(self._before[1:], self._spans, self._spans[1:], strict=False)
        return [Pause(at, after[0] - before[1]) for at, before, after in ends]

    def ticks(self, count: int = 8) -> list[float]:
        """Return about so many round working seconds, from 0."""
        step = next((t for t in _TICKS if self.total_s / t <= count), self.total_s / count)
        return [step * i for i in range(int(self.total_s / step) + 1)]


def _join(spans: Iterable[tuple[float, float]], gap_s: float = 0.0) -> list[tuple[float, float]]:
    """Return the spans by time, as one where they meet or leave less than a gap."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] <= gap_s:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined

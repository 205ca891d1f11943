"""When a call that takes too long gets a backup, as a pure rule.

After cubed's rule (a copy once half is done and a task has run several times the median since it
was submitted), with durations measured against what a call of its size should take.
"""

from __future__ import annotations

from bisect import insort
from collections import deque

#: Calls that must have ended, and share of the pages that must be done.
_LEAST_ENDED = 10
_LEAST_DONE = 0.5
#: A call is late at this many times the median. Cubed takes three; ours start only on workers that
#: would else be idle, so that being wrong costs less.
_LATE = 1.5
#: Shorter waits are never late: a backup would have to start first.
_LEAST_WAIT_S = 10.0
_REMEMBERED = 400


class Pace:
    """How long calls took against what was expected of them; the last few hundred."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self.ended = 0

    def add(self, took_s: float, expected_s: float) -> None:
        """Note a call that came back."""
        ratio = took_s / max(expected_s, 1e-3)
        self.ended += 1
        self._recent.append(ratio)
        insort(self._sorted, ratio)
        if len(self._recent) > _REMEMBERED:
            self._sorted.remove(self._recent.popleft())

    @property
    def median(self) -> float:
        """Median of took / expected; 1.0 before any call has ended."""
        return self._sorted[len(self._sorted) // 2] if self._sorted else 1.0


def is_late(*, waited_s: float, expected_s: float, pace: Pace, done_share: float) -> bool:
    """Return whether a call should get a backup.

    Args:
        waited_s: since it was submitted.
        expected_s: what a call of its size should take, from submission to its end.
        pace: of the calls that have ended.
        done_share: of the run's pages.
    """
    if pace.ended < _LEAST_ENDED or done_share < _LEAST_DONE or waited_s < _LEAST_WAIT_S:
        return False
    return waited_s > _LATE * pace.median * expected_s

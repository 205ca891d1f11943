"""How many workers a job should have, from what the last ones brought."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST = 8
_EVERY_S = 15.0
#: after more workers brought nothing
_REST_S = 120.0
_GROW = 2.0
_SHRINK = 0.6
#: More workers are kept only while each of them brings at least this much of what it did before.
_LEAST_GAIN = 0.7


@dataclass
class Autoscaler:
    """Grows and shrinks between 1 and `most`; asked again and again by the driver.

    Workers double every 15 s while pages per second follow; they shrink when calls are refused or
    when more of them bring no more. Toward the end no more are wanted than pages can keep busy.
    """

    most: int
    workers: int = 0
    _due: float = 0.0
    _done: int = 0
    _since: float = 0.0
    _rate: float = 0.0
    _rate_workers: int = 0

    def __post_init__(self) -> None:
        self.workers = min(self.most, _FIRST)

    def refused(self, now: float) -> None:
        """Note that the backend took fewer calls than it was offered."""
        self._due = now + _EVERY_S
        self.workers = max(1, int(self.workers * _SHRINK))
        self._rate_workers = 0

    def update(self, now: float, *, running: int, done: int, left: int, least_pages: int) -> int:
        """Return how many calls there should be at once.

        Args:
            now: seconds of the driver's clock.
            running: calls that run.
            done: pages that this run has handled.
            left: pages that no call has yet.
            least_pages: pages that are worth a call.
        """
        if self._since == 0.0:
            self._since, self._due = now, now + _EVERY_S
        if now >= self._due and running >= self.workers:
            self._step(now, done)
        useful = running + -(-left // max(1, least_pages))
        return max(1, min(self.workers, useful))

    def _step(self, now: float, done: int) -> None:
        rate = (done - self._done) / max(now - self._since, 1e-6)
        if done == self._done:
            return
        per_worker = rate / self.workers
        before = self._rate / self._rate_workers if self._rate_workers else 0.0
        if before and per_worker < before * _LEAST_GAIN:
            self.workers = max(1, min(self._rate_workers, self.workers))
            self._rate_workers = 0
            pause_s = _REST_S
        else:
            self._rate, self._rate_workers = rate, self.workers
            self.workers = min(self.most, int(self.workers * _GROW))
            pause_s = _EVERY_S
        self._since, self._done, self._due = now, done, now + pause_s

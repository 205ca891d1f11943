"""How many workers a job should have, from what the last ones brought."""

from __future__ import annotations

import math
from dataclasses import dataclass

_FIRST = 8
_EVERY_S = 15.0
#: after workers were too many
_REST_S = 120.0
_GROW = 2
_SHRINK = 0.6
#: Workers are too many when a page takes one of them this much longer than it did.
_MOST_SLOWER = 1.5
#: Weight of a call in the mean of the last ones.
_NEWS = 0.2


@dataclass
class Autoscaler:
    """Grows and shrinks between 1 and `most`; asked again and again by the driver.

    Workers double every 15 s while a page takes each of them no longer than before: then store,
    API and cloud keep up, and more workers cost no more, for they are paid by the second. They
    shrink when pages take longer or calls are refused. Toward the end no more are wanted than pages
    can keep busy.
    """

    most: int
    workers: int = 0
    _due: float | None = None
    _page_s: float = 0.0
    _best_page_s: float = math.inf

    def __post_init__(self) -> None:
        self.workers = min(self.most, _FIRST)

    def refused(self, now: float) -> None:
        """Note that the backend took fewer calls than it was offered."""
        self._shrink(now)

    def measured(self, page_s: float) -> None:
        """Note worker seconds per page of a call that ended."""
        self._page_s = (
            page_s if not self._page_s else self._page_s + _NEWS * (page_s - self._page_s)
        )
        self._best_page_s = min(self._best_page_s, self._page_s)

    def update(self, now: float, *, running: int, left: int, least_pages: int) -> int:
        """Return how many calls there should be at once.

        Args:
            now: seconds of the driver's clock.
            running: calls that run.
            left: pages that no call has yet.
            least_pages: pages that are worth a call.
        """
        if self._due is None:
            self._due = now + _EVERY_S
        if now >= self._due and running >= self.workers:
            if self._page_s > self._best_page_s * _MOST_SLOWER:
                self._shrink(now)
            else:
                self.workers = min(self.most, self.workers * _GROW)
                self._due = now + _EVERY_S
        useful = running + -(-left // max(1, least_pages))
        return max(1, min(self.workers, useful))

    def _shrink(self, now: float) -> None:
        self.workers = max(1, int(self.workers * _SHRINK))
        self._due = now + _REST_S

"""When so many pages fail for one reason that going on would only fail more."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

#: Pages that are looked back on, the least of them, and the share that may fail alike.
_WINDOW = 1000
_LEAST_PAGES = 100
_MOST_ALIKE = 0.5


class Breaker:
    """Counts the last thousand pages or so."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, Mapping[str, int]]] = deque()
        self._pages = 0
        self._codes: Counter[str] = Counter()

    def add(self, pages: int, failures_by_code: Mapping[str, int]) -> None:
        """Note the pages of a call."""
        self._recent.append((pages, failures_by_code))
        self._pages += pages
        self._codes.update(failures_by_code)
        while self._pages - self._recent[0][0] >= _WINDOW:
            old_pages, old_codes = self._recent.popleft()
            self._pages -= old_pages
            self._codes.subtract(old_codes)

    def find_reason(self) -> str | None:
        """Return the code that most of the recent pages failed with, None where there is none."""
        if self._pages < _LEAST_PAGES or not self._codes:
            return None
        code, count = self._codes.most_common(1)[0]
        return code if count > self._pages * _MOST_ALIKE else None

    def describe(self, code: str) -> str:
        """Return how many of the recent pages failed with a code."""
        return f"{self._codes[code]} of the last {self._pages} pages failed with {code}"

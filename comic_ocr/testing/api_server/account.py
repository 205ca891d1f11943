"""What was asked of the server and what it gave: counted, so that a test can be exact."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any


class Account:
    """Counts of one server. All but the control requests (`/_…`) count.

    `requests` is the sum of `by_status`, `abandoned`, `cut` and those still in flight.
    """

    def __init__(self) -> None:
        self.requests = 0
        #: whole answers by HTTP status
        self.by_status: Counter[str] = Counter()
        self.by_path: Counter[str] = Counter()
        #: as ordered by the plan, whether or not the client waited for it
        self.by_fault: Counter[str] = Counter()
        #: the client left before its answer was whole
        self.abandoned = 0
        #: the connection was closed in the middle of the answer
        self.cut = 0
        #: prices named in answers that were sent whole, good ones or not
        self.cost_usd = 0.0
        self.connections = 0
        self._asked: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._keys: set[str] = set()
        self._last: Mapping[str, Any] | None = None
        self._last_headers: list[str] = []
        self._starts: deque[float] = deque()
        self._peak_per_s = 0
        self.in_flight = 0
        self._max_in_flight = 0

    def open(self, path: str, headers: Mapping[str, str]) -> None:
        """Count a request; of its key only the hash is kept."""
        self.requests += 1
        self.by_path[path] += 1
        if key := headers.get("authorization"):
            self._keys.add(hashlib.sha256(key.encode()).hexdigest())

    def ask(
        self, sha: str, record: Mapping[str, Any], headers: Mapping[str, str], now: float
    ) -> None:
        """Count a request for a page, which is in flight until `close`."""
        self._asked[sha] += 1
        self._last, self._last_headers = record, sorted(headers)
        self._starts.append(now)
        while self._starts[0] <= now - 1:
            self._starts.popleft()
        self._peak_per_s = max(self._peak_per_s, len(self._starts))
        self.in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self.in_flight)

    def close(self) -> None:
        """Count a request for a page as over."""
        self.in_flight -= 1

    def give(self, sha: str) -> None:
        """Count a good answer that was sent whole: this is what a real server is paid for."""
        self._answers[sha] += 1

    def describe(self) -> dict[str, Any]:
        """Return all counts, for JSON."""
        return {
            "requests": self.requests,
            "asked": self._asked.total(),
            "answers": self._answers.total(),
            "pages": {
                sha: {"asked": count, "answers": self._answers[sha]}
                for sha, count in self._asked.items()
            },
            "by_status": self.by_status,
            "by_path": self.by_path,
            "by_fault": self.by_fault,
            "abandoned": self.abandoned,
            "cut": self.cut,
            "cost_usd": round(self.cost_usd, 9),
            "connections": self.connections,
            "in_flight": self.in_flight,
            "max_in_flight": self._max_in_flight,
            "peak_per_s": self._peak_per_s,
            "keys": sorted(self._keys),
            "last_request": self._last,
            "last_headers": self._last_headers,
        }

"""How many requests a worker has with an API, and how all of them back off together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

from comic_ocr.errors import RateLimitedError

#: A refusal for too many requests multiplies the requests in flight by this,
_SHRINK = 0.5
#: and each good answer brings back this many.
_GROW = 0.25
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
#: Waits are cut in pieces, to see that the call is to end.
_LOOK_S = 0.5


class Throttle:
    """Lets requests start, from many threads.

    Additive increase, multiplicative decrease, as TCP does it (RFC 5681): requests that were
    refused together count as one refusal.
    """

    def __init__(
        self,
        in_flight: int,
        per_minute: float,
        *,
        seconds_left: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = float(max(1, in_flight))
        self._interval_s = 60.0 / per_minute if per_minute > 0 else 0.0
        self._seconds_left = seconds_left
        self._now = now
        self._changed = Condition()
        self._allowed = self._most
        self._running = 0
        self._next_start = 0.0
        self._paused_until = 0.0
        self._refusals = 0
        self._pause_s = _FIRST_PAUSE_S

    @contextmanager
    def slot(self) -> Iterator[int]:
        """Wait for a turn, and yield a ticket for `refused`.

        Raises:
            RateLimitedError: the call ends before a turn came. Retryable.
        """
        with self._changed:
            while (wait_s := self._find_wait()) > 0:
                if self._seconds_left() <= 0:
                    error = RateLimitedError("no turn came before the worker's time was over")
                    error.exhausted = True
                    raise error
                self._changed.wait(min(wait_s, _LOOK_S))
            self._running += 1
            self._next_start = max(self._next_start, self._now()) + self._interval_s
            ticket = self._refusals
        try:
            yield ticket
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify()

    def _find_wait(self) -> float:
        """Return seconds until the next request may start, if nothing else happens."""
        now = self._now()
        wait_s = max(self._paused_until, self._next_start) - now
        if wait_s <= 0 and self._running >= int(self._allowed):
            return _LOOK_S
        return wait_s

    def refused(self, ticket: int, retry_after_s: float | None) -> None:
        """Slow all requests down after one was refused for their number.

        Args:
            ticket: of the request. One that started before the last refusal adds nothing to it
                but its wish for a longer pause.
            retry_after_s: the pause that the server wants; None or 0 where it names none.
        """
        with self._changed:
            wanted_s = retry_after_s or self._pause_s
            if ticket == self._refusals:
                self._refusals += 1
                self._allowed = max(1.0, self._allowed * _SHRINK)
                self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            elif not retry_after_s:
                return
            # A little later than asked for, and not all workers at once.
            until = self._now() + wanted_s * random.uniform(1.0, 1.25)  # noqa: S311 (jitter)
            self._paused_until = max(self._paused_until, until)

    def answered(self) -> None:
        """Speed up again after a good answer."""
        with self._changed:
            self._pause_s = _FIRST_PAUSE_S
            self._allowed = min(self._most, self._allowed + _GROW)
            self._changed.notify()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the call lasts."""
        end = self._now() + seconds
        while (left_s := min(end - self._now(), self._seconds_left())) > 0:
            time.sleep(min(left_s, _LOOK_S))

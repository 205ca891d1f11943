"""HTTP with a time limit for the whole reply."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import httpx2

#: no less than the pages that one worker may have in flight (ApiOptions.concurrency)
_MOST_CONNECTIONS = 1000
_MOST_IDLE = 100


class TimedClient(httpx2.Client):
    """Ends a reply that takes longer than the timeout for reading, from first byte to last.

    httpx2's own timeout is for each piece: a server that sends a blank now and then while it
    works, as OpenRouter does, would never meet it.
    """

    def __init__(self, timeout_s: float) -> None:
        limits = httpx2.Limits(
            max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_IDLE
        )
        super().__init__(timeout=timeout_s, limits=limits, follow_redirects=True)

    def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:
        """Return the response, read to its end unless `stream`.

        Raises:
            httpx2.ReadTimeout: it was not whole in time.
        """
        read_s = request.extensions.get("timeout", {}).get("read")
        end = time.monotonic() + (math.inf if read_s is None else read_s)
        response = super().send(request, stream=True, **how)
        response.stream = _TimedStream(response.stream, end)
        if not stream:
            try:
                response.read()
            finally:
                response.close()
        return response


class _TimedStream(httpx2.SyncByteStream):
    def __init__(self, stream: Any, end: float) -> None:
        self._stream = stream
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            if time.monotonic() > self._end:
                raise httpx2.ReadTimeout("the reply goes on for too long")
            yield part

    def close(self) -> None:
        """Give the connection back."""
        self._stream.close()

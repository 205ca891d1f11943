"""An object store that fails: a proxy in front of one, on loopback, as a process of its own.

    with StorageProxy("http://127.0.0.1:5000") as proxy:      # moto's server, MinIO, …
        proxy.order(Faults(seed=7, busy=0.02, lost=0.01))
        ...                                                   # AWS_ENDPOINT_URL=proxy.url
        proxy.go_away(5)
        print(proxy.account())

Requests and answers pass byte by byte, `Host` and the way bodies are framed included, so signatures
stay valid, and ranges, conditions and chunked uploads mean what they mean without it. What it does
wrong is drawn for each request from a seeded row of numbers; which request gets which number hangs
on the order in which they come.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import os
import random
import signal
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import msgspec

from comic_ocr.testing.loopback import ServerProcess
from comic_ocr.testing.storage_wire import LIMIT_BYTES, Link, Message, read_request

_CONTROL = "/_proxy/"  # no bucket has such a name
_PARENT_CHECK_S = 0.5


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong, each as the share of requests that it befalls, 0-1."""

    seed: int = 0
    #: 503 SlowDown; nothing was done
    busy: float = 0.0
    #: 500 InternalError; nothing was done
    error: float = 0.0
    #: the connection ends without an answer; nothing was done
    drop: float = 0.0
    #: the connection ends without an answer; what was asked for was done
    lost: float = 0.0
    #: the connection ends in the middle of the answer; what was asked for was done
    cut: float = 0.0
    #: the answer comes `slow_s` later
    slow: float = 0.0
    slow_s: float = 2.0

    def draw(self, chance: float) -> str:
        """Return the name of the fault that a number of 0-1 stands for, "" for none."""
        for name in ("busy", "error", "drop", "lost", "cut", "slow"):
            chance -= getattr(self, name)
            if chance < 0:
                return name
        return ""


class _Proxy:
    """One proxy: whom it asks, what it does wrong, and what it did."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self._host, self._port = address.hostname or "", address.port or 80
        self._order(Faults())
        self._away_until = 0.0
        self._account: Counter[str] = Counter()

    def _order(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 (not for secrets)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it ends."""
        link = Link(self._host, self._port)
        try:
            while request := await read_request(reader, writer):
                answer, goes_on = await self._answer(request, link)
                writer.write(answer)
                await writer.drain()
                if not goes_on:
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the store left, or the proxy stops
        finally:
            link.close()
            writer.close()

    async def _answer(self, request: Message, link: Link) -> tuple[bytes, bool]:
        """Return what is sent back, and whether the connection goes on after it."""
        method, target, _ = request.first.split(" ")
        if target.startswith(_CONTROL):
            return self._control(method, target, request.body), request.keeps_alive
        fault = self._draw()
        if fault in ("away", "busy"):
            return _refuse(method, 503, "SlowDown", "Please reduce your request rate."), True
        if fault == "error":
            return _refuse(method, 500, "InternalError", "We encountered an internal error."), True
        answer = None if fault == "drop" else await link.ask(request)
        if answer is None or fault == "lost":
            return b"", False
        if fault == "cut":
            return answer.data[: len(answer.data) - len(answer.body) // 2 - 1], False
        if fault == "slow":
            await asyncio.sleep(self._faults.slow_s)
        return answer.data, answer.keeps_alive and request.keeps_alive

    def _draw(self) -> str:
        self._account["requests"] += 1
        chance = self._random.random()
        fault = "away" if time.monotonic() < self._away_until else self._faults.draw(chance)
        if fault:
            self._account[fault] += 1
        return fault

    def _control(self, method: str, target: str, body: bytes) -> bytes:
        try:
            match method, target.removeprefix(_CONTROL):
                case "GET", "account":
                    return _encode(200, msgspec.json.encode(self._account))
                case "PUT", "faults":
                    self._order(msgspec.json.decode(body, type=Faults))
                case "PUT", "away":
                    self._away_until = time.monotonic() + msgspec.json.decode(body, type=float)
                case _:
                    return _encode(404, b'{"error": "no such control"}')
        except msgspec.DecodeError as error:
            return _encode(400, msgspec.json.encode({"error": str(error)}))
        return _encode(200, b"{}")


def _refuse(method: str, status: int, code: str, message: str) -> bytes:
    """Return an error as S3 words it; the answer to HEAD has no body."""
    text = '<?xml version="1.0" encoding="UTF-8"?>\n'
    text += f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return _encode(status, b"" if method == "HEAD" else text.encode(), "application/xml")


def _encode(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} {http.client.responses[status]}\r\n"
    head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class StorageProxy(ServerProcess):
    """A running proxy; use it as a context manager, or call `stop`.

    Args:
        upstream: address of the store, http only.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__("comic_ocr.testing.storage_proxy", ["--upstream", upstream])

    def order(self, faults: Faults) -> None:
        """Replace what goes wrong; the row of numbers starts again from its seed."""
        self._control("PUT", f"{_CONTROL}faults", faults)

    def go_away(self, seconds: float) -> None:
        """Answer everything with 503 SlowDown for that long; 0 ends it."""
        self._control("PUT", f"{_CONTROL}away", seconds)

    def account(self) -> dict[str, int]:
        """Return how many requests came, and how many met each fault."""
        return dict(self._control("GET", f"{_CONTROL}account"))


async def _serve(proxy: _Proxy, parent: int) -> None:
    """Serve on loopback until a signal comes or the parent process is gone."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = await asyncio.start_server(
        proxy.talk, "127.0.0.1", 0, limit=LIMIT_BYTES, backlog=512
    )
    sys.stdout.write(f"listening on http://127.0.0.1:{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    while parent == os.getppid() and not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_CHECK_S)
    listener.close()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m comic_ocr.testing.storage_proxy")
    parser.add_argument("--upstream", required=True, help="address of the store, http only")
    parser.add_argument("--parent", type=int, required=True, help="end when it is not the parent")
    given = parser.parse_args()
    asyncio.run(_serve(_Proxy(given.upstream), given.parent))


if __name__ == "__main__":
    _main()

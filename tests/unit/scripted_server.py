"""A small HTTP server that answers as a test says: for what `ApiServer` has no fault for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import msgspec


class Seen(NamedTuple):
    """A request; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Said(NamedTuple):
    """A response; a body in pieces is sent as they come."""

    status: int = 200
    body: bytes | Iterable[bytes] = b"{}"
    headers: Mapping[str, str] = {}


class ScriptedServer:
    """A running server, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []


def say_json(status: int, value: object, **headers: str) -> Said:
    """Return a response with a JSON body; `retry_after="1"` is the header Retry-After."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Said(status, msgspec.json.encode(value), names)


@contextmanager
def serve(answer: Callable[[Seen], Said]) -> Iterator[ScriptedServer]:
    """Serve on loopback; `answer` is called from several threads."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Seen(self.command, self.path, headers, body)
            server.seen.append(request)
            said = answer(request)
            self.send_response(said.status)
            whole = isinstance(said.body, bytes)
            length = {"Content-Length": str(len(said.body))} if whole else {"Connection": "close"}
            for name, value in {**length, **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for part in [said.body] if whole else said.body:
                self.wfile.write(part)

        do_GET = do_POST = _reply

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args: object) -> None:
            """A client that leaves is no error of the server."""

    listener = Listener(("127.0.0.1", 0), Handler)
    server = ScriptedServer(f"http://127.0.0.1:{listener.server_address[1]}")
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()

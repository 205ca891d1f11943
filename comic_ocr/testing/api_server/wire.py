"""As much of HTTP/1.1 as clients of these APIs speak: keep-alive, lengths and chunks."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

#: of heads and chunk lines; also how much is read ahead
LIMIT_BYTES = 1 << 20


class Request(NamedTuple):
    """A request; names of headers are lower case, the path is without its query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        """Return whether the client will ask again on this connection."""
        return self.headers.get("connection", "").lower() != "close"


class Reply(NamedTuple):
    """A response."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"

    def encode(self) -> bytes:
        """Return it as it goes over the wire."""
        fields = (
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            *self.headers,
        )
        head = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"{head}\r\n".encode() + self.body


def reply_json(status: int, value: Any, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a response whose body is that value as JSON."""
    return Reply(status, msgspec.json.encode(value), headers)


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """Return the next request of a connection, None when the client is done with it.

    Raises:
        asyncio.IncompleteReadError: the client left in the middle of a request.
        ValueError: what came is not HTTP.
    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target.partition("?")[0], headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return b"".join(chunks)


async def send_whole(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Reply
) -> bool:
    """Return whether the client was still there when the last byte was handed over."""
    if reader.at_eof():
        return False
    try:
        writer.write(reply.encode())
        await writer.drain()
    except ConnectionError:
        return False
    return True


async def send_half(writer: asyncio.StreamWriter, reply: Reply) -> None:
    """Send the head and half of the body; the caller closes the connection."""
    data = reply.encode()
    writer.write(data[: len(data) - len(reply.body) // 2 - 1])
    await writer.drain()


async def wait_until_gone(reader: asyncio.StreamReader) -> None:
    """Return when the client has closed the connection."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(LIMIT_BYTES):
            pass

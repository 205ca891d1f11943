"""HTTP/1.1 messages passed on as they come: heads as bytes, bodies with their framing."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

#: of heads and chunk lines; also how much is read ahead
LIMIT_BYTES = 1 << 20


class Message(NamedTuple):
    """A request or an answer as it came; names of headers are lower case."""

    first: str
    headers: dict[str, str]
    data: bytes
    #: False where the end of the body is the end of the connection
    is_framed: bool = True

    @property
    def keeps_alive(self) -> bool:
        """Whether another message may follow on this connection."""
        wanted = self.headers.get("connection", "").lower()
        by_default = "HTTP/1.1" in self.first
        return self.is_framed and (wanted != "close" if by_default else wanted == "keep-alive")

    @property
    def body(self) -> bytes:
        """What follows the head."""
        return self.data.partition(b"\r\n\r\n")[2]


class Link:
    """A connection to the store, opened when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Message) -> Message:
        """Return the store's answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=LIMIT_BYTES)
        reader, writer = self._streams
        writer.write(request.data)
        await writer.drain()
        answer = await _read_answer(reader, is_head=request.first.startswith("HEAD "))
        if not answer.keeps_alive:
            self.close()
        return answer

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Message | None:
    """Return the next request, None when the client is done."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, headers = _parse_head(head)
    if headers.pop("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_framed(reader, headers)
    return Message(first, headers, head + (body or b""))


async def _read_answer(reader: asyncio.StreamReader, *, is_head: bool) -> Message:
    head = await reader.readuntil(b"\r\n\r\n")
    first, headers = _parse_head(head)
    status = int(first.split(" ", 2)[1])
    if status == 100:
        return await _read_answer(reader, is_head=is_head)
    if is_head or status in (204, 304):
        return Message(first, headers, head)
    body = await _read_framed(reader, headers)
    if body is None:
        return Message(first, headers, head + await reader.read(), is_framed=False)
    return Message(first, headers, head + body)


def _parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.lower(): value.strip() for name, _, value in pairs}


async def _read_framed(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes | None:
    """Return a body as it comes, marks of chunks included; None where nothing says its length."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        size = 1
        while size:
            parts.append(await reader.readuntil(b"\r\n"))
            size = int(parts[-1].partition(b";")[0], 16)
            if size:
                parts.append(await reader.readexactly(size + 2))
        while parts[-1] != b"\r\n":  # trailers
            parts.append(await reader.readuntil(b"\r\n"))
        return b"".join(parts)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return None

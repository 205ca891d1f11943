"""The server itself: routes, faults and accounts around the answers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from comic_ocr.testing.api_server.account import Account
from comic_ocr.testing.api_server.answers import ChatAsk, Offer, list_models, read_chat
from comic_ocr.testing.api_server.faults import FaultPlan, Rule, describe_fault, refuse
from comic_ocr.testing.api_server.truth import (
    Answer,
    RefusedError,
    TruthPage,
    Truths,
    find_page,
    repeat_line,
)
from comic_ocr.testing.api_server.upstage import (
    ASYNC,
    DIGITIZATION,
    EXTRACTION,
    Job,
    UpstageAsk,
    read_upstage,
)
from comic_ocr.testing.api_server.wire import (
    LIMIT_BYTES,
    Reply,
    Request,
    read_request,
    reply_json,
    send_half,
    send_whole,
    wait_until_gone,
)

_CHAT = "/v1/chat/completions"
_JOBS = f"{DIGITIZATION}/requests/"
_DOWNLOADS = "/download/"
_PARENT_CHECK_S = 0.5

Ask = ChatAsk | UpstageAsk


class Settings(msgspec.Struct, frozen=True):
    """How a server answers."""

    truths: Truths = {}
    faults: Sequence[Rule] = ()
    #: how long a page takes
    delay_s: float = 0.0
    offer: Offer = Offer()


class _Exchange(NamedTuple):
    """One request's way back, and the account that it was opened in."""

    style: str
    account: Account
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, reply: Reply) -> bool:
        """Send it whole; return whether the client was there to the end."""
        sent = await send_whole(self.reader, self.writer, reply)
        if sent:
            self.account.by_status[str(reply.status)] += 1
        else:
            self.account.abandoned += 1
        return sent

    async def cut(self, reply: Reply) -> bool:
        """Send half of it; the connection is over."""
        self.account.cut += 1
        await send_half(self.writer, reply)
        return False

    async def hang(self) -> bool:
        """Send nothing; the connection is over when the client leaves."""
        await wait_until_gone(self.reader)
        self.account.abandoned += 1
        return False


class Server:
    """One server: what it knows, what it is ordered to do wrong, and what it did."""

    def __init__(self, settings: Settings) -> None:
        self._truths = settings.truths
        self._plan = FaultPlan(settings.faults)
        self._delay_s = settings.delay_s
        self._offer = settings.offer
        self._account = Account()
        self._jobs: dict[str, Job] = {}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it ends."""
        self._account.connections += 1
        # drain() then waits until the last byte has left, which is what "sent" means here.
        writer.transport.set_write_buffer_limits(0)
        try:
            while request := await read_request(reader, writer):
                if not await self._serve(request, reader, writer) or not request.keeps_alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the server stops
        finally:
            writer.close()

    async def _serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        if request.path.startswith("/_"):
            return await send_whole(reader, writer, self._control(request))
        path = request.path.removeprefix("/api")
        style = self._offer.dialect if path in (_CHAT, "/v1/models") else "upstage"
        talk = _Exchange(style, self._account, reader, writer)
        talk.account.open(_short(path), request.headers)
        try:
            found = self._route(request, path)
        except RefusedError as error:
            found = reply_json(error.status, refuse(error, style))
        if isinstance(found, Reply):
            return await talk.send(found)
        talk.account.ask(found.image.sha256, found.record, request.headers, time.monotonic())
        try:
            return await self._give(found, talk)
        finally:
            talk.account.close()

    async def _give(self, ask: Ask, talk: _Exchange) -> bool:
        """Answer a request for a page, or do to it what the plan orders."""
        rule = self._plan.next_rule(ask.image.sha256)
        fault = rule.do if rule else ""
        submits = isinstance(ask, UpstageAsk) and ask.path == ASYNC
        if rule:
            talk.account.by_fault[fault] += 1
            if refusal := _fail(rule, talk.style, ask.model, submits):
                return await talk.send(refusal)
        if fault == "hang":
            return await talk.hang()
        answer = self._answer(ask, fault, talk.style)
        await asyncio.sleep((rule.delay_s if rule else 0) + (0 if submits else self._delay_s))
        reply = self._submit(answer, fault) if submits else Reply(200, answer.body)
        if fault == "cut":
            return await talk.cut(reply)
        sent = await talk.send(reply)
        if sent:
            talk.account.cost_usd += answer.cost_usd
        if sent and fault in ("", "slow"):
            talk.account.give(ask.image.sha256)
        return sent

    def _answer(self, ask: Ask, fault: str, style: str) -> Answer:
        page: TruthPage = find_page(self._truths, ask.image)
        if fault == "repeat":
            page = repeat_line(page)
        if isinstance(ask, UpstageAsk):
            return ask.answer(page, fault)
        offer = self._offer if style != "upstage" else Offer(dialect=style)
        return ask.answer(page, fault, offer)

    def _submit(self, answer: Answer, fault: str) -> Reply:
        request_id = str(uuid.uuid4())
        self._jobs[request_id] = Job(
            answer, done_at=time.monotonic() + self._delay_s, failed=fault == "failed"
        )
        return reply_json(200, {"request_id": request_id})

    def _route(self, request: Request, path: str) -> Ask | Reply:
        """Return what a page is asked for, or the reply to anything else.

        Raises:
            RefusedError: no key, no such path, or a request that is wrong in itself.
        """
        match request.method, path:
            case "GET", "/v1/models":
                return reply_json(200, list_models(self._offer))
            case "GET", _ if path.startswith(_DOWNLOADS):
                return self._download(request, path)
        if not request.headers.get("authorization", "").startswith("Bearer "):
            raise RefusedError(401, "No auth credentials found")
        content_type = request.headers.get("content-type", "")
        match request.method, path:
            case "POST", "/v1/chat/completions":
                return read_chat(request.body, self._offer)
            case "GET", _ if path.startswith(_JOBS):
                return self._poll(request, path.removeprefix(_JOBS))
            case "POST", _ if path == f"{EXTRACTION}/chat/completions" or (
                path == EXTRACTION and content_type.startswith("application/json")
            ):
                return _read_extraction(request.body)
            case "POST", _ if path in (DIGITIZATION, ASYNC, EXTRACTION):
                return read_upstage(path, content_type, request.body)
        raise RefusedError(404, "Not found")

    def _poll(self, request: Request, request_id: str) -> Reply:
        job = self._jobs.get(request_id)
        if job is None:
            raise RefusedError(404, "no such request")
        return reply_json(200, job.describe(request_id, request.headers.get("host", "")))

    def _download(self, request: Request, path: str) -> Reply:
        """Storage with signed addresses refuses a second way to prove who asks, as S3 does."""
        job = self._jobs.get(path.removeprefix(_DOWNLOADS).partition("/")[0])
        if job is None:
            raise RefusedError(404, "no such file")
        if "authorization" in request.headers:
            raise RefusedError(400, "only one way to authenticate is allowed")
        return Reply(200, job.answer.body)

    def _control(self, request: Request) -> Reply:
        try:
            match request.method, request.path:
                case "GET", "/_account":
                    return reply_json(200, self._account.describe())
                case "POST", "/_reset":
                    self._account = Account()
                    self._plan.restart()
                case "PUT", "/_truth":
                    self._truths = msgspec.json.decode(request.body, type=dict[str, TruthPage])
                case "PUT", "/_faults":
                    self._plan = FaultPlan(msgspec.json.decode(request.body, type=list[Rule]))
                case _:
                    return reply_json(404, {"error": "no such control"})
        except msgspec.DecodeError as error:
            return reply_json(400, {"error": str(error)})
        return reply_json(200, {})


def _read_extraction(body: bytes) -> ChatAsk:
    ask = read_chat(body, Offer(dialect="upstage"))
    if ask.schema is None:
        raise RefusedError(400, "response_format with a json_schema is required")
    return ask


def _short(path: str) -> str:
    """Return the path without what differs from request to request."""
    for start in (_JOBS, _DOWNLOADS):
        if path.startswith(start):
            return f"{start}…"
    return path


def _fail(rule: Rule, style: str, model: str, submits: bool) -> Reply | None:
    """Return the reply of faults that are no answer about the page."""
    wrapped = rule.do == "error_200" or (rule.do == "choice_error" and style == "upstage")
    status = 500 if rule.do == "failed" and not submits else rule.status
    if status is None and not wrapped:
        return None
    headers: tuple[tuple[str, str], ...] = ()
    if rule.retry_after is not None:
        headers = (("Retry-After", f"{rule.retry_after:g}"),)
    status = status or 200
    if rule.text is not None:
        return Reply(status, rule.text.encode(), headers, "text/html")
    return reply_json(status, describe_fault(rule, style, model), headers)


async def serve(server: Server, port: int, parent: int | None) -> None:
    """Serve on loopback until a signal comes or the parent process is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    listener = await asyncio.start_server(
        server.talk, "127.0.0.1", port, limit=LIMIT_BYTES, backlog=512
    )
    sys.stdout.write(f"listening on http://127.0.0.1:{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    while parent in (None, os.getppid()) and not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), _PARENT_CHECK_S)
        except TimeoutError:
            continue
    listener.close()

"""Document parse that answers later: hand a page in, look again, fetch what was read.

Format: https://console.upstage.ai/api/parse/document-parsing/async.md. Results are there for 30
days; the address of one holds for 15 minutes, and each look gives a fresh one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from comic_ocr.errors import (
    EngineError,
    EngineUnavailableError,
    PageTimeoutError,
    UnparsableAnswerError,
)

if TYPE_CHECKING:
    from comic_ocr.engines.api.answers import Answers
    from comic_ocr.engines.api.client import ApiClient, Request

ASYNC_PATH = "/document-digitization/async"
_REQUESTS_PATH = "/document-digitization/requests"
#: A request older than this is handed in anew.
_KEPT_S = 29 * 24 * 3600.0
_PAUSE_FACTOR = 1.5
_LONGEST_PAUSE_S = 10.0
#: A page that is not read after this long is left for a later call.
_LONGEST_S = 900.0


class _Submitted(msgspec.Struct):
    request_id: str


class _Batch(msgspec.Struct):
    id: int = 0
    download_url: str | None = None


class _Progress(msgspec.Struct):
    status: str
    failure_message: str | None = None
    batches: list[_Batch] | None = None


class Pending(msgspec.Struct, frozen=True):
    """A page that was handed in. No request id: it failed, hand it in again."""

    request_id: str
    #: seconds since the epoch
    submitted_at: float


class LateAnswers:
    """Asks for pages that are read later. What was handed in is kept, and not paid twice."""

    def __init__(
        self,
        client: ApiClient,
        answers: Answers,
        *,
        first_pause_s: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._answers = answers
        self._first_pause_s = first_pause_s
        self._now = now

    def ask(self, key: str, request: Request, *, resume: bool) -> bytes:
        """Return the answer for a page, as document parse gives it at once.

        Args:
            key: hash_request of the request.
            request: that hands the page in.
            resume: take up what an earlier call handed in, if that is still known.

        Raises:
            EngineUnavailableError: Upstage failed to read it; the next try hands it in again.
                Retryable.
            PageTimeoutError: it is not read yet; a later call goes on waiting. Retryable.
        """
        pending = self._recall(key) if resume else None
        url = self._wait_for(pending.request_id, key) if pending else None
        if url is None:
            request_id = self._submit(key, request)
            url = self._wait_for(request_id, key)
            if url is None:
                self._forget(key)
                raise EngineUnavailableError(f"Upstage does not know its request {request_id}")
        return self._client.download(url)

    def _recall(self, key: str) -> Pending | None:
        kept = self._answers.find(_pending_key(key))
        try:
            pending = msgspec.json.decode(kept or b"", type=Pending)
        except msgspec.DecodeError:
            return None
        is_known = pending.request_id and self._now() - pending.submitted_at < _KEPT_S
        return pending if is_known else None

    def _keep(self, key: str, request_id: str) -> None:
        pending = Pending(request_id, self._now())
        self._answers.keep(_pending_key(key), msgspec.json.encode(pending))

    def _forget(self, key: str) -> None:
        self._keep(key, "")

    def _submit(self, key: str, request: Request) -> str:
        body = self._client.ask(request).content
        try:
            request_id = msgspec.json.decode(body, type=_Submitted).request_id
        except msgspec.DecodeError as error:
            raise UnparsableAnswerError(f"Upstage named no request id: {error}") from error
        self._keep(key, request_id)
        return request_id

    def _wait_for(self, request_id: str, key: str) -> str | None:
        """Return where the answer is, None where Upstage does not know the request any more."""
        pause_s, waited_s = self._first_pause_s, 0.0
        while waited_s < _LONGEST_S and self._client.wait(pause_s):
            progress = self._look(request_id)
            if progress is None:
                return None
            if progress.status == "failed":
                self._forget(key)
                why = progress.failure_message or "no reason given"
                raise EngineUnavailableError(f"Upstage could not read the page: {why}")
            if progress.status == "completed":
                return _find_url(progress)
            waited_s += pause_s
            pause_s = min(pause_s * _PAUSE_FACTOR, _LONGEST_PAUSE_S)
        error = PageTimeoutError(f"Upstage has not read the page yet (request {request_id})")
        error.exhausted = True
        raise error

    def _look(self, request_id: str) -> _Progress | None:
        from comic_ocr.engines.api.client import Request

        path = f"{_REQUESTS_PATH}/{request_id}"
        try:
            body = self._client.ask(Request(path, method="GET", may_be_gone=True)).content
        except EngineError:
            return None
        try:
            return msgspec.json.decode(body, type=_Progress)
        except msgspec.DecodeError as error:
            raise EngineUnavailableError(f"Upstage told no progress: {error}") from error


def _find_url(progress: _Progress) -> str:
    """Return the address of the first batch: a page is one."""
    for batch in sorted(progress.batches or [], key=lambda batch: batch.id):
        if batch.download_url:
            return batch.download_url
    raise EngineUnavailableError("Upstage has read the page, but does not say where the answer is")


def _pending_key(key: str) -> str:
    return f"{key}.pending"

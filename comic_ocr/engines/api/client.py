"""One client for every API: limits, retries and refusals in one place.

The transport is the OpenAI SDK's, without its own retries, which know neither the call's deadline
nor the other requests of this worker.
"""

from __future__ import annotations

import math
import random
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import openai

from comic_ocr.engines.api.connection import TimedClient
from comic_ocr.engines.api.options import ApiOptions
from comic_ocr.engines.api.replies import GO_ON, Reply, Trouble, find_trouble
from comic_ocr.engines.api.throttle import Throttle
from comic_ocr.engines.base import ApiSetup
from comic_ocr.errors import (
    ApiRefusedError,
    ComicOcrError,
    EngineError,
    EngineUnavailableError,
    PageError,
    PageTimeoutError,
    RateLimitedError,
)

#: Tries of a request that found no server or a failing one: about a minute of pauses.
_MAX_TRIES = 8
#: The same of a server that has never answered: it is not away but wrongly named.
_MAX_FIRST_TRIES = 5
#: Tries of a request that was not answered in time; each of them may have been paid.
_MAX_TIMEOUTS = 3
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 40.0
#: A page that is refused for the number of requests is given up after this long.
_LONGEST_LIMITED_S = 900.0
#: A request may outlast the time for reading by this; the worker closes within 45 s.
_OVERTIME_S = 25.0
_CONNECT_S = 10.0
_REJECTED = (400, 404, 422)
_OPENAI_HEADERS = ("OpenAI-Organization", "OpenAI-Project")


@dataclass(frozen=True)
class Request:
    """One request, relative to the client's base URL."""

    path: str
    method: str = "POST"
    json: Mapping[str, Any] | None = None
    #: what a server may not know: dropped one by one, last first, when it rejects the request
    extras: Sequence[Mapping[str, Any]] = ()
    form: Mapping[str, str] = field(default_factory=dict)
    #: field name → (file name, bytes, MIME type)
    files: Mapping[str, tuple[str, bytes, str]] = field(default_factory=dict)
    #: a 404 is about what the path names, such as a job that has expired, and not about the server
    may_be_gone: bool = False


class ApiClient:
    """Sends requests from many threads. One per engine, opened in its load()."""

    def __init__(self, base_url: str, key: str | None, options: ApiOptions, api: ApiSetup) -> None:
        self._key = key
        self._options = options
        self._api = api
        self.server = urlsplit(base_url).netloc
        self._throttle = Throttle(
            _share(options, api),
            options.requests_per_minute * api.share,
            seconds_left=self._seconds_left,
        )
        asking, self._plain = TimedClient(options.timeout_s), TimedClient(options.timeout_s)
        for connections in (asking, self._plain):
            weakref.finalize(self, connections.close)
        # The SDK takes them from the environment; they concern no server but OpenAI's.
        unsent: Any = {name: openai.Omit() for name in _OPENAI_HEADERS}
        self._sdk = openai.OpenAI(
            base_url=base_url,
            api_key=key or "none",
            max_retries=0,
            http_client=asking,
            default_headers=unsent,
        )
        self._extras_known: int | None = None
        self._refusal: ComicOcrError | None = None
        self._replied_at: float | None = None

    def _seconds_left(self) -> float:
        """Return seconds to wait for anything: none once the server has refused this job."""
        return 0.0 if self._refusal is not None else self._api.seconds_left()

    def ask(self, request: Request) -> Reply:
        """Return the answer to a request; what may pass is tried again until time is over.

        Raises:
            RateLimitedError, EngineUnavailableError, PageTimeoutError: it did not pass in time.
                Retryable, by a later call.
            EngineError: the server rejects this page. Not retryable.
            ApiRefusedError: the server takes no request: key, credit, model, address, quota.
        """
        try:
            return self._ask(request)
        except PageError as error:
            if self._refusal is None:
                raise
            # It was cut short because the server refuses this job, which is no fault of the page.
            raise self._refusal from error

    def _ask(self, request: Request) -> Reply:
        extras = self._extras_known if self._extras_known is not None else len(request.extras)
        while True:
            reply, trouble = self._ask_until_settled(request, extras)
            if trouble is None:
                # What has worked once goes on working: the next request starts with it.
                self._extras_known = extras
                return reply
            known = self._extras_known
            if extras and (known is None or extras > known) and trouble.status in _REJECTED:
                # What another request has learned meanwhile holds for this one, too.
                extras = extras - 1 if known is None else known
                continue
            if request.may_be_gone and trouble.status == 404:
                raise EngineError(trouble.error.message)
            if not isinstance(trouble.error, PageError):
                self._refusal = trouble.error
            raise trouble.error

    def _ask_until_settled(self, request: Request, extras: int) -> tuple[Reply, Trouble | None]:
        """Return a reply that trying again would not change."""
        started = time.monotonic()
        limited_since = math.inf
        tries = timeouts = 0
        while True:
            reply, trouble = self._ask_once(request, extras)
            if trouble is None or not trouble.error.retryable:
                return reply, trouble
            if isinstance(trouble.error, RateLimitedError):
                # Waiting for the first turn is no refusal of this page.
                limited_since = min(limited_since, time.monotonic())
                over = time.monotonic() - limited_since > _LONGEST_LIMITED_S
            else:
                tries += 1
                timeouts += isinstance(trouble.error, PageTimeoutError)
                most = _MAX_FIRST_TRIES if self._replied_at is None else _MAX_TRIES
                over = tries >= most or timeouts >= _MAX_TIMEOUTS
                if not over:
                    pause_s = min(_FIRST_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S)
                    jitter = random.uniform(0.5, 1.5)  # noqa: S311 (jitter)
                    self._throttle.wait(trouble.retry_after_s or pause_s * jitter)
            if over and not trouble.connected and (self._replied_at or 0.0) < started:
                return reply, self._find_silent(trouble)
            if over or self._seconds_left() <= 0:
                raise _mark_exhausted(trouble.error)

    def _find_silent(self, trouble: Trouble) -> Trouble:
        """Return the refusal of a server that nobody could connect to for a page's tries.

        The network is cut or the address is wrong, which is no fault of the page.
        """
        error = ApiRefusedError(
            f"{trouble.error.message}, and no other request was answered meanwhile",
            hint=f"check the network and the option base_url; {GO_ON}",
        )
        return Trouble(0, error)

    def _ask_once(self, request: Request, extras: int) -> tuple[Reply, Trouble | None]:
        with self._throttle.slot() as ticket:
            if self._refusal is not None:
                raise self._refusal
            try:
                reply = self._send(request, extras)
            except (openai.APIConnectionError, httpx2.TransportError) as error:
                return _NO_REPLY, self._explain_silence(error.__cause__ or error)
        self._replied_at = time.monotonic()
        trouble = find_trouble(reply, self.server, self._hide)
        if trouble is None:
            self._throttle.answered()
        elif isinstance(trouble.error, RateLimitedError):
            self._throttle.refused(ticket, trouble.retry_after_s)
        return reply, trouble

    def _explain_silence(self, cause: BaseException) -> Trouble:
        """Return what it means that no reply came."""
        connected = not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)
        if connected and isinstance(cause, httpx2.TimeoutException):
            return Trouble(0, PageTimeoutError(f"{self.server} did not answer"))
        text = f"{self.server} cannot be reached: {type(cause).__name__}: {cause}"
        return Trouble(0, EngineUnavailableError(self._hide(text)), connected=connected)

    def _send(self, request: Request, extras: int) -> Reply:
        timeout_s = min(self._options.timeout_s, max(self._seconds_left(), 0) + _OVERTIME_S)
        options: Any = {"timeout": httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))}
        kind = "multipart/form-data" if request.files else "application/json"
        options["headers"] = {"Content-Type": kind}
        try:
            response = self._call_sdk(request, extras, options)
        except openai.APIStatusError as error:
            response = error.response
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, response.content)

    def _call_sdk(self, request: Request, extras: int, options: Any) -> httpx2.Response:
        if request.method == "GET":
            return self._sdk.get(request.path, cast_to=httpx2.Response, options=options)
        if request.files:
            return self._sdk.post(
                request.path,
                cast_to=httpx2.Response,
                body=dict(request.form),
                files=list(request.files.items()),
                options=options,
            )
        body = dict(request.json or {})
        for extra in request.extras[:extras]:
            body.update(extra)
        return self._sdk.post(
            request.path,
            cast_to=httpx2.Response,
            content=msgspec.json.encode(body),
            options=options,
        )

    def download(self, url: str) -> bytes:
        """Return what lies at a URL that an answer named. The key is not sent there.

        Raises:
            EngineUnavailableError: it cannot be had now. Retryable.
        """
        try:
            response = self._plain.get(url)
            response.raise_for_status()
        except httpx2.HTTPError as error:
            where = urlsplit(url).netloc
            raise EngineUnavailableError(
                f"the answer cannot be fetched from {where}: {type(error).__name__}"
            ) from None
        return response.content

    def wait(self, seconds: float) -> bool:
        """Sleep, no longer than the call lasts; return whether there is time left."""
        self._throttle.wait(seconds)
        return self._seconds_left() > 0

    def _hide(self, text: str) -> str:
        """Return a text without the key: servers repeat what they were sent."""
        return text.replace(self._key, "***") if self._key else text


_NO_REPLY = Reply(0, {}, b"")


def _share(options: ApiOptions, api: ApiSetup) -> int:
    """Return requests that this worker may have in flight."""
    if not options.max_in_flight:
        return options.concurrency
    # Shares are fractions such as 1/49, of which 98 would be a little less than 2.
    share = int(options.max_in_flight * api.share + 1e-6)
    return min(options.concurrency, max(1, share))


def _mark_exhausted(error: ComicOcrError) -> ComicOcrError:
    if isinstance(error, PageError):
        error.exhausted = True
    return error

"""What an API's reply means: an answer, or which error of ours.

OpenRouter and others also put errors under HTTP 200, as `{"error": {"code", "message"}}` or inside
a choice (https://openrouter.ai/docs/api/reference/errors).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from comic_ocr.errors import (
    ApiRefusedError,
    ComicOcrError,
    EngineError,
    EngineUnavailableError,
    RateLimitedError,
)

_REFUSALS = {
    401: ("the key is missing or wrong", "check the key"),
    402: ("there is no credit left", "add credit"),
    403: ("the key may not do this", "check what the key is allowed to do"),
    404: ("there is no such model or address", "check the options model and base_url"),
}
#: OpenAI's 429 that is no matter of speed
_NO_QUOTA = "insufficient_quota"
#: A longer pause than this is no pause but the end of a quota.
_LONGEST_RETRY_AFTER_S = 900.0
_LEAST_ERROR_STATUS = 400


@dataclass(frozen=True)
class Reply:
    """A reply with HTTP status and headers; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def decode(self) -> Any:
        """Return the JSON of the body, None where it is none."""
        try:
            return msgspec.json.decode(self.content)
        except msgspec.DecodeError:
            return None


@dataclass(frozen=True)
class Trouble:
    """Why a reply is no answer. `status` is the HTTP status, or the code inside a 200."""

    status: int
    error: ComicOcrError
    retry_after_s: float | None = None
    #: False when no connection came about
    connected: bool = True


def find_trouble(
    reply: Reply, server: str, hide: Callable[[str], str] = lambda text: text
) -> Trouble | None:
    """Return what is wrong with a reply, None where it is an answer.

    Args:
        reply: as it came.
        server: name of the server, for messages.
        hide: returns the server's words without the key; they are cut after that, since half a
            key is not found.
    """
    body = reply.decode()
    found = _find_error(body)
    if reply.status < _LEAST_ERROR_STATUS and found is None:
        if isinstance(body, dict):
            return None
        return Trouble(502, EngineUnavailableError(f"{server} answered with something but JSON"))
    status = reply.status
    if status < _LEAST_ERROR_STATUS and found is not None:
        status = _read_code(found)
    retry_after_s = read_retry_after(reply.headers)
    text = f"{server} answered {status}: {_cut(hide(_find_words(found, reply.content)))}"
    return Trouble(status, _explain(status, text, found, retry_after_s), retry_after_s)


def _explain(
    status: int, text: str, found: Mapping[str, Any] | None, retry_after_s: float | None
) -> ComicOcrError:
    if status == 403 and _was_moderated(found):
        return EngineError(text)
    if status == 429 and found is not None and found.get("code") == _NO_QUOTA:
        status = 402
    if status in _REFUSALS:
        meaning, hint = _REFUSALS[status]
        return ApiRefusedError(f"{text} ({meaning})", hint=f"{hint}; {GO_ON}")
    may_pass = status in (408, 409, 429) or status >= 500
    if may_pass and (retry_after_s or 0.0) > _LONGEST_RETRY_AFTER_S:
        return ApiRefusedError(
            f"{text} (it takes no request for the next {(retry_after_s or 0.0) / 60:.0f} minutes)",
            hint=f"wait, or use another key or server; {GO_ON}",
        )
    if status == 429:
        return RateLimitedError(text)
    if may_pass:
        return EngineUnavailableError(text)
    return EngineError(text)


GO_ON = "what is done is kept: run the same command again to go on"


def _find_error(body: Any) -> Mapping[str, Any] | None:
    """Return the error object of a body, or of its first choice."""
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for holder in (body, first):
        error = holder.get("error") if isinstance(holder, dict) else None
        if error:
            return error if isinstance(error, dict) else {"message": str(error)}
    return None


def _read_code(error: Mapping[str, Any]) -> int:
    """Return the status that an error under HTTP 200 stands for; a server's fault by default."""
    code = error.get("code")
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code < 600 else 502


def _was_moderated(error: Mapping[str, Any] | None) -> bool:
    """Return whether a 403 is about this page's content and not about the key."""
    metadata = error.get("metadata") if error else None
    return isinstance(metadata, dict) and bool(metadata.get("reasons"))


def _find_words(error: Mapping[str, Any] | None, content: bytes) -> str:
    """Return what the server says: the error's message, else all that it sent."""
    message = error.get("message") if error else None
    return str(message) if message else content.decode(errors="replace")


def _cut(words: str) -> str:
    return " ".join(words.split())[:300] or "no message"


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return seconds of a Retry-After header: a number or an HTTP date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())

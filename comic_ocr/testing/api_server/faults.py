"""Faults to order: which request fails, and how that looks in each API's own format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from comic_ocr.testing.api_server.truth import RefusedError

#: faults in what is answered under HTTP 200; any status from 400 to 599 is a fault too
BODY_FAULTS = (
    "error_200",
    "choice_error",
    "truncated",
    "empty",
    "repeat",
    "garbage",
    "hang",
    "cut",
    "slow",
    "failed",
)
_MODERATED = "403_moderated"
_MESSAGES = {
    400: "Bad request",
    401: "Invalid credentials",
    402: "Insufficient credits",
    403: "Forbidden",
    404: "Model not found",
    408: "Request timed out",
    429: "Rate limit exceeded",
    500: "Internal server error",
    502: "Provider returned error",
    503: "No provider is available",
}
_UPSTAGE_CODES = {
    400: "invalid_request_body",
    401: "invalid_api_key",
    402: "insufficient_credit",
    403: "forbidden",
    404: "not_found",
    413: "request_entity_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When something goes wrong, and what. All conditions that are given must hold.

    Requests that ask for a page are counted from 1, since the plan was ordered; with `sha`, those
    for that image. So `{"sha": "*", "first": 1, "do": "429"}` refuses each image once.
    """

    #: a status such as `429`, `403_moderated`, or one of BODY_FAULTS. `slow` answers well, late;
    #: `failed` fails an asynchronous request, and is 500 elsewhere; `hang` never answers
    do: str
    every: int | None = None
    first: int | None = None
    after: int | None = None
    #: sha256 of an image; `*` for each image by itself
    sha: str | None = None
    #: seconds, for the header of that name
    retry_after: float | None = None
    #: of `slow`
    delay_s: float = 0.0
    #: text to answer instead of JSON, as a gateway in front of the API does
    text: str | None = None

    def __post_init__(self) -> None:
        if not (self.do in BODY_FAULTS or self.status):
            raise ValueError(f"unknown fault {self.do!r}: a status, {', '.join(BODY_FAULTS)}")
        if self.every is not None and self.every < 1:
            raise ValueError("every counts from 1")

    @property
    def status(self) -> int | None:
        """The HTTP status that it answers with, None where it answers otherwise."""
        code = self.do.removesuffix("_moderated") if self.do == _MODERATED else self.do
        return int(code) if code.isdecimal() and 400 <= int(code) < 600 else None

    def fits(self, turn: int) -> bool:
        """Return whether the request with that number is to fail."""
        return (
            (self.every is None or turn % self.every == 0)
            and (self.first is None or turn <= self.first)
            and (self.after is None or turn > self.after)
        )


class FaultPlan:
    """Rules, and how many requests they have seen."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules
        self._turns: Counter[str] = Counter()
        self._turn = 0

    def next_rule(self, sha: str) -> Rule | None:
        """Return the first rule that fits one more request for that image."""
        self._turn += 1
        self._turns[sha] += 1
        for rule in self._rules:
            if rule.sha not in (None, "*", sha):
                continue
            if rule.fits(self._turn if rule.sha is None else self._turns[sha]):
                return rule
        return None

    def restart(self) -> None:
        """Count from 1 again."""
        self._turns.clear()
        self._turn = 0


def describe_fault(rule: Rule, style: str, model: str) -> dict[str, Any]:
    """Return the error that a rule orders, as JSON in the style of an API."""
    status = rule.status or 502
    provider = {"provider_name": "Loopback"}
    metadata: dict[str, Any] = {}
    if rule.do == _MODERATED:
        flagged = {"reasons": ["violence"], "flagged_input": "…", "model_slug": model}
        metadata = provider | flagged
    elif status == 429:
        metadata = provider | {"raw": f"{model} is temporarily rate-limited upstream"}
    elif status >= 500:
        metadata = provider | {"raw": "upstream connect error"}
    return error_body(style, status, _MESSAGES.get(status, "Error"), metadata)


def refuse(error: RefusedError, style: str) -> dict[str, Any]:
    """Return why a request was not taken, as JSON in the style of an API."""
    return error_body(error.style or style, error.status, error.message)


def error_body(
    style: str,
    status: int,
    message: str,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an error as `openrouter`, `vllm` or `upstage` words it.

    https://openrouter.ai/docs/api/reference/errors-and-debugging,
    https://console.upstage.ai/docs/resources/error-codes; vLLM: ErrorResponse of its OpenAI server.
    """
    error: dict[str, Any] = {"message": message}
    if style == "openrouter":
        error |= {"code": status} | ({"metadata": dict(metadata)} if metadata else {})
    elif style == "vllm":
        kind = {400: "BadRequestError", 404: "NotFoundError"}.get(status, "InternalServerError")
        error |= {"type": kind, "param": None, "code": status}
    else:
        kind = "invalid_request_error" if status < 500 else "server_error"
        error |= {
            "type": kind,
            "param": "",
            "code": _UPSTAGE_CODES.get(status, "internal_server_error"),
        }
    return {"error": error}

"""What is used of a chat completion (https://platform.openai.com/docs/api-reference/chat).

Servers differ in what is around the text: tokens and prices are taken where they can be read.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import msgspec

from comic_ocr.engines.chat.options import ChatOptions
from comic_ocr.errors import UnparsableAnswerError
from comic_ocr.page import Usage


class _Part(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    #: in parts from some servers
    content: str | list[_Part] | None = None


class _Token(msgspec.Struct):
    token: str
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None


class _Bill(msgspec.Struct):
    model: Any = None
    #: prompt_tokens, completion_tokens; from OpenRouter cost, in dollars
    usage: Any = None


class _Body(_Bill, kw_only=True):
    choices: list[_Choice]


class Completion(msgspec.Struct, frozen=True):
    """The text of an answer, how it ended, its tokens with log probabilities, and its price."""

    content: str
    finish_reason: str | None
    tokens: list[tuple[str, float]]
    usage: Usage


def read_completion(body: bytes, options: ChatOptions) -> Completion:
    """Return a completion from a reply's body.

    Raises:
        UnparsableAnswerError: it is none; `spent` says what it cost. Retryable.
    """
    try:
        completion = msgspec.json.decode(body, type=_Body)
        choice = completion.choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        final = UnparsableAnswerError(f"the answer is no chat completion: {error}")
        with suppress(msgspec.DecodeError):
            bill = msgspec.json.decode(body, type=_Bill)
            final.spent = msgspec.structs.asdict(_find_usage(bill, options))
        raise final from error
    return Completion(
        content=_join(choice.message.content),
        finish_reason=choice.finish_reason,
        tokens=_read_tokens(choice.logprobs),
        usage=_find_usage(completion, options),
    )


def _join(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text for part in content)
    return content or ""


def _read_tokens(logprobs: Any) -> list[tuple[str, float]]:
    """Return tokens with their log probabilities, none where they are not in OpenAI's form."""
    try:
        found = msgspec.convert(logprobs, _Logprobs | None)
    except msgspec.ValidationError:
        return []
    return [(token.token, token.logprob) for token in (found and found.content) or []]


def _find_usage(bill: _Bill, options: ChatOptions) -> Usage:
    read = _read_number(bill.usage, "prompt_tokens") or 0.0
    written = _read_number(bill.usage, "completion_tokens") or 0.0
    cost = _read_number(bill.usage, "cost")
    if cost is None:
        cost = (
            read * options.usd_per_million_input + written * options.usd_per_million_output
        ) / 1e6
    return Usage(
        input_tokens=int(read),
        output_tokens=int(written),
        cost_usd=cost,
        model=bill.model if isinstance(bill.model, str) else None,
    )


def _read_number(usage: Any, name: str) -> float | None:
    """Return a count or price, None where there is none."""
    value = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None

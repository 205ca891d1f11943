"""What is used of a chat completion (https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

import msgspec

from comic_ocr.engines.chat.options import ChatOptions
from comic_ocr.errors import UnparsableAnswerError
from comic_ocr.page import Usage


class _Message(msgspec.Struct):
    content: str | None = None


class _Token(msgspec.Struct):
    token: str
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _TokenUsage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    #: dollars, from OpenRouter
    cost: float | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: _TokenUsage | None = None


class Completion(msgspec.Struct, frozen=True):
    """The text of an answer, how it ended, its tokens with log probabilities, and its price."""

    content: str
    finish_reason: str | None
    tokens: list[tuple[str, float]]
    usage: Usage


def read_completion(body: bytes, options: ChatOptions) -> Completion:
    """Return a completion from a reply's body.

    Raises:
        UnparsableAnswerError: it is none. Retryable.
    """
    try:
        completion = msgspec.json.decode(body, type=_Body)
        choice = completion.choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise UnparsableAnswerError(f"the answer is no chat completion: {error}") from error
    logprobs = (choice.logprobs.content if choice.logprobs else None) or []
    return Completion(
        content=choice.message.content or "",
        finish_reason=choice.finish_reason,
        tokens=[(token.token, token.logprob) for token in logprobs],
        usage=_find_usage(completion, options),
    )


def _find_usage(completion: _Body, options: ChatOptions) -> Usage:
    tokens = completion.usage or _TokenUsage()
    cost = tokens.cost
    if cost is None:
        cost = (
            tokens.prompt_tokens * options.usd_per_million_input
            + tokens.completion_tokens * options.usd_per_million_output
        ) / 1e6
    return Usage(
        input_tokens=tokens.prompt_tokens,
        output_tokens=tokens.completion_tokens,
        cost_usd=cost,
        model=completion.model,
    )

"""What an answer says of its price, whatever it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from comic_ocr.errors import UnparsableAnswerError
from comic_ocr.page import Usage


class _Counts(msgspec.Struct):
    pages: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Body(msgspec.Struct, rename="camel"):
    model: str | None = None
    model_version: str | None = None
    num_billed_pages: int | None = None
    usage: _Counts | None = None


@dataclass(frozen=True)
class Bill:
    """What was charged for. `pages` is None where the answer does not count them."""

    pages: int | None
    model: str | None
    input_tokens: int = 0
    output_tokens: int = 0

    def charge(self, usd_per_page: float) -> Usage:
        """Return what the page cost. An answer that counts no pages is about the one sent."""
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=usd_per_page * (1 if self.pages is None else self.pages),
            model=self.model,
        )


def read_bill(body: bytes) -> Bill:
    """Return the bill of an answer.

    Raises:
        UnparsableAnswerError: it is no JSON object. Retryable.
    """
    try:
        answer = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError as error:
        raise UnparsableAnswerError(f"the answer is not one of Upstage's: {error}") from error
    counts = answer.usage or _Counts()
    return Bill(
        pages=answer.num_billed_pages if counts.pages is None else counts.pages,
        model=answer.model or answer.model_version,
        input_tokens=counts.prompt_tokens,
        output_tokens=counts.completion_tokens,
    )

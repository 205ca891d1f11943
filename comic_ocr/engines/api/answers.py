"""Answers that were paid, kept in the output's state, and those that were of no use.

_comic_ocr/answers/{first 2 digits}/{hash of the request}.json      the reply's body
_comic_ocr/rejected/{canonical_id}.json                             RejectedAnswers of a page
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

from comic_ocr.errors import PageError, SourceNotFoundError, StorageError
from comic_ocr.page import ANSWERS_PREFIX, REJECTED_PREFIX, Usage
from comic_ocr.storage import Store

T = TypeVar("T")
#: what a store raises that does not take an object
_NOT_WRITTEN = (StorageError, PageError)


class RejectedAnswer(msgspec.Struct, frozen=True):
    """An answer that was of no use, as the server gave it."""

    code: str
    message: str
    body: msgspec.Raw


@dataclass(frozen=True)
class PageAnswer:
    """What a page's request came to: the body, what was read from it, and what it cost."""

    body: bytes
    usage: Usage
    value: Any
    warnings: tuple[str, ...] = ()


class Answers:
    """Asks for answers that are not there yet."""

    def __init__(self, store: Store | None, mode: Literal["use", "refresh", "off"]) -> None:
        self._store = None if mode == "off" else store
        self._raw_store = store
        self._refresh = mode == "refresh"

    def find(self, key: str) -> bytes | None:
        """Return the kept body for a request, None where there is none."""
        if self._store is None or self._refresh:
            return None
        try:
            return self._store.get(_path(key))
        except SourceNotFoundError:
            return None

    def keep(self, key: str, body: bytes) -> None:
        """Keep a body that was of use."""
        if self._store is not None:
            self._store.put(_path(key), body, overwrite=True)

    def find_or_ask(
        self,
        key: str,
        ask: Callable[[int], bytes],
        read: Callable[[bytes], tuple[T, Usage]],
        *,
        tries: int,
        page_id: str,
    ) -> PageAnswer:
        """Return a usable answer, kept or new.

        Args:
            key: hash_request of the request.
            ask: sends the request; gets the number of the try, from 0.
            read: turns a body into what was asked for, and its price. Raises a PageError for one
                that is of no use, with `spent` set.
            tries: bodies asked for until a page is given up.
            page_id: the page's canonical id, for what is kept of useless answers.

        Raises:
            PageError: of `read`, for the last body; of `ask`. `spent` is what all tries cost.
        """
        kept = self.find(key)
        if kept is not None:
            # An earlier version may have made more of it than this one can.
            with suppress(PageError):
                value, usage = read(kept)
                return PageAnswer(kept, msgspec.structs.replace(usage, cached=True), value)
        rejected: list[RejectedAnswer] = []
        spent = Usage()
        while True:
            try:
                body = ask(len(rejected))
            except PageError as error:
                error.spent = msgspec.structs.asdict(spent)
                raise
            try:
                value, usage = read(body)
            except PageError as error:
                spent = add_usage(spent, error.spent)
                rejected.append(RejectedAnswer(error.code, error.message, _as_json(body)))
                if len(rejected) < tries and error.retryable:
                    continue
                raise self._give_up(error, rejected, spent, page_id) from None
            warnings = [f"an answer was of no use: {r.message}" for r in rejected]
            try:
                self.keep(key, body)
            except _NOT_WRITTEN as error:
                # It is paid, and the page JSON may be written all the same.
                warnings.append(f"the answer could not be kept: {error.message}")
            return PageAnswer(
                body, add_usage(usage, msgspec.structs.asdict(spent)), value, tuple(warnings)
            )

    def _give_up(
        self, error: PageError, rejected: list[RejectedAnswer], spent: Usage, page_id: str
    ) -> PageError:
        text = f"{error.message}, {len(rejected)} answers in all" if rejected[1:] else error.message
        if self._raw_store is not None:
            path = f"{REJECTED_PREFIX}/{page_id}.json"
            try:
                self._raw_store.put(path, msgspec.json.encode(rejected), overwrite=True)
                text += f"; kept as they came at {path}"
            except _NOT_WRITTEN as lost:
                text += f"; they could not be kept: {lost.message}"
        final = type(error)(text, hint=error.hint)
        final.exhausted = True
        final.spent = msgspec.structs.asdict(spent)
        return final


def _as_json(body: bytes) -> msgspec.Raw:
    """Return a body as a part of JSON: as it is, or as a string where it is no JSON."""
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError:
        body = msgspec.json.encode(body.decode(errors="replace"))
    return msgspec.Raw(body)


def _path(key: str) -> str:
    return f"{ANSWERS_PREFIX}/{key[:2]}/{key}.json"


def add_usage(usage: Usage, more: Mapping[str, Any]) -> Usage:
    """Return a usage with the tokens and price of another added."""
    names = ("input_tokens", "output_tokens", "cost_usd")
    return msgspec.structs.replace(
        usage, **{name: getattr(usage, name) + more.get(name, 0) for name in names}
    )


def hash_request(server: str, facts: Mapping[str, Any], image: bytes) -> str:
    """Return 64 hex digits that are equal for requests with equal answers.

    Args:
        server: base URL.
        facts: all that goes into the request besides the image: model, prompt, parameters.
        image: the bytes that are sent.
    """
    facts_json = msgspec.json.encode({"server": server, **facts}, order="deterministic")
    return hashlib.sha256(hashlib.sha256(image).digest() + facts_json).hexdigest()

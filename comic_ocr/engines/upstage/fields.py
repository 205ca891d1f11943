"""Answers of information extraction: named values, without places.

Formats: https://console.upstage.ai/api/information-extraction/prebuilt-extraction.md and
https://console.upstage.ai/api/information-extraction/universal-extraction.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from comic_ocr.engines.upstage.places import whole_page
from comic_ocr.errors import TruncatedAnswerError, UnparsableAnswerError
from comic_ocr.page import Region


class _Prebuilt(msgspec.Struct, rename="camel"):
    fields: list[dict[str, Any]]
    document_type: str | None = None
    confidence: float | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


def read_prebuilt(body: bytes, size: tuple[int, int]) -> list[Region]:
    """Return one region with a line `key: value` for each field; none where no field has a value.

    Args:
        body: of the answer.
        size: (width, height) of the page in pixels.

    Raises:
        UnparsableAnswerError: it is no such answer. Retryable.
    """
    try:
        answer = msgspec.json.decode(body, type=_Prebuilt)
    except msgspec.DecodeError as error:
        raise UnparsableAnswerError(f"the answer has no extracted fields: {error}") from error
    lines = list(_list_fields(answer.fields))
    metadata = {"box": "page", "label": answer.document_type, "fields": answer.fields}
    sure = answer.confidence
    known = sure is not None and 0 <= sure <= 1
    return _make_page(lines, size, metadata, sure if known else None)


def read_universal(body: bytes, size: tuple[int, int]) -> list[Region]:
    """Return one region with a line `key: value` for each value; none where all are empty.

    Keys of nested values are joined by dots, items of a list by their number from 0.

    Args:
        body: of the answer, a chat completion whose content is a JSON object.
        size: (width, height) of the page in pixels.

    Raises:
        TruncatedAnswerError: the object was cut off. Retryable.
        UnparsableAnswerError: there is none. Retryable.
    """
    try:
        choice = msgspec.json.decode(body, type=_Completion).choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise UnparsableAnswerError(f"the answer is no completion: {error}") from error
    if choice.finish_reason == "length":
        raise TruncatedAnswerError("the extracted fields were cut off at the limit of tokens")
    try:
        fields = msgspec.json.decode(choice.message.content or "", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UnparsableAnswerError(f"the extracted fields are not JSON: {error}") from error
    return _make_page(list(flatten_fields(fields)), size, {"box": "page", "fields": fields}, None)


def flatten_fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, value) of each value that is neither null nor empty, such as items.0.name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten_fields(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from flatten_fields(inner, f"{path}.{number}" if path else str(number))
    elif value is not None:
        text = value.strip() if isinstance(value, str) else msgspec.json.encode(value).decode()
        if text:
            yield path, text


def _list_fields(fields: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield (key, value) of fields with a value, those in groups in their place."""
    for field in fields:
        if not isinstance(field, dict):
            continue
        value = field.get("refinedValue")
        if value is None or value == "":
            value = field.get("value")
        if not isinstance(value, dict | list):
            yield from flatten_fields(value, str(field.get("key") or "field"))
        inner = field.get("properties")
        if isinstance(inner, list):
            yield from _list_fields(inner)


def _make_page(
    lines: Sequence[tuple[str, str]],
    size: tuple[int, int],
    metadata: dict[str, Any],
    confidence: float | None,
) -> list[Region]:
    if not lines:
        return []
    text = "\n".join(f"{key}: {value}" for key, value in lines)
    return [Region(text=text, bbox=whole_page(size), confidence=confidence, metadata=metadata)]

"""Answers of document parse: elements of the layout.

Format: https://console.upstage.ai/api/parse/document-parsing.md
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from comic_ocr.engines.upstage.markup import strip_html
from comic_ocr.engines.upstage.places import Point, place_corners, whole_page
from comic_ocr.errors import UnparsableAnswerError
from comic_ocr.page import Region

_MARKDOWN_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


class _Content(msgspec.Struct):
    text: str | None = None
    markdown: str | None = None
    html: str | None = None


class _Element(msgspec.Struct):
    id: int | str | None = None
    category: str | None = None
    content: _Content | None = None
    coordinates: list[Point] | None = None


class _Answer(msgspec.Struct):
    elements: list[_Element]


def read_elements(body: bytes, size: tuple[int, int]) -> list[Region]:
    """Return one region per element that has text, in the answer's order.

    The API gives no confidence. An element without coordinates gets the page's box, and says so.

    Args:
        body: of the answer.
        size: (width, height) of the page in pixels; coordinates are fractions of it.

    Raises:
        UnparsableAnswerError: it is no such answer. Retryable.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError as error:
        raise UnparsableAnswerError(f"the answer is no parsed document: {error}") from error
    regions = (_make_region(element, size) for element in answer.elements)
    return [region for region in regions if region is not None]


def _make_region(element: _Element, size: tuple[int, int]) -> Region | None:
    content = element.content or _Content()
    text = _find_text(content)
    if not text:
        return None
    metadata: dict[str, Any] = {"label": element.category, "id": element.id}
    if element.category == "table" and content.html:
        metadata["html"] = content.html
    place = place_corners(element.coordinates or [], (1.0, 1.0), size)
    if place is None:
        return Region(text=text, bbox=whole_page(size), metadata={**metadata, "box": "page"})
    return Region(text=text, bbox=place[0], polygon=place[1], metadata=metadata)


def _find_text(content: _Content) -> str:
    """Return the element's text, from whichever of its forms has any."""
    text = (content.text or "").strip()
    # A figure's Markdown is an image that no one can open.
    text = text or _MARKDOWN_IMAGE.sub("", content.markdown or "").strip()
    return text or strip_html(content.html or "")

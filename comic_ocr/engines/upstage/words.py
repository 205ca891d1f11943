"""Answers of document OCR: words, and the page's text with its line breaks.

Format: https://console.upstage.ai/api/parse/document-ocr.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from comic_ocr.engines.upstage.places import Point, place_corners, whole_page
from comic_ocr.errors import UnparsableAnswerError
from comic_ocr.geometry import BBox, Polygon, enclose_boxes
from comic_ocr.page import Region


class _Box(msgspec.Struct):
    vertices: list[Point] = []


class _Word(msgspec.Struct, rename="camel"):
    text: str = ""
    confidence: float | None = None
    bounding_box: _Box | None = None


class _Page(msgspec.Struct):
    words: list[_Word] = []
    text: str = ""
    width: float | None = None
    height: float | None = None


class _Answer(msgspec.Struct):
    pages: list[_Page]


@dataclass(frozen=True)
class Word:
    """A word, in page pixels."""

    text: str
    bbox: BBox
    confidence: float | None = None
    polygon: Polygon | None = None


def read_words(body: bytes, size: tuple[int, int]) -> list[Region]:
    """Return one region per line, its words in `metadata`.

    Lines are those of the page's text. Where that and the words do not say the same, a region is
    one word.

    Args:
        body: of the answer.
        size: (width, height) of the page in pixels. The answer names the size of the image that its
            vertices are about.

    Raises:
        UnparsableAnswerError: it is no such answer. Retryable.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError as error:
        raise UnparsableAnswerError(f"the answer is no page of words: {error}") from error
    regions: list[Region] = []
    for page in answer.pages:
        words = _place_words(page, size)
        lines = split_lines(page.text, words)
        if lines is None:
            regions += [_make_word(word) for word in words]
        else:
            regions += [_make_line(text, line) for text, line in lines]
    return regions


def split_lines(text: str, words: Sequence[Word]) -> list[tuple[str, list[Word]]] | None:
    """Return the lines of a text, each with its words; None where they do not go together.

    Args:
        text: lines of words, blanks between them as they may be.
        words: in the order of the text.
    """
    lines: list[tuple[str, list[Word]]] = []
    rest = list(reversed(words))
    for line in text.splitlines():
        wanted, taken, letters = "".join(line.split()), [], ""
        while rest and len(letters) < len(wanted):
            taken.append(rest.pop())
            letters += "".join(taken[-1].text.split())
        if letters != wanted:
            return None
        if taken:
            lines.append((" ".join(line.split()), taken))
    return None if rest else lines


def _place_words(page: _Page, size: tuple[int, int]) -> list[Word]:
    extent = (page.width or float(size[0]), page.height or float(size[1]))
    words = []
    for word in page.words:
        if not word.text.strip():
            continue
        box = word.bounding_box or _Box()
        bbox, polygon = place_corners(box.vertices, extent, size) or (whole_page(size), None)
        words.append(Word(word.text.strip(), bbox, _check_share(word.confidence), polygon))
    return words


def _check_share(confidence: float | None) -> float | None:
    """Return a confidence of 0-1; another number is none."""
    return round(confidence, 4) if confidence is not None and 0 <= confidence <= 1 else None


def _make_word(word: Word) -> Region:
    return Region(text=word.text, bbox=word.bbox, confidence=word.confidence, polygon=word.polygon)


def _make_line(text: str, words: Sequence[Word]) -> Region:
    known = [(w.confidence, len(w.text)) for w in words if w.confidence is not None]
    letters = sum(length for _, length in known)
    return Region(
        text=text,
        bbox=enclose_boxes([word.bbox for word in words]),
        confidence=round(sum(c * n for c, n in known) / letters, 4) if letters else None,
        polygon=words[0].polygon if len(words) == 1 else None,
        metadata={
            "words": [
                {"text": word.text, "bbox": word.bbox, "confidence": word.confidence}
                for word in words
            ]
        },
    )

"""What the columns of a manifest mean, and how their cells are read.

| column | |
|---|---|
| canonical_id | required: unique, names the page's result |
| absolute_image_path, image_path, uri, path | required, one of them: where the bytes are |
| member | name inside an archive |
| page | page of a document, counted from 0 |
| method, lang | what reads it; language codes |
| direction | ltr or rtl |
| width, height | pixels |

Names are compared without blanks around them and without case. A column without a name (the index
that data frames write) is left out; any other column rides along as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from comic_ocr.manifest.formats import Columns

Parser = Callable[[str], Any]

ID = "canonical_id"
SOURCE_NAMES = ("absolute_image_path", "image_path", "uri", "path")
_OPTIONAL = ("member", "page", "method", "lang", "direction", "width", "height")
_FIELDS = {ID: ID, **dict.fromkeys(SOURCE_NAMES, "source"), **{name: name for name in _OPTIONAL}}

# nine digits fit every JSON reader; '.0' is what data frames make of whole numbers
_WHOLE_NUMBER = re.compile(r"(\d{1,9})(\.0*)?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the cells of a row are. Positions are None where the column is missing."""

    columns: Columns
    #: the columns' names, safe to print
    labels: Columns
    id_at: int | None
    source_at: int | None
    #: (field of PageRef, position, how to read it)
    optional: tuple[tuple[str, int, Parser], ...]
    #: (name, position) of the columns that ride along
    extra: tuple[tuple[str, int], ...]
    #: (column, message)
    problems: tuple[tuple[str, str], ...]


def find_layout(columns: Columns, parsers: Mapping[str, Parser]) -> Layout:
    """Return what each column is, with what is wrong about them."""
    labels = tuple(printable(name.strip()) for name in columns)
    positions: dict[str, int] = {}
    extra: dict[str, int] = {}
    problems: list[tuple[str, str]] = []
    for at, column in enumerate(columns):
        name = column.strip()
        field = _FIELDS.get(name.lower())
        first = (positions if field else extra).setdefault(field or name, at)
        if not name:
            continue
        if first != at:
            problems.append((labels[at], f'means the same as column "{labels[first]}"; keep one'))
        if is_badly_encoded(name):
            problems.append((labels[at], "the column's name is not valid UTF-8"))
    extra.pop("", None)
    return Layout(
        columns=columns,
        labels=labels,
        id_at=positions.get(ID),
        source_at=positions.get("source"),
        optional=tuple((n, positions[n], parse) for n, parse in parsers.items() if n in positions),
        extra=tuple(extra.items()),
        problems=(*_missing(positions, labels), *problems),
    )


def _missing(positions: dict[str, int], labels: Columns) -> list[tuple[str, str]]:
    have = f"the columns are: {', '.join(labels)}" if labels else "there are no columns at all"
    problems = []
    if ID not in positions:
        problems.append((ID, f"is missing; {have}"))
    if "source" not in positions:
        others = ", ".join(SOURCE_NAMES[1:])
        problems.append((SOURCE_NAMES[0], f"is missing (as are {others}); {have}"))
    return problems


def cell_parsers(known_methods: Iterable[str] | None = None) -> dict[str, Parser]:
    """Return how each optional field is read from text; a parser raises ValueError, saying why.

    Parsers remember answers, for these cells repeat: it doubles the speed of a whole manifest.

    Args:
        known_methods: what the `method` column may say; None lets it say anything.
    """
    known = None if known_methods is None else sorted(known_methods)

    def parse_method(text: str) -> str | None:
        method = text.strip()
        if known is not None and method and method not in known:
            raise ValueError(
                f'"{printable(method)}" is not a known method; known are: {", ".join(known)}'
            )
        return method or None

    return {
        "member": _parse_name,
        "page": _parse_whole_number,
        "method": lru_cache(maxsize=64)(parse_method),
        "lang": _parse_word,
        "direction": _parse_direction,
        "width": _parse_whole_number,
        "height": _parse_whole_number,
    }


def _parse_name(text: str) -> str | None:
    return text if text.strip() else None


@lru_cache(maxsize=256)
def _parse_word(text: str) -> str | None:
    return text.strip() or None


@lru_cache(maxsize=64)
def _parse_direction(text: str) -> str | None:
    direction = text.strip().lower()
    if direction not in ("ltr", "rtl", ""):
        raise ValueError(f'"{printable(text)}" is not a direction; write ltr or rtl')
    return direction or None


@lru_cache(maxsize=4096)
def _parse_whole_number(text: str) -> int | None:
    digits = text.strip()
    if not digits:
        return None
    match = _WHOLE_NUMBER.fullmatch(digits)
    if match is None:
        raise ValueError(f'"{printable(text)}" is not a whole number from 0 to 999999999')
    return int(match[1])


def text_of(value: Any) -> str:
    """Return a value of JSON or Parquet as text, empty where there is none."""
    if isinstance(value, str):
        return value
    if value is None or value != value:  # noqa: PLR0124 - NaN is how data frames say "none"
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def is_badly_encoded(text: str) -> bool:
    """Return whether bytes that are not UTF-8 came into this text (see `formats`)."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def printable(text: str, limit: int = 80) -> str:
    """Return text for a message: one line, shortened, with what cannot be printed escaped."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:limit])
    return shown if len(text) <= limit else shown + "…"

"""JSON answers: lines with their boxes, as chat models really write them.

What is seen on real runs: code fences, text around the JSON, bold marks, bad escapes, unescaped
quotes, None and NaN, missing brackets. An answer that does not parse is cut into its entries, so
that a broken one does not take its neighbours along.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from json_repair import loads as repair_json

from comic_ocr.engines.chat.boxes import Frame, read_corners
from comic_ocr.geometry import BBox
from comic_ocr.page import Region

#: metadata of a region whose box is the whole page, for want of its own
PAGE_BOX = {"box": "page"}

_TEXT_KEYS = ("text_content", "text", "content", "label")
#: Google's models write `box_2d`, top first and 0-1000
_GOOGLE_BOX = "box_2d"
_BOX_KEYS = ("bbox_2d", "bbox", _GOOGLE_BOX)
_KNOWN = "|".join((*_TEXT_KEYS, *_BOX_KEYS))

#: where a list of entries or an entry can begin; prose in brackets does not look so
_START = re.compile(r"""\[(?=\s*(?:[\[{\]]|$))|\{(?=\s*\**["']?\w+["']?\**\s*:)""")
#: where an entry begins in broken JSON, perhaps without its brace
_ENTRY = re.compile(
    rf"""\{{\s*\**(?:(["'])\w{{1,40}}\1|(?:{_KNOWN}))\**\s*:"""
    rf"""|(?<=\}})\s*,\s*(?="(?:{_KNOWN})"\s*:)"""
)
_KEY = re.compile(rf'"(?:{_KNOWN})"\s*:')
#: an entry's text up to the last quote before its closing brace, or before a known key
_TEXT = re.compile(
    rf'("(?:{"|".join(_TEXT_KEYS)})"\s*:\s*")(.*?)(?="\s*\}}(?:\s*\]|[,}}\]\s]*$)|"\s*,\s*"(?:{_KNOWN})"\s*:)',
    re.DOTALL,
)
#: a text somewhere in an entry
_VALUE = re.compile(r':[\s}*,]*"[^"]*\w')
_BARE_QUOTE = re.compile(r'(\\.)|"', re.DOTALL)
_BAD_ESCAPE = re.compile(r'\\(\\|["/bfnrt]|u[0-9a-fA-F]{4})?')
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_SEPARATORS = re.compile(r"[\s,;\]}]*")


def looks_like_lines(content: str) -> bool:
    """Return whether an answer in an unknown form is JSON with boxes, or an empty JSON list."""
    start = _START.search(content)
    if start is None:
        return False
    boxed = re.search(rf'["\']?(?:{"|".join(_BOX_KEYS)})["\']?\s*:', content)
    return boxed is not None or _strip_fence(content) == "[]"


def read_lines(content: str, frame: Frame) -> list[Region] | None:
    """Return the lines of a JSON answer in its order; None where nothing in it can be used.

    An empty list in the answer is a page without text: []. A line without a usable box has that
    of the page, with metadata {"box": "page"}. Lines without text are left out.
    """
    entries = _find_entries(content)
    if entries is None:
        return None
    regions = []
    for entry in entries:
        key, text = _read_text(entry) or ("", "")
        if text:
            regions.append(_make_region(text, key, entry, frame))
    return regions


def _make_region(text: str, key: str, entry: dict[str, Any], frame: Frame) -> Region:
    metadata = {}
    label = entry.get("label")
    if key != "label" and isinstance(label, str) and label:
        metadata["label"] = _pair_surrogates(label)
    box = _place_box(entry, frame)
    if box is None:
        return Region(text=text, bbox=frame.whole, metadata=metadata | PAGE_BOX)
    return Region(text=text, bbox=box, metadata=metadata)


def _place_box(entry: dict[str, Any], frame: Frame) -> BBox | None:
    key = next((key for key in _BOX_KEYS if key in entry), None)
    corners = read_corners(entry[key]) if key else None
    if corners is None:
        return None
    if key == _GOOGLE_BOX and frame.scale == "none":
        top, left, bottom, right = corners
        return Frame(frame.size, "thousand").place((left, top, right, bottom))
    return frame.place(corners)


def _read_text(entry: dict[str, Any]) -> tuple[str, str] | None:
    """Return (key, text) of an entry, None where it has none.

    An entry with a box may have its text under any key.
    """
    boxed = any(key in entry for key in _BOX_KEYS)
    others = [key for key in entry if isinstance(entry[key], str) and key not in _BOX_KEYS]
    for key in (*_TEXT_KEYS, *(others if boxed else ())):
        value = entry.get(key, [])
        if isinstance(value, list | dict):
            continue
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return key, ""
        text = _pair_surrogates(str(value)).strip()
        bold = _BOLD.fullmatch(text)
        return key, bold[1].strip() if bold else text
    return None


def _pair_surrogates(text: str) -> str:
    """Return the text with halves of characters replaced; alone they cannot be written."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _find_entries(content: str) -> list[dict[str, Any]] | None:
    """Return the entries of an answer, [] where it says that there are none, else None."""
    content = _strip_fence(content)
    start = _START.search(content)
    if start is None:
        return [] if content == '""' else None
    values, rest = _parse(content[start.start() :])
    if values is None or _KEY.search(content, 0, start.start()):
        return _repair_entries(content)
    entries = list(_walk(values))
    # In the midst of prose, brackets need not mean an empty list.
    alone = content.startswith(("[]", "{")) or not re.search(r"\w", rest)
    return entries if entries or (alone and all(map(_is_empty, values))) else None


def _strip_fence(content: str) -> str:
    """Return what stands in the answer's code fence, or all of it where there is none."""
    _, fence, inside = content.partition("```")
    if not fence or _START.search(content, 0, len(content) - len(inside)):
        inside = content
    # A fence that JSON follows is a part of some text.
    end = inside.rfind("```")
    if end >= 0 and not re.search(r"[}\]]", inside[end:]):
        inside = inside[:end]
    return re.sub(r"^json\b", "", inside).strip()


def _parse(text: str) -> tuple[list[Any] | None, str]:
    """Return the JSON values that the text begins with, and what follows them.

    There are none (None) where the JSON is broken or entries would be left in what follows.
    """
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_split_pairs)
    values: list[Any] = []
    at = 0
    while at < len(text) and text[at] in "[{":
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None, text
        values.append(value)
        separators = _SEPARATORS.match(text, at)
        at = separators.end() if separators else at
    return (None if _KEY.search(text, at) else values), text[at:]


def _split_pairs(pairs: list[tuple[str, Any]]) -> Any:
    """Return an object, or a list of them where a brace is missing between two."""
    entries: list[dict[str, Any]] = [{}]
    for key, value in pairs:
        if key in entries[-1]:
            entries.append({})
        entries[-1][key] = value
    return entries if len(entries) > 1 else entries[0]


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the entries in a JSON value, however deep, in its order."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict):
            if _read_text(item) is not None and not _holds_entries(item):
                yield item
            else:
                waiting.extend(reversed(item.values()))


def _holds_entries(item: dict[str, Any]) -> bool:
    """Return whether an object is around entries, such as {"label": "page", "lines": [...]}."""
    return any(isinstance(v, list) and v and isinstance(v[0], dict) for v in item.values())


def _is_empty(value: Any) -> bool:
    """Return whether a JSON value says that there are no lines: [] or {"lines": []}."""
    if isinstance(value, dict):
        return bool(value) and all(inner == [] for inner in value.values())
    return isinstance(value, list) and not value


def _repair_entries(text: str) -> list[dict[str, Any]] | None:
    """Return the entries of broken JSON, each repaired by itself; None where text would be lost."""
    starts = [match.start() for match in _ENTRY.finditer(text)]
    first = _KEY.search(text)
    if first and first.start() < min(starts, default=len(text)):
        starts.insert(0, first.start())
    entries = []
    for start, end in pairwise([*starts, len(text)]):
        chunk = text[start:end].lstrip(", \t\r\n")
        found = _repair_entry(chunk if chunk.startswith("{") else "{" + chunk)
        if _VALUE.search(chunk) and not any(map(_has_text, found)):
            return None
        entries += found
    # What a repair leaves without any text is no word of the model's on an empty page.
    return entries if any(map(_has_text, entries)) else None


def _has_text(entry: dict[str, Any]) -> bool:
    return bool((_read_text(entry) or ("", ""))[1])


def _repair_entry(chunk: str) -> list[dict[str, Any]]:
    """Return what an entry's text holds: one entry, more where braces are missing, or none."""
    values, _ = _parse(chunk)
    if values is None:
        chunk = _TEXT.sub(lambda match: match[1] + _escape(match[2]), chunk)
        values, _ = _parse(chunk)
    if values is None:
        values = [_repair(chunk)]
    return list(_walk(values))


def _repair(chunk: str) -> Any:
    """Return what json_repair makes of an entry, None where it gives up."""
    try:
        value = repair_json(chunk, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and re.search(r":\s*NaN\b", chunk):
        # It makes a text of a bare NaN.
        return {key: None if inner == "NaN" else inner for key, inner in value.items()}
    return value


def _escape(text: str) -> str:
    """Return the inside of a JSON string with bare quotes and stray backslashes escaped."""
    text = _BARE_QUOTE.sub(lambda match: match[1] or '\\"', text)
    return _BAD_ESCAPE.sub(lambda match: match[0] if match[1] else r"\\", text)

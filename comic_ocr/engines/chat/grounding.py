"""Answers with DeepSeek-OCR's tags: `<|ref|>label<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>text`.

Asked for Markdown, the model names the kind of a block and lets its text follow; asked for OCR, the
label is the text itself and nothing follows.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from comic_ocr.engines.chat.boxes import Corners, Frame, read_corners
from comic_ocr.engines.chat.lines import PAGE_BOX
from comic_ocr.geometry import BBox, enclose_boxes, round_box
from comic_ocr.page import Region

_REF, _REF_END, _DET, _DET_END = "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"
_TAGS = re.compile(r"<\|/?(?:ref|det)\|>")
#: what is left of boxes whose closing tag is missing
_OPEN_BOXES = re.compile(r"[\s\[\]\d.,-]*")
#: a line without its tags
_BARE = re.compile(
    r"^([^\n\[]*)(\[\[[\d\s,.-]{7,80}\](?:\s*,\s*\[[\d\s,.-]{7,80}\]){0,99}\])", re.MULTILINE
)
#: how the model names kinds of blocks
_KIND_NAMES = (
    "text title sub_title image image_caption table table_caption table_footnote figure "
    "figure_title figure_caption chart equation formula list reference header footer page_number "
    "page_footnote code seal"
)
_KINDS = frozenset(_KIND_NAMES.split())
#: the shape of its names, for those that are not listed
_KIND = re.compile(r"[a-z]+(?:_[a-z]+)*")


class _Part(NamedTuple):
    label: str
    boxes: list[Any] | None
    text: str


def has_tags(content: str) -> bool:
    """Return whether the answer holds any of the tags."""
    return _TAGS.search(content) is not None


def restore_tags(content: str) -> str:
    """Return the answer with the tags that some servers leave out: `label[[x1, y1, x2, y2]]`."""
    if has_tags(content):
        return content
    return _BARE.sub(rf"{_REF}\1{_REF_END}{_DET}\2{_DET_END}", content)


def read_grounding(content: str, frame: Frame) -> list[Region] | None:
    """Return the tagged parts of an answer in its order, None where nothing in it can be used.

    Parts without text, such as images, are left out; so a page that has nothing else is [].

    The kind of a part is in metadata `label`; where it has several boxes, the region's is around
    them and metadata `boxes` has each. Where the boxes cannot be read it is that of the page, with
    metadata {"box": "page"}; so it is for text outside of all tags.
    """
    before, *pieces = content.split(_REF)
    parts = [_read_part(piece) for piece in pieces]
    kinds = any(part.text for part in parts) or all(part.label in _KINDS for part in parts)
    regions = [_make_region(part, frame, kinds=kinds) for part in parts]
    outside = _TAGS.sub("", before).strip()
    if outside:
        regions.insert(0, Region(text=outside, bbox=frame.whole, metadata=dict(PAGE_BOX)))
    named = any(part.label for part in parts)
    regions = [region for region in regions if region.text]
    return regions if regions or named else None


def _read_part(piece: str) -> _Part:
    """Return label, boxes and text of what stands between one <|ref|> and the next."""
    head, det, tail = piece.partition(_DET)
    label, closed, rest = head.partition(_REF_END)
    if not det:
        return _Part(label.strip(), None, rest.strip())
    boxes, ended, text = tail.partition(_DET_END)
    if not ended:
        found = _OPEN_BOXES.match(tail)
        cut = found.end() if found else 0
        boxes, text = tail[:cut], tail[cut:]
    text = _TAGS.sub("", rest + text if closed else text).strip()
    return _Part(_TAGS.sub("", label).strip(), _read_boxes(boxes), text)


def _read_boxes(text: str) -> list[Any] | None:
    """Return the boxes as JSON has them, None where it is no list of boxes."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not value:
        return None
    return value if isinstance(value[0], list) else [value]


def _make_region(part: _Part, frame: Frame, *, kinds: bool) -> Region:
    """Return a part as a region; its text is empty where there is none.

    Args:
        part: what the answer says.
        frame: the page.
        kinds: labels name kinds in this answer, which are no text.
    """
    metadata: dict[str, Any] = {}
    if kinds and (part.label in _KINDS or (part.text and _KIND.fullmatch(part.label))):
        text = part.text
        metadata["label"] = part.label
    else:
        text = "\n".join(filter(None, (part.label, part.text)))
    boxes = _place_boxes(part.boxes or [], frame)
    if not boxes:
        return Region(text=text, bbox=frame.whole, metadata=metadata | PAGE_BOX)
    if len(boxes) > 1:
        metadata["boxes"] = [list(box) for box in boxes]
    return Region(text=text, bbox=round_box(enclose_boxes(boxes)), metadata=metadata)


def _place_boxes(values: list[Any], frame: Frame) -> list[BBox]:
    corners: list[Corners | None] = [read_corners(value) for value in values]
    placed = [frame.place(corner) for corner in corners if corner is not None]
    return [box for box in placed if box is not None]

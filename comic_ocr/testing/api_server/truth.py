"""What is on the pages that the API server is asked about."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from PIL import Image

from comic_ocr.geometry import BBox

_REPEATS = 400


class TruthLine(msgspec.Struct, frozen=True):
    """A line of text, and where it is in pixels of its page."""

    text: str
    bbox: BBox


class TruthPage(msgspec.Struct, frozen=True):
    """What is on a page."""

    width: int
    height: int
    lines: tuple[TruthLine, ...] = ()

    def corners(self, line: TruthLine, x_span: float, y_span: float) -> list[float]:
        """Return left, top, right and bottom of a line on a page of that width and height."""
        x, y, w, h = line.bbox
        x_scale, y_scale = x_span / self.width, y_span / self.height
        return [x * x_scale, y * y_scale, (x + w) * x_scale, (y + h) * y_scale]


#: sha256 of an image file → its page; `*` is any image that has no page of its own
Truths = Mapping[str, TruthPage]


class SentImage(NamedTuple):
    """An image as a request brought it."""

    sha256: str
    width: int
    height: int
    mime: str
    size_bytes: int


class RefusedError(Exception):
    """A request that the real server would not take either."""

    def __init__(self, status: int, message: str, *, style: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        #: of the error, where it is not that of the API
        self.style = style


class Answer(NamedTuple):
    """A body to send, and the price that it names."""

    body: bytes
    cost_usd: float = 0.0


def read_truths(folder: str | os.PathLike[str]) -> dict[str, TruthPage]:
    """Return the pages of a folder that `draw_comic` filled, by the sha256 of the image file."""
    truths = {}
    for path in sorted(Path(folder).glob("*.json")):
        drawn = json.loads(path.read_text(encoding="utf-8"))
        lines = (line for block in drawn["blocks"] for line in block["lines"])
        image = path.with_name(drawn["image"]).read_bytes()
        truths[hashlib.sha256(image).hexdigest()] = TruthPage(
            drawn["width"],
            drawn["height"],
            tuple(TruthLine(line["text"], tuple(line["box"])) for line in lines),
        )
    return truths


def read_image(data: bytes, mime: str, refused_as: int) -> SentImage:
    """Return what is known of image bytes.

    Raises:
        RefusedError: they are no image that Pillow knows; with the status given.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except OSError:
        raise RefusedError(refused_as, "unsupported document format") from None
    return SentImage(hashlib.sha256(data).hexdigest(), width, height, mime, len(data))


def find_page(truths: Truths, image: SentImage) -> TruthPage:
    """Return the page that an image shows; one without text for an image that is not known."""
    page = truths.get(image.sha256) or truths.get("*")
    return page or TruthPage(image.width, image.height)


def repeat_line(page: TruthPage) -> TruthPage:
    """Return the page as a model reads it that cannot stop saying its last line."""
    last = page.lines[-1:] or (TruthLine("and so on", (0, 0, page.width, page.height)),)
    return TruthPage(page.width, page.height, page.lines + last * _REPEATS)

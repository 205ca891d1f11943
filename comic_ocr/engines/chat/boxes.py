"""How chat models write boxes, and where such a box lies on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from comic_ocr.engines.chat.families import BoxScale
from comic_ocr.geometry import BBox, round_box

#: left, top, right, bottom, in the model's own unit
Corners = tuple[float, float, float, float]

_FACTOR = 28
_MIN_PIXELS = 4 * 28 * 28
_MAX_PIXELS = 16384 * 28 * 28
#: no page is that large, and sums of such numbers stay finite
_FAR = 1e9


@dataclass(frozen=True)
class Frame:
    """The page that boxes are placed on; sizes are (width, height) in pixels."""

    size: tuple[int, int]
    scale: BoxScale
    #: size of the image as it was sent, where the page was scaled for that
    sent: tuple[int, int] | None = None

    @property
    def whole(self) -> BBox:
        """The box of the whole page."""
        return (0.0, 0.0, float(self.size[0]), float(self.size[1]))

    def place(self, corners: Corners) -> BBox | None:
        """Return the box in page pixels, None where the scale is `none`.

        Corners may come in any order. What lies outside the page is cut off, and a box that is
        thinner than a pixel is widened to one.
        """
        extent = find_extent(self.scale, self.sent or self.size)
        if extent is None:
            return None
        x, width = _place_side(corners[0], corners[2], extent[0], self.size[0])
        y, height = _place_side(corners[1], corners[3], extent[1], self.size[1])
        return round_box((x, y, width, height))


def find_extent(scale: BoxScale, size: tuple[int, int]) -> tuple[float, float] | None:
    """Return which coordinates the right and the lower edge have, None for scale `none`."""
    if scale == "thousand":
        return (1000.0, 1000.0)
    if scale == "999":
        return (999.0, 999.0)
    if scale == "pixels":
        width, height = smart_resize(*size)
        return (float(width), float(height))
    return None


def smart_resize(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) to which Qwen2.5-VL scales an image, in pixels.

    Both sides become multiples of 28, with 3,136 to 12,845,056 pixels in all and the aspect kept
    as nearly as that allows. The formula is `smart_resize` of qwen_vl_utils (vision_process.py in
    QwenLM/Qwen2.5-VL) with its default limits; a server may be set to lower ones.
    """
    area = width * height
    wide, high = (max(_FACTOR, round(side / _FACTOR) * _FACTOR) for side in (width, height))
    if wide * high > _MAX_PIXELS:
        shrink = math.sqrt(area / _MAX_PIXELS)
        wide, high = (
            max(_FACTOR, math.floor(side / shrink / _FACTOR) * _FACTOR) for side in (width, height)
        )
    elif wide * high < _MIN_PIXELS:
        grow = math.sqrt(_MIN_PIXELS / area)
        wide, high = (math.ceil(side * grow / _FACTOR) * _FACTOR for side in (width, height))
    return wide, high


def read_corners(value: Any) -> Corners | None:
    """Return a model's box as left, top, right, bottom; None where it is no box.

    Takes two corners (four numbers) or four (eight, the box around them), nested or not.
    """
    numbers = _flatten(value)
    if numbers is None or len(numbers) not in (4, 8):
        return None
    if len(numbers) == 8:
        xs, ys = numbers[0::2], numbers[1::2]
        return (min(xs), min(ys), max(xs), max(ys))
    left, top, right, bottom = numbers
    return (min(left, right), min(top, bottom), max(left, right), max(top, bottom))


def _flatten(value: Any) -> list[float] | None:
    """Return the numbers of a list in a list, None where something in it is no number."""
    if not isinstance(value, list) or len(value) > 8:
        return None
    numbers: list[float] = []
    for item in value:
        inner = _flatten(item) if isinstance(item, list) else _read_number(item)
        if inner is None:
            return None
        numbers += inner
    return numbers


def _read_number(value: Any) -> list[float] | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return [number] if abs(number) < _FAR else None


def _place_side(start: float, end: float, extent: float, length: int) -> tuple[float, float]:
    """Return (start, size) in pixels of one side of a box, kept on a page of that length."""
    ends: Sequence[float] = sorted(
        min(max(value / extent * length, 0.0), float(length)) for value in (start, end)
    )
    size = max(ends[1] - ends[0], min(1.0, length))
    return min(ends[0], length - size), size

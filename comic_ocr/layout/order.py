"""Reading order of boxes: tier by tier down the page, along each tier in the page's direction."""

from __future__ import annotations

from collections.abc import Sequence

from comic_ocr.geometry import BBox
from comic_ocr.page import Direction


def order_boxes(boxes: Sequence[BBox], direction: Direction) -> list[int]:
    """Return the indices of the boxes in reading order.

    A tier is a run of boxes whose vertical middles lie within the height of the tier's first box.
    """
    remaining = sorted(range(len(boxes)), key=lambda i: (boxes[i][1], boxes[i][0]))
    ordered: list[int] = []
    while remaining:
        _, top, _, height = boxes[remaining[0]]
        tier = [i for i in remaining if boxes[i][1] + boxes[i][3] / 2 <= top + height]
        tier = tier or remaining[:1]
        sign = 1 if direction == "ltr" else -1
        tier.sort(key=lambda i: (sign * (boxes[i][0] + boxes[i][2] / 2), boxes[i][1]))
        ordered.extend(tier)
        taken = set(tier)
        remaining = [i for i in remaining if i not in taken]
    return ordered

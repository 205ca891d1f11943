"""From an engine's regions to blocks in reading order and the page's text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from comic_ocr.geometry import BBox, enclose_boxes, round_box
from comic_ocr.layout.blocks import group_lines, is_vertical
from comic_ocr.layout.order import order_boxes
from comic_ocr.page import Block, Direction, Region
from comic_ocr.text import join_words


@dataclass(frozen=True)
class Arrangement:
    """Blocks in reading order, and their text."""

    blocks: list[Block]
    full_text: str
    confidence: float | None


def arrange_regions(regions: Sequence[Region], direction: Direction = "ltr") -> Arrangement:
    """Return the regions as blocks in reading order. Every region is in exactly one block.

    Args:
        regions: in the engine's order.
        direction: of the page; vertical lines are read right to left in any case.
    """
    boxes = [region.bbox for region in regions]
    groups = [_order_lines(group, boxes) for group in group_lines(boxes)]
    bounds = [enclose_boxes([boxes[i] for i in group]) for group in groups]
    blocks = [
        Block(
            kind="text",
            bbox=round_box(bounds[g]),
            regions=tuple(groups[g]),
            order=order,
            text=join_words([regions[i].text for i in groups[g]]),
        )
        for order, g in enumerate(order_boxes(bounds, direction))
    ]
    return Arrangement(blocks, "\n".join(b.text for b in blocks), _mean_confidence(regions))


def _order_lines(group: Sequence[int], boxes: Sequence[BBox]) -> list[int]:
    if all(is_vertical(boxes[i]) for i in group):
        return sorted(group, key=lambda i: -boxes[i][0])
    return [group[k] for k in order_boxes([boxes[i] for i in group], "ltr")]


def _mean_confidence(regions: Sequence[Region]) -> float | None:
    known = [(r.confidence, len(r.text)) for r in regions if r.confidence is not None]
    letters = sum(length for _, length in known)
    return round(sum(c * n for c, n in known) / letters, 4) if letters else None

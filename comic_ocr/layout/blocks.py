"""Lines to blocks: lines of one balloon stand close, are of one size, and share a column."""

from __future__ import annotations

from collections.abc import Sequence

from comic_ocr.geometry import BBox, overlap_length

#: Gap between two lines of one balloon, in heights of the smaller line.
_MAX_GAP = 0.9
#: Share of the narrower line's width that must lie over or under the other.
_MIN_OVERLAP = 0.3
#: Letters of one balloon are of about one size.
_MAX_SIZE_RATIO = 2.0
#: A line is vertical when this much taller than wide.
_VERTICAL_RATIO = 1.5


def group_lines(boxes: Sequence[BBox]) -> list[list[int]]:
    """Return groups of indices of boxes that belong together; every index is in exactly one.

    Two lines are joined when they are neighbours along the direction in which lines follow each
    other (down for horizontal text, across for vertical). Groups are in order of their first line.
    """
    parents = list(range(len(boxes)))

    def find(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    by_top = sorted(range(len(boxes)), key=lambda i: boxes[i][1])
    reach = max((box[3] for box in boxes), default=0.0)
    for position, i in enumerate(by_top):
        limit = boxes[i][1] + boxes[i][3] + _MAX_GAP * reach
        for j in by_top[position + 1 :]:
            if boxes[j][1] > limit:
                break
            if _are_neighbours(boxes[i], boxes[j]):
                parents[find(j)] = find(i)
    groups: dict[int, list[int]] = {}
    for index in range(len(boxes)):
        groups.setdefault(find(index), []).append(index)
    return list(groups.values())


def is_vertical(box: BBox) -> bool:
    """Return whether a line's box is that of vertical text."""
    return box[3] > _VERTICAL_RATIO * box[2]


def _are_neighbours(a: BBox, b: BBox) -> bool:
    vertical = is_vertical(a) and is_vertical(b)
    if vertical:
        a, b = _transpose(a), _transpose(b)
    size, larger = sorted((a[3], b[3]))
    if size <= 0 or larger / size > _MAX_SIZE_RATIO:
        return False
    gap = max(a[1], b[1]) - min(a[1] + a[3], b[1] + b[3])
    shared = overlap_length(a[0], a[2], b[0], b[2])
    return -size * 0.6 <= gap <= _MAX_GAP * size and shared >= _MIN_OVERLAP * min(a[2], b[2])


def _transpose(box: BBox) -> BBox:
    x, y, w, h = box
    return (y, x, h, w)

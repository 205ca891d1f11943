"""Boxes and polygons, in pixels of the page as decoded, origin top left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: x, y, width, height
BBox = tuple[float, float, float, float]
#: corner points in order around the shape
Polygon = tuple[tuple[float, float], ...]


def enclose_points(points: Iterable[Sequence[float]]) -> BBox:
    """Return the smallest upright box around the points; there must be at least one."""
    xs, ys = zip(*((p[0], p[1]) for p in points), strict=True)
    x, y = min(xs), min(ys)
    return (x, y, max(xs) - x, max(ys) - y)


def enclose_boxes(boxes: Sequence[BBox]) -> BBox:
    """Return the smallest box around all boxes; there must be at least one."""
    x = min(b[0] for b in boxes)
    y = min(b[1] for b in boxes)
    return (x, y, max(b[0] + b[2] for b in boxes) - x, max(b[1] + b[3] for b in boxes) - y)


def overlap_length(a_start: float, a_size: float, b_start: float, b_size: float) -> float:
    """Return how much two intervals share, in their own unit; 0.0 when apart."""
    return max(0.0, min(a_start + a_size, b_start + b_size) - max(a_start, b_start))


def round_box(box: Sequence[float]) -> BBox:
    """Return the box with a tenth of a pixel kept, which is finer than any engine is right."""
    x, y, w, h = (round(float(v), 1) for v in box)
    return (x, y, w, h)

"""Where what Upstage found lies on the page."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from comic_ocr.geometry import BBox, Polygon, enclose_points, round_box


class Point(msgspec.Struct, frozen=True):
    """A corner, in the answer's own unit."""

    x: float = 0.0
    y: float = 0.0


def place_corners(
    corners: Sequence[Point], extent: tuple[float, float], size: tuple[int, int]
) -> tuple[BBox, Polygon] | None:
    """Return the box and the polygon in page pixels, None where there are too few corners.

    What lies outside the page is cut off, and a box thinner than a pixel is widened to one.

    Args:
        corners: in order around the shape.
        extent: coordinates of the page's right and lower edge, in the corners' unit.
        size: (width, height) of the page, in pixels.
    """
    if len(corners) < 2:
        return None
    points = tuple(
        (_scale(corner.x, extent[0], size[0]), _scale(corner.y, extent[1], size[1]))
        for corner in corners
    )
    x, y, width, height = enclose_points(points)
    x, width = _widen(x, width, size[0])
    y, height = _widen(y, height, size[1])
    return round_box((x, y, width, height)), points


def whole_page(size: tuple[int, int]) -> BBox:
    """Return the page's own box, for text that has no other."""
    return (0.0, 0.0, float(size[0]), float(size[1]))


def _scale(value: float, extent: float, length: int) -> float:
    return round(min(max(value / extent * length, 0.0), float(length)), 1)


def _widen(start: float, span: float, length: int) -> tuple[float, float]:
    wide = max(span, min(1.0, float(length)))
    return min(start, length - wide), wide

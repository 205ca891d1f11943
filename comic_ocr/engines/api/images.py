"""A page as an API gets it: the bytes as fetched where any server reads them, else encoded anew."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass

from PIL import Image

from comic_ocr.images import PageImage

_SENT_AS_IS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_ORIENTATION_TAG = 0x0112
_JPEG_QUALITY = 92
#: of 255: what JPEG leaves of a single shade
_MOST_NOISE = 4


@dataclass(frozen=True)
class SentImage:
    """An encoded image, with its size in pixels."""

    data: bytes
    mime: str
    width: int
    height: int


def encode_page(
    page: PageImage, max_side_px: int = 0, *, formats: Collection[str] = tuple(_SENT_AS_IS)
) -> SentImage:
    """Return the page for sending.

    A rotated, transparent or CMYK image is encoded anew, since servers differ in what they make of
    one; so are formats that not all of them read, and pages larger than wanted.

    Args:
        page: as decoded; its pixels are what the answer's boxes will be about.
        max_side_px: the longer side is brought down to this; 0 to leave it.
        formats: that the server reads, by Pillow's names.
    """
    scale = max_side_px / max(page.width, page.height) if max_side_px else 1.0
    if scale >= 1 and page.format in formats and _is_plain(page):
        return SentImage(page.data, _SENT_AS_IS[page.format], page.width, page.height)
    image = Image.fromarray(page.pixels)
    if scale < 1:
        size = (max(1, round(page.width * scale)), max(1, round(page.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    lossless = page.format != "JPEG" and scale >= 1
    stream = io.BytesIO()
    if lossless:
        image.save(stream, "PNG", compress_level=1)
    else:
        image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    mime = "image/png" if lossless else "image/jpeg"
    return SentImage(stream.getvalue(), mime, image.width, image.height)


def is_blank(page: PageImage) -> bool:
    """Return whether a page is of one shade, and so has no text that anybody could be asked for."""
    return int(page.pixels.max()) - int(page.pixels.min()) <= _MOST_NOISE


def _is_plain(page: PageImage) -> bool:
    if page.format not in _SENT_AS_IS or not page.data:
        return False
    with Image.open(io.BytesIO(page.data)) as image:
        rotated = image.getexif().get(_ORIENTATION_TAG, 1) != 1
        return not rotated and image.mode in ("RGB", "L") and not image.has_transparency_data

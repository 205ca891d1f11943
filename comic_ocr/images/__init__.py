"""Bytes to pixels."""

from comic_ocr.images.decode import PageImage, decode_image

__all__ = ["PageImage", "decode_image"]

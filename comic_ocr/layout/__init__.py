"""Regions to blocks to reading order."""

from comic_ocr.layout.arrange import Arrangement, arrange_regions

__all__ = ["Arrangement", "arrange_regions"]

"""Results to what people use."""

from comic_ocr.export.results import Results, read_results

__all__ = ["Results", "read_results"]

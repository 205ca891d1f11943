"""The command `batch_ocr`: one file per command word."""

from comic_ocr.cli.main import main

__all__ = ["main"]

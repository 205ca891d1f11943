"""Massively parallel OCR of comic pages and scans.

The library in short:

    import comic_ocr
    summary = comic_ocr.run("pages.csv", method="paddleocr", output="results", workers=2)
    for page in comic_ocr.results("results"):
        print(page.canonical_id, page.full_text)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from comic_ocr._version import __version__

if TYPE_CHECKING:
    from comic_ocr.api import ocr_page, results, run
    from comic_ocr.errors import ComicOcrError
    from comic_ocr.job.summary import JobSummary
    from comic_ocr.page import Block, PageFailure, PageRef, PageResult, Region

__all__ = [
    "Block",
    "ComicOcrError",
    "JobSummary",
    "PageFailure",
    "PageRef",
    "PageResult",
    "Region",
    "__version__",
    "ocr_page",
    "results",
    "run",
]

# Loaded on use: each worker call is a new process, which needs little of the package.
_HOMES = {
    "ocr_page": "comic_ocr.api",
    "results": "comic_ocr.api",
    "run": "comic_ocr.api",
    "ComicOcrError": "comic_ocr.errors",
    "JobSummary": "comic_ocr.job.summary",
    "Block": "comic_ocr.page",
    "PageFailure": "comic_ocr.page",
    "PageRef": "comic_ocr.page",
    "PageResult": "comic_ocr.page",
    "Region": "comic_ocr.page",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'comic_ocr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

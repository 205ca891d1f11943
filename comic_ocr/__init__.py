"""Massively parallel OCR of comic pages and scans.

import comic_ocr
summary = comic_ocr.run("pages.csv", method="paddleocr", output="results", workers=2)
for page in comic_ocr.results("results"):
    print(page.canonical_id, page.full_text)
"""

from comic_ocr._version import __version__
from comic_ocr.api import ocr_page, results, run
from comic_ocr.errors import ComicOcrError
from comic_ocr.job import JobSummary
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

"""The table of pages: read it, check it.

    for page in read_manifest("s3://bucket/pages.csv.zst"):
        ...
    check_manifest("pages.csv").problems

`columns` says what a column means, `formats` streams rows out of files, `sources` finds the images.
"""

from comic_ocr.manifest.check import check_manifest
from comic_ocr.manifest.read import read_manifest

__all__ = ["check_manifest", "read_manifest"]

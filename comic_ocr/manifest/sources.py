"""Where the images of a manifest are."""

from __future__ import annotations

import os
import posixpath
from functools import lru_cache

from comic_ocr.errors import UsageError
from comic_ocr.storage import split_url


def find_base(manifest_url: str, image_path_prefix: str | None) -> str:
    """Return the folder that relative sources start from, without a '/' at its end.

    A local folder comes back absolute, so that a worker elsewhere finds the same file.

    Args:
        manifest_url: its own folder is the base where no prefix is given.
        image_path_prefix: a URL or a local folder.

    Raises:
        UsageError: the scheme is not known. Not retryable.
    """
    if image_path_prefix:
        scheme, bucket, path = split_url(image_path_prefix)
        folder = path
    else:
        scheme, bucket, path = split_url(manifest_url)
        if scheme in ("http", "https"):
            path = path.partition("?")[0]
        folder = os.path.dirname(path)
    if scheme == "file":
        return os.path.abspath(folder).rstrip("/")
    return f"{scheme}://{bucket}/{folder}".rstrip("/")


def resolve_source(source: str, base: str) -> str:
    """Return where a page's bytes are: absolute paths and URLs as they are, the rest under base."""
    if source[0] == "/" or "://" in source:
        return source
    if source[0] == "." or "/." in source:
        return _join_dotted(source, base)
    return f"{base}/{source}"


def _join_dotted(source: str, base: str) -> str:
    """Return base and source as one, with '.' and '..' steps taken: object keys know neither."""
    scheme, separator, rest = base.partition("://")
    bucket, _, folder = rest.partition("/") if separator else ("", "", base[1:])
    path = posixpath.normpath(f"/{folder}/{source}").lstrip("/")
    return f"{scheme}://{bucket}/{path}" if separator else f"/{path}"


def check_source(source: str) -> str | None:
    """Return why a resolved source cannot be opened by anything, or None."""
    if "\0" in source:
        return "has a NUL character"
    at = source.find("://")
    if at < 0:
        return None
    end_of_bucket = source.find("/", at + 3)
    if end_of_bucket < 0:
        end_of_bucket = len(source)
    if end_of_bucket >= len(source) - 1 and not source.lower().startswith("http"):
        return "names a bucket and no object in it"
    return _check_bucket(source[:end_of_bucket])


@lru_cache(maxsize=1024)
def _check_bucket(url: str) -> str | None:
    try:
        split_url(url)
    except UsageError as error:
        return f"{error.message} ({error.hint})"
    return None

"""API keys: from the worker's environment, or a named secret. Never an option, never a payload."""

from __future__ import annotations

import os

from comic_ocr.engines.api.options import ApiOptions
from comic_ocr.secrets import read_secret

#: for any server but a method's own, so that no service's key is sent to another
OTHER_KEY = "COMIC_OCR_API_KEY"


def find_key(options: ApiOptions, variable: str) -> str | None:
    """Return the key, None where none is set.

    Args:
        options: names a secret, where the environment has no key.
        variable: the environment variable that may hold the key.

    Raises:
        EngineMissingError: the named secret cannot be read. Not retryable.
    """
    key = os.environ.get(variable, "").strip()
    if key:
        return key
    if options.api_key_secret:
        return read_secret(options.api_key_secret, variable).strip()
    return None


def key_is_missing(options: ApiOptions, variable: str) -> str | None:
    """Return what to do about a key that is neither set nor named, None where there is one."""
    if options.api_key_secret or os.environ.get(variable, "").strip():
        return None
    return f"export {variable}=…, or name a secret: --option api_key_secret=NAME"

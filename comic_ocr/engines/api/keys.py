"""API keys: from the worker's environment, or a named secret. Never an option, never a payload."""

from __future__ import annotations

import os

from comic_ocr.engines.api.options import ApiOptions
from comic_ocr.errors import EngineMissingError
from comic_ocr.secrets import read_secret

#: for any server but a method's own, so that no service's key is sent to another
OTHER_KEY = "COMIC_OCR_API_KEY"


def find_key(options: ApiOptions, variable: str) -> str | None:
    """Return the key, None where none is set.

    Args:
        options: names a secret, where the environment has no key.
        variable: the environment variable that may hold the key.

    Raises:
        EngineMissingError: the named secret cannot be read, or the key is none that could be sent.
            Not retryable. The message never holds it.
    """
    key = os.environ.get(variable, "").strip()
    if key:
        return _check_key(key, f"environment variable {variable}")
    if options.api_key_secret:
        name = options.api_key_secret
        return _check_key(read_secret(name, variable).strip(), f'secret "{name}"')
    return None


def _check_key(key: str, where: str) -> str:
    """Return the key. What does not fit a header would else be shown by whoever says so."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise EngineMissingError(
            f"the key in {where} is empty, or holds a blank, a line break or a letter that is not "
            "ASCII.",
            hint="copy it again",
        )
    return key


def key_is_missing(options: ApiOptions, variable: str) -> str | None:
    """Return what to do about a key that is neither set nor named, None where there is one."""
    if options.api_key_secret or os.environ.get(variable, "").strip():
        return None
    return f"export {variable}=…, or name a secret: --option api_key_secret=NAME"

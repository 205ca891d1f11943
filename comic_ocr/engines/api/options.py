"""Options that every method has that asks an API."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from comic_ocr.engines.base import TUNING
from comic_ocr.errors import OptionError


class ApiOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an API is asked. Results under one output may differ in all of these."""

    #: pages that one worker has with the API at once
    concurrency: Annotated[int, Meta(ge=1, le=1000), TUNING] = 32
    #: of the whole job, shared out to its workers; 0 for no limit
    requests_per_minute: Annotated[float, Meta(ge=0), TUNING] = 0.0
    #: pages that the whole job has with the API at once, shared out to its workers; 0 for no limit
    max_in_flight: Annotated[int, Meta(ge=0), TUNING] = 0
    #: seconds until an unanswered request is given up and sent again
    timeout_s: Annotated[float, Meta(gt=0), TUNING] = 180.0
    #: answers asked for when one is cut off or cannot be parsed
    answer_tries: Annotated[int, Meta(ge=1, le=10), TUNING] = 5
    #: paid answers in the output: use them, ask again and replace them, or keep none
    cache: Annotated[Literal["use", "refresh", "off"], TUNING] = "use"
    #: environment variable with the key; empty for the method's own
    api_key_env: Annotated[str, TUNING] = ""
    #: name or ARN of the key in AWS Secrets Manager; empty to take the environment's
    api_key_secret: Annotated[str, TUNING] = ""


def find_host(url: str) -> str:
    """Return the host that a URL names, in lower case; "" where it is none."""
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""


def check_base_url(url: str) -> str:
    """Return the URL without blanks around it and a slash at its end.

    Raises:
        OptionError: it is no http(s) URL, or holds a user, password, query or fragment, which
            would be written down with the results. Not retryable.
    """
    url = url.strip()
    parts = _split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionError(
            "base_url is not an http(s) URL with a host and, if any, a port number.",
            hint="such as http://localhost:8000/v1",
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise OptionError(
            f"base_url of {parts.hostname} holds a user, password, query or fragment; it is "
            "written down with the results.",
            hint="give the key in the environment instead",
        )
    return url.rstrip("/")


def _split_url(url: str) -> SplitResult | None:
    """Return the parts of a URL, None where host or port are none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts

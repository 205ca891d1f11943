"""What a user asks for, and the fingerprint that says whether two jobs mean the same results."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from comic_ocr.backends import LOCAL_BACKENDS, check_backend
from comic_ocr.engines import (
    Method,
    convert_options,
    find_method,
    prepare_method,
    resolve_languages,
)
from comic_ocr.errors import UsageError
from comic_ocr.page import Direction
from comic_ocr.worker.task import available_cores

_CLOUD_WORKERS = 100


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One run as asked for: the parameters of `comic_ocr.run`, described there."""

    manifest: str
    method: str = "paddleocr"
    output: str = "ocr_results"
    backend: str = "localhost"
    workers: int = 2
    lang: str | None = None
    options: dict[str, Any] = {}
    direction: Direction = "ltr"
    image_path_prefix: str | None = None
    limit: int | None = None
    overwrite: bool = False
    retry_failed: bool = False
    config: str | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None


def default_workers(backend: str) -> int:
    """Return calls at once when the user names none: this machine's cores, or 100 in a cloud."""
    return available_cores() if backend in LOCAL_BACKENDS else _CLOUD_WORKERS


class CheckedMethod(msgspec.Struct, frozen=True):
    """A method with what it will run with, all valid."""

    name: str
    options: dict[str, Any]
    languages: tuple[str, ...]
    direction: Direction = "ltr"


def check_spec(spec: JobSpec) -> tuple[Method, CheckedMethod]:
    """Return the job's method and what it will run with.

    Where workers run on this machine, what is installed here is what they have.

    Raises:
        UsageError: the backend, the method, a language, an option or a number does not work.
            Not retryable.
    """
    for name, value in (("workers", spec.workers), ("limit", spec.limit)):
        if value is not None and value < 1:
            raise UsageError(f"{name} must be at least 1, not {value}.", hint=f"check --{name}")
    if spec.overwrite and spec.retry_failed:
        raise UsageError(
            "overwrite and retry_failed exclude each other: overwrite reads every page again.",
            hint="leave out --retry-failed",
        )
    check_backend(spec.backend)
    method = find_method(spec.method)
    options = convert_options(method, spec.options)
    if spec.backend in LOCAL_BACKENDS:
        prepare_method(method, options)
    languages = resolve_languages(method, options, spec.lang)
    built = msgspec.to_builtins(options)
    return method, CheckedMethod(method.name, built, languages, spec.direction)


def fingerprint(checked: CheckedMethod) -> str:
    """Return 16 hex digits that are equal for jobs whose results may share a prefix."""
    canonical = msgspec.json.encode(
        {
            "method": checked.name,
            "options": checked.options,
            "languages": checked.languages,
            "direction": checked.direction,
        },
        order="deterministic",
    )
    return hashlib.sha256(canonical).hexdigest()[:16]

"""What a user asks for, and the fingerprint that says whether two jobs mean the same results."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from comic_ocr.backends import LOCAL_BACKENDS, check_backend
from comic_ocr.engines import Method, find_method, prepare_method, resolve_languages
from comic_ocr.engines.languages import parse_languages
from comic_ocr.errors import UsageError
from comic_ocr.job.cost import find_price, load_prices
from comic_ocr.job.options import AllOptions, check_options, split_names, split_options
from comic_ocr.page import Direction
from comic_ocr.worker.task import available_cores

_CLOUD_WORKERS = 100
DEFAULT_MIN_CONFIDENCE = 0.85


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One run as asked for: the parameters of `comic_ocr.run`, described there."""

    manifest: str
    method: str = "paddleocr"
    output: str = "ocr_results"
    backend: str = "localhost"
    workers: int = 2
    #: as many of `workers` as bring something
    autoscale: bool = False
    #: stop before more is spent
    budget_usd: float | None = None
    #: a table of prices to take instead of the package's
    prices: str | None = None
    #: go on when most pages fail for one reason
    keep_going: bool = False
    lang: str | None = None
    options: dict[str, Any] = {}
    min_confidence: float | None = None
    gpu: bool = False
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
    """What a job reads with, all valid. What is here makes the job's results what they are."""

    #: a method, or a cascade of them as `a,b`
    name: str
    #: by method, less those that do not change what is read
    options: AllOptions
    languages: tuple[str, ...]
    direction: Direction = "ltr"
    #: of a page, for a cascade; else 0
    min_confidence: float = 0.0


def check_spec(spec: JobSpec) -> tuple[CheckedMethod, AllOptions]:
    """Return what the job will read with, and all options by method as workers get them.

    Where workers run on this machine, what is installed here is what they have.

    Raises:
        UsageError: the backend, the method, a language, an option or a number does not work.
            Not retryable.
    """
    for name, value in (("workers", spec.workers), ("limit", spec.limit)):
        if value is not None and value < 1:
            raise UsageError(f"{name} must be at least 1, not {value}.", hint=f"check --{name}")
    if spec.budget_usd is not None and find_price(spec.backend, load_prices(spec.prices)) is None:
        raise UsageError(
            f"a budget cannot be kept on {spec.backend}: the price of its compute is not known.",
            hint="leave out --budget",
        )
    if spec.overwrite and spec.retry_failed:
        raise UsageError(
            "overwrite and retry_failed exclude each other: overwrite reads every page again.",
            hint="leave out --retry-failed",
        )
    check_backend(spec.backend)
    names = split_names(spec.method)
    methods = [find_method(name) for name in names]
    if spec.gpu and not any("gpu" in method.runs_on for method in methods):
        raise UsageError(
            f'method "{spec.method}" does not run on a GPU.',
            hint="leave out --gpu; batch_ocr methods says which run on one",
        )
    given = split_options(names, spec.options)
    kept, everything = {}, {}
    for name in dict.fromkeys([*names, *given]):
        kept[name], everything[name] = check_options(name, given.get(name, {}))
    languages = check_languages(
        methods, everything, spec.lang, local=spec.backend in LOCAL_BACKENDS
    )
    name = ",".join(names)
    floor = _check_min_confidence(spec.min_confidence, cascade=len(names) > 1)
    return CheckedMethod(name, kept, languages, spec.direction, floor), everything


def check_languages(
    methods: list[Method], options: AllOptions, lang: str | None, *, local: bool
) -> tuple[str, ...]:
    """Return the languages to read, once every method can read them.

    Of a single method its default is filled in; a cascade leaves that to each of its methods.

    Args:
        methods: one, or a cascade.
        options: by method, checked.
        lang: as asked for.
        local: what is installed here is what workers have.
    """
    codes: tuple[str, ...] = ()
    for method in methods:
        built = msgspec.convert(options[method.name], method.options)
        if local:
            prepare_method(method, built)
        codes = resolve_languages(method, built, lang)
    return codes if len(methods) == 1 else parse_languages(lang or "")


def _check_min_confidence(asked: float | None, *, cascade: bool) -> float:
    if not cascade and asked is not None:
        raise UsageError(
            "min_confidence says when a cascade goes on to its next method; there is only one.",
            hint="name several, such as --method tesseract,paddleocr",
        )
    floor = DEFAULT_MIN_CONFIDENCE if asked is None else asked
    if not 0 <= floor <= 1:
        raise UsageError(f"min_confidence must be from 0 to 1, not {floor}.", hint="such as 0.85")
    return floor if cascade else 0.0


def fingerprint(checked: CheckedMethod) -> str:
    """Return 16 hex digits that are equal for jobs whose results may share a prefix."""
    canonical = msgspec.json.encode(msgspec.structs.asdict(checked), order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:16]

"""What a job will take and cost, from a sample of its pages read on this machine.

The sample gives CPU seconds, waiting and API dollars per page; the planner's own rules make calls
of them; the price table makes dollars. The spread is that of the sample: it knows nothing of other
machines' speed, of lost calls, or of pages unlike those that were drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import msgspec

from comic_ocr.backends import LOCAL_BACKENDS
from comic_ocr.engines import find_method, method_names, pages_in_flight
from comic_ocr.errors import ManifestError, UsageError
from comic_ocr.job.cost import PriceTable, find_price, find_storage_price, load_prices
from comic_ocr.job.expect import expect, limit_workers
from comic_ocr.job.options import AllOptions, split_names, split_options
from comic_ocr.job.predict import (
    Place,
    SizeEstimate,
    Spread,
    Work,
    find_spread,
    predict_size,
    resample,
    take_means,
)
from comic_ocr.job.sample import Sample, asks_api, read_sample, sample_pages
from comic_ocr.job.spec import CheckedMethod, JobSpec, check_spec, default_workers
from comic_ocr.manifest import read_manifest
from comic_ocr.page import PageRef
from comic_ocr.storage import split_url
from comic_ocr.worker.task import available_cores

SAMPLE_PAGES = 20
#: of methods that ask an API, which takes money for each
SAMPLE_API_PAGES = 3
#: pages that a worker fetches beside those that it reads
_LOOKAHEAD = 2
_GB = 1e9
#: the scheme of the store beside a cloud's workers
_SCHEMES = {"aws": "s3", "gcp": "gs", "azure": "az"}


class EstimateSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to estimate. As of JobSpec, where the names are the same."""

    manifest: str
    #: each a method, or a cascade as `a,b`
    methods: tuple[str, ...]
    backend: str = "aws_lambda"
    #: of the backend's prices; None for the table's first
    variant: str | None = None
    workers: int | None = None
    #: sizes of a worker; none for what the methods need
    memory_mb: tuple[int, ...] = ()
    #: pages to read; None for 20, or 3 with a method that asks an API
    sample: int | None = None
    seed: int = 0
    lang: str | None = None
    options: dict[str, Any] = {}
    min_confidence: float | None = None
    image_path_prefix: str | None = None
    #: where results would go, for what its store charges; None for the store of the same cloud
    output: str | None = None
    #: file of prices; None for the package's
    prices: str | None = None


class MethodEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What one method, or cascade, would take."""

    method: str
    sampled: int
    #: of the sample, by code
    failures: dict[str, int]
    #: means per page of the sample, on this machine
    core_s: float
    core_s_spread: Spread | None
    wait_s: float
    api_usd: float
    api_usd_spread: Spread | None
    #: seconds of CPU before a call's first page
    load_s: float
    #: what the sample itself cost
    sample_usd: float
    #: the images that APIs are sent, once each, in GB; their way out of the cloud is not in costs
    egress_gb: float
    egress_usd: float | None
    sizes: tuple[SizeEstimate, ...]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What `batch_ocr estimate` says."""

    manifest: str
    pages: int
    backend: str
    variant: str | None
    prices_as_of: str
    seed: int
    methods: tuple[MethodEstimate, ...]


def estimate_cost(
    spec: EstimateSpec, on_sample: Callable[[str, int], None] = lambda _method, _pages: None
) -> Estimate:
    """Return what the manifest would take and cost. Writes nothing; APIs are asked, and paid.

    Args:
        spec: what to estimate.
        on_sample: called with a method and its number of pages before they are read.

    Raises:
        UsageError: as run_job does; or none of a method's pages can be read. Not retryable.
        BackendError: an API takes no page. Not retryable.
        StorageError: the manifest cannot be reached. Retryable.
    """
    prices = load_prices(spec.prices)
    find_price(spec.backend, prices, spec.variant)
    _find_scheme(spec)
    checked = [_check(spec, method) for method in spec.methods]
    random = Random(spec.seed)  # noqa: S311 (a sample, no secret)
    sizes = [_sample_size(spec, method) for method in spec.methods]
    pages, count = sample_pages(_read_pages(spec), max(sizes), random)
    if not count:
        raise ManifestError(
            f"manifest {spec.manifest} has no pages.", hint="it needs one row per page"
        )
    found = []
    for (method, options), size in zip(checked, sizes, strict=True):
        chosen = pages if size >= len(pages) else random.sample(pages, size)
        on_sample(method.name, len(chosen))
        sample = read_sample(chosen, method, options)
        _check_readable(method.name, sample, chosen)
        work = _describe_work(spec, method, options, sample, count)
        found.append(_predict(spec, prices, method.name, sample, work))
    return Estimate(
        manifest=spec.manifest,
        pages=count,
        backend=spec.backend,
        variant=spec.variant or next(iter(prices.compute.get(spec.backend, {})), None),
        prices_as_of=prices.as_of.isoformat(),
        seed=spec.seed,
        methods=tuple(found),
    )


def _check(spec: EstimateSpec, method: str) -> tuple[CheckedMethod, AllOptions]:
    """Return what the method reads with. It must be installed here, wherever the job will run."""
    everywhere = dict.fromkeys(name for names in spec.methods for name in split_names(names))
    names = split_names(method)
    given = split_options(list(everywhere), spec.options)
    return check_spec(
        JobSpec(
            manifest=spec.manifest,
            method=method,
            backend="inline",
            workers=_count_workers(spec),
            lang=spec.lang,
            options={
                f"{name}.{key}": value
                for name in names
                for key, value in given.get(name, {}).items()
            },
            min_confidence=spec.min_confidence if len(names) > 1 else None,
        )
    )


def _count_workers(spec: EstimateSpec) -> int:
    if spec.backend == "inline":
        return 1
    return default_workers(spec.backend) if spec.workers is None else spec.workers


def _sample_size(spec: EstimateSpec, method: str) -> int:
    if spec.sample is not None:
        return spec.sample
    return SAMPLE_API_PAGES if asks_api(method) else SAMPLE_PAGES


def _read_pages(spec: EstimateSpec) -> Iterator[PageRef]:
    return read_manifest(
        spec.manifest,
        image_path_prefix=spec.image_path_prefix,
        known_methods=frozenset(method_names()),
    )


def _check_readable(method: str, sample: Sample, pages: Sequence[PageRef]) -> None:
    """Raise if every page failed: nothing can then be said of pages that are read."""
    if any(not page.code for page in sample.pages):
        return
    first = sample.pages[0]
    raise UsageError(
        f'method "{method}" reads none of {len(pages)} sampled pages; page '
        f'"{pages[0].canonical_id}": {first.code}: {first.message}',
        hint=f"look at one: batch_ocr page {pages[0].source} --method {method}",
    )


def _predict(
    spec: EstimateSpec, prices: PriceTable, method: str, sample: Sample, work: Work
) -> MethodEstimate:
    storage = find_storage_price(_find_scheme(spec), prices)
    place = Place(
        compute=find_price(spec.backend, prices, spec.variant),
        storage=storage,
        core_share=_share_cores(spec.backend, work.workers),
        polls=spec.backend not in LOCAL_BACKENDS,
    )
    page_bytes = sum(page.image_bytes for page in sample.pages) / len(sample.pages)
    egress_gb = page_bytes * work.pages / _GB if work.asks_api else 0.0
    rate = storage.egress_gb_usd if storage else None
    return MethodEstimate(
        method=method,
        sampled=len(sample.pages),
        failures=sample.count_failures(),
        core_s=work.means.core_s,
        core_s_spread=find_spread(work.resampled, lambda means: means.core_s),
        wait_s=work.means.wait_s,
        api_usd=work.means.api_usd,
        api_usd_spread=find_spread(work.resampled, lambda means: means.api_usd),
        load_s=sample.load_core_s,
        sample_usd=sample.api_usd,
        egress_gb=egress_gb,
        egress_usd=None if rate is None else rate * egress_gb,
        sizes=tuple(
            predict_size(work, place, memory_mb)
            for memory_mb in spec.memory_mb or (work.least_memory_mb,)
        ),
    )


def _describe_work(
    spec: EstimateSpec, method: CheckedMethod, options: AllOptions, sample: Sample, pages: int
) -> Work:
    names = split_names(method.name)
    in_flight = max(
        pages_in_flight(step, msgspec.convert(options[step.name], step.options))
        for step in map(find_method, names)
    )
    workers = limit_workers(_count_workers(spec), method, options)
    per_minute = float(options[names[0]].get("requests_per_minute", 0.0))
    scheme = _find_scheme(spec)
    return Work(
        pages=pages,
        workers=workers,
        means=take_means(sample.pages),
        resampled=resample(sample.pages, Random(spec.seed)),  # noqa: S311 (no secret)
        load_s=sample.load_core_s,
        in_flight=in_flight + _LOOKAHEAD,
        least_memory_mb=expect(method, options).memory_mb,
        least_page_s=60 * workers / per_minute if per_minute else 0.0,
        asks_api=asks_api(method.name),
        in_cloud=sum(page.scheme == scheme for page in sample.pages) / len(sample.pages),
    )


def _share_cores(backend: str, workers: int) -> float:
    """Return the part of a core that each worker of this machine has; 1 in a cloud."""
    return min(1.0, available_cores() / workers) if backend in LOCAL_BACKENDS else 1.0


def _find_scheme(spec: EstimateSpec) -> str | None:
    """Return the scheme of the store that workers write to, None where it is not known."""
    if spec.output is not None:
        return split_url(spec.output)[0]
    if spec.backend in LOCAL_BACKENDS:
        return "file"
    return _SCHEMES.get(spec.backend.partition("_")[0])

"""From what a sample took to what a whole job will take: pure functions over values."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

import msgspec

from comic_ocr.job.cost import (
    ComputePrice,
    Costs,
    Requests,
    StoragePrice,
    call_requests,
    page_requests,
)
from comic_ocr.job.plan import START_S, size_chunk
from comic_ocr.job.sample import SampledPage

#: The driver's pause between two looks at its calls in a cloud.
_POLL_S = 1.0
_RESAMPLES = 1000
#: shares of resampled means below the two ends of the 90 % interval
_ENDS = (0.05, 0.95)


class Spread(msgspec.Struct, frozen=True):
    """Ends of the 90 % interval of a mean."""

    low: float
    high: float


class SizeEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """The whole job, with workers of one size."""

    memory_mb: int
    #: less than the method needs
    too_small: bool
    #: of a worker; None where the table does not know the backend
    vcpus: float | None
    workers: int
    calls: int
    #: from the first call to the end of the last
    wall_s: float
    wall_s_spread: Spread | None
    #: that workers run, in all calls
    worker_s: float
    costs: Costs
    #: sum of the kinds that are known
    known_usd: float
    known_usd_spread: Spread | None
    #: kinds that are not, such as `compute`
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Means:
    """Means per page of a sample, on the machine that read it."""

    core_s: float
    wait_s: float
    api_usd: float


@dataclass(frozen=True)
class Work:
    """What there is to do, and with what."""

    pages: int
    workers: int
    means: Means
    #: the same of samples drawn from the sample; none where one page tells no spread
    resampled: tuple[Means, ...]
    #: seconds of CPU before a call's first page
    load_s: float
    #: pages that a worker has in its hands at once, while they wait
    in_flight: int
    #: that the method needs
    least_memory_mb: int
    #: seconds per page that a limit on requests leaves a worker at least
    least_page_s: float = 0.0
    asks_api: bool = False
    #: share of pages whose image is in the workers' own store
    in_cloud: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where the work is done, and what is charged there; None is unknown."""

    compute: ComputePrice | None
    storage: StoragePrice | None
    #: of one core of this machine, that a worker here has to itself; 1 in a cloud
    core_share: float = 1.0
    #: the driver lists its calls in the store
    polls: bool = True


@dataclass(frozen=True)
class Calls:
    """The calls of a job."""

    count: int
    worker_s: float
    wall_s: float


def take_means(pages: Sequence[SampledPage]) -> Means:
    """Return the means of a sample of at least one page."""
    return Means(
        core_s=fmean(page.core_s for page in pages),
        wait_s=fmean(page.wait_s for page in pages),
        api_usd=fmean(page.api_usd for page in pages),
    )


def resample(pages: Sequence[SampledPage], random: Random) -> tuple[Means, ...]:
    """Return the means of 1,000 samples drawn from the sample with replacement (the bootstrap).

    Efron, "Bootstrap methods: another look at the jackknife", 1979. None of fewer than two pages.
    """
    if len(pages) < 2:
        return ()
    return tuple(take_means(random.choices(pages, k=len(pages))) for _ in range(_RESAMPLES))


def find_spread(resampled: Sequence[Means], value: Callable[[Means], float]) -> Spread | None:
    """Return the 90 % interval of a value of the means, None where they were not resampled."""
    if not resampled:
        return None
    values = sorted(map(value, resampled))
    low, high = (values[round(end * (len(values) - 1))] for end in _ENDS)
    return Spread(low, high)


def page_seconds(means: Means, speed: float, in_flight: int, least_s: float = 0.0) -> float:
    """Return worker seconds per page: of the CPU, or of waiting, whichever is the longer.

    Args:
        means: of the sample.
        speed: cores that one thread has, at most 1. A function below one vCPU is slowed down by
            it, so that a page costs the same with less memory; above, a single thread leaves the
            other cores idle.
        in_flight: pages that wait at once.
        least_s: what a limit on requests leaves.
    """
    return max(means.core_s / speed, means.wait_s / in_flight, least_s)


def plan_calls(pages: int, *, workers: int, page_s: float, load_s: float) -> Calls:
    """Return a job's calls, sized as the driver does, each taken by the first worker that is free.

    Args:
        pages: to read.
        workers: calls at once.
        page_s: worker seconds per page.
        load_s: seconds of a call from the engine's import to its first page.
    """
    free_at = [0.0] * min(workers, pages)
    count, worker_s = 0, 0.0
    while pages:
        size = size_chunk(pages, workers=workers, page_s=page_s, load_s=load_s)
        call_s = START_S + load_s + size * page_s
        heapq.heapreplace(free_at, free_at[0] + call_s)
        pages -= size
        count += 1
        worker_s += call_s
    return Calls(count, worker_s, max(free_at, default=0.0))


def predict_size(work: Work, place: Place, memory_mb: int) -> SizeEstimate:
    """Return what the whole job takes and costs with workers of that memory."""
    vcpus = place.compute.cores(memory_mb) if place.compute else None
    speed = min(1.0, vcpus or 1.0) * place.core_share
    load_s = work.load_s / speed

    def seconds(means: Means) -> float:
        return page_seconds(means, speed, work.in_flight, work.least_page_s)

    def plan(page_s: float) -> Calls:
        return plan_calls(work.pages, workers=work.workers, page_s=page_s, load_s=load_s)

    usd_per_s = place.compute.usd_per_s(memory_mb) if place.compute else 0.0

    def page_usd(means: Means) -> float:
        return seconds(means) * usd_per_s + means.api_usd

    calls = plan(seconds(work.means))
    costs = _add_costs(work, place, calls, memory_mb)
    page_s = find_spread(work.resampled, seconds)
    usd = find_spread(work.resampled, page_usd)
    fixed_usd = costs.known_usd - work.pages * page_usd(work.means)
    return SizeEstimate(
        memory_mb=memory_mb,
        too_small=memory_mb < work.least_memory_mb,
        vcpus=vcpus,
        workers=work.workers,
        calls=calls.count,
        wall_s=calls.wall_s,
        wall_s_spread=page_s and Spread(plan(page_s.low).wall_s, plan(page_s.high).wall_s),
        worker_s=calls.worker_s,
        costs=costs,
        known_usd=costs.known_usd,
        known_usd_spread=usd
        and Spread(fixed_usd + work.pages * usd.low, fixed_usd + work.pages * usd.high),
        unknown=costs.unknown,
    )


def _add_costs(work: Work, place: Place, calls: Calls, memory_mb: int) -> Costs:
    compute = Costs(compute_usd=None, requests_usd=None)
    if place.compute is not None:
        compute = place.compute.costs(calls.worker_s, memory_mb, calls.count)
    requests = page_requests(in_cloud=True, asks_api=work.asks_api) * (work.pages * work.in_cloud)
    requests += page_requests(in_cloud=False, asks_api=work.asks_api) * (
        work.pages * (1 - work.in_cloud)
    )
    requests += call_requests() * calls.count
    requests += Requests(lists=calls.wall_s / _POLL_S if place.polls else 0)
    storage_usd = place.storage.of(requests) if place.storage else None
    return compute + Costs(storage_usd=storage_usd, api_usd=work.pages * work.means.api_usd)

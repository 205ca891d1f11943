"""What workers should take, by the methods' own figures, until the job has measured it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from comic_ocr.engines import find_method, pages_in_flight
from comic_ocr.job.options import AllOptions, split_names
from comic_ocr.job.spec import CheckedMethod

#: Share of pages that a cascade hands on, until it is measured.
_HANDED_ON = 0.3
#: A worker that may ask fewer times a minute than this stands idle most of the time.
_LEAST_REQUESTS_PER_MINUTE = 30


@dataclass(frozen=True)
class Expected:
    """Of one worker."""

    #: seconds per page
    page_s: float
    #: seconds before the first page
    load_s: float
    memory_mb: int
    #: dollars that APIs charge for a page, None where that is not known before
    page_usd: float | None


def expect(checked: CheckedMethod, options: AllOptions) -> Expected:
    """Return what a worker should take for the job's method or cascade."""
    methods = [find_method(name) for name in split_names(checked.name)]
    page_s, page_usd = 0.0, 0.0
    unknown = False
    for number, method in enumerate(methods):
        built = msgspec.convert(options[method.name], method.options)
        share = _HANDED_ON**number
        page_s += share * method.typical_s / pages_in_flight(method, built)
        price = method.page_usd(built)
        unknown |= price is None
        page_usd += share * (price or 0.0)
    return Expected(
        page_s=page_s,
        load_s=methods[0].load_s,
        memory_mb=max(method.memory_mb for method in methods),
        page_usd=None if unknown else page_usd,
    )


def limit_workers(workers: int, checked: CheckedMethod, options: AllOptions) -> int:
    """Return how many workers an API's limits can keep busy, at most as many as asked for.

    Each worker has at least one request in flight, so there can be no more of them than the whole
    job may have, with any of its methods. Requests a minute count for the first method alone, which
    reads every page: workers beyond them would be paid for waiting.
    """
    for given in options.values():
        if in_flight := int(given.get("max_in_flight", 0)):
            workers = min(workers, in_flight)
    first = options[split_names(checked.name)[0]]
    if per_minute := float(first.get("requests_per_minute", 0.0)):
        workers = min(workers, math.ceil(per_minute / _LEAST_REQUESTS_PER_MINUTE))
    return workers

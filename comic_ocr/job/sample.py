"""A few pages of a manifest, read here to see what the others will take. Nothing is written."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from comic_ocr.engines import EngineSetup, find_method
from comic_ocr.engines.languages import parse_languages
from comic_ocr.errors import BackendError, PageError, UsageError, describe_error
from comic_ocr.job.options import AllOptions, split_names
from comic_ocr.job.spec import CheckedMethod
from comic_ocr.page import PageRef, PageResult
from comic_ocr.storage import split_url
from comic_ocr.worker.pages import retry_call
from comic_ocr.worker.read import Fetched, fetch_page, recognize_page
from comic_ocr.worker.steps import LoadedEngine, Step, needs_next_method
from comic_ocr.worker.task import build_engine


@dataclass(frozen=True)
class SampledPage:
    """What one page took on this machine."""

    #: seconds of CPU, all of it: fetch, decode, recognition, arrangement
    core_s: float
    #: seconds waited for the page's bytes, and for an API's answer
    wait_s: float = 0.0
    api_usd: float = 0.0
    image_bytes: int = 0
    #: of the image's URL
    scheme: str = ""
    #: of the failure; empty for a page that was read
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Sample:
    """What a method made of the sampled pages."""

    pages: tuple[SampledPage, ...]
    #: seconds of CPU to import and load the first engine
    load_core_s: float

    @property
    def api_usd(self) -> float:
        """What the sample itself cost."""
        return sum(page.api_usd for page in self.pages)

    def count_failures(self) -> dict[str, int]:
        """Return failed pages by code."""
        failures: dict[str, int] = {}
        for page in self.pages:
            if page.code:
                failures[page.code] = failures.get(page.code, 0) + 1
        return failures


def sample_pages(pages: Iterable[PageRef], size: int, random: Random) -> tuple[list[PageRef], int]:
    """Return random pages, spread over the manifest and in its order, and the count of all.

    One pass, at most 2 x size pages in memory: the manifest falls into strata of equal length, of
    which each gives one page (a reservoir of one); when there are too many of them, neighbours join
    and one of their two pages stays. Every page has the same chance.
    """
    picked: list[PageRef] = []
    width, row, wanted, count = 1, 0, 0, 0
    for page in pages:
        count += 1
        if row == wanted:
            # A last stratum that is cut short gives its page with the chance that it has.
            picked.append(page)
        row += 1
        if row < width:
            continue
        if len(picked) == 2 * size:
            picked = [random.choice(picked[i : i + 2]) for i in range(0, len(picked), 2)]
            width *= 2
        row, wanted = 0, random.randrange(width)
    kept = sorted(random.sample(range(len(picked)), min(size, len(picked))))
    return [picked[i] for i in kept], count


def read_sample(pages: Sequence[PageRef], checked: CheckedMethod, options: AllOptions) -> Sample:
    """Return what the pages take, read one after another in this process, with one thread.

    A page that fails is part of the sample: a job pays for such pages too.

    Raises:
        UsageError: an engine cannot load. Not retryable.
        BackendError: an API takes no page. Not retryable.
    """
    reader = _Reader(checked, options)
    load_core_s = reader.load()
    return Sample(tuple(reader.read(page) for page in pages), load_core_s)


class _Reader:
    """Reads pages by a method or cascade, each language with engines of its own."""

    def __init__(self, checked: CheckedMethod, options: AllOptions) -> None:
        self._checked = checked
        self._options = options
        self._names = split_names(checked.name)
        self._asks_api = asks_api(checked.name)
        self._steps: dict[tuple[str, ...], list[Step]] = {}

    def load(self) -> float:
        """Load the first engine and return the CPU seconds that it took."""
        before = cpu_s()
        self._find_steps(self._checked.languages)[0].load()
        return cpu_s() - before

    def read(self, page: PageRef) -> SampledPage:
        """Return what the page took, whether it can be read or not."""
        meter = _Meter(scheme=split_url(page.source)[0])
        try:
            self._recognize(page, meter)
        except (UsageError, BackendError):
            raise
        except Exception as error:  # noqa: BLE001 (a page's error, of any engine, is counted)
            facts = describe_error(error)
            meter.code, meter.message = facts.code, facts.message
        return meter.finish()

    def _recognize(self, page: PageRef, meter: _Meter) -> None:
        """Read a page as a worker does, with the methods that it would need there."""
        steps = self._find_steps(parse_languages(page.lang or "") or self._checked.languages)
        with meter.running(waits=True):
            fetched = retry_call(lambda: fetch_page(page))
        meter.image_bytes = len(fetched.image.data)
        results: list[PageResult] = []
        failure: Exception | None = None
        for step in steps:
            try:
                result = self._read_once(step, page, fetched, meter)
            except (UsageError, BackendError):
                raise
            except Exception as error:
                meter.api_usd += _spent(error)
                if describe_error(error).retryable:
                    raise
                failure = error
                continue
            meter.api_usd += result.usage.cost_usd
            results.append(result)
            if not needs_next_method(results, self._checked.min_confidence):
                return
        if failure is not None and not results:
            raise failure

    def _read_once(self, step: Step, page: PageRef, fetched: Fetched, meter: _Meter) -> PageResult:
        loaded = step.load()
        with meter.running(waits=self._asks_api):
            return retry_call(lambda: recognize_page(page, fetched, loaded.engine, loaded.plan))

    def _find_steps(self, languages: tuple[str, ...]) -> list[Step]:
        if languages not in self._steps:
            self._steps[languages] = [
                Step(name, partial(_open_engine, name, self._options[name], languages))
                for name in self._names
            ]
        return self._steps[languages]


def _open_engine(name: str, given: Mapping[str, Any], languages: tuple[str, ...]) -> LoadedEngine:
    setup = EngineSetup(threads=1)
    return LoadedEngine(*build_engine(name, given, languages=languages, setup=setup))


def _spent(error: Exception) -> float:
    """Return what a page that failed has cost all the same."""
    return float(error.spent.get("cost_usd", 0.0)) if isinstance(error, PageError) else 0.0


@dataclass
class _Meter:
    """Counts while one page is read."""

    scheme: str
    core_s: float = 0.0
    wait_s: float = 0.0
    api_usd: float = 0.0
    image_bytes: int = 0
    code: str = ""
    message: str = ""

    @contextmanager
    def running(self, *, waits: bool) -> Iterator[None]:
        """Count the seconds of what is done inside; those without CPU only if it waits."""
        began, used = time.perf_counter(), cpu_s()
        try:
            yield
        finally:
            core_s = cpu_s() - used
            self.core_s += core_s
            if waits:
                self.wait_s += max(time.perf_counter() - began - core_s, 0.0)

    def finish(self) -> SampledPage:
        return SampledPage(**vars(self))


def asks_api(method: str) -> bool:
    """Return whether a method, or one of a cascade, asks an API, so that each page costs money."""
    return any("api" in find_method(name).runs_on for name in split_names(method))


def cpu_s() -> float:
    """Return CPU seconds of this process and of those that it started and that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime

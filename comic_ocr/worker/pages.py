"""The loop over a chunk's pages: each ends in a row; fetch and write overlap with recognition."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

from comic_ocr.errors import (
    BackendError,
    ComicOcrError,
    PageError,
    SourceNotFoundError,
    StorageError,
    UsageError,
    describe_error,
)
from comic_ocr.images.decode import MAX_PIXELS
from comic_ocr.page import LedgerRow, PageRef, PageResult, Reading, result_key
from comic_ocr.storage import Store
from comic_ocr.worker.read import Fetched, fetch_page, recognize_page
from comic_ocr.worker.steps import Step, needs_next_method

T = TypeVar("T")

#: Tries of one step of a page within one call, when what failed may pass.
MAX_TRIES = 3
_FIRST_PAUSE_S = 0.5
#: Pages that are fetched and decoded, and as many that are written, beside those being read.
_LOOKAHEAD = 2


@dataclass(frozen=True)
class PagePlan:
    """How the pages of a chunk are handled, whatever reads them."""

    max_pixels: int = MAX_PIXELS
    #: a page that is read with less confidence goes to the next method
    min_confidence: float = 0.0
    #: replace page JSON older than this, seconds since the epoch; 0 to replace none
    replace_before: float = 0.0
    #: leave pages alone whose JSON is there
    check_existing: bool = False
    #: calls that had these pages before
    earlier_attempts: int = 0


@dataclass(frozen=True)
class PagesOutcome:
    """What became of a chunk's pages."""

    #: one per page, in order; None for pages that were not reached
    rows: list[LedgerRow | None]
    #: what made the worker stop, when it would stop every other worker too
    fault: ComicOcrError | None = None
    #: paid for pages that were not reached to their end, and so have no row that says it
    unreached_usd: float = 0.0


class PageLoop:
    """Reads pages into a store, by one method or a cascade of them. Used once, by one thread."""

    def __init__(
        self,
        store: Store,
        steps: Sequence[Step],
        plan: PagePlan,
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._steps = steps
        self._plan = plan
        self._should_stop = should_stop
        self._fault: ComicOcrError | None = None
        self._store_failed = False
        self._unreached_usd: list[float] = []
        self._readers: list[ThreadPoolExecutor] = []

    def run(self, pages: Sequence[PageRef]) -> PagesOutcome:
        """Return what became of each page; an error of a page is its row and is not raised.

        Each engine is called from as many threads as its step says. Around them, pages are fetched,
        decoded and written; at most concurrency + 2 x lookahead pages are in memory.
        """
        busiest = max(step.concurrency for step in self._steps)
        with ExitStack() as stack:
            self._readers = [
                stack.enter_context(ThreadPoolExecutor(step.concurrency, "read"))
                for step in self._steps
            ]
            handlers = stack.enter_context(ThreadPoolExecutor(busiest + 2 * _LOOKAHEAD, "page"))
            rows = list(handlers.map(self._handle, pages))
            rows = list(handlers.map(self._look_again, pages, rows))
        return PagesOutcome(rows, self._fault, sum(self._unreached_usd))

    def _handle(self, page: PageRef) -> LedgerRow | None:
        """Return a page's row, None when the call ended before it."""
        readings: list[Reading] = []
        row = self._try_to_settle(page, readings)
        if row is None:
            self._unreached_usd.append(sum(reading.cost_usd for reading in readings))
        return row

    def _look_again(self, page: PageRef, row: LedgerRow | None) -> LedgerRow | None:
        """Return a page's row, `found` where storage failed and yet holds the page JSON.

        A write may be done though its answer was lost; and while storage is away, the page JSON of
        an earlier call cannot be seen. Without this the page would be counted as failed.
        """
        if row is None or row.code != StorageError.code:
            return row
        try:
            if not self._is_done(page):
                return row
        except (PageError, StorageError):
            return row
        settled = {"code": "", "message": "", "retryable": False, "source": ""}
        return msgspec.structs.replace(row, status="found", **settled)

    def _try_to_settle(self, page: PageRef, readings: list[Reading]) -> LedgerRow | None:
        try:
            return None if self._stopped() else self._settle(page, readings)
        except (UsageError, BackendError) as error:
            self._fault = self._fault or error
            return None
        except Exception as error:  # noqa: BLE001 (a page's error, of any engine, is its row)
            if self._stopped() and describe_error(error).retryable:
                return None
            return self._failure_row(page, error, readings)

    def _settle(self, page: PageRef, readings: list[Reading]) -> LedgerRow | None:
        if self._plan.check_existing and retry_call(lambda: self._is_done(page)):
            return self._make_row(page, "found")
        fetched = retry_call(lambda: fetch_page(page, self._plan.max_pixels))
        result = self._read(page, fetched, readings)
        if result is None:
            return None
        return self._write(page, result, readings, len(fetched.image.data))

    def _is_done(self, page: PageRef) -> bool:
        try:
            entry = self._store.head(result_key(page.canonical_id))
        except SourceNotFoundError:
            return False
        return entry.modified_at.timestamp() >= self._plan.replace_before

    def _read(self, page: PageRef, fetched: Fetched, readings: list[Reading]) -> PageResult | None:
        """Return the result of the method that read the page well enough, else of the last.

        A method that fails for good, such as an API that rejects the image, is as one that read the
        page badly, and is named in the warnings. What may pass fails the page, so that it can be
        tried again; so does the failure of all.
        """
        results: list[PageResult] = []
        warnings: list[str] = []
        failure: Exception | None = None
        for step, readers in zip(self._steps, self._readers, strict=True):
            try:
                result = readers.submit(self._read_once, step, page, fetched).result()
            except (UsageError, BackendError):
                raise
            except Exception as error:
                facts = describe_error(error)
                readings.append(Reading(method=step.method, code=facts.code, **_costs_of(error)))
                if facts.retryable:
                    raise
                warnings.append(f"{step.method} failed: {facts.message}")
                failure = error
                continue
            if result is None:
                return None
            readings.append(_make_reading(step.method, result))
            results.append(result)
            if not needs_next_method(results, self._plan.min_confidence):
                break
        if not results:
            raise failure or RuntimeError("a job without methods")
        return _add_warnings(results[-1], warnings)

    def _read_once(self, step: Step, page: PageRef, fetched: Fetched) -> PageResult | None:
        if self._stopped():
            return None
        try:
            loaded = step.load()
            return retry_call(lambda: recognize_page(page, fetched, loaded.engine, loaded.plan))
        except (UsageError, BackendError) as error:
            # Noted here, in the engine's own thread, so that it is given no further page.
            self._fault = self._fault or error
            raise

    def _write(
        self, page: PageRef, result: PageResult, readings: list[Reading], image_bytes: int
    ) -> LedgerRow:
        key = result_key(page.canonical_id)
        overwrite = self._plan.replace_before > 0
        try:
            data = msgspec.json.encode(result)
            written = retry_call(lambda: self._store.put(key, data, overwrite=overwrite))
        except Exception as error:  # noqa: BLE001 (what no engine's metadata may break)
            # Read no further: if the ledger can be written the fault is this page's own, and
            # the driver sends the rest again; if not, it is the store's, and so is the chunk's.
            self._store_failed |= isinstance(error, StorageError)
            return self._failure_row(page, error, readings)
        row = self._make_row(page, "done" if written else "found", readings)
        timing = msgspec.structs.asdict(result.timing)
        del timing["ocr_s"]
        return msgspec.structs.replace(row, image_bytes=image_bytes, **timing)

    def _stopped(self) -> bool:
        return self._fault is not None or self._store_failed or self._should_stop()

    def _make_row(
        self,
        page: PageRef,
        status: Literal["done", "found", "failed"],
        readings: Sequence[Reading] = (),
    ) -> LedgerRow:
        return LedgerRow(
            canonical_id=page.canonical_id,
            status=status,
            at=time.time(),
            attempts=page.attempts + self._plan.earlier_attempts + 1,
            readings=tuple(readings) if len(self._steps) > 1 else (),
            **{name: sum(getattr(r, name) for r in readings) for name in ("ocr_s", *_COSTS)},
        )

    def _failure_row(
        self, page: PageRef, error: BaseException, readings: Sequence[Reading]
    ) -> LedgerRow:
        facts = describe_error(error)
        return msgspec.structs.replace(
            self._make_row(page, "failed", readings),
            code=facts.code,
            message=facts.message[:500],
            retryable=facts.retryable,
            source=page.source,
        )


_COSTS = ("input_tokens", "output_tokens", "cost_usd")


def _make_reading(method: str, result: PageResult) -> Reading:
    usage = result.usage
    return Reading(
        method=method,
        confidence=result.confidence,
        ocr_s=result.timing.ocr_s,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        # An answer that was kept had been paid before.
        cost_usd=0.0 if usage.cached else usage.cost_usd,
    )


def _costs_of(error: BaseException) -> dict[str, Any]:
    """Return what a page that failed has cost all the same."""
    spent = error.spent if isinstance(error, PageError) else {}
    return {name: spent[name] for name in _COSTS if name in spent}


def _add_warnings(result: PageResult, texts: list[str]) -> PageResult:
    return msgspec.structs.replace(result, warnings=[*result.warnings, *texts])


def retry_call(action: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Return what the action returns, tried again after a pause when its error is retryable.

    Pauses double, with jitter, so that workers that failed together do not come back together.
    What was tried again where it was raised is raised at once: a StorageError by storage.py, an
    exhausted PageError by its engine.
    """
    for attempt in range(1, MAX_TRIES):
        try:
            return action()
        except ComicOcrError as error:
            tried = isinstance(error, StorageError) or getattr(error, "exhausted", False)
            if tried or not error.retryable:
                raise
        sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
    return action()

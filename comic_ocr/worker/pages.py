"""The loop over a chunk's pages: each ends in a row; fetch and write overlap with recognition."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

from comic_ocr.engines import Engine
from comic_ocr.errors import (
    BackendError,
    ComicOcrError,
    SourceNotFoundError,
    StorageError,
    UsageError,
    describe_error,
)
from comic_ocr.page import LedgerRow, PageRef, PageResult, result_key
from comic_ocr.storage import Store
from comic_ocr.worker.read import Fetched, ReadPlan, fetch_page, recognize_page

T = TypeVar("T")

#: Tries of one step of a page within one call, when what failed may pass.
MAX_TRIES = 3
_FIRST_PAUSE_S = 0.5
#: Pages fetched and decoded ahead of recognition, and results on their way to the store.
_LOOKAHEAD = 2


@dataclass(frozen=True)
class PagesOutcome:
    """What became of a chunk's pages."""

    #: one per page, in order; None for pages that were not reached
    rows: list[LedgerRow | None]
    #: what made the worker stop, when it would stop every other worker too
    fault: ComicOcrError | None = None


class PageLoop:
    """Reads pages into a store, with a loaded engine. Used once, by one thread."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        plan: ReadPlan,
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._engine = engine
        self._plan = plan
        self._should_stop = should_stop
        self._fault: ComicOcrError | None = None
        self._store_failed = False

    def run(self, pages: Sequence[PageRef], *, concurrency: int = 1) -> PagesOutcome:
        """Return what became of each page; an error of a page is its row and is not raised.

        Fetching and decoding of the next pages, and writing of the last, happen in threads beside
        recognition. At most `concurrency` + 2 x lookahead + 1 pages are in memory.

        Args:
            pages: what to read.
            concurrency: pages in recognition at once; the engine is called from as many threads.
        """
        ahead = concurrency + _LOOKAHEAD
        fetched: deque[tuple[PageRef, Future[Fetched | None]]] = deque()
        reading: deque[Future[Future[LedgerRow | None]]] = deque()
        rows: list[LedgerRow | None] = []
        with (
            ThreadPoolExecutor(ahead, "fetch") as fetchers,
            ThreadPoolExecutor(concurrency, "read") as readers,
            ThreadPoolExecutor(_LOOKAHEAD, "write") as writers,
        ):
            for page in pages:
                fetched.append((page, fetchers.submit(self._fetch, page)))
                if len(fetched) > _LOOKAHEAD:
                    reading.append(readers.submit(self._read, *fetched.popleft(), writers))
                if len(reading) > concurrency:
                    rows.append(reading.popleft().result().result())
            reading.extend(readers.submit(self._read, *item, writers) for item in fetched)
            rows.extend(future.result().result() for future in reading)
        return PagesOutcome(rows, self._fault)

    def _fetch(self, page: PageRef) -> Fetched | None:
        """Return the page's image, None when its JSON is there already."""
        if self._stopped():
            return None
        if self._plan.check_existing and retry_call(lambda: self._is_done(page)):
            return None
        return retry_call(lambda: fetch_page(page, self._plan))

    def _is_done(self, page: PageRef) -> bool:
        try:
            entry = self._store.head(result_key(page.canonical_id))
        except SourceNotFoundError:
            return False
        return entry.modified_at.timestamp() >= self._plan.replace_before

    def _read(
        self, page: PageRef, fetching: Future[Fetched | None], writers: ThreadPoolExecutor
    ) -> Future[LedgerRow | None]:
        """Return the future of a page's row."""
        row: LedgerRow | None
        try:
            fetched = fetching.result()
            if self._stopped():
                row = None
            elif fetched is None:
                row = self._make_row(page, "found")
            else:
                result = retry_call(lambda: recognize_page(page, fetched, self._engine, self._plan))
                return writers.submit(self._write, page, result, len(fetched.image.data))
        except (UsageError, BackendError) as error:
            self._fault = error
            row = None
        except Exception as error:  # noqa: BLE001 (a page's error, of any engine, is its row)
            row = self._failure_row(page, error)
        settled: Future[LedgerRow | None] = Future()
        settled.set_result(row)
        return settled

    def _write(self, page: PageRef, result: PageResult, image_bytes: int) -> LedgerRow:
        key = result_key(page.canonical_id)
        overwrite = self._plan.replace_before > 0
        try:
            data = msgspec.json.encode(result)
            written = retry_call(lambda: self._store.put(key, data, overwrite=overwrite))
        except Exception as error:  # noqa: BLE001 (what no engine's metadata may break)
            # Read no further: if the ledger can be written the fault is this page's own, and
            # the driver sends the rest again; if not, it is the store's, and so is the chunk's.
            self._store_failed |= isinstance(error, StorageError)
            return self._failure_row(page, error)
        return self._make_row(page, "done" if written else "found", result, image_bytes)

    def _stopped(self) -> bool:
        return self._fault is not None or self._store_failed or self._should_stop()

    def _make_row(
        self,
        page: PageRef,
        status: Literal["done", "found"],
        result: PageResult | None = None,
        image_bytes: int = 0,
    ) -> LedgerRow:
        spent: dict[str, Any] = {}
        if result is not None:
            spent = {
                **msgspec.structs.asdict(result.timing),
                **msgspec.structs.asdict(result.usage),
            }
        return LedgerRow(
            canonical_id=page.canonical_id,
            status=status,
            at=time.time(),
            attempts=self._attempts(page),
            image_bytes=image_bytes,
            **spent,
        )

    def _failure_row(self, page: PageRef, error: BaseException) -> LedgerRow:
        facts = describe_error(error)
        return LedgerRow(
            canonical_id=page.canonical_id,
            status="failed",
            at=time.time(),
            attempts=self._attempts(page),
            code=facts.code,
            message=facts.message[:500],
            retryable=facts.retryable,
            source=page.source,
        )

    def _attempts(self, page: PageRef) -> int:
        return page.attempts + self._plan.earlier_attempts + 1


def retry_call(action: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Return what the action returns, tried again after a pause when its error is retryable.

    Pauses double, with jitter, so that workers that failed together do not come back together.
    A StorageError is raised at once: storage.py has tried again before it raised that.
    """
    for attempt in range(1, MAX_TRIES):
        try:
            return action()
        except ComicOcrError as error:
            if not error.retryable or isinstance(error, StorageError):
                raise
        sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
    return action()

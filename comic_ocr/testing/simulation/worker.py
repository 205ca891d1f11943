"""What a worker leaves behind: pages and ledger in the real store, a report or a loss."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np

from comic_ocr._version import __version__
from comic_ocr.backends import CallLoss
from comic_ocr.errors import (
    NotAnImageError,
    OutOfMemoryError,
    PageTimeoutError,
    SourceNotFoundError,
    StorageError,
    WorkerLostError,
)
from comic_ocr.page import (
    ChunkReport,
    EngineFacts,
    ImageFacts,
    LedgerRow,
    PageRef,
    PageResult,
    Timing,
    result_key,
)
from comic_ocr.storage import open_store
from comic_ocr.testing.simulation.faults import CloudModel, Fate, draw_page_times
from comic_ocr.worker import ChunkTask
from comic_ocr.worker.pages import PagesOutcome
from comic_ocr.worker.task import make_report, price_rows, read_slices, write_ledger

#: Times the memory of a call, that a page which wants more may need.
_NEEDS = (1.5, 3.0, 6.0)

Stop = Literal["end", "deadline", "killed", "storage_error", "out_of_memory", "timeout"]
PageWriter = Callable[[PageRef, float, float], bytes]

_LOSSES: dict[Stop, CallLoss] = {
    "killed": CallLoss(WorkerLostError.code, "the worker's process was killed"),
    "storage_error": CallLoss(StorageError.code, "the store answers 503"),
    "out_of_memory": CallLoss(OutOfMemoryError.code, "the worker ran out of memory"),
    "timeout": CallLoss(PageTimeoutError.code, "the function's time was over"),
}


def write_stub(page: PageRef, _at: float, _ocr_s: float) -> bytes:
    """Return JSON that counts as a page where nobody reads it."""
    return b'{"canonical_id":%b}' % msgspec.json.encode(page.canonical_id)


def write_page(page: PageRef, at: float, ocr_s: float) -> bytes:
    """Return a PageResult without text, read at that second since the epoch."""
    result = PageResult(
        canonical_id=page.canonical_id,
        source_image_path=page.source,
        ocr_method="simulated",
        timestamp=datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        text_regions=[],
        full_text="",
        num_regions=0,
        image=ImageFacts(width=1, height=1, format="PNG", sha256="0" * 64),
        engine=EngineFacts(name="simulated", version=__version__),
        timing=Timing(ocr_s=ocr_s),
        package_version=__version__,
    )
    return msgspec.json.encode(result)


@dataclass(frozen=True)
class DeadlyPages:
    """Pages that their workers die of, by id."""

    #: whatever the worker is given
    poison: frozenset[str] = frozenset()
    #: unless its memory is at least this, in MiB; grows with calls whose fate is out_of_memory
    needs_mb: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.poison or self.needs_mb)


class PlayedWorker:
    """The worker of one call. Its pages appear in the store as virtual time goes on."""

    def __init__(
        self,
        task: ChunkTask,
        fate: Fate,
        model: CloudModel,
        random: np.random.Generator,
        *,
        deadly: DeadlyPages,
        write: PageWriter = write_stub,
    ) -> None:
        self._task = task
        self._fate = fate
        self._model = model
        self._random = random
        self._deadly = deadly
        self._write = write
        self._store = open_store(task.spec.output)
        self._rows: list[LedgerRow | None] = []
        self._pages: list[PageRef] = []
        self._found: list[bool] = []
        self._ocr_s: list[float] = []
        self._ends_s: list[float] = []
        self._began = 0.0
        self._epoch = 0.0
        #: how it ends, once it has begun
        self.stop: Stop = "end"
        self._reached = 0
        #: seconds from begin to end
        self.wall_s = 0.0
        #: of pages that nobody had read before, so far
        self.useful_s = 0.0
        self.written = 0

    def begin(self, now: float, epoch: float) -> None:
        """Read the plan and decide how the call goes; `epoch` is `now` since 1970."""
        self._began, self._epoch = now, epoch
        self._pages = read_slices(self._store, self._task.chunk)
        self._found = self._look_for_pages()
        times = draw_page_times(self._model, self._fate, len(self._pages), self._random)
        self._ocr_s = np.round(times, 3).tolist()
        took = times + (self._model.slow_storage_s if self._fate == "slow_storage" else 0.0)
        if self._found:
            took = np.where(self._found, self._model.found_s, took)
        self._ends_s = (self._model.load_s + np.cumsum(took)).tolist()
        self._reached, self.stop = min(self._find_stops())
        self.wall_s = self._find_wall()

    def _look_for_pages(self) -> list[bool]:
        spec, chunk = self._task.spec, self._task.chunk
        if not (spec.check_existing or chunk.attempt > 1 or self._task.copy):
            return []
        return [self._is_done(page) for page in self._pages]

    def _is_done(self, page: PageRef) -> bool:
        try:
            entry = self._store.head(result_key(page.canonical_id))
        except SourceNotFoundError:
            return False
        return entry.modified_at.timestamp() >= self._task.spec.replace_before

    def _find_stops(self) -> list[tuple[int, Stop]]:
        """Return what would stop the worker, each with the pages that it settles before."""
        count = len(self._pages)
        stops: list[tuple[int, Stop]] = [(count, "end")]
        deadline_s = self._task.spec.deadline_s
        if self._fate == "deadline":
            deadline_s = float(self._random.uniform(0, self._ends_s[-1]))
        if deadline_s:
            starts = [self._model.load_s, *self._ends_s[:-1]]
            stops.append((bisect_right(starts, deadline_s), "deadline"))
        stops.append((bisect_right(self._ends_s, self._model.timeout_s), "timeout"))
        if self._fate == "killed":
            stops.append((int(self._random.integers(count)), "killed"))
        if self._fate == "storage_error":
            stops.append((int(self._random.integers(count)), "storage_error"))
        if self._deadly or self._fate == "out_of_memory":
            stops += self._find_deadly_page()
        return [stop for stop in stops if stop[0] < count or stop[1] == "end"]

    def _find_deadly_page(self) -> list[tuple[int, Stop]]:
        memory_mb = self._task.memory_mb or self._model.memory_mb
        unread = [i for i in range(len(self._pages)) if not (self._found and self._found[i])]
        if self._fate == "out_of_memory" and unread:
            page = self._pages[int(self._random.choice(unread))]
            need_mb = memory_mb * float(self._random.choice(_NEEDS))
            self._deadly.needs_mb.setdefault(
                page.canonical_id, min(need_mb, float(self._model.most_memory_mb))
            )
        for i in unread:
            page_id = self._pages[i].canonical_id
            if page_id in self._deadly.poison:
                return [(i, "killed")]
            if self._deadly.needs_mb.get(page_id, 0.0) > memory_mb:
                return [(i, "out_of_memory")]
        return []

    def _find_wall(self) -> float:
        if self.stop in ("end", "deadline"):
            return self._ends_s[self._reached - 1] if self._reached else self._model.load_s
        if self.stop == "timeout":
            return self._model.timeout_s
        return self._ends_s[self._reached]

    def write_until(self, now: float) -> None:
        """Write the pages that are read by then."""
        self._write_first(bisect_right(self._ends_s, now - self._began))

    def _write_first(self, count: int) -> None:
        for i in range(len(self._rows), min(count, self._reached)):
            self._rows.append(self._settle(i))

    def _settle(self, i: int) -> LedgerRow:
        page = self._pages[i]
        at = self._epoch + self._ends_s[i]
        attempts = page.attempts + self._task.chunk.attempt
        if self._found and self._found[i]:
            return LedgerRow(
                canonical_id=page.canonical_id, status="found", at=at, attempts=attempts
            )
        ocr_s = self._ocr_s[i]
        if self._model.unreadable_share and self._is_unreadable(page):
            self.useful_s += ocr_s
            return LedgerRow(
                canonical_id=page.canonical_id,
                status="failed",
                at=at,
                attempts=attempts,
                code=NotAnImageError.code,
                message="no image of any kind",
                source=page.source,
                ocr_s=ocr_s,
            )
        data = self._write(page, at, ocr_s)
        overwrite = self._task.spec.replace_before > 0
        written = self._store.put(result_key(page.canonical_id), data, overwrite=overwrite)
        if written:
            self.useful_s += ocr_s
            self.written += 1
        return LedgerRow(
            canonical_id=page.canonical_id,
            status="done" if written else "found",
            at=at,
            attempts=attempts,
            ocr_s=ocr_s,
        )

    def _is_unreadable(self, page: PageRef) -> bool:
        """The same pages in every call, of any seed."""
        return zlib.crc32(page.canonical_id.encode()) < self._model.unreadable_share * 2**32

    def end(self) -> ChunkReport | CallLoss:
        """Write what is left to write, and return what the driver may hear of it."""
        self._write_first(self._reached)
        if self.stop in _LOSSES:
            return _LOSSES[self.stop]
        chunk = self._task.chunk
        unreached: list[LedgerRow | None] = [None] * (len(self._pages) - len(self._rows))
        outcome = PagesOutcome(self._rows + unreached)
        took = {"load_s": self._model.load_s, "wall_s": self.wall_s}
        write_ledger(self._store, self._task, price_rows(self._task, outcome.rows, **took))
        report = make_report(chunk, outcome, **took)
        memory_mb = self._task.memory_mb or self._model.memory_mb
        return msgspec.structs.replace(report, peak_memory_mb=memory_mb // 2)

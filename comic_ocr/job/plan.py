"""From manifest rows to chunks.

The plan is written once, as lines of PageRef in part objects; a chunk is a set of byte ranges of
one part. So chunks can be cut at any size while the job runs, and a million pages take the driver
eight bytes each.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass, field, replace

import msgspec

from comic_ocr.page import STATE_PREFIX, ChunkRef, PageRef, Runs, find_runs
from comic_ocr.storage import Store

#: A part object ends at this size, so that the driver never holds more of the plan.
_PART_BYTES = 8 << 20
#: Aim for calls of at most this length: long enough to hide a start, short enough to lose.
MAX_CHUNK_S = 90.0
#: Seconds of a call before its engine loads: a new process and its imports.
START_S = 0.8
#: A call should work this many times longer than it takes to start and load, and at the very end
#: of a job, where workers would else stand idle, at least this many times.
_WORK_PER_START = 6.0
_LEAST_WORK_PER_START = 1.0
#: Chunks shrink toward the end: each takes this share of a fair split of what is left.
_SHRINK = 1.5
MAX_CHUNK_PAGES = 2000

#: Pages of one group can share a chunk: (method, languages).
Group = tuple[str, tuple[str, ...]]


@dataclass
class PlanPart:
    """One plan object: where each of its rows begins, and after the last, its end."""

    key: str
    group: Group
    offsets: array[int]

    @property
    def rows(self) -> int:
        return len(self.offsets) - 1


@dataclass
class _OpenPart:
    lines: bytearray = field(default_factory=bytearray)
    offsets: array[int] = field(default_factory=lambda: array("Q", [0]))


class PlanWriter:
    """Collects pages by group and writes full parts to the store."""

    def __init__(self, store: Store, run_id: str, *, dry_run: bool = False) -> None:
        self._dry_run = dry_run
        self._store = store
        self._prefix = f"{STATE_PREFIX}/plan/{run_id}"
        self._encoder = msgspec.json.Encoder()
        self._open: dict[Group, _OpenPart] = {}
        self._parts: list[PlanPart] = []

    def add(self, page: PageRef, group: Group) -> None:
        """Append a page to its group's part."""
        part = self._open.setdefault(group, _OpenPart())
        part.lines += self._encoder.encode(page) + b"\n"
        part.offsets.append(len(part.lines))
        if len(part.lines) >= _PART_BYTES:
            self._write(group)

    def _write(self, group: Group) -> None:
        part = self._open.pop(group)
        key = f"{self._prefix}/part-{len(self._parts):05d}.jsonl"
        if not self._dry_run:
            self._store.put(key, bytes(part.lines), overwrite=True)
        self._parts.append(PlanPart(key, group, part.offsets))

    def finish(self) -> list[PlanPart]:
        """Write what is left and return all parts."""
        for group in list(self._open):
            self._write(group)
        return self._parts

    def discard(self) -> None:
        """Delete the parts written so far."""
        for part in self._parts:
            self._store.delete(part.key)


@dataclass(frozen=True)
class Chunk:
    """Pages for one call, as the driver keeps them: runs of rows of a plan part."""

    chunk_id: str
    part: PlanPart
    runs: Runs
    attempt: int = 1
    #: memory of its call; 0 for the job's
    memory_mb: int = 0
    #: calls that died with these pages or more, and with just these
    deaths: int = 0
    deaths_alone: int = 0
    #: calls with these pages or more that could not use the storage
    storage_losses: int = 0

    @property
    def pages(self) -> int:
        return sum(stop - start for start, stop in self.runs)

    def to_ref(self) -> ChunkRef:
        """Return what the worker gets."""
        offsets = self.part.offsets
        method, languages = self.part.group
        return ChunkRef(
            chunk_id=self.chunk_id,
            plan_key=self.part.key,
            slices=tuple((offsets[start], offsets[stop]) for start, stop in self.runs),
            pages=self.pages,
            method=method,
            languages=languages,
            attempt=self.attempt,
        )

    def pick(self, runs: Runs) -> Runs:
        """Return rows of the part for runs of the chunk's own page numbers."""
        rows = [row for start, stop in self.runs for row in range(start, stop)]
        return find_runs([rows[i] for start, stop in runs for i in range(start, stop)])


class Backlog:
    """Pages that wait for a call. Chunks that come back go first, as they are."""

    def __init__(self, parts: list[PlanPart]) -> None:
        self._parts = deque(parts)
        self._row = 0
        self._returned: deque[Chunk] = deque()
        self._next_id = 0
        self.pages = sum(part.rows for part in parts)

    def take(self, size: int) -> Chunk:
        """Return the next chunk, of at most `size` new pages; there must be some."""
        if self._returned:
            chunk = self._returned.popleft()
            self.pages -= chunk.pages
            return chunk
        part = self._parts[0]
        stop = min(self._row + size, part.rows)
        chunk = Chunk(self._name(), part, ((self._row, stop),))
        self._row = stop
        if stop == part.rows:
            self._parts.popleft()
            self._row = 0
        self.pages -= chunk.pages
        return chunk

    def give_back(
        self, chunk: Chunk, *, runs: Runs | None = None, attempt: int | None = None
    ) -> None:
        """Take pages back for a further call: all of the chunk's, or runs of its part's rows.

        Args:
            chunk: what the call had.
            runs: rows of the part; None for all of the chunk's.
            attempt: number of the further call; None for the chunk's own.
        """
        again = replace(chunk, attempt=attempt or chunk.attempt)
        if runs is not None:
            again = replace(again, chunk_id=self._name(), runs=runs, deaths_alone=0)
        self._returned.append(again)
        self.pages += again.pages

    def _name(self) -> str:
        self._next_id += 1
        return f"{self._next_id:06d}"


def size_chunk(
    pages_left: int,
    *,
    workers: int,
    page_s: float,
    load_s: float,
    max_s: float = MAX_CHUNK_S,
) -> int:
    """Return how many pages the next call should take.

    Guided self-scheduling: a share of what is left, so that chunks shrink toward the end and all
    workers end together; long enough to be worth its start, and within max_s.

    Args:
        pages_left: pages that wait.
        workers: calls at once.
        page_s: worker seconds per page, typical or measured.
        load_s: seconds before a call's first page.
        max_s: longest wanted call.
    """
    page_s = max(page_s, 1e-3)
    start_s = START_S + load_s
    # A single worker has nobody to end together with.
    share_s = pages_left * page_s / (_SHRINK * workers if workers > 1 else 1)
    wanted_s = min(max(share_s, _WORK_PER_START * start_s), max_s)
    even_split_s = pages_left * page_s / workers
    least_s = min(_LEAST_WORK_PER_START * start_s, max_s)
    size = math.ceil(max(min(wanted_s, even_split_s), least_s) / page_s)
    return max(1, min(size, pages_left, MAX_CHUNK_PAGES))


def split_runs(runs: Runs, parts: int = 8) -> list[Runs]:
    """Return the rows of the runs in about equal parts, fewer where there are fewer rows."""
    rows = [row for start, stop in runs for row in range(start, stop)]
    size = -(-len(rows) // parts)
    return [find_runs(rows[start : start + size]) for start in range(0, len(rows), size)]

"""The record of a job's calls: what each one did, took and cost.

JSON lines at `_comic_ocr/calls/{run}/{part}.jsonl`, written by the driver. A part of 1,000 calls is
written once; the last one of a run is written again as it grows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Literal, TypeVar

import msgspec

from comic_ocr.errors import PageError, SourceNotFoundError, StorageError
from comic_ocr.page import STATE_PREFIX
from comic_ocr.storage import Store

CALLS_PREFIX = f"{STATE_PREFIX}/calls"
PART_CALLS = 1000
_READERS = 16
#: Objects asked for before they are wanted; more would only wait in memory.
_AHEAD = 32

Outcome = Literal["done", "lost", "superseded"]
K = TypeVar("K")
V = TypeVar("V")


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call that ended. Times are seconds since the epoch, as the driver saw them."""

    chunk_id: str
    attempt: int
    #: 0 for the first call of a chunk's attempt, 1 for its backup
    copy: int = 0
    pages: int = 0
    #: superseded: its other copy was first
    outcome: Outcome
    #: why it was lost
    code: str = ""
    memory_mb: int = 0
    submitted_at: float
    ended_at: float
    #: as the worker says; of a lost call what the driver waited
    worker_s: float = 0.0
    load_s: float = 0.0
    #: engine time summed over the pages
    ocr_s: float = 0.0
    done: int = 0
    found: int = 0
    failed: int = 0
    compute_usd: float = 0.0
    api_usd: float = 0.0
    peak_memory_mb: int = 0


class CallLog:
    """Collects a run's calls. Holds those of the open part and those since the last flush."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._prefix = f"{CALLS_PREFIX}/{run_id}"
        self._encoder = msgspec.json.Encoder()
        self._lines: list[bytes] = []
        self._part = 0
        self._written = 0

    def add(self, record: CallRecord) -> None:
        """Remember a call. Writes nothing, so it cannot fail."""
        self._lines.append(self._encoder.encode(record) + b"\n")

    def flush(self) -> None:
        """Write what is new since the last flush.

        Raises:
            StorageError: nothing is lost; the next flush writes it too. Retryable.
        """
        while len(self._lines) > self._written:
            lines = self._lines[:PART_CALLS]
            self._put(b"".join(lines))
            self._written = len(lines)
            if len(lines) == PART_CALLS:
                del self._lines[:PART_CALLS]
                self._part += 1
                self._written = 0

    def _put(self, data: bytes) -> None:
        try:
            self._store.put(f"{self._prefix}/{self._part:05d}.jsonl", data, overwrite=True)
        except PageError as error:
            # Of the store, not of a page: access that was taken away, say.
            raise StorageError(error.message, hint=error.hint) from error


def read_calls(store: Store) -> Iterator[CallRecord]:
    """Yield the calls of all runs, older runs first, in the order in which they ended.

    Raises:
        StorageError: an object is no record of this version. Retryable.
    """
    keys = sorted(e.key for e in store.list(CALLS_PREFIX) if e.key.endswith(".jsonl"))
    for calls in read_ahead(lambda key: _read_part(store, key), keys):
        yield from calls


def _read_part(store: Store, key: str) -> list[CallRecord]:
    try:
        return msgspec.json.Decoder(CallRecord).decode_lines(store.get(key))
    except SourceNotFoundError:
        # Listed a moment ago: a run that overwrites has deleted it.
        return []
    except msgspec.DecodeError as error:
        raise StorageError(
            f"{store.locate(key)} is not a record of calls of this version: {error}",
            hint="delete it: it is only shown, and nothing rests on it",
        ) from error


def read_ahead(read: Callable[[K], V], keys: Iterable[K]) -> Iterator[V]:
    """Yield what is read for each key, in order; a few are read at once, ahead of their use.

    Unlike the map of a pool it holds no more than those few, however slowly they are used.
    """
    waiting = iter(keys)
    with ThreadPoolExecutor(_READERS) as readers:
        ahead: deque[Future[V]] = deque()
        try:
            ahead.extend(readers.submit(read, key) for key in islice(waiting, _AHEAD))
            while ahead:
                value = ahead.popleft().result()
                ahead.extend(readers.submit(read, key) for key in islice(waiting, 1))
                yield value
        finally:
            for future in ahead:
                future.cancel()

"""The record of calls: written in parts, read back in order, and never in the way of a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from comic_ocr.errors import SourceDeniedError, StorageError
from comic_ocr.job.history import CALLS_PREFIX, CallLog, CallRecord, read_ahead, read_calls
from comic_ocr.storage import Entry, Store, open_store


def call(number: int, **what) -> CallRecord:
    facts = {"outcome": "done", "submitted_at": 100.0 + number, "ended_at": 101.0 + number}
    return CallRecord(chunk_id=f"{number:06d}", attempt=1, **{**facts, **what})


class WatchedStore(Store):
    """A store that remembers what was put, and fails as often as it is told to."""

    def __init__(self, url: str) -> None:
        inner = open_store(url)
        super().__init__(inner.url, inner._backing, inner._prefix)
        self.puts: list[str] = []
        self.faults: list[Exception] = []

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> bool:
        if self.faults:
            raise self.faults.pop()
        self.puts.append(key.removeprefix(f"{CALLS_PREFIX}/"))
        return super().put(key, data, overwrite=overwrite)


@pytest.fixture
def store(memory_url: str) -> WatchedStore:
    return WatchedStore(memory_url)


def test_calls_are_read_as_they_were_added(store: WatchedStore) -> None:
    calls = [
        call(1, pages=7, done=6, failed=1, memory_mb=512, worker_s=2.5, load_s=0.5, ocr_s=1.5),
        call(2, copy=1, outcome="superseded", compute_usd=0.001, api_usd=0.002, found=3),
        call(3, outcome="lost", code="worker_lost", peak_memory_mb=300),
    ]
    log = CallLog(store, "r1")
    for record in calls:
        log.add(record)
    log.flush()
    assert list(read_calls(store)) == calls


def test_older_runs_come_first_and_each_in_the_order_of_its_calls(store: WatchedStore) -> None:
    for run in ("20260102T00", "20260101T00"):
        log = CallLog(store, run)
        for number in range(2100):
            log.add(call(number, code=run, outcome="lost"))
        log.flush()
    read = [(record.code, record.chunk_id) for record in read_calls(store)]
    assert read == sorted(read)
    assert len(read) == 4200


def test_a_field_with_its_default_is_not_written(store: WatchedStore) -> None:
    log = CallLog(store, "r1")
    log.add(call(1))
    log.flush()
    assert set(store.get(f"{CALLS_PREFIX}/r1/00000.jsonl").split(b'"')[1::2]) == {
        b"chunk_id", b"000001", b"attempt", b"outcome", b"done", b"submitted_at", b"ended_at"
    }  # fmt: skip


def test_a_full_part_is_written_once_and_the_open_one_again(store: WatchedStore) -> None:
    log = CallLog(store, "r1")
    for number in range(2500):
        log.add(call(number))
        if number % 400 == 0:
            log.flush()
    log.flush()
    written = [key.removeprefix("r1/").removesuffix(".jsonl") for key in store.puts]
    # After 1, 401, 801, 1201, 1601, 2001, 2401 and 2500 calls.
    assert written == ["00000"] * 4 + ["00001"] * 3 + ["00002"] * 3
    assert len(list(read_calls(store))) == 2500


def test_nothing_new_is_not_written(store: WatchedStore) -> None:
    log = CallLog(store, "r1")
    log.flush()
    assert store.puts == []
    for number in range(1000):
        log.add(call(number))
    log.flush()
    log.flush()
    assert store.puts == ["r1/00000.jsonl"]


@pytest.mark.parametrize(
    "fault", [StorageError("the store is away"), SourceDeniedError("not allowed any more")]
)
def test_what_a_store_did_not_take_is_written_by_the_next_flush(
    store: WatchedStore, fault: Exception
) -> None:
    log = CallLog(store, "r1")
    for number in range(1500):
        log.add(call(number))
    store.faults = [fault]
    with pytest.raises(StorageError, match=str(fault)):
        log.flush()
    assert list(read_calls(store)) == []
    log.add(call(1500))
    log.flush()
    assert [record.chunk_id for record in read_calls(store)] == [f"{n:06d}" for n in range(1501)]


def test_a_job_without_a_record_has_no_calls(store: WatchedStore) -> None:
    assert list(read_calls(store)) == []


def test_a_record_that_is_none_is_named(store: WatchedStore) -> None:
    store.put(f"{CALLS_PREFIX}/r1/00000.jsonl", b'{"chunk_id": 3}\n')
    with pytest.raises(StorageError, match=r"r1/00000\.jsonl is not a record of calls"):
        list(read_calls(store))


class ForgetfulStore(WatchedStore):
    """A store that lists an object which another program has just deleted."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        yield from super().list(prefix)
        yield next(super().list(prefix))._replace(key=f"{CALLS_PREFIX}/r0/00000.jsonl")


def test_a_part_that_is_gone_since_the_listing_is_left_out(memory_url: str) -> None:
    store = ForgetfulStore(memory_url)
    log = CallLog(store, "r1")
    log.add(call(1))
    log.flush()
    assert [record.chunk_id for record in read_calls(store)] == ["000001"]


def test_reading_ahead_keeps_the_order() -> None:
    def read(key: int) -> int:
        time.sleep(0.002 * (key % 5))
        return key

    assert list(read_ahead(read, range(200))) == list(range(200))


def test_reading_ahead_does_not_run_away_from_a_slow_reader() -> None:
    lock, begun = threading.Lock(), []

    def read(key: int) -> int:
        with lock:
            begun.append(key)
        return key

    values = read_ahead(read, range(10_000))
    assert next(values) == 0
    time.sleep(0.05)
    assert len(begun) <= 40
    values.close()
    assert len(begun) <= 40


def test_reading_ahead_passes_on_what_a_read_raises() -> None:
    def read(key: int) -> int:
        if key == 50:
            raise StorageError("away")
        return key

    values = read_ahead(read, range(100))
    with pytest.raises(StorageError, match="away"):
        assert list(values) == []

"""The proxy that makes storage fail, before moto's server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from comic_ocr import storage
from comic_ocr.errors import SourceNotFoundError, StorageError
from comic_ocr.storage import Store, open_store
from comic_ocr.testing.storage_proxy import Faults, StorageProxy
from tests.integration.conftest import wait_until
from tests.integration.test_localhost import is_alive

RETRIES = storage._RETRIES


@pytest.fixture(scope="module")
def running_proxy(moto_endpoint: str) -> Iterator[StorageProxy]:
    with StorageProxy(moto_endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(
    running_proxy: StorageProxy, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> StorageProxy:
    running_proxy.order(Faults())
    running_proxy.go_away(0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", running_proxy.url)
    pauses = {"init_backoff": timedelta(seconds=0.05), "max_backoff": timedelta(1), "base": 2}
    quick = {**storage._RETRIES, "max_retries": 12, "backoff": pauses}
    monkeypatch.setattr(storage, "_RETRIES", quick)
    storage._open_bucket.cache_clear()
    return running_proxy


@pytest.fixture
def store(proxy: StorageProxy, s3_bucket: str) -> Store:
    return open_store(f"s3://{s3_bucket}/out put")


def test_without_faults_everything_passes(store: Store) -> None:
    data = bytes(range(256)) * 8192
    assert store.put("a #1/ü.bin", data)
    assert not store.put("a #1/ü.bin", b"other")
    assert store.get("a #1/ü.bin") == data
    assert store.get_slices("a #1/ü.bin", [(0, 3), (300, 302)]) == [b"\0\1\2", b",-"]
    assert store.open_reader("a #1/ü.bin").read(2) == b"\0\1"
    assert [entry.key for entry in store.list()] == ["a #1/ü.bin"]
    assert store.head("a #1/ü.bin").size == len(data)
    store.delete("a #1/ü.bin")
    with pytest.raises(SourceNotFoundError):
        store.get("a #1/ü.bin")


@pytest.mark.parametrize("fault", ["busy", "error", "drop", "lost", "cut", "slow"])
def test_each_fault_comes_about_as_often_as_ordered_and_is_survived(
    fault: str, store: Store, proxy: StorageProxy
) -> None:
    before = proxy.account()
    proxy.order(Faults(seed=1, slow_s=0.01, **{fault: 0.2}))
    for number in range(20):
        store.put(f"{number}.bin", b"x" * 1000, overwrite=True)
        assert store.get(f"{number}.bin") == b"x" * 1000
    after = proxy.account()
    asked = after["requests"] - before["requests"]
    assert 0.05 < (after[fault] - before.get(fault, 0)) / asked < 0.4


def test_a_lost_answer_leaves_what_was_written(store: Store, proxy: StorageProxy) -> None:
    """So a create-only write that is tried again finds its own object, and changes nothing."""
    proxy.order(Faults(seed=3, lost=0.5))
    created = [store.put(f"{number}.bin", b"mine") for number in range(8)]
    proxy.order(Faults())
    assert not all(created)
    assert all(store.get(f"{number}.bin") == b"mine" for number in range(8))


def test_a_store_that_is_away_comes_back(store: Store, proxy: StorageProxy) -> None:
    proxy.go_away(1)
    started = time.monotonic()
    store.put("a.bin", b"x")
    assert time.monotonic() - started > 0.9
    assert proxy.account()["away"] > 0


def test_six_seconds_without_storage_are_survived_as_it_is_set(
    s3_bucket: str, proxy: StorageProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_RETRIES", RETRIES)
    storage._open_bucket.cache_clear()
    proxy.go_away(6)
    assert open_store(f"s3://{s3_bucket}/out").put("a.bin", b"x")


def test_a_store_that_stays_away_is_a_storage_error(
    s3_bucket: str, proxy: StorageProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_RETRIES", {**storage._RETRIES, "max_retries": 1})
    storage._open_bucket.cache_clear()
    proxy.go_away(60)
    with pytest.raises(StorageError):
        open_store(f"s3://{s3_bucket}/out").put("a.bin", b"x")


def test_an_order_that_is_none_is_refused(proxy: StorageProxy) -> None:
    with pytest.raises(ValueError, match="faults"):
        proxy._control("PUT", "/_proxy/faults", {"busi": 0.5})


def test_the_proxy_ends_with_its_parent() -> None:
    code = (
        "import os, time; from comic_ocr.testing.storage_proxy import StorageProxy\n"
        "p = StorageProxy('http://127.0.0.1:9'); print(p._process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    proxy_pid = int(parent.stdout.readline())
    assert is_alive(proxy_pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    wait_until(lambda: not is_alive(proxy_pid), timeout_s=10)

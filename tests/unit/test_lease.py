"""One driver on an output: who may work there, who takes over, and who finds out."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from comic_ocr.errors import OutputBusyError, StorageError
from comic_ocr.job.holder import LeaseFile, find_life, make_lease_file, read_pid_start
from comic_ocr.job.lease import EXPIRES_S, LEASE_KEY, Lease, may_take_over, read_lease
from comic_ocr.storage import Entry, Store, open_store

HOLDER = """
import sys, time
from comic_ocr.job.lease import Lease
from comic_ocr.storage import open_store
with Lease(open_store(sys.argv[1]), "killed-run"):
    print("held", flush=True)
    time.sleep(120)
"""
needs_proc = pytest.mark.skipif(
    not read_pid_start(os.getpid()), reason="the system has no /proc to tell processes by"
)


@pytest.fixture(params=["memory", "files", "s3"])
def store(request, memory_url, tmp_path):
    if request.param == "s3":
        return open_store(f"s3://{request.getfixturevalue('s3_bucket')}/some output")
    return open_store(memory_url if request.param == "memory" else str(tmp_path / "out"))


@pytest.fixture
def files(tmp_path):
    return open_store(str(tmp_path / "out"))


def put_lease(store: Store, held: LeaseFile) -> LeaseFile:
    store.put(LEASE_KEY, msgspec.json.encode(held), overwrite=True)
    return held


def of_afar(run_id: str = "far-run") -> LeaseFile:
    return LeaseFile(
        owner="abc", run_id=run_id, user="ann", host="far.example", machine="m", pid=os.getpid(),
        pid_start=1, started_at="2026-01-02T03:04:05+00:00",
    )  # fmt: skip


RIVAL = msgspec.structs.replace(of_afar("rival-run"), owner="rival")


def make_old(store: Store, age_s: float) -> None:
    """Set back when the lease of a store of files was renewed."""
    then = time.time() - age_s
    os.utime(store.locate(LEASE_KEY), (then, then))


def lease_of(store: Store, run_id: str = "new-run", **settings) -> Lease:
    return Lease(store, run_id, **{"sleep": lambda _seconds: None, **settings})


def keys(store: Store) -> list[str]:
    return [entry.key for entry in store.list()]


def wait_until(holds) -> None:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def renewers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lease"]


class SlowClockStore(Store):
    """A store whose clock is an hour behind this machine's."""

    def head(self, key: str) -> Entry:
        entry = super().head(key)
        return entry._replace(modified_at=entry.modified_at - timedelta(hours=1))


class BreakableStore(Store):
    """A store that cannot be read while `broken`; counts how often it was asked meanwhile."""

    broken = False
    refused = 0

    def get(self, key: str) -> bytes:
        if self.broken:
            self.refused += 1
            raise StorageError(f"{self.locate(key)}: connection reset")
        return super().get(key)


class RivalStore(Store):
    """A store where another driver takes over as soon as the lease's age was asked."""

    def head(self, key: str) -> Entry:
        entry = super().head(key)
        if key == LEASE_KEY:
            put_lease(self, RIVAL)
        return entry


class LostAnswerStore(Store):
    """A store that writes, but whose first answer is lost, so that the client writes again."""

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> bool:
        super().put(key, data, overwrite=overwrite)
        return super().put(key, data, overwrite=overwrite)


def like(store: Store, kind: type[Store]) -> Store:
    return kind(store.url, store._backing, store._prefix)


def test_a_lease_names_its_process_and_leaves_nothing_behind(store):
    with lease_of(store) as lease:
        held = read_lease(store)
        assert keys(store) == [LEASE_KEY]
        assert (held.run_id, held.pid) == ("new-run", os.getpid())
        assert held.user
        assert held.host
        assert not lease.lost
        assert lease.note == ""
    assert keys(store) == []
    assert renewers() == []


def test_the_second_driver_refuses_and_changes_nothing(store):
    with lease_of(store, "first-run"):
        before = store.get(LEASE_KEY)
        with pytest.raises(OutputBusyError, match="run first-run"):
            lease_of(store).acquire()
        assert store.get(LEASE_KEY) == before
        assert keys(store) == [LEASE_KEY]
    with lease_of(store) as lease:
        assert lease.note == ""


def test_a_lease_is_released_when_the_run_fails(store):
    with pytest.raises(ZeroDivisionError), lease_of(store):
        raise ZeroDivisionError
    assert keys(store) == []


def test_the_refusal_says_who_works_there_and_what_to_do(files):
    put_lease(files, of_afar())
    make_old(files, 30)
    with pytest.raises(OutputBusyError) as raised:
        lease_of(files).acquire()
    error = raised.value
    assert (error.code, error.exit_code) == ("output_busy", 2)
    who = f"ann@far.example (pid {os.getpid()}, run far-run, since 2026-01-02T03:04:05+00:00)"
    assert who in error.message
    (age_s,) = re.findall(r"sign of life is (\d+) s old", error.message)
    (left_s,) = re.findall(r"run again in (\d+) s", error.hint)
    assert 30 <= int(age_s) < 60
    assert int(age_s) + int(left_s) == pytest.approx(EXPIRES_S + 1, abs=1)
    assert f"batch_ocr status {files.url}" in error.hint


def test_a_fresh_lease_of_another_machine_is_respected(store):
    held = put_lease(store, of_afar())
    with pytest.raises(OutputBusyError):
        lease_of(store).acquire()
    assert read_lease(store) == held
    assert keys(store) == [LEASE_KEY]


def test_a_stale_lease_of_another_machine_is_taken_over(store):
    put_lease(store, of_afar())
    time.sleep(2.1)  # S3 tells whole seconds
    with lease_of(store, expires_s=1.0) as lease:
        assert read_lease(store).run_id == "new-run"
        assert "ann@far.example" in lease.note
        assert "no sign of life for" in lease.note
    assert keys(store) == []


@pytest.mark.parametrize(("age_s", "taken"), [(EXPIRES_S - 5, False), (EXPIRES_S + 5, True)])
@pytest.mark.parametrize("kind", [Store, SlowClockStore])
def test_age_is_measured_by_the_clock_of_the_store(files, kind, age_s, taken):
    put_lease(files, of_afar())
    make_old(files, age_s)
    lease = lease_of(like(files, kind))
    if not taken:
        with pytest.raises(OutputBusyError):
            lease.acquire()
    else:
        with lease:
            assert read_lease(files).run_id == "new-run"


def test_a_lease_that_cannot_be_read_is_taken_over_when_it_is_old(files):
    files.put(LEASE_KEY, b"[not a lease")
    with pytest.raises(OutputBusyError, match="a run of another version"):
        lease_of(files).acquire()
    make_old(files, EXPIRES_S + 5)
    with lease_of(files) as lease:
        assert "another version" in lease.note


@pytest.fixture
def holder(files):
    """A process that holds the lease of a store of files."""
    command = [sys.executable, "-c", HOLDER, files.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@needs_proc
def test_a_living_process_of_this_machine_keeps_its_lease_however_old(files, holder):
    make_old(files, 3600)
    with pytest.raises(OutputBusyError, match=f"pid {holder.pid}") as raised:
        lease_of(files).acquire()
    assert "run again in" not in raised.value.hint


def test_the_lease_of_a_killed_process_is_taken_over_at_once(files, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with lease_of(files) as lease:
        assert read_lease(files).pid == os.getpid()
        assert f"pid {holder.pid}, run killed-run" in lease.note
        assert lease.note.endswith("which is dead")
    assert keys(files) == []


def test_two_that_take_over_at_once_do_not_both_work(files):
    put_lease(files, of_afar())
    make_old(files, EXPIRES_S + 5)
    lease = lease_of(files, sleep=lambda _seconds: put_lease(files, RIVAL))
    with pytest.raises(OutputBusyError, match="rival-run"):
        lease.acquire()
    assert read_lease(files) == RIVAL


def test_a_lease_that_another_took_meanwhile_is_not_taken_from_it(files):
    put_lease(files, of_afar())
    make_old(files, EXPIRES_S + 5)
    with pytest.raises(OutputBusyError, match="rival-run"):
        lease_of(like(files, RivalStore)).acquire()
    assert read_lease(files).owner == "rival"
    assert keys(files) == [LEASE_KEY]


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_drivers_exactly_one_works(files, stale):
    if stale:
        put_lease(files, of_afar())
        make_old(files, EXPIRES_S + 5)
    drivers = 8
    start = threading.Barrier(drivers)
    leases = [lease_of(files, f"run-{n}", sleep=time.sleep) for n in range(drivers)]

    def try_one(lease: Lease) -> bool:
        start.wait()
        try:
            lease.acquire()
        except OutputBusyError:
            return False
        return True

    with ThreadPoolExecutor(drivers) as pool:
        won = list(pool.map(try_one, leases))
    assert sum(won) == 1
    assert read_lease(files).run_id == f"run-{won.index(True)}"
    leases[won.index(True)].release()
    assert keys(files) == []


def test_an_interrupt_while_taking_over_leaves_no_lease(files):
    put_lease(files, of_afar())
    make_old(files, EXPIRES_S + 5)

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lease_of(files, sleep=interrupt).acquire()
    assert keys(files) == []


def test_a_create_whose_answer_was_lost_has_still_taken_the_lease(files):
    with lease_of(like(files, LostAnswerStore)) as lease:
        assert lease.note == ""
        assert read_lease(files).run_id == "new-run"


def test_renewing_keeps_a_lease_from_growing_old(files):
    with lease_of(files, renew_every_s=0.02):
        make_old(files, EXPIRES_S + 5)
        wait_until(lambda: time.time() - files.head(LEASE_KEY).modified_at.timestamp() < 5)
        with pytest.raises(OutputBusyError):
            lease_of(files).acquire()


def test_a_lost_lease_is_noticed_and_left_to_its_taker(store):
    with lease_of(store) as lease:
        lease.check()
        taker = put_lease(store, of_afar())
        assert lease.renew() is False
        assert lease.lost
        with pytest.raises(OutputBusyError, match=r"ann@far\.example .* has taken over"):
            lease.check()
        assert lease.renew() is False
    assert read_lease(store) == taker


def test_what_is_lost_stays_lost_when_its_taker_has_ended(store):
    with lease_of(store) as lease:
        put_lease(store, of_afar())
        assert lease.renew() is False
        store.delete(LEASE_KEY)
        assert lease.renew() is False
        assert keys(store) == []
        with pytest.raises(OutputBusyError):
            lease.check()


def test_the_thread_notices_a_loss_by_itself(files):
    with lease_of(files, renew_every_s=0.02) as lease:
        taker = put_lease(files, of_afar())
        wait_until(lambda: lease.lost)
        wait_until(lambda: not renewers())
    assert read_lease(files) == taker


def test_a_deleted_lease_is_put_back(store):
    with lease_of(store) as lease:
        store.delete(LEASE_KEY)
        assert lease.renew() is True
        assert read_lease(store).run_id == "new-run"
    assert keys(store) == []


def test_a_store_that_fails_for_a_while_costs_no_lease(files):
    breakable = like(files, BreakableStore)
    with lease_of(breakable, renew_every_s=0.02) as lease:
        breakable.broken = True
        make_old(files, EXPIRES_S - 5)
        wait_until(lambda: breakable.refused >= 2)
        breakable.broken = False
        wait_until(lambda: time.time() - files.head(LEASE_KEY).modified_at.timestamp() < 5)
        assert not lease.lost
    assert keys(files) == []


def test_a_release_that_cannot_reach_the_store_does_not_fail_the_run(files):
    breakable = like(files, BreakableStore)
    with lease_of(breakable):
        breakable.broken = True
    assert renewers() == []
    # The next run of this same process cannot know, and waits for it to grow old.
    with pytest.raises(OutputBusyError):
        lease_of(files).acquire()
    make_old(files, EXPIRES_S + 5)
    with lease_of(files) as lease:
        assert "run new-run" in lease.note


def own_parent(**changes) -> LeaseFile:
    pid = os.getppid()
    held = msgspec.structs.replace(
        make_lease_file("r"), owner="parent", pid=pid, pid_start=read_pid_start(pid)
    )
    return msgspec.structs.replace(held, **changes)


@needs_proc
@pytest.mark.parametrize(
    ("changes", "life"),
    [
        ({}, "alive"),
        ({"pid_start": 1}, "dead"),  # the number was given to another process
        ({"pid_start": 0}, "unknown"),
        ({"pid": os.getpid(), "pid_start": read_pid_start(os.getpid())}, "unknown"),
        ({"host": "far.example"}, "unknown"),
        ({"machine": "another container"}, "unknown"),
    ],
)
def test_life_is_told_only_of_processes_that_this_machine_numbers(changes, life):
    assert find_life(own_parent(**changes), make_lease_file("mine")) == life


def test_of_an_unreadable_lease_nobody_knows_who_lives():
    assert find_life(LeaseFile(), make_lease_file("mine")) == "unknown"


@pytest.mark.parametrize(
    ("life", "age_s", "taken"),
    [
        ("dead", 0.0, True),
        ("unknown", 90.0, False),
        ("unknown", 90.1, True),
        ("alive", 1e6, False),
    ],
)
def test_the_dead_and_the_silent_are_replaced(life, age_s, taken):
    assert may_take_over(life, age_s=age_s, expires_s=90.0) is taken


@needs_proc
def test_the_start_of_a_process_is_read_behind_any_name(tmp_path):
    name = tmp_path / "a) R 1 (b"
    name.symlink_to("/bin/sleep")
    with subprocess.Popen([str(name), "60"]) as process:
        try:
            wait_until(lambda: b"a) R 1" in read_stat(process.pid))
            assert read_pid_start(process.pid) >= read_pid_start(os.getpid())
        finally:
            process.kill()
    assert read_pid_start(process.pid) == 0


def read_stat(pid: int) -> bytes:
    return Path(f"/proc/{pid}/stat").read_bytes()

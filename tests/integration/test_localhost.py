"""The command on Lithops localhost: processes that are killed, interrupted, poisoned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from comic_ocr.job import JobState
from comic_ocr.page import LedgerRow
from comic_ocr.testing.faults import read_journal
from tests.integration.conftest import (
    Command,
    Pages,
    as_flags,
    command_line,
    faulty_options,
    wait_until,
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def flags(pages: Pages, output: Path, seconds: float = 0.0, **plan: list[str]) -> list[str]:
    options = faulty_options(plan, pages.folder / "journal", seconds)
    words = ["--manifest", pages.manifest, "--method", "faulty", "--output", str(output)]
    return [*words, "--backend", "localhost", "--workers", "2", *as_flags(options)]


def written(output: Path) -> list[str]:
    return sorted(path.name.removesuffix("_ocr.json") for path in output.glob("*_ocr.json"))


def ledger(output: Path) -> list[LedgerRow]:
    return list(JobState(str(output)).read_ledger())


def start(words: list[str], cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command_line(*words), cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def worker_pids(pages: Pages) -> set[int]:
    """Return the processes that recognized pages and still live."""
    journal = pages.folder / "journal"
    lines = [line for path in journal.glob("*") for line in path.read_text().split()]
    return {pid for pid in map(int, lines) if is_alive(pid)}


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_run_ends_with_every_page_and_says_so(
    pages: Pages, output: Path, batch_ocr: Command
) -> None:
    pages.add_many(12)
    done = batch_ocr(*flags(pages, output))
    assert "read 12 pages" in done.stdout
    assert "12 to read" in done.stderr
    assert written(output) == sorted(name for name, _ in pages.rows)
    again = batch_ocr(*flags(pages, output))
    assert "nothing to read: 12 of 12 pages are done" in again.stdout
    assert set(read_journal(pages.folder / "journal").values()) == {1}


def test_a_killed_driver_loses_nothing_and_reads_nothing_twice_that_was_written(
    pages: Pages, output: Path, batch_ocr: Command, tmp_path: Path
) -> None:
    pages.add_many(40)
    words = flags(pages, output, seconds=0.15)
    driver = start(words, tmp_path)
    wait_until(lambda: len(written(output)) >= 4)
    driver.kill()
    driver.communicate()
    workers = worker_pids(pages)
    done_by_then = set(written(output))
    batch_ocr(*words)
    assert written(output) == sorted(name for name, _ in pages.rows)
    assert all(read_journal(pages.folder / "journal")[name] == 1 for name in done_by_then)
    read = [row.canonical_id for row in ledger(output) if row.status == "done"]
    assert len(read) == len(set(read))
    wait_until(lambda: not any(is_alive(pid) for pid in workers))


def test_workers_end_when_their_driver_is_killed(
    pages: Pages, output: Path, own_machine: Path, tmp_path: Path
) -> None:
    pages.add_many(60)
    driver = start(flags(pages, output, seconds=0.3), tmp_path)
    wait_until(lambda: len(worker_pids(pages)) == 2)
    workers = worker_pids(pages)
    driver.kill()
    driver.communicate()
    wait_until(lambda: not any(is_alive(pid) for pid in workers), timeout_s=10)
    assert len(written(output)) < 60


def test_a_killed_worker_costs_nothing(
    pages: Pages, output: Path, own_machine: Path, tmp_path: Path
) -> None:
    pages.add_many(30)
    driver = start(flags(pages, output, seconds=0.15), tmp_path)
    wait_until(lambda: len(written(output)) >= 3 and worker_pids(pages))
    os.kill(min(worker_pids(pages)), signal.SIGKILL)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert "was lost" in errors
    assert written(output) == sorted(name for name, _ in pages.rows)


def test_a_worker_killed_with_its_whole_group_is_noticed(
    pages: Pages, output: Path, own_machine: Path, tmp_path: Path
) -> None:
    """Then Lithops itself never hears of the end of the call."""
    pages.add_many(30)
    driver = start(flags(pages, output, seconds=0.15), tmp_path)
    wait_until(lambda: len(written(output)) >= 3 and worker_pids(pages))
    os.killpg(os.getpgid(min(worker_pids(pages))), signal.SIGKILL)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert "worker_lost" in errors
    assert written(output) == sorted(name for name, _ in pages.rows)


def test_a_page_that_kills_every_worker_stands_alone_and_is_written_down(
    pages: Pages, output: Path, batch_ocr: Command
) -> None:
    pages.add_many(9)
    words = flags(pages, output, p004=["kill"] * 9, p007=["exit"])
    done = batch_ocr(*words, code=3)
    assert "failed 1 page: 1 out_of_memory" in done.stdout
    assert written(output) == sorted(name for name, _ in pages.rows if name != "p004")
    listed = batch_ocr("failures", str(output), "--json")
    (failure,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert failure["canonical_id"] == "p004"
    assert failure["code"] == "out_of_memory"
    assert failure["attempts"] >= 2


def test_ctrl_c_keeps_what_is_done(
    pages: Pages, output: Path, batch_ocr: Command, tmp_path: Path
) -> None:
    pages.add_many(40)
    words = flags(pages, output, seconds=0.15)
    driver = start(words, tmp_path)
    wait_until(lambda: len(written(output)) >= 4)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=30)
    assert driver.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    summary = json.loads((output / "_comic_ocr" / "summary.json").read_text())
    assert summary["state"] == "interrupted"
    done_by_then = set(written(output))
    batch_ocr(*words)
    assert written(output) == sorted(name for name, _ in pages.rows)
    assert all(read_journal(pages.folder / "journal")[name] == 1 for name in done_by_then)


def test_lithops_storage_is_left_clean(
    pages: Pages, output: Path, batch_ocr: Command, own_machine: Path
) -> None:
    pages.add_many(4)
    batch_ocr(*flags(pages, output))
    left = [p for p in own_machine.rglob("lithops.jobs/*/*") if p.is_file()]
    assert left == []


def test_what_workers_report_fits_lithops_status(pages: Pages, output: Path) -> None:
    from comic_ocr.page import ChunkReport

    runs = tuple((i, i + 1) for i in range(0, 600, 2))
    codes = {f"code_{i}": 1 for i in range(20)}
    report = ChunkReport(chunk_id="000001", attempt=1, unreached=runs, failures_by_code=codes)
    assert len(msgspec.json.encode(report)) < 8 * 1024

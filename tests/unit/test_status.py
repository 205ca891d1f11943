"""`batch_ocr status`: cheap at any size, exact when asked, and watchable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from comic_ocr.cli.main import cli
from comic_ocr.cli.status import describe_job, find_eta, find_standing, watch_job
from comic_ocr.errors import StorageError
from comic_ocr.job import JobState, JobSummary
from comic_ocr.job.cost import Costs
from comic_ocr.job.spec import CheckedMethod
from comic_ocr.page import LedgerRow
from comic_ocr.storage import Entry, Store

CHECKED = CheckedMethod("tesseract", {"tesseract": {"psm": 3}}, ("en",))


def make_summary(**what) -> JobSummary:
    facts = {
        "job_id": "r1", "run_id": "r2", "method": "tesseract", "output": "/out",
        "backend": "aws_lambda", "workers": 16, "state": "running", "pages": 1000,
        "done_before": 400, "failed_before": 5, "done": 300, "failed": 3, "remaining": 292,
        "failures_by_code": {"timeout": 1, "not_found": 2}, "chunks": 40, "retries": 2,
        "backups": 1, "updated_at": datetime.now(UTC).isoformat(), "wall_s": 100.0,
        "pages_per_s": 2.0, "cost_usd": 1.25, "peak_worker_memory_mb": 512,
        "costs": Costs(compute_usd=1.0, requests_usd=0.0, storage_usd=None, api_usd=0.25),
    }  # fmt: skip
    return JobSummary(**{**facts, **what})


@pytest.fixture
def state(memory_url: str) -> JobState:
    state = JobState(memory_url)
    state.begin(CHECKED, run_id="r1", overwrite=False)
    return state


class CheapStore(Store):
    """A store that counts what is read of it, and refuses to be listed."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner.url, inner._backing, inner._prefix)
        self.read: list[str] = []

    def get(self, key: str) -> bytes:
        self.read.append(key)
        return super().get(key)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        raise AssertionError(f"{prefix} is listed")


def describe(state: JobState, *, exact: bool = False) -> str:
    return describe_job(state, find_standing(state, exact=exact), datetime.now(UTC))


def test_a_job_of_any_size_costs_one_request(state: JobState) -> None:
    state.write_summary(make_summary())
    state.store = CheapStore(state.store)
    standing = find_standing(state, exact=False)
    assert (standing.results, standing.failed, standing.exact) == (700, 8, False)
    assert state.store.read == ["_comic_ocr/summary.json"]


def test_exact_counts_what_is_in_the_output(state: JobState) -> None:
    state.write_summary(make_summary())
    for name in ("a", "b/c"):
        state.store.put(f"{name}_ocr.json", b"{}")
    rows = [LedgerRow(canonical_id=i, status="failed", at=1.0, code="timeout") for i in ("a", "z")]
    state.write_rows("r1", "000001-1", rows)
    standing = find_standing(state, exact=True)
    assert (standing.results, standing.failed, standing.exact) == (2, 1, True)
    assert "page JSON written: 2\n" in describe(state, exact=True)


def test_without_a_summary_the_output_is_counted(state: JobState) -> None:
    state.store.put("a_ocr.json", b"{}")
    text = describe(state)
    assert "page JSON written: 1\n" in text
    assert "last run" not in text


def test_a_running_job_shows_all_that_is_known_of_it(state: JobState) -> None:
    state.write_summary(make_summary())
    assert describe(state).splitlines()[1:] == [
        "  page JSON written: 700 of 1000",
        "  pages failed:      8",
        "  last run:          running: 300 read, 3 failed, 292 left; 2.00 pages/s over 2 min; "
        "$1.2500",
        "  time left:         about 2 min",
        f"  as of:             {state.read_summary().updated_at}, 0 s ago",
        "  workers:           16 on aws_lambda",
        "  calls:             40 came back, 2 lost and their pages read again, 1 backup",
        "  failed in it:      2 not_found, 1 timeout",
        "  cost of it:        compute $1.00, storage unknown, APIs $0.2500",
        "  largest worker:    512 MB",
    ]


def test_why_a_run_stopped_is_said(state: JobState) -> None:
    state.write_summary(make_summary(state="stopped", message="workers cannot use the storage"))
    text = describe(state)
    assert "stopped by an error: 300 read" in text
    assert "  why:               workers cannot use the storage" in text
    assert "time left" not in text


@pytest.mark.parametrize(
    ("what", "age_s", "eta_s"),
    [
        ({}, 5, 146.0),
        ({}, 90, None),
        ({"pages_per_s": 0.0}, 5, None),
        ({"state": "finished"}, 5, None),
    ],
)
def test_only_a_run_that_lives_and_reads_has_time_left(what, age_s, eta_s) -> None:
    summary = make_summary(**what)
    now = datetime.fromisoformat(summary.updated_at) + timedelta(seconds=age_s)
    assert find_eta(summary, now) == eta_s


def test_watching_ends_with_the_run(state: JobState, capsys: pytest.CaptureFixture) -> None:
    states = iter([make_summary(done=310, remaining=282), make_summary(state="finished")])
    state.write_summary(make_summary())
    waits: list[float] = []

    def work(seconds: float) -> None:
        waits.append(seconds)
        state.write_summary(next(states))

    watch_job(state, as_json=True, sleep=work)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["results"], line["last_run"]["state"]) for line in lines] == [
        (700, "running"), (710, "running"), (700, "finished")
    ]  # fmt: skip
    assert waits == [5.0, 5.0]


def test_watching_a_silent_run_ends_at_once(state: JobState, capsys: pytest.CaptureFixture) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    state.write_summary(make_summary(updated_at=long_ago.isoformat()))
    watch_job(state, as_json=False, sleep=lambda _: pytest.fail("it waits"))
    assert "silent for 60 min; run it again to go on" in capsys.readouterr().out


def test_watching_can_be_ended_by_a_person(state: JobState) -> None:
    state.write_summary(make_summary())

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    watch_job(state, as_json=False, sleep=interrupt)


class FlakyStore(CheapStore):
    def get(self, key: str) -> bytes:
        if not self.read:
            self.read.append(key)
            raise StorageError("the store is away")
        return super().get(key)


def test_watching_outlives_a_store_that_is_away(
    state: JobState, capsys: pytest.CaptureFixture
) -> None:
    state.write_summary(make_summary(state="finished"))
    state.store = FlakyStore(state.store)
    watch_job(state, as_json=False, sleep=lambda _: None)
    printed = capsys.readouterr()
    assert "cannot read the job: the store is away" in printed.err
    assert "finished: 300 read" in printed.out


@pytest.fixture
def finished(tmp_path: Path) -> str:
    state = JobState(str(tmp_path / "out"))
    state.begin(CHECKED, run_id="r1", overwrite=False)
    state.write_summary(make_summary(state="finished", output=state.store.url))
    return state.store.url


def run_status(*words: str):
    return CliRunner().invoke(cli, ["status", *words], standalone_mode=False)


def test_status_is_json_for_programs(finished: str) -> None:
    facts = json.loads(run_status(finished, "--json").stdout)
    assert (facts["results"], facts["failed"], facts["exact"], facts["eta_s"]) == (
        700, 8, False, None
    )  # fmt: skip
    assert facts["job"]["method"] == "tesseract"
    assert msgspec.convert(facts["last_run"], JobSummary).state == "finished"


def test_status_writes_a_report(finished: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    done = run_status(finished, "--report", str(path))
    assert "page JSON written: 700 of 1000" in done.stdout
    assert f"report: {path}" in done.stderr
    assert "OCR job: tesseract" in path.read_text()


def test_status_watches(finished: str) -> None:
    assert "finished: 300 read" in run_status(finished, "--watch").stdout


@pytest.mark.parametrize("words", [["--exact"], ["--report", "x.html"]])
def test_what_cannot_be_watched_is_refused(finished: str, words: list[str]) -> None:
    error = run_status(finished, "--watch", *words).exception
    assert f"--watch and {words[0]} exclude each other" in str(error)

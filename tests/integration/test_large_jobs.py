"""What large jobs rest on: the breaker, budgets, the lease, the record of calls."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from comic_ocr.job import JobState
from comic_ocr.job.history import read_calls
from comic_ocr.testing.api_server import ApiServer
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


def page_files(output: Path) -> list[Path]:
    return sorted(output.glob("*_ocr.json"))


def summary(output: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((output / "_comic_ocr/summary.json").read_bytes())
    return found


def test_a_job_whose_pages_all_fail_alike_stops_and_says_why(
    batch_ocr: Command, tmp_path: Path, output: Path
) -> None:
    manifest = tmp_path / "pages.csv"
    rows = [f"p{number},{tmp_path}/gone/{number}.png" for number in range(3000)]
    manifest.write_text("\n".join(["canonical_id,path", *rows]) + "\n")
    words = ["--manifest", str(manifest), "--method", "null", "--output", str(output)]
    stopped = batch_ocr(*words, code=5)
    assert "error[too_many_failures]" in stopped.stderr
    assert "pages failed with not_found" in stopped.stderr
    assert "--keep-going" in stopped.stderr
    assert summary(output)["remaining"]
    done = batch_ocr(*words, "--keep-going", code=3)
    assert "3000" in done.stdout + done.stderr
    assert summary(output)["remaining"] == 0


def test_a_budget_stops_in_time_and_more_goes_on(
    batch_ocr: Command, output: Path, drawn_comic: Path, tmp_path: Path, api: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COMIC_OCR_API_KEY", "any")
    image = (drawn_comic / "page_01.jpg").read_bytes()
    rows = []
    for number in range(80):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(image + b"%d" % number)
        rows.append(f"p{number:02d},{path}")
    manifest = tmp_path / "many.csv"
    manifest.write_text("\n".join(["canonical_id,path", *rows]) + "\n")
    words = ["--manifest", str(manifest), "--output", str(output), "--method", "gemma"]
    words += ["--option", f"base_url={api.url}/v1", "--workers", "2"]
    stopped = batch_ocr(*words, "--budget", "0.05", code=4)
    assert "the budget is spent" in stopped.stdout
    spent = api.account()["cost_usd"]
    assert 0.03 <= spent <= 0.05
    assert summary(output)["cost_usd"] == pytest.approx(spent)
    assert summary(output)["state"] == "budget"
    batch_ocr(*words, "--budget", "1")
    assert len(page_files(output)) == 80
    assert api.account()["cost_usd"] == pytest.approx(0.08)


def test_a_budget_needs_known_prices(batch_ocr: Command, pages: Pages, output: Path) -> None:
    pages.add_many(1)
    words = ["--manifest", pages.manifest, "--method", "null", "--output", str(output)]
    refused = batch_ocr(*words, "--backend", "k8s", "--budget", "1", code=2)
    assert "price of its compute is not known" in refused.stderr


def test_a_second_driver_is_refused_while_the_first_lives(
    batch_ocr: Command, pages: Pages, output: Path, tmp_path: Path
) -> None:
    pages.add_many(40)
    options = faulty_options({}, pages.folder / "journal", 0.2)
    words = ["--manifest", pages.manifest, "--method", "faulty", "--output", str(output)]
    words += [*as_flags(options), "--workers", "2"]
    first = subprocess.Popen(
        command_line(*words), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: page_files(output))
    refused = batch_ocr(*words, code=2)
    assert "error[output_busy]" in refused.stderr
    assert str(first.pid) in refused.stderr
    first.send_signal(signal.SIGKILL)
    first.wait()
    batch_ocr(*words)
    assert len(page_files(output)) == 40
    assert not (output / "_comic_ocr/lease.json").exists()


def test_every_call_is_written_down(batch_ocr: Command, pages: Pages, output: Path) -> None:
    pages.add_many(30)
    plan = {"p003": ["kill"]}
    options = faulty_options(plan, pages.folder / "journal")
    words = ["--manifest", pages.manifest, "--method", "faulty", "--output", str(output)]
    batch_ocr(*words, *as_flags(options), "--workers", "2")
    calls = list(read_calls(JobState(str(output)).store))
    assert {call.outcome for call in calls} == {"done", "lost"}
    assert sum(call.done + call.found for call in calls) == 30
    assert all(call.ended_at >= call.submitted_at > 0 for call in calls)
    (lost,) = [call for call in calls if call.outcome == "lost"]
    assert lost.code == "out_of_memory"


def test_workers_auto_is_a_number_of_workers_too(
    batch_ocr: Command, pages: Pages, output: Path
) -> None:
    pages.add_many(20)
    words = ["--manifest", pages.manifest, "--method", "null", "--output", str(output)]
    batch_ocr(*words, "--workers", "auto")
    assert len(page_files(output)) == 20
    assert "--workers 4, or auto" in batch_ocr(*words, "--workers", "many", code=2).stderr

"""The whole job in this process: counts, resume, failures, conflicts."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import comic_ocr
from comic_ocr.backends import InlineBackend, WorkerLimits
from comic_ocr.errors import ManifestError, OptionError, OutputConflictError, UsageError
from comic_ocr.job import JobSpec, JobState, estimate_job
from comic_ocr.job import driver as driver_module
from comic_ocr.job.events import ChunkDone, JobEnded, JobPlanned, Trouble
from comic_ocr.testing.faults import read_journal
from tests.integration.conftest import Pages, faulty_options


def jpeg_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def run_faulty(pages: Pages, output: str, **given: object) -> comic_ocr.JobSummary:
    plan = given.pop("plan", {})
    options = faulty_options(plan, Path(pages.folder) / "journal")
    return comic_ocr.run(
        pages.manifest, method="faulty", output=output, backend="inline", options=options, **given
    )


def test_every_page_gets_its_json(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(7)
    summary = run_faulty(pages, str(tmp_path / "out"))
    assert (summary.pages, summary.done, summary.failed, summary.remaining) == (7, 7, 0, 0)
    assert summary.exit_code == 0
    for name, source in pages.rows:
        result = json.loads((tmp_path / "out" / f"{name}_ocr.json").read_text())
        assert result["canonical_id"] == result["full_text"] == name
        assert result["source_image_path"] == source
        assert result["num_regions"] == len(result["text_regions"]) == 1
        assert result["timestamp"].endswith("+00:00")


def test_a_second_run_reads_and_writes_nothing(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(4)
    run_faulty(pages, str(tmp_path / "out"))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*_ocr.json")}
    summary = run_faulty(pages, str(tmp_path / "out"))
    assert (summary.done, summary.done_before) == (0, 4)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*_ocr.json")} == before
    assert set(read_journal(pages.folder / "journal").values()) == {1}


def test_bad_pages_cost_only_themselves(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(3)
    pages.add("empty", b"")
    pages.add("html", b"<!DOCTYPE html><title>404</title>")
    whole = jpeg_bytes()
    pages.add("half", whole[: len(whole) // 2])
    pages.add("gone").unlink()
    output = str(tmp_path / "out")
    summary = run_faulty(pages, output)
    assert (summary.done, summary.failed, summary.exit_code) == (3, 4, 3)
    codes = {name: row.code for name, row in JobState(output).failed_rows().items()}
    assert codes == {
        "empty": "not_an_image",
        "html": "not_an_image",
        "half": "truncated_image",
        "gone": "not_found",
    }


def test_failed_pages_wait_until_they_are_asked_for(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(3)
    plan = {"p001": ["error", "error", "ok"]}
    output = str(tmp_path / "out")
    assert run_faulty(pages, output, plan=plan).failed == 1
    again = run_faulty(pages, output, plan=plan)
    assert (again.failed_before, again.done, again.exit_code) == (1, 0, 3)
    retried = run_faulty(pages, output, plan=plan, retry_failed=True)
    assert (retried.failed, retried.done) == (1, 0)
    assert JobState(output).failed_rows()["p001"].attempts == 2
    mended = run_faulty(pages, output, plan=plan, retry_failed=True)
    assert (mended.done, mended.failed, mended.exit_code) == (1, 0, 0)
    assert JobState(output).failed_rows() == {}
    assert read_journal(pages.folder / "journal") == {"p000": 1, "p001": 3, "p002": 1}


def test_what_may_pass_is_tried_again_within_the_call(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(2)
    summary = run_faulty(pages, str(tmp_path / "out"), plan={"p001": ["throttled", "unavailable"]})
    assert (summary.done, summary.failed) == (2, 0)
    assert read_journal(pages.folder / "journal")["p001"] == 3


def test_an_engines_own_error_is_a_failure_and_no_empty_page(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(2)
    output = str(tmp_path / "out")
    summary = run_faulty(pages, output, plan={"p000": ["foreign"]})
    assert summary.failures_by_code == {"engine_error": 1}
    assert "ZeroDivisionError" in JobState(output).failed_rows()["p000"].message
    assert not (tmp_path / "out" / "p000_ocr.json").exists()


def test_what_stops_one_worker_stops_the_job_and_it_goes_on_later(
    pages: Pages, tmp_path: Path
) -> None:
    pages.add_many(5)
    output = str(tmp_path / "out")
    with pytest.raises(OptionError, match="no key on order"):
        run_faulty(pages, output, plan={"p002": ["stop"]})
    summary = JobState(output).read_summary()
    assert summary is not None
    assert (summary.state, summary.exit_code) == ("stopped", 5)
    run_faulty(pages, output, plan={"p002": ["stop"]})
    assert len(list((tmp_path / "out").glob("*_ocr.json"))) == 5


def test_another_method_or_option_is_refused_on_the_same_output(
    pages: Pages, tmp_path: Path
) -> None:
    pages.add_many(1)
    output = str(tmp_path / "out")
    run_faulty(pages, output)
    with pytest.raises(OutputConflictError, match=r"faulty.*null"):
        comic_ocr.run(pages.manifest, method="null", output=output, backend="inline")


def test_overwrite_reads_everything_again(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(3)
    output = str(tmp_path / "out")
    run_faulty(pages, output)
    summary = comic_ocr.run(
        pages.manifest, method="null", output=output, backend="inline", overwrite=True
    )
    assert summary.done == 3
    assert {page.ocr_method for page in comic_ocr.results(output)} == {"null"}
    again = comic_ocr.run(pages.manifest, method="null", output=output, backend="inline")
    assert (again.done, again.done_before) == (0, 3)


def test_an_interrupted_overwrite_goes_on_where_it_stopped(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(6)
    output = str(tmp_path / "out")
    comic_ocr.run(pages.manifest, method="null", output=output, backend="inline")
    with pytest.raises(OptionError):
        run_faulty(pages, output, plan={"p003": ["stop"]}, overwrite=True)
    summary = run_faulty(pages, output, plan={"p003": ["stop"]})
    assert summary.done + summary.done_before == 6
    assert summary.done_before >= 1
    assert {page.ocr_method for page in comic_ocr.results(output)} == {"faulty"}


def test_files_of_somebody_else_are_not_taken_for_done(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "p000_ocr.json").write_text("{}")
    with pytest.raises(OutputConflictError, match="no job of this program"):
        run_faulty(pages, str(tmp_path / "out"))


def test_limit_takes_the_first_pages_and_a_later_run_the_rest(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(5)
    output = str(tmp_path / "out")
    assert run_faulty(pages, output, limit=2).pages == 2
    assert sorted(p.canonical_id for p in comic_ocr.results(output)) == ["p000", "p001"]
    assert run_faulty(pages, output).done == 3


def test_a_bad_manifest_starts_nothing(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(3)
    pages.add("p001")
    pages.add("../escape")
    with pytest.raises(ManifestError) as caught:
        run_faulty(pages, str(tmp_path / "out"))
    assert [problem.row for problem in caught.value.problems] == [4, 5]
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.json*"))


def test_a_manifest_without_pages_is_an_error(pages: Pages, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no pages"):
        run_faulty(pages, str(tmp_path / "out"))


def test_an_estimate_writes_nothing(pages: Pages, tmp_path: Path) -> None:
    pages.add_many(3)
    spec = JobSpec(manifest=pages.manifest, method="null", output=str(tmp_path / "out"))
    planned = estimate_job(spec)
    assert (planned.summary.pages, planned.summary.remaining, planned.expected_usd) == (3, 3, 0.0)
    assert planned.calls >= 1
    assert not (tmp_path / "out").exists()


def test_rows_may_name_their_own_method_and_columns_ride_along(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), "white").save(tmp_path / "a.png")
    (tmp_path / "pages.csv").write_text(
        "canonical_id,path,method,series\none,a.png,,Dot\ntwo,a.png,null,Dot\n"
    )
    output = str(tmp_path / "out")
    comic_ocr.run(tmp_path / "pages.csv", method="faulty", output=output, backend="inline")
    found = {page.canonical_id: page for page in comic_ocr.results(output)}
    assert {name: page.ocr_method for name, page in found.items()} == {
        "one": "faulty",
        "two": "null",
    }
    assert found["one"].manifest == {"series": "Dot"}


def test_a_language_of_a_row_is_checked_before_any_page_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), "white").save(tmp_path / "a.png")
    (tmp_path / "pages.csv").write_text("canonical_id,path,lang\none,a.png,en\ntwo,a.png,ko\n")
    with pytest.raises(UsageError, match=r"two.*cannot read ko"):
        comic_ocr.run(tmp_path / "pages.csv", output=tmp_path / "out", backend="inline")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*_ocr.json"))


def test_events_tell_the_story(pages: Pages, memory_url: str) -> None:
    pages.add_many(3)
    events: list[object] = []
    run_faulty(pages, memory_url, on_event=events.append)
    assert isinstance(events[0], JobPlanned)
    assert isinstance(events[-1], JobEnded)
    assert sum(e.report.done for e in events if isinstance(e, ChunkDone)) == 3


def test_results_make_a_data_frame(pages: Pages, memory_url: str) -> None:
    pages.add_many(3)
    run_faulty(pages, memory_url)
    frame = comic_ocr.results(memory_url).to_dataframe()
    assert list(frame["canonical_id"]) == ["p000", "p001", "p002"]
    assert list(frame["full_text"]) == ["p000", "p001", "p002"]
    assert set(frame["width"]) == {40, 41, 42}


def test_one_page_can_be_read_without_a_job(pages: Pages) -> None:
    path = pages.add("p")
    result = comic_ocr.ocr_page(path, method="faulty", canonical_id="mine")
    assert (result.canonical_id, result.full_text) == ("mine", "mine")


def test_a_result_that_cannot_be_written_costs_its_page_and_the_rest_is_read(
    pages: Pages, tmp_path: Path
) -> None:
    pages.add_many(4)
    pages.add("blocked/page")
    pages.add_many(20)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "blocked").write_text("a file where the page's folder should be")
    output = str(tmp_path / "out")
    summary = run_faulty(pages, output)
    assert (summary.done, summary.failed, summary.remaining) == (24, 1, 0)
    assert JobState(output).failed_rows()["blocked/page"].code == "storage_error"
    assert set(read_journal(pages.folder / "journal").values()) == {1}


def test_a_summary_that_cannot_be_written_in_between_is_said_and_does_not_stop_the_run(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "_SUMMARY_EVERY_S", 0.0)
    pages.add_many(3)
    events: list[object] = []
    blocked = tmp_path / "out" / "_comic_ocr" / "summary.json"

    def block(event: object) -> None:
        """Put a folder in the summary's place while the run works."""
        events.append(event)
        if isinstance(event, ChunkDone):
            blocked.unlink()
            (blocked / "x").mkdir(parents=True)
        if isinstance(event, Trouble):
            shutil.rmtree(blocked)

    summary = run_faulty(pages, str(tmp_path / "out"), on_event=block)
    assert summary.done == 3
    assert [type(event) for event in events].count(Trouble) == 1


def test_calls_without_time_for_a_page_end_as_failures_and_not_in_a_circle(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InlineBackend, "limits", WorkerLimits(deadline_s=1e-9))
    pages.add_many(3)
    output = str(tmp_path / "out")
    summary = run_faulty(pages, output)
    assert (summary.done, summary.failures_by_code) == (0, {"timeout": 3})
    assert {row.attempts for row in JobState(output).failed_rows().values()} == {2}

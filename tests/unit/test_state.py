"""A job's files, and what they say is done and failed."""

import time
from datetime import UTC, datetime

import pytest
from PIL import Image

from comic_ocr.errors import OutputConflictError, StorageError, UsageError
from comic_ocr.job.run import run_job
from comic_ocr.job.spec import CheckedMethod, JobSpec, fingerprint
from comic_ocr.job.state import JobState, hash_key, new_run_id
from comic_ocr.job.summary import JobSummary
from comic_ocr.page import LedgerRow
from comic_ocr.storage import open_store

TESSERACT = CheckedMethod("tesseract", {"tesseract": {"psm": 3}}, ("en",))
SPARSE = CheckedMethod("tesseract", {"tesseract": {"psm": 11}}, ("en",))
JAPANESE = CheckedMethod("paddleocr", {"paddleocr": {}}, ("ja", "en"))


def row(page: str, status: str = "failed", **what) -> LedgerRow:
    return LedgerRow(canonical_id=page, status=status, at=1.0, **what)


def make_summary(state: str) -> JobSummary:
    return JobSummary(
        job_id="j", run_id="r", method="null", output="/o", backend="inline", workers=1,
        state=state, pages=1, done_before=0, failed_before=0, done=1, failed=0, remaining=0,
    )  # fmt: skip


def keys(state: JobState) -> set[str]:
    return {entry.key for entry in state.store.list()}


def test_opening_a_state_writes_nothing(memory_url):
    state = JobState(memory_url)
    assert state.job is None
    assert list(state.list_done()) == []
    assert state.failed_rows() == {}
    assert keys(state) == set()


def test_a_job_begins_once_and_is_found_again(memory_url):
    job = JobState(memory_url).begin(TESSERACT, run_id="r1", overwrite=False)
    assert (job.job_id, job.method, job.options, job.languages) == (
        "r1",
        "tesseract",
        {"tesseract": {"psm": 3}},
        ("en",),
    )
    again = JobState(memory_url)
    assert again.job == job
    assert again.begin(TESSERACT, run_id="r2", overwrite=False) == job
    assert JobState(memory_url).require_job().job_id == "r1"
    assert keys(again) == {"_comic_ocr/job.json"}


def test_a_job_that_never_ran_is_asked_for_in_vain(memory_url):
    with pytest.raises(UsageError, match="there is no job at memory://"):
        JobState(memory_url).require_job()


def test_the_same_method_and_options_go_on(memory_url):
    JobState(memory_url).begin(TESSERACT, run_id="r1", overwrite=False)
    JobState(memory_url).check_same(TESSERACT)


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (SPARSE, "tesseract (psm=11, lang=en)"),
        (JAPANESE, "paddleocr (lang=ja,en)"),
        (
            CheckedMethod("tesseract", {"tesseract": {"psm": 3}}, ("en", "ja")),
            "tesseract (psm=3, lang=en,ja)",
        ),
    ],
)
def test_another_method_or_option_set_is_refused_and_both_are_named(memory_url, other, shown):
    JobState(memory_url).begin(TESSERACT, run_id="r1", overwrite=False)
    with pytest.raises(OutputConflictError) as raised:
        JobState(memory_url).check_same(other)
    assert "another job: tesseract (psm=3, lang=en); " in raised.value.message
    assert raised.value.message.endswith(f"this one is {shown}.")
    assert "--overwrite" in raised.value.hint


def test_page_json_of_strangers_is_not_taken_for_done(memory_url):
    state = JobState(memory_url)
    state.store.put("vol/a_ocr.json", b"{}")
    with pytest.raises(OutputConflictError, match="no job of this program"):
        state.check_same(TESSERACT)
    assert list(state.list_done()) == []


def test_other_files_of_strangers_do_not_matter(memory_url):
    state = JobState(memory_url)
    state.store.put("pages.csv", b"")
    state.check_same(TESSERACT)


def test_a_job_file_that_is_damaged_is_no_job(memory_url):
    open_store(memory_url).put("_comic_ocr/job.json", b'{"job_id": 1}')
    with pytest.raises(StorageError, match="is not a job file"):
        JobState(memory_url)


def test_a_job_that_overwrites_replaces_a_damaged_job_file(tmp_path):
    (tmp_path / "out" / "_comic_ocr").mkdir(parents=True)
    (tmp_path / "out" / "_comic_ocr" / "job.json").write_text("{")
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "pages.csv").write_text("canonical_id,path\na,a.png\n")
    spec = JobSpec(
        manifest=str(tmp_path / "pages.csv"),
        output=str(tmp_path / "out"),
        method="null",
        backend="inline",
        overwrite=True,
    )
    assert run_job(spec).done == 1


def test_overwriting_deletes_the_state_before_and_keeps_its_own_plan(memory_url):
    state = JobState(memory_url)
    state.begin(TESSERACT, run_id="r1", overwrite=False)
    state.write_rows("r1", "1-1", [row("a")])
    state.write_summary(make_summary("finished"))
    for key in (
        "_comic_ocr/plan/r1/p",
        "_comic_ocr/plan/r2/p",
        "_comic_ocr/plan/r22/p",
        "a_ocr.json",
    ):
        state.store.put(key, b"x")
    job = JobState(memory_url).begin(SPARSE, run_id="r2", overwrite=True)
    assert (job.job_id, job.overwrite) == ("r2", True)
    assert keys(state) == {"_comic_ocr/job.json", "_comic_ocr/plan/r2/p", "a_ocr.json"}
    JobState(memory_url).check_same(SPARSE)


def test_done_is_what_has_page_json(memory_url):
    state = JobState(memory_url)
    state.begin(TESSERACT, run_id="r1", overwrite=False)
    for key in ("a_ocr.json", "vol 1/b#2_ocr.json", "notes.json", "c_ocr.json.tmp"):
        state.store.put(key, b"{}")
    assert sorted(state.list_done()) == ["a_ocr.json", "vol 1/b#2_ocr.json"]


def test_in_a_job_that_overwrites_only_page_json_since_its_start_is_done(memory_url):
    state = JobState(memory_url)
    for key in ("old_ocr.json", "both_ocr.json"):
        state.store.put(key, b"{}")
    time.sleep(0.02)
    state.begin(TESSERACT, run_id="r1", overwrite=True)
    time.sleep(0.02)
    for key in ("new_ocr.json", "both_ocr.json"):
        state.store.put(key, b"{}", overwrite=True)
    assert sorted(JobState(memory_url).list_done()) == ["both_ocr.json", "new_ocr.json"]


def test_a_job_starts_when_its_file_was_written(memory_url):
    before = datetime.now(UTC)
    state = JobState(memory_url)
    state.begin(TESSERACT, run_id="r1", overwrite=False)
    assert before <= state.started_at() <= datetime.now(UTC)


def test_the_last_row_of_a_page_decides_whether_it_failed(memory_url):
    state = JobState(memory_url)
    state.write_rows("2026-r1", "000001-1", [row("a"), row("b", code="timeout"), row("c")])
    state.write_rows("2026-r1", "000002-1", [row("b", "done")])
    state.write_rows("2027-r2", "000001-1", [row("a", code="not_found", attempts=2)])
    state.write_rows("2027-r2", "000002-1", [row("c", "found")])
    failed = state.failed_rows()
    assert set(failed) == {"a"}
    assert (failed["a"].code, failed["a"].attempts) == ("not_found", 2)


def test_a_page_that_fails_again_after_it_was_done_has_failed(memory_url):
    state = JobState(memory_url)
    state.write_rows("r1", "1-1", [row("a", "done")])
    state.write_rows("r2", "1-1", [row("a")])
    assert set(state.failed_rows()) == {"a"}


def test_the_ledger_is_read_in_order_however_many_objects_it_has(memory_url):
    state = JobState(memory_url)
    for number in range(60):
        state.write_rows("r1", f"{number:06d}-1", [row(f"{number}"), row("all", attempts=number)])
    names = [r.canonical_id for r in state.read_ledger() if r.canonical_id != "all"]
    assert names == [str(number) for number in range(60)]
    assert state.failed_rows()["all"].attempts == 59


def test_a_run_id_sorts_by_time():
    ids = []
    for _ in range(20):
        ids.append(new_run_id())
        time.sleep(0.001)
    assert ids == sorted(ids)
    assert len(set(ids)) == 20


@pytest.mark.parametrize(
    ("end", "well"),
    [("finished", True), ("running", False), ("interrupted", False), ("stopped", False)],
)
def test_only_a_finished_run_ended_well(memory_url, end, well):
    state = JobState(memory_url)
    state.write_summary(make_summary("running"))
    state.write_summary(make_summary(end))
    assert state.ended_well() is well
    assert state.read_summary() == make_summary(end)


def test_without_a_run_there_is_no_summary_and_no_good_end(memory_url):
    state = JobState(memory_url)
    assert state.read_summary() is None
    assert not state.ended_well()


def test_files_of_a_job_are_for_people_too(memory_url):
    state = JobState(memory_url)
    state.begin(TESSERACT, run_id="r1", overwrite=False)
    text = state.store.get("_comic_ocr/job.json").decode()
    assert text.startswith('{\n  "job_id": "r1",\n')
    assert text.endswith("}\n")


def test_a_fingerprint_is_of_method_options_and_languages():
    same = CheckedMethod("t", {"t": {"b": 1, "a": 2}}, ("en",))
    assert fingerprint(same) == fingerprint(CheckedMethod("t", {"t": {"a": 2, "b": 1}}, ("en",)))
    others = [
        TESSERACT,
        SPARSE,
        JAPANESE,
        CheckedMethod("tesseract", {"tesseract": {"psm": 3}}, ("en", "ja")),
    ]
    assert len({fingerprint(each) for each in others}) == 4
    assert len(fingerprint(same)) == 16


def test_a_key_hashes_alike_in_every_process():
    assert hash_key("a_ocr.json") == 0xC7D75B528F0619F7
    assert hash_key("b_ocr.json") != hash_key("a_ocr.json")


def test_a_damaged_ledger_is_named_with_what_to_do(memory_url):
    state = JobState(memory_url)
    state.begin(TESSERACT, run_id="r1", overwrite=False)
    state.store.put("_comic_ocr/ledger/r1/1-1.jsonl", b'{"canonical_id": 3}\n')
    with pytest.raises(StorageError, match=r"r1/1-1\.jsonl is not a ledger") as raised:
        list(state.read_ledger())
    assert "tried again" in raised.value.hint


def test_a_summary_of_another_version_counts_as_none_and_as_no_good_end(memory_url):
    state = JobState(memory_url)
    state.store.put("_comic_ocr/summary.json", b'{"state": "of another world"}')
    assert state.read_summary() is None
    assert not state.ended_well()

"""Counts and costs of a run."""

import pytest

from comic_ocr.job.cost import ComputePrice, find_price
from comic_ocr.job.summary import JobSummary
from comic_ocr.job.tally import Tally
from comic_ocr.page import ChunkReport


def make_summary(**what) -> JobSummary:
    facts = {
        "job_id": "j",
        "run_id": "r",
        "method": "null",
        "output": "/out",
        "backend": "localhost",
        "workers": 2,
        "state": "running",
        "pages": 100,
        "done_before": 20,
        "failed_before": 5,
        "done": 0,
        "failed": 0,
        "remaining": 75,
        "started_at": "2026-01-01T00:00:00+00:00",
    }
    return JobSummary(**{**facts, **what})


def make_tally(price: ComputePrice | None = None) -> Tally:
    return Tally(make_summary(), price, memory_mb=2048)


def report(**what) -> ChunkReport:
    return ChunkReport(chunk_id="1", attempt=1, **what)


FIRST = report(
    done=10, found=2, failed=3, failures_by_code={"not_found": 2, "timeout": 1},
    load_s=2.0, wall_s=17.0, ocr_s=9.0, cost_usd=0.5, peak_memory_mb=900,
)  # fmt: skip
SECOND = report(
    done=4, failed=1, failures_by_code={"not_found": 1},
    load_s=4.0, wall_s=9.0, ocr_s=3.5, cost_usd=0.25, peak_memory_mb=300,
)  # fmt: skip


def test_reports_add_up():
    tally = make_tally()
    tally.add(FIRST)
    tally.add(SECOND)
    summary = tally.summary()
    assert (summary.done, summary.failed, summary.chunks) == (16, 4, 2)
    assert summary.failures_by_code == {"not_found": 3, "timeout": 1}
    assert (summary.ocr_s, summary.worker_s) == (12.5, 26.0)
    assert summary.peak_worker_memory_mb == 900


def test_every_page_is_in_one_count():
    tally = make_tally()
    for each in (FIRST, SECOND):
        tally.add(each)
    tally.add_given_up("worker_lost")
    s = tally.summary()
    assert s.remaining == 54
    assert s.pages == s.done_before + s.failed_before + s.done + s.failed + s.remaining


def test_a_page_that_is_given_up_counts_under_its_code():
    tally = make_tally()
    for _ in range(2):
        tally.add_given_up("worker_lost")
    assert tally.summary().failures_by_code == {"worker_lost": 2}
    assert tally.summary().failed == 2


def test_what_was_known_before_is_kept():
    summary = make_tally().summary("stopped", "no disk")
    assert (summary.job_id, summary.output, summary.workers) == ("j", "/out", 2)
    assert summary.started_at == "2026-01-01T00:00:00+00:00"
    assert (summary.state, summary.message) == ("stopped", "no disk")
    assert summary.updated_at > summary.started_at


def test_a_summary_does_not_change_with_the_run():
    tally = make_tally()
    before = tally.summary()
    tally.add(FIRST)
    assert before.failures_by_code == {}
    assert before.done == 0


def test_speed_counts_pages_over_the_runs_own_time():
    tally = make_tally()
    tally.add(FIRST)
    tally.started -= 100
    summary = tally.summary()
    assert summary.wall_s == pytest.approx(100, abs=1)
    assert summary.pages_per_s == pytest.approx(0.15, abs=0.01)


def test_a_pages_time_is_typical_until_it_is_measured():
    tally = make_tally()
    assert tally.page_s(1.1) == 1.1
    assert tally.call_load_s(3.0) == 3.0
    tally.add(FIRST)
    tally.add(SECOND)
    assert tally.page_s(1.1) == pytest.approx((15 + 5) / 20)
    assert tally.call_load_s(3.0) == 3.0
    tally.add(report(done=1, load_s=9.0, wall_s=10.0))
    assert tally.call_load_s(3.0) == 5.0


def test_a_call_that_read_nothing_measures_no_page():
    tally = make_tally()
    tally.add(report(load_s=1.0, wall_s=1.5, unreached=((0, 9),)))
    assert tally.page_s(1.1) == 1.1


def test_cost_is_what_workers_calls_and_apis_take():
    tally = make_tally(ComputePrice(gb_s_usd=0.01, call_usd=1.0))
    for report in (FIRST, SECOND):
        tally.add(report)
        tally.pay_call(report.wall_s, 2048)
    tally.pay_call(10.0, 4096)
    # 26 s of 2 GB, a lost call of 10 s of 4 GB, three calls, and the API's price
    summary = tally.summary()
    assert summary.cost_usd == pytest.approx(0.52 + 0.4 + 3.0 + 0.75)
    assert summary.costs.requests_usd == pytest.approx(3.0)
    assert summary.costs.api_usd == pytest.approx(0.75)


def test_a_cost_without_a_price_is_not_known():
    tally = make_tally(None)
    tally.add(FIRST)
    assert tally.summary().cost_usd is None


@pytest.mark.parametrize("backend", ["localhost", "inline"])
def test_this_machine_costs_nothing(backend):
    assert find_price(backend).of(1e6, 4096, 1000) == 0


def test_lambda_is_paid_by_memory_seconds_and_calls():
    price = find_price("aws_lambda")
    assert price.of(1000, 1024, 0) == pytest.approx(0.0166667)
    assert price.of(1000, 2048, 0) == pytest.approx(0.0333334)
    assert price.of(0, 1024, 1_000_000) == pytest.approx(0.20)


def test_a_price_that_is_not_in_the_table_is_not_known():
    assert find_price("k8s") is None


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"state": "finished"}, 0),
        ({"state": "finished", "failed_before": 0, "failed": 1}, 3),
        ({"state": "finished", "failed_before": 1}, 3),
        ({"state": "interrupted", "failed": 1}, 130),
        ({"state": "stopped", "failed": 1}, 5),
    ],
)
def test_the_exit_code_says_how_a_run_ended(what, code):
    assert make_summary(**{"failed_before": 0, **what}).exit_code == code

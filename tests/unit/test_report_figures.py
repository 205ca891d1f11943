"""What a report counts: right for any number of rows, in memory that does not grow with them."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest

from comic_ocr.job.history import CallRecord
from comic_ocr.job.report.bins import RunningCounts, SecondsHistogram, Segment, TimeSums, rebin
from comic_ocr.job.report.clock import WorkClock
from comic_ocr.job.report.figures import MAX_DRAWN_CALLS, TOP_PAGES, PageFigures, count_figures
from comic_ocr.job.report.lanes import assign_lanes
from comic_ocr.job.report.pages import share_work
from comic_ocr.job.report.shapes import nice_ticks
from comic_ocr.job.report.words import say_seconds, say_share, say_usd
from comic_ocr.page import LedgerRow

START = 1_795_000_000.0


def row(page: str, status: str = "done", at: float = START, **what) -> LedgerRow:
    return LedgerRow(canonical_id=page, status=status, at=at, **what)


def call(start: float, end: float, outcome: str = "done", **what) -> CallRecord:
    return CallRecord(
        chunk_id="000001", attempt=1, outcome=outcome,
        submitted_at=START + start, ended_at=START + end, **what,
    )  # fmt: skip


def test_sums_over_time_lose_nothing_when_bins_widen() -> None:
    chance = random.Random(1)
    sums = TimeSums(2)
    for _ in range(20_000):
        sums.add(START + chance.uniform(0, 90_000), chance.randrange(2), 0.5)
    segments = sums.segments()
    assert len(segments) <= 2048
    assert sum(sum(s.values) for s in segments) == pytest.approx(10_000)
    assert all(s.end - s.start == sums.width_s for s in segments)
    assert all(a.end <= b.start for a, b in pairwise(segments))


@pytest.mark.parametrize("width_s", [0.25, 1.0, 7.0, 300.0])
def test_running_counts_are_the_means_of_the_intervals(width_s: float) -> None:
    chance = random.Random(2)
    spans = [(s := START + chance.uniform(0, 900), s + chance.expovariate(0.05)) for _ in range(80)]
    running = RunningCounts(1)
    for start, end in spans:
        running.add(start, end, 0)
    running.widen(width_s)
    for segment in running.segments():
        covered = sum(
            max(0.0, min(end, segment.end) - max(start, segment.start)) for start, end in spans
        )
        length = segment.end - segment.start
        assert segment.values[0] == pytest.approx(covered / length, abs=1e-4)


def test_nothing_runs_in_a_pause() -> None:
    running = RunningCounts(1)
    running.add(START, START + 10, 0)
    running.add(START + 1000, START + 1010, 0)
    inside = [s for s in running.segments() if s.start > START + 11 and s.end < START + 999]
    assert all(s.values == (0.0,) for s in inside)


def test_rebinned_levels_keep_their_area_and_sums_their_total() -> None:
    segments = [Segment(0, 2, (4.0,)), Segment(2, 5, (1.0,)), Segment(8, 9, (3.0,))]
    edges = [0.0, 1.5, 3.0, 8.5, 12.0]
    levels = rebin(segments, edges)
    assert sum(s.values[0] * (s.end - s.start) for s in levels) == pytest.approx(8 + 3 + 3)
    sums = rebin(segments, edges, total=True)
    assert sum(s.values[0] for s in sums) == pytest.approx(8)


def test_quantiles_of_a_histogram_are_those_of_the_seconds() -> None:
    chance = random.Random(3)
    seconds = [chance.lognormvariate(-1, 0.8) for _ in range(5000)]
    histogram = SecondsHistogram()
    for value in seconds:
        histogram.add(value)
    for share in (0.01, 0.5, 0.95, 0.99):
        exact = sorted(seconds)[int(share * len(seconds))]
        assert histogram.quantile(share) == pytest.approx(exact, rel=0.125)
    assert histogram.quantile(1) == max(seconds)
    assert SecondsHistogram().quantile(0.5) == 0


def test_a_page_that_took_no_time_at_all_is_counted() -> None:
    histogram = SecondsHistogram()
    histogram.add(0.0)
    assert (histogram.count, histogram.quantile(0.5)) == (1, 0.0)


def test_a_clock_leaves_out_pauses_between_runs() -> None:
    clock = WorkClock([Segment(100, 160, ()), Segment(190, 200, ()), Segment(9000, 9050, ())])
    assert clock.total_s == 150
    assert [clock.at(t) for t in (50, 100, 180, 5000, 9000, 9025, 9999)] == [
        0, 0, 80, 100, 100, 125, 150
    ]  # fmt: skip
    assert clock.pauses() == [(100, 8800)]
    assert [clock.time(s) for s in (0, 80, 100, 125, 150)] == [100, 180, 9000, 9025, 9050]


def test_a_job_of_many_pauses_shows_the_longest() -> None:
    clock = WorkClock([Segment(t * (1000 + t), t * (1000 + t) + 10, ()) for t in range(40)])
    assert len(clock.pauses()) == 8
    assert min(p.length_s for p in clock.pauses()) > 1000


def test_a_job_of_which_nothing_is_known_has_a_clock() -> None:
    assert WorkClock([]).ticks()[0] == 0


def test_lanes_hold_one_call_at_a_time_and_are_as_few_as_can_be() -> None:
    chance = random.Random(4)
    starts = sorted(chance.uniform(0, 100) for _ in range(300))
    calls = [call(start, start + chance.uniform(0, 20)) for start in starts]
    lanes = assign_lanes(calls)
    by_lane: dict[int, float] = {}
    for record, lane in zip(calls, lanes, strict=True):
        assert by_lane.get(lane, 0.0) <= record.submitted_at
        by_lane[lane] = record.ended_at
    at_once = max(
        sum(c.submitted_at <= at.submitted_at < c.ended_at for c in calls) for at in calls
    )
    assert max(lanes) + 1 == at_once


def test_a_page_that_passed_later_has_not_stayed_failed() -> None:
    pages = PageFigures()
    for each in [
        row("a", "failed", code="timeout"),
        row("b", "failed", code="timeout"),
        row("c", "failed", code="not_found"),
        row("a"),
        row("b", "failed", code="api_error", attempts=2),
    ]:
        pages.add(each)
    assert pages.failed_pages() == {"api_error": 1, "not_found": 1}
    assert pages.failed_attempts == {"timeout": 2, "not_found": 1, "api_error": 1}
    assert [(r.canonical_id, r.code) for r in pages.sample_failures()] == [
        ("b", "api_error"),
        ("c", "not_found"),
    ]


def test_of_many_failures_some_of_each_code_are_shown() -> None:
    pages = PageFigures()
    for number in range(3000):
        pages.add(row(f"p{number:05d}", "failed", code="not_found"))
    pages.add(row("z", "failed", code="timeout"))
    shown = pages.sample_failures()
    assert len(shown) == TOP_PAGES
    assert shown[0].canonical_id == "p00000"
    assert shown[-1].code == "timeout"
    assert pages.failed_pages() == {"not_found": 3000, "timeout": 1}


def test_the_slowest_pages_are_kept() -> None:
    pages = PageFigures()
    order = list(range(500))
    random.Random(5).shuffle(order)
    for number in order:
        pages.add(row(f"p{number}", ocr_s=number / 100, fetch_s=0.5))
    slowest = sorted(pages.slowest, reverse=True)
    assert [page.canonical_id for page in slowest] == [f"p{n}" for n in range(499, 479, -1)]
    assert slowest[0].seconds == pytest.approx(5.49)


def test_calls_are_kept_one_by_one_only_while_they_are_few() -> None:
    few = count_figures([], (call(n, n + 5) for n in range(MAX_DRAWN_CALLS)))
    assert few.calls.drawn is not None
    assert len(few.calls.drawn) == MAX_DRAWN_CALLS
    many = count_figures([], (call(n, n + 5) for n in range(MAX_DRAWN_CALLS + 1)))
    assert many.calls.drawn is None
    assert many.calls.calls == MAX_DRAWN_CALLS + 1


def test_the_time_of_workers_is_shared_among_what_they_did() -> None:
    figures = count_figures(
        [],
        [
            call(0, 12, worker_s=10, load_s=2, ocr_s=6),
            call(0, 9, "lost", code="timeout", worker_s=9),
            call(0, 5, "superseded", worker_s=4),
        ],
    )
    assert share_work(figures.calls) == (6, 2, 2, 9, 4)


def test_pages_that_are_read_at_once_take_no_more_time_than_passes() -> None:
    figures = count_figures([], [call(0, 12, worker_s=10, load_s=2, ocr_s=160)])
    assert share_work(figures.calls) == (8, 0, 2, 0, 0)


def many_rows(count: int) -> Iterator[LedgerRow]:
    for number in range(count):
        failed = number % 50 == 0
        yield row(
            f"comic/{number:07d}",
            "failed" if failed else "done",
            START + number * 0.1,
            code="timeout" if failed else "",
            ocr_s=0.2 + number % 7,
            cost_usd=0.001,
        )


def test_memory_does_not_grow_with_the_ledger() -> None:
    peaks = []
    for count in (5_000, 20_000):
        tracemalloc.start()
        figures = count_figures(many_rows(count), [])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert figures.pages.rows.total() == count
    # Only failed pages are held, as a number each; a row is thirty times as large.
    assert peaks[1] - peaks[0] < 15_000 * 20


def test_ticks_are_round_and_reach_the_top() -> None:
    for top in (0.00037, 1, 3, 9.99, 100, 123_456):
        ticks = nice_ticks(top)
        assert 3 <= len(ticks) <= 7
        assert top <= ticks[-1] <= 2 * top
    assert nice_ticks(1, whole=True) == [0, 1]
    assert nice_ticks(0) == [0, 1]


def test_numbers_are_said_for_people() -> None:
    said = [say_seconds(s) for s in (0, 0.0123, 3.456, 89, 320, 3600, 7500, 200_000)]
    assert said == [
        "0 s", "12.3 ms", "3.46 s", "89 s", "5 min 20 s", "1 h", "2 h 05 min", "2 d 8 h"
    ]  # fmt: skip
    assert [say_usd(d) for d in (0, 0.00012, 0.0042, 1234.5)] == [
        "$0", "$0.00012", "$0.0042", "$1,234.50"
    ]  # fmt: skip
    assert [say_share(p, 200) for p in (0, 0.02, 3, 100)] == ["0 %", "under 0.1 %", "1.5 %", "50 %"]
    assert say_share(0, 0) == "–"

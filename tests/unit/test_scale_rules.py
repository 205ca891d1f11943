"""The pure rules of large jobs: backups, the breaker, budgets, autoscaling."""

import pytest

from comic_ocr.job.autoscale import Autoscaler
from comic_ocr.job.backup import Pace, is_late
from comic_ocr.job.breaker import Breaker
from comic_ocr.job.budget import affordable_pages


def make_pace(*ratios: float) -> Pace:
    pace = Pace()
    for ratio in ratios:
        pace.add(ratio * 10, 10)
    return pace


STEADY = make_pace(*[1.0] * 20)


@pytest.mark.parametrize(
    ("waited_s", "pace", "done_share", "late"),
    [
        (100, STEADY, 0.6, True),
        (46, STEADY, 0.5, True),
        (44, STEADY, 0.6, False),
        (1000, STEADY, 0.49, False),
        (1000, make_pace(*[1.0] * 9), 0.9, False),
        (89, make_pace(*[2.0] * 20), 0.9, False),
        (200, make_pace(*[2.0] * 20), 0.9, True),
        (100, make_pace(*[1.0] * 18, 50.0, 50.0), 0.9, True),
    ],
)
def test_a_call_is_late_at_one_and_a_half_times_what_others_take(waited_s, pace, done_share, late):
    assert is_late(waited_s=waited_s, expected_s=30, pace=pace, done_share=done_share) == late


def test_a_short_wait_is_never_late():
    assert not is_late(waited_s=9, expected_s=0.1, pace=STEADY, done_share=1.0)


def test_the_median_follows_the_last_calls():
    pace = make_pace(*[1.0] * 400, *[3.0] * 300)
    assert pace.median == pytest.approx(3.0)
    assert pace.ended == 700


def test_the_breaker_names_what_most_of_the_last_pages_failed_with():
    breaker = Breaker()
    breaker.add(99, {"not_found": 99})
    assert breaker.find_reason() is None
    breaker.add(1, {"not_found": 1})
    assert breaker.find_reason() == "not_found"
    assert breaker.describe("not_found") == "100 of the last 100 pages failed with not_found"


def test_the_breaker_forgets():
    breaker = Breaker()
    breaker.add(200, {"api_error": 200})
    for _ in range(10):
        breaker.add(100, {})
    assert breaker.find_reason() is None


def test_failures_for_many_reasons_are_none_for_the_breaker():
    breaker = Breaker()
    breaker.add(300, {"not_found": 100, "not_an_image": 100, "truncated_image": 100})
    assert breaker.find_reason() is None


@pytest.mark.parametrize(
    ("spent_usd", "running", "page_usd", "pages"),
    [
        (0.0, 0, 0.001, 909),
        (0.5, 0, 0.001, 454),
        (0.5, 454, 0.001, 0),
        (1.0, 0, 0.001, 0),
        (1.2, 0, None, 0),
        (0.0, 0, None, 20),
        (0.0, 20, None, 0),
    ],
)
def test_a_budget_pays_for_pages_that_run_before_new_ones(spent_usd, running, page_usd, pages):
    found = affordable_pages(
        budget_usd=1.0, spent_usd=spent_usd, running=running, page_usd=page_usd
    )
    assert found == pages


def test_pages_that_cost_nothing_are_always_affordable():
    assert affordable_pages(budget_usd=1.0, spent_usd=0.0, running=9, page_usd=0.0) > 1_000_000


class Played:
    """An autoscaler whose pages take longer once there are more workers than `room`."""

    def __init__(self, most: int, *, room: int = 10**6) -> None:
        self.scaler = Autoscaler(most)
        self.room = room
        self.now, self.workers = 1.0, 1

    def play(self, seconds: int, *, left: int = 10**6, least_pages: int = 10) -> int:
        for _ in range(seconds):
            self.now += 1
            for _ in range(10):
                self.scaler.measured(0.4 * max(1.0, self.workers / self.room))
            self.workers = self.scaler.update(
                self.now, running=self.workers, left=left, least_pages=least_pages
            )
        return self.workers


def test_workers_grow_while_pages_take_them_no_longer():
    assert Played(1000).play(130) == 1000


def test_workers_shrink_where_more_of_them_only_wait():
    played = Played(1000, room=60)
    assert max(played.play(1) for _ in range(300)) <= 256
    assert played.play(240) <= 100


def test_workers_shrink_when_calls_are_refused():
    played = Played(1000)
    before = played.play(60)
    played.scaler.refused(played.now)
    assert played.play(1) < before


def test_no_more_workers_are_wanted_than_pages_keep_busy():
    played = Played(1000)
    played.play(200)
    played.workers = 0
    assert played.play(1, left=25, least_pages=10) == 3

"""The throttle: how many requests, how soon, and how all of them back off together."""

import threading
import time
from contextlib import ExitStack

import pytest

from comic_ocr.engines.api.throttle import Throttle
from comic_ocr.errors import RateLimitedError


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def make(clock, in_flight=8, per_minute=0.0):
    # No time is left, so that a request which would have to wait is refused at once.
    return Throttle(in_flight, per_minute, seconds_left=lambda: 0.0, now=clock)


def may_start(throttle):
    try:
        with throttle.slot():
            return True
    except RateLimitedError:
        return False


def count_startable(throttle):
    """Return how many more requests could be in flight at once."""
    with ExitStack() as stack:
        for number in range(1000):
            try:
                stack.enter_context(throttle.slot())
            except RateLimitedError:
                return number
    raise AssertionError("there is no limit")


def fail_together(throttle, requests, retry_after_s=None):
    """Refuse requests that were in flight together."""
    with ExitStack() as stack:
        tickets = [stack.enter_context(throttle.slot()) for _ in range(requests)]
    for ticket in tickets:
        throttle.refused(ticket, retry_after_s)


@pytest.mark.parametrize("in_flight", [1, 3, 32])
def test_so_many_requests_are_in_flight_and_no_more(clock, in_flight):
    throttle = make(clock, in_flight)
    assert count_startable(throttle) == in_flight
    assert count_startable(throttle) == in_flight


def test_a_limit_under_one_is_one(clock):
    assert count_startable(make(clock, 0)) == 1


def test_a_request_that_fails_gives_its_place_back(clock):
    throttle = make(clock, 1)
    with pytest.raises(ZeroDivisionError), throttle.slot():
        raise ZeroDivisionError
    assert may_start(throttle)


def test_starts_are_spread_over_the_minute(clock):
    throttle = make(clock, per_minute=120)
    started = 0
    for _ in range(601):
        started += may_start(throttle)
        clock.now += 0.125
    assert started == 151


def test_an_idle_minute_is_not_caught_up_with(clock):
    throttle = make(clock, per_minute=60)
    assert may_start(throttle)
    clock.now += 600
    assert [may_start(throttle) for _ in range(3)] == [True, False, False]


def test_less_than_one_request_a_minute_works(clock):
    throttle = make(clock, per_minute=0.5)
    assert may_start(throttle)
    clock.now += 119
    assert not may_start(throttle)
    clock.now += 1.01
    assert may_start(throttle)


def test_a_refusal_halves_what_is_in_flight(clock):
    throttle = make(clock, 8)
    fail_together(throttle, 1)
    clock.now += 100
    assert count_startable(throttle) == 4


def test_requests_that_were_refused_together_count_once(clock):
    throttle = make(clock, 8)
    fail_together(throttle, 8)
    clock.now += 100
    assert count_startable(throttle) == 4


def test_refusals_one_after_another_count_each_down_to_one_request(clock):
    throttle = make(clock, 8)
    left = []
    for _ in range(5):
        fail_together(throttle, 1)
        clock.now += 100
        left.append(count_startable(throttle))
    assert left == [4, 2, 1, 1, 1]


def test_good_answers_bring_the_requests_back_and_no_more_than_there_were(clock):
    throttle = make(clock, 8)
    fail_together(throttle, 1)
    clock.now += 100
    for _ in range(8):
        throttle.answered()
    assert count_startable(throttle) == 6
    for _ in range(100):
        throttle.answered()
    assert count_startable(throttle) == 8


@pytest.mark.parametrize("retry_after_s", [0.5, 7, 300])
def test_the_pause_that_the_server_wants_is_kept_by_all_with_some_jitter(clock, retry_after_s):
    throttle = make(clock, 8)
    fail_together(throttle, 3, retry_after_s)
    clock.now += retry_after_s * 0.99
    assert not may_start(throttle)
    clock.now += retry_after_s * 0.27
    assert may_start(throttle)


def test_workers_that_were_refused_together_do_not_come_back_together(clock):
    ends = set()
    for _ in range(10):
        throttle = make(clock)
        fail_together(throttle, 1, 10)
        ends.add(throttle._paused_until)
    assert len(ends) == 10


def test_the_longest_pause_asked_for_is_kept(clock):
    throttle = make(clock, 8)
    with throttle.slot() as first, throttle.slot() as second, throttle.slot() as third:
        pass
    throttle.refused(first, 1)
    throttle.refused(second, 40)
    throttle.refused(third, 1)
    clock.now += 39
    assert not may_start(throttle)


def find_pause(throttle, clock):
    began = clock.now
    while not may_start(throttle):
        clock.now += 0.05
    return clock.now - began


def test_pauses_double_while_nothing_gets_through(clock):
    throttle = make(clock, 8)
    pauses = []
    for _ in range(9):
        fail_together(throttle, 1)
        pauses.append(find_pause(throttle, clock))
    for pause_s, wanted_s in zip(pauses, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True):
        assert wanted_s <= pause_s <= wanted_s * 1.25 + 0.1


def test_a_good_answer_makes_the_next_pause_short_again(clock):
    throttle = make(clock, 8)
    for _ in range(5):
        fail_together(throttle, 1)
        find_pause(throttle, clock)
    throttle.answered()
    fail_together(throttle, 1)
    assert find_pause(throttle, clock) < 1.5


def test_a_server_that_wants_no_pause_is_not_asked_again_at_once(clock):
    throttle = make(clock, 8)
    fail_together(throttle, 1, 0)
    assert not may_start(throttle)


def test_a_server_that_refuses_again_and_again_without_a_pause_is_asked_less_and_less(clock):
    throttle = make(clock, 8)
    pauses = []
    for _ in range(4):
        fail_together(throttle, 1, 0)
        pauses.append(find_pause(throttle, clock))
    assert pauses[3] >= 8


def test_who_waits_goes_on_when_a_place_is_free():
    throttle = Throttle(1, 0, seconds_left=lambda: 60)
    got_in = threading.Event()

    def wait_for_a_place():
        with throttle.slot():
            got_in.set()

    with throttle.slot():
        waiting = threading.Thread(target=wait_for_a_place)
        waiting.start()
        time.sleep(0.05)
        assert not got_in.is_set()
    assert got_in.wait(0.4)
    waiting.join()


def test_no_more_are_in_flight_whoever_asks():
    throttle = Throttle(3, 0, seconds_left=lambda: 60)
    busy, most = threading.Semaphore(3), []

    def ask():
        for _ in range(5):
            with throttle.slot():
                most.append(busy.acquire(blocking=False))
                time.sleep(0.001)
                busy.release()

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [True] * 60


def test_who_waits_is_told_when_the_call_ends():
    ends = time.monotonic() + 0.1
    throttle = Throttle(1, 0, seconds_left=lambda: ends - time.monotonic())
    with throttle.slot(), pytest.raises(RateLimitedError) as raised, throttle.slot():
        pass
    assert raised.value.exhausted
    assert time.monotonic() - ends < 1


def test_a_wait_lasts_as_long_as_asked_for():
    began = time.monotonic()
    Throttle(1, 0, seconds_left=lambda: 60).wait(0.1)
    assert 0.1 <= time.monotonic() - began < 0.5


def test_a_wait_ends_with_the_call():
    ends = time.monotonic() + 0.1
    Throttle(1, 0, seconds_left=lambda: ends - time.monotonic()).wait(3600)
    assert time.monotonic() - ends < 0.6

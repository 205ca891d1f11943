"""Several methods one after another: who reads a page, who is believed, and who is paid."""

import threading
import time
from collections import Counter

import msgspec
import pytest
from PIL import Image

from comic_ocr.engines import Recognition
from comic_ocr.errors import (
    ApiRefusedError,
    EngineError,
    EngineMissingError,
    EngineUnavailableError,
    RateLimitedError,
    UnparsableAnswerError,
)
from comic_ocr.page import PageRef, PageResult, Region, Usage, result_key
from comic_ocr.storage import open_store
from comic_ocr.worker import pages as loop_module
from comic_ocr.worker.pages import PageLoop, PagePlan
from comic_ocr.worker.read import ReadPlan
from comic_ocr.worker.steps import LoadedEngine, Step


class SayingEngine:
    """Says of each page what it is told to: (text, confidence), or an error that it raises."""

    version, model = "1", None

    def __init__(self, says, cost_usd=0.0, cached=False):
        self.says = says
        self.usage = Usage(input_tokens=3, output_tokens=1, cost_usd=cost_usd, cached=cached)
        self.calls = Counter()

    def load(self):
        pass

    def recognize(self, page):
        self.calls[page.page_id] += 1
        said = self.says[page.page_id] if isinstance(self.says, dict) else self.says
        if isinstance(said, Exception):
            raise said
        text, confidence = said
        if text is None:
            return Recognition([], self.usage)
        return Recognition(
            [Region(text=text, bbox=(0, 0, 8, 6), confidence=confidence)], self.usage
        )


class Line:
    """Engines in a row, as steps; counts how often each is loaded."""

    def __init__(self, *engines, concurrency=1):
        self.engines = engines
        self.loads = [0] * len(engines)
        self.steps = [
            Step(f"m{i}", lambda i=i: self._open(i), concurrency=concurrency)
            for i in range(len(engines))
        ]

    def _open(self, number):
        self.loads[number] += 1
        engine = self.engines[number]
        if isinstance(engine, Exception):
            raise engine
        return LoadedEngine(engine, ReadPlan(f"m{number}"))

    @property
    def calls(self):
        return [engine.calls.total() for engine in self.engines]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(loop_module, "_FIRST_PAUSE_S", 0)


@pytest.fixture
def store(memory_url):
    return open_store(memory_url)


@pytest.fixture
def pages(tmp_path):
    def make(count=1):
        refs = []
        for i in range(count):
            path = tmp_path / f"{i}.png"
            Image.new("RGB", (8, 6), (i, 0, 0)).save(path)
            refs.append(PageRef(canonical_id=chr(ord("a") + i), source=str(path)))
        return refs

    return make


def run(store, line, pages, *, should_stop=lambda: False, min_confidence=0.8):
    plan = PagePlan(min_confidence=min_confidence)
    return PageLoop(store, line.steps, plan, should_stop=should_stop).run(pages)


def read(store, page_id="a"):
    return msgspec.json.decode(store.get(result_key(page_id)), type=PageResult)


@pytest.mark.parametrize(
    ("first", "goes_on"),
    [
        (("x", 0.79), True),
        (("x", 0.8), False),
        (("x", 1.0), False),
        (("x", 0.0), True),
        (("x", None), False),
        ((None, None), True),
        (("  ", 0.99), True),
    ],
)
def test_only_what_is_read_badly_goes_to_the_next_method(store, pages, first, goes_on):
    line = Line(SayingEngine(first), SayingEngine(("second", 0.9)))
    (row,) = run(store, line, pages()).rows
    assert row.status == "done"
    assert line.calls == [1, int(goes_on)]
    assert read(store).ocr_method == ("m1" if goes_on else "m0")


def test_two_methods_without_text_are_believed(store, pages):
    line = Line(*[SayingEngine((None, None))] * 2, SayingEngine(("third", 0.9)))
    (row,) = run(store, line, pages()).rows
    assert [reading.method for reading in row.readings] == ["m0", "m1"]
    assert read(store).full_text == ""


def test_text_that_a_second_method_does_not_see_is_for_a_third(store, pages):
    line = Line(SayingEngine(("x", 0.1)), SayingEngine((None, None)), SayingEngine(("y", 0.9)))
    run(store, line, pages())
    assert read(store).full_text == "y"


def test_the_last_method_is_believed_whatever_its_confidence(store, pages):
    line = Line(SayingEngine(("x", 0.5)), SayingEngine(("y", 0.4)))
    (row,) = run(store, line, pages()).rows
    assert row.status == "done"
    assert read(store).full_text == "y"


def test_a_floor_of_zero_hands_on_pages_without_text_alone(store, pages):
    line = Line(SayingEngine({"a": ("x", 0.0), "b": (None, None)}), SayingEngine(("y", 0.9)))
    run(store, line, pages(2), min_confidence=0.0)
    assert line.engines[1].calls == {"b": 1}


def test_every_reading_is_in_the_row_with_its_price_and_the_row_has_the_sum(store, pages):
    line = Line(
        SayingEngine(("x", 0.5), cost_usd=0.25),
        SayingEngine(("y", 0.6), cost_usd=0.5),
        SayingEngine(("z", 0.9), cost_usd=1.0),
    )
    (row,) = run(store, line, pages()).rows
    assert [(r.method, r.confidence, r.cost_usd, r.code) for r in row.readings] == [
        ("m0", 0.5, 0.25, ""),
        ("m1", 0.6, 0.5, ""),
        ("m2", 0.9, 1.0, ""),
    ]
    assert (row.cost_usd, row.input_tokens, row.output_tokens) == (1.75, 9, 3)
    assert row.ocr_s == pytest.approx(sum(reading.ocr_s for reading in row.readings))


def test_a_single_method_needs_no_readings(store, pages):
    (row,) = run(store, Line(SayingEngine(("x", 0.1), cost_usd=0.25)), pages()).rows
    assert row.readings == ()
    assert row.cost_usd == 0.25


def test_an_answer_that_was_paid_before_costs_nothing_now(store, pages):
    line = Line(
        SayingEngine(("x", 0.5), cost_usd=0.25, cached=True),
        SayingEngine(("y", 0.9), cost_usd=0.5),
    )
    (row,) = run(store, line, pages()).rows
    assert row.cost_usd == 0.5


def test_a_later_method_that_fails_for_good_leaves_the_earlier_result_with_a_warning(store, pages):
    refusal = EngineError("the image is moderated")
    refusal.spent = {"cost_usd": 0.5, "input_tokens": 2, "model": "x"}
    line = Line(SayingEngine(("x", 0.5), cost_usd=0.25), SayingEngine(refusal))
    (row,) = run(store, line, pages()).rows
    assert row.status == "done"
    assert [reading.code for reading in row.readings] == ["", "engine_error"]
    assert row.cost_usd == 0.75
    result = read(store)
    assert (result.full_text, result.ocr_method) == ("x", "m0")
    assert "m1 failed: the image is moderated" in result.warnings


def test_a_first_method_that_fails_for_good_leaves_the_page_to_the_next(store, pages):
    line = Line(SayingEngine(ZeroDivisionError("x")), SayingEngine(("y", 0.9)))
    (row,) = run(store, line, pages()).rows
    assert row.status == "done"
    assert read(store).full_text == "y"
    assert any("m0 failed" in warning for warning in read(store).warnings)


def test_a_page_that_all_methods_fail_on_is_a_failure(store, pages):
    line = Line(SayingEngine(EngineError("first")), SayingEngine(EngineError("second")))
    (row,) = run(store, line, pages()).rows
    assert (row.status, row.code) == ("failed", "engine_error")
    assert [reading.method for reading in row.readings] == ["m0", "m1"]
    assert not list(store.list())


@pytest.mark.parametrize(
    "error", [RateLimitedError("later"), EngineUnavailableError("away"), MemoryError()]
)
def test_what_may_pass_fails_the_page_so_that_it_can_be_read_again(store, pages, error):
    line = Line(SayingEngine(("x", 0.5), cost_usd=0.25), SayingEngine(error))
    (row,) = run(store, line, pages()).rows
    assert row.status == "failed"
    assert row.retryable
    assert row.cost_usd == 0.25
    assert not list(store.list())


def test_useless_answers_fail_the_page_with_what_they_cost(store, pages):
    error = UnparsableAnswerError("nonsense")
    error.spent, error.exhausted = {"cost_usd": 0.75}, True
    line = Line(SayingEngine(("x", 0.5), cost_usd=0.25), SayingEngine(error))
    (row,) = run(store, line, pages()).rows
    assert (row.code, row.cost_usd, line.calls) == ("unparsable_answer", 1.0, [1, 1])


def test_an_engine_that_is_not_needed_is_not_loaded(store, pages):
    line = Line(SayingEngine(("x", 0.9)), SayingEngine(("y", 0.9)))
    run(store, line, pages(5))
    assert line.loads == [1, 0]


def test_an_engine_is_loaded_once_by_whoever_comes_first(store, pages):
    line = Line(SayingEngine(("x", 0.1)), SayingEngine(("y", 0.9)), concurrency=8)
    run(store, line, pages(20))
    assert line.loads == [1, 1]
    assert line.calls == [20, 20]


def test_a_later_engine_that_cannot_load_is_a_fault_of_the_job_and_of_no_page(store, pages):
    missing = EngineMissingError("no model here", hint="install it")
    line = Line(SayingEngine({"a": ("x", 0.9), "b": ("x", 0.1), **_good("cdefgh")}), missing)
    outcome = run(store, line, pages(8))
    assert outcome.fault is missing
    assert outcome.rows[1] is None
    assert {row.status for row in outcome.rows if row} == {"done"}
    assert line.loads[1] == 1


def test_a_later_engine_that_breaks_while_it_loads_is_a_fault_of_the_job_as_well(store, pages):
    line = Line(SayingEngine(("x", 0.1)), RuntimeError("libfoo.so is missing"))
    outcome = run(store, line, pages(3))
    assert isinstance(outcome.fault, EngineMissingError)
    assert "libfoo.so" in outcome.fault.message
    assert "m1" in outcome.fault.message
    assert outcome.rows == [None] * 3
    assert line.loads[1] == 1


def _good(ids):
    return dict.fromkeys(ids, ("x", 0.9))


def test_an_api_that_refuses_the_job_stops_it_and_no_page_is_blamed(store, pages):
    refused = ApiRefusedError("no credit")
    line = Line(SayingEngine({**_good("abcdefgh"), "c": ("x", 0.1)}), SayingEngine(refused))
    outcome = run(store, line, pages(8))
    assert outcome.fault is refused
    assert outcome.rows[2] is None
    assert {row.status for row in outcome.rows if row} == {"done"}


@pytest.mark.parametrize("error", [RateLimitedError("no turn"), EngineUnavailableError("cut")])
def test_a_page_that_could_not_be_asked_for_when_the_time_is_over_is_not_reached(
    store, pages, error
):
    over = threading.Event()

    class LateEngine(SayingEngine):
        def recognize(self, page):
            over.set()
            raise self.says

    error.exhausted = True
    error.spent = {"cost_usd": 0.5}
    line = Line(SayingEngine(("x", 0.1), cost_usd=0.25), LateEngine(error))
    outcome = run(store, line, pages(1), should_stop=over.is_set)
    assert outcome.rows == [None]
    assert outcome.fault is None
    assert outcome.unreached_usd == 0.75


def test_a_page_is_not_handed_on_when_the_time_is_over(store, pages):
    over = threading.Event()

    class LastEngine(SayingEngine):
        def recognize(self, page):
            over.set()
            return super().recognize(page)

    line = Line(LastEngine(("x", 0.1), cost_usd=0.25), SayingEngine(("y", 0.9)))
    outcome = run(store, line, pages(), should_stop=over.is_set)
    assert outcome.rows == [None]
    assert outcome.unreached_usd == 0.25
    assert line.calls == [1, 0]
    assert not list(store.list())


def test_an_exhausted_failure_is_not_tried_again(store, pages):
    error = RateLimitedError("tried for long")
    error.exhausted = True
    line = Line(SayingEngine(error))
    (row,) = run(store, line, pages()).rows
    assert (row.code, line.calls) == ("rate_limited", [1])


def test_a_slow_second_method_does_not_hold_the_first_up(store, pages):
    seen = threading.Event()

    class WaitingEngine(SayingEngine):
        def recognize(self, page):
            assert seen.wait(5), "the first method did not go on"
            return super().recognize(page)

    class SeeingEngine(SayingEngine):
        def recognize(self, page):
            if page.page_id == "c":
                seen.set()
            return super().recognize(page)

    line = Line(SeeingEngine({**_good("bc"), "a": ("x", 0.1)}), WaitingEngine(("y", 0.9)))
    began = time.monotonic()
    assert [row.status for row in run(store, line, pages(3)).rows] == ["done"] * 3
    assert time.monotonic() - began < 4

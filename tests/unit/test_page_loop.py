"""The worker's loop: every page ends in a row, in order, and no page ends another."""

import subprocess
import sys
import threading
import time
import weakref
from collections import Counter

import msgspec
import numpy as np
import pytest
from PIL import Image

from comic_ocr.engines import Recognition
from comic_ocr.errors import (
    BackendError,
    EngineError,
    EngineMissingError,
    EngineUnavailableError,
    RateLimitedError,
    StorageError,
)
from comic_ocr.page import PageRef, PageResult, Region, Usage, result_key
from comic_ocr.storage import open_store
from comic_ocr.worker import pages as loop_module
from comic_ocr.worker.pages import _LOOKAHEAD, MAX_TRIES, PageLoop, PagePlan, retry_call
from comic_ocr.worker.read import ReadPlan, fetch_page
from comic_ocr.worker.steps import LoadedEngine, Step
from comic_ocr.worker.task import is_alive


class ReadingEngine:
    """Reads a page's own id. Its plan says what goes wrong first: {page: [error, ...]}."""

    version, model = "1", "m"

    def __init__(self, plan=None):
        self.plan = {page: list(errors) for page, errors in (plan or {}).items()}
        self.calls = Counter()

    def load(self):
        pass

    def recognize(self, page):
        self.calls[page.page_id] += 1
        if self.plan.get(page.page_id):
            raise self.plan[page.page_id].pop(0)
        region = Region(text=page.page_id, bbox=(0, 0, page.width, page.height), confidence=0.5)
        return Recognition([region], Usage(input_tokens=9, cost_usd=0.25), ("faint",))


class ActingEngine(ReadingEngine):
    """Does something with each page before it reads it."""

    def __init__(self, action):
        super().__init__()
        self.action = action

    def recognize(self, page):
        self.action(page)
        return super().recognize(page)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(loop_module, "_FIRST_PAUSE_S", 0)


@pytest.fixture
def store(memory_url):
    return open_store(memory_url)


@pytest.fixture
def pages(tmp_path):
    """Return a maker of pages: a, b, c, …"""

    def make(count: int) -> list[PageRef]:
        refs = []
        for i in range(count):
            path = tmp_path / f"{i}.png"
            Image.new("RGB", (8, 6), (i, 0, 0)).save(path)
            refs.append(PageRef(canonical_id=chr(ord("a") + i), source=str(path)))
        return refs

    return make


def run(store, engine, pages, *, concurrency=1, should_stop=lambda: False, options=None, **plan):
    loaded = LoadedEngine(engine, ReadPlan("tiny", options or {}))
    step = Step("tiny", lambda: loaded, concurrency=concurrency)
    return PageLoop(store, [step], PagePlan(**plan), should_stop=should_stop).run(pages)


def states(outcome):
    return [row and row.status for row in outcome.rows]


def read(store, page_id):
    return msgspec.json.decode(store.get(result_key(page_id)), type=PageResult)


def written(store):
    return sorted(entry.key.removesuffix("_ocr.json") for entry in store.list())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_each_page_is_a_row_and_a_page_json(store, pages, count):
    engine = ReadingEngine()
    outcome = run(store, engine, pages(count))
    ids = [page.canonical_id for page in pages(count)]
    assert [row.canonical_id for row in outcome.rows] == ids
    assert states(outcome) == ["done"] * count
    assert outcome.fault is None
    assert written(store) == ids
    assert engine.calls == dict.fromkeys(ids, 1)


def test_rows_are_in_page_order_whoever_is_first(store, pages):
    delays = dict(zip("abcdefgh", (9, 1, 5, 0, 7, 2, 0, 0), strict=True))
    engine = ActingEngine(lambda page: time.sleep(delays[page.page_id] / 100))
    outcome = run(store, engine, pages(8), concurrency=4)
    assert "".join(row.canonical_id for row in outcome.rows) == "abcdefgh"


def test_the_page_json_says_what_was_read_and_how(store, pages):
    (page,) = pages(1)
    page = msgspec.structs.replace(page, extra={"note": "x"})
    run(store, ReadingEngine(), [page], options={"lang": "en"})
    result = read(store, "a")
    assert (result.full_text, result.num_regions, result.confidence) == ("a", 1, 0.5)
    assert (result.image.width, result.image.height, result.image.format) == (8, 6, "PNG")
    assert result.source_image_path == page.source
    assert (result.ocr_method, result.engine.model) == ("tiny", "m")
    assert result.engine.options == {"lang": "en"}
    assert result.warnings == ["faint"]
    assert result.manifest == {"note": "x"}
    assert result.timestamp.endswith("+00:00")


def test_a_row_says_what_the_page_took(store, pages):
    (page,) = pages(1)
    before = time.time()
    (row,) = run(store, ActingEngine(lambda _page: time.sleep(0.02)), [page]).rows
    assert before <= row.at <= time.time()
    assert 0.02 <= row.ocr_s < 1
    assert min(row.fetch_s, row.decode_s, row.arrange_s) >= 0
    assert row.image_bytes == len(open_store("/").get(page.source[1:]))
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (9, 0, 0.25)


def test_a_failed_page_does_not_fail_its_chunk(store, pages):
    engine = ReadingEngine({"b": [EngineError("no text layer")]})
    outcome = run(store, engine, pages(4))
    assert states(outcome) == ["done", "failed", "done", "done"]
    failed = outcome.rows[1]
    assert (failed.code, failed.message, failed.retryable) == (
        "engine_error",
        "no text layer",
        False,
    )
    assert failed.source == pages(4)[1].source
    assert written(store) == ["a", "c", "d"]


def test_what_will_not_pass_is_tried_once(store, pages):
    engine = ReadingEngine({"a": [EngineError("x")] * 9})
    run(store, engine, pages(1))
    assert engine.calls == {"a": 1}


def test_what_may_pass_is_tried_again(store, pages):
    engine = ReadingEngine({"a": [RateLimitedError("x"), EngineUnavailableError("y")]})
    assert states(run(store, engine, pages(2))) == ["done", "done"]
    assert engine.calls == {"a": 3, "b": 1}


def test_what_does_not_pass_is_given_up_after_so_many_tries(store, pages):
    engine = ReadingEngine({"a": [RateLimitedError("slow down")] * 9})
    outcome = run(store, engine, pages(2))
    assert engine.calls == {"a": MAX_TRIES, "b": 1}
    assert states(outcome) == ["failed", "done"]
    assert (outcome.rows[0].code, outcome.rows[0].retryable) == ("rate_limited", True)


def test_an_exception_of_another_kind_is_an_engine_error(store, pages):
    engine = ReadingEngine({"a": [ZeroDivisionError("by width")], "c": [MemoryError()]})
    first, second, third = run(store, engine, pages(3)).rows
    assert (first.code, first.message) == ("engine_error", "ZeroDivisionError: by width")
    assert second.status == "done"
    assert (third.code, third.retryable) == ("out_of_memory", True)
    assert engine.calls == {"a": 1, "b": 1, "c": 1}


def test_an_answer_that_is_no_recognition_is_an_engine_error(store, pages):
    class SilentEngine(ReadingEngine):
        def recognize(self, page):
            return None

    assert [row.code for row in run(store, SilentEngine(), pages(2)).rows] == ["engine_error"] * 2


def test_a_result_that_is_no_json_is_a_failed_page(store, pages):
    class NumpyEngine(ReadingEngine):
        def recognize(self, page):
            metadata = {"angle": np.float32(0.5)} if page.page_id == "b" else {}
            return Recognition([Region(text="x", bbox=(0, 0, 1, 1), metadata=metadata)])

    assert states(run(store, NumpyEngine(), pages(3))) == ["done", "failed", "done"]


def test_a_text_that_is_no_unicode_is_a_failed_page(store, pages):
    class HalfLetterEngine(ReadingEngine):
        def recognize(self, page):
            text = "\ud83d" if page.page_id == "b" else "x"
            return Recognition([Region(text=text, bbox=(0, 0, 1, 1))])

    assert states(run(store, HalfLetterEngine(), pages(3))) == ["done", "failed", "done"]


def test_a_page_without_a_usable_image_is_a_failed_page(store, pages, tmp_path):
    good = pages(3)
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_bytes(b"<html>no such page")
    engine = ReadingEngine()
    outcome = run(store, engine, good)
    assert [row.code for row in outcome.rows] == ["", "not_found", "not_an_image"]
    assert engine.calls == {"a": 1}


def test_a_page_over_the_limit_is_refused(store, pages):
    (row,) = run(store, ReadingEngine(), pages(1), max_pixels=47).rows
    assert row.code == "image_too_large"


def test_a_result_that_cannot_be_written_is_a_failed_page_and_ends_the_reading(pages, tmp_path):
    (tmp_path / "out").write_text("a file where the folder should be")
    outcome = run(open_store(str(tmp_path / "out")), ReadingEngine(), pages(26))
    failed = [row for row in outcome.rows if row]
    assert 1 <= len(failed) < 26
    assert {(row.code, row.retryable) for row in failed} == {("storage_error", True)}


class ForgetfulStore:
    """The memory store, whose answers to the first requests of a kind are lost on the way."""

    def __init__(self, store, **lost):
        self.store = store
        self.lost = lost

    def head(self, key):
        return self.answer("head", self.store.head(key))

    def put(self, *args, **how):
        return self.answer("put", self.store.put(*args, **how))

    def answer(self, kind, value):
        if self.lost.get(kind):
            self.lost[kind] -= 1
            raise StorageError("no answer")
        return value


def test_a_page_that_was_written_though_the_answer_was_lost_is_found(store, pages):
    outcome = run(ForgetfulStore(store, put=1), ReadingEngine(), pages(1))
    (row,) = outcome.rows
    assert (row.status, row.code, row.message, row.source) == ("found", "", "", "")
    assert row.cost_usd == 0.25
    assert written(store) == ["a"]


def test_a_page_of_an_earlier_call_is_found_when_storage_is_back(store, pages):
    store.put("a_ocr.json", b"earlier")
    engine = ReadingEngine()
    outcome = run(ForgetfulStore(store, head=1), engine, pages(1), check_existing=True)
    assert states(outcome) == ["found"]
    assert not engine.calls


def test_a_page_stays_failed_while_storage_does_not_say_what_it_holds(store, pages):
    outcome = run(ForgetfulStore(store, put=1, head=1), ReadingEngine(), pages(1))
    assert outcome.rows[0].code == "storage_error"


def test_attempts_count_those_of_earlier_runs_and_calls(store, pages):
    first, second = pages(2)
    second = msgspec.structs.replace(second, attempts=4)
    engine = ReadingEngine({"b": [EngineError("x")]})
    outcome = run(store, engine, [first, second], earlier_attempts=2)
    assert [row.attempts for row in outcome.rows] == [3, 7]


def test_pages_after_the_stop_are_not_reached(store, pages):
    stop = threading.Event()
    engine = ActingEngine(lambda page: stop.set() if page.page_id == "c" else None)
    outcome = run(store, engine, pages(20), should_stop=stop.is_set)
    assert list(engine.calls)[-1] == "c"
    assert written(store) == sorted(engine.calls)
    assert states(outcome) == ["done" if chr(97 + i) in engine.calls else None for i in range(20)]
    assert outcome.fault is None


def test_a_loop_that_is_stopped_at_once_reads_nothing(store, pages):
    engine = ReadingEngine()
    assert states(run(store, engine, pages(5), should_stop=lambda: True)) == [None] * 5
    assert not engine.calls


@pytest.mark.parametrize(
    "error", [EngineMissingError("no model", hint="install it"), BackendError("old version")]
)
def test_what_would_stop_every_worker_is_a_fault_and_no_page_is_blamed(store, pages, error):
    engine = ReadingEngine({"b": [error]})
    outcome = run(store, engine, pages(20))
    assert list(engine.calls)[-1] == "b"
    assert written(store) == sorted(set(engine.calls) - {"b"})
    assert {row.status for row in outcome.rows if row} <= {"done"}
    assert outcome.fault is error


def test_a_page_that_is_there_is_found_and_not_read_again(store, pages):
    store.put("b_ocr.json", b"earlier")
    engine = ReadingEngine()
    outcome = run(store, engine, pages(3), check_existing=True)
    assert states(outcome) == ["done", "found", "done"]
    assert engine.calls == {"a": 1, "c": 1}
    assert store.get("b_ocr.json") == b"earlier"


def test_a_page_json_is_never_replaced_unasked(store, pages):
    store.put("a_ocr.json", b"earlier")
    engine = ReadingEngine()
    outcome = run(store, engine, pages(2))
    assert states(outcome) == ["found", "done"]
    assert engine.calls == {"a": 1, "b": 1}
    assert store.get("a_ocr.json") == b"earlier"


def test_the_work_on_a_page_that_is_found_is_counted(store, pages):
    store.put("a_ocr.json", b"earlier")
    (row,) = run(store, ReadingEngine(), pages(1)).rows
    assert row.cost_usd == 0.25


def test_page_json_of_an_earlier_job_is_replaced_when_asked(store, pages):
    store.put("a_ocr.json", b"earlier")
    outcome = run(store, ReadingEngine(), pages(1), replace_before=time.time() + 60)
    assert states(outcome) == ["done"]
    assert read(store, "a").full_text == "a"


def test_of_page_json_only_what_is_older_is_replaced(store, pages):
    store.put("a_ocr.json", b"old")
    time.sleep(0.02)
    begun = time.time()
    time.sleep(0.02)
    store.put("b_ocr.json", b"of this job")
    outcome = run(store, ReadingEngine(), pages(3), check_existing=True, replace_before=begun)
    assert states(outcome) == ["done", "found", "done"]
    assert read(store, "a").full_text == "a"
    assert store.get("b_ocr.json") == b"of this job"


def test_as_many_pages_are_read_at_once_as_promised(store, pages):
    together = threading.Barrier(3)
    engine = ActingEngine(lambda _page: together.wait(timeout=10))
    assert states(run(store, engine, pages(9), concurrency=3)) == ["done"] * 9


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_pages_are_read_at_once_than_promised(store, pages, concurrency):
    busy, most = threading.Semaphore(concurrency), []

    def enter(_page):
        most.append(busy.acquire(blocking=False))
        time.sleep(0.005)
        busy.release()

    run(store, ActingEngine(enter), pages(12), concurrency=concurrency)
    assert most == [True] * 12


def test_the_next_page_is_fetched_while_one_is_read(store, pages):
    seen = threading.Event()

    class WatchingStore:
        """The memory store, which tells when it is asked for page b."""

        def head(self, key):
            if key == "b_ocr.json":
                seen.set()
            return store.head(key)

        def put(self, *args, **how):
            return store.put(*args, **how)

    def wait_for_b(page):
        if page.page_id == "a" and not seen.wait(10):
            raise TimeoutError("page b was not fetched beside page a")

    outcome = run(WatchingStore(), ActingEngine(wait_for_b), pages(2), check_existing=True)
    assert states(outcome) == ["done", "done"]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_few_pages_are_in_memory_at_once(store, pages, monkeypatch, concurrency):
    images, alive = [], []

    def fetch_and_count(page, plan):
        fetched = fetch_page(page, plan)
        images.append(weakref.ref(fetched.image))
        alive.append(sum(image() is not None for image in images))
        return fetched

    # Time enough to fetch all pages beside the first, if nothing held the loop back.
    engine = ActingEngine(lambda page: time.sleep(0.2 if page.page_id == "a" else 0.002))
    monkeypatch.setattr(loop_module, "fetch_page", fetch_and_count)
    assert states(run(store, engine, pages(26), concurrency=concurrency)) == ["done"] * 26
    assert len(images) == 26
    assert 1 < max(alive) <= concurrency + 2 * _LOOKAHEAD + 1


def pauses_of(*errors):
    """Return the pauses of a call that fails so, and then does not."""
    pauses, left = [], list(errors)

    def fail():
        if left:
            raise left.pop(0)

    retry_call(fail, sleep=pauses.append)
    return pauses


def test_pauses_grow_between_tries(monkeypatch):
    monkeypatch.setattr(loop_module, "_FIRST_PAUSE_S", 0.5)
    assert pauses_of() == []
    first, second = pauses_of(RateLimitedError("x"), EngineUnavailableError("y"))
    assert 0.25 <= first <= 0.75
    assert 0.5 <= second <= 1.5


def test_workers_that_fail_together_do_not_come_back_together(monkeypatch):
    monkeypatch.setattr(loop_module, "_FIRST_PAUSE_S", 1.0)
    assert len({pauses_of(RateLimitedError("x"))[0] for _ in range(20)}) == 20


def test_the_last_error_of_a_call_is_raised():
    errors = [RateLimitedError(str(number)) for number in range(MAX_TRIES + 1)]
    with pytest.raises(RateLimitedError, match=str(MAX_TRIES - 1)):
        pauses_of(*errors)


def test_storage_that_failed_is_not_asked_again_since_it_tried_by_itself():
    with pytest.raises(StorageError):
        pauses_of(StorageError("x"))


def test_a_driver_that_was_killed_counts_as_gone_before_it_is_waited_for():
    driver = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert is_alive(driver.pid)
    driver.kill()
    end = time.monotonic() + 10
    while is_alive(driver.pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_alive(driver.pid)
    driver.wait()
    assert not is_alive(driver.pid)

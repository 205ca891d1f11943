"""What becomes of the pages of a lost call."""

import pytest

from comic_ocr.backends import CallLoss
from comic_ocr.errors import OutOfMemoryError, PageTimeoutError, StorageError, WorkerLostError
from comic_ocr.job.retry import decide_loss, next_memory_mb

DEADLY = [OutOfMemoryError, PageTimeoutError, WorkerLostError]


@pytest.mark.parametrize("error", DEADLY)
@pytest.mark.parametrize(
    ("attempt", "pages", "tries", "decision"),
    [
        (1, 1, 1, "retry"),
        (1, 500, 1, "retry"),
        (2, 500, 2, "split"),
        (2, 2, 2, "split"),
        (2, 1, 2, "give_up"),
        (3, 63, 1, "split"),
        (3, 1, 1, "retry"),
        (9, 2, 1, "split"),
        (9, 1, 2, "give_up"),
    ],
)
def test_pages_that_may_kill_a_worker_are_tried_split_and_given_up(
    error, attempt, pages, tries, decision
):
    loss = CallLoss(error.code, "gone")
    assert decide_loss(loss, attempt=attempt, pages=pages, tries=tries) == decision


@pytest.mark.parametrize("pages", [1, 500])
@pytest.mark.parametrize(
    ("attempt", "decision"), [(1, "retry"), (2, "retry"), (3, "retry"), (4, "abort"), (5, "abort")]
)
def test_a_storage_that_fails_is_no_pages_fault(attempt, pages, decision):
    loss = CallLoss(StorageError.code, "no answer")
    assert decide_loss(loss, attempt=attempt, pages=pages, tries=attempt) == decision


def test_a_page_that_kills_every_worker_costs_few_calls():
    """Two of 2000 pages, one of each split in eight, and a second one of the page alone."""
    pages, attempt, tries, calls = 2000, 1, 1, 0
    while True:
        calls += 1
        loss = CallLoss("worker_lost", "")
        decision = decide_loss(loss, attempt=attempt, pages=pages, tries=tries)
        if decision == "give_up":
            break
        pages, tries = (-(-pages // 8), 1) if decision == "split" else (pages, tries + 1)
        attempt += 1
    assert (pages, calls) == (1, 7)


@pytest.mark.parametrize(
    ("code", "memory_mb", "most_mb", "expected"),
    [
        ("out_of_memory", 1024, 10240, 2048),
        ("out_of_memory", 3008, 10240, 4096),
        ("out_of_memory", 8192, 10240, 10240),
        ("out_of_memory", 10240, 10240, 10240),
        ("out_of_memory", 2048, 0, 2048),
        ("worker_lost", 1024, 10240, 1024),
    ],
)
def test_memory_doubles_after_a_death_for_want_of_it(code, memory_mb, most_mb, expected):
    loss = CallLoss(code, "gone")
    assert next_memory_mb(loss, memory_mb=memory_mb, most_mb=most_mb) == expected

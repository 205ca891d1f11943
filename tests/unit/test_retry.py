"""What becomes of the pages of a lost call."""

import pytest

from comic_ocr.backends import CallLoss
from comic_ocr.errors import OutOfMemoryError, PageTimeoutError, StorageError, WorkerLostError
from comic_ocr.job.retry import decide_loss

DEADLY = [OutOfMemoryError, PageTimeoutError, WorkerLostError]


@pytest.mark.parametrize("error", DEADLY)
@pytest.mark.parametrize(
    ("attempt", "pages", "decision"),
    [
        (1, 1, "retry"),
        (1, 500, "retry"),
        (2, 500, "split"),
        (2, 2, "split"),
        (2, 1, "give_up"),
        (3, 250, "split"),
        (9, 2, "split"),
        (9, 1, "give_up"),
    ],
)
def test_pages_that_may_kill_a_worker_are_tried_split_and_given_up(error, attempt, pages, decision):
    loss = CallLoss(error.code, "gone")
    assert decide_loss(loss, attempt=attempt, pages=pages) == decision


@pytest.mark.parametrize("pages", [1, 500])
@pytest.mark.parametrize(
    ("attempt", "decision"), [(1, "retry"), (2, "retry"), (3, "retry"), (4, "abort"), (5, "abort")]
)
def test_a_storage_that_fails_is_no_pages_fault(attempt, pages, decision):
    loss = CallLoss(StorageError.code, "no answer")
    assert decide_loss(loss, attempt=attempt, pages=pages) == decision


def test_a_page_that_kills_every_worker_stands_alone_after_few_calls():
    """The calls that one bad page of 1000 costs: two, then one more for each halving."""
    pages, attempt, calls = 1000, 1, 0
    while True:
        calls += 1
        decision = decide_loss(CallLoss("worker_lost", ""), attempt=attempt, pages=pages)
        if decision == "give_up":
            break
        if decision == "split":
            pages = (pages + 1) // 2
        attempt += 1
    assert calls == 12

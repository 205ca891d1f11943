"""What becomes of the pages of a lost call."""

import pytest

from comic_ocr.backends import CallLoss
from comic_ocr.errors import OutOfMemoryError, PageTimeoutError, StorageError, WorkerLostError
from comic_ocr.job.retry import decide_loss, next_memory_mb

DEADLY = [OutOfMemoryError, PageTimeoutError, WorkerLostError]


def decide(code: str, *, pages: int, deaths: int = 0, alone: int = 0, storage: int = 0) -> str:
    loss = CallLoss(code, "gone")
    return decide_loss(loss, pages=pages, deaths=deaths, deaths_alone=alone, storage_losses=storage)


@pytest.mark.parametrize("error", DEADLY)
@pytest.mark.parametrize(
    ("pages", "deaths", "alone", "decision"),
    [
        (1, 1, 1, "retry"),
        (500, 1, 1, "retry"),
        (500, 2, 2, "split"),
        (2, 2, 2, "split"),
        (1, 2, 2, "give_up"),
        (63, 3, 1, "split"),
        (1, 3, 1, "retry"),
        (2, 9, 1, "split"),
        (1, 9, 2, "give_up"),
    ],
)
def test_pages_that_may_kill_a_worker_are_tried_split_and_given_up(
    error, pages, deaths, alone, decision
):
    assert decide(error.code, pages=pages, deaths=deaths, alone=alone) == decision


@pytest.mark.parametrize("pages", [1, 500])
@pytest.mark.parametrize(
    ("storage", "decision"), [(1, "retry"), (2, "retry"), (3, "retry"), (4, "abort"), (5, "abort")]
)
def test_a_storage_that_fails_is_no_pages_fault(storage, pages, decision):
    assert decide(StorageError.code, pages=pages, deaths=5, storage=storage) == decision


def test_a_page_that_kills_every_worker_costs_few_calls():
    """Two of 2000 pages, one of each split in eight, and a second one of the page alone."""
    pages, deaths, alone = 2000, 0, 0
    while True:
        deaths, alone = deaths + 1, alone + 1
        decision = decide("worker_lost", pages=pages, deaths=deaths, alone=alone)
        if decision == "give_up":
            break
        if decision == "split":
            pages, alone = -(-pages // 8), 0
    assert (pages, deaths) == (1, 7)


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


def test_a_page_that_wants_memory_is_not_given_up_before_it_had_the_most():
    loss = CallLoss("out_of_memory", "gone")
    how = {"pages": 1, "deaths": 5, "deaths_alone": 4, "storage_losses": 0}
    assert decide_loss(loss, **how, may_grow=True) == "retry"
    assert decide_loss(loss, **how) == "give_up"

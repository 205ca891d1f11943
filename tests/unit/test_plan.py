"""Pages to parts to chunks: nothing lost, nothing twice, and no call too long or too short."""

import math

import msgspec
import pytest

from comic_ocr.job import plan
from comic_ocr.job.plan import (
    MAX_CHUNK_PAGES,
    MAX_CHUNK_S,
    Backlog,
    PlanWriter,
    size_chunk,
    split_runs,
)
from comic_ocr.page import PageRef
from comic_ocr.storage import open_store

ENGLISH = ("tesseract", ("en",))
JAPANESE = ("paddleocr", ("ja", "en"))


def make_pages(count: int, start: int = 0) -> list[PageRef]:
    return [
        PageRef(canonical_id=f"ページ {i}", source=f"/p/{i}.jpg", extra={"note": "x" * (i % 7)})
        for i in range(start, start + count)
    ]


def write_plan(url: str, *groups, **how):
    """Return (store, parts) of pages that were added group by group in turn."""
    store = open_store(url)
    writer = PlanWriter(store, "run1", **how)
    for pages, group in groups:
        for page in pages:
            writer.add(page, group)
    return store, writer.finish()


def read_chunk(store, chunk) -> list[PageRef]:
    """Return the pages that a worker sees."""
    ref = chunk.to_ref()
    decoder = msgspec.json.Decoder(PageRef)
    return [
        page
        for data in store.get_slices(ref.plan_key, ref.slices)
        for page in decoder.decode_lines(data)
    ]


def drain(backlog: Backlog, size: int):
    while backlog.pages:
        yield backlog.take(size)


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_chunks_hold_every_page_once_and_in_order(memory_url, size):
    pages = make_pages(100)
    store, parts = write_plan(memory_url, (pages, ENGLISH))
    chunks = list(drain(Backlog(parts), size))
    assert [page for chunk in chunks for page in read_chunk(store, chunk)] == pages
    assert all(chunk.pages <= size for chunk in chunks)
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks) == math.ceil(100 / size)


def test_a_part_ends_when_it_is_full(memory_url, monkeypatch):
    monkeypatch.setattr(plan, "_PART_BYTES", 500)
    pages = make_pages(100)
    store, parts = write_plan(memory_url, (pages, ENGLISH))
    assert len(parts) > 10
    assert {entry.key for entry in store.list()} == {part.key for part in parts}
    assert all(500 <= store.head(part.key).size < 600 for part in parts[:-1])
    chunks = list(drain(Backlog(parts), 30))
    assert [page for chunk in chunks for page in read_chunk(store, chunk)] == pages


def test_pages_of_two_groups_never_share_a_part(memory_url, monkeypatch):
    monkeypatch.setattr(plan, "_PART_BYTES", 2000)
    store = open_store(memory_url)
    writer = PlanWriter(store, "run1")
    for page in make_pages(100):
        writer.add(page, JAPANESE if int(page.source[3:-4]) % 3 == 0 else ENGLISH)
    for chunk in drain(Backlog(writer.finish()), 11):
        thirds = {int(page.source[3:-4]) % 3 == 0 for page in read_chunk(store, chunk)}
        ref = chunk.to_ref()
        assert thirds == {(ref.method, ref.languages) == JAPANESE}


def test_parts_have_keys_of_their_run(memory_url):
    store, parts = write_plan(memory_url, (make_pages(1), ENGLISH), (make_pages(1), JAPANESE))
    keys = [f"_comic_ocr/plan/run1/part-0000{i}.jsonl" for i in range(2)]
    assert sorted(part.key for part in parts) == keys
    assert sorted(entry.key for entry in store.list()) == keys


def test_a_dry_run_writes_nothing_and_counts_all(memory_url):
    store, parts = write_plan(memory_url, (make_pages(9), ENGLISH), dry_run=True)
    assert list(store.list()) == []
    assert Backlog(parts).pages == 9


def test_a_discarded_plan_leaves_nothing(memory_url, monkeypatch):
    monkeypatch.setattr(plan, "_PART_BYTES", 100)
    store = open_store(memory_url)
    store.put("a_ocr.json", b"{}")
    writer = PlanWriter(store, "run1")
    for page in make_pages(20):
        writer.add(page, ENGLISH)
    assert len(list(store.list())) > 5
    writer.discard()
    assert [entry.key for entry in store.list()] == ["a_ocr.json"]


def test_without_pages_there_is_no_plan(memory_url):
    store, parts = write_plan(memory_url)
    assert parts == []
    assert list(store.list()) == []
    assert Backlog(parts).pages == 0


def test_a_chunk_that_comes_back_goes_first_and_as_it_was(memory_url):
    store, parts = write_plan(memory_url, (make_pages(30), ENGLISH))
    backlog = Backlog(parts)
    lost = backlog.take(10)
    backlog.give_back(lost, attempt=2)
    assert backlog.pages == 30
    again = backlog.take(3)
    assert (again.chunk_id, again.attempt, again.runs) == (lost.chunk_id, 2, lost.runs)
    assert again.to_ref().attempt == 2
    assert backlog.pages == 20
    assert read_chunk(store, backlog.take(3)) == make_pages(3, start=10)


def test_pages_that_were_not_reached_come_back_under_a_name_of_their_own(memory_url):
    store, parts = write_plan(memory_url, (make_pages(30), ENGLISH))
    backlog = Backlog(parts)
    backlog.take(10)
    chunk = backlog.take(10)
    backlog.give_back(chunk, runs=chunk.pick(((2, 4), (9, 10))), attempt=1)
    assert backlog.pages == 13
    rest = backlog.take(10)
    assert rest.chunk_id != chunk.chunk_id
    assert rest.pages == 3
    assert [page.source for page in read_chunk(store, rest)] == [
        "/p/12.jpg",
        "/p/13.jpg",
        "/p/19.jpg",
    ]


def test_rows_are_picked_from_a_chunk_of_several_runs(memory_url):
    store, parts = write_plan(memory_url, (make_pages(30), ENGLISH))
    backlog = Backlog(parts)
    backlog.give_back(backlog.take(30), runs=((5, 8), (20, 23)), attempt=1)
    chunk = backlog.take(30)
    picked = chunk.pick(((1, 5),))
    assert picked == ((6, 8), (20, 22))
    backlog.give_back(chunk, runs=picked, attempt=1)
    pages = read_chunk(store, backlog.take(30))
    assert [page.source for page in pages] == [f"/p/{i}.jpg" for i in (6, 7, 20, 21)]


def test_what_came_back_leaves_in_the_order_in_which_it_came(memory_url):
    _, parts = write_plan(memory_url, (make_pages(9), ENGLISH))
    backlog = Backlog(parts)
    chunks = [backlog.take(3) for _ in range(3)]
    for chunk in reversed(chunks):
        backlog.give_back(chunk, attempt=2)
    assert [backlog.take(1).chunk_id for _ in range(3)] == [c.chunk_id for c in reversed(chunks)]
    assert backlog.pages == 0


@pytest.mark.parametrize(
    ("runs", "count", "parts"),
    [
        (((0, 10),), 2, [((0, 5),), ((5, 10),)]),
        (((0, 3),), 2, [((0, 2),), ((2, 3),)]),
        (((2, 4), (8, 10)), 2, [((2, 4),), ((8, 10),)]),
        (((2, 3), (8, 12)), 2, [((2, 3), (8, 10)), ((10, 12),)]),
        (((4, 6),), 8, [((4, 5),), ((5, 6),)]),
        (((0, 9),), 8, [((0, 2),), ((2, 4),), ((4, 6),), ((6, 8),), ((8, 9),)]),
    ],
)
def test_runs_are_split_in_parts_as_equal_as_can_be(runs, count, parts):
    assert split_runs(runs, count) == parts


def test_splitting_ends_with_single_pages_soon():
    runs, depth = [((0, 1500), (2000, 2500))], 0
    while any(sum(stop - start for start, stop in run) > 1 for run in runs):
        runs = [part for run in runs for part in split_runs(run)]
        depth += 1
    assert sorted(run[0][0] for run in runs) == [*range(1500), *range(2000, 2500)]
    assert depth == 4


def sizes(pages: int, **how) -> list[int]:
    found = []
    while pages:
        found.append(size_chunk(pages, **how))
        pages -= found[-1]
    return found


JOBS = [
    {"workers": workers, "page_s": page_s, "load_s": load_s}
    for workers in (1, 2, 16, 1000)
    for page_s in (0.0, 0.05, 1.1, 200.0)
    for load_s in (0.0, 3.0, 60.0)
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(map(str, job.values())))
def test_a_chunk_is_never_empty_and_never_more_than_what_is_left(job):
    for left in (1, 2, 3, 10, 99, 1234):
        assert 1 <= size_chunk(left, **job) <= left


@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(map(str, job.values())))
def test_chunks_cover_all_pages_and_shrink_toward_the_end(job):
    found = sizes(3000, **job)
    assert sum(found) == 3000
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(map(str, job.values())))
@pytest.mark.parametrize("max_s", [5.0, 30.0, MAX_CHUNK_S])
def test_a_call_is_at_most_a_page_longer_than_wanted(job, max_s):
    for left in (5, 500, 1_000_000):
        size = size_chunk(left, **job, max_s=max_s)
        assert size <= MAX_CHUNK_PAGES
        assert (size - 1) * job["page_s"] <= max_s


def test_a_million_pages_on_a_thousand_workers_take_calls_of_full_length():
    found = sizes(1_000_000, workers=1000, page_s=1.1, load_s=3.0)
    assert sum(found) == 1_000_000
    assert found[0] == math.ceil(MAX_CHUNK_S / 1.1)
    assert 1 < len(found) * found[0] / 1_000_000 < 1.4
    # the last thousand, which run side by side, are short
    assert max(found[-1000:]) * 1.1 < MAX_CHUNK_S / 2


def test_the_first_calls_leave_work_to_share_out_at_the_end():
    found = sizes(1600, workers=16, page_s=1.0, load_s=1.0, max_s=1e6)
    assert found[0] < 0.75 * 1600 / 16
    assert found[-1] < 0.1 * found[0]


def test_a_job_of_some_pages_uses_all_workers():
    assert len(sizes(64, workers=8, page_s=2.0, load_s=3.0)) >= 8


def test_a_call_works_at_least_as_long_as_it_takes_to_start():
    for left in range(10, 1000):
        assert size_chunk(left, workers=1000, page_s=0.1, load_s=5.0) * 0.1 >= min(5.0, left * 0.1)

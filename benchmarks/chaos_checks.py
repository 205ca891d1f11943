"""What must hold of a job's output, however often its processes were killed.

- A page has page JSON or an open failure: one of them, and not both.
- Page JSON says what an undisturbed run says.
- A failure is one that an undisturbed run has too, or one that may be tried again.
- No page is `done` twice in the ledger. Not every page is `done` there: a worker that was killed,
  or whose write was done while its answer was lost, leaves page JSON and no such row.
- A `done` row is of the attempt that wrote the page JSON: both give the same seconds of reading.
- Every `found` row is of a page that has page JSON.
- The last summary says finished, adds up, and counts what is there; what it says of its own run is
  what the last rows of that run's ledger say, and the sum of that run's calls.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

import comic_ocr
from comic_ocr.job import JobState, JobSummary
from comic_ocr.job.history import CALLS_PREFIX, CallRecord
from comic_ocr.page import STATE_PREFIX, LedgerRow, PageResult, result_key
from comic_ocr.storage import open_store

T = TypeVar("T")

#: workers of a dead driver finish the page in hand, whose storage may take this long to give up
LONGEST_FAREWELL_S = 90.0


class Violation(Exception):  # noqa: N818 (it is no error of the program that checks)
    """Something that must hold does not."""


class Expected(NamedTuple):
    """What an undisturbed run makes of the pages, by id."""

    texts: Mapping[str, str]
    failures: Mapping[str, str]


class Outcome(NamedTuple):
    """What a sound output shows of the chaos."""

    #: failures that may be tried again, and that an undisturbed run has not
    strange: list[LedgerRow]
    #: pages with page JSON of which no row says `done`
    unrecorded: int


def read_texts(output: str) -> dict[str, str]:
    """Return the full text of each page of an output, by id."""
    return {page.canonical_id: page.full_text for page in comic_ocr.results(output)}


def require(holds: bool, message: str) -> None:
    if not holds:
        raise Violation(message)


def check_stays_clean(find_processes: Callable[[], Mapping[int, str]]) -> None:
    """Wait until no process of a round is left."""
    ends = time.monotonic() + LONGEST_FAREWELL_S
    while left := find_processes():
        require(time.monotonic() < ends, f"processes are left over: {dict(left)}")
        time.sleep(0.2)


def check_output(output: str, expected: Expected, *, exit_code: int) -> Outcome:
    """Return what the chaos has left in an output that is sound; raises Violation."""
    state = JobState(output)
    pages = {page.canonical_id: page for page in comic_ocr.results(output)}
    keys = set(state.list_done())
    require(keys == {result_key(name) for name in pages}, "results and listing differ")
    failures = {row.canonical_id: row for row in state.open_failures(keys)}
    check_pages(pages, failures, expected)
    rows = list(state.read_ledger())
    check_rows(rows, pages)
    summary = state.read_summary()
    if summary is None:
        raise Violation("there is no summary that can be read")
    check_summary(summary, pages, failures)
    require(summary.exit_code == exit_code, f"exit code {exit_code}, by the summary another")
    strange = [row for name, row in failures.items() if name not in expected.failures]
    recorded = {row.canonical_id for row in rows if row.status == "done"}
    return Outcome(strange, len(pages.keys() - recorded))


def check_pages(
    pages: Mapping[str, PageResult], failures: Mapping[str, LedgerRow], expected: Expected
) -> None:
    """Check each page of the manifest, and that there is no other."""
    wanted = {*expected.texts, *expected.failures}
    require({*pages, *failures} == wanted, f"lost or foreign: {wanted ^ {*pages, *failures}}")
    require(not pages.keys() & failures.keys(), f"both: {pages.keys() & failures.keys()}")
    for name, page in pages.items():
        require(name in expected.texts, f"{name} cannot be read, and yet was")
        require(page.full_text == expected.texts[name], f"{name} has another text")
    for name, row in failures.items():
        same = row.code == expected.failures.get(name)
        require(same or row.retryable, f"{name} failed for good: {row.code} {row.message}")


def check_rows(rows: Iterable[LedgerRow], pages: Mapping[str, PageResult]) -> None:
    """Check the ledger of all runs against the page JSON."""
    done: Counter[str] = Counter()
    for row in rows:
        if row.status == "failed":
            continue
        require(row.canonical_id in pages, f"a row says {row.status} of {row.canonical_id}: lost")
        if row.status == "done":
            done[row.canonical_id] += 1
            same = row.ocr_s == pages[row.canonical_id].timing.ocr_s
            require(same, f"the done row of {row.canonical_id} is not of its page JSON")
    twice = [name for name, count in done.items() if count > 1]
    require(not twice, f"done twice: {twice}")


def check_summary(
    summary: JobSummary, pages: Mapping[str, PageResult], failures: Mapping[str, LedgerRow]
) -> None:
    """Check the last run's summary against the output and the run's own ledger."""
    require(summary.state == "finished", f"the last summary says {summary.state}")
    require(summary.remaining == 0, f"the last summary says {summary.remaining} remain")
    total = summary.done_before + summary.failed_before + summary.done + summary.failed
    require(summary.pages == total, f"the last summary does not add up: {summary}")
    counted = (summary.done_before + summary.done, summary.failed_before + summary.failed)
    there = (len(pages), len(failures))
    require(counted == there, f"(done, failed) {counted} in the summary, {there} in the output")
    check_run(summary)


def check_run(summary: JobSummary) -> None:
    """Check the summary against the ledger and the calls of its own run."""
    ledger = f"{STATE_PREFIX}/ledger/{summary.run_id}"
    found = read_lines(summary.output, ledger, LedgerRow)
    last = {row.canonical_id: row for row in sorted(found, key=lambda row: row.at)}
    failed = sum(row.status == "failed" for row in last.values())
    rows = (len(last) - failed, failed)
    says = (summary.done, summary.failed)
    require(rows == says, f"(done, failed) {says} in the summary, {rows} in its run's ledger")
    calls = read_lines(summary.output, f"{CALLS_PREFIX}/{summary.run_id}", CallRecord)
    ended = [call for call in calls if call.outcome == "done"]
    settled = sum(call.done + call.found + call.failed for call in ended)
    # Pages that the driver gave up are in no call that ended.
    settled += len(read_lines(summary.output, ledger, LedgerRow, ending="-driver.jsonl"))
    require(settled == sum(says), f"{sum(says)} pages in the summary, {settled} in its run's calls")
    require(len(ended) == summary.chunks, f"{summary.chunks} calls came back, by the record others")


def read_lines(output: str, prefix: str, kind: type[T], *, ending: str = ".jsonl") -> list[T]:
    """Return the lines of all objects under a prefix."""
    store = open_store(output)
    decoder = msgspec.json.Decoder(kind)
    keys = [entry.key for entry in store.list(prefix) if entry.key.endswith(ending)]
    return [line for key in keys for line in decoder.decode_lines(store.get(key))]

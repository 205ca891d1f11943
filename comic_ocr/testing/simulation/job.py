"""A manifest of pages that need not be there, and a count of what a job made of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from comic_ocr.job import JobState

_PAGES_PER_VOLUME = 1000


def write_manifest(path: Path, pages: int) -> str:
    """Return the path of a CSV manifest of that many pages, with ids as books have them."""
    with path.open("w", encoding="utf-8") as file:
        file.write("canonical_id,absolute_image_path\n")
        file.writelines(
            f"{name_page(number)},/comics/{number:07d}.jpg\n" for number in range(pages)
        )
    return str(path)


def name_page(number: int) -> str:
    """Return the id of a page of such a manifest, counted from 0."""
    return f"vol-{number // _PAGES_PER_VOLUME:04d}/page-{number:07d}"


@dataclass(frozen=True)
class ResultCount:
    """What is in an output. Every page of the manifest is in `written` or in `failed`."""

    #: distinct page JSON
    written: int
    #: pages without page JSON whose last ledger row says failed
    failed: int
    #: pages that the ledger calls done more than once
    done_twice: int
    failures_by_code: dict[str, int]

    @property
    def pages(self) -> int:
        return self.written + self.failed


def count_results(output: str) -> ResultCount:
    """Return what a finished job left, by its listing and its ledger alone."""
    state = JobState(output)
    keys = set(state.list_done())
    done = Counter(row.canonical_id for row in state.read_ledger() if row.status == "done")
    failures = Counter(row.code for row in state.open_failures(keys))
    return ResultCount(
        written=len(keys),
        failed=failures.total(),
        done_twice=sum(times > 1 for times in done.values()),
        failures_by_code=dict(failures),
    )

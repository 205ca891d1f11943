"""What a run came to: for people, for programs, and for `batch_ocr status`."""

from __future__ import annotations

from typing import Literal

import msgspec

from comic_ocr.job.cost import Costs
from comic_ocr.page import SCHEMA_VERSION

RunEnd = Literal["running", "finished", "budget", "interrupted", "stopped"]


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job. Every page of the manifest is in exactly one of the page counts:

    pages == done_before + failed_before + done + failed + remaining
    """

    job_id: str
    run_id: str
    method: str
    output: str
    backend: str
    workers: int
    state: RunEnd
    #: pages of the manifest (of its first --limit rows)
    pages: int
    #: read by earlier runs
    done_before: int
    #: failed in earlier runs, and not tried by this one
    failed_before: int
    #: read by this run
    done: int
    #: tried by this run without success
    failed: int
    #: neither, so far
    remaining: int
    failures_by_code: dict[str, int] = {}
    chunks: int = 0
    #: calls that were lost, killed or ran out of time and whose pages were submitted again
    retries: int = 0
    #: second copies of calls that took too long
    backups: int = 0
    #: calls that ended without a report, and those that another copy overtook
    lost: int = 0
    superseded: int = 0
    #: calls that run now
    workers_now: int = 0
    started_at: str = ""
    updated_at: str = ""
    wall_s: float = 0.0
    pages_per_s: float = 0.0
    #: engine seconds, summed over the pages
    ocr_s: float = 0.0
    #: seconds that workers ran, summed over the calls
    worker_s: float = 0.0
    #: None where the price of this backend's compute is not known
    cost_usd: float | None = None
    #: the same by kind, and what is known of it
    costs: Costs = Costs()
    peak_worker_memory_mb: int = 0
    message: str = ""
    schema_version: str = SCHEMA_VERSION

    @property
    def exit_code(self) -> int:
        """0 done, 3 finished with failed pages, 4 budget spent, 5 stopped by an error, 130
        interrupted.
        """
        if self.state == "budget":
            return 4
        if self.state == "interrupted":
            return 130
        if self.state == "stopped":
            return 5
        return 3 if self.failed or self.failed_before else 0

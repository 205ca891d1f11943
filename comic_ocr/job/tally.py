"""Counts of a run, added up from reports."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from comic_ocr.job.cost import ComputePrice
from comic_ocr.job.summary import JobSummary, RunEnd
from comic_ocr.page import ChunkReport


@dataclass
class Tally:
    """What a run did so far. `base` holds what is known before the first call."""

    base: JobSummary
    price: ComputePrice | None
    memory_mb: int
    started: float = field(default_factory=time.monotonic)
    done: int = 0
    failed: int = 0
    chunks: int = 0
    retries: int = 0
    ocr_s: float = 0.0
    worker_s: float = 0.0
    load_s: float = 0.0
    reading_s: float = 0.0
    api_usd: float = 0.0
    peak_memory_mb: int = 0
    failures_by_code: dict[str, int] = field(default_factory=dict)

    def add(self, report: ChunkReport) -> None:
        """Count a call that came back."""
        self.done += report.done + report.found
        self.failed += report.failed
        self.chunks += 1
        self.ocr_s += report.ocr_s
        self.worker_s += report.wall_s
        self.load_s += report.load_s
        self.reading_s += report.wall_s - report.load_s
        self.api_usd += report.cost_usd
        self.peak_memory_mb = max(self.peak_memory_mb, report.peak_memory_mb)
        for code, count in report.failures_by_code.items():
            self.failures_by_code[code] = self.failures_by_code.get(code, 0) + count

    def add_given_up(self, code: str) -> None:
        """Count a page whose every call was lost."""
        self.failed += 1
        self.failures_by_code[code] = self.failures_by_code.get(code, 0) + 1

    def page_s(self, typical_s: float) -> float:
        """Return worker seconds per page, measured once calls came back."""
        read = self.done + self.failed
        return self.reading_s / read if read else typical_s

    def call_load_s(self, typical_s: float) -> float:
        """Return seconds before a call's first page, measured once calls came back."""
        return self.load_s / self.chunks if self.chunks else typical_s

    def summary(self, state: RunEnd = "running", message: str = "") -> JobSummary:
        """Return the summary as of now."""
        wall_s = time.monotonic() - self.started
        base = self.base
        cost = None
        if self.price is not None:
            calls = self.chunks + self.retries
            cost = self.api_usd + self.price.of(self.worker_s, self.memory_mb, calls)
        return JobSummary(
            **{
                **{name: getattr(base, name) for name in base.__struct_fields__},
                "state": state,
                "message": message,
                "done": self.done,
                "failed": self.failed,
                "remaining": base.remaining - self.done - self.failed,
                "failures_by_code": dict(self.failures_by_code),
                "chunks": self.chunks,
                "retries": self.retries,
                "updated_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "wall_s": round(wall_s, 2),
                "pages_per_s": round((self.done + self.failed) / wall_s, 3) if wall_s > 0 else 0.0,
                "ocr_s": round(self.ocr_s, 2),
                "worker_s": round(self.worker_s, 2),
                "cost_usd": None if cost is None else round(cost, 6),
                "peak_worker_memory_mb": self.peak_memory_mb,
            }
        )

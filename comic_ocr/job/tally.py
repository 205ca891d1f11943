"""Counts of a run, added up from reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from comic_ocr.backends import Clock, RealClock
from comic_ocr.job.cost import ComputePrice, Costs, Requests, StoragePrice, call_requests
from comic_ocr.job.summary import JobSummary, RunEnd
from comic_ocr.page import ChunkReport


@dataclass
class Tally:
    """What a run did so far. `base` holds what is known before the first call."""

    base: JobSummary
    price: ComputePrice | None
    memory_mb: int
    clock: Clock = field(default_factory=RealClock)
    storage_price: StoragePrice | None = None
    #: to the store, for each page
    page_requests: Requests = field(default_factory=Requests)
    done: int = 0
    failed: int = 0
    chunks: int = 0
    retries: int = 0
    backups: int = 0
    lost: int = 0
    superseded: int = 0
    workers_now: int = 0
    ocr_s: float = 0.0
    worker_s: float = 0.0
    load_s: float = 0.0
    reading_s: float = 0.0
    api_usd: float = 0.0
    peak_memory_mb: int = 0
    failures_by_code: dict[str, int] = field(default_factory=dict)
    compute_usd: float = 0.0
    calls: int = 0
    started: float = 0.0

    def __post_init__(self) -> None:
        self.begin(self.clock)

    def begin(self, clock: Clock) -> None:
        """Count the run's time from now on, by a clock."""
        self.clock = clock
        self.started = clock.now()

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

    def add_superseded(self, report: ChunkReport | None) -> None:
        """Count a call whose pages another copy has accounted for, and what an API took for it."""
        self.superseded += 1
        self.api_usd += report.cost_usd if report else 0.0

    def pay_call(self, worker_s: float, memory_mb: int) -> float:
        """Count and return dollars for the compute of a call, 0 where its price is not known."""
        usd = 0.0 if self.price is None else self.price.of(worker_s, memory_mb, 1)
        self.compute_usd += usd
        self.calls += 1
        return usd

    @property
    def done_share(self) -> float:
        """Share of the run's pages that is done or has failed."""
        return (self.done + self.failed) / max(1, self.base.remaining)

    @property
    def cost_usd(self) -> float:
        """Dollars so far, of what has a known price."""
        return self.costs().known_usd

    @property
    def call_usd(self) -> float:
        """Dollars for a call besides its seconds: itself, and its requests to the store."""
        usd = 0.0 if self.price is None else self.price.call_usd
        storage = self.storage_price
        return usd + (storage.of(call_requests()) if storage else 0.0)

    @property
    def page_storage_usd(self) -> float:
        """Dollars for a page's own requests to the store."""
        return self.storage_price.of(self.page_requests) if self.storage_price else 0.0

    def costs(self) -> Costs:
        """Return dollars so far, by kind."""
        storage = None
        if self.storage_price is not None:
            pages = self.done + self.failed
            storage = self.storage_price.of(
                self.page_requests * pages + call_requests() * self.calls
            )
        if self.price is None:
            return Costs(
                compute_usd=None, requests_usd=None, storage_usd=storage, api_usd=self.api_usd
            )
        requests = self.price.call_usd * self.calls
        return Costs(
            compute_usd=self.compute_usd - requests,
            requests_usd=requests,
            storage_usd=storage,
            api_usd=self.api_usd,
        )

    def page_usd(self, expected_api_usd: float | None) -> float | None:
        """Return dollars per page, measured once pages are done; before that as expected."""
        read = self.done + self.failed
        if read:
            return self.cost_usd / read
        return expected_api_usd or None

    def page_s(self, typical_s: float) -> float:
        """Return worker seconds per page, measured once calls came back."""
        read = self.done + self.failed
        return self.reading_s / read if read else typical_s

    def call_load_s(self, typical_s: float) -> float:
        """Return seconds before a call's first page, measured once calls came back."""
        return self.load_s / self.chunks if self.chunks else typical_s

    def summary(self, state: RunEnd = "running", message: str = "") -> JobSummary:
        """Return the summary as of now."""
        wall_s = self.clock.now() - self.started
        base = self.base
        costs = self.costs()
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
                "backups": self.backups,
                "lost": self.lost,
                "superseded": self.superseded,
                "workers_now": self.workers_now if state == "running" else 0,
                "updated_at": datetime.fromtimestamp(self.clock.time(), UTC).isoformat(
                    timespec="seconds"
                ),
                "wall_s": round(wall_s, 2),
                "pages_per_s": round((self.done + self.failed) / wall_s, 3) if wall_s > 0 else 0.0,
                "ocr_s": round(self.ocr_s, 2),
                "worker_s": round(self.worker_s, 2),
                "cost_usd": None if costs.compute_usd is None else round(costs.known_usd, 6),
                "costs": costs.rounded(),
                "peak_worker_memory_mb": self.peak_memory_mb,
            }
        )

"""What a report shows, counted in one pass over a job's ledger and one over its calls."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from comic_ocr.job.history import CallRecord, Outcome
from comic_ocr.job.report.bins import RunningCounts, SecondsHistogram, TimeSums
from comic_ocr.job.report.clock import WorkClock
from comic_ocr.page import LedgerRow

#: More calls than this are counted, and not drawn one by one.
MAX_DRAWN_CALLS = 2000
TOP_PAGES = 20
#: Failed pages whose rows are kept, for each code.
_KEPT_FAILURES = 200
#: Stretches of a chart over time.
CHART_BINS = 150

OUTCOMES: tuple[Outcome, ...] = ("done", "lost", "superseded")
STATUSES = ("done", "found", "failed")
STAGES = ("fetch_s", "decode_s", "ocr_s", "arrange_s")


class SlowPage(NamedTuple):
    """Orders pages by their time."""

    seconds: float
    canonical_id: str
    stages: tuple[float, ...]


@dataclass
class PageFigures:
    """Counts over ledger rows. Of single pages it keeps the slowest, and the failed by code."""

    rows: Counter[str] = field(default_factory=Counter)
    over_time: TimeSums = field(default_factory=lambda: TimeSums(len(STATUSES)))
    api_usd: TimeSums = field(default_factory=lambda: TimeSums(1))
    total_api_usd: float = 0.0
    seconds: SecondsHistogram = field(default_factory=SecondsHistogram)
    stages: list[float] = field(default_factory=lambda: [0.0] * len(STAGES))
    slowest: list[SlowPage] = field(default_factory=list)
    failed_attempts: Counter[str] = field(default_factory=Counter)
    #: by hash of the id, which is smaller than the id
    _failed: dict[int, str] = field(default_factory=dict)
    _kept: dict[str, dict[str, LedgerRow]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, row: LedgerRow) -> None:
        """Count a row. Rows of a page come in the order of its attempts."""
        self.rows[row.status] += 1
        self.over_time.add(row.at, STATUSES.index(row.status))
        if row.cost_usd:
            self.api_usd.add(row.at, 0, row.cost_usd)
            self.total_api_usd += row.cost_usd
        earlier = self._failed.pop(hash(row.canonical_id), None) if self._failed else None
        if earlier is not None:
            self._kept[earlier].pop(row.canonical_id, None)
        if row.status == "done":
            self._add_seconds(row)
        elif row.status == "failed":
            self._add_failure(row)

    def _add_seconds(self, row: LedgerRow) -> None:
        stages = (row.fetch_s, row.decode_s, row.ocr_s, row.arrange_s)
        seconds = sum(stages)
        self.seconds.add(seconds)
        for index, part in enumerate(stages):
            self.stages[index] += part
        if len(self.slowest) < TOP_PAGES:
            heapq.heappush(self.slowest, SlowPage(seconds, row.canonical_id, stages))
        elif seconds > self.slowest[0].seconds:
            heapq.heapreplace(self.slowest, SlowPage(seconds, row.canonical_id, stages))

    def _add_failure(self, row: LedgerRow) -> None:
        self.failed_attempts[row.code] += 1
        self._failed[hash(row.canonical_id)] = row.code
        kept = self._kept[row.code]
        if len(kept) < _KEPT_FAILURES:
            kept[row.canonical_id] = row

    def failed_pages(self) -> Counter[str]:
        """Return how many pages failed in their last attempt, by code."""
        return Counter(self._failed.values())

    def sample_failures(self) -> list[LedgerRow]:
        """Return rows of failed pages, at most TOP_PAGES, of each code some."""
        by_code = [sorted(rows.values(), key=_by_id) for _, rows in sorted(self._kept.items())]
        ranked = [(place, row) for rows in by_code for place, row in enumerate(rows)]
        chosen = [row for _, row in sorted(ranked, key=lambda pair: pair[0])[:TOP_PAGES]]
        return sorted(chosen, key=lambda row: (row.code, row.canonical_id))


def _by_id(row: LedgerRow) -> str:
    return row.canonical_id


@dataclass
class OutcomeSums:
    """What the calls of one outcome came to."""

    calls: int = 0
    pages: int = 0
    #: of workers, as they say
    worker_s: float = 0.0
    load_s: float = 0.0
    ocr_s: float = 0.0
    compute_usd: float = 0.0


@dataclass
class CallFigures:
    """Counts over the record of calls; the calls themselves while they are few."""

    by_outcome: dict[Outcome, OutcomeSums] = field(
        default_factory=lambda: {outcome: OutcomeSums() for outcome in OUTCOMES}
    )
    running: RunningCounts = field(default_factory=lambda: RunningCounts(len(OUTCOMES)))
    #: dollars for calls that counted, and for the others
    compute_usd: TimeSums = field(default_factory=lambda: TimeSums(2))
    lost_by_code: Counter[str] = field(default_factory=Counter)
    backups: int = 0
    peak_memory_mb: int = 0
    #: None when there are too many
    drawn: list[CallRecord] | None = field(default_factory=list)

    def add(self, call: CallRecord) -> None:
        """Count a call."""
        sums = self.by_outcome[call.outcome]
        sums.calls += 1
        sums.pages += call.pages
        for name in ("worker_s", "load_s", "ocr_s", "compute_usd"):
            setattr(sums, name, getattr(sums, name) + getattr(call, name))
        self.running.add(call.submitted_at, call.ended_at, OUTCOMES.index(call.outcome))
        if call.compute_usd:
            self.compute_usd.add(call.ended_at, int(call.outcome != "done"), call.compute_usd)
        if call.outcome == "lost":
            self.lost_by_code[call.code] += 1
        self.backups += call.copy > 0
        self.peak_memory_mb = max(self.peak_memory_mb, call.peak_memory_mb)
        if self.drawn is not None:
            self.drawn.append(call)
            if len(self.drawn) > MAX_DRAWN_CALLS:
                self.drawn = None

    @property
    def calls(self) -> int:
        return sum(sums.calls for sums in self.by_outcome.values())


@dataclass(frozen=True)
class Figures:
    """All of a report's figures, on one clock."""

    pages: PageFigures
    calls: CallFigures
    clock: WorkClock


def count_figures(rows: Iterable[LedgerRow], calls: Iterable[CallRecord]) -> Figures:
    """Return the figures of a job; neither rows nor calls are held in memory."""
    page_figures, call_figures = PageFigures(), CallFigures()
    for call in calls:
        call_figures.add(call)
    for row in rows:
        page_figures.add(row)
    clock = WorkClock([*page_figures.over_time.segments(), *call_figures.running.segments()])
    for sums in (page_figures.api_usd, call_figures.running, call_figures.compute_usd):
        sums.widen(clock.total_s / CHART_BINS)
    # Few pages in many bins would look like bursts.
    page_bins = min(CHART_BINS, max(page_figures.rows.total() // 4, 12))
    page_figures.over_time.widen(clock.total_s / page_bins)
    return Figures(page_figures, call_figures, clock)

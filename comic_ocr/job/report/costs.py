"""A job's cost by kind, from its calls, its ledger and its last summary."""

from __future__ import annotations

from dataclasses import dataclass

from comic_ocr.job.report.figures import Figures
from comic_ocr.job.summary import JobSummary


@dataclass(frozen=True)
class KindCosts:
    """Dollars by kind over all runs, as far as they are known; `note` says what is not."""

    by_kind: dict[str, float]
    note: str = ""

    @property
    def total_usd(self) -> float:
        return sum(self.by_kind.values())


def find_costs(figures: Figures, summary: JobSummary | None) -> KindCosts:
    """Return what a job cost.

    Calls carry what their seconds and the call itself cost, ledger rows what APIs were paid.
    Requests to the store are counted by the summary alone, and so for the last run.
    """
    sums = figures.calls.by_outcome
    kinds = {
        "compute": sums["done"].compute_usd,
        "lost calls": sums["lost"].compute_usd,
        "superseded calls": sums["superseded"].compute_usd,
        "APIs": figures.pages.total_api_usd,
    }
    if summary is None:
        return KindCosts(kinds)
    last = summary.costs
    if not figures.calls.calls:
        kinds["compute"] = (last.compute_usd or 0.0) + (last.requests_usd or 0.0)
    kinds["storage"] = last.storage_usd or 0.0
    return KindCosts(kinds, _say_unknown(last.unknown, last.storage_usd))


def _say_unknown(unknown: tuple[str, ...], storage_usd: float | None) -> str:
    notes = []
    if storage_usd:
        notes.append("Storage is requests to the store in the last run.")
    if unknown:
        notes.append(f"Not in the price table, and not in this sum: {', '.join(unknown)}.")
    return " ".join(notes)

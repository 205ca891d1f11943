"""How many pages a budget still pays for, as a pure decision."""

from __future__ import annotations

#: Where no page has a price yet, so many are read to find it.
_PROBE_PAGES = 20
#: Pages cost this much more than those so far, at most, before a run goes over its budget.
_MARGIN = 1.1


def affordable_pages(
    *, budget_usd: float, spent_usd: float, running: int, page_usd: float | None
) -> int:
    """Return pages that may be submitted now, 0 for none.

    Pages that are with workers count as if they were paid.

    Args:
        budget_usd: for the whole run.
        spent_usd: on calls that have ended.
        running: pages with workers.
        page_usd: what a page costs, measured or expected; None where it is not known.
    """
    left_usd = budget_usd - spent_usd
    if left_usd <= 0:
        return 0
    if page_usd is None:
        return max(0, _PROBE_PAGES - running)
    if page_usd <= 0:
        return 1 << 60
    return max(0, int(left_usd / (page_usd * _MARGIN)) - running)

"""What a call costs, in parts for its pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: ledgers show a billionth of a thousandth of a dollar, and no more
_DECIMALS = 12


def share_compute(
    rows_s: Sequence[float], worker_s: float, usd: float, *, load_s: float = 0.0
) -> list[float]:
    """Return each page's part of what its call costs, for `compute_usd` of its ledger row.

    What loading cost is shared equally, the rest by the pages' own seconds; pages overlap, so these
    may be more or less than the call's. Rounded so that the parts add up to the call's cost.

    The worker knows `usd` by the prices of its ChunkTask, and must take the same wall_s for
    its report, or ledger and summary differ. Pages that a call did not reach have no row and no
    part; a call that reached none, or was lost, costs what no row says.

    Args:
        rows_s: seconds of the pages that have a row: fetch, decode, ocr and arrange.
        worker_s: seconds of the call.
        usd: what the call costs.
        load_s: seconds of the call before its first page.
    """
    if not rows_s:
        return []
    equal = min(load_s / worker_s, 1.0) if worker_s > 0 else 1.0
    total_s = math.fsum(rows_s)
    if total_s <= 0:
        equal, total_s = 1.0, 1.0
    shares, read_s, before = [], 0.0, 0.0
    for number, row_s in enumerate(rows_s, 1):
        read_s += row_s
        part = equal * number / len(rows_s) + (1 - equal) * read_s / total_s
        after = round(usd if number == len(rows_s) else usd * part, _DECIMALS)
        shares.append(round(after - before, _DECIMALS))
        before = after
    return shares

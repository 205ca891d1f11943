"""What compute costs. Prices are list prices in US dollars, us-east-1, as of 2026-11.

Lambda: https://aws.amazon.com/lambda/pricing/ (x86, first tier).
"""

from __future__ import annotations

from dataclasses import dataclass

PRICES_AS_OF = "2026-11"
#: dollars per GB-second and per call
_LAMBDA_GB_S = 0.0000166667
_LAMBDA_CALL = 0.20 / 1_000_000
_FREE = ("localhost", "inline")


@dataclass(frozen=True)
class ComputePrice:
    """How a backend charges for its workers."""

    gb_s_usd: float
    call_usd: float

    def of(self, worker_s: float, memory_mb: int, calls: int) -> float:
        """Return dollars for seconds of workers of that memory, in that many calls."""
        return worker_s * memory_mb / 1024 * self.gb_s_usd + calls * self.call_usd


def find_price(backend: str) -> ComputePrice | None:
    """Return what a backend charges, None where this table does not know it."""
    if backend in _FREE:
        return ComputePrice(0.0, 0.0)
    if backend == "aws_lambda":
        return ComputePrice(_LAMBDA_GB_S, _LAMBDA_CALL)
    return None

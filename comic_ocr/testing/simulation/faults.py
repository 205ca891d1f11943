"""How a simulated cloud behaves, how often it fails, and what befalls one call."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

#: What befalls a call. `slow` is a straggler, the others are described in FaultShares.
Fate = Literal[
    "well",
    "slow",
    "lost",
    "never_started",
    "killed",
    "out_of_memory",
    "slow_storage",
    "storage_error",
    "duplicated",
    "deadline",
]


@dataclass(frozen=True)
class FaultShares:
    """Shares of calls, 0-1, that each fault befalls; a call has at most one fault."""

    #: takes many times as long, see CloudModel.straggler_factor
    slow: float = 0.0
    #: does all its work, and its report never arrives
    lost: float = 0.0
    #: is accepted and never runs
    never_started: float = 0.0
    #: dies between two pages, and the backend says so; pages are written, the ledger is not
    killed: float = 0.0
    #: meets a page that needs more memory than the call has, there and in later calls
    out_of_memory: float = 0.0
    #: waits for the storage at each page
    slow_storage: float = 0.0
    #: cannot use the storage any more after some of its pages
    storage_error: float = 0.0
    #: runs a second time, a little later, and reports twice
    duplicated: float = 0.0
    #: is out of time after some of its pages, and reports the others as not reached
    deadline: float = 0.0
    #: of submits, not of calls: only some of the tasks are taken
    throttled: float = 0.0

    @classmethod
    def of_every_kind(cls, share: float, *, slow: float = 0.0) -> FaultShares:
        """Return that share for every fault, and stragglers besides."""
        kinds = {field.name: share for field in fields(cls)}
        return cls(**{**kinds, "slow": slow})


@dataclass(frozen=True)
class CloudModel:
    """A cloud on a day without faults. Seconds are virtual."""

    #: calls at once that the account allows
    most_workers: int = 1000
    #: of a new container before the worker's code runs, evenly spread; paid
    cold_start_s: tuple[float, float] = (2.0, 10.0)
    #: the same of a container that has run a call before
    warm_start_s: float = 0.1
    #: of loading the engine, in each call: each has a process of its own
    load_s: float = 0.3
    #: mean of a page, which spreads as a lognormal does with this sigma
    page_s: float = 0.4
    page_sigma: float = 0.5
    #: of finding that a page is there already
    found_s: float = 0.02
    straggler_factor: float = 10.0
    #: more for each page while the storage is slow
    slow_storage_s: float = 2.0
    #: of a call that asks for none
    memory_mb: int = 1024
    #: that a call can be given
    most_memory_mb: int = 10_240
    #: of a call; its worker starts no page in the last `closing_s`
    timeout_s: float = 900.0
    closing_s: float = 45.0
    #: a call without a sign of life is lost this long after its timeout
    start_grace_s: float = 600.0
    #: share of pages that no engine can read
    unreadable_share: float = 0.0


def draw_fate(shares: FaultShares, random: np.random.Generator) -> Fate:
    """Return what befalls a call."""
    at = float(random.random())
    for kind, share in _shares_of_calls(shares):
        at -= share
        if at < 0:
            return kind
    return "well"


def _shares_of_calls(shares: FaultShares) -> list[tuple[Fate, float]]:
    return [
        ("slow", shares.slow),
        ("lost", shares.lost),
        ("never_started", shares.never_started),
        ("killed", shares.killed),
        ("out_of_memory", shares.out_of_memory),
        ("slow_storage", shares.slow_storage),
        ("storage_error", shares.storage_error),
        ("duplicated", shares.duplicated),
        ("deadline", shares.deadline),
    ]


def draw_page_times(
    model: CloudModel, fate: Fate, pages: int, random: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the seconds of recognition of each page."""
    # The mean of a lognormal is exp(mu + sigma²/2).
    mu = np.log(model.page_s) - model.page_sigma**2 / 2
    times = random.lognormal(mu, model.page_sigma, pages)
    return times * model.straggler_factor if fate == "slow" else times

"""A Backend whose calls are played in virtual time."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from zlib import crc32

import numpy as np

from comic_ocr.backends import CallLoss, CallResult, WorkerLimits
from comic_ocr.errors import WorkerLostError
from comic_ocr.page import ChunkReport
from comic_ocr.testing.simulation.clock import VirtualClock
from comic_ocr.testing.simulation.faults import CloudModel, Fate, FaultShares, draw_fate
from comic_ocr.testing.simulation.worker import (
    DeadlyPages,
    PlayedWorker,
    Stop,
    write_page,
    write_stub,
)
from comic_ocr.worker import ChunkTask

#: Seconds after which the second run of a duplicated call begins.
_DUPLICATE_AFTER_S = (1.0, 60.0)


@dataclass
class Account:
    """What the cloud did and would charge for, calls that nobody waited for included."""

    calls: int = 0
    #: calls that were backups
    copies: int = 0
    cold_starts: int = 0
    #: tasks of submits that were not taken
    throttled: int = 0
    #: from the start of a container for a call to the call's end
    paid_s: float = 0.0
    paid_gb_s: float = 0.0
    #: of paid_s, recognition of pages that nobody had read before
    useful_s: float = 0.0
    pages_written: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    #: how the calls that ran came to their ends
    stops: Counter[Stop] = field(default_factory=Counter)
    most_at_once: int = 0


@dataclass
class _Call:
    task: ChunkTask
    fate: Fate
    random: np.random.Generator
    submitted_at: float
    #: number of drivers before the one that waits for it
    driver: int
    paid_from: float = 0.0
    worker: PlayedWorker | None = None


class SimulatedCloud:
    """Runs calls of the real driver against the job's real store, by a seed.

    Args:
        seed: the same seed, the same job: the same faults.
        model: how it behaves on a good day.
        faults: shares of calls that fail.
        poison: ids of pages that kill every worker that reads them.
        needs_mb: memory without which a page's worker runs out of it, by id.
        real_pages: write page JSON that can be read as PageResult, and not stubs.
        backups: tell the driver that calls may get backups.
    """

    name = "simulated"
    poll_s = 1.0

    def __init__(
        self,
        *,
        seed: int = 0,
        model: CloudModel | None = None,
        faults: FaultShares | None = None,
        poison: Iterable[str] = (),
        needs_mb: Mapping[str, float] | None = None,
        real_pages: bool = False,
        backups: bool = True,
    ) -> None:
        self.clock = VirtualClock()
        self.account = Account()
        #: CPU seconds of this process that went into playing, and not into driving
        self.played_cpu_s = 0.0
        self._model = model or CloudModel()
        self._faults = faults or FaultShares()
        self._seed = seed
        self._deadly = DeadlyPages(frozenset(poison), dict(needs_mb or {}))
        self._write = write_page if real_pages else write_stub
        self._random = np.random.default_rng(seed)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._pushed = 0
        self._results: list[CallResult] = []
        self._active = 0
        self._idle: Counter[int] = Counter()
        self._working: dict[str, list[_Call]] = {}
        self._times: Counter[str] = Counter()
        self._drivers = 0
        timeout_s = self._model.timeout_s
        self.limits = WorkerLimits(
            deadline_s=max(timeout_s - self._model.closing_s, timeout_s / 2),
            most_memory_mb=self._model.most_memory_mb,
            backups=backups,
            most_workers=self._model.most_workers,
        )

    def submit(self, tasks: Sequence[ChunkTask]) -> int:
        """Start calls, as many as the account allows and throttling lets through."""
        with self._playing():
            self._play_until(self.clock.now())
            taken = min(len(tasks), max(0, self._model.most_workers - self._active))
            if self._faults.throttled and self._random.random() < self._faults.throttled:
                taken = int(self._random.integers(taken + 1))
            self.account.throttled += len(tasks) - taken
            for task in tasks[:taken]:
                self._start(task)
        return taken

    def poll(self) -> list[CallResult]:
        """Return the calls whose end, or the end of all hope for them, has come."""
        with self._playing():
            self._play_until(self.clock.now())
            results, self._results = self._results, []
        return results

    def close(self) -> None:
        """Report no more of these calls. They work on, as functions of a cloud do."""
        self._drivers += 1
        self._times.clear()
        self._results.clear()

    def run_out(self) -> None:
        """Play all calls that still work to their ends; the clock stands still."""
        with self._playing():
            while self._events:
                at, _, happen = heapq.heappop(self._events)
                happen(at)

    @contextmanager
    def _playing(self) -> Iterator[None]:
        started = time.process_time()
        yield
        self.played_cpu_s += time.process_time() - started

    def _play_until(self, now: float) -> None:
        while self._events and self._events[0][0] <= now:
            at, _, happen = heapq.heappop(self._events)
            happen(at)

    def _at(self, when: float, happen: Callable[[float], None]) -> None:
        self._pushed += 1
        heapq.heappush(self._events, (when, self._pushed, happen))

    def _start(self, task: ChunkTask) -> None:
        now = self.clock.now()
        random = self._make_random(task)
        call = _Call(task, draw_fate(self._faults, random), random, now, self._drivers)
        self.account.calls += 1
        self.account.copies += task.copy > 0
        self.account.fates[call.fate] += 1
        if call.fate == "never_started":
            self._lose_later(call)
            return
        self._find_container(call, now)
        if call.fate == "duplicated":
            again = _Call(task, "well", random, now, self._drivers)
            later = float(random.uniform(*_DUPLICATE_AFTER_S))
            self._at(now + later, partial(self._find_container, again))

    def _make_random(self, task: ChunkTask) -> np.random.Generator:
        """By call and not by turn: with and without backups, the same chunks meet the same."""
        name = f"{task.chunk.chunk_id}-{task.chunk.attempt}-{task.copy}"
        self._times[name] += 1
        seeds = [self._seed, self._drivers, crc32(name.encode()), self._times[name]]
        return np.random.default_rng(seeds)

    def _find_container(self, call: _Call, now: float) -> None:
        memory_mb = self._memory_mb(call)
        if self._idle[memory_mb]:
            self._idle[memory_mb] -= 1
            start_s = self._model.warm_start_s
        else:
            self.account.cold_starts += 1
            start_s = float(call.random.uniform(*self._model.cold_start_s))
        self._active += 1
        self.account.most_at_once = max(self.account.most_at_once, self._active)
        call.paid_from = now
        self._at(now + start_s, partial(self._begin, call))

    def _begin(self, call: _Call, now: float) -> None:
        together = self._working.setdefault(call.task.chunk.chunk_id, [])
        for other in together:
            # What a copy has written by now is there to be found.
            if other.worker is not None:
                other.worker.write_until(now)
        worker = PlayedWorker(
            call.task,
            call.fate,
            self._model,
            call.random,
            deadly=self._deadly,
            write=self._write,
        )
        worker.begin(now, self.clock.time() - self.clock.now() + now)
        call.worker = worker
        together.append(call)
        self._at(now + worker.wall_s, partial(self._end, call, worker))

    def _end(self, call: _Call, worker: PlayedWorker, now: float) -> None:
        outcome = worker.end()
        together = self._working[call.task.chunk.chunk_id]
        together.remove(call)
        if not together:
            del self._working[call.task.chunk.chunk_id]
        self._active -= 1
        self._pay(call, worker, now)
        if isinstance(outcome, ChunkReport):
            self._idle[self._memory_mb(call)] += 1
        if call.fate == "lost":
            self._lose_later(call)
        elif isinstance(outcome, ChunkReport):
            self._deliver(call, CallResult(call.task.chunk, report=outcome, copy=call.task.copy))
        else:
            self._deliver(call, CallResult(call.task.chunk, loss=outcome, copy=call.task.copy))

    def _pay(self, call: _Call, worker: PlayedWorker, now: float) -> None:
        paid_s = now - call.paid_from
        self.account.paid_s += paid_s
        self.account.paid_gb_s += paid_s * self._memory_mb(call) / 1024
        self.account.useful_s += worker.useful_s
        self.account.pages_written += worker.written
        self.account.stops[worker.stop] += 1

    def _memory_mb(self, call: _Call) -> int:
        return call.task.memory_mb or self._model.memory_mb

    def _lose_later(self, call: _Call) -> None:
        """Nobody hears of the call until its timeout and the grace for its start are over."""
        wait_s = self._model.timeout_s + self._model.start_grace_s
        loss = CallLoss(WorkerLostError.code, f"no answer from the worker in {wait_s:.0f} s")
        result = CallResult(call.task.chunk, loss=loss, copy=call.task.copy)
        self._at(call.submitted_at + wait_s, lambda _now: self._deliver(call, result))

    def _deliver(self, call: _Call, result: CallResult) -> None:
        if call.driver == self._drivers:
            self._results.append(result)

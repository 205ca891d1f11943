"""Calls on Lithops. The only file that imports it.

Lithops 3.8 forks a fresh process for every call, never times out a call that did not start, and
ends all futures of a job when one wait() is given a timeout. So: one call is one chunk, waits
never block, and deadlines are counted here, from submission.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from lithops import FunctionExecutor
from lithops.constants import JOBS_DIR
from lithops.wait import ALWAYS

from comic_ocr.backends.base import CallLoss, CallResult, Clock, RealClock, WorkerLimits
from comic_ocr.backends.config import CallSettings, complete_config
from comic_ocr.errors import (
    BackendError,
    OutOfMemoryError,
    PageTimeoutError,
    StorageError,
    WorkerLostError,
)
from comic_ocr.page import ChunkRef, ChunkReport, Fault
from comic_ocr.worker import ChunkTask, run_chunk
from comic_ocr.worker.task import available_cores

#: More calls in one job make each poll list too many keys.
_MAX_CALLS_PER_JOB = 1000
#: A job's calls sit in one variable of 8,192 characters there.
_MAX_CALLS_PER_BATCH_JOB = 200
#: MiB, of what can be given by call: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MOST_MEMORY_MB = {"aws_lambda": 10_240}
#: A worker stops reading this long before its function's timeout, to write its ledger.
_CLOSING_S = 45
#: A call may wait this long for a machine before its timeout starts to count.
_START_GRACE_S = 600


@dataclass
class _Call:
    task: ChunkTask
    future: Any
    submitted_at: float

    @property
    def chunk(self) -> ChunkRef:
        return self.task.chunk


class LithopsBackend:
    """Calls on any compute backend that Lithops knows, this machine (`localhost`) included."""

    def __init__(self, name: str, config: dict[str, Any], settings: CallSettings) -> None:
        self.name = name
        self.clock: Clock = RealClock()
        self._local = name == "localhost"
        self.poll_s = 0.1 if self._local else 1.0
        full = complete_config(config, name, settings)
        logging.getLogger("lithops").setLevel(logging.ERROR)
        try:
            self._executor = FunctionExecutor(config=full, log_level=None)
        except Exception as error:  # any kind: each Lithops backend raises its SDK's own
            raise BackendError(
                f'Lithops cannot use backend "{name}": {type(error).__name__}: {error}',
                hint=f"check the {name} section of the Lithops configuration (--config)",
            ) from error
        self._timeout_s = self._find_timeout()
        self._calls: list[_Call] = []
        # On this machine workers inherit it; elsewhere it rides in the call's request.
        self._environment = {} if self._local else dict(settings.environment)
        self.limits = WorkerLimits(
            threads=max(1, available_cores() // settings.workers) if self._local else 0,
            deadline_s=max(self._timeout_s - _CLOSING_S, self._timeout_s / 2),
            watched_pid=os.getpid() if self._shares_processes(full) else 0,
            most_memory_mb=_MOST_MEMORY_MB.get(name, 0),
            backups=not self._local,
        )

    def _find_timeout(self) -> float:
        section = self._executor.config.get(self.name, {})
        general = self._executor.config["lithops"].get("execution_timeout")
        return float((general if self._local else section.get("runtime_timeout")) or 900)

    def _shares_processes(self, config: dict[str, Any]) -> bool:
        """A container on this machine has process ids of its own."""
        return self._local and str(config["localhost"]["runtime"]).startswith("/")

    def submit(self, tasks: Sequence[ChunkTask]) -> int:
        """Start one call per task; all are taken, for Lithops queues what it cannot start."""
        for memory_mb in dict.fromkeys(task.memory_mb for task in tasks):
            alike = [task for task in tasks if task.memory_mb == memory_mb]
            for start in range(0, len(alike), self._job_size):
                self._submit_job(alike[start : start + self._job_size], memory_mb)
        return len(tasks)

    @property
    def _job_size(self) -> int:
        # On this machine a job per call tells, by its end, that the call's process has ended.
        if self._local:
            return 1
        return _MAX_CALLS_PER_BATCH_JOB if self.name == "aws_batch" else _MAX_CALLS_PER_JOB

    def _submit_job(self, tasks: Sequence[ChunkTask], memory_mb: int) -> None:
        # In tuples, since Lithops takes a bare dict or list apart into parameters.
        inputs = [(msgspec.json.encode(task),) for task in tasks]
        try:
            futures = self._executor.map(
                run_chunk,
                inputs,
                include_modules=None,
                extra_env=self._environment,
                runtime_memory=memory_mb or None,
            )
        except Exception as error:  # any kind: each Lithops backend raises its SDK's own
            raise BackendError(
                f"Lithops could not start calls on {self.name}: {type(error).__name__}: {error}",
                hint="what is done is kept; run the same command again to go on",
            ) from error
        now = time.monotonic()
        self._calls += [
            _Call(task, future, now) for task, future in zip(tasks, futures, strict=True)
        ]

    def poll(self) -> list[CallResult]:
        """Return the calls that ended, were killed or ran out of time."""
        if not self._calls:
            return []
        self._executor.wait(
            [call.future for call in self._calls],
            throw_except=False,
            return_when=ALWAYS,
            show_progressbar=False,
        )
        results: list[CallResult] = []
        waiting: list[_Call] = []
        for call in self._calls:
            result = self._settle(call)
            if result is None:
                waiting.append(call)
            else:
                results.append(result)
                self._forget(call)
        self._calls = waiting
        return results

    def _settle(self, call: _Call) -> CallResult | None:
        future = call.future
        if future.error:
            return _explain(call, future)
        if future.success or future.done:
            answer = future.result(
                throw_except=False, internal_storage=self._executor.internal_storage
            )
            report = msgspec.json.decode(answer, type=ChunkReport)
            return CallResult(call.chunk, report=report, copy=call.task.copy)
        if self._process_ended(future):
            return _lose(call, WorkerLostError.code, "the worker's process was killed")
        waited = time.monotonic() - call.submitted_at
        if waited > self._timeout_s + _START_GRACE_S:
            return _lose(call, WorkerLostError.code, f"no answer from the worker in {waited:.0f} s")
        return None

    def _process_ended(self, future: Any) -> bool:
        """Return whether a local call's process is gone without having written its status."""
        if not self._local:
            return False
        latch = self._executor.compute_handler.env.jobs.get(future.job_key)
        if latch is None or not latch.done or future.ready:
            return False
        storage = self._executor.internal_storage
        status = storage.get_call_status(future.executor_id, future.job_id, future.call_id)
        return status is None

    def _forget(self, call: _Call) -> None:
        """Remove what the call left in Lithops' storage and in the executor's memory."""
        key = call.future.job_key
        self._executor.futures = [f for f in self._executor.futures if f is not call.future]
        if all(other.future.job_key != key for other in self._calls if other is not call):
            self._delete(f"lithops.jobs/{key}")
            if self._local:
                # Lithops leaves an empty folder behind for each call.
                shutil.rmtree(Path(JOBS_DIR) / key, ignore_errors=True)

    def _delete(self, prefix: str) -> None:
        storage, bucket = self._executor.storage, self._executor.internal_storage.bucket
        keys = storage.list_keys(bucket, prefix=prefix)
        if keys:
            storage.delete_objects(bucket, keys)

    def close(self) -> None:
        """End the calls of this machine and remove Lithops' objects of this run."""
        self._executor.job_monitor.stop()
        self._executor.invoker.stop(wait=True)
        self._executor.compute_handler.clear()
        self._calls = []
        self._delete(f"lithops.jobs/{self._executor.executor_id}")


def _explain(call: _Call, future: Any) -> CallResult:
    """Return what a call's exception means: a lost worker, or a fault of every worker."""
    error = future._exception[1]
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        return _lose(call, OutOfMemoryError.code, str(error))
    if isinstance(error, TimeoutError):
        return _lose(call, PageTimeoutError.code, str(error))
    if isinstance(error, StorageError):
        return _lose(call, StorageError.code, error.message)
    if future._handler_exception:
        return _lose(call, WorkerLostError.code, text)
    fault = Fault(code=BackendError.code, message=f"the worker failed: {text}")
    report = ChunkReport(chunk_id=call.chunk.chunk_id, attempt=call.chunk.attempt, fault=fault)
    return CallResult(call.chunk, report=report, copy=call.task.copy)


def _lose(call: _Call, code: str, message: str) -> CallResult:
    return CallResult(call.chunk, loss=CallLoss(code, message), copy=call.task.copy)

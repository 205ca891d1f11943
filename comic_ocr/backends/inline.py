"""Calls in this very process, one at a time: for notebooks, debugging and tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from comic_ocr.backends.base import CallLoss, CallResult, Clock, RealClock, WorkerLimits
from comic_ocr.errors import ComicOcrError
from comic_ocr.page import ChunkReport
from comic_ocr.worker import ChunkTask, run_chunk


class InlineBackend:
    """Runs one queued call per poll."""

    name = "inline"
    limits = WorkerLimits()
    poll_s = 0.0

    def __init__(self) -> None:
        self.clock: Clock = RealClock()
        self._queue: deque[ChunkTask] = deque()

    def submit(self, tasks: Sequence[ChunkTask]) -> int:
        """Queue the calls."""
        self._queue.extend(tasks)
        return len(tasks)

    def poll(self) -> list[CallResult]:
        """Run the next call to its end and return its result."""
        if not self._queue:
            return []
        task = self._queue.popleft()
        try:
            answer = run_chunk(msgspec.json.encode(task))
        except ComicOcrError as error:
            loss = CallLoss(error.code, error.message)
            return [CallResult(task.chunk, loss=loss, copy=task.copy)]
        report = msgspec.json.decode(answer, type=ChunkReport)
        return [CallResult(task.chunk, report=report, copy=task.copy)]

    def close(self) -> None:
        """Forget the queue."""
        self._queue.clear()

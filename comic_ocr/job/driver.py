"""The driver: submit, poll, retry, until every page is accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import msgspec

from comic_ocr._version import __version__
from comic_ocr.backends import Backend, CallLoss, CallResult
from comic_ocr.errors import (
    ApiRefusedError,
    BackendError,
    ComicOcrError,
    PageTimeoutError,
    SourceNotFoundError,
    StorageError,
    TooManyFailuresError,
    UsageError,
)
from comic_ocr.job.autoscale import Autoscaler
from comic_ocr.job.backup import Pace, is_late
from comic_ocr.job.breaker import Breaker
from comic_ocr.job.budget import affordable_pages
from comic_ocr.job.calls import MOST_COPIES, RunningCall, RunningCalls
from comic_ocr.job.events import (
    ChunkDone,
    ChunkLost,
    EventHandler,
    JobEnded,
    Tick,
    Trouble,
)
from comic_ocr.job.expect import Expected
from comic_ocr.job.history import CallLog, CallRecord, Outcome
from comic_ocr.job.lease import Lease
from comic_ocr.job.plan import MAX_CHUNK_S, START_S, Backlog, Chunk, size_chunk, split_runs
from comic_ocr.job.prepare import Preparation
from comic_ocr.job.retry import decide_loss, next_memory_mb
from comic_ocr.job.summary import JobSummary, RunEnd
from comic_ocr.job.tally import Tally
from comic_ocr.page import ChunkReport, LedgerRow, PageRef, result_key
from comic_ocr.worker import ChunkTask, WorkSpec

#: The summary in the store is at most this old while a run works.
_SUMMARY_EVERY_S = 10.0
#: Share of a worker's time limit that one call should take at most.
_DEADLINE_SHARE = 0.5
#: Late calls are looked for this often.
_BACKUPS_EVERY_S = 2.0
#: After a refusal the next offer waits this long, doubling up to the second.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


class Driver:
    """Runs one prepared job on an open backend. Used once."""

    def __init__(
        self,
        prepared: Preparation,
        expected: Expected,
        backend: Backend,
        tally: Tally,
        on_event: EventHandler,
        *,
        workers: int,
        lease: Lease | None = None,
    ) -> None:
        self._lease = lease
        self._log = CallLog(prepared.state.store, prepared.summary.run_id)
        self._spec = prepared.spec
        self._workers = workers
        self._state = prepared.state
        self._backlog: Backlog = prepared.backlog
        self._run_id = prepared.summary.run_id
        self._expected = expected
        self._backend = backend
        self._clock = backend.clock
        self._tally = tally
        self._on_event = on_event
        self._running = RunningCalls()
        self._pace = Pace()
        self._breaker = Breaker()
        self._scaler = self._make_scaler()
        self._offer_due = self._backups_due = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._summary_due = self._clock.now() + _SUMMARY_EVERY_S
        self._work = self._make_work_spec(prepared)

    def _make_scaler(self) -> Autoscaler | None:
        most = min(self._workers, self._backend.limits.most_workers)
        return Autoscaler(most) if self._spec.autoscale else None

    def _make_work_spec(self, prepared: Preparation) -> WorkSpec:
        limits = self._backend.limits
        return WorkSpec(
            output=self._state.store.url,
            run_id=self._run_id,
            options=prepared.options,
            min_confidence=prepared.checked.min_confidence,
            gpu=self._spec.gpu,
            share=1 / max(1, min(self._workers, prepared.backlog.pages)),
            direction=self._spec.direction,
            replace_before=prepared.replace_before,
            check_existing=prepared.check_existing,
            threads=limits.threads,
            deadline_s=limits.deadline_s,
            watched_pid=limits.watched_pid,
            package_version=__version__,
        )

    def run(self) -> JobSummary:
        """Drive until no page is left or the budget is spent, and return the final summary."""
        self._state.write_summary(self._tally.summary())
        end: RunEnd = "finished"
        with self._ended_properly():
            while self._backlog.pages or self._running.wanted:
                if self._lease is not None:
                    self._lease.check()
                self._back_up_late_calls()
                if not self._submit() and not self._running.wanted and self._is_spent():
                    end = "budget"
                    break
                self._poll()
                self._write_summary_if_due()
        return self._finish(end)

    def _poll(self) -> None:
        results = self._backend.poll()
        self._tally.workers_now = len(self._running) - len(results)
        for result in results:
            self._settle(result)
        if not results:
            self._on_event(Tick(self._tally.summary()))
            self._clock.sleep(self._backend.poll_s)

    def _finish(self, end: RunEnd) -> JobSummary:
        for call in self._running:
            self._tally.add_superseded(None)
            self._log.add(self._record(call, "superseded"))
        summary = self._tally.summary(end)
        if summary.remaining and end == "finished":
            raise BackendError(
                f"{summary.remaining} pages are not accounted for; this is a fault of the program.",
                hint="run the same command again: it reads exactly what is missing",
            )
        self._flush_log()
        self._state.write_summary(summary)
        self._on_event(JobEnded(summary))
        return summary

    def _flush_log(self) -> None:
        """Write what is new of the record of calls; it is only shown, and must not stop a run."""
        try:
            self._log.flush()
        except StorageError as error:
            text = f"record of calls not written: {error.message}"
            self._on_event(Trouble(text, self._tally.summary()))

    @contextmanager
    def _ended_properly(self) -> Iterator[None]:
        """Stop the workers, and write down how it ended, whatever ends the run."""
        try:
            yield
        except BaseException as error:
            self._backend.close()
            interrupted = isinstance(error, KeyboardInterrupt)
            summary = self._tally.summary("interrupted" if interrupted else "stopped", str(error))
            try:
                if self._lease is None or not self._lease.lost:
                    self._log.flush()
                    self._state.write_summary(summary)
            except StorageError as lost:
                error.add_note(f"nor could the summary be written: {lost.message}")
            self._on_event(JobEnded(summary))
            raise
        self._backend.close()

    def _submit(self) -> int:
        """Offer calls up to the number wanted at once; return how many were taken."""
        now = self._clock.now()
        if now < self._offer_due:
            return 0
        wanted = self._find_workers(now) - len(self._running)
        chunks: list[Chunk] = []
        pages = self._running.pages
        while self._backlog.pages and len(chunks) < wanted:
            size = min(self._next_size(), self._count_affordable(pages))
            if size < 1:
                break
            chunks.append(self._backlog.take(size))
            pages += chunks[-1].pages
        return self._offer(chunks, copy=0)

    def _offer(self, chunks: list[Chunk], *, copy: int) -> int:
        if not chunks:
            return 0
        tasks = [self._make_task(chunk, copy) for chunk in chunks]
        taken = self._backend.submit(tasks)
        now, at = self._clock.now(), self._clock.time()
        for chunk in chunks[:taken]:
            self._running.add(chunk, copy, now=now, submitted_at=at)
        if taken < len(chunks):
            self._offer_due = now + self._pause_s
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            if self._scaler is not None:
                self._scaler.refused(now)
            if copy == 0:
                for chunk in chunks[taken:]:
                    self._backlog.give_back(chunk, attempt=chunk.attempt)
        else:
            self._pause_s = _FIRST_PAUSE_S
        return taken

    def _make_task(self, chunk: Chunk, copy: int) -> ChunkTask:
        price = self._tally.price
        memory_mb = chunk.memory_mb or self._tally.memory_mb
        return ChunkTask(
            self._work,
            chunk.to_ref(),
            copy,
            chunk.memory_mb,
            usd_per_s=price.usd_per_s(memory_mb) if price else 0.0,
            call_usd=self._tally.call_usd,
            page_usd=self._tally.page_storage_usd,
        )

    def _find_workers(self, now: float) -> int:
        if self._scaler is None:
            return self._workers
        return self._scaler.update(
            now,
            running=len(self._running),
            left=self._backlog.pages,
            least_pages=self._next_size() if self._backlog.pages else 1,
        )

    def _count_affordable(self, running: int) -> int:
        if self._spec.budget_usd is None:
            return self._backlog.pages
        return affordable_pages(
            budget_usd=self._spec.budget_usd,
            spent_usd=self._tally.cost_usd,
            running=running,
            page_usd=self._tally.page_usd(self._expected.page_usd),
        )

    def _is_spent(self) -> bool:
        return self._spec.budget_usd is not None and self._count_affordable(0) < 1

    def _next_size(self) -> int:
        deadline_s = self._backend.limits.deadline_s
        longest_s = min(MAX_CHUNK_S, deadline_s * _DEADLINE_SHARE) if deadline_s else MAX_CHUNK_S
        return size_chunk(
            self._backlog.pages,
            workers=self._scaler.workers if self._scaler else self._workers,
            page_s=self._tally.page_s(self._expected.page_s),
            load_s=self._tally.call_load_s(self._expected.load_s),
            max_s=longest_s,
        )

    def _expect_s(self, chunk: Chunk) -> float:
        """Return what a call should take, from submission to its end."""
        page_s = self._tally.page_s(self._expected.page_s)
        load_s = self._tally.call_load_s(self._expected.load_s)
        return START_S + load_s + chunk.pages * page_s

    def _back_up_late_calls(self) -> None:
        """Give late calls a second copy, as far as workers are free; the first result counts."""
        now = self._clock.now()
        if not self._backend.limits.backups or now < max(self._backups_due, self._offer_due):
            return
        free = self._find_workers(now) - len(self._running)
        if free < 1:
            return
        self._backups_due = now + _BACKUPS_EVERY_S
        share = self._tally.done_share
        late = [
            call
            for call in self._running
            if call.newest
            and not call.superseded
            and call.copy + 1 < MOST_COPIES
            and is_late(
                waited_s=now - call.since,
                expected_s=self._expect_s(call.chunk),
                pace=self._pace,
                done_share=share,
            )
        ]
        for copy in range(1, MOST_COPIES):
            chunks = [call.chunk for call in late[:free] if call.copy + 1 == copy]
            self._tally.backups += self._offer(chunks, copy=copy)

    def _settle(self, result: CallResult) -> None:
        ref = result.chunk
        call = self._running.end(ref.chunk_id, ref.attempt, result.copy)
        if call is None:
            return
        now = self._clock.now()
        self._log.add(self._record(call, _name_outcome(call, result), result))
        if call.superseded:
            self._tally.add_superseded(result.report)
        elif result.report is not None:
            self._running.settle(call)
            self._pace.add(now - call.since, self._expect_s(call.chunk))
            self._count(call.chunk, result.report)
        elif result.loss is not None:
            self._tally.lost += 1
            if not self._running.find_others(call):
                self._running.settle(call)
                self._recover(call.chunk, result.loss)

    def _record(
        self, call: RunningCall, outcome: Outcome, result: CallResult | None = None
    ) -> CallRecord:
        report = result.report if result else None
        loss = result.loss if result else None
        memory_mb = call.chunk.memory_mb or self._tally.memory_mb
        worker_s = report.wall_s if report else self._clock.now() - call.since
        if loss is not None:
            # What is waited for a call that never answers is not what it ran.
            worker_s = min(worker_s, self._expect_s(call.chunk))
        return CallRecord(
            chunk_id=call.chunk.chunk_id,
            attempt=call.chunk.attempt,
            copy=call.copy,
            pages=call.chunk.pages,
            outcome=outcome,
            code=loss.code if loss else "",
            memory_mb=memory_mb,
            submitted_at=call.submitted_at,
            ended_at=self._clock.time(),
            worker_s=round(worker_s, 3),
            load_s=report.load_s if report else 0.0,
            ocr_s=report.ocr_s if report else 0.0,
            done=report.done if report else 0,
            found=report.found if report else 0,
            failed=report.failed if report else 0,
            compute_usd=self._tally.pay_call(worker_s, memory_mb),
            api_usd=report.cost_usd if report else 0.0,
            peak_memory_mb=report.peak_memory_mb if report else 0,
        )

    def _count(self, chunk: Chunk, report: ChunkReport) -> None:
        self._tally.add(report)
        self._on_event(ChunkDone(report, self._tally.summary()))
        reached = report.done + report.found + report.failed
        if self._scaler is not None and reached:
            self._scaler.measured((report.wall_s - report.load_s) / reached)
        if report.unreached and not report.fault and not reached:
            # Sent again as it is, it would come back like this for ever.
            self._recover(chunk, CallLoss(PageTimeoutError.code, "no time was left for a page"))
        elif report.unreached:
            self._backlog.give_back(chunk, runs=chunk.pick(report.unreached), attempt=chunk.attempt)
        if report.fault is not None:
            raise _fault_error(report.fault.code, report.fault.message, report.fault.hint)
        self._check_failures(reached, report)

    def _check_failures(self, pages: int, report: ChunkReport) -> None:
        self._breaker.add(pages, report.failures_by_code)
        if self._spec.keep_going or not self._backlog.pages:
            return
        code = self._breaker.find_reason()
        if code is not None:
            raise TooManyFailuresError(
                f"{self._breaker.describe(code)}.",
                hint="batch_ocr failures shows them; mend the cause and run again with "
                "--retry-failed, or go on regardless with --keep-going",
            )

    def _recover(self, chunk: Chunk, loss: CallLoss) -> None:
        memory_mb = chunk.memory_mb or self._tally.memory_mb
        chunk = self._note_loss(chunk, loss)
        decision = decide_loss(
            loss,
            pages=chunk.pages,
            deaths=chunk.deaths,
            deaths_alone=chunk.deaths_alone,
            storage_losses=chunk.storage_losses,
            may_grow=chunk.memory_mb > memory_mb,
        )
        if decision == "abort":
            raise StorageError(
                f"workers cannot use the storage: {loss.message}",
                hint="what is done is kept; run the same command again to go on",
            )
        if decision == "give_up":
            decision = self._give_up(chunk, loss)
        else:
            self._tally.retries += 1
            for runs in split_runs(chunk.runs) if decision == "split" else [None]:
                self._backlog.give_back(chunk, runs=runs, attempt=chunk.attempt + 1)
        event = ChunkLost(
            chunk.chunk_id, chunk.pages, loss.code, loss.message, decision, self._tally.summary()
        )
        self._on_event(event)

    def _note_loss(self, chunk: Chunk, loss: CallLoss) -> Chunk:
        """Return the chunk with the loss in its history, and the memory that it now wants."""
        if loss.code == StorageError.code:
            return replace(chunk, storage_losses=chunk.storage_losses + 1)
        memory_mb = next_memory_mb(
            loss,
            memory_mb=chunk.memory_mb or self._tally.memory_mb,
            most_mb=self._backend.limits.most_memory_mb,
        )
        return replace(
            chunk,
            deaths=chunk.deaths + 1,
            deaths_alone=chunk.deaths_alone + 1,
            memory_mb=chunk.memory_mb if memory_mb == self._tally.memory_mb else memory_mb,
        )

    def _give_up(self, chunk: Chunk, loss: CallLoss) -> Literal["found", "give_up"]:
        """Write down the page that every call died of, unless it was read before they died."""
        ref = chunk.to_ref()
        line = self._state.store.get_slices(ref.plan_key, ref.slices)[0]
        page = msgspec.json.decode(line, type=PageRef)
        if self._is_written(page):
            self._tally.done += 1
            return "found"
        row = LedgerRow(
            canonical_id=page.canonical_id,
            status="failed",
            at=self._clock.time(),
            attempts=page.attempts + chunk.attempt,
            code=loss.code,
            message=f"{chunk.attempt} calls that read this page were lost: {loss.message}",
            retryable=True,
            source=page.source,
        )
        self._state.write_rows(self._run_id, f"{chunk.chunk_id}-driver", [row])
        self._tally.add_given_up(loss.code)
        return "give_up"

    def _is_written(self, page: PageRef) -> bool:
        try:
            entry = self._state.store.head(result_key(page.canonical_id))
        except SourceNotFoundError:
            return False
        return entry.modified_at.timestamp() >= self._work.replace_before

    def _write_summary_if_due(self) -> None:
        if self._clock.now() < self._summary_due:
            return
        summary = self._tally.summary()
        self._flush_log()
        try:
            self._state.write_summary(summary)
        except StorageError as error:
            self._on_event(Trouble(f"summary not written: {error.message}", summary))
        self._summary_due = self._clock.now() + _SUMMARY_EVERY_S


def _name_outcome(call: RunningCall, result: CallResult) -> Outcome:
    if call.superseded:
        return "superseded"
    return "lost" if result.report is None else "done"


def _fault_error(code: str, message: str, hint: str | None) -> ComicOcrError:
    """Return the error to raise for what a worker reports as true of every chunk."""
    if code == ApiRefusedError.code:
        return ApiRefusedError(message, hint=hint)
    kinds: list[type[ComicOcrError]] = [UsageError, *UsageError.__subclasses__()]
    for kind in kinds:
        if kind.code == code:
            return kind(f"workers cannot start: {message}", hint=hint)
    return BackendError(message, hint=hint)

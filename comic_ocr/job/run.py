"""The driver: plan, submit, poll, retry, until every page is accounted for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from comic_ocr._version import __version__
from comic_ocr.backends import (
    Backend,
    CallLoss,
    CallResult,
    CallSettings,
    load_config,
    open_backend,
)
from comic_ocr.errors import (
    ApiRefusedError,
    BackendError,
    ComicOcrError,
    PageTimeoutError,
    StorageError,
    UsageError,
)
from comic_ocr.job.cost import find_price
from comic_ocr.job.events import (
    ChunkDone,
    ChunkLost,
    EventHandler,
    JobEnded,
    JobPlanned,
    Tick,
    Trouble,
)
from comic_ocr.job.expect import Expected, expect, limit_workers
from comic_ocr.job.keys import key_in_environment
from comic_ocr.job.plan import MAX_CHUNK_S, Backlog, Chunk, halve_runs, size_chunk
from comic_ocr.job.prepare import Preparation, prepare_job
from comic_ocr.job.retry import decide_loss
from comic_ocr.job.spec import JobSpec, check_spec
from comic_ocr.job.state import JobState
from comic_ocr.job.summary import JobSummary
from comic_ocr.job.tally import Tally
from comic_ocr.page import ChunkReport, LedgerRow, PageRef
from comic_ocr.worker import ChunkTask, WorkSpec

#: The summary in the store is at most this old while a run works.
_SUMMARY_EVERY_S = 10.0
#: Share of a worker's time limit that one call should take at most.
_DEADLINE_SHARE = 0.5


def run_job(
    spec: JobSpec,
    *,
    api_key: str | None = None,
    on_event: EventHandler = lambda _event: None,
) -> JobSummary:
    """Read every page of a manifest that is not done yet, and return what came of it.

    Args:
        spec: what to do.
        api_key: for the API that the method asks. Kept in the environment of this process and its
            workers while the job runs, and written nowhere.
        on_event: called with each event, from this thread.

    Raises:
        UsageError: nothing was started; the message says what to change. Not retryable.
        BackendError: calls cannot be run. What is done is kept; run again to go on.
        StorageError: the manifest or the output cannot be reached. Retryable.
        KeyboardInterrupt: passed on after the state is written; run again to go on.
    """
    config = load_config(spec.config)
    with key_in_environment(spec, api_key) as environment:
        prepared, tally = _prepare(spec, dry_run=False)
        expected = expect(prepared.checked, prepared.options)
        workers = limit_workers(spec.workers, prepared.checked, prepared.options)
        on_event(_planned(tally.summary(), expected, workers))
        if not prepared.backlog.pages:
            summary = tally.summary("finished")
            prepared.state.write_summary(summary)
            on_event(JobEnded(summary))
            return summary
        settings = CallSettings(workers, spec.memory_mb, spec.timeout_s, environment)
        backend = open_backend(spec.backend, settings, config)
        return Driver(prepared, expected, backend, tally, on_event, workers=workers).run()


def estimate_job(spec: JobSpec, *, api_key: str | None = None) -> JobPlanned:
    """Return what a run would do, without doing or writing anything. Raises as run_job does."""
    load_config(spec.config)
    with key_in_environment(spec, api_key):
        prepared, tally = _prepare(spec, dry_run=True)
    workers = limit_workers(spec.workers, prepared.checked, prepared.options)
    return _planned(tally.summary(), expect(prepared.checked, prepared.options), workers)


def _prepare(spec: JobSpec, *, dry_run: bool) -> tuple[Preparation, Tally]:
    checked, options = check_spec(spec)
    state = JobState(spec.output, overwrite=spec.overwrite)
    if not spec.overwrite:
        state.check_same(checked)
    prepared = prepare_job(spec, checked, options, state, dry_run=dry_run)
    memory_mb = spec.memory_mb or expect(checked, prepared.options).memory_mb
    summary = msgspec.structs.replace(
        prepared.summary, workers=limit_workers(spec.workers, checked, prepared.options)
    )
    return prepared, Tally(summary, find_price(spec.backend), memory_mb)


def _planned(summary: JobSummary, expected: Expected, workers: int) -> JobPlanned:
    """Return what the rest of a job should take, by the methods' typical figures."""
    pages = summary.remaining
    left, calls = pages, 0
    while left:
        left -= size_chunk(left, workers=workers, page_s=expected.page_s, load_s=expected.load_s)
        calls += 1
    worker_s = pages * expected.page_s + calls * expected.load_s
    price = find_price(summary.backend)
    return JobPlanned(
        summary,
        calls=calls,
        expected_s=round(worker_s / min(workers, max(calls, 1)), 1),
        expected_usd=price.of(worker_s, expected.memory_mb, calls) if price else None,
        expected_api_usd=None if expected.page_usd is None else pages * expected.page_usd,
    )


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
    ) -> None:
        self._spec = prepared.spec
        self._workers = workers
        self._state = prepared.state
        self._backlog: Backlog = prepared.backlog
        self._run_id = prepared.summary.run_id
        self._expected = expected
        self._backend = backend
        self._tally = tally
        self._on_event = on_event
        self._running: dict[str, Chunk] = {}
        self._summary_due = time.monotonic() + _SUMMARY_EVERY_S
        self._work = self._make_work_spec(prepared)

    def _make_work_spec(self, prepared: Preparation) -> WorkSpec:
        limits = self._backend.limits
        return WorkSpec(
            output=self._state.store.url,
            run_id=self._run_id,
            options=prepared.options,
            min_confidence=prepared.checked.min_confidence,
            gpu=self._spec.gpu,
            share=1 / min(self._workers, prepared.backlog.pages),
            direction=self._spec.direction,
            replace_before=prepared.replace_before,
            check_existing=prepared.check_existing,
            threads=limits.threads,
            deadline_s=limits.deadline_s,
            watched_pid=limits.watched_pid,
            package_version=__version__,
        )

    def run(self) -> JobSummary:
        """Drive until no page is left, and return the final summary."""
        self._state.write_summary(self._tally.summary())
        with self._ended_properly():
            while self._backlog.pages or self._running:
                self._submit()
                results = self._backend.poll()
                for result in results:
                    self._settle(result)
                if not results:
                    self._on_event(Tick(self._tally.summary()))
                    time.sleep(self._backend.poll_s)
                self._write_summary_if_due()
        summary = self._tally.summary("finished")
        if summary.remaining:
            raise BackendError(
                f"{summary.remaining} pages are not accounted for; this is a fault of the program.",
                hint="run the same command again: it reads exactly what is missing",
            )
        self._state.write_summary(summary)
        self._on_event(JobEnded(summary))
        return summary

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
                self._state.write_summary(summary)
            except StorageError as lost:
                error.add_note(f"nor could the summary be written: {lost.message}")
            self._on_event(JobEnded(summary))
            raise
        self._backend.close()

    def _submit(self) -> None:
        tasks: list[ChunkTask] = []
        while self._backlog.pages and len(self._running) < self._workers:
            chunk = self._backlog.take(self._next_size())
            self._running[chunk.chunk_id] = chunk
            tasks.append(ChunkTask(self._work, chunk.to_ref()))
        if tasks:
            self._backend.submit(tasks)

    def _next_size(self) -> int:
        deadline_s = self._backend.limits.deadline_s
        longest_s = min(MAX_CHUNK_S, deadline_s * _DEADLINE_SHARE) if deadline_s else MAX_CHUNK_S
        return size_chunk(
            self._backlog.pages,
            workers=self._workers,
            page_s=self._tally.page_s(self._expected.page_s),
            load_s=self._tally.call_load_s(self._expected.load_s),
            max_s=longest_s,
        )

    def _settle(self, result: CallResult) -> None:
        chunk = self._running.pop(result.chunk.chunk_id)
        if result.report is not None:
            self._count(chunk, result.report)
        elif result.loss is not None:
            self._recover(chunk, result.loss)

    def _count(self, chunk: Chunk, report: ChunkReport) -> None:
        self._tally.add(report)
        self._on_event(ChunkDone(report, self._tally.summary()))
        if (
            report.unreached
            and not report.fault
            and not (report.done or report.found or report.failed)
        ):
            # Sent again as it is, it would come back like this for ever.
            self._recover(chunk, CallLoss(PageTimeoutError.code, "no time was left for a page"))
        elif report.unreached:
            self._backlog.give_back(chunk, runs=chunk.pick(report.unreached), attempt=chunk.attempt)
        if report.fault is not None:
            raise _fault_error(report.fault.code, report.fault.message, report.fault.hint)

    def _recover(self, chunk: Chunk, loss: CallLoss) -> None:
        decision = decide_loss(loss, attempt=chunk.attempt, pages=chunk.pages)
        if decision == "abort":
            raise StorageError(
                f"workers cannot use the storage: {loss.message}",
                hint="what is done is kept; run the same command again to go on",
            )
        if decision == "give_up":
            self._give_up(chunk, loss)
        else:
            self._tally.retries += 1
            halves = halve_runs(chunk.runs) if decision == "split" else (None,)
            for runs in halves:
                self._backlog.give_back(chunk, runs=runs, attempt=chunk.attempt + 1)
        event = ChunkLost(
            chunk.chunk_id, chunk.pages, loss.code, loss.message, decision, self._tally.summary()
        )
        self._on_event(event)

    def _give_up(self, chunk: Chunk, loss: CallLoss) -> None:
        """Write down the page that every call died of."""
        ref = chunk.to_ref()
        line = self._state.store.get_slices(ref.plan_key, ref.slices)[0]
        page = msgspec.json.decode(line, type=PageRef)
        row = LedgerRow(
            canonical_id=page.canonical_id,
            status="failed",
            at=time.time(),
            attempts=page.attempts + chunk.attempt,
            code=loss.code,
            message=f"{chunk.attempt} calls that read this page were lost: {loss.message}",
            retryable=True,
            source=page.source,
        )
        self._state.write_rows(self._run_id, f"{chunk.chunk_id}-driver", [row])
        self._tally.add_given_up(loss.code)

    def _write_summary_if_due(self) -> None:
        if time.monotonic() < self._summary_due:
            return
        summary = self._tally.summary()
        try:
            self._state.write_summary(summary)
        except StorageError as error:
            self._on_event(Trouble(f"summary not written: {error.message}", summary))
        self._summary_due = time.monotonic() + _SUMMARY_EVERY_S


def _fault_error(code: str, message: str, hint: str | None) -> ComicOcrError:
    """Return the error to raise for what a worker reports as true of every chunk."""
    if code == ApiRefusedError.code:
        return ApiRefusedError(message, hint=hint)
    kinds: list[type[ComicOcrError]] = [UsageError, *UsageError.__subclasses__()]
    for kind in kinds:
        if kind.code == code:
            return kind(f"workers cannot start: {message}", hint=hint)
    return BackendError(message, hint=hint)

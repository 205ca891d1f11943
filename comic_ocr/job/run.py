"""A run of a job: checked, prepared, driven."""

from __future__ import annotations

import msgspec

from comic_ocr.backends import Backend, CallSettings, load_config, open_backend
from comic_ocr.engines import find_method
from comic_ocr.job.cost import find_price, find_storage_price, load_prices, page_requests
from comic_ocr.job.driver import Driver
from comic_ocr.job.events import EventHandler, JobEnded, JobPlanned, Trouble
from comic_ocr.job.expect import Expected, expect, limit_workers
from comic_ocr.job.keys import key_in_environment
from comic_ocr.job.lease import Lease
from comic_ocr.job.plan import size_chunk
from comic_ocr.job.prepare import Preparation, prepare_job
from comic_ocr.job.spec import CheckedMethod, JobSpec, check_spec
from comic_ocr.job.state import JobState, new_run_id
from comic_ocr.job.summary import JobSummary
from comic_ocr.job.tally import Tally
from comic_ocr.storage import split_url


def run_job(
    spec: JobSpec,
    *,
    api_key: str | None = None,
    backend: Backend | None = None,
    on_event: EventHandler = lambda _event: None,
) -> JobSummary:
    """Read every page of a manifest that is not done yet, and return what came of it.

    Args:
        spec: what to do.
        api_key: for the API that the method asks. Kept in the environment of this process and its
            workers while the job runs, and written nowhere.
        backend: runs the calls; by default the one that the spec names is opened.
        on_event: called with each event, from this thread.

    Raises:
        UsageError: nothing was started; the message says what to change. Not retryable.
        BackendError: calls cannot be run. What is done is kept; run again to go on.
        StorageError: the manifest or the output cannot be reached. Retryable.
        KeyboardInterrupt: passed on after the state is written; run again to go on.
    """
    config = load_config(spec.config)
    with key_in_environment(spec, api_key) as environment:
        checked, options = check_spec(spec)
        run_id = new_run_id()
        with Lease(_open_state(spec, checked).store, run_id) as lease:
            # Once more, for another run may have begun and ended meanwhile.
            state = _open_state(spec, checked)
            prepared = prepare_job(spec, checked, options, state, run_id=run_id)
            lease.check()
            tally = _make_tally(prepared)
            expected = expect(checked, prepared.options)
            workers = tally.base.workers
            on_event(_planned(tally, expected))
            if lease.note:
                on_event(Trouble(lease.note, tally.summary()))
            if not prepared.backlog.pages:
                summary = tally.summary("finished")
                state.write_summary(summary)
                on_event(JobEnded(summary))
                return summary
            settings = CallSettings(workers, spec.memory_mb, spec.timeout_s, environment)
            backend = backend or open_backend(spec.backend, settings, config)
            tally.begin(backend.clock)
            return Driver(
                prepared,
                expected,
                backend,
                tally,
                on_event,
                workers=workers,
                lease=lease,
            ).run()


def estimate_job(spec: JobSpec, *, api_key: str | None = None) -> JobPlanned:
    """Return what a run would do, without doing or writing anything. Raises as run_job does."""
    load_config(spec.config)
    with key_in_environment(spec, api_key):
        checked, options = check_spec(spec)
        state = _open_state(spec, checked)
        prepared = prepare_job(spec, checked, options, state, run_id=new_run_id(), dry_run=True)
    tally = _make_tally(prepared)
    return _planned(tally, expect(checked, prepared.options))


def _open_state(spec: JobSpec, checked: CheckedMethod) -> JobState:
    """Return the state of the output, where the job may use it. Writes nothing."""
    state = JobState(spec.output, overwrite=spec.overwrite)
    if not spec.overwrite:
        state.check_same(checked)
    return state


def _make_tally(prepared: Preparation) -> Tally:
    spec, checked, options = prepared.spec, prepared.checked, prepared.options
    workers = limit_workers(spec.workers, checked, options)
    summary = msgspec.structs.replace(prepared.summary, workers=workers)
    prices = load_prices(spec.prices)
    memory_mb = spec.memory_mb or expect(checked, options).memory_mb
    scheme = split_url(prepared.state.store.url)[0]
    asks_api = any("api" in find_method(name).runs_on for name in options)
    return Tally(
        summary,
        find_price(spec.backend, prices),
        memory_mb,
        storage_price=find_storage_price(scheme, prices),
        page_requests=page_requests(in_cloud=True, asks_api=asks_api),
    )


def _planned(tally: Tally, expected: Expected) -> JobPlanned:
    """Return what the rest of a job should take, by the methods' typical figures."""
    summary, price = tally.summary(), tally.price
    workers = summary.workers
    pages = summary.remaining
    left, calls = pages, 0
    while left:
        left -= size_chunk(left, workers=workers, page_s=expected.page_s, load_s=expected.load_s)
        calls += 1
    worker_s = pages * expected.page_s + calls * expected.load_s
    return JobPlanned(
        summary,
        calls=calls,
        expected_s=round(worker_s / min(workers, max(calls, 1)), 1),
        expected_usd=price.of(worker_s, tally.memory_mb, calls) if price else None,
        expected_api_usd=None if expected.page_usd is None else pages * expected.page_usd,
    )

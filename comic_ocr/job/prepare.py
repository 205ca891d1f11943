"""Before the first call: the manifest checked and planned, less what is done or has failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from comic_ocr.backends import LOCAL_BACKENDS
from comic_ocr.engines import find_method, method_names
from comic_ocr.errors import ManifestError, UsageError
from comic_ocr.job.options import AllOptions, check_options, split_names
from comic_ocr.job.plan import Backlog, Group, PlanWriter
from comic_ocr.job.spec import CheckedMethod, JobSpec, check_languages
from comic_ocr.job.state import JobState, hash_key
from comic_ocr.job.summary import JobSummary
from comic_ocr.manifest import read_manifest
from comic_ocr.page import PageRef, result_key


@dataclass(frozen=True)
class Preparation:
    """A job that is ready to run."""

    spec: JobSpec
    checked: CheckedMethod
    #: by method, those that only rows of the manifest name among them
    options: AllOptions
    state: JobState
    backlog: Backlog
    summary: JobSummary
    #: page JSON older than this is replaced, seconds since the epoch; 0 for none
    replace_before: float
    #: an earlier run may have left workers that still write
    check_existing: bool


@dataclass
class _Known:
    """What earlier runs left, by hash of the page's key; failed pages with their attempts."""

    done: set[int]
    failed: dict[int, int]


@dataclass
class _Counts:
    pages: int = 0
    done: int = 0
    failed: int = 0
    planned: int = 0


def prepare_job(
    spec: JobSpec,
    checked: CheckedMethod,
    options: AllOptions,
    state: JobState,
    *,
    run_id: str,
    dry_run: bool = False,
) -> Preparation:
    """Return the job's backlog and counts; the plan and job file are written unless dry_run.

    Methods that only rows of the manifest name are checked here, and their options are added.

    Raises:
        ManifestError: carries all problems of the manifest. Nothing was started. Not retryable.
    """
    known = _find_known(state, spec)
    writer = PlanWriter(state.store, run_id, dry_run=dry_run)
    try:
        grouper = _Grouper(spec, checked, dict(options))
        counts = _plan_pages(spec, grouper, known, writer)
        if not counts.pages:
            raise ManifestError(
                f"manifest {spec.manifest} has no pages.", hint="it needs one row per page"
            )
        backlog = Backlog(writer.finish())
    except UsageError:
        writer.discard()
        raise
    disturbed = state.job is not None and not state.ended_well()
    job_id = state.job.job_id if state.job else run_id
    if not dry_run:
        job_id = state.begin(checked, run_id=run_id, overwrite=spec.overwrite).job_id
    replaces = state.job is not None and state.job.overwrite and not dry_run
    return Preparation(
        spec=spec,
        checked=checked,
        options=grouper.options,
        state=state,
        backlog=backlog,
        summary=_make_summary(spec, state, job_id, run_id, counts),
        replace_before=state.started_at().timestamp() if replaces else 0.0,
        check_existing=disturbed,
    )


def _find_known(state: JobState, spec: JobSpec) -> _Known:
    if state.job is None or spec.overwrite:
        return _Known(set(), {})
    done = {hash_key(key) for key in state.list_done()}
    failed = {hash_key(result_key(name)): row.attempts for name, row in state.failed_rows().items()}
    return _Known(done, {key: tries for key, tries in failed.items() if key not in done})


def _plan_pages(spec: JobSpec, grouper: _Grouper, known: _Known, writer: PlanWriter) -> _Counts:
    counts = _Counts()
    for page in _read_pages(spec):
        counts.pages += 1
        key = hash_key(result_key(page.canonical_id))
        if key in known.done:
            counts.done += 1
            continue
        tries = known.failed.get(key, 0)
        if tries and not spec.retry_failed:
            counts.failed += 1
            continue
        planned = msgspec.structs.replace(page, attempts=tries) if tries else page
        writer.add(planned, grouper.find(page))
        counts.planned += 1
    return counts


def _read_pages(spec: JobSpec) -> Iterator[PageRef]:
    """Yield the first `limit` pages; the rest of the manifest is checked all the same."""
    pages = read_manifest(
        spec.manifest,
        image_path_prefix=spec.image_path_prefix,
        known_methods=frozenset(method_names()),
    )
    for number, page in enumerate(pages, 1):
        if spec.limit is None or number <= spec.limit:
            yield page


class _Grouper:
    """Says what each page is read with: the method and languages of its row, else the job's."""

    def __init__(self, spec: JobSpec, checked: CheckedMethod, options: AllOptions) -> None:
        self._local = spec.backend in LOCAL_BACKENDS
        self._checked = checked
        self.options = options
        self._groups: dict[tuple[str | None, str | None], Group] = {}

    def find(self, page: PageRef) -> Group:
        wanted = (page.method, page.lang)
        if wanted not in self._groups:
            self._groups[wanted] = self._make(page)
        return self._groups[wanted]

    def _make(self, page: PageRef) -> Group:
        checked = self._checked
        name = page.method or checked.name
        if name == checked.name and page.lang is None:
            return name, checked.languages
        try:
            names = split_names(name)
            for step in names:
                if step not in self.options:
                    _, self.options[step] = check_options(step, {})
            default = ",".join(checked.languages) if name == checked.name else None
            methods = [find_method(step) for step in names]
            lang = page.lang or default
            return name, check_languages(methods, self.options, lang, local=self._local)
        except UsageError as error:
            where = f'page "{page.canonical_id}" of the manifest'
            raise type(error)(f"{where}: {error.message}", hint=error.hint) from error


def _make_summary(
    spec: JobSpec, state: JobState, job_id: str, run_id: str, counts: _Counts
) -> JobSummary:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return JobSummary(
        job_id=job_id,
        run_id=run_id,
        method=spec.method,
        output=state.store.url,
        backend=spec.backend,
        workers=spec.workers,
        state="running",
        pages=counts.pages,
        done_before=counts.done,
        failed_before=counts.failed,
        done=0,
        failed=0,
        remaining=counts.planned,
        started_at=now,
        updated_at=now,
    )

"""The map function: one call reads one chunk."""

from __future__ import annotations

import math
import os
import resource
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from comic_ocr._version import __version__
from comic_ocr.engines import (
    ApiSetup,
    Engine,
    EngineSetup,
    convert_options,
    find_method,
    pages_in_flight,
    prepare_method,
    resolve_languages,
    tuning_options,
)
from comic_ocr.errors import BackendError, ComicOcrError, UsageError
from comic_ocr.page import STATE_PREFIX, ChunkRef, ChunkReport, Fault, LedgerRow, PageRef, find_runs
from comic_ocr.storage import Store, open_store
from comic_ocr.worker.pages import PageLoop, PagePlan, PagesOutcome
from comic_ocr.worker.read import ReadPlan
from comic_ocr.worker.share import share_compute
from comic_ocr.worker.spec import WorkSpec
from comic_ocr.worker.steps import LoadedEngine, Step


class ChunkTask(msgspec.Struct, frozen=True):
    """The input of one call."""

    spec: WorkSpec
    chunk: ChunkRef
    #: 1 for the backup of a call that takes too long; both write the same pages
    copy: int = 0
    #: memory that the call wants, where the backend can choose; 0 for the job's
    memory_mb: int = 0
    #: dollars for a second of this call, for the call itself, and for a page's own requests
    usd_per_s: float = 0.0
    call_usd: float = 0.0
    page_usd: float = 0.0


def run_chunk(task_json: bytes) -> bytes:
    """Read the pages of one chunk and return a ChunkReport, both as JSON.

    Runs in the worker, as the function of a Lithops call; may run twice for the same chunk. Each
    page ends as page JSON or as a failure in the chunk's ledger object. What would fail every
    chunk alike (a missing engine, another package version) comes back as `fault`.

    Raises:
        StorageError: the plan or the ledger cannot be reached. Retryable.
    """
    started = time.monotonic()
    task = msgspec.json.decode(task_json, type=ChunkTask)
    try:
        report = _run(task, started)
    except (UsageError, BackendError) as error:
        report = ChunkReport(
            chunk_id=task.chunk.chunk_id,
            attempt=task.chunk.attempt,
            wall_s=time.monotonic() - started,
            fault=make_fault(error),
        )
    return msgspec.json.encode(report)


def _run(task: ChunkTask, started: float) -> ChunkReport:
    spec, chunk = task.spec, task.chunk
    _check_version(spec)
    store = open_store(spec.output)
    pages = read_slices(store, chunk)
    seconds_left = _make_clock(spec, started)
    setup = EngineSetup(
        threads=spec.threads or available_cores(),
        gpu=spec.gpu,
        api=ApiSetup(store, spec.share, seconds_left),
    )
    steps = [_make_step(name, spec, chunk, setup) for name in chunk.method.split(",")]
    steps[0].load()
    load_s = time.monotonic() - started
    plan = PagePlan(
        max_pixels=spec.max_pixels,
        min_confidence=spec.min_confidence,
        replace_before=spec.replace_before,
        check_existing=spec.check_existing or chunk.attempt > 1 or task.copy > 0,
        earlier_attempts=chunk.attempt - 1,
    )
    loop = PageLoop(store, steps, plan, should_stop=lambda: seconds_left() <= 0)
    outcome = loop.run(pages)
    wall_s = round(time.monotonic() - started, 3)
    write_ledger(store, task, price_rows(task, outcome.rows, wall_s=wall_s, load_s=load_s))
    return make_report(chunk, outcome, load_s=load_s, wall_s=wall_s)


def price_rows(
    task: ChunkTask, rows: Iterable[LedgerRow | None], *, wall_s: float, load_s: float
) -> list[LedgerRow]:
    """Return the rows of the pages that were reached, each with its part of the call's price."""
    reached = [row for row in rows if row is not None]
    rows_s = [row.fetch_s + row.decode_s + row.ocr_s + row.arrange_s for row in reached]
    usd = wall_s * task.usd_per_s + task.call_usd
    shares = share_compute(rows_s, wall_s, usd, load_s=load_s)
    return [
        msgspec.structs.replace(row, compute_usd=share + task.page_usd)
        for row, share in zip(reached, shares, strict=True)
    ]


def _make_step(name: str, spec: WorkSpec, chunk: ChunkRef, setup: EngineSetup) -> Step:
    method = find_method(name)
    given = spec.options.get(name, {})

    def open_engine() -> LoadedEngine:
        engine, plan = build_engine(name, given, languages=chunk.languages, setup=setup)
        return LoadedEngine(engine, replace(plan, direction=spec.direction))

    concurrency = pages_in_flight(method, convert_options(method, given))
    return Step(name, open_engine, concurrency=concurrency)


def _check_version(spec: WorkSpec) -> None:
    if spec.package_version != __version__:
        raise BackendError(
            f"the worker has comic-ocr {__version__}, the driver {spec.package_version}.",
            hint="build and deploy the runtime again with the driver's version",
        )


def read_slices(store: Store, chunk: ChunkRef) -> list[PageRef]:
    """Return the pages of a chunk, from its plan object."""
    decoder = msgspec.json.Decoder(PageRef)
    parts = store.get_slices(chunk.plan_key, chunk.slices)
    return [page for part in parts for page in decoder.decode_lines(part)]


def build_engine(
    method_name: str,
    given: Mapping[str, Any],
    *,
    languages: Sequence[str] = (),
    setup: EngineSetup | None = None,
) -> tuple[Engine, ReadPlan]:
    """Return a loaded engine, and the plan that says in each page JSON how it was set.

    Args:
        method_name: whose engine.
        given: options of the method; the others have their defaults.
        languages: codes; none for the method's default.
        setup: threads, GPU and API limits; options and languages of it are not looked at.

    Raises:
        UsageError: the method, its options or its languages do not work here. Not retryable.
    """
    method = find_method(method_name)
    options = convert_options(method, given)
    prepare_method(method, options)
    codes = resolve_languages(method, options, ",".join(languages) or None)
    base = setup or EngineSetup(threads=available_cores())
    # A cascade on GPUs may have methods that run on none.
    gpu = base.gpu and "gpu" in method.runs_on
    engine = method.build(replace(base, options=options, languages=codes, gpu=gpu))
    engine.load()
    tuning = tuning_options(method)
    built = msgspec.to_builtins(options).items()
    shown = {**{key: v for key, v in built if key not in tuning}, "lang": ",".join(codes)}
    return engine, ReadPlan(method=method.name, options=shown)


def available_cores() -> int:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _make_clock(spec: WorkSpec, started: float) -> Callable[[], float]:
    """Return a function that says how many seconds are left to read; 0 when the driver is gone."""

    def seconds_left() -> float:
        if spec.watched_pid and not is_alive(spec.watched_pid):
            return 0.0
        if not spec.deadline_s:
            return math.inf
        return max(0.0, spec.deadline_s - (time.monotonic() - started))

    return seconds_left


def is_alive(pid: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Return whether a process was killed but not waited for, so that it still has its number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def write_ledger(store: Store, task: ChunkTask, rows: list[LedgerRow]) -> None:
    """Write the rows of a call as its ledger object, or beside it where it ran before."""
    data = msgspec.json.Encoder().encode_lines(rows)
    key = ledger_key(task)
    if not store.put(key, data):
        # The same call ran twice: what the first one did must not be lost.
        again = f"{key.removesuffix('.jsonl')}-{secrets.token_hex(4)}.jsonl"
        store.put(again, data, overwrite=True)


def ledger_key(task: ChunkTask) -> str:
    """Return where a call writes its rows; its backup writes beside it."""
    name = f"{task.chunk.chunk_id}-{task.chunk.attempt}{'b' * task.copy}"
    return f"{STATE_PREFIX}/ledger/{task.spec.run_id}/{name}.jsonl"


def make_report(
    chunk: ChunkRef, outcome: PagesOutcome, *, load_s: float, wall_s: float
) -> ChunkReport:
    """Return what the driver needs to know of a call; times are seconds."""
    reached = [row for row in outcome.rows if row is not None]
    failures: dict[str, int] = {}
    for row in reached:
        if row.status == "failed":
            failures[row.code] = failures.get(row.code, 0) + 1
    return ChunkReport(
        chunk_id=chunk.chunk_id,
        attempt=chunk.attempt,
        done=sum(row.status == "done" for row in reached),
        found=sum(row.status == "found" for row in reached),
        failed=sum(failures.values()),
        unreached=find_runs([i for i, row in enumerate(outcome.rows) if row is None]),
        failures_by_code=failures,
        load_s=round(load_s, 3),
        wall_s=round(wall_s, 3),
        ocr_s=round(sum(row.ocr_s for row in reached), 3),
        cost_usd=sum(row.cost_usd for row in reached) + outcome.unreached_usd,
        peak_memory_mb=peak_memory_mb(),
        fault=make_fault(outcome.fault) if outcome.fault else None,
    )


def make_fault(error: ComicOcrError) -> Fault:
    """Return what the driver needs to know of an error that concerns every chunk."""
    return Fault(code=error.code, message=error.message, hint=error.hint)


def peak_memory_mb() -> int:
    """Return the largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)

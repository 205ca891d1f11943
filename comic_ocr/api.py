"""The library's functions: what the command does, for programs and notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comic_ocr.engines import EngineSetup
from comic_ocr.export import Results, read_results
from comic_ocr.job import EventHandler, JobSpec, JobSummary, default_workers, run_job
from comic_ocr.job.options import check_options, split_names, split_options
from comic_ocr.job.spec import DEFAULT_MIN_CONFIDENCE
from comic_ocr.page import Direction, PageRef, PageResult
from comic_ocr.worker.read import fetch_page, recognize_page
from comic_ocr.worker.steps import needs_next_method
from comic_ocr.worker.task import available_cores, build_engine


def ocr_page(
    source: str | Path,
    method: str = "paddleocr",
    *,
    lang: str | None = None,
    direction: Direction = "ltr",
    canonical_id: str | None = None,
    min_confidence: float | None = None,
    gpu: bool = False,
    **options: Any,
) -> PageResult:
    """Return what is read on one page image.

    A plain function, fit for `lithops.FunctionExecutor().map`. It loads the engine each time;
    `run` loads it once per call of many pages.

    Args:
        source: URL or local path of the image.
        method: a name that `batch_ocr methods` lists, or several as "a,b": the next one reads
            the page if the one before reads it badly.
        lang: languages on the page, such as "en" or "en,ja"; None for the method's default.
        direction: reading direction of the page.
        canonical_id: id for the result; the source itself by default.
        min_confidence: 0-1, for several methods; 0.85 by default.
        gpu: read on this machine's GPU.
        **options: options of the method; "method.option" where several have it.

    Raises:
        PageError: the page cannot be read; `code` says why.
        UsageError: the method, an option or a language does not work here. Not retryable.
    """
    page = PageRef(
        canonical_id=canonical_id or str(source), source=str(source), direction=direction
    )
    names = split_names(method)
    given = split_options(names, options)
    floor = DEFAULT_MIN_CONFIDENCE if min_confidence is None else min_confidence
    setup = EngineSetup(threads=available_cores(), gpu=gpu)
    fetched = fetch_page(page)
    results: list[PageResult] = []
    for name in names:
        _, resolved = check_options(name, given.get(name, {}))
        engine, plan = build_engine(name, resolved, languages=(lang,) if lang else (), setup=setup)
        results.append(recognize_page(page, fetched, engine, plan))
        if not needs_next_method(results, floor):
            break
    return results[-1]


def run(
    manifest: str | Path,
    *,
    method: str = "paddleocr",
    output: str | Path = "ocr_results",
    backend: str = "localhost",
    workers: int | None = None,
    lang: str | None = None,
    options: dict[str, Any] | None = None,
    min_confidence: float | None = None,
    gpu: bool = False,
    api_key: str | None = None,
    budget_usd: float | None = None,
    keep_going: bool = False,
    direction: Direction = "ltr",
    image_path_prefix: str | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    config: str | None = None,
    memory_mb: int | None = None,
    timeout_s: int | None = None,
    on_event: EventHandler = lambda _event: None,
) -> JobSummary:
    """Read every page of a manifest that is not done yet, and return what came of it.

    A page that cannot be read is counted in the summary and written to the job's ledger; it
    raises nothing. Run again to go on after an interruption.

    Args:
        manifest: URL or path of a CSV, TSV, JSONL or Parquet table (manifests/README.md).
        method: a name that `batch_ocr methods` lists, or several as "a,b": the next one reads
            pages that the one before reads badly.
        output: URL or folder; page JSON goes to `{output}/{canonical_id}_ocr.json`.
        backend: Lithops' name of where workers run, or "inline" for this process.
        workers: calls at once; by default this machine's cores, or 100 in a cloud.
        lang: languages on the pages, such as "en" or "en,ja"; None for the method's default.
        options: options of the method; "method.option" for a method of several, or of the manifest.
        min_confidence: 0-1; with several methods, a page goes to the next one below this. 0.85 by
            default.
        gpu: read on the workers' GPUs, by methods that can.
        api_key: for the API that the method asks; better set in the environment.
        budget_usd: stop before more is spent; the summary's state is then "budget".
        keep_going: go on when most of the last pages failed for one reason.
        direction: reading direction of pages whose manifest row names none.
        image_path_prefix: put before relative image paths, instead of the manifest's folder.
        limit: only the first pages of the manifest.
        overwrite: read every page again and replace earlier results.
        retry_failed: also try pages that failed in earlier runs.
        config: Lithops configuration file; ./lithops.yaml by default, if there is one.
        memory_mb: memory of one worker, where the backend takes it.
        timeout_s: longest call, seconds.
        on_event: called with each event of comic_ocr.job.events, from this thread.

    Raises:
        UsageError: nothing was started; the message says what to change. Not retryable.
        BackendError: calls cannot be run. What is done is kept.
        StorageError: the manifest or the output cannot be reached. Retryable.
    """
    spec = JobSpec(
        manifest=str(manifest),
        method=method,
        output=str(output),
        backend=backend,
        workers=workers or default_workers(backend),
        lang=lang,
        options=options or {},
        min_confidence=min_confidence,
        gpu=gpu,
        budget_usd=budget_usd,
        keep_going=keep_going,
        direction=direction,
        image_path_prefix=image_path_prefix,
        limit=limit,
        overwrite=overwrite,
        retry_failed=retry_failed,
        config=config,
        memory_mb=memory_mb,
        timeout_s=timeout_s,
    )
    return run_job(spec, api_key=api_key, on_event=on_event)


def results(output: str | Path) -> Results:
    """Return the results under an output: iterate PageResults, or call `.to_dataframe()`."""
    return read_results(str(output))

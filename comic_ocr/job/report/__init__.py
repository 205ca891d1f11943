"""A job as one HTML file: figures, pictures and tables, for any browser."""

from __future__ import annotations

import time

from comic_ocr.job.history import read_calls
from comic_ocr.job.report.document import render_report
from comic_ocr.job.report.figures import count_figures
from comic_ocr.job.state import JobState
from comic_ocr.storage import open_source

__all__ = ["write_report"]


def write_report(state: JobState, path: str) -> None:
    """Write the report of a running or ended job.

    The ledger and the record of calls are read once, and not held in memory.

    Args:
        state: of the job.
        path: where to; a local path or a URL of any store.

    Raises:
        UsageError: no job has run here, or the path is of no known storage. Not retryable.
        StorageError: the job's files cannot be read, or the report not written. Retryable.
    """
    job = state.require_job()
    store, key = open_source(path)
    summary = state.read_summary()
    figures = count_figures(state.read_ledger(), read_calls(state.store))
    html = render_report(job, summary, figures, output=state.store.url, now=time.time())
    store.put(key, html.encode(errors="replace"), overwrite=True)

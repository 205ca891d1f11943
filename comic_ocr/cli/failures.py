"""`batch_ocr failures`: pages that could not be read, and why."""

from __future__ import annotations

import click
import msgspec

from comic_ocr.cli.progress import count
from comic_ocr.job import JobState
from comic_ocr.page import PageFailure


@click.command()
@click.argument("output")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def failures(output: str, as_json: bool) -> None:
    """List the failed pages of the job at OUTPUT: id, code, attempts, reason, source."""
    state = JobState(output)
    state.require_job()
    found = [
        PageFailure(
            canonical_id=row.canonical_id,
            code=row.code,
            message=row.message,
            retryable=row.retryable,
            attempts=row.attempts,
            source=row.source,
        )
        for row in state.open_failures(set(state.list_done()))
    ]
    for failure in found:
        if as_json:
            click.echo(msgspec.json.encode(failure))
            continue
        again = "may pass when tried again" if failure.retryable else "trying again will not help"
        click.echo(f"{failure.canonical_id}\t{failure.code}\t{failure.message}")
        click.echo(f"\t{failure.source} ({count(failure.attempts, 'attempt')}; {again})")
    click.echo(count(len(found), "failed page"), err=True)

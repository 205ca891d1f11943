"""`batch_ocr status`: how a job stands, running or ended, from any terminal."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec

from comic_ocr.cli.progress import format_seconds
from comic_ocr.job import JobState, JobSummary

#: A run that lives rewrites its summary every 10 s.
_SILENT_S = 60.0


@click.command()
@click.argument("output")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(output: str, as_json: bool) -> None:
    """Show how the job at OUTPUT stands."""
    state = JobState(output)
    job = state.require_job()
    done = set(state.list_done())
    failed = len(state.open_failures(done))
    summary = state.read_summary()
    if as_json:
        facts = {"job": job, "results": len(done), "failed": failed, "last_run": summary}
        click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2))
        return
    click.echo(f"job {job.job_id}: {job.method}, begun {job.created_at}")
    click.echo(f"  page JSON written: {len(done)}")
    click.echo(f"  pages failed:      {failed}")
    if summary is not None:
        click.echo(f"  last run:          {describe_run(summary, datetime.now(UTC))}")


def describe_run(summary: JobSummary, now: datetime) -> str:
    """Return one line on the last run; one that is silent for a minute is taken for dead."""
    left = f"{summary.done} read, {summary.failed} failed, {summary.remaining} left"
    speed = f"{summary.pages_per_s:.2f} pages/s over {format_seconds(summary.wall_s)}"
    cost = "cost unknown" if summary.cost_usd is None else f"${summary.cost_usd:.4f}"
    silent_s = (now - datetime.fromisoformat(summary.updated_at)).total_seconds()
    state: str = summary.state
    if summary.state == "running" and silent_s > _SILENT_S:
        state = f"silent for {format_seconds(silent_s)}; run it again to go on"
    return f"{state}: {left}; {speed}; {cost}"

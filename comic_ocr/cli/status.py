"""`batch_ocr status`: how a job stands, running or ended, from any terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click
import msgspec

from comic_ocr.cli.progress import count, format_seconds, format_usd
from comic_ocr.errors import StorageError, UsageError
from comic_ocr.job import JobState, JobSummary
from comic_ocr.job.report import write_report

#: A run that lives rewrites its summary every 10 s.
_SILENT_S = 60.0
_WATCH_EVERY_S = 5.0


class Standing(NamedTuple):
    """How a job stands: counts of pages, and its last run."""

    results: int
    failed: int
    last_run: JobSummary | None
    #: counted in the output, and not taken from the summary
    exact: bool


@click.command()
@click.argument("output")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; with --watch one line each time."
)
@click.option(
    "--exact", is_flag=True, help="Count in the output itself: lists it, and reads the ledger."
)
@click.option("--watch", is_flag=True, help="Show it every 5 seconds until the run ends.")
@click.option(
    "--report",
    "report_path",
    metavar="FILE.html",
    help="Write a report with pictures, for any browser.",
)
def status(output: str, as_json: bool, exact: bool, watch: bool, report_path: str | None) -> None:
    """Show how the job at OUTPUT stands.

    Works from any machine that can read the output, while a run works and after it.
    """
    if watch and (exact or report_path):
        other = "--exact" if exact else "--report"
        raise UsageError(f"--watch and {other} exclude each other.", hint="give one")
    state = JobState(output)
    state.require_job()
    if watch:
        watch_job(state, as_json=as_json)
        return
    standing = find_standing(state, exact=exact)
    if as_json:
        facts = list_facts(state, standing, datetime.now(UTC))
        click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2))
    else:
        click.echo(describe_job(state, standing, datetime.now(UTC)))
    if report_path is not None:
        write_report(state, report_path)
        click.echo(f"report: {report_path}", err=True)


def find_standing(state: JobState, *, exact: bool) -> Standing:
    """Return how a job stands: by its summary, which is one request, or by what is in the output.

    Args:
        state: of the job.
        exact: list the page JSON and read the ledger. So is done where there is no summary.
    """
    summary = state.read_summary()
    if summary is not None and not exact:
        return Standing(
            summary.done_before + summary.done,
            summary.failed_before + summary.failed,
            summary,
            exact=False,
        )
    done = set(state.list_done())
    return Standing(len(done), len(state.open_failures(done)), summary, exact=True)


def list_facts(state: JobState, standing: Standing, now: datetime) -> dict[str, Any]:
    """Return how a job stands, for programs."""
    summary = standing.last_run
    return {
        "job": state.job,
        "results": standing.results,
        "failed": standing.failed,
        "exact": standing.exact,
        "silent_s": None if summary is None else round(find_silence(summary, now), 1),
        "eta_s": None if summary is None else find_eta(summary, now),
        "last_run": summary,
    }


def describe_job(state: JobState, standing: Standing, now: datetime) -> str:
    """Return how a job stands, for people."""
    job = state.require_job()
    summary = standing.last_run
    whole = f" of {summary.pages}" if summary and not standing.exact else ""
    facts = [
        ("page JSON written", f"{standing.results}{whole}"),
        ("pages failed", str(standing.failed)),
    ]
    if summary is not None:
        facts += describe_last_run(summary, now)
    lines = [f"job {job.job_id}: {job.method}, begun {job.created_at}"]
    lines += [f"  {name + ':':<18} {text}" for name, text in facts]
    return "\n".join(lines)


def describe_last_run(summary: JobSummary, now: datetime) -> list[tuple[str, str]]:
    """Return names and texts of what is known of the last run; what is nothing is left out."""
    eta_s = find_eta(summary, now)
    ago = f", {format_seconds(find_silence(summary, now))} ago"
    facts = [
        ("last run", describe_run(summary, now)),
        ("why", summary.message),
        ("time left", "" if eta_s is None else f"about {format_seconds(eta_s)}"),
        ("as of", summary.updated_at + ago),
        ("workers", f"{summary.workers} on {summary.backend}"),
        ("calls", describe_calls(summary)),
        ("failed in it", describe_failures(summary)),
        ("cost of it", describe_cost(summary)),
        ("largest worker", f"{summary.peak_worker_memory_mb} MB"),
    ]
    return [(name, text) for name, text in facts if text]


def describe_run(summary: JobSummary, now: datetime) -> str:
    """Return one line on the last run; one that is silent for a minute is taken for dead."""
    left = f"{summary.done} read, {summary.failed} failed, {summary.remaining} left"
    speed = f"{summary.pages_per_s:.2f} pages/s over {format_seconds(summary.wall_s)}"
    cost = "cost unknown" if summary.cost_usd is None else f"${summary.cost_usd:.4f}"
    silent_s = find_silence(summary, now)
    state: str = _STATES.get(summary.state, summary.state)
    if summary.state == "running" and silent_s > _SILENT_S:
        state = f"silent for {format_seconds(silent_s)}; run it again to go on"
    return f"{state}: {left}; {speed}; {cost}"


_STATES = {"budget": "stopped by its budget", "stopped": "stopped by an error"}


def describe_failures(summary: JobSummary) -> str:
    """Return the codes of the pages that failed in the last run, the commonest first."""
    codes = sorted(summary.failures_by_code.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{number} {code}" for code, number in codes)


def describe_calls(summary: JobSummary) -> str:
    """Return what became of the calls of the last run."""
    text = f"{summary.chunks} came back, {summary.retries} lost and their pages read again"
    return text + (f", {count(summary.backups, 'backup')}" if summary.backups else "")


def describe_cost(summary: JobSummary) -> str:
    """Return the cost of the last run by kind; nothing where all kinds cost nothing."""
    costs = summary.costs
    kinds = {
        "compute": costs.compute_usd,
        "calls": costs.requests_usd,
        "storage": costs.storage_usd,
        "APIs": costs.api_usd,
    }
    return ", ".join(f"{kind} {format_usd(usd)}" for kind, usd in kinds.items() if usd != 0)


def find_silence(summary: JobSummary, now: datetime) -> float:
    """Return the seconds since the summary was written."""
    return max((now - datetime.fromisoformat(summary.updated_at)).total_seconds(), 0.0)


def find_eta(summary: JobSummary, now: datetime) -> float | None:
    """Return the seconds that a running job still takes, None where there is nothing to go by."""
    if not is_running(summary, now) or not summary.pages_per_s:
        return None
    return round(summary.remaining / summary.pages_per_s, 1)


def is_running(summary: JobSummary, now: datetime) -> bool:
    """Return whether a run works, as far as its summary tells."""
    return summary.state == "running" and find_silence(summary, now) <= _SILENT_S


def watch_job(
    state: JobState, *, as_json: bool, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Print how a job stands, again and again, until its run has ended or a person ends it."""
    terminal = sys.stdout.isatty()
    try:
        while True:
            try:
                standing = find_standing(state, exact=False)
            except StorageError as error:
                # A watch of a day must outlive a store that is away for a minute.
                click.echo(f"cannot read the job: {error.message}", err=True)
                sleep(_WATCH_EVERY_S)
                continue
            now = datetime.now(UTC)
            if as_json:
                click.echo(msgspec.json.encode(list_facts(state, standing, now)))
            else:
                if terminal:
                    click.clear()
                click.echo(describe_job(state, standing, now))
            if standing.last_run is None or not is_running(standing.last_run, now):
                return
            sleep(_WATCH_EVERY_S)
    except KeyboardInterrupt:
        return

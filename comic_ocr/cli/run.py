"""`batch_ocr run`: read the pages of a manifest."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from comic_ocr.backends import BACKENDS, LOCAL_BACKENDS
from comic_ocr.cli.progress import ProgressPrinter, count, format_usd
from comic_ocr.errors import UsageError
from comic_ocr.job import (
    JobSpec,
    JobState,
    JobSummary,
    default_workers,
    estimate_job,
    run_job,
)
from comic_ocr.job.events import JobPlanned
from comic_ocr.job.keys import find_key_variable
from comic_ocr.job.report import write_report

INTERRUPTED = 130
#: of --workers auto: AWS gives a new account as many calls at once
MOST_WORKERS = 1000
_BUCKET_SCHEMES = {"azure": "az", "gcp": "gs"}


@click.command()
@click.option(
    "--manifest",
    required=True,
    metavar="URL",
    help="Table of pages: CSV, TSV, JSONL or Parquet; a path or URL.",
)
@click.option(
    "--method",
    default="paddleocr",
    show_default=True,
    metavar="NAME",
    help="What reads the pages; `batch_ocr methods` lists them. Several, as tesseract,paddleocr: "
    "the next one reads pages that the one before reads badly.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="With several methods: a page below this goes to the next one.  [default: 0.85]",
)
@click.option(
    "--lang",
    metavar="CODES",
    help="Languages on the pages, such as en or en,ja.  [default: the method's]",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the method; may be given several times. METHOD.KEY=VALUE names the method.",
)
@click.option("--model", metavar="NAME", help="Short for --option model=NAME.")
@click.option("--api-type", metavar="NAME", help="Short for --option api_type=NAME.")
@click.option(
    "--api-key",
    metavar="KEY",
    help="Key of the API that the method asks. Others on this machine can see it in the process "
    "list; the environment is safer.",
)
@click.option("--gpu", is_flag=True, help="Read on the workers' GPUs.")
@click.option(
    "--direction",
    type=click.Choice(["ltr", "rtl"]),
    default="ltr",
    show_default=True,
    help="Reading direction of pages whose row names none.",
)
@click.option(
    "--output",
    metavar="URL",
    help="Where results go: folder, s3://, gs:// or az:// prefix.  [default: ocr_results]",
)
@click.option(
    "--output-bucket", metavar="BUCKET", help="Bucket for the results, instead of --output."
)
@click.option(
    "--output-prefix",
    "--output-key-prefix",
    default="ocr_results",
    show_default=True,
    metavar="PREFIX",
    help="Prefix in --output-bucket.",
)
@click.option(
    "--image-path-prefix",
    metavar="URL",
    help="Put before relative image paths.  [default: the manifest's folder]",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="localhost",
    show_default=True,
    help="Where workers run, by Lithops' name.",
)
@click.option(
    "--workers",
    metavar="N",
    help="Calls at once; auto for as many as bring something.  [default: this machine's cores, or "
    "100 in a cloud]",
)
@click.option(
    "--budget",
    "budget_usd",
    type=click.FloatRange(0, min_open=True),
    metavar="USD",
    help="Stop before more than this is spent, compute and APIs together.",
)
@click.option("--prices", metavar="FILE", help="Table of prices to take instead of the package's.")
@click.option(
    "--keep-going", is_flag=True, help="Go on when most of the last pages failed for one reason."
)
@click.option(
    "--memory",
    "memory_mb",
    type=click.IntRange(128),
    metavar="MB",
    help="Memory of one worker.  [default: the configuration's]",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(30),
    metavar="S",
    help="Longest call.  [default: the configuration's]",
)
@click.option("--config", metavar="FILE", help="Lithops configuration.  [default: ./lithops.yaml]")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Only the first N pages of the manifest."
)
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, and stop.")
@click.option("--retry-failed", is_flag=True, help="Also try pages that failed in earlier runs.")
@click.option(
    "--overwrite", is_flag=True, help="Read every page again and replace earlier results."
)
@click.option("--summary-file", is_flag=True, help="Also write ./lithops_ocr_summary_<time>.json.")
@click.option(
    "--report", metavar="FILE", help="Also write an HTML page of pictures and figures of the job."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary as JSON on standard output."
)
@click.option("--quiet", is_flag=True, help="No progress; errors only.")
@click.option("--verbose", is_flag=True, help="A line for each call.")
def run(**flags: Any) -> int:
    """Read every page of a manifest that is not done yet.

    One JSON per page is written to OUTPUT/{canonical_id}_ocr.json. Run the same command again to
    go on after an interruption; pages that are done are never read twice.

    Exit codes: 0 done, 2 usage, 3 finished but some pages failed, 4 stopped by the budget,
    5 backend or storage failed, 130 interrupted.
    """
    spec = make_spec(flags)
    if flags["api_key"] and not flags["quiet"]:
        click.echo(
            f"--api-key can be seen in the process list; safer: {_safer_key(spec)}", err=True
        )
    if flags["dry_run"]:
        planned = estimate_job(spec, api_key=flags["api_key"])
        print_estimate(planned, as_json=flags["as_json"])
        return 0
    if flags["report"]:
        check_writable(flags["report"])
    printer = ProgressPrinter(quiet=flags["quiet"], verbose=flags["verbose"])
    try:
        with printer:
            summary = run_job(spec, api_key=flags["api_key"], on_event=printer.handle)
    except KeyboardInterrupt:
        again = " without --overwrite" if spec.overwrite else ""
        click.echo(f"interrupted; run the same command{again} to go on", err=True)
        return INTERRUPTED
    if flags["summary_file"]:
        write_summary_file(summary)
    if flags["report"]:
        write_report(JobState(summary.output), flags["report"])
        click.echo(f"report: {flags['report']}", err=True)
    if flags["as_json"]:
        click.echo(msgspec.json.format(msgspec.json.encode(summary), indent=2))
    elif not flags["quiet"]:
        click.echo(describe_end(summary))
    return summary.exit_code


def make_spec(flags: dict[str, Any]) -> JobSpec:
    """Return the job that the flags ask for."""
    return JobSpec(
        manifest=flags["manifest"],
        method=flags["method"],
        output=choose_output(flags),
        backend=flags["backend"],
        workers=count_workers(flags["workers"], flags["backend"]),
        autoscale=flags["workers"] == "auto",
        budget_usd=flags["budget_usd"],
        keep_going=flags["keep_going"],
        prices=flags["prices"],
        lang=flags["lang"],
        options=parse_options(flags["options"], model=flags["model"], api_type=flags["api_type"]),
        min_confidence=flags["min_confidence"],
        gpu=flags["gpu"],
        direction=flags["direction"],
        image_path_prefix=flags["image_path_prefix"],
        limit=flags["limit"],
        overwrite=flags["overwrite"],
        retry_failed=flags["retry_failed"],
        config=flags["config"],
        memory_mb=flags["memory_mb"],
        timeout_s=flags["timeout_s"],
    )


def check_writable(path: str) -> None:
    """Raise UsageError for a local file that cannot be written, before the work and not after."""
    folder = Path(path).parent
    if "://" not in path and (not folder.is_dir() or not os.access(folder, os.W_OK)):
        raise UsageError(f"--report: {folder} is no folder to write to.", hint="choose another")


def count_workers(asked: str | None, backend: str) -> int:
    """Return the most calls at once of --workers.

    Raises:
        UsageError: it is neither a number from 1 nor `auto`.
    """
    if asked is None:
        return default_workers(backend)
    if asked == "auto":
        return default_workers(backend) if backend in LOCAL_BACKENDS else MOST_WORKERS
    if not asked.isdecimal() or int(asked) < 1:
        raise UsageError(f'--workers "{asked}" is no number from 1.', hint="--workers 4, or auto")
    return int(asked)


def choose_output(flags: dict[str, Any]) -> str:
    """Return the output URL of --output or --output-bucket."""
    if flags["output"] and flags["output_bucket"]:
        raise UsageError("--output and --output-bucket exclude each other.", hint="give one")
    if not flags["output_bucket"]:
        return flags["output"] or "ocr_results"
    bucket = str(flags["output_bucket"]).rstrip("/")
    if "://" not in bucket:
        cloud = flags["backend"].partition("_")[0]
        bucket = f"{_BUCKET_SCHEMES.get(cloud, 's3')}://{bucket}"
    return f"{bucket}/{flags['output_prefix'].strip('/')}"


def parse_options(pairs: tuple[str, ...], **short: str | None) -> dict[str, str]:
    """Return --option KEY=VALUE pairs as a mapping.

    Args:
        pairs: as typed.
        **short: options that have a flag of their own.

    Raises:
        UsageError: a pair has no `=`.
    """
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f'--option "{pair}" is not KEY=VALUE.', hint="--option psm=11")
        options[key.strip()] = value
    return options | {key: value for key, value in short.items() if value}


def _safer_key(spec: JobSpec) -> str:
    return f"export {find_key_variable(spec)}=…, or --option api_key_secret=NAME"


def print_estimate(planned: JobPlanned, *, as_json: bool) -> None:
    """Print what a run would do."""
    summary = planned.summary
    if as_json:
        facts = {
            "pages": summary.pages,
            "done_before": summary.done_before,
            "failed_before": summary.failed_before,
            "to_read": summary.remaining,
            "calls": planned.calls,
            "expected_s": planned.expected_s,
            "expected_usd": planned.expected_usd,
            "expected_api_usd": planned.expected_api_usd,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2))
        return
    click.echo(ProgressPrinter.describe_plan(planned))
    click.echo("dry run: nothing was read or written")


def describe_end(summary: JobSummary) -> str:
    """Return what a person wants to know at the end of a run."""
    lines = []
    if summary.done or summary.failed:
        rate = f"{summary.pages_per_s:.2f} pages/s"
        price = f", {format_usd(summary.cost_usd)}" if summary.cost_usd else ""
        lines.append(
            f"read {count(summary.done, 'page')} in {summary.wall_s:.1f} s ({rate}){price}"
        )
    else:
        lines.append(f"nothing to read: {summary.done_before} of {summary.pages} pages are done")
    if summary.done and summary.done_before:
        lines[0] += f"; {summary.done_before} were done before"
    if summary.failed:
        codes = ", ".join(f"{n} {code}" for code, n in sorted(summary.failures_by_code.items()))
        lines.append(f"failed {count(summary.failed, 'page')}: {codes}")
    if summary.failed_before:
        lines.append(
            f"{count(summary.failed_before, 'page')} failed earlier; --retry-failed tries them"
        )
    if summary.state == "budget":
        left = count(summary.remaining, "page")
        lines.append(f"the budget is spent: {left} left; run again with more to go on")
    if summary.failed or summary.failed_before:
        lines.append(f"see each: batch_ocr failures {summary.output}")
    lines.append(f"results: {summary.output}/{{canonical_id}}_ocr.json")
    return "\n".join(lines)


def write_summary_file(summary: JobSummary) -> None:
    """Write a copy of the summary into the current folder."""
    path = Path(f"lithops_ocr_summary_{datetime.now(UTC):%Y%m%d_%H%M%S}.json")
    path.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    click.echo(f"summary: {path}", err=True)

"""The command itself: its words, and how errors become messages and exit codes."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click
from click_default_group import DefaultGroup

from comic_ocr._version import __version__
from comic_ocr.cli.demo import demo
from comic_ocr.cli.estimate import estimate
from comic_ocr.cli.failures import failures
from comic_ocr.cli.manifest import manifest
from comic_ocr.cli.methods import methods
from comic_ocr.cli.page import page
from comic_ocr.cli.run import INTERRUPTED, run
from comic_ocr.cli.status import status
from comic_ocr.errors import ComicOcrError, PageError, StorageError

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=DefaultGroup, default="run", default_if_no_args=False, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="batch_ocr")
def cli() -> None:
    """Read comic pages and scans in bulk, on serverless workers or on this machine.

    Flags without a command word are those of `run`:

        batch_ocr --manifest pages.csv --output results
    """


for command in (run, estimate, page, methods, manifest, status, failures, demo):
    cli.add_command(command)


def main() -> None:
    """Run the command and exit: 0 done, 2 usage, 3 some pages failed, 5 backend or storage."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = INTERRUPTED
    except ComicOcrError as error:
        click.echo(format_error(error), err=True)
        # A page's error that reaches the command is one of the job's own files: storage failed.
        code = StorageError.exit_code if isinstance(error, PageError) else error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone; a second write at exit must not complain.
        sys.stdout = None
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def format_error(error: ComicOcrError) -> str:
    """Return what, where and why, then what to do."""
    lines = [f"error[{error.code}]: {error.message}"]
    if error.hint:
        lines.append(f"  try: {error.hint}")
    return "\n".join(lines)

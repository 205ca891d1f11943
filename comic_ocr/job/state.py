"""A job's files under `{output}/_comic_ocr/`, and what they say is done and failed.

    job.json                     the fingerprint; written once, its time of writing starts the job
    plan/{run}/{part}.jsonl      PageRefs, one a line; chunks are byte ranges
    ledger/{run}/{chunk}-{n}.jsonl   LedgerRows of one chunk attempt, written by its worker
    answers/{2 digits}/{hash}.json   what APIs were paid for, kept for ever (engines/api/answers.py)
    rejected/{canonical_id}.json     answers of a page that were of no use
    calls/{run}/{part}.jsonl     CallRecords (history.py)
    lease.json                   LeaseFile, while a driver works (lease.py)
    summary.json                 JobSummary of the last run, rewritten while it runs

What is done is what a listing shows: page JSON written since job.json. The ledger adds what failed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from comic_ocr._version import __version__
from comic_ocr.errors import OutputConflictError, SourceNotFoundError, StorageError, UsageError
from comic_ocr.job.history import read_ahead
from comic_ocr.job.lease import LEASE_KEY
from comic_ocr.job.spec import CheckedMethod, fingerprint
from comic_ocr.job.summary import JobSummary
from comic_ocr.page import (
    ANSWERS_PREFIX,
    RESULT_SUFFIX,
    SCHEMA_VERSION,
    STATE_PREFIX,
    Direction,
    LedgerRow,
    result_key,
)
from comic_ocr.storage import Store, open_store

_JOB_KEY = f"{STATE_PREFIX}/job.json"
_SUMMARY_KEY = f"{STATE_PREFIX}/summary.json"
_LEDGER_PREFIX = f"{STATE_PREFIX}/ledger"


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """What identifies the results under an output prefix."""

    job_id: str
    fingerprint: str
    method: str
    #: by method, less those that do not change what is read
    options: dict[str, dict[str, Any]]
    languages: tuple[str, ...]
    direction: Direction
    #: of a cascade's pages; 0 for a single method
    min_confidence: float = 0.0
    created_at: str
    #: replaces the results of an earlier job on this prefix
    overwrite: bool = False
    package_version: str = __version__
    schema_version: str = SCHEMA_VERSION


class JobState:
    """A job's files. Nothing is written by opening it."""

    def __init__(self, output: str, *, overwrite: bool = False) -> None:
        self.store: Store = open_store(output)
        self.job = self._read_job(overwrite=overwrite)

    def _read_job(self, *, overwrite: bool) -> JobFile | None:
        try:
            data = self.store.get(_JOB_KEY)
        except SourceNotFoundError:
            return None
        try:
            return msgspec.json.decode(data, type=JobFile)
        except msgspec.DecodeError as error:
            if overwrite:
                return None
            raise StorageError(
                f"{self.store.locate(_JOB_KEY)} is not a job file of this version: {error}",
                hint="use another --output, or --overwrite to begin anew",
            ) from error

    def require_job(self) -> JobFile:
        """Return the job of this output.

        Raises:
            UsageError: no job has run here. Not retryable.
        """
        if self.job is None:
            raise UsageError(
                f"there is no job at {self.store.url}.",
                hint="name the --output of a run, as its summary shows it",
            )
        return self.job

    def check_same(self, checked: CheckedMethod) -> None:
        """Refuse to mix results of two methods or option sets.

        Raises:
            OutputConflictError: another fingerprint has results here. Not retryable.
        """
        job = self.job
        if job is None:
            self._refuse_strangers()
            return
        if job.fingerprint == fingerprint(checked):
            return
        raise OutputConflictError(
            f"{self.store.url} holds results of another job: {_describe(job)}; "
            f"this one is {_describe(checked)}.",
            hint="choose another --output, or --overwrite to read every page again",
        )

    def _refuse_strangers(self) -> None:
        """Page JSON without a job file is somebody else's, and must not count as done."""
        if any(entry.key.endswith(RESULT_SUFFIX) for entry in self.store.list()):
            raise OutputConflictError(
                f"{self.store.url} holds *{RESULT_SUFFIX} files, but no job of this program.",
                hint="choose another --output, or --overwrite to replace them",
            )

    def begin(self, checked: CheckedMethod, *, run_id: str, overwrite: bool) -> JobFile:
        """Return the job file, written now if this is the job's first run or it overwrites.

        Overwriting deletes the state of the job before, less the plan of the run that begins and
        the answers that were paid.
        """
        if self.job is not None and not overwrite:
            return self.job
        if overwrite:
            mine = (f"{STATE_PREFIX}/plan/{run_id}/", LEASE_KEY)
            self._delete_state(keep=(*mine, f"{ANSWERS_PREFIX}/"))
        self.job = JobFile(
            job_id=run_id,
            fingerprint=fingerprint(checked),
            method=checked.name,
            options=checked.options,
            languages=checked.languages,
            direction=checked.direction,
            min_confidence=checked.min_confidence,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            overwrite=overwrite,
        )
        self.store.put(_JOB_KEY, _pretty(self.job), overwrite=True)
        return self.job

    def _delete_state(self, *, keep: tuple[str, ...]) -> None:
        for key in [entry.key for entry in self.store.list(STATE_PREFIX)]:
            if not key.startswith(keep):
                self.store.delete(key)

    def list_done(self) -> Iterator[str]:
        """Yield the keys of the page JSON that this job wrote, in no order."""
        if self.job is None:
            return
        since = self.started_at() if self.job.overwrite else None
        for entry in self.store.list():
            if entry.key.endswith(RESULT_SUFFIX) and (since is None or entry.modified_at >= since):
                yield entry.key

    def started_at(self) -> datetime:
        """Return when the job's first run began, by the store's own clock."""
        return self.store.head(_JOB_KEY).modified_at

    def read_ledger(self) -> Iterator[LedgerRow]:
        """Yield all rows, older runs first.

        Raises:
            StorageError: an object is not there any more, or is no ledger of this version.
        """
        keys = sorted(e.key for e in self.store.list(_LEDGER_PREFIX) if e.key.endswith(".jsonl"))
        for rows in read_ahead(self._read_rows, keys):
            yield from rows

    def _read_rows(self, key: str) -> list[LedgerRow]:
        try:
            return msgspec.json.Decoder(LedgerRow).decode_lines(self.store.get(key))
        except msgspec.DecodeError as error:
            raise StorageError(
                f"{self.store.locate(key)} is not a ledger of this version: {error}",
                hint="delete it: pages that it alone says have failed are then tried again",
            ) from error

    def failed_rows(self) -> dict[str, LedgerRow]:
        """Return the last row of each page whose last attempt failed, by canonical id."""
        failed: dict[str, LedgerRow] = {}
        for row in self.read_ledger():
            if row.status == "failed":
                failed[row.canonical_id] = row
            else:
                failed.pop(row.canonical_id, None)
        return failed

    def open_failures(self, done: set[str]) -> list[LedgerRow]:
        """Return the last row of each failed page that has no page JSON, by code and id.

        Args:
            done: keys of page JSON, as list_done yields them. A killed worker may have written
                some that no ledger row tells of.
        """
        rows = [r for r in self.failed_rows().values() if result_key(r.canonical_id) not in done]
        return sorted(rows, key=lambda row: (row.code, row.canonical_id))

    def write_rows(self, run_id: str, name: str, rows: list[LedgerRow]) -> None:
        """Write ledger rows of the driver's own, for pages whose worker could not."""
        data = msgspec.json.Encoder().encode_lines(rows)
        self.store.put(f"{_LEDGER_PREFIX}/{run_id}/{name}.jsonl", data, overwrite=True)

    def ended_well(self) -> bool:
        """Return whether the last run came to its end, so that no worker of it still writes."""
        summary = self.read_summary()
        return summary is not None and summary.state == "finished"

    def write_summary(self, summary: JobSummary) -> None:
        """Replace the summary."""
        self.store.put(_SUMMARY_KEY, _pretty(summary), overwrite=True)

    def read_summary(self) -> JobSummary | None:
        """Return the summary of the last run, None where there is none that can be read.

        Nothing rests on a summary but what is shown; one of another version is as good as none.
        """
        try:
            return msgspec.json.decode(self.store.get(_SUMMARY_KEY), type=JobSummary)
        except (SourceNotFoundError, msgspec.DecodeError):
            return None


def hash_key(key: str) -> int:
    """Return 64 bits of a key: a million of them fit a set where the keys would not."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


def new_run_id() -> str:
    """Return a name for a run that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(2)}"


def _describe(job: JobFile | CheckedMethod) -> str:
    name = job.method if isinstance(job, JobFile) else job.name
    single = len(job.options) == 1
    settings = {
        key if single else f"{method}.{key}": value
        for method, options in job.options.items()
        for key, value in options.items()
    }
    settings["lang"] = ",".join(job.languages) or "any"
    if job.direction != "ltr":
        settings["direction"] = job.direction
    if job.min_confidence:
        settings["min_confidence"] = job.min_confidence
    return f"{name} ({', '.join(f'{key}={value}' for key, value in settings.items())})"


def _pretty(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"

"""Which process holds a lease, and whether it still runs as far as this machine can tell."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from comic_ocr.worker.task import is_alive

Life = Literal["dead", "alive", "unknown"]


class LeaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """Who works on an output. All defaults: a lease that this version cannot read."""

    owner: str = ""
    run_id: str = ""
    user: str = ""
    host: str = ""
    #: equal where two processes see each other's pids
    machine: str = ""
    pid: int = 0
    #: when the process began, in the kernel's ticks since boot; 0 where the system does not say.
    #: A pid is given again, but not with the same start.
    pid_start: int = 0
    #: UTC, by the clock of that machine; for people
    started_at: str = ""


def make_lease_file(run_id: str) -> LeaseFile:
    """Return a new lease of this process, with an owner that no other lease has."""
    return LeaseFile(
        owner=secrets.token_hex(8),
        run_id=run_id,
        user=_read_user(),
        host=socket.gethostname(),
        machine=_hash_machine(),
        pid=os.getpid(),
        pid_start=read_pid_start(os.getpid()),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def find_life(held: LeaseFile, mine: LeaseFile) -> Life:
    """Return whether the process of a lease runs, "unknown" where this machine cannot tell.

    A lease of this very process is unknown too: its run may have ended without reaching the store.
    """
    if not held.pid or (held.host, held.machine) != (mine.host, mine.machine):
        return "unknown"
    if not is_alive(held.pid):
        return "dead"
    start = read_pid_start(held.pid)
    if not (start and held.pid_start):
        return "unknown"
    if start != held.pid_start:
        return "dead"
    return "unknown" if held.pid == mine.pid else "alive"


def describe_holder(held: LeaseFile) -> str:
    """Return who holds a lease, for messages."""
    if not held.owner:
        return "a run of another version"
    return f"{held.user}@{held.host} (pid {held.pid}, run {held.run_id}, since {held.started_at})"


def read_pid_start(pid: int) -> int:
    """Return when a process began, in ticks since boot (field 22 of proc_pid_stat(5)), or 0."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The name, in parentheses, may hold anything; what follows it begins with field 3.
    return int(stat.rpartition(")")[2].split()[19])


@cache
def _hash_machine() -> str:
    """Return a hash of the boot and the pid namespace, so that no container is taken for another.

    Systems without /proc are known by their network card.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        known = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        known = f"{uuid.getnode():x}"
    return hashlib.blake2b(known.encode(), digest_size=8).hexdigest()


def _read_user() -> str:
    """A container may run as a user without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"

"""What a worker must know of the job: small, without secrets, sent with every call."""

from __future__ import annotations

from typing import Any

import msgspec

from comic_ocr.images.decode import MAX_PIXELS
from comic_ocr.page import Direction


class WorkSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a job that is the same for all of its chunks."""

    #: URL of the output prefix
    output: str
    #: names this run's plan and ledger under the output
    run_id: str
    #: options by method; a method that is not here runs with its defaults
    options: dict[str, dict[str, Any]] = {}
    #: a page that a cascade's method reads with less goes to the next
    min_confidence: float = 0.0
    gpu: bool = False
    #: one worker's part of limits that are set for the whole job
    share: float = 1.0
    direction: Direction = "ltr"
    #: replace page JSON that is there already and is older than this, seconds since the epoch;
    #: 0 to leave all that is there
    replace_before: float = 0.0
    #: look for page JSON that is there already before reading a page
    check_existing: bool = False
    #: cores for one worker; 0 for all that the worker sees
    threads: int = 0
    #: seconds after which a worker starts no further page; 0 for no limit
    deadline_s: float = 0.0
    max_pixels: int = MAX_PIXELS
    #: stop when this local process is gone; 0 for none
    watched_pid: int = 0
    package_version: str = ""

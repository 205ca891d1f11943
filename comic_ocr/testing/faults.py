"""Method `faulty`: an engine that fails on order, to see what a job makes of it.

    options: plan={"page_03": ["kill", "ok"]}, journal="/tmp/journal", seconds=0.1

The plan names, per page, what happens at its first, second, … recognition; after the last word,
and for pages that it does not name, all is well. Each recognition appends a line to
`{journal}/{page}`, so that attempts are counted across processes. Words: those of FAULTS.

It is no entry point of this package: tests offer it through one of their own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import msgspec

from comic_ocr._version import __version__
from comic_ocr.engines import EngineSetup, Method, Recognition
from comic_ocr.errors import (
    EngineError,
    EngineUnavailableError,
    OptionError,
    RateLimitedError,
    UnparsableAnswerError,
)
from comic_ocr.images import PageImage
from comic_ocr.page import Region

_HANG_S = 3600.0


class FaultOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of method `faulty`."""

    #: JSON object: page id → words
    plan: str = "{}"
    #: folder for the journal; empty for none
    journal: str = ""
    #: how long a recognition takes
    seconds: float = 0.0


def _raise(error: Exception) -> None:
    raise error


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS: dict[str, Callable[[], None]] = {
    "ok": lambda: None,
    "error": lambda: _raise(EngineError("broken on order")),
    "foreign": lambda: _raise(ZeroDivisionError("broken on order")),
    "unavailable": lambda: _raise(EngineUnavailableError("not reachable on order")),
    "throttled": lambda: _raise(RateLimitedError("too many requests on order")),
    "unparsable": lambda: _raise(UnparsableAnswerError("nonsense on order")),
    "memory": lambda: _raise(MemoryError("out of memory on order")),
    "stop": lambda: _raise(OptionError("no key on order", hint="set a key")),
    "exit": lambda: os._exit(7),
    "kill": _kill,
    "hang": lambda: time.sleep(_HANG_S),
}


class FaultyEngine:
    """Reads each page's id as its text, or fails as the plan says."""

    version = __version__
    model: str | None = None

    def __init__(self, setup: EngineSetup) -> None:
        if not isinstance(setup.options, FaultOptions):
            raise TypeError(f"expected FaultOptions, got {type(setup.options).__name__}")
        self._options = setup.options
        self._plan: dict[str, list[str]] = {}

    def load(self) -> None:
        """Read the plan.

        Raises:
            OptionError: it is no JSON object of lists of known words.
        """
        try:
            self._plan = msgspec.json.decode(self._options.plan, type=dict[str, list[str]])
        except msgspec.DecodeError as error:
            raise OptionError(f"plan is not a JSON object of lists: {error}") from error
        unknown = {word for words in self._plan.values() for word in words} - set(FAULTS)
        if unknown:
            raise OptionError(f"unknown faults: {unknown}", hint=", ".join(FAULTS))

    def recognize(self, page: PageImage) -> Recognition:
        """Return one region over the whole page, whose text is the page's id."""
        attempt = self._count(page.page_id)
        time.sleep(self._options.seconds)
        words = self._plan.get(page.page_id, [])
        if attempt <= len(words):
            FAULTS[words[attempt - 1]]()
        region = Region(text=page.page_id, bbox=(0, 0, page.width, page.height), confidence=1.0)
        return Recognition([region])

    def _count(self, page_id: str) -> int:
        """Return which recognition of the page this is, counted from 1 over all processes."""
        if not self._options.journal:
            return 1
        path = Path(self._options.journal) / quote(page_id, safe="")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        return len(path.read_text(encoding="utf-8").splitlines())


def read_journal(folder: str | os.PathLike[str]) -> dict[str, int]:
    """Return how often each page was recognized, by the quoted page id."""
    home = Path(folder)
    if not home.exists():
        return {}
    return {path.name: len(path.read_text().splitlines()) for path in home.iterdir()}


METHOD = Method(
    "faulty",
    "reads each page's id as its text, and fails on order",
    build=FaultyEngine,
    options=FaultOptions,
    typical_s=0.1,
    load_s=0.0,
)

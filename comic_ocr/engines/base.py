"""What an engine is, and how a method describes it.

A complete plugin, named by the entry point group `comic_ocr.engines`:

    from comic_ocr.engines import Method, Recognition
    from comic_ocr.page import Region

    class ShoutEngine:
        version, model = "1.0", None
        def load(self): pass
        def recognize(self, page):
            inked = page.pixels.min() < 128
            region = Region(text="HELLO", bbox=(0, 0, page.width, page.height))
            return Recognition([region] if inked else [])

    METHOD = Method("shout", "reads HELLO where there is ink", build=lambda setup: ShoutEngine())
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from comic_ocr.images import PageImage
from comic_ocr.page import Region, Usage
from comic_ocr.storage import Store

#: Marks an option that changes how pages are read but not what is read on them, such as a rate
#: limit: `Annotated[int, TUNING]`. Results under one output may differ in it.
TUNING = msgspec.Meta(extra={"tuning": True})


@dataclass(frozen=True)
class Recognition:
    """What an engine found on one page."""

    #: in the engine's own order
    regions: list[Region]
    #: tokens and price, from engines that are paid by the page
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[str, ...] = ()


class Engine(Protocol):
    """Reads pages. One instance per worker process."""

    #: of the engine's package, for the page JSON
    version: str
    #: what recognises the text, None where the version says it all
    model: str | None

    def load(self) -> None:
        """Prepare to read: import packages, load weights, open clients.

        Runs once in the worker, before the first page.

        Raises:
            EngineMissingError: a package or its data is not installed. Not retryable.
            OptionError: an option does not fit this machine. Not retryable.
        """

    def recognize(self, page: PageImage) -> Recognition:
        """Return the text regions of one page, in the engine's own order.

        Runs in the worker, after load(); from `Method.concurrency` threads at once.
        Must not start processes that outlive the call.

        Raises:
            EngineError: the image cannot be read. Not retryable.
            EngineUnavailableError: API or model not reachable. Retryable.
            ApiRefusedError: the API will take no page of this job. Stops the job.
        """


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For methods that take no options."""


@dataclass(frozen=True)
class ApiSetup:
    """What a worker gives to engines that ask an API."""

    #: where answers that were paid are kept; None to keep none
    store: Store | None = None
    #: this worker's part of the limits that the options set for the whole job
    share: float = 1.0
    #: seconds until this call must end; none left when it is to stop now
    seconds_left: Callable[[], float] = lambda: math.inf


@dataclass(frozen=True)
class EngineSetup:
    """What a worker gives to `Method.build`."""

    #: an instance of the method's `options` type
    options: msgspec.Struct = field(default_factory=NoOptions)
    #: this project's language codes (see languages.py), never empty where the method has languages
    languages: tuple[str, ...] = ()
    #: cores that this worker may keep busy
    threads: int = 1
    #: read on this worker's GPU; only for methods that run on one
    gpu: bool = False
    api: ApiSetup = field(default_factory=ApiSetup)


@dataclass(frozen=True)
class Method:
    """What a user can ask for by name, and what the planner must know of it."""

    name: str
    #: one line for `batch_ocr methods`
    summary: str
    build: Callable[[EngineSetup], Engine]
    options: type[msgspec.Struct] = NoOptions
    #: options → codes that can be read with what is installed here; empty: the engine reads any
    languages: Callable[[Any], frozenset[str]] = lambda _options: frozenset()
    #: languages when the user names none
    default_languages: tuple[str, ...] = ()
    #: options → None when it can run here, else what to install
    missing: Callable[[Any], str | None] = lambda _options: None
    #: options → options as workers get them. Called once, on the driver's machine, before anything
    #: is planned: reads files that options name, asks a server for its models. May raise UsageError
    resolve: Callable[[Any], Any] = lambda options: options
    #: options → name of the environment variable that holds the key of the API that it asks
    key_variable: Callable[[Any], str | None] = lambda _options: None
    #: options → None when it needs no key or has one here, else how to give it
    missing_key: Callable[[Any], str | None] = lambda _options: None
    #: `cpu`, `gpu`, `api`
    runs_on: tuple[str, ...] = ("cpu",)
    #: what a page costs besides the worker's time, for people
    price: str = "compute only"
    #: options → dollars of it, as far as they are known before; None where they are not
    page_usd: Callable[[Any], float | None] = lambda _options: 0.0
    #: seconds of one core for a typical comic page; measured, see docs/reference/methods.md. Of an
    #: API a first guess of the seconds until it answers
    typical_s: float = 1.0
    #: seconds to import and load, once per call
    load_s: float = 1.0
    #: memory of one worker, for functions that are sized in advance
    memory_mb: int = 1024
    #: pages in recognition at once per worker; an option of that name goes before it
    concurrency: int = 1

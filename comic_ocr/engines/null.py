"""Method `null`: finds nothing, at once. It shows what a job costs besides recognition."""

from __future__ import annotations

from comic_ocr._version import __version__
from comic_ocr.engines.base import EngineSetup, Method, Recognition
from comic_ocr.images import PageImage


class NullEngine:
    """Reads no text."""

    version = __version__
    model: str | None = None

    def __init__(self, _setup: EngineSetup) -> None:
        pass

    def load(self) -> None:
        """There is nothing to load."""

    def recognize(self, page: PageImage) -> Recognition:  # noqa: ARG002 (the protocol's name)
        """Return no regions."""
        return Recognition([])


METHOD = Method(
    "null",
    "reads no text; fetches, decodes and writes pages, for measuring a job's overhead",
    build=NullEngine,
    typical_s=0.05,
    load_s=0.0,
    memory_mb=512,
)

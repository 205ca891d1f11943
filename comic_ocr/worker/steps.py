"""The methods of a job, one after another for pages that the one before reads badly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from comic_ocr.engines import Engine
from comic_ocr.errors import ComicOcrError, EngineMissingError
from comic_ocr.page import PageResult
from comic_ocr.worker.read import ReadPlan


class LoadedEngine(NamedTuple):
    """An engine that has loaded, and how it reads."""

    engine: Engine
    plan: ReadPlan


class Step:
    """One method of a cascade. Its engine is loaded at the first page that needs it."""

    def __init__(
        self, method: str, open_engine: Callable[[], LoadedEngine], *, concurrency: int = 1
    ) -> None:
        self.method = method
        self.concurrency = concurrency
        self._open = open_engine
        self._lock = Lock()
        self._loaded: LoadedEngine | None = None
        self._failure: ComicOcrError | None = None

    def load(self) -> LoadedEngine:
        """Return the engine; from any thread.

        Raises:
            UsageError: it cannot load here; each time again, without another try. Not retryable.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._loaded is None:
                try:
                    self._loaded = self._open()
                except ComicOcrError as error:
                    self._failure = error
                    raise
                except MemoryError:
                    raise
                except Exception as error:
                    # A broken installation can raise anything, and would at every page.
                    self._failure = EngineMissingError(
                        f'method "{self.method}" cannot be loaded: {type(error).__name__}: {error}',
                        hint="install its packages again, where the workers run",
                    )
                    raise self._failure from error
            return self._loaded


def needs_next_method(results: Sequence[PageResult], min_confidence: float) -> bool:
    """Return whether a page should be read by the next method, too.

    A page on which one method finds no text is given to the next; two of them are believed. An
    engine that gives no confidence is believed.

    Args:
        results: of the methods so far, in order; at least one.
        min_confidence: 0-1, of the page.
    """
    if not results[-1].full_text.strip():
        return sum(not result.full_text.strip() for result in results) == 1
    confidence = results[-1].confidence
    return confidence is not None and confidence < min_confidence

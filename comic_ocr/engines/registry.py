"""Methods by name, from installed packages."""

from __future__ import annotations

import difflib
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from comic_ocr.engines.base import Engine, EngineSetup, Method
from comic_ocr.errors import EngineMissingError, MethodUnknownError

ENTRY_POINT_GROUP = "comic_ocr.engines"


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def method_names() -> list[str]:
    """Return the names of all methods that installed packages offer, sorted."""
    return sorted(_entry_points())


@lru_cache(maxsize=64)
def find_method(name: str) -> Method:
    """Return the method of that name.

    Raises:
        MethodUnknownError: no installed package offers it. Not retryable.
        EngineMissingError: the plugin that offers it cannot be imported. Not retryable.
    """
    point = _entry_points().get(name)
    if point is None:
        close = difflib.get_close_matches(name, method_names(), n=1)
        raise MethodUnknownError(
            f'there is no method "{name}".',
            hint=(f"did you mean {close[0]}? " if close else "")
            + f"methods: {', '.join(method_names())}",
        )
    try:
        method = point.load()
    except Exception as error:  # a plugin may break in any way
        raise EngineMissingError(
            f'method "{name}" cannot be loaded from {point.value}: {error}',
            hint="reinstall the package that offers it",
        ) from error
    if not isinstance(method, Method):
        raise EngineMissingError(
            f'method "{name}": {point.value} is not a comic_ocr.engines.Method',
            hint="the entry point must name a Method instance",
        )
    return method


def list_methods() -> list[Method]:
    """Return every method, by name; one that cannot be loaded says so where others are missing."""
    return [_find_or_explain(name) for name in method_names()]


def _find_or_explain(name: str) -> Method:
    try:
        return find_method(name)
    except EngineMissingError as error:
        broken = error

    def refuse(_setup: EngineSetup) -> Engine:
        raise broken

    return Method(name, "cannot be loaded", build=refuse, missing=lambda _options: broken.message)

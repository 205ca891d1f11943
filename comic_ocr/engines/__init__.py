"""Engines: the code behind each method, found by the entry point group `comic_ocr.engines`."""

from comic_ocr.engines.base import (
    TUNING,
    ApiSetup,
    Engine,
    EngineSetup,
    Method,
    NoOptions,
    Recognition,
)
from comic_ocr.engines.registry import find_method, list_methods, method_names
from comic_ocr.engines.setup import (
    convert_options,
    pages_in_flight,
    prepare_method,
    resolve_languages,
    tuning_options,
)

__all__ = [
    "TUNING",
    "ApiSetup",
    "Engine",
    "EngineSetup",
    "Method",
    "NoOptions",
    "Recognition",
    "convert_options",
    "find_method",
    "list_methods",
    "method_names",
    "pages_in_flight",
    "prepare_method",
    "resolve_languages",
    "tuning_options",
]

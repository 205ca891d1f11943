"""Engines: the code behind each method, found by the entry point group `comic_ocr.engines`."""

from comic_ocr.engines.base import Engine, EngineSetup, Method, NoOptions, Recognition
from comic_ocr.engines.registry import find_method, list_methods, method_names
from comic_ocr.engines.setup import convert_options, prepare_method, resolve_languages

__all__ = [
    "Engine",
    "EngineSetup",
    "Method",
    "NoOptions",
    "Recognition",
    "convert_options",
    "find_method",
    "list_methods",
    "method_names",
    "prepare_method",
    "resolve_languages",
]

"""What a user can set on method `paddleocr`, and the languages of the weights that come with it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Runtime = Literal["auto", "openvino", "onnxruntime", "paddle"]

#: What PP-OCRv6 names, less Vietnamese: the weights' alphabet lacks most of its letters.
_CODES = (
    "zh zh-hant en ja af az bs ca cs cy da de es et eu fi fr ga gl hr hu id is it ku la lb lt lv "
    "mi ms mt nl no oc pl pt qu rm ro sk sl sq sr-latn sv sw tl tr uz"
)
LANGUAGES = frozenset(_CODES.split())


class PaddleOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of method `paddleocr`."""

    #: what runs the networks; auto takes OpenVINO where it is installed, else ONNX Runtime;
    #: paddle is the official package
    runtime: Runtime = "auto"
    #: the page's longer side is brought down to this many pixels to find text
    detection_px: int = 1280
    #: lines below this confidence are taken for noise and left out
    min_confidence: float = 0.5
    #: folder on the worker with a folder per model; empty for the weights in RapidOCR's wheel
    models: str = ""


def list_languages(options: PaddleOptions) -> frozenset[str]:
    """Return the codes that can be read; empty with other models, which may read any."""
    return frozenset() if options.models else LANGUAGES


def resolve_options(options: PaddleOptions) -> PaddleOptions:
    """Return the options with the whole path of `models`, for workers run in another folder."""
    if not options.models:
        return options
    folder = Path(options.models).expanduser().absolute()
    return msgspec.structs.replace(options, models=str(folder))

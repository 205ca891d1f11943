"""Method `paddleocr`: PP-OCRv6 detection and recognition with the weights in RapidOCR's wheel.

Nothing is downloaded. RapidOCR runs the networks on OpenVINO where it is installed, else on ONNX
Runtime; option `runtime=paddle` runs the same weights through the official package. The settings
differ from the packages' own in what comic pages need: no text-line rotation network, and
detection at up to 1,280 px on the longer side (docs/reference/methods/paddleocr.md).
"""

from __future__ import annotations

from comic_ocr.engines.base import Method
from comic_ocr.engines.paddleocr.engine import PaddleEngine
from comic_ocr.engines.paddleocr.options import (
    LANGUAGES,
    PaddleOptions,
    list_languages,
    resolve_options,
)
from comic_ocr.engines.paddleocr.runtime import find_missing

__all__ = ["LANGUAGES", "METHOD", "PaddleEngine", "PaddleOptions"]

METHOD = Method(
    "paddleocr",
    "PP-OCRv6, embedded: Chinese, Japanese, English and 45 more in Latin script",
    build=PaddleEngine,
    options=PaddleOptions,
    languages=list_languages,
    missing=find_missing,
    resolve=resolve_options,
    runs_on=("cpu", "gpu"),
    typical_s=1.1,
    load_s=3.0,
    memory_mb=2048,
)

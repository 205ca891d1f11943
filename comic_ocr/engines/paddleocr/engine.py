"""The engine: from a page to regions, whatever package runs the networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from comic_ocr.engines.base import EngineSetup, Recognition
from comic_ocr.engines.paddleocr.models import BUNDLED_NAME
from comic_ocr.engines.paddleocr.official import open_official
from comic_ocr.engines.paddleocr.options import PaddleOptions
from comic_ocr.engines.paddleocr.rapid import open_rapid
from comic_ocr.engines.paddleocr.reader import Pixels, Reader
from comic_ocr.engines.paddleocr.runtime import choose_runtime, decline_telemetry
from comic_ocr.geometry import Polygon, enclose_points, round_box
from comic_ocr.images import PageImage
from comic_ocr.page import Region

#: Scaled down further than this to find text, a page gets a warning.
_LEAST_SCALE = 0.5
#: RapidOCR cannot scale an image of which one side would fall below a pixel.
_MOST_ASPECT = 40


class PaddleEngine:
    """PP-OCR detection and recognition, by RapidOCR or the official package."""

    def __init__(self, setup: EngineSetup) -> None:
        if not isinstance(setup.options, PaddleOptions):
            raise TypeError(f"expected PaddleOptions, got {type(setup.options).__name__}")
        self._options = setup.options
        self._setup = setup
        self._reader: Reader
        self.version = ""
        self.model: str | None = self._options.models or BUNDLED_NAME

    def load(self) -> None:
        """Import the runtime, load both networks and run them once.

        Raises:
            EngineMissingError: the runtime is not installed here. Not retryable.
            OptionError: the models or the runtime do not fit this machine. Not retryable.
        """
        runtime = choose_runtime(self._options, gpu=self._setup.gpu)
        decline_telemetry()
        if runtime == "paddle":
            self._reader = open_official(self._options, self._setup)
        else:
            self._reader = open_rapid(runtime, self._options, self._setup)
        self.version, self.model = self._reader.version, self._reader.model

    def recognize(self, page: PageImage) -> Recognition:
        """Return one region per line of text, with its four corners."""
        lines = self._reader.read(pad_strip(np.ascontiguousarray(page.pixels[:, :, ::-1])))
        return Recognition([_make_region(*line) for line in lines], warnings=self._warn(page))

    def _warn(self, page: PageImage) -> tuple[str, ...]:
        scale = self._options.detection_px / max(page.width, page.height)
        if scale >= _LEAST_SCALE:
            return ()
        return (
            f"page of {page.width} x {page.height} px was brought down to {scale:.0%} to find "
            "text; small letters may be missed",
        )


def pad_strip(pixels: Pixels) -> Pixels:
    """Return the page, with white added below or right of a strip too thin to be scaled down."""
    height, width = pixels.shape[:2]
    least = max(height, width) // _MOST_ASPECT
    missing = ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0))
    if not any(after for _, after in missing):
        return pixels
    return np.pad(pixels, missing, constant_values=255)


def _make_region(text: str, score: float, corners: Any) -> Region:
    polygon: Polygon = tuple((round(float(x), 1), round(float(y), 1)) for x, y in corners)
    return Region(
        text=text,
        confidence=round(float(score), 4),
        bbox=round_box(enclose_points(polygon)),
        polygon=polygon,
    )

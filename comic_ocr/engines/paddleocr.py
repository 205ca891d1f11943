"""Method `paddleocr`: PP-OCRv6 detection and recognition with the weights in RapidOCR's wheel.

Nothing is downloaded. OpenVINO runs the networks where it is installed, else ONNX Runtime. The
settings differ from RapidOCR's own in what comic pages need: no text-line rotation network, and
detection at up to 1,280 px on the longer side (docs/reference/methods.md has the figures).
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from comic_ocr.engines.base import EngineSetup, Method, Recognition
from comic_ocr.errors import EngineMissingError
from comic_ocr.geometry import Polygon, enclose_points, round_box
from comic_ocr.images import PageImage
from comic_ocr.page import Region

#: Scaled down further than this to find text, a page gets a warning.
_LEAST_SCALE = 0.5
#: RapidOCR cannot scale an image of which one side would fall below a pixel.
_MOST_ASPECT = 40

Runtime = Literal["auto", "openvino", "onnxruntime"]

#: What PP-OCRv6 names, less Vietnamese: the weights' alphabet lacks most of its letters.
_CODES = (
    "zh zh-hant en ja af az bs ca cs cy da de es et eu fi fr ga gl hr hu id is it ku la lb lt lv "
    "mi ms mt nl no oc pl pt qu rm ro sk sl sq sr-latn sv sw tl tr uz"
)
LANGUAGES = frozenset(_CODES.split())


class PaddleOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of method `paddleocr`."""

    #: what runs the networks; auto takes OpenVINO where it is installed
    runtime: Runtime = "auto"
    #: the page's longer side is brought down to this many pixels to find text
    detection_px: int = 1280
    #: lines below this confidence are taken for noise and left out
    min_confidence: float = 0.5


class PaddleEngine:
    """PP-OCRv6 small, through RapidOCR."""

    model: str | None = "PP-OCRv6_small"

    def __init__(self, setup: EngineSetup) -> None:
        if not isinstance(setup.options, PaddleOptions):
            raise TypeError(f"expected PaddleOptions, got {type(setup.options).__name__}")
        self._options = setup.options
        self._threads = setup.threads
        self._reader: Any = None
        self.version = ""

    def load(self) -> None:
        """Import the runtime and compile both networks."""
        runtime = _choose_runtime(self._options.runtime)
        from rapidocr import EngineType, RapidOCR

        engine = EngineType(runtime)
        self._reader = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Global.text_score": self._options.min_confidence,
                "Det.engine_type": engine,
                "Det.limit_type": "max",
                "Det.limit_side_len": self._options.detection_px,
                "Rec.engine_type": engine,
                "EngineConfig.openvino.inference_num_threads": self._threads,
                # Pinned threads of two workers on one host land on the same core.
                "EngineConfig.openvino.enable_cpu_pinning": False,
                "EngineConfig.onnxruntime.intra_op_num_threads": self._threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        # RapidOCR loads a network at its first use: a blank line, then a blank page.
        blank = np.full((48, 320, 3), 255, dtype=np.uint8)
        self._reader(blank, use_det=False)
        self._reader(blank, use_det=True)
        self.version = f"rapidocr {version('rapidocr')}, {runtime} {version(runtime)}"

    def recognize(self, page: PageImage) -> Recognition:
        """Return one region per line of text, with its four corners."""
        found = self._reader(_pad_strip(np.ascontiguousarray(page.pixels[:, :, ::-1])))
        regions = []
        if found.txts is not None:
            lines = zip(found.txts, found.scores, found.boxes, strict=True)
            regions = [_make_region(*line) for line in lines]
        return Recognition(regions, warnings=self._warn(page))

    def _warn(self, page: PageImage) -> tuple[str, ...]:
        scale = self._options.detection_px / max(page.width, page.height)
        if scale >= _LEAST_SCALE:
            return ()
        return (
            f"page of {page.width} x {page.height} px was brought down to {scale:.0%} to find "
            "text; small letters may be missed",
        )


def _pad_strip(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
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


def _choose_runtime(asked: Runtime) -> str:
    wanted = ("openvino", "onnxruntime") if asked == "auto" else (asked,)
    for name in wanted:
        if find_spec(name) is not None:
            return name
    raise EngineMissingError(
        f'method "paddleocr" needs {" or ".join(wanted)}, which is not installed here.',
        hint=f"pip install {wanted[0]}",
    )


def _missing(options: PaddleOptions) -> str | None:
    if find_spec("rapidocr") is None:
        return "pip install rapidocr"
    try:
        _choose_runtime(options.runtime)
    except EngineMissingError as error:
        return error.hint
    return None


METHOD = Method(
    "paddleocr",
    "PP-OCRv6, embedded: Chinese, Japanese, English and 45 more in Latin script",
    build=PaddleEngine,
    options=PaddleOptions,
    languages=lambda _options: LANGUAGES,
    missing=_missing,
    typical_s=1.1,
    load_s=3.0,
    memory_mb=2048,
)

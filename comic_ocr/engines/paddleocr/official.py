"""The networks through the official package `paddleocr` 3.7, on ONNX Runtime or paddlepaddle.

The files of the models decide which: `inference.onnx` runs on ONNX Runtime, else Paddle's own
format on paddlepaddle. Nothing is downloaded.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from comic_ocr.engines.base import EngineSetup
from comic_ocr.engines.paddleocr.models import (
    BUNDLED_NAME,
    DETECTION,
    Models,
    find_models,
    lay_out_bundled,
)
from comic_ocr.engines.paddleocr.options import PaddleOptions
from comic_ocr.engines.paddleocr.reader import Line, Pixels, Reader
from comic_ocr.engines.paddleocr.runtime import (
    describe_onnxruntime,
    describe_version,
    require_onnx_gpu,
    require_paddle_gpu,
)
from comic_ocr.errors import EngineMissingError


def open_official(options: PaddleOptions, setup: EngineSetup) -> Reader:
    """Return a reader with both networks loaded.

    Raises:
        EngineMissingError: what runs these models is not installed. Not retryable.
        OptionError: the models do not fit, or there is no GPU. Not retryable.
    """
    if options.models:
        return _open(find_models(Path(options.models)), options, setup)
    # The networks are in memory once they are loaded: each worker has a layout of its own, for
    # as long as loading takes.
    with tempfile.TemporaryDirectory(prefix="comic_ocr_models_") as folder:
        lay_out_bundled(Path(folder))
        reader = _open(find_models(Path(folder)), options, setup)
    return reader._replace(model=BUNDLED_NAME)


def _open(models: Models, options: PaddleOptions, setup: EngineSetup) -> Reader:
    engine = "onnxruntime" if models.are_onnx else "paddle_static"
    _check_engine(engine, models, gpu=setup.gpu)
    pipeline = _build_pipeline(models, options, setup, engine)
    _warm_up(pipeline)
    runner = (
        describe_onnxruntime()
        if engine == "onnxruntime"
        else describe_version("paddlepaddle", "paddlepaddle-gpu")
    )
    return Reader(
        version=f"{describe_version('paddleocr')}, {runner}",
        model=models.name,
        read=lambda pixels: _read(pipeline, pixels),
    )


def _check_engine(engine: str, models: Models, *, gpu: bool) -> None:
    package = "onnxruntime" if engine == "onnxruntime" else "paddle"
    if find_spec(package) is None:
        raise EngineMissingError(
            f"the models in {models.detection.folder.parent} run on {package}, which is not "
            "installed here.",
            hint="pip install onnxruntime"
            if package == "onnxruntime"
            else "pip install paddlepaddle",
        )
    if gpu and engine == "onnxruntime":
        require_onnx_gpu(models.detection.onnx)
    elif gpu:
        require_paddle_gpu()


def _build_pipeline(models: Models, options: PaddleOptions, setup: EngineSetup, engine: str) -> Any:
    _prepare_import()
    from paddleocr import PaddleOCR

    for name in ("paddlex", "paddleocr", "ppocr"):
        logging.getLogger(name).setLevel(logging.ERROR)
    threads: dict[str, Any] = {"cpu_threads": setup.threads}
    if engine == "onnxruntime":
        threads = {
            "engine_config": {
                "intra_op_num_threads": setup.threads,
                "inter_op_num_threads": 1,
                # An arena keeps what the largest page so far has taken.
                "enable_cpu_mem_arena": False,
                "log_severity_level": 4,
            }
        }
    return PaddleOCR(
        engine=engine,
        device="gpu:0" if setup.gpu else "cpu",
        text_detection_model_name=models.detection.name,
        text_detection_model_dir=str(models.detection.folder),
        text_recognition_model_name=models.recognition.name,
        text_recognition_model_dir=str(models.recognition.folder),
        # Each of these three would load, and download, one more network.
        use_doc_orientation_classify=False,
        use_doc_unwarping=False,
        use_textline_orientation=False,
        text_det_limit_type="max",
        text_det_limit_side_len=options.detection_px,
        text_det_thresh=DETECTION["thresh"],
        text_det_box_thresh=DETECTION["box_thresh"],
        text_det_unclip_ratio=DETECTION["unclip_ratio"],
        text_rec_score_thresh=options.min_confidence,
        **threads,
    )


def _prepare_import() -> None:
    """Set what paddlex reads from the environment while it is imported."""
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
    os.environ["PADDLE_PDX_DISABLE_DEVICE_FALLBACK"] = "True"
    # It makes folders under the home directory, which functions in a cloud may not write to.
    if "PADDLE_PDX_CACHE_HOME" not in os.environ and not os.access(Path.home(), os.W_OK):
        os.environ["PADDLE_PDX_CACHE_HOME"] = tempfile.mkdtemp(prefix="paddlex_")


def _warm_up(pipeline: Any) -> None:
    """Read a drawn word: recognition runs only where there is text."""
    import cv2

    page = np.full((96, 320, 3), 255, dtype=np.uint8)
    cv2.putText(page, "WORD", (60, 64), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3)
    pipeline.predict(page)


def _read(pipeline: Any, pixels: Pixels) -> Iterable[Line]:
    (found,) = pipeline.predict(pixels)
    lines = zip(found["rec_texts"], found["rec_scores"], found["rec_polys"], strict=True)
    return ((text, score, corners) for text, score, corners in lines if text)

"""The networks through RapidOCR, on OpenVINO or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from comic_ocr.engines.base import EngineSetup
from comic_ocr.engines.paddleocr.models import (
    BUNDLED_NAME,
    DETECTION,
    Models,
    find_bundled,
    find_models,
    list_alphabet,
    read_normalization,
)
from comic_ocr.engines.paddleocr.options import PaddleOptions
from comic_ocr.engines.paddleocr.reader import Line, Pixels, Reader
from comic_ocr.engines.paddleocr.runtime import (
    describe_onnxruntime,
    describe_version,
    require_onnx_gpu,
)
from comic_ocr.errors import OptionError


def open_rapid(runtime: str, options: PaddleOptions, setup: EngineSetup) -> Reader:
    """Return a reader with both networks compiled.

    Raises:
        OptionError: the models do not fit RapidOCR, or there is no GPU. Not retryable.
    """
    models = find_models(Path(options.models)) if options.models else None
    if models and not models.are_onnx:
        raise OptionError(
            f"models: {options.models} is in Paddle's own format, which {runtime} does not read.",
            hint="--option runtime=paddle, with paddlepaddle installed",
        )
    if setup.gpu:
        require_onnx_gpu(models.detection.onnx if models else find_bundled()[0])
    params = _list_params(runtime, options, setup)
    if models is None:
        reader = _compile(params)
    else:
        # RapidOCR reads the alphabet while it compiles, one character a line.
        with NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as alphabet:
            alphabet.write("\n".join(list_alphabet(models.recognition)))
            alphabet.flush()
            reader = _compile(params | _list_model_params(models, alphabet.name))
    engine = describe_onnxruntime() if runtime == "onnxruntime" else describe_version(runtime)
    return Reader(
        version=f"{describe_version('rapidocr')}, {engine}",
        model=models.name if models else BUNDLED_NAME,
        read=lambda pixels: _read(reader, pixels),
    )


def _list_params(runtime: str, options: PaddleOptions, setup: EngineSetup) -> dict[str, Any]:
    from rapidocr import EngineType

    engine = EngineType(runtime)
    return {
        "Global.log_level": "error",
        "Global.use_cls": False,
        "Global.text_score": options.min_confidence,
        "Det.engine_type": engine,
        "Det.limit_type": "max",
        "Det.limit_side_len": options.detection_px,
        **{f"Det.{name}": value for name, value in DETECTION.items()},
        "Rec.engine_type": engine,
        "EngineConfig.openvino.inference_num_threads": setup.threads,
        # Pinned threads of two workers on one host land on the same core.
        "EngineConfig.openvino.enable_cpu_pinning": False,
        "EngineConfig.onnxruntime.intra_op_num_threads": setup.threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "EngineConfig.onnxruntime.use_cuda": setup.gpu,
    }


def _list_model_params(models: Models, alphabet: str) -> dict[str, Any]:
    params: dict[str, Any] = {
        "Det.model_path": str(models.detection.onnx),
        "Rec.model_path": str(models.recognition.onnx),
        "Rec.rec_keys_path": alphabet,
    }
    colours = read_normalization(models.detection)
    if colours:
        params["Det.mean"], params["Det.std"] = colours
    return params


def _compile(params: dict[str, Any]) -> Any:
    from rapidocr import RapidOCR

    reader = RapidOCR(params=params)
    # RapidOCR loads a network at its first use: a blank line, then a blank page.
    blank = np.full((48, 320, 3), 255, dtype=np.uint8)
    reader(blank, use_det=False)
    reader(blank, use_det=True)
    return reader


def _read(reader: Any, pixels: Pixels) -> Iterable[Line]:
    found = reader(pixels)
    return () if found.txts is None else zip(found.txts, found.scores, found.boxes, strict=True)

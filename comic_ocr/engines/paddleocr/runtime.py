"""Which package runs the networks, whether it is installed, and whether it has a GPU."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from comic_ocr.engines.paddleocr.options import PaddleOptions
from comic_ocr.errors import EngineMissingError, OptionError

_CUDA = "CUDAExecutionProvider"


def choose_runtime(options: PaddleOptions, *, gpu: bool = False) -> str:
    """Return `openvino`, `onnxruntime` or `paddle`.

    Raises:
        EngineMissingError: it is not installed here. Not retryable.
        OptionError: it does not run on a GPU. Not retryable.
    """
    if gpu and options.runtime == "openvino":
        raise OptionError(
            "runtime openvino reads on the CPU only.",
            hint="--option runtime=onnxruntime with onnxruntime-gpu, or leave out --gpu",
        )
    remedy = find_missing(options, gpu=gpu)
    if remedy:
        raise EngineMissingError(
            f'method "paddleocr" with runtime "{options.runtime}" is not installed here.',
            hint=remedy,
        )
    return next(name for name in _list_wanted(options, gpu=gpu) if find_spec(_package_of(name)))


def find_missing(options: PaddleOptions, *, gpu: bool = False) -> str | None:
    """Return what to install before these options can run here, None when nothing is missing."""
    if find_spec("rapidocr") is None:
        return "pip install rapidocr"
    wanted = _list_wanted(options, gpu=gpu)
    if not any(find_spec(_package_of(name)) for name in wanted):
        return (
            'pip install "comic-ocr[paddle]"' if "paddle" in wanted else f"pip install {wanted[0]}"
        )
    if options.runtime != "paddle":
        return None
    # The weights of RapidOCR's wheel are ONNX; a model of the user's own may be Paddle's.
    runners = ("onnxruntime", "paddle") if options.models else ("onnxruntime",)
    return None if any(map(find_spec, runners)) else f"pip install {runners[0]}"


def _list_wanted(options: PaddleOptions, *, gpu: bool) -> tuple[str, ...]:
    if options.runtime != "auto":
        return (options.runtime,)
    return ("onnxruntime",) if gpu else ("openvino", "onnxruntime")


def _package_of(runtime: str) -> str:
    return "paddleocr" if runtime == "paddle" else runtime


def describe_version(package: str, *others: str) -> str:
    """Return name and version of a package, or of the variant that is installed instead."""
    for name in (package, *others):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return package


def describe_onnxruntime() -> str:
    """Return the installed variant of ONNX Runtime and its version."""
    return describe_version("onnxruntime", "onnxruntime-gpu")


def decline_telemetry() -> None:
    """Keep ONNX Runtime from reporting to its maker, unless the user has set it otherwise.

    Its wheels do so on Linux too since 2026, and leave a device id under the home directory. The
    variable is read once, when the package is first imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def require_onnx_gpu(network: Path) -> None:
    """Check that ONNX Runtime runs this network on a GPU here.

    A build with CUDA takes the CPU without a word where the driver or its libraries are missing,
    so the network is loaded, and the session asked.

    Raises:
        OptionError: it does not. Not retryable.
    """
    import onnxruntime

    if _CUDA in onnxruntime.get_available_providers():
        session = onnxruntime.InferenceSession(network, providers=[_CUDA])
        if session.get_providers()[:1] == [_CUDA]:
            return
    raise OptionError(
        "ONNX Runtime finds no GPU that it can use on this worker.",
        hint="it needs an NVIDIA GPU with its driver, CUDA and cuDNN, and onnxruntime-gpu instead "
        "of onnxruntime; or leave out --gpu",
    )


def require_paddle_gpu() -> None:
    """Check that paddlepaddle runs on a GPU here.

    Raises:
        OptionError: it does not. Not retryable.
    """
    device = import_module("paddle").device
    if device.is_compiled_with_cuda() and device.cuda.device_count() > 0:
        return
    raise OptionError(
        "paddlepaddle finds no GPU that it can use on this worker.",
        hint="it needs an NVIDIA GPU with its driver, and paddlepaddle-gpu instead of "
        "paddlepaddle; or leave out --gpu",
    )

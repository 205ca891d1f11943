"""Folders of models, in the layout of PaddleOCR 3: `inference.yml` beside the network's files.

`PostProcess.name` in `inference.yml` says what a network is for, `Global.model_name` its name.
The network is `inference.onnx`, or Paddle's own `inference.json` (once `inference.pdmodel`) with
`inference.pdiparams`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from comic_ocr.errors import EngineMissingError, OptionError

CONFIG_NAME, ONNX_NAME = "inference.yml", "inference.onnx"
BUNDLED_NAME = "PP-OCRv6_small"
#: how a map of text becomes boxes, for every runtime: RapidOCR's own values
DETECTION = {"thresh": 0.3, "box_thresh": 0.5, "unclip_ratio": 1.6}

_DETECTS, _RECOGNIZES = "DBPostProcess", "CTCLabelDecode"
#: libyaml reads an alphabet of 18,708 letters eight times as fast
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Model(NamedTuple):
    """One network on disk."""

    name: str
    folder: Path
    #: of inference.yml
    config: Mapping[str, Any]

    @property
    def onnx(self) -> Path:
        """Return where the network is, or would be, in ONNX."""
        return self.folder / ONNX_NAME

    @property
    def is_paddle(self) -> bool:
        """Return whether the network is there in Paddle's own format."""
        graphs = ("inference.json", "inference.pdmodel")
        has_graph = any((self.folder / name).exists() for name in graphs)
        return has_graph and (self.folder / "inference.pdiparams").exists()


class Models(NamedTuple):
    """The two networks that read a page."""

    detection: Model
    recognition: Model

    @property
    def name(self) -> str:
        """Return both names, for the page JSON."""
        return f"{self.detection.name} + {self.recognition.name}"

    @property
    def are_onnx(self) -> bool:
        """Return whether both are there in ONNX."""
        return all(model.onnx.exists() for model in self)

    @property
    def are_paddle(self) -> bool:
        """Return whether both are there in Paddle's own format."""
        return all(model.is_paddle for model in self)


def find_models(folder: Path) -> Models:
    """Return the detection and the recognition model among the folders in `folder`.

    Raises:
        OptionError: there is not just one of each, or not in one format. Not retryable.
    """
    if not folder.is_dir():
        raise OptionError(
            f"models: there is no folder {folder} on this machine.",
            hint="workers must see it under this path: put it into their image or a shared disk",
        )
    found = [_read_model(config) for config in sorted(folder.glob(f"*/{CONFIG_NAME}"))]
    models = Models(_pick(found, _DETECTS, folder), _pick(found, _RECOGNIZES, folder))
    if not (models.are_onnx or models.are_paddle):
        raise OptionError(
            f"models: {folder} does not hold both networks in one format.",
            hint=f"each folder needs {ONNX_NAME}, or inference.json and inference.pdiparams",
        )
    return models


def _read_model(path: Path) -> Model:
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a safe loader)
        name = config["Global"]["model_name"]
        config["PostProcess"]["name"]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise OptionError(
            f"models: {path} does not describe a model: {type(error).__name__}: {error}",
            hint="it needs Global.model_name, PreProcess and PostProcess.name, "
            "as PaddleOCR's own downloads have them",
        ) from error
    return Model(str(name), path.parent, config)


def _pick(found: list[Model], post_process: str, folder: Path) -> Model:
    fitting = [model for model in found if model.config["PostProcess"]["name"] == post_process]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(model.folder.name for model in fitting) or "none"
    raise OptionError(
        f"models: {folder} must hold one model with PostProcess {post_process}, found {names}.",
        hint="put one detection and one recognition model there, each in a folder of its own "
        f"with {CONFIG_NAME}",
    )


def list_alphabet(model: Model) -> list[str]:
    """Return the characters of a recognition model, in the order of its output."""
    return [str(letter) for letter in model.config["PostProcess"].get("character_dict") or ()]


def read_normalization(model: Model) -> tuple[list[float], list[float]] | None:
    """Return mean and deviation of the colours that a detection model was trained with."""
    for step in model.config.get("PreProcess", {}).get("transform_ops", ()):
        facts = step.get("NormalizeImage")
        if facts:
            return list(facts["mean"]), list(facts["std"])
    return None


def find_bundled() -> tuple[Path, Path]:
    """Return the ONNX files of detection and recognition in RapidOCR's wheel.

    Raises:
        EngineMissingError: this RapidOCR does not bring them. Not retryable.
    """
    spec = find_spec("rapidocr")
    home = Path(spec.origin).parent / "models" if spec and spec.origin else Path()
    files = home / "PP-OCRv6_det_small.onnx", home / "PP-OCRv6_rec_small.onnx"
    if all(file.exists() for file in files):
        return files
    raise EngineMissingError(
        f"RapidOCR's package has no {BUNDLED_NAME} weights in {home}.",
        hint='pip install "rapidocr>=3.10,<4", or set the option models',
    )


def lay_out_bundled(folder: Path) -> None:
    """Give RapidOCR's weights the layout of PaddleOCR 3, as links in `folder`.

    The settings are those of RapidOCR, so that both packages read alike; the alphabet stands in
    the network's own metadata, key `character`.
    """
    detection, recognition = find_bundled()
    image = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
    colours = {"mean": [0.5] * 3, "std": [0.5] * 3, "scale": 1 / 255, "order": "hwc"}
    _write_model(
        folder / f"{BUNDLED_NAME}_det",
        detection,
        [image, {"DetResizeForTest": None}, {"NormalizeImage": colours}, {"ToCHWImage": None}],
        {"name": _DETECTS, **DETECTION, "max_candidates": 1000, "use_dilation": True},
    )
    _write_model(
        folder / f"{BUNDLED_NAME}_rec",
        recognition,
        [image, {"RecResizeImg": {"image_shape": [3, 48, 320]}}],
        {"name": _RECOGNIZES, "character_dict": _read_alphabet(recognition)},
    )


def _write_model(
    folder: Path, network: Path, steps: list[dict[str, Any]], post_process: dict[str, Any]
) -> None:
    folder.mkdir()
    (folder / ONNX_NAME).symlink_to(network)
    config = {
        "Global": {"model_name": folder.name},
        "PreProcess": {"transform_ops": [*steps, {"KeepKeys": None}]},
        "PostProcess": post_process,
    }
    # JSON is YAML, and written faster
    text = json.dumps(config, ensure_ascii=False)
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def _read_alphabet(network: Path) -> list[str]:
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    letters: str = session.get_modelmeta().custom_metadata_map["character"]
    return letters.splitlines()

"""EasyOCR as it can be run without its weights: they cannot be fetched where tests run.

The made weights have EasyOCR's file format and its networks' sizes. Their detector fires on ink;
their recogniser is random, so that nothing that it reads means anything.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DETECTOR, RECOGNISER = "craft", "english_g2"
#: green as the detector gets it: (g - _MEAN) / _SPREAD, g from 0 to 1
_MEAN, _SPREAD = 0.456, 0.224
#: darkness from which a pixel is ink, and from which it is the black that fills up the canvas
_INK, _BLACK = 0.6, 0.97
#: of the recogniser's last layer, so that one letter is far likelier than the others
_GAIN = 20_000.0


class MadeWeights(NamedTuple):
    folder: Path
    #: MD5 sums of the detector's and of the recogniser's file
    sums: tuple[str, str]


@pytest.fixture(scope="session")
def torchvision_operators() -> Iterator[None]:
    """Let torchvision import where its compiled part does not fit torch.

    PyPI's torchvision and torch's own CPU wheel are such a pair. EasyOCR uses none of the
    operators: that they are defined is enough, for as long as the library object lives.
    """
    import torch

    (compiled,) = Path(find_spec("torchvision").origin).parent.glob("_C*.so")
    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        torch.ops.load_library(str(compiled))
    except OSError:
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield
    del library


@pytest.fixture(scope="session")
def import_s(torchvision_operators: None) -> float:
    """Import EasyOCR and return the seconds that it took, those of torch not counted."""
    started = time.perf_counter()
    import easyocr  # noqa: F401

    return time.perf_counter() - started


@pytest.fixture(scope="session")
def made_files(import_s: float, tmp_path_factory: pytest.TempPathFactory) -> MadeWeights:
    """Return weights in files as EasyOCR names them."""
    import torch
    from easyocr import config

    folder = tmp_path_factory.mktemp("easyocr") / "model"
    folder.mkdir()
    detector = folder / config.detection_models[DETECTOR]["filename"]
    torch.save(make_detector(), detector)
    recogniser = folder / config.recognition_models["gen2"][RECOGNISER]["filename"]
    torch.save(make_recogniser(), recogniser)
    sums = tuple(hashlib.md5(path.read_bytes()).hexdigest() for path in (detector, recogniser))
    return MadeWeights(folder, sums)


@pytest.fixture(scope="class")
def made_weights(made_files: MadeWeights) -> Iterator[Path]:
    """Yield the folder of made weights, while EasyOCR takes them for its own and looks there."""
    from easyocr import config

    facts = (config.detection_models[DETECTOR], config.recognition_models["gen2"][RECOGNISER])
    with pytest.MonkeyPatch.context() as patch:
        for fact, md5sum in zip(facts, made_files.sums, strict=True):
            patch.setitem(fact, "md5sum", md5sum)
        patch.setenv("EASYOCR_MODULE_PATH", str(made_files.folder.parent))
        yield made_files.folder


def make_detector() -> dict[str, Any]:
    """Return CRAFT's weights, all zero but for a way from dark pixels to the map of text.

    Along it, ink is spread by 8 px to both sides, which joins the letters of a word.
    """
    import torch
    from easyocr.craft import CRAFT

    weights = {name: torch.zeros_like(values) for name, values in CRAFT().state_dict().items()}
    for name in [name for name in weights if name.endswith("running_var")]:
        weights[name] += 1
        weights[name.replace("running_var", "weight")] += 1

    def lead(layer: str, source: int, target: int, factor: float, *, spread: bool = False) -> None:
        kernel = weights[f"{layer}.weight"][target, source]
        middle = kernel.shape[0] // 2
        kernel[middle, slice(None) if spread else middle] = factor

    for target, least in enumerate((_INK, _BLACK)):
        lead("basenet.slice1.0", 1, target, -_SPREAD)
        weights["basenet.slice1.0.bias"][target] = 1 - _MEAN - least
    lead("basenet.slice1.3", 0, 0, 1)
    lead("basenet.slice1.3", 1, 0, -40)
    for layer in ("basenet.slice1.7", "basenet.slice1.10", "conv_cls.4", "conv_cls.6"):
        lead(layer, 0, 0, 1)
    lead("upconv4.conv.0", 64, 0, 1)
    for layer in ("upconv4.conv.3", "conv_cls.0", "conv_cls.2"):
        lead(layer, 0, 0, 1, spread=True)
    lead("conv_cls.8", 0, 0, 4)
    return weights


def make_recogniser() -> dict[str, Any]:
    """Return random weights of the English recogniser, always the same."""
    import torch
    from easyocr import config
    from easyocr.model.vgg_model import Model

    letters = config.recognition_models["gen2"][RECOGNISER]["characters"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Model(
            input_channel=1, output_channel=256, hidden_size=256, num_class=len(letters) + 1
        )
    weights = model.state_dict()
    weights["Prediction.weight"] *= _GAIN
    # EasyOCR's files come from training on several GPUs, which puts this before each name.
    return {f"module.{name}": values for name, values in weights.items()}

"""What the paddleocr engine does around the networks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from comic_ocr.engines import Engine, EngineSetup, convert_options, find_method, resolve_languages
from comic_ocr.engines.paddleocr import LANGUAGES, PaddleOptions, runtime
from comic_ocr.engines.paddleocr.engine import pad_strip
from comic_ocr.engines.paddleocr.models import find_models, lay_out_bundled
from comic_ocr.errors import EngineMissingError, OptionError
from comic_ocr.images import PageImage, decode_image
from comic_ocr.testing.comic import draw_comic
from comic_ocr.testing.contracts import make_page

METHOD = find_method("paddleocr")
RAPID_RUNTIMES = ("openvino", "onnxruntime")
#: number of the field `metadata_props` in ONNX's ModelProto
_METADATA_FIELD = 14


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a folder of models as a user would have it."""
    folder = tmp_path / "models"
    folder.mkdir()
    lay_out_bundled(folder)
    return folder


@pytest.fixture
def page(tmp_path: Path) -> PageImage:
    drawn = draw_comic(tmp_path / "pages", pages=1)[0]
    return decode_image(drawn.image.read_bytes(), page_id="p")


def load(gpu: bool = False, **options: object) -> Engine:
    engine = METHOD.build(EngineSetup(PaddleOptions(**options), ("en",), 1, gpu=gpu))
    engine.load()
    return engine


def read_lines(engine: Engine, page: PageImage) -> list[str]:
    return [region.text for region in engine.recognize(page).regions]


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "inference.yml"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    # YAML knows no surrogate pairs, which JSON's escapes may be
    path.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")


@pytest.mark.parametrize(
    ("shape", "padded"),
    [
        ((1400, 992, 3), (1400, 992, 3)),
        ((2, 3000, 3), (75, 3000, 3)),
        ((3000, 2, 3), (3000, 75, 3)),
        ((1, 1, 3), (1, 1, 3)),
    ],
)
def test_a_strip_is_made_thick_enough_with_white(shape, padded):
    result = pad_strip(np.zeros(shape, dtype=np.uint8))
    assert result.shape == padded
    assert (result[: shape[0], : shape[1]] == 0).all()
    assert result.sum() == 255 * (result.size - np.prod(shape))


def test_a_page_that_is_shrunk_a_lot_says_so_in_its_warnings():
    engine = load()
    (warning,) = engine.recognize(make_page(100, 2600)).warnings
    assert "100 x 2600 px" in warning
    assert engine.recognize(make_page(992, 1400)).warnings == ()


def test_options_of_another_method_are_a_fault_of_the_program():
    with pytest.raises(TypeError, match="PaddleOptions"):
        METHOD.build(EngineSetup())


def test_a_runtime_that_does_not_exist_is_refused():
    with pytest.raises(OptionError, match="runtime"):
        convert_options(METHOD, {"runtime": "tensorflow"})


@pytest.mark.parametrize(
    ("asked", "installed", "chosen"),
    [
        ("auto", {"openvino", "onnxruntime"}, "openvino"),
        ("auto", {"onnxruntime"}, "onnxruntime"),
        ("onnxruntime", {"openvino", "onnxruntime"}, "onnxruntime"),
        ("paddle", {"openvino", "onnxruntime", "paddleocr"}, "paddle"),
    ],
)
def test_the_runtime_is_the_one_asked_for_or_the_fastest_installed(
    asked, installed, chosen, monkeypatch
):
    pretend_installed(monkeypatch, installed)
    assert runtime.choose_runtime(PaddleOptions(runtime=asked)) == chosen


def test_auto_on_a_gpu_leaves_openvino_aside(monkeypatch):
    pretend_installed(monkeypatch, {"openvino", "onnxruntime"})
    assert runtime.choose_runtime(PaddleOptions(), gpu=True) == "onnxruntime"


@pytest.mark.parametrize(
    ("options", "installed", "remedy"),
    [
        ({}, set(), "pip install openvino"),
        ({"runtime": "onnxruntime"}, {"openvino"}, "pip install onnxruntime"),
        ({"runtime": "paddle"}, {"onnxruntime"}, 'pip install "comic-ocr[paddle]"'),
        ({"runtime": "paddle"}, {"paddleocr", "paddle"}, "pip install onnxruntime"),
        ({"runtime": "paddle", "models": "m"}, {"paddleocr"}, "pip install onnxruntime"),
        ({"runtime": "paddle", "models": "m"}, {"paddleocr", "paddle"}, None),
        ({"runtime": "paddle"}, {"paddleocr", "onnxruntime"}, None),
    ],
)
def test_what_is_missing_is_said_with_what_to_install(options, installed, remedy, monkeypatch):
    pretend_installed(monkeypatch, installed)
    assert METHOD.missing(PaddleOptions(**options)) == remedy
    if remedy:
        with pytest.raises(EngineMissingError) as raised:
            load(**options)
        assert raised.value.hint == remedy


def pretend_installed(monkeypatch: pytest.MonkeyPatch, names: set[str]) -> None:
    there = names | {"rapidocr"}
    monkeypatch.setattr(runtime, "find_spec", lambda name: name if name in there else None)


def test_openvino_on_a_gpu_is_refused_with_a_way_out():
    with pytest.raises(OptionError, match="CPU only") as raised:
        load(runtime="openvino", gpu=True)
    assert "onnxruntime-gpu" in raised.value.hint


@pytest.mark.parametrize("asked", ["auto", "onnxruntime"])
def test_a_gpu_that_is_not_there_is_no_reason_to_read_on_the_cpu(asked):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime may have a GPU")
    with pytest.raises(OptionError, match="no GPU") as raised:
        load(runtime=asked, gpu=True)
    assert "--gpu" in raised.value.hint


@pytest.mark.parametrize("asked", RAPID_RUNTIMES)
def test_models_of_the_users_own_are_read_and_named(asked, models, page):
    for folder, name in (("PP-OCRv6_small_det", "finder"), ("PP-OCRv6_small_rec", "reader")):
        (models / folder).rename(models / f"any {name}")
        edit_config(models / f"any {name}", Global={"model_name": name})
    engine = load(runtime=asked, models=str(models))
    assert engine.model == "finder + reader"
    assert load(runtime=asked).model == "PP-OCRv6_small"
    assert read_lines(engine, page) == read_lines(load(runtime=asked), page)


@pytest.mark.parametrize("asked", RAPID_RUNTIMES)
def test_the_alphabet_is_that_of_inference_yml_where_the_network_has_none(asked, models, page):
    network = models / "PP-OCRv6_small_rec" / "inference.onnx"
    whole = network.read_bytes()
    network.unlink()
    network.write_bytes(b"".join(fields_without_metadata(whole)))
    assert network.stat().st_size < len(whole)
    lines = read_lines(load(runtime=asked, models=str(models)), page)
    assert lines == read_lines(load(runtime=asked), page)


def fields_without_metadata(model: bytes) -> Iterator[bytes]:
    """Yield the fields of an ONNX file (protobuf wire format) that are not metadata."""
    at = 0
    while at < len(model):
        key, value_at = read_varint(model, at)
        value, end = read_varint(model, value_at)
        assert key & 7 in (0, 2), "ONNX has only numbers and messages at the top"
        end += value if key & 7 == 2 else 0
        if key >> 3 != _METADATA_FIELD:
            yield model[at:end]
        at = end


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return number, at


def test_the_colours_of_inference_yml_are_those_that_detection_gets(models, page):
    path = models / "PP-OCRv6_small_det" / "inference.yml"
    steps = json.loads(path.read_text())["PreProcess"]["transform_ops"]
    (colours,) = (step["NormalizeImage"] for step in steps if "NormalizeImage" in step)
    # everything becomes the same grey
    colours["std"] = [1e6] * 3
    edit_config(path.parent, PreProcess={"transform_ops": steps})
    assert read_lines(load(runtime="onnxruntime", models=str(models)), page) == []


def test_the_weights_of_the_wheel_are_laid_out_as_paddleocr_wants_them(models):
    found = find_models(models)
    assert found.name == "PP-OCRv6_small_det + PP-OCRv6_small_rec"
    assert found.are_onnx
    assert not found.are_paddle
    letters = found.recognition.config["PostProcess"]["character_dict"]
    assert len(letters) == 18708
    assert {"A", "é", "ん", "猫"} <= set(letters)


def test_models_of_the_users_own_may_read_any_language():
    assert resolve_languages(METHOD, PaddleOptions(models="m"), "ko") == ("ko",)
    assert METHOD.languages(PaddleOptions()) == LANGUAGES


def test_workers_get_the_whole_path_of_the_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    given = ("models", "/opt/models", "~/models", "")
    resolved = [METHOD.resolve(PaddleOptions(models=models)).models for models in given]
    assert resolved == [str(tmp_path / "models"), "/opt/models", "/home/somebody/models", ""]


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(OptionError, match=r"no folder .*nowhere") as raised:
        load(models="/nowhere")
    assert "workers" in raised.value.hint


def test_a_folder_with_one_model_only_is_refused(models):
    (models / "PP-OCRv6_small_rec" / "inference.yml").unlink()
    with pytest.raises(OptionError, match="CTCLabelDecode, found none"):
        find_models(models)


def test_a_folder_with_two_models_for_the_same_is_refused(models):
    edit_config(models / "PP-OCRv6_small_rec", PostProcess={"name": "DBPostProcess"})
    with pytest.raises(OptionError, match="PP-OCRv6_small_det, PP-OCRv6_small_rec"):
        find_models(models)


@pytest.mark.parametrize("text", ["", "Global: [", "Global: {model_name: x}", "- a", "\0"])
def test_an_inference_yml_that_describes_no_model_is_refused(text, models):
    (models / "PP-OCRv6_small_det" / "inference.yml").write_text(text)
    with pytest.raises(OptionError, match="PP-OCRv6_small_det"):
        find_models(models)


def test_networks_in_two_formats_are_refused(models):
    make_paddle_format(models / "PP-OCRv6_small_det")
    with pytest.raises(OptionError, match="one format"):
        find_models(models)


def test_paddles_own_format_is_refused_by_rapidocr_with_a_way_out(models):
    for folder in models.iterdir():
        make_paddle_format(folder)
    assert find_models(models).are_paddle
    with pytest.raises(OptionError, match="Paddle's own format") as raised:
        load(runtime="onnxruntime", models=str(models))
    assert "runtime=paddle" in raised.value.hint


def make_paddle_format(folder: Path) -> None:
    (folder / "inference.onnx").unlink()
    for name in ("inference.json", "inference.pdiparams"):
        (folder / name).write_bytes(b"")

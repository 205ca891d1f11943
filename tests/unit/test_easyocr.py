"""What method easyocr decides before and after EasyOCR itself, which need not be installed here."""

import fcntl
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest

from comic_ocr.engines import EngineSetup, convert_options, easyocr, find_method, resolve_languages
from comic_ocr.engines.easyocr import (
    LANGUAGES,
    EasyOptions,
    _pad_strip,
    clip_spans,
    find_weights,
    is_on_page,
    name_languages,
)
from comic_ocr.engines.languages import parse_languages
from comic_ocr.errors import LanguageError, OptionError

METHOD = find_method("easyocr")


@pytest.fixture
def installed(monkeypatch):
    """Let the packages be there, as far as a look at the installed names goes."""
    monkeypatch.setattr(easyocr, "find_spec", lambda _name: object())


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("en", ["en"]),
        ("eng,fra", ["en", "fr"]),
        ("ja+en", ["ja", "en"]),
        ("zh", ["ch_sim"]),
        ("ch_tra,en", ["ch_tra", "en"]),
        ("sr-latn,de", ["rs_latin", "de"]),
        ("rs_cyrillic,ru", ["rs_cyrillic", "ru"]),
        ("tjk,en", ["tjk", "en"]),
        ("hi,mr,ne", ["hi", "mr", "ne"]),
    ],
)
def test_a_language_becomes_easyocrs_name_of_it(asked, names):
    codes = resolve_languages(METHOD, EasyOptions(), asked)
    assert name_languages(codes) == names


@pytest.mark.parametrize("asked", ["ja,zh", "ko,fr,en", "ru,de", "zh,zh-hant", "ar,hi", "bn,en,th"])
def test_languages_of_two_recognisers_are_refused_before_torch_is_imported(asked):
    codes = parse_languages(asked)
    with pytest.raises(LanguageError, match=r"cannot read .* together") as raised:
        METHOD.build(EngineSetup(EasyOptions(), codes))
    assert codes[0] in raised.value.hint


def test_english_goes_with_every_language():
    for code in LANGUAGES:
        assert len(name_languages(sorted({code, "en"}))) == len({code, "en"})


def test_a_language_that_easyocr_has_no_recogniser_for_is_refused():
    with pytest.raises(LanguageError, match="cannot read el"):
        resolve_languages(METHOD, EasyOptions(), "el")


def test_english_is_read_where_no_language_is_named():
    assert resolve_languages(METHOD, EasyOptions(), None) == ("en",)


def test_options_given_as_text_become_what_they_are():
    given = {"weights": "/w", "download": "true", "detection_px": "960", "min_confidence": "0.3"}
    assert convert_options(METHOD, given) == EasyOptions("/w", True, 960, 0.3)


@pytest.mark.parametrize(
    "given", [{"detection_px": "0"}, {"min_confidence": "30"}, {"download": "perhaps"}]
)
def test_a_value_out_of_range_is_refused(given):
    with pytest.raises(OptionError):
        convert_options(METHOD, given)


def test_where_weights_come_from_is_no_part_of_what_a_result_means():
    kinds = {field.name: field.type for field in msgspec.structs.fields(EasyOptions)}
    tuning = {name for name, kind in kinds.items() if easyocr.TUNING in kind.__metadata__}
    assert tuning == {"weights", "download"}


def test_options_of_another_method_are_a_fault_of_the_program():
    with pytest.raises(TypeError, match="EasyOptions"):
        METHOD.build(EngineSetup())


@pytest.mark.skipif(find_spec("easyocr") is not None, reason="EasyOCR is installed here")
def test_missing_packages_are_named_before_missing_weights(tmp_path):
    assert METHOD.missing(EasyOptions(weights=str(tmp_path))) == 'pip install "comic-ocr[easyocr]"'


def test_a_folder_without_the_detector_lacks_weights(installed, tmp_path):
    (tmp_path / "english_g2.pth").touch()
    hint = METHOD.missing(EasyOptions(weights=str(tmp_path)))
    assert f"no weights (craft_mlt_25k.pth) in {tmp_path}." in hint
    assert "--option weights=FOLDER" in hint
    assert "--option download=true" in hint


def test_a_folder_with_the_detector_is_ready(installed, tmp_path):
    (tmp_path / "craft_mlt_25k.pth").touch()
    assert METHOD.missing(EasyOptions(weights=str(tmp_path))) is None


def test_weights_that_may_be_fetched_are_not_missing(installed, tmp_path):
    assert METHOD.missing(EasyOptions(weights=str(tmp_path / "none"), download=True)) is None


def test_weights_are_looked_for_where_easyocr_looks(monkeypatch):
    monkeypatch.delenv("EASYOCR_MODULE_PATH", raising=False)
    monkeypatch.delenv("MODULE_PATH", raising=False)
    assert find_weights() == Path.home() / ".EasyOCR" / "model"
    monkeypatch.setenv("MODULE_PATH", "/second")
    assert find_weights() == Path("/second/model")
    monkeypatch.setenv("EASYOCR_MODULE_PATH", "/first")
    assert find_weights() == Path("/first/model")
    assert find_weights("/asked") == Path("/asked")


def test_lines_are_cut_to_the_page_and_those_beside_it_left_out():
    spans = [[-4, 50, -2, 30], [90, 130, 180, 220], [0, 100, 200, 212], [10, 12, 0, 50]]
    assert clip_spans(spans, 100, 200) == [[0, 50, 0, 30], [90, 100, 180, 200]]


@pytest.mark.parametrize(
    ("corners", "on_page"),
    [
        ([[10, 10], [50, 20], [48, 40], [8, 30]], True),
        ([[-10, -10], [30, 10], [25, 30], [-15, 10]], True),
        ([[10, 205], [50, 215], [48, 235], [8, 225]], False),
        ([[110, 10], [150, 20], [148, 40], [108, 30]], False),
        ([[10, 10], [50, 20], [50, 20], [10, 10]], False),
    ],
)
def test_a_slanted_box_is_read_where_it_has_sides_and_meets_the_page(corners, on_page):
    assert is_on_page(corners, 100, 200) is on_page


@pytest.mark.parametrize(
    ("shape", "padded"),
    [((1400, 992), (1400, 992)), ((2, 9000), (6, 9000)), ((9000, 1), (9000, 6)), ((1, 1), (1, 1))],
)
def test_a_strip_is_made_thick_enough_with_white(shape, padded):
    result = _pad_strip(np.zeros((*shape, 3), dtype=np.uint8), 1600)
    assert result.shape == (*padded, 3)
    assert (result[: shape[0], : shape[1]] == 0).all()
    assert result.sum() == 255 * (result.size - 3 * shape[0] * shape[1])


def test_a_folder_is_fetched_into_by_one_worker_at_a_time(tmp_path):
    folder = tmp_path / "new" / "model"

    def is_taken() -> bool:
        with (folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    with easyocr._lock(folder):
        assert is_taken()
    assert not is_taken()

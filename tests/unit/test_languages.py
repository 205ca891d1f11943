"""What a user types, languages, options and method names, and what an engine gets."""

import sys

import pytest

from comic_ocr.engines import (
    Method,
    NoOptions,
    convert_options,
    find_method,
    list_methods,
    method_names,
    prepare_method,
    registry,
    resolve_languages,
    tesseract,
)
from comic_ocr.engines.languages import (
    _LANGUAGES,
    _tables,
    language_code,
    parse_languages,
    tesseract_name,
)
from comic_ocr.engines.null import NullEngine
from comic_ocr.engines.paddleocr import LANGUAGES as PADDLE_LANGUAGES
from comic_ocr.engines.paddleocr import PaddleOptions
from comic_ocr.engines.tesseract import TesseractOptions
from comic_ocr.errors import (
    EngineMissingError,
    LanguageError,
    MethodUnknownError,
    OptionError,
    UsageError,
)

CODES = sorted(_tables()[1])

#: reads two languages, and German by default
TINY = Method(
    "tiny",
    "for tests",
    build=NullEngine,
    languages=lambda _options: frozenset({"en", "de"}),
    default_languages=("de",),
)


def resolve(asked: str | None, method: Method = TINY) -> tuple[str, ...]:
    return resolve_languages(method, NoOptions(), asked)


@pytest.fixture
def no_tessdata(monkeypatch):
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    monkeypatch.setattr(tesseract, "_DATA_FOLDERS", ())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("en", "en"),
        ("eng", "en"),
        ("English", "en"),
        (" JPN ", "ja"),
        ("jp", "ja"),
        ("korean", "ko"),
        ("ch", "zh"),
        ("chi_sim", "zh"),
        ("zh-CN", "zh"),
        ("zh-TW", "zh-hant"),
        ("chinese_cht", "zh-hant"),
        ("iw", "he"),
        ("dut", "nl"),
        ("rs_latin", "sr-latn"),
    ],
)
def test_a_language_has_one_code_whatever_a_user_calls_it(name, code):
    assert language_code(name) == code


@pytest.mark.parametrize("name", ["tlh", "chi_sim_vert", "Fraktur"])
def test_a_name_that_is_not_known_stays_as_it_is(name):
    assert language_code(name) == name
    assert tesseract_name(name) is None


@pytest.mark.parametrize("code", CODES)
def test_a_codes_tesseract_name_leads_back_to_it(code):
    assert language_code(code) == code
    assert language_code(tesseract_name(code)) == code
    assert len(tesseract_name(code).partition("_")[0]) == 3


def test_no_name_stands_for_two_languages():
    names = [n for entry in _LANGUAGES.replace("\n", "|").split("|") for n in entry.split()]
    assert sorted(names) == sorted(set(names))


def test_what_paddleocr_reads_is_in_the_table():
    assert set(CODES) >= PADDLE_LANGUAGES


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("en", ("en",)),
        ("en,ja", ("en", "ja")),
        ("eng+jpn", ("en", "ja")),
        ("ja, en", ("ja", "en")),
        ("en,eng,English", ("en",)),
        ("tlh+en,", ("tlh", "en")),
        ("", ()),
    ],
)
def test_a_list_of_languages_keeps_its_order_and_names_each_once(text, codes):
    assert parse_languages(text) == codes


def test_languages_come_as_asked_or_as_the_method_has_it():
    assert resolve("English+ger") == ("en", "de")
    assert resolve(None) == ("de",)


def test_a_list_without_a_name_is_no_choice():
    assert resolve(",") == ("de",)


def test_a_method_without_a_list_of_languages_reads_any():
    assert resolve("tlh", Method("any", "", build=NullEngine)) == ("tlh",)


def test_a_refused_language_names_what_can_be_read_and_who_else_reads_it(no_tessdata):
    with pytest.raises(LanguageError) as raised:
        resolve("en,ja,zh")
    assert "cannot read ja, zh " in raised.value.message
    assert "it reads de, en." in raised.value.message
    assert raised.value.hint == "--method paddleocr reads it here"


def test_a_language_that_nobody_reads_here_leads_to_tesseracts_data(no_tessdata):
    with pytest.raises(LanguageError) as raised:
        resolve("ko,sr-latn")
    assert "apt-get install tesseract-ocr-kor tesseract-ocr-srp-latn" in raised.value.hint


def test_a_language_that_is_not_known_leads_to_the_list_of_methods(no_tessdata):
    with pytest.raises(LanguageError) as raised:
        resolve("tlh")
    assert "batch_ocr methods" in raised.value.hint


def test_options_given_as_text_become_what_they_are():
    options = convert_options(find_method("tesseract"), {"psm": "11", "tessdata": "/x"})
    assert options == TesseractOptions(psm=11, tessdata="/x")
    given = {"min_confidence": "0.3", "runtime": "onnxruntime"}
    assert convert_options(find_method("paddleocr"), given) == PaddleOptions(
        min_confidence=0.3, runtime="onnxruntime"
    )


def test_an_option_that_the_method_lacks_is_refused_with_those_it_has():
    with pytest.raises(OptionError) as raised:
        convert_options(find_method("tesseract"), {"psm": "3", "dpi": "300"})
    assert '"tesseract" has no option "dpi"' in raised.value.message
    assert raised.value.hint == "options: psm, tessdata"
    with pytest.raises(OptionError) as raised:
        convert_options(find_method("null"), {"x": ""})
    assert raised.value.hint == "options: none"


def test_a_value_that_does_not_fit_is_refused_with_what_fits():
    with pytest.raises(OptionError) as raised:
        convert_options(find_method("tesseract"), {"psm": "many"})
    assert "psm" in raised.value.message
    assert "psm: int (default 3)" in raised.value.hint


def test_the_words_that_an_option_takes_are_named():
    with pytest.raises(OptionError) as raised:
        convert_options(find_method("paddleocr"), {"runtime": "cuda"})
    assert "openvino" in raised.value.hint


def test_the_packages_own_methods_are_found():
    assert {"null", "paddleocr", "tesseract"} <= set(method_names())
    assert find_method("null").name == "null"


def test_a_mistyped_method_is_guessed():
    with pytest.raises(MethodUnknownError) as raised:
        find_method("tesserract")
    assert 'no method "tesserract"' in raised.value.message
    assert raised.value.hint.startswith("did you mean tesseract? methods: ")


def test_an_unknown_method_is_refused_with_the_list():
    with pytest.raises(UsageError) as raised:
        find_method("zzzzz")
    assert raised.value.hint.startswith("methods: ")
    assert "paddleocr" in raised.value.hint


def test_a_method_that_is_not_installed_says_what_to_install_and_what_is_there():
    method = Method("gone", "", build=NullEngine, missing=lambda _options: "pip install gone")
    with pytest.raises(EngineMissingError) as raised:
        prepare_method(method, NoOptions())
    assert raised.value.hint == "pip install gone"
    assert '"gone" is not installed here (installed: ' in raised.value.message
    assert "null" in raised.value.message


def test_a_method_that_lacks_nothing_is_ready():
    prepare_method(TINY, NoOptions())


@pytest.fixture
def broken_plugins(tmp_path, monkeypatch):
    """Install a plugin that cannot be imported, and one that offers no Method."""
    home = tmp_path / "comic_ocr_broken-1.0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: comic-ocr-broken\nVersion: 1.0\n")
    points = f"[{registry.ENTRY_POINT_GROUP}]\nabsent = no_such_module:METHOD\nodd = pathlib:Path\n"
    (home / "entry_points.txt").write_text(points)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()
    find_method.cache_clear()


def test_a_plugin_that_cannot_be_imported_says_so(broken_plugins):
    with pytest.raises(EngineMissingError, match="no_such_module"):
        find_method("absent")


def test_a_plugin_that_offers_no_method_says_so(broken_plugins):
    with pytest.raises(EngineMissingError, match="pathlib:Path is not a"):
        find_method("odd")


def test_a_broken_plugin_does_not_hide_the_other_methods(broken_plugins):
    assert {"null", "paddleocr", "tesseract"} <= {method.name for method in list_methods()}

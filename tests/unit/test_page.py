"""Pages as data: keys, ids, runs and the page JSON."""

import unicodedata

import msgspec
import pytest

from comic_ocr.page import (
    Block,
    EngineFacts,
    ImageFacts,
    PageResult,
    Region,
    check_page_id,
    find_runs,
    result_key,
)

CONTRACT = (
    "canonical_id source_image_path ocr_method timestamp text_regions full_text num_regions "
    "schema_version image engine blocks panels confidence warnings timing usage package_version "
    "manifest"
)


def make_result() -> PageResult:
    region = Region(text="HEY", bbox=(1.0, 2.0, 30.5, 8.0), polygon=((1.0, 2.0), (31.5, 10.0)))
    return PageResult(
        canonical_id="a",
        source_image_path="/a.png",
        ocr_method="null",
        timestamp="2026-01-01T00:00:00+00:00",
        text_regions=[region],
        full_text="HEY",
        num_regions=1,
        image=ImageFacts(width=40, height=20, format="PNG", sha256="0" * 64),
        engine=EngineFacts(name="null", version="1"),
        blocks=[Block(kind="text", bbox=region.bbox, regions=(0,), order=0, text="HEY")],
    )


def test_the_page_json_has_exactly_the_fields_of_the_contract():
    page = msgspec.json.decode(msgspec.json.encode(make_result()))
    assert set(page) == set(CONTRACT.split())
    assert set(page["image"]) == {"width", "height", "format", "sha256"}
    assert set(page["engine"]) == {"name", "version", "model", "options"}
    assert set(page["timing"]) == {"fetch_s", "decode_s", "ocr_s", "arrange_s"}
    assert set(page["usage"]) == {"input_tokens", "output_tokens", "cost_usd", "model", "cached"}
    (region,) = page["text_regions"]
    assert set(region) == {"text", "confidence", "bbox", "polygon", "metadata"}
    (block,) = page["blocks"]
    assert set(block) == {"kind", "bbox", "regions", "order", "text"}


def test_a_box_is_a_list_of_x_y_width_height():
    page = msgspec.json.decode(msgspec.json.encode(make_result()))
    assert page["text_regions"][0]["bbox"] == [1, 2, 30.5, 8]
    assert page["text_regions"][0]["polygon"] == [[1, 2], [31.5, 10]]


def test_a_confidence_that_is_not_known_is_null():
    page = msgspec.json.decode(msgspec.json.encode(make_result()))
    assert page["text_regions"][0]["confidence"] is None
    assert page["confidence"] is None


def test_page_json_comes_back_as_it_was():
    result = make_result()
    assert msgspec.json.decode(msgspec.json.encode(result), type=PageResult) == result


def test_a_key_is_the_id_with_a_suffix():
    assert result_key("vol 1/p#1.jpg") == "vol 1/p#1.jpg_ocr.json"


def test_an_id_has_one_key_however_its_accents_are_typed():
    decomposed = unicodedata.normalize("NFD", "été/が")
    assert decomposed != "été/が"
    assert result_key(decomposed) == result_key("été/が") == "été/が_ocr.json"


@pytest.mark.parametrize(
    "canonical_id",
    [
        "a",
        "a/b/c",
        "vol 1/p#1",
        "50%",
        "..a",
        "a..",
        "...",
        ".hidden",
        "日本/東京",
        "a\\b",
        " a ",
        "_comic_ocr2/a",
        "a/_comic_ocr/b",
        "x" * 246,
        "/".join(["x" * 240] * 4),
    ],
)
def test_an_id_can_hold_almost_anything(canonical_id):
    assert check_page_id(canonical_id) is None


@pytest.mark.parametrize(
    ("canonical_id", "why"),
    [
        ("", "empty"),
        (" \u3000", "empty"),
        ("/a", "escape"),
        ("a/", "escape"),
        ("a//b", "escape"),
        ("..", "escape"),
        ("../a", "escape"),
        ("a/../b", "escape"),
        ("./a", "escape"),
        ("a/.", "escape"),
        ("a\nb", "control"),
        ("a\x00", "control"),
        ("a\x7f", "control"),
        ("a\udc80", "UTF-8"),
        ("_comic_ocr/job", "own files"),
        ("_comic_ocr", "own files"),
        ("a_ocr.json/b", "own files"),
        ("x" * 247, "too long"),
        ("字" * 83, "too long"),
        ("/".join(["x" * 200] * 5), "too long"),
    ],
)
def test_an_id_that_cannot_be_a_key_is_refused(canonical_id, why):
    assert why in check_page_id(canonical_id)


@pytest.mark.parametrize(
    ("numbers", "runs"),
    [
        ([], ()),
        ([3], ((3, 4),)),
        ([0, 1, 2], ((0, 3),)),
        ([0, 2, 3, 7], ((0, 1), (2, 4), (7, 8))),
        (iter(range(5, 8)), ((5, 8),)),
    ],
)
def test_ascending_numbers_become_runs(numbers, runs):
    assert find_runs(numbers) == runs

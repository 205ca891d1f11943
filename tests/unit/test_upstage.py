"""Upstage: options, what is sent, and what is made of its answers.

Bodies have the shapes of the public documentation (console.upstage.ai/api); none was recorded.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from comic_ocr.engines import ApiSetup, EngineSetup, convert_options, find_method, tuning_options
from comic_ocr.engines.api.answers import ANSWERS_PREFIX, Answers
from comic_ocr.engines.upstage import METHOD, engine
from comic_ocr.engines.upstage.engine import (
    DEPRECATED,
    UpstageEngine,
    encode_for_upstage,
    make_request,
    read_answer,
)
from comic_ocr.engines.upstage.fields import flatten_fields
from comic_ocr.engines.upstage.later import LateAnswers, Pending
from comic_ocr.engines.upstage.markup import strip_html
from comic_ocr.engines.upstage.options import UpstageOptions, key_variable, resolve_options
from comic_ocr.engines.upstage.words import Word, split_lines
from comic_ocr.errors import (
    EngineError,
    EngineUnavailableError,
    OptionError,
    PageTimeoutError,
    TruncatedAnswerError,
    UnparsableAnswerError,
)
from comic_ocr.images import PageImage, decode_image
from comic_ocr.storage import Store, open_store
from comic_ocr.testing.api_server import ApiServer, TruthLine, TruthPage

SIZE = (1000, 2000)
SCHEMA = (
    '{"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "string"}}}}'
)


def options(**given: Any) -> UpstageOptions:
    return resolve_options(UpstageOptions(**given))


def read(body: dict[str, Any], **given: Any):
    return read_answer(msgspec.json.encode(body), SIZE, UpstageOptions(**given))


def element(category: str = "paragraph", box=(0.1, 0.2, 0.3, 0.25), **content: str):
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return {
        "id": 7,
        "category": category,
        "page": 1,
        "content": {"text": "", "html": "", "markdown": ""} | content,
        "coordinates": [{"x": x, "y": y} for x, y in corners],
    }


def parsed(*elements: dict[str, Any], pages: int = 1) -> dict[str, Any]:
    return {
        "api": "2.0",
        "content": {"text": "", "html": "", "markdown": ""},
        "elements": list(elements),
        "model": "document-parse-260930",
        "usage": {"pages": pages},
    }


def ocr_word(text: str, confidence: float, box: tuple[int, int, int, int]) -> dict[str, Any]:
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    vertices = [{"x": x, "y": y} for x, y in corners]
    return {"id": 0, "text": text, "confidence": confidence, "boundingBox": {"vertices": vertices}}


def ocr_page(text: str, *words: dict[str, Any], size=SIZE) -> dict[str, Any]:
    page = {"id": 0, "text": text, "words": words, "width": size[0], "height": size[1]}
    return {
        "apiVersion": "1.1",
        "modelVersion": "ocr-260930",
        "numBilledPages": 1,
        "pages": [page],
        "text": text,
    }


def completion(content: str, finish_reason: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "tool_calls": []}
    return {
        "id": "x",
        "model": "information-extract-260904",
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": message}],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 40, "total_tokens": 1240},
    }


# Document parse


def test_an_elements_place_is_in_pixels_of_the_page():
    (region,), _ = read(parsed(element("heading1", text="CHAPTER ONE")))
    assert region.text == "CHAPTER ONE"
    assert region.bbox == (100, 400, 200, 100)
    assert region.polygon == ((100, 400), (300, 400), (300, 500), (100, 500))
    assert region.confidence is None
    assert region.metadata == {"label": "heading1", "id": 7}


def test_text_is_looked_for_in_markdown_and_html_too():
    regions, _ = read(
        parsed(
            element(text="one", markdown="no"),
            element(markdown="two", html="<p>no</p>"),
            element(html="<p id='3' style='font-size:22px'>It&#x27;s<br>three</p>"),
        )
    )
    assert [region.text for region in regions] == ["one", "two", "It's\nthree"]


def test_a_figure_without_text_is_left_out_and_one_with_text_is_not():
    picture = "<figure><img style='font-size:14px' alt=\"{}\" data-coord='x' /></figure>"
    regions, _ = read(
        parsed(
            element("figure", html=picture.format(""), markdown="![image](/image/placeholder)"),
            element("figure", html=picture.format("BOOM"), markdown="![image](/image/1)"),
        )
    )
    assert [region.text for region in regions] == ["BOOM"]


def test_a_table_keeps_its_html_beside_its_text():
    html = "<table><tr><td>a</td><td></td><td>b c</td></tr>\n<tr><th>1</th><th>2</th></tr></table>"
    (region,), _ = read(parsed(element("table", html=html)))
    assert region.text == "a\t\tb c\n1\t2"
    assert region.metadata["html"] == html


def test_coordinates_beyond_the_page_are_cut_off_and_a_point_gets_a_pixel():
    regions, _ = read(
        parsed(element(box=(-0.1, 0.9, 1.2, 1.5), text="a"), element(box=(1, 1, 1, 1), text="b"))
    )
    assert regions[0].bbox == (0, 1800, 1000, 200)
    assert regions[1].bbox == (999, 1999, 1, 1)


def test_an_element_without_coordinates_says_that_its_box_is_the_pages():
    (region,), _ = read(parsed(element(text="a") | {"coordinates": None}))
    assert region.bbox == (0, 0, 1000, 2000)
    assert region.polygon is None
    assert region.metadata["box"] == "page"


def test_a_page_without_text_is_an_answer_but_an_answer_about_no_page_is_a_failure():
    assert read(parsed())[0] == []
    with pytest.raises(UnparsableAnswerError) as caught:
        read(parsed(pages=0))
    assert caught.value.spent["cost_usd"] == 0


def test_a_page_costs_the_list_price_unless_the_options_name_another():
    assert read(parsed())[1].cost_usd == 0.01
    assert read(parsed(), usd_per_page=0.03)[1].cost_usd == 0.03
    assert read(parsed())[1].model == "document-parse-260930"


def test_an_answer_of_no_use_says_what_it_cost():
    with pytest.raises(UnparsableAnswerError) as caught:
        read({"usage": {"pages": 1}, "model": "document-parse-260930"})
    assert caught.value.spent["cost_usd"] == 0.01


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"elements": [{"id"', b'{"usage": "x"}'])
@pytest.mark.parametrize("api_type", list(engine._READERS))
def test_what_is_no_answer_is_a_failure(body: bytes, api_type: Any):
    with pytest.raises(UnparsableAnswerError):
        read_answer(body, SIZE, UpstageOptions(api_type=api_type))


def test_html_becomes_lines():
    assert strip_html("<ul>\n<li>a &amp; b</li>\n  <li>c</li></ul><!-- x -->d") == "a & b\nc\nd"
    assert strip_html("<p>one <b>two</b> three") == "one two three"
    assert strip_html("no tags < 3") == "no tags < 3"
    assert strip_html("") == ""


# OCR


def test_words_are_put_together_to_the_lines_of_the_pages_text():
    regions, usage = read(
        ocr_page(
            "Print the \nhello, world",
            ocr_word("Print", 1.0, (65, 52, 221, 104)),
            ocr_word("the", 0.6, (243, 49, 341, 105)),
            ocr_word("hello,", 0.9, (214, 131, 470, 206)),
            ocr_word("world", 0.9, (500, 131, 600, 206)),
        ),
        api_type="ocr",
    )
    assert [region.text for region in regions] == ["Print the", "hello, world"]
    assert regions[0].bbox == (65, 49, 276, 56)
    assert regions[0].confidence == pytest.approx((5 * 1.0 + 3 * 0.6) / 8)
    assert regions[0].metadata["words"] == [
        {"text": "Print", "bbox": (65, 52, 156, 52), "confidence": 1.0},
        {"text": "the", "bbox": (243, 49, 98, 56), "confidence": 0.6},
    ]
    assert usage.model == "ocr-260930"
    assert usage.cost_usd == 0


def test_vertices_are_scaled_by_the_size_that_the_answer_names():
    body = ocr_page("a", ocr_word("a", 0.9, (50, 100, 100, 200)), size=(500, 1000))
    (region,), _ = read(body, api_type="ocr")
    assert region.bbox == (100, 200, 100, 200)
    assert region.polygon == ((100, 200), (200, 200), (200, 400), (100, 400))


def test_words_that_are_not_those_of_the_text_are_regions_of_their_own():
    words = (ocr_word("one", 0.9, (0, 0, 9, 9)), ocr_word("two", 0.8, (20, 0, 29, 9)))
    regions, _ = read(ocr_page("two one", *words), api_type="ocr")
    assert [(region.text, region.confidence) for region in regions] == [("one", 0.9), ("two", 0.8)]
    assert regions[0].polygon == ((0, 0), (9, 0), (9, 9), (0, 9))


def test_a_line_takes_words_whatever_blanks_are_between_them():
    words = [Word(text, (0, 0, 1, 1)) for text in ("日本", "語", "a b", "c")]
    lines = split_lines("日本語\n\n a  b c ", words)
    assert lines is not None
    assert [(text, [w.text for w in taken]) for text, taken in lines] == [
        ("日本語", ["日本", "語"]),
        ("a b c", ["a b", "c"]),
    ]
    assert split_lines("日本語", words) is None
    assert split_lines("日本語 a b c d", words) is None
    assert split_lines("", []) == []


def test_a_confidence_that_is_no_share_is_none():
    (region,), _ = read(ocr_page("a", ocr_word("a", 97.0, (0, 0, 9, 9))), api_type="ocr")
    assert region.confidence is None


# Extraction


def receipt_field(key: str, value: str | None, refined: str | None = None, **more: Any):
    field = {"id": 1, "key": key, "type": "content", "value": value, "refinedValue": refined}
    return field | {"confidence": 0.9, "properties": None} | more


def test_prebuilt_fields_are_lines_of_one_region():
    fields = [
        receipt_field("store.store_name", "ACME "),
        receipt_field("date.date", "1/2/26", "2026-02-01"),
        receipt_field("total.empty", None, ""),
        receipt_field("group", None, type="group", properties=[receipt_field("item.name", "tea")]),
    ]
    body = {"confidence": 0.93, "documentType": "receipt", "fields": fields, "numBilledPages": 1}
    (region,), usage = read(
        body | {"modelVersion": "receipt-extraction-3.2.0"},
        api_type="prebuilt-extraction",
        usd_per_page=0.05,
    )
    assert region.text == "store.store_name: ACME\ndate.date: 2026-02-01\nitem.name: tea"
    assert region.bbox == (0, 0, 1000, 2000)
    assert region.confidence == 0.93
    assert region.metadata == {"box": "page", "label": "receipt", "fields": fields}
    assert (usage.cost_usd, usage.model) == (0.05, "receipt-extraction-3.2.0")


def test_universal_fields_are_flattened_to_lines_of_one_region():
    content = '{"bank": "B", "items": [{"name": "tea", "count": 2}, {"name": null}], "paid": false}'
    (region,), usage = read(completion(content), api_type="universal-extraction", usd_per_page=0.02)
    assert region.text == "bank: B\nitems.0.name: tea\nitems.0.count: 2\npaid: false"
    assert region.confidence is None
    assert region.metadata == {"box": "page", "fields": msgspec.json.decode(content)}
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (1200, 40, 0.02)


def test_a_page_with_empty_fields_has_no_region():
    assert (
        read(completion('{"a": "", "b": [], "c": null}'), api_type="universal-extraction")[0] == []
    )
    empty = {"fields": [receipt_field("a", None)], "numBilledPages": 1}
    assert read(empty, api_type="prebuilt-extraction")[0] == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (completion('{"a": "b', "length"), TruncatedAnswerError),
        (completion('{"a": "b"}', "length"), TruncatedAnswerError),
        (completion('{"a": "b'), UnparsableAnswerError),
        (completion(""), UnparsableAnswerError),
        (completion("[1]"), UnparsableAnswerError),
        (completion("{}") | {"choices": []}, UnparsableAnswerError),
    ],
)
def test_a_cut_off_or_unreadable_extraction_is_a_failure(body: dict[str, Any], error: Any):
    with pytest.raises(error) as caught:
        read(body, api_type="universal-extraction")
    assert caught.value.spent["output_tokens"] == 40


def test_keys_of_nested_values_are_joined():
    assert list(flatten_fields([["a"], {"b": 1.5}])) == [("0.0", "a"), ("1.b", "1.5")]


# Options


def test_the_method_is_found_and_its_options_come_as_texts():
    assert find_method("upstage") is METHOD
    given = convert_options(METHOD, {"asynchronous": "true", "usd_per_page": "0.02"})
    assert (given.asynchronous, given.usd_per_page) == (True, 0.02)
    assert {"asynchronous", "usd_per_page", "requests_per_minute"} <= tuning_options(METHOD)
    assert {"api_type", "model", "ocr", "schema", "base_url"}.isdisjoint(tuning_options(METHOD))


@pytest.mark.parametrize(
    ("api_type", "model"),
    [
        ("document-parse", "document-parse"),
        ("ocr", "ocr"),
        ("prebuilt-extraction", "receipt-extraction"),
        ("universal-extraction", "information-extract"),
    ],
)
def test_each_api_type_has_its_model(api_type: Any, model: str):
    schema = SCHEMA if api_type == "universal-extraction" else ""
    assert options(api_type=api_type, schema=schema).model == model


@pytest.mark.parametrize(
    "given",
    [
        {"api_type": "ocr", "asynchronous": True},
        {"api_type": "ocr", "ocr": "auto"},
        {"schema": SCHEMA},
        {"api_type": "universal-extraction"},
        {"api_type": "universal-extraction", "schema": "@/no/such/file.json"},
        {"api_type": "universal-extraction", "schema": "{"},
        {"api_type": "universal-extraction", "schema": "[]"},
        {"api_type": "universal-extraction", "schema": '{"type": "array", "items": {}}'},
        {"api_type": "ocr", "model": "document-parse-nightly"},
        {"model": "receipt-extraction"},
        {"api_type": "prebuilt-extraction", "model": "information-extract"},
        {"base_url": "ftp://x"},
    ],
)
def test_options_that_do_not_go_together_are_refused_with_a_remedy(given: dict[str, Any]):
    with pytest.raises(OptionError) as caught:
        options(**given)
    assert caught.value.hint


def test_a_schema_is_read_from_its_file_and_out_of_a_response_format(tmp_path: Path):
    schema = msgspec.json.decode(SCHEMA)
    wrapped = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    path = tmp_path / "schema.json"
    path.write_bytes(msgspec.json.encode(wrapped))
    found = options(api_type="universal-extraction", schema=f"@{path}")
    assert msgspec.json.decode(found.schema) == schema
    assert resolve_options(found) == found


def test_upstages_key_goes_to_upstage_alone():
    assert key_variable(UpstageOptions()) == "UPSTAGE_API_KEY"
    assert key_variable(UpstageOptions(base_url="https://eu.upstage.ai/v1")) == "UPSTAGE_API_KEY"
    assert key_variable(UpstageOptions(base_url="https://notupstage.ai/v1")) == "COMIC_OCR_API_KEY"
    assert key_variable(UpstageOptions(api_key_env="MINE")) == "MINE"


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("UPSTAGE_API_KEY", raising=False)
    assert "UPSTAGE_API_KEY" in (METHOD.missing_key(UpstageOptions()) or "")
    assert METHOD.missing_key(UpstageOptions(base_url="http://localhost:1/v1")) is None
    monkeypatch.setenv("UPSTAGE_API_KEY", "x")
    assert METHOD.missing_key(UpstageOptions()) is None


# What is sent


def make_page(kind: str = "PNG", size: tuple[int, int] = (60, 90)) -> PageImage:
    stream = io.BytesIO()
    pixels = np.full((size[1], size[0], 3), 200, np.uint8)
    pixels[10:20, 10:30] = 0
    Image.fromarray(pixels).save(stream, kind)
    return decode_image(stream.getvalue(), page_id="page")


def test_a_page_is_sent_as_fetched_where_upstage_reads_its_format():
    page = make_page("JPEG")
    assert encode_for_upstage(page).data == page.data
    assert make_request(options(), encode_for_upstage(page)).files["document"][0] == "page.jpg"


def test_webp_is_sent_as_png():
    image = encode_for_upstage(make_page("WEBP"))
    assert image.mime == "image/png"
    assert Image.open(io.BytesIO(image.data)).format == "PNG"
    assert (image.width, image.height) == (60, 90)


def test_a_page_that_is_too_large_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "MAX_BYTES", 100)
    with pytest.raises(EngineError, match="Upstage takes"):
        encode_for_upstage(make_page())


# Against a server that speaks Upstage


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture
def page(server: ApiServer) -> PageImage:
    """A page of two lines that the server knows; the server's account starts anew."""
    image = make_page(size=(400, 300))
    lines = (
        TruthLine("HELLO OVER THERE", (40.0, 30.0, 200.0, 20.0)),
        TruthLine("GOOD DAY", (100.0, 90.0, 120.0, 20.0)),
    )
    server.know({hashlib.sha256(image.data).hexdigest(): TruthPage(400, 300, lines)})
    server.order([])
    server.reset()
    return image


def open_engine(server: ApiServer, store: Store | None = None, **given: Any) -> UpstageEngine:
    found = options(base_url=f"{server.url}/v1", requests_per_minute=0, **given)
    reader = UpstageEngine(EngineSetup(found, api=ApiSetup(store=store)))
    reader.load()
    return reader


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMIC_OCR_API_KEY", "secret")


def test_a_parsed_page_is_read(server: ApiServer, page: PageImage):
    found = open_engine(server).recognize(page)
    assert [region.text for region in found.regions] == ["HELLO OVER THERE", "GOOD DAY"]
    assert found.regions[0].bbox == pytest.approx((40, 30, 200, 20), abs=0.2)
    assert found.usage.cost_usd == 0.01
    assert found.warnings == ()


def test_an_ocr_page_is_read_in_lines(server: ApiServer, page: PageImage):
    found = open_engine(server, api_type="ocr").recognize(page)
    assert [region.text for region in found.regions] == ["HELLO OVER THERE", "GOOD DAY"]
    assert found.regions[1].bbox == pytest.approx((100, 90, 120, 20), abs=1.5)
    assert len(found.regions[0].metadata["words"]) == 3


def test_a_prebuilt_extraction_is_read_and_warned_of(server: ApiServer, page: PageImage):
    found = open_engine(server, api_type="prebuilt-extraction").recognize(page)
    assert found.regions[0].text == "store.store_name: HELLO OVER THERE\ndate.date: GOOD DAY"
    assert found.warnings == (DEPRECATED,)


def test_a_universal_extraction_is_read(server: ApiServer, page: PageImage):
    reader = open_engine(server, api_type="universal-extraction", schema=SCHEMA)
    found = reader.recognize(page)
    assert found.regions[0].text == "lines.0: HELLO OVER THERE\nlines.1: GOOD DAY"


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_page_that_upstage_refuses_is_a_failure_of_the_page(
    server: ApiServer, page: PageImage, status: int
):
    server.order([{"first": 1, "do": str(status)}])
    with pytest.raises(EngineError, match=str(status)):
        open_engine(server).recognize(page)


def test_an_answer_about_no_page_is_asked_for_again(server: ApiServer, page: PageImage):
    server.order([{"first": 1, "do": "empty"}])
    found = open_engine(server).recognize(page)
    assert len(found.regions) == 2
    assert len(found.warnings) == 1


# Answers that come later


def open_late(reader: UpstageEngine, answers: Answers, **given: Any) -> LateAnswers:
    """Return late answers over the engine's client, without long pauses."""
    assert reader._client is not None
    return LateAnswers(reader._client, answers, first_pause_s=0.01, **given)


def asked(server: ApiServer, what: str) -> int:
    return sum(n for path, n in server.account()["by_path"].items() if path.endswith(what))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "output"))


def test_a_page_that_is_read_later_gives_the_same_answer(
    server: ApiServer, page: PageImage, store: Store
):
    found = open_engine(server, store, asynchronous=True).recognize(page)
    assert [region.text for region in found.regions] == ["HELLO OVER THERE", "GOOD DAY"]
    again = open_engine(server, store).recognize(page)
    assert again.usage.cached
    assert again.regions == found.regions
    assert asked(server, "/document-digitization/async") == 1


def test_a_page_that_was_handed_in_is_not_paid_again(
    server: ApiServer, page: PageImage, store: Store
):
    reader, answers = open_engine(server, asynchronous=True), Answers(store, "use")
    request = make_request(reader._options, encode_for_upstage(page))
    open_late(reader, answers)._submit("ab" * 32, request)

    body = open_late(reader, answers).ask("ab" * 32, request, resume=True)
    assert len(read_answer(body, (400, 300), UpstageOptions())[0]) == 2
    assert asked(server, "/document-digitization/async") == 1

    open_late(reader, answers).ask("ab" * 32, request, resume=False)
    assert asked(server, "/document-digitization/async") == 2


@pytest.mark.parametrize("age_s", [0, 40 * 24 * 3600])
def test_a_request_that_is_not_known_any_more_is_handed_in_again(
    server: ApiServer, page: PageImage, store: Store, age_s: int
):
    reader, answers = open_engine(server, asynchronous=True), Answers(store, "use")
    request = make_request(reader._options, encode_for_upstage(page))
    answers.keep("ab.pending", msgspec.json.encode(Pending("gone", 1e9 - age_s)))
    late = open_late(reader, answers, now=lambda: 1e9)
    body = late.ask("ab", request, resume=True)
    assert len(read_answer(body, (400, 300), UpstageOptions())[0]) == 2
    assert asked(server, "/requests/…") == (3 if age_s else 4)
    # The unknown request did not end the job: the client goes on.
    assert late.ask("cd", request, resume=True)


def test_a_page_that_failed_there_is_handed_in_again_by_the_next_try(
    server: ApiServer, page: PageImage, store: Store
):
    server.order([{"first": 1, "do": "failed"}])
    reader, answers = open_engine(server, asynchronous=True), Answers(store, "use")
    request = make_request(reader._options, encode_for_upstage(page))
    late = open_late(reader, answers)
    with pytest.raises(EngineUnavailableError, match="internal server error"):
        late.ask("ab", request, resume=True)
    assert late.ask("ab", request, resume=True)
    assert asked(server, "/document-digitization/async") == 2


def test_a_page_that_is_not_read_in_time_is_left_for_a_later_call(
    server: ApiServer, page: PageImage, store: Store
):
    found = options(base_url=f"{server.url}/v1", asynchronous=True, requests_per_minute=0)
    reader = UpstageEngine(
        EngineSetup(found, api=ApiSetup(store=store, seconds_left=lambda: -1.0 if stop else 60.0))
    )
    stop: list[bool] = []
    reader.load()
    late = open_late(reader, Answers(store, "use"))
    request = make_request(found, encode_for_upstage(page))
    late._submit("ab", request)
    stop.append(True)
    with pytest.raises(PageTimeoutError) as caught:
        late.ask("ab", request, resume=True)
    assert caught.value.exhausted
    stop.clear()
    assert late.ask("ab", request, resume=True)
    assert asked(server, "/document-digitization/async") == 1
    assert [entry.key for entry in store.list(ANSWERS_PREFIX)] == [
        f"{ANSWERS_PREFIX}/ab/ab.pending.json"
    ]

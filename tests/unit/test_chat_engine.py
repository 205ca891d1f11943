"""The chat engine against a real server: pages in, regions and prices out."""

import hashlib
import io
import json

import msgspec
import pytest
from PIL import Image, ImageDraw

from comic_ocr.engines import ApiSetup, EngineSetup, convert_options, find_method
from comic_ocr.engines.api import client as client_module
from comic_ocr.engines.chat.completion import read_completion
from comic_ocr.engines.chat.options import ChatOptions
from comic_ocr.errors import (
    EngineError,
    EngineUnavailableError,
    TruncatedAnswerError,
    UnparsableAnswerError,
)
from comic_ocr.images import decode_image
from comic_ocr.storage import open_store
from comic_ocr.testing.api_server import ApiServer, TruthLine, TruthPage

WIDTH, HEIGHT = 400, 200
KEY = "sk-or-v1-0123456789abcdef"
PRICE = 0.001


def paint(shade):
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    ImageDraw.Draw(image).rectangle((20, 20, 90, 60), fill=(shade, 0, 0))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


PAGE, OTHER = paint(1), paint(2)
LINES = (
    TruthLine("HELLO, you!", (40, 20, 200, 40)),
    TruthLine('what "is" it?', (100, 120, 300, 40)),
)
TRUTH = {hashlib.sha256(PAGE).hexdigest(): TruthPage(WIDTH, HEIGHT, LINES)}
TEXTS = [line.text for line in LINES]


@pytest.fixture(scope="module")
def shared():
    with ApiServer(TRUTH, cost_usd=PRICE) as running:
        yield running


@pytest.fixture
def server(shared):
    shared.order([])
    shared.reset()
    return shared


@pytest.fixture(autouse=True)
def key_and_short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "_FIRST_PAUSE_S", 0.005)
    monkeypatch.setenv("COMIC_OCR_API_KEY", KEY)


@pytest.fixture
def store(memory_url):
    return open_store(memory_url)


def load(server, method="qwen", store=None, **given):
    found = find_method(method)
    options = convert_options(found, {"base_url": f"{server.url}/v1", **given})
    engine = found.build(EngineSetup(options, api=ApiSetup(store)))
    engine.load()
    return engine


def page(data=PAGE, page_id="p1"):
    return decode_image(data, page_id=page_id)


def test_qwen_s_lines_are_where_they_are_on_the_page(server):
    found = load(server).recognize(page())
    assert [region.text for region in found.regions] == TEXTS
    for region, line in zip(found.regions, LINES, strict=True):
        assert region.bbox == pytest.approx(line.bbox, abs=1)
    assert found.usage.cost_usd == PRICE
    assert found.usage.model == "qwen/qwen3-vl-8b-instruct"
    assert found.usage.output_tokens > 0


@pytest.mark.parametrize("method", ["gemma", "deepseek"])
def test_other_families_read_the_same_text(server, method):
    found = load(server, method).recognize(page())
    assert "\n".join(region.text for region in found.regions) == "\n".join(TEXTS)


def test_tokens_give_confidence_where_the_server_has_them(server):
    found = load(server).recognize(page())
    assert all(0.5 < region.confidence < 1 for region in found.regions)
    without = load(server, logprobs="off").recognize(page())
    assert [region.confidence for region in without.regions] == [None, None]


def test_a_page_without_text_has_no_regions_and_is_no_failure(server):
    assert load(server).recognize(page(OTHER)).regions == []
    assert load(server, "gemma").recognize(page(OTHER)).regions == []


def test_a_blank_page_is_not_sent(server):
    stream = io.BytesIO()
    Image.new("RGB", (50, 50), "white").save(stream, "PNG")
    found = load(server).recognize(page(stream.getvalue()))
    assert (found.regions, found.usage.cost_usd) == ([], 0)
    assert "blank" in found.warnings[0]
    assert server.account()["asked"] == 0


def test_pixels_are_not_held_while_the_answer_is_waited_for(server):
    image = page()
    load(server).recognize(image)
    assert image._pixels is None


@pytest.mark.parametrize("tiny", [100, 399])
def test_boxes_of_a_page_that_was_sent_smaller_lie_on_the_whole_page(tiny):
    with ApiServer({"*": TRUTH[hashlib.sha256(PAGE).hexdigest()]}) as server:
        found = load(server, max_side_px=tiny).recognize(page())
        for model in ("qwen/qwen2.5-vl-72b-instruct",):
            pixels = load(server, max_side_px=tiny, model=model).recognize(page())
            for region, line in zip(pixels.regions, LINES, strict=True):
                assert region.bbox == pytest.approx(line.bbox, abs=4)
    for region, line in zip(found.regions, LINES, strict=True):
        assert region.bbox == pytest.approx(line.bbox, abs=1)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("truncated", TruncatedAnswerError),
        ("empty", UnparsableAnswerError),
        ("repeat", UnparsableAnswerError),
    ],
)
def test_a_useless_answer_is_asked_again_and_then_a_failure_with_its_price(
    server, store, fault, kind
):
    server.order([{"do": fault}])
    engine = load(server, store=store, max_tokens=100_000)
    with pytest.raises(kind, match=r"_comic_ocr/rejected/p1\.json") as raised:
        engine.recognize(page())
    account = server.account()
    assert account["asked"] == 5
    assert raised.value.exhausted
    assert raised.value.spent["cost_usd"] == pytest.approx(account["cost_usd"])
    kept = msgspec.json.decode(store.get("_comic_ocr/rejected/p1.json"))
    assert [one["code"] for one in kept] == [kind.code] * 5
    assert all("choices" in one["body"] for one in kept)


@pytest.mark.parametrize("fault", ["truncated", "empty", "repeat"])
def test_the_next_answer_may_be_of_use(server, fault):
    server.order([{"first": 1, "do": fault}])
    found = load(server, max_tokens=100_000).recognize(page())
    assert [region.text for region in found.regions] == TEXTS
    assert found.usage.cost_usd == pytest.approx(server.account()["cost_usd"])
    assert "of no use" in found.warnings[0]


def test_each_further_answer_is_asked_for_with_more_temperature(server):
    server.order([{"first": 2, "do": "empty"}])
    load(server).recognize(page())
    assert server.account()["last_request"]["temperature"] == pytest.approx(0.4)


def test_the_temperature_stays_in_the_range_of_the_api(server):
    server.order([{"first": 2, "do": "empty"}])
    load(server, temperature=1.9).recognize(page())
    assert server.account()["last_request"]["temperature"] == 2.0


def test_so_many_answers_are_asked_for_as_the_option_says(server):
    server.order([{"do": "empty"}])
    with pytest.raises(UnparsableAnswerError):
        load(server, answer_tries=2).recognize(page())
    assert server.account()["asked"] == 2


@pytest.mark.parametrize("fault", ["error_200", "choice_error"])
def test_an_error_under_200_is_an_error(server, fault):
    server.order([{"do": fault}])
    with pytest.raises(EngineUnavailableError):
        load(server).recognize(page())


def test_a_moderated_page_is_a_failure_of_the_page(server):
    server.order([{"do": "403_moderated"}])
    with pytest.raises(EngineError):
        load(server).recognize(page())


def test_what_was_paid_is_used_by_the_next_worker(server, store):
    load(server, store=store).recognize(page())
    again = load(server, store=store, concurrency=2, timeout_s=9).recognize(page())
    assert again.usage.cached
    assert [region.text for region in again.regions] == TEXTS
    assert server.account()["asked"] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "What is written here?"},
        {"temperature": 0.5},
        {"max_tokens": 99},
        {"model": "google/gemma-3-27b-it"},
        {"max_side_px": 100},
        {"json_schema": "off"},
    ],
)
def test_another_request_is_paid(server, store, other):
    load(server, store=store).recognize(page())
    load(server, store=store, **other).recognize(page())
    assert server.account()["asked"] == 2


def test_another_way_to_read_boxes_is_not_another_request(server, store):
    load(server, store=store).recognize(page())
    found = load(server, store=store, boxes="pixels").recognize(page())
    assert found.usage.cached


def test_the_key_is_in_nothing_that_is_kept(server, store):
    server.order([{"first": 1, "do": "empty"}])
    load(server, store=store).recognize(page())
    for entry in store.list():
        assert KEY.encode() not in store.get(entry.key)


def test_servers_without_schema_and_logprobs_are_asked_without_them():
    with ApiServer(TRUTH, dialect="vllm", logprobs=False, schema=False) as server:
        engine = load(server)
        for _ in range(2):
            assert [r.text for r in engine.recognize(page()).regions] == TEXTS
        assert server.account()["by_status"] == {"200": 2, "400": 2}


def test_the_price_is_the_server_s_or_that_of_the_options():
    with ApiServer(TRUTH, dialect="vllm") as server:
        prices = {"usd_per_million_input": 2, "usd_per_million_output": 10}
        usage = load(server, **prices).recognize(page()).usage
    assert usage.cost_usd == pytest.approx(
        (usage.input_tokens * 2 + usage.output_tokens * 10) / 1e6
    )
    assert usage.cost_usd > 0


def test_deepseek_keeps_its_tags_on_a_server_of_one_s_own():
    with ApiServer(TRUTH, dialect="vllm") as server:
        found = load(server, "deepseek").recognize(page())
    assert [region.text for region in found.regions] == TEXTS
    assert found.regions[0].bbox == pytest.approx(LINES[0].bbox, abs=1)


# The body of an answer.


def body(message=None, *, choices=None, **more):
    if choices is None:
        choices = [{"message": message or {"content": "text"}, "finish_reason": "stop"}]
    return json.dumps({"choices": choices, **more}).encode()


@pytest.mark.parametrize(
    "data",
    [
        body(usage=None),
        body(usage={}),
        body(usage={"prompt_tokens": None, "completion_tokens": None, "cost": None}),
        body(usage={"prompt_tokens": 3.0, "completion_tokens": 2}),
        body(model=None),
        body(extra=[1]),
        body({"role": "assistant", "content": "text", "refusal": None}),
        body({"content": [{"type": "text", "text": "te"}, {"type": "text", "text": "xt"}]}),
        body(choices=[{"message": {"content": "text"}, "logprobs": {"content": None}}]),
        body(choices=[{"message": {"content": "text"}, "logprobs": {"tokens": ["text"]}}]),
        body(
            choices=[
                {
                    "message": {"content": "text"},
                    "logprobs": {"content": [{"token": "text", "logprob": None}]},
                }
            ]
        ),
        body(choices=[{"message": {"content": "text"}, "logprobs": {"content": ["text"]}}]),
    ],
)
def test_servers_differ_in_what_is_around_the_text(data):
    assert read_completion(data, ChatOptions()).content == "text"


@pytest.mark.parametrize(
    "choices", [[], None, "x", [None], [{}], [{"message": None}], [{"message": {"content": 5}}]]
)
def test_an_answer_without_a_message_is_of_no_use_and_is_paid(choices):
    data = json.dumps(
        {"choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 1, "cost": 0.5}}
    ).encode()
    with pytest.raises(UnparsableAnswerError) as raised:
        read_completion(data, ChatOptions())
    assert raised.value.spent["cost_usd"] == 0.5
    assert raised.value.spent["input_tokens"] == 7


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"<html>", b'{"choices": '])
def test_what_is_no_completion_at_all_is_of_no_use(data):
    with pytest.raises(UnparsableAnswerError):
        read_completion(data, ChatOptions())


@pytest.mark.parametrize("content", [None, ""])
def test_no_content_is_an_empty_text(content):
    assert read_completion(body({"content": content}), ChatOptions()).content == ""

"""The server that stands in for OpenRouter, vLLM and Upstage, asked by the clients they have."""

import base64
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from comic_ocr.testing.api_server import ApiServer, TruthLine, TruthPage, read_truths
from comic_ocr.testing.api_server.answers import smart_resize, split_tokens
from comic_ocr.testing.api_server.upstage import split_parts
from comic_ocr.testing.comic import draw_comic

QWEN, GEMMA, DEEPSEEK = (
    "qwen/qwen3-vl-8b-instruct",
    "google/gemma-3-27b-it",
    "deepseek-ai/DeepSeek-OCR",
)
WIDTH, HEIGHT = 400, 200
PARSE = {"model": "document-parse", "ocr": "force", "output_formats": '["text", "html"]'}


def paint(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


PAGE, OTHER, UNKNOWN = paint(1), paint(2), paint(3)
LINES = (
    TruthLine("HELLO <you> & 🦊", (40, 20, 200, 40)),
    TruthLine("what is it?", (100, 120, 300, 40)),
)
TRUTH = {
    sha(PAGE): TruthPage(WIDTH, HEIGHT, LINES),
    sha(OTHER): TruthPage(WIDTH, HEIGHT, LINES[:1]),
}
TEXTS = [line.text for line in LINES]
LINE_SCHEMA = {
    "type": "object",
    "properties": {
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "text_content": {"type": "string"},
                    "bbox_2d": {"type": "array", "items": {"type": "integer"}},
                },
            },
        }
    },
}


@pytest.fixture(scope="module")
def shared() -> Iterator[ApiServer]:
    with ApiServer(TRUTH) as server:
        yield server


@pytest.fixture
def server(shared: ApiServer) -> ApiServer:
    shared.order([])
    shared.reset()
    return shared


def ask(
    server: ApiServer, model: str = QWEN, image: bytes = PAGE, prompt: str = "Read.", **given: Any
) -> Any:
    """Ask by the OpenAI SDK."""
    url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": url}}]
    base = given.pop("base", "/v1")
    timeout = given.pop("timeout", 10)
    with openai.OpenAI(
        base_url=server.url + base, api_key="secret", max_retries=0, timeout=timeout
    ) as client:
        return client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": content}], **given
        )


def text_of(completion: Any) -> str:
    return completion.choices[0].message.content


def wrap(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "page", "strict": True, "schema": schema},
    }


def post(
    server: ApiServer,
    fields: dict[str, str],
    image: bytes = PAGE,
    path: str = "document-digitization",
    key: str | None = "secret",
) -> httpx2.Response:
    """Ask as Upstage's documentation shows."""
    return httpx2.post(
        f"{server.url}/v1/{path}",
        headers={"Authorization": f"Bearer {key}"} if key else {},
        data=fields,
        files={"document": ("page.png", image, "image/png")},
        timeout=10,
    )


def boxes(content: str) -> list[dict[str, Any]]:
    assert content.startswith("```json\n")
    assert content.endswith("\n```")
    return json.loads(content[8:-4])


def test_qwen3_answers_thousandths_in_a_fence(server: ApiServer) -> None:
    completion = ask(server, base="/api/v1")
    first, second = boxes(text_of(completion))
    assert first == {"bbox_2d": [100, 100, 600, 300], "text_content": TEXTS[0]}
    assert second["bbox_2d"] == [250, 600, 1000, 800]
    assert completion.object == "chat.completion"
    assert completion.provider == "Loopback"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].native_finish_reason == "stop"
    assert completion.usage.cost == 0.001
    assert completion.usage.total_tokens == (
        completion.usage.prompt_tokens + completion.usage.completion_tokens
    )


def test_qwen2_5_answers_pixels_of_the_resized_image(server: ApiServer) -> None:
    assert smart_resize(WIDTH, HEIGHT) == (392, 196)
    first, _ = boxes(text_of(ask(server, "qwen/qwen2.5-vl-72b-instruct")))
    assert first["bbox_2d"] == [39, 20, 235, 59]


@pytest.mark.parametrize(
    ("size", "seen"),
    [((28, 28), (56, 56)), ((1000, 1400), (1008, 1400)), ((6000, 4000), (4368, 2912))],
)
def test_smart_resize_keeps_multiples_within_the_area(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    assert smart_resize(*size) == seen
    assert 3136 <= seen[0] * seen[1] <= 12_845_056


def test_deepseek_answers_by_its_prompt(server: ApiServer) -> None:
    grounded = text_of(ask(server, DEEPSEEK, prompt="<image>\n<|grounding|>OCR this image."))
    assert grounded.startswith(
        f"<|ref|>text<|/ref|><|det|>[[100, 100, 599, 300]]<|/det|>\n{TEXTS[0]}\n\n<|ref|>"
    )
    assert text_of(ask(server, DEEPSEEK, prompt="<image>\nFree OCR.")) == "\n".join(TEXTS)


def test_gemma_answers_text(server: ApiServer) -> None:
    assert text_of(ask(server, GEMMA)) == "\n".join(TEXTS)


def test_a_schema_is_kept_to(server: ApiServer) -> None:
    content = json.loads(text_of(ask(server, response_format=wrap(LINE_SCHEMA))))
    assert content["lines"][1] == {"text_content": TEXTS[1], "bbox_2d": [250, 600, 1000, 800]}
    assert list(content["lines"][1]) == ["text_content", "bbox_2d"]


def test_an_unknown_image_is_a_page_without_text(server: ApiServer) -> None:
    grounding = "<|grounding|>OCR this image."
    assert boxes(text_of(ask(server, image=UNKNOWN))) == []
    assert text_of(ask(server, GEMMA, UNKNOWN)) == "NO TEXT"
    assert json.loads(text_of(ask(server, image=UNKNOWN, response_format=wrap(LINE_SCHEMA)))) == {
        "lines": []
    }
    assert text_of(ask(server, DEEPSEEK, UNKNOWN, grounding)) == (
        "<|ref|>image<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>"
    )
    assert post(server, PARSE, UNKNOWN).json()["elements"] == []


def test_log_probabilities_cover_the_content(server: ApiServer) -> None:
    completion = ask(server, logprobs=True)
    tokens = completion.choices[0].logprobs.content
    assert len(tokens) == completion.usage.completion_tokens
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == text_of(completion)
    assert all(-1 < token.logprob < 0 for token in tokens)
    assert [text for text, _ in split_tokens("🦊a")] == ["\\xf0\\x9f", "\\xa6\\x8a", "a"]


def test_max_tokens_cuts_the_answer(server: ApiServer) -> None:
    completion = ask(server, max_tokens=5)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 5


def test_models_are_listed_with_what_they_take(server: ApiServer) -> None:
    models = {m["id"]: m for m in httpx2.get(f"{server.url}/v1/models").json()["data"]}
    assert models[QWEN]["architecture"]["input_modalities"] == ["text", "image"]
    assert "logprobs" in models[QWEN]["supported_parameters"]
    assert models["google/gemma-2-9b-it"]["architecture"]["modality"] == "text->text"
    with pytest.raises(openai.NotFoundError, match="support image input"):
        ask(server, "google/gemma-2-9b-it")


def test_vllm_answers_and_refuses_in_its_own_words() -> None:
    with ApiServer(TRUTH, dialect="vllm", logprobs=False, schema=False) as server:
        completion = ask(server, DEEPSEEK, prompt="<|grounding|>OCR this image.")
        assert text_of(completion).startswith("text[[100, 100, 599, 300]]\n")
        assert not hasattr(completion.usage, "cost")
        kept = ask(
            server,
            DEEPSEEK,
            prompt="<|grounding|>OCR this image.",
            extra_body={"skip_special_tokens": False},
        )
        assert text_of(kept).startswith("<|ref|>text<|/ref|>")
        for given in ({"logprobs": True}, {"response_format": wrap(LINE_SCHEMA)}):
            with pytest.raises(openai.BadRequestError) as raised:
                ask(server, **given)
            assert raised.value.body["type"] == "BadRequestError"
            assert "unsupported parameter" in raised.value.body["message"]
        assert server.account()["asked"] == 2


def test_upstage_parses_a_document(server: ApiServer) -> None:
    found = post(server, PARSE).json()
    element = found["elements"][0]
    assert element["content"]["text"] == TEXTS[0]
    assert "HELLO &lt;you&gt; &amp; 🦊</p>" in element["content"]["html"]
    assert element["content"]["markdown"] == ""
    assert element["coordinates"][0] == {"x": 0.1, "y": 0.1}
    assert element["coordinates"][2] == {"x": 0.6, "y": 0.3}
    assert found["content"]["text"] == "\n".join(TEXTS)
    assert found["usage"] == {"pages": 1}
    bare = post(server, {"model": "document-parse", "coordinates": "false"}).json()["elements"][0]
    assert bare["content"]["text"] == ""
    assert "coordinates" not in bare


def test_upstage_reads_words(server: ApiServer) -> None:
    found = post(server, {"model": "ocr"}).json()
    (page,) = found["pages"]
    assert [word["text"] for word in page["words"]] == " ".join(TEXTS).split()
    assert page["words"][0]["boundingBox"]["vertices"][0] == {"x": 40, "y": 20}
    assert found["metadata"]["pages"] == [{"height": HEIGHT, "page": 1, "width": WIDTH}]
    assert found["text"] == " \n".join(TEXTS)


def test_upstage_reads_later_and_hands_out_a_signed_address(server: ApiServer) -> None:
    key = {"Authorization": "Bearer secret"}
    request_id = post(server, PARSE, path="document-digitization/async").json()["request_id"]
    url = f"{server.url}/v1/document-digitization/requests/{request_id}"
    states = [httpx2.get(url, headers=key).json() for _ in range(3)]
    assert [state["status"] for state in states] == ["submitted", "started", "completed"]
    (batch,) = states[-1]["batches"]
    assert httpx2.get(batch["download_url"]).json()["content"]["text"] == "\n".join(TEXTS)
    assert httpx2.get(batch["download_url"], headers=key).status_code == 400
    assert server.account()["pages"] == {sha(PAGE): {"asked": 1, "answers": 1}}


def test_upstage_extracts_fields(server: ApiServer) -> None:
    found = post(server, {"model": "receipt-extraction"}, path="information-extraction").json()
    assert found["documentType"] == "receipt"
    assert [field["value"] for field in found["fields"]] == TEXTS
    assert {field["type"] for field in found["fields"]} == {"content"}


def test_upstage_fills_a_schema(server: ApiServer) -> None:
    shape = {"$ref": "#/$defs/page"}
    page = {
        "type": "object",
        "properties": {
            "all": {"type": "array", "items": {"type": "string"}},
            "title": {"type": ["null", "string"]},
            "count": {"type": "integer"},
        },
    }
    completion = ask(
        server,
        "information-extract",
        base="/v1/information-extraction",
        response_format=wrap(shape | {"$defs": {"page": page}}),
    )
    assert json.loads(text_of(completion)) == {"all": TEXTS[1:], "title": TEXTS[0], "count": 0}
    with pytest.raises(openai.BadRequestError):
        ask(server, "information-extract", base="/v1/information-extraction")


def test_upstage_refuses_what_it_cannot_read(server: ApiServer) -> None:
    for fields, image, status in (
        ({"model": "nothing"}, PAGE, 400),
        (PARSE, b"%PDF-1.7", 415),
        (PARSE | {"output_formats": "text"}, PAGE, 400),
    ):
        refused = post(server, fields, image)
        assert refused.status_code == status
        assert set(refused.json()["error"]) == {"message", "type", "param", "code"}


def test_who_brings_no_key_is_refused(server: ApiServer) -> None:
    chat = httpx2.post(f"{server.url}/v1/chat/completions", json={})
    assert (chat.status_code, chat.json()["error"]["code"]) == (401, 401)
    upstage = post(server, PARSE, key=None)
    assert (upstage.status_code, upstage.json()["error"]["code"]) == (401, "invalid_api_key")
    assert server.account()["asked"] == 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("402", openai.APIStatusError),
        ("403", openai.PermissionDeniedError),
        ("403_moderated", openai.PermissionDeniedError),
        ("404", openai.NotFoundError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
    ],
)
def test_a_status_comes_when_it_is_ordered(
    server: ApiServer, kind: str, error: type[openai.APIStatusError]
) -> None:
    server.order([{"first": 1, "do": kind, "retry_after": 7}])
    with pytest.raises(error) as raised:
        ask(server)
    status = int(kind[:3])
    assert raised.value.status_code == raised.value.body["code"] == status
    assert raised.value.response.headers["retry-after"] == "7"
    assert ("reasons" in raised.value.body.get("metadata", {})) == (kind == "403_moderated")
    ask(server)
    account = server.account()
    assert account["by_status"] == {str(status): 1, "200": 1}
    assert account["by_fault"] == {kind: 1}
    assert account["pages"] == {sha(PAGE): {"asked": 2, "answers": 1}}
    assert account["cost_usd"] == 0.001


def test_a_gateway_answers_text(server: ApiServer) -> None:
    server.order([{"do": "503", "text": "<html>busy</html>"}])
    found = post(server, PARSE)
    assert (found.status_code, found.text) == (503, "<html>busy</html>")


def test_an_error_comes_under_status_200(server: ApiServer) -> None:
    server.order([{"do": "error_200"}])
    assert ask(server).error["code"] == 502
    assert server.account()["cost_usd"] == 0
    assert server.account()["answers"] == 0


def test_a_choice_brings_an_error(server: ApiServer) -> None:
    server.order([{"do": "choice_error"}])
    (choice,) = ask(server).choices
    assert choice.finish_reason == "error"
    assert choice.error["message"]
    assert server.account()["answers"] == 0


@pytest.mark.parametrize("kind", ["truncated", "empty", "repeat", "garbage"])
def test_an_answer_is_spoiled(server: ApiServer, kind: str) -> None:
    good = text_of(ask(server))
    server.order([{"do": kind}])
    completion = ask(server)
    content = text_of(completion)
    if kind == "truncated":
        assert completion.choices[0].finish_reason == "length"
        assert good.startswith(content)
        assert 0 < len(content) < len(good)
    elif kind == "empty":
        assert (content, completion.usage.completion_tokens, completion.usage.cost) == ("", 0, 0)
    elif kind == "repeat":
        assert sum(row["text_content"] == TEXTS[1] for row in boxes(content)) > 300
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(content.strip("`json\n"))
    assert server.account()["answers"] == 1


@pytest.mark.parametrize("kind", ["truncated", "garbage"])
def test_upstage_is_spoiled_too(server: ApiServer, kind: str) -> None:
    server.order([{"do": kind}])
    with pytest.raises(json.JSONDecodeError):
        post(server, PARSE).json()
    server.order([{"do": "empty"}])
    assert post(server, PARSE).json()["usage"] == {"pages": 0}
    server.order([{"do": "429"}])
    assert post(server, PARSE).json()["error"]["code"] == "too_many_requests"


def test_a_later_reading_fails(server: ApiServer) -> None:
    server.order([{"do": "failed"}])
    request_id = post(server, PARSE, path="document-digitization/async").json()["request_id"]
    url = f"{server.url}/v1/document-digitization/requests/{request_id}"
    key = {"Authorization": "Bearer secret"}
    state = [httpx2.get(url, headers=key).json() for _ in range(3)][-1]
    assert (state["status"], bool(state["failure_message"])) == ("failed", True)
    assert server.account()["answers"] == 0
    assert post(server, PARSE).status_code == 500


def test_a_client_that_gives_up_waiting_is_not_answered(server: ApiServer) -> None:
    server.order([{"first": 1, "do": "hang"}])
    with pytest.raises(openai.APITimeoutError):
        ask(server, timeout=0.3)
    server.order([{"first": 1, "do": "slow", "delay_s": 0.4}])
    with pytest.raises(openai.APITimeoutError):
        ask(server, timeout=0.2)
    deadline = time.monotonic() + 5
    while server.account()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.05)
    account = server.account()
    assert (account["requests"], account["abandoned"], account["answers"]) == (2, 2, 0)
    assert ask(server).choices


def test_a_connection_is_cut_in_the_middle(server: ApiServer) -> None:
    server.order([{"first": 1, "do": "cut"}])
    with pytest.raises(openai.APIConnectionError):
        ask(server)
    account = server.account()
    assert (account["requests"], account["cut"], account["answers"]) == (1, 1, 0)


def test_rules_count_requests_and_images(server: ApiServer) -> None:
    def statuses(images: list[bytes]) -> list[int]:
        return [post(server, PARSE, image).status_code for image in images]

    server.order([{"every": 3, "do": "500"}, {"after": 4, "do": "429"}])
    assert statuses([PAGE] * 6) == [200, 200, 500, 200, 429, 500]
    server.order([{"sha": sha(OTHER), "do": "404"}])
    assert statuses([PAGE, OTHER, OTHER, PAGE]) == [200, 404, 404, 200]
    server.order([{"sha": "*", "first": 1, "do": "503"}])
    assert statuses([PAGE, OTHER, PAGE, OTHER]) == [503, 503, 200, 200]
    with pytest.raises(ValueError, match="unknown fault"):
        server.order([{"do": "nonsense"}])


def test_the_account_is_exact_with_many_clients() -> None:
    faults = [{"every": 5, "do": "500"}, {"every": 7, "do": "truncated"}]
    with ApiServer(TRUTH, faults=faults, delay_s=0.5, cost_usd=0.01) as server:
        started = time.monotonic()
        with ThreadPoolExecutor(32) as pool:
            calls = [pool.submit(ask, server, image=(PAGE, OTHER)[i % 2]) for i in range(40)]
            errors = [call.exception() for call in calls]
        assert time.monotonic() - started < 10
        account = server.account()
    assert sum(error is not None for error in errors) == 8
    assert (account["asked"], account["answers"]) == (40, 40 - 8 - 4)
    assert account["by_status"] == {"200": 32, "500": 8}
    assert account["by_fault"] == {"500": 8, "truncated": 4}
    assert account["requests"] == sum(account["by_status"].values())
    assert sum(page["answers"] for page in account["pages"].values()) == 28
    assert {page["asked"] for page in account["pages"].values()} == {20}
    assert account["cost_usd"] == pytest.approx(0.32)
    assert 8 <= account["max_in_flight"] <= 32
    assert account["in_flight"] == 0


def test_the_account_shows_requests_without_image_or_key(server: ApiServer) -> None:
    ask(server, temperature=0, extra_headers={"X-Title": "comics"})
    account = server.account()
    (part,) = [p for p in account["last_request"]["messages"][0]["content"] if "image_url" in p]
    assert part["image_url"]["url"] == {
        "sha256": sha(PAGE),
        "width": WIDTH,
        "height": HEIGHT,
        "mime": "image/png",
        "size_bytes": len(PAGE),
    }
    assert account["last_request"]["temperature"] == 0
    assert "x-title" in account["last_headers"]
    assert account["keys"] == [sha(b"Bearer secret")]
    assert "secret" not in json.dumps(account)
    post(server, PARSE)
    assert server.account()["last_request"]["document"]["sha256"] == sha(PAGE)
    server.reset()
    assert server.account()["requests"] == 0


def test_a_connection_is_kept_and_chunks_are_read(server: ApiServer) -> None:
    body = json.dumps(
        {
            "model": GEMMA,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image_url",
                            "image_url": {
                                "url": f"data:image/png;base64,{base64.b64encode(PAGE).decode()}"
                            },
                        }
                    ],
                }
            ],
        }
    ).encode()
    key = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    before = server.account()["connections"]
    with httpx2.Client() as client:
        for content in (iter([body[:100], body[100:]]), body):
            found = client.post(f"{server.url}/v1/chat/completions", headers=key, content=content)
            assert found.json()["choices"][0]["message"]["content"] == "\n".join(TEXTS)
    account = server.account()
    assert account["asked"] == 2
    # one for the client, one for each look at the account
    assert account["connections"] - before == 2


def test_it_serves_a_drawn_comic_and_says_where(tmp_path: Path) -> None:
    drawn = draw_comic(tmp_path, pages=1)[0]
    truths = read_truths(tmp_path)
    assert list(truths) == [sha(drawn.image.read_bytes())]
    command = [sys.executable, "-m", "comic_ocr.testing.api_server", "--truth", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().removeprefix("listening on ").strip()
            key = {"Authorization": "Bearer k"}
            file = {"document": drawn.image.read_bytes()}
            found = httpx2.post(
                f"{url}/v1/document-digitization", headers=key, data=PARSE, files=file
            )
            assert found.json()["content"]["text"].splitlines() == [
                text for block in drawn.blocks for text, _ in block.lines
            ]
        finally:
            process.terminate()
        assert process.stdout.read() == ""


def test_a_document_keeps_every_byte() -> None:
    data = b"\r\n--x \r\n\r\n\x00\n\r\n"
    files = {"document": ('a "b".png', data, "image/png")}
    request = httpx2.Request("POST", "http://x", data={"model": "ocr"}, files=files)
    parts = split_parts(request.headers["content-type"], request.read())
    assert (parts["document"].data, parts["model"].data) == (data, b"ocr")
    assert parts["document"].content_type == "image/png"


def test_it_stops_while_a_client_waits(capfd: pytest.CaptureFixture[str]) -> None:
    server = ApiServer(faults=[{"do": "hang"}])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, server, PARSE)
        while not server.account()["in_flight"]:
            time.sleep(0.02)
        server.stop()
        with pytest.raises(httpx2.RemoteProtocolError):
            waiting.result(5)
    assert capfd.readouterr() == ("", "")


def test_it_ends_with_its_parent() -> None:
    script = (
        "import time; from comic_ocr.testing.api_server import ApiServer\n"
        "print(ApiServer().url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        port = int(parent.stdout.readline().rsplit(":", 1)[1])
        socket.create_connection(("127.0.0.1", port)).close()
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    pytest.fail("the server outlived its parent")

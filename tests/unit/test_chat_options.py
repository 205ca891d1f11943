"""Options of the chat methods, and what is refused before any page is sent."""

import msgspec
import pytest

from comic_ocr.engines import (
    convert_options,
    find_method,
    list_methods,
    pages_in_flight,
    tuning_options,
)
from comic_ocr.engines.chat import options as options_module
from comic_ocr.engines.chat.options import (
    OPENROUTER_KEY,
    ChatOptions,
    DeepSeekOptions,
    GemmaOptions,
    QwenOptions,
    is_openrouter,
    key_variable,
    missing_key,
    resolve_options,
)
from comic_ocr.errors import OptionError
from comic_ocr.testing.api_server import ApiServer
from tests.unit.scripted_server import Said, say_json, serve

NOBODY = "http://127.0.0.1:9/v1"
KEY = "sk-or-v1-0123456789abcdef"


@pytest.fixture(scope="module")
def server():
    with ApiServer() as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No list of models is remembered, and no key is set."""
    options_module._fetch_models.cache_clear()
    for name in (OPENROUTER_KEY, "COMIC_OCR_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def resolve(method="qwen", **given):
    found = find_method(method)
    return found.resolve(convert_options(found, {"base_url": NOBODY, **given}))


@pytest.mark.parametrize("kind", [ChatOptions, QwenOptions, GemmaOptions, DeepSeekOptions])
def test_tuning_leaves_what_is_read_alone(kind):
    fields = {field.name for field in msgspec.structs.fields(kind)}
    assert fields - tuning_options(find_method("qwen")) == {
        "model", "prompt", "base_url", "temperature", "top_p", "max_tokens", "boxes",
        "json_schema", "logprobs", "max_side_px",
    }  # fmt: skip


def test_pages_in_flight_are_an_option():
    method = find_method("qwen")
    assert pages_in_flight(method, method.options()) == 32
    assert pages_in_flight(method, convert_options(method, {"concurrency": "7"})) == 7


def test_texts_of_the_command_become_numbers():
    options = convert_options(
        find_method("qwen"),
        {"concurrency": "4", "requests_per_minute": "90.5", "temperature": "1", "cache": "off"},
    )
    assert (options.concurrency, options.requests_per_minute) == (4, 90.5)
    assert (options.temperature, options.cache) == (1.0, "off")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("concurrency", "0"),
        ("concurrency", "1001"),
        ("concurrency", "many"),
        ("requests_per_minute", "-1"),
        ("max_in_flight", "-1"),
        ("timeout_s", "0"),
        ("answer_tries", "0"),
        ("cache", "sometimes"),
        ("temperature", "2.1"),
        ("top_p", "0"),
        ("max_tokens", "0"),
        ("boxes", "maybe"),
        ("max_side_px", "-5"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_the_option_named(key, value):
    with pytest.raises(OptionError) as raised:
        convert_options(find_method("qwen"), {key: value})
    assert key in raised.value.message
    assert f"{key}: " in raised.value.hint


def test_the_hint_says_what_each_option_takes():
    with pytest.raises(OptionError) as raised:
        convert_options(find_method("qwen"), {"cache": "sometimes"})
    hint = raised.value.hint
    assert "cache: use | refresh | off (default 'use')" in hint
    assert "concurrency: int (default 32)" in hint
    assert "timeout_s: float (default 180.0)" in hint
    assert "api_key_env: str (default '')" in hint


@pytest.mark.parametrize("method", list_methods(), ids=lambda method: method.name)
def test_no_hint_shows_how_python_writes_a_type(method):
    for field in msgspec.structs.fields(method.options):
        with pytest.raises(OptionError) as raised:
            convert_options(method, {field.name: ["no", {"option": "is a list"}]})
        for words in ("<class", "Annotated", "typing.", "Meta(", "NODEFAULT", "UNSET"):
            assert words not in raised.value.hint


# Servers and keys.


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://openrouter.ai/api/v1", True),
        ("https://OpenRouter.ai/api/v1", True),
        ("https://eu.openrouter.ai/api/v1", True),
        ("https://openrouter.ai.evil.example/api/v1", False),
        ("https://evilopenrouter.ai/api/v1", False),
        ("https://evil.example/openrouter.ai", False),
        ("https://evil.example/?https://openrouter.ai", False),
        ("http://localhost:8000/v1", False),
        ("http://[::1/v1", False),
        ("", False),
    ],
)
def test_openrouter_s_key_is_for_openrouter_alone(monkeypatch, url, is_one):
    options = QwenOptions(base_url=url)
    assert is_openrouter(options) is is_one
    assert (key_variable(options) == OPENROUTER_KEY) is is_one
    monkeypatch.setenv("COMIC_OCR_API_KEY", "x")
    assert (missing_key(options) is not None) is is_one


def test_a_variable_of_one_s_own_goes_before(monkeypatch):
    options = QwenOptions(api_key_env="MINE")
    assert "MINE" in missing_key(options)
    monkeypatch.setenv("MINE", KEY)
    assert missing_key(options) is None


def test_openrouter_s_key_is_not_sent_to_another_server_s_list_of_models(monkeypatch):
    monkeypatch.setenv(OPENROUTER_KEY, KEY)
    monkeypatch.setenv("COMIC_OCR_API_KEY", "for-this-server")
    listing = {"data": [{"id": "m-vl"}]}
    with serve(lambda _request: say_json(200, listing)) as server:
        resolve(base_url=server.url, model="m-vl")
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("GET", "/models")
    assert seen.headers["authorization"] == "Bearer for-this-server"


def test_a_redirect_of_the_list_of_models_is_not_followed(monkeypatch):
    monkeypatch.setenv("COMIC_OCR_API_KEY", KEY)
    with serve(lambda _request: say_json(200, {"data": []})) as other:
        there = {"Location": f"{other.url}/models"}
        with serve(lambda _request: Said(302, b"", there)) as server:
            resolve(base_url=server.url, model="m-vl")
    assert not other.seen


def test_a_base_url_with_a_password_is_refused_and_not_shown():
    with pytest.raises(OptionError) as raised:
        resolve(base_url="https://me:hunter2@api.example/v1")
    assert "hunter2" not in f"{raised.value.message} {raised.value.hint}"


# Prompts.


def test_a_prompt_file_is_replaced_by_its_text(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("\ufeffLies alles über Bücher.\n\n", encoding="utf-8")
    assert resolve(prompt=f"@{path}").prompt == "Lies alles über Bücher."


@pytest.mark.parametrize("data", [None, b"", b"  \n", b"\xff\xfe\x00"])
def test_a_prompt_file_that_is_none_is_refused(tmp_path, data):
    path = tmp_path / "prompt.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(OptionError, match=r"prompt\.txt"):
        resolve(prompt=f"@{path}")


@pytest.mark.parametrize("prompt", ["@", "@/", "@\0"])
def test_a_file_that_cannot_be_one_is_refused(prompt):
    with pytest.raises(OptionError):
        resolve(prompt=prompt)


def test_a_text_of_one_s_own_is_the_prompt():
    assert resolve(prompt="Read it all, please.").prompt == "Read it all, please."


def test_a_named_prompt_stays_a_name():
    assert resolve(prompt="markdown").prompt == "markdown"


# Models.


@pytest.mark.parametrize("model", ["google/gemma-2-9b-it", "deepseek/deepseek-chat"])
def test_a_text_only_model_is_refused_without_a_server(model):
    with pytest.raises(OptionError, match="cannot read pages"):
        resolve(model=model)


def test_a_model_that_the_server_lists_is_taken(server):
    options = resolve(base_url=f"{server.url}/v1", model="google/gemma-3-27b-it")
    assert options.model == "google/gemma-3-27b-it"


@pytest.mark.parametrize("model", ["qwen/qwen3-vl-8b-instruct:free", "google/gemma-3-27b-it:nitro"])
def test_a_variant_of_a_listed_model_is_taken(server, model):
    assert resolve(base_url=f"{server.url}/v1", model=model).model == model


def test_a_model_that_the_server_does_not_list_is_refused_with_those_like_it(server):
    with pytest.raises(OptionError, match="qwen3-vl-9b") as raised:
        resolve(base_url=f"{server.url}/v1", model="qwen/qwen3-vl-9b-instruct")
    assert "qwen/qwen3-vl-8b-instruct" in raised.value.hint


def test_an_old_name_is_replaced(server):
    assert resolve(base_url=f"{server.url}/v1", model="qwen2-vl-7b").model.startswith("qwen/qwen3")


def answer_list(value, status=200):
    return lambda _request: say_json(status, value)


def list_of(*entries):
    return {"data": list(entries)}


def test_a_model_that_the_server_says_sees_nothing_is_refused():
    blind = {"id": "x-vl", "architecture": {"input_modalities": ["text", "audio"]}}
    with serve(answer_list(list_of(blind))) as server, pytest.raises(OptionError, match="audio"):
        resolve(base_url=server.url, model="x-vl")


def test_ollama_s_names_need_no_tag():
    with serve(answer_list(list_of({"id": "qwen3-vl:latest"}))) as server:
        assert resolve(base_url=server.url, model="qwen3-vl").model == "qwen3-vl"


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        "x",
        {"data": None},
        {"data": {}},
        {"data": []},
        {"data": ["x", None]},
        {"models": [{"id": "y"}]},
    ],
)
def test_a_list_of_models_that_is_none_is_no_error(value):
    with serve(answer_list(value)) as server:
        assert resolve(base_url=server.url, model="x-vl").model == "x-vl"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_server_that_does_not_list_its_models_is_no_error(status):
    with serve(answer_list({"error": "no"}, status)) as server:
        assert resolve(base_url=server.url, model="x-vl").model == "x-vl"


@pytest.mark.parametrize(
    "architecture", [None, "text", [], {}, {"input_modalities": None}, {"input_modalities": "text"}]
)
def test_odd_facts_of_a_model_are_no_error(architecture):
    entry = {"id": "x-vl", "architecture": architecture}
    with serve(answer_list(list_of(entry))) as server:
        assert resolve(base_url=server.url, model="x-vl").model == "x-vl"


def test_a_server_that_is_not_there_is_no_error():
    assert resolve(model="x-vl").model == "x-vl"


def test_a_secret_that_only_workers_may_read_is_no_error(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with serve(answer_list(list_of({"id": "y-vl"}), 401)) as server:
        options = resolve(
            base_url=server.url, model="x-vl", api_key_secret="arn:aws:secretsmanager"
        )
    assert options.api_key_secret


def test_resolving_again_changes_nothing(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("Read all of it.")
    once = resolve(prompt=f"@{path}", model="gpt-4-vision")
    assert resolve_options(once) == once

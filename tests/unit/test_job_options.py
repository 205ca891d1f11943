"""Options by method, what of them identifies a job, and a key on its way to the workers."""

import os

import pytest

from comic_ocr.engines.chat import options as chat_options
from comic_ocr.errors import MethodUnknownError, OptionError, OutputConflictError, UsageError
from comic_ocr.job import JobSpec
from comic_ocr.job.keys import find_key_variable, key_in_environment
from comic_ocr.job.options import check_options, split_names, split_options
from comic_ocr.job.spec import check_spec, fingerprint
from comic_ocr.job.state import JobState
from comic_ocr.worker.task import build_engine
from tests.unit.scripted_server import say_json, serve

NOBODY = "http://127.0.0.1:9/v1"
KEY = "sk-or-v1-0123456789abcdef"
OPENROUTER = "OPENROUTER_API_KEY"
OTHER = "COMIC_OCR_API_KEY"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    chat_options._fetch_models.cache_clear()
    for name in (OPENROUTER, OTHER):
        monkeypatch.delenv(name, raising=False)


def spec(method="null", **given):
    return JobSpec(manifest="pages.csv", method=method, **given)


def check(method="qwen", min_confidence=None, **options):
    options.setdefault("qwen.base_url" if "," in method else "base_url", NOBODY)
    return check_spec(spec(method, options=options, min_confidence=min_confidence))


@pytest.mark.parametrize(
    ("text", "names"),
    [("qwen", ["qwen"]), ("tesseract,qwen", ["tesseract", "qwen"]), (" a , b ", ["a", "b"])],
)
def test_a_cascade_is_a_list_of_names(text, names):
    assert split_names(text) == names


@pytest.mark.parametrize("text", ["", ",", "qwen,", "qwen,,null", "qwen,qwen", "qwen, qwen"])
def test_a_cascade_names_each_method_once(text):
    with pytest.raises(MethodUnknownError):
        split_names(text)


def test_options_of_a_single_method_need_no_name():
    assert split_options(["qwen"], {"model": "x"}) == {"qwen": {"model": "x"}}
    assert split_options(["qwen"], {"qwen.model": "x"}) == {"qwen": {"model": "x"}}


def test_an_option_that_one_method_has_goes_to_it():
    found = split_options(["tesseract", "qwen"], {"prompt": "ocr", "psm": "6"})
    assert found == {"qwen": {"prompt": "ocr"}, "tesseract": {"psm": "6"}}


def test_an_option_that_several_methods_have_must_be_named():
    with pytest.raises(OptionError, match=r"gemma.*qwen|qwen.*gemma") as raised:
        split_options(["qwen", "gemma"], {"model": "x"})
    assert "qwen.model=" in raised.value.hint


def test_an_option_that_no_method_has_is_refused():
    with pytest.raises(OptionError, match="none of the methods"):
        split_options(["qwen", "gemma"], {"no_such_option": "x"})


@pytest.mark.parametrize("key", ["nobody.model", ".model", "qwen .model"])
def test_an_option_of_an_unknown_method_is_refused(key):
    with pytest.raises(OptionError):
        split_options(["qwen"], {key: "x"})


@pytest.mark.parametrize("key", ["qwen.", "qwen.no_such", "qwen.model.x"])
def test_a_named_option_that_the_method_does_not_have_is_refused(key):
    with pytest.raises(OptionError):
        check_spec(spec("qwen", options={key: "x", "base_url": NOBODY}))


def test_an_option_given_twice_is_refused():
    with pytest.raises(OptionError, match="twice"):
        split_options(["qwen"], {"model": "x", "qwen.model": "y"})


def test_methods_of_the_manifest_alone_may_have_options():
    kept, everything = check_options("null", {})
    assert kept == everything
    checked, _ = check_spec(spec("null", options={"tesseract.psm": "6"}))
    assert checked.options["tesseract"]["psm"] == 6


# What identifies a job.


TUNING = [
    ("concurrency", 3),
    ("requests_per_minute", 60),
    ("max_in_flight", 9),
    ("timeout_s", 5),
    ("answer_tries", 1),
    ("cache", "off"),
    ("api_key_env", "MINE"),
    ("api_key_secret", "name"),
    ("usd_per_million_input", 1),
]


@pytest.mark.parametrize(("key", "value"), TUNING)
def test_how_an_api_is_asked_does_not_identify_a_job(key, value):
    checked, options = check(**{key: value})
    assert key not in checked.options["qwen"]
    assert options["qwen"][key] == value
    assert fingerprint(checked) == fingerprint(check()[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prompt", "markdown"),
        ("model", "qwen/qwen2.5-vl-72b-instruct"),
        ("temperature", 0.5),
        ("max_tokens", 5),
        ("boxes", "none"),
        ("max_side_px", 99),
        ("base_url", "http://127.0.0.1:10/v1"),
    ],
)
def test_what_an_api_is_asked_identifies_a_job(key, value):
    assert fingerprint(check(**{key: value})[0]) != fingerprint(check()[0])


def test_an_option_set_to_its_default_changes_nothing():
    assert fingerprint(check(temperature="0")[0]) == fingerprint(check()[0])


def test_the_order_of_a_cascade_and_its_floor_identify_a_job():
    prints = {
        fingerprint(check("null,qwen")[0]),
        fingerprint(check("qwen,null")[0]),
        fingerprint(check("null,qwen", min_confidence=0.5)[0]),
    }
    assert len(prints) == 3


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_a_floor_that_is_no_share_is_refused(floor):
    with pytest.raises(UsageError):
        check("null,qwen", min_confidence=floor)


def test_a_floor_for_a_single_method_is_refused():
    with pytest.raises(UsageError):
        check("qwen", min_confidence=0.5)


def test_a_run_with_another_concurrency_may_go_on_and_one_with_another_prompt_may_not(memory_url):
    JobState(memory_url).begin(check(concurrency=2)[0], run_id="r1", overwrite=False)
    JobState(memory_url).check_same(check(concurrency=9, cache="off")[0])
    with pytest.raises(OutputConflictError):
        JobState(memory_url).check_same(check(prompt="markdown")[0])


def test_tuning_is_neither_in_the_job_file_nor_in_page_json(memory_url):
    state = JobState(memory_url)
    checked, options = check(concurrency=2, api_key_secret="my-secret-name")
    state.begin(checked, run_id="r1", overwrite=False)
    assert b"my-secret-name" not in state.store.get("_comic_ocr/job.json")
    assert b"concurrency" not in state.store.get("_comic_ocr/job.json")
    given = {**options["qwen"], "api_key_secret": ""}
    _, plan = build_engine("qwen", given)
    assert set(plan.options) == {*checked.options["qwen"], "lang"}


def test_the_text_of_a_prompt_file_identifies_a_job_and_not_its_name(tmp_path):
    for name, text in (("a", "Read all of it."), ("b", "Read all of it."), ("c", "Read some.")):
        (tmp_path / name).write_text(text)
    a, b, c = (fingerprint(check(prompt=f"@{tmp_path / name}")[0]) for name in "abc")
    assert a == b != c


# Keys.


def qwen(**given):
    return spec("qwen", **given)


def test_a_key_is_in_the_environment_while_the_job_runs_and_not_after():
    with key_in_environment(qwen(), KEY) as carried:
        assert os.environ[OPENROUTER] == KEY
        assert carried == {OPENROUTER: KEY}
    assert OPENROUTER not in os.environ


def test_the_key_that_was_there_before_is_put_back(monkeypatch):
    monkeypatch.setenv(OPENROUTER, "before")
    with key_in_environment(qwen(), KEY):
        assert os.environ[OPENROUTER] == KEY
    assert os.environ[OPENROUTER] == "before"


def test_a_key_is_taken_out_after_an_error_too():
    with pytest.raises(KeyboardInterrupt), key_in_environment(qwen(), KEY):
        raise KeyboardInterrupt
    assert OPENROUTER not in os.environ


def test_a_key_that_somebody_took_out_meanwhile_is_no_error():
    with key_in_environment(qwen(), KEY):
        del os.environ[OPENROUTER]
    assert OPENROUTER not in os.environ


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_nothing_happens(key):
    with key_in_environment(spec("null"), key) as carried:
        assert carried == {}


@pytest.mark.parametrize(
    ("method", "options", "variable"),
    [
        ("qwen", {}, OPENROUTER),
        ("qwen", {"base_url": NOBODY}, OTHER),
        ("qwen", {"api_key_env": "MINE"}, "MINE"),
        ("tesseract,qwen", {}, OPENROUTER),
        ("qwen,gemma", {}, OPENROUTER),
        ("null", {"qwen.model": "x"}, OPENROUTER),
    ],
)
def test_the_variable_is_that_of_the_job_s_one_api(method, options, variable):
    assert find_key_variable(spec(method, options=options)) == variable


@pytest.mark.parametrize(
    ("method", "options"),
    [("null", {}), ("tesseract", {}), ("qwen,gemma", {"gemma.base_url": NOBODY})],
)
def test_a_key_for_no_api_or_several_is_refused_and_not_shown(method, options):
    before = dict(os.environ)
    with (
        pytest.raises(UsageError, match="--api-key") as raised,
        key_in_environment(spec(method, options=options), KEY),
    ):
        pass
    assert KEY not in f"{raised.value.message} {raised.value.hint}"
    assert dict(os.environ) == before


@pytest.mark.parametrize("backend", ["k8s", "aws_batch", "code_engine", "azure_functions"])
def test_a_backend_that_would_store_the_key_does_not_get_it(backend):
    with (
        pytest.raises(UsageError, match=backend) as raised,
        key_in_environment(qwen(backend=backend), KEY),
    ):
        pass
    assert KEY not in f"{raised.value.message} {raised.value.hint}"
    assert OPENROUTER in raised.value.hint
    assert OPENROUTER not in os.environ


def test_the_key_is_used_for_the_server_s_list_of_models():
    with serve(lambda _request: say_json(200, {"data": [{"id": "m-vl"}]})) as server:
        asked = spec("qwen", options={"base_url": server.url, "model": "m-vl"})
        with key_in_environment(asked, f" {KEY}\n"):
            check_spec(asked)
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_base_url_that_is_none_is_refused_before_the_key_is_looked_at():
    asked = spec("qwen", options={"base_url": "http://[::1"})
    with pytest.raises(OptionError), key_in_environment(asked, KEY):
        check_spec(asked)

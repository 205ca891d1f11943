"""What an API's reply means, in the words of OpenRouter, OpenAI's imitators and gateways."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest

from comic_ocr.engines.api.replies import Reply, find_trouble, read_retry_after
from comic_ocr.errors import (
    ApiRefusedError,
    EngineError,
    EngineUnavailableError,
    RateLimitedError,
)

ANSWER = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}


def reply(status, value=None, **headers):
    content = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Reply(status, {name.replace("_", "-"): text for name, text in headers.items()}, content)


def find(status, value=None, **headers):
    return find_trouble(reply(status, value, **headers), "api.example")


def error(code, message="no", **more):
    return {"error": {"code": code, "message": message, **more}}


@pytest.mark.parametrize(
    "body", [ANSWER, {}, {"error": None}, {"choices": []}, {"choices": [{"error": None}]}]
)
def test_an_answer_is_no_trouble(body):
    assert find(200, body) is None


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_server_that_will_take_no_page_refuses_the_job(status):
    trouble = find(status, error(status))
    assert isinstance(trouble.error, ApiRefusedError)
    assert trouble.error.exit_code == 5
    assert trouble.status == status
    assert trouble.error.hint
    assert str(status) in trouble.error.message
    assert "api.example" in trouble.error.message


def test_a_moderated_page_is_the_page_s_own_failure():
    body = error(403, "flagged", metadata={"reasons": ["violence"], "flagged_input": "…"})
    found = find(403, body).error
    assert type(found) is EngineError
    assert not found.retryable


@pytest.mark.parametrize("metadata", [None, {}, {"reasons": []}, "reasons", ["reasons"]])
def test_a_403_without_reasons_is_about_the_key(metadata):
    assert isinstance(find(403, error(403, metadata=metadata)).error, ApiRefusedError)


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 520, 524, 529])
def test_what_may_pass_is_tried_again(status):
    assert type(find(status, error(status)).error) is EngineUnavailableError


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
def test_a_page_that_is_rejected_is_not_tried_again(status):
    found = find(status, error(status)).error
    assert type(found) is EngineError


def test_too_many_requests_pass():
    trouble = find(429, error(429), retry_after="3")
    assert type(trouble.error) is RateLimitedError
    assert trouble.retry_after_s == 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_is_no_pause_stops_the_job(status):
    trouble = find(status, error(status), retry_after="86400")
    assert isinstance(trouble.error, ApiRefusedError)
    assert "1440 minutes" in trouble.error.message


@pytest.mark.parametrize("status", [429, 503])
def test_a_quarter_of_an_hour_is_waited_for(status):
    assert find(status, error(status), retry_after="900").error.retryable


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (402, ApiRefusedError),
        ("401", ApiRefusedError),
        (429, RateLimitedError),
        (503, EngineUnavailableError),
        ("server_error", EngineUnavailableError),
        (None, EngineUnavailableError),
        (200, EngineUnavailableError),
        (True, EngineUnavailableError),
        (400, EngineError),
    ],
)
@pytest.mark.parametrize("where", ["body", "choice"])
def test_an_error_under_200_is_what_its_code_says(code, kind, where):
    body = error(code)
    found = find(200, body if where == "body" else {"choices": [body]})
    assert type(found.error) is kind


def test_an_error_beside_an_answer_is_an_error():
    assert find(200, {**ANSWER, **error(502)}) is not None


@pytest.mark.parametrize("body", [b"", b"<html>busy", b"[]", b"null", b'"x"', b'{"choices":'])
def test_anything_but_an_answer_under_200_may_pass(body):
    assert type(find(200, body).error) is EngineUnavailableError


@pytest.mark.parametrize(
    "body",
    [
        {"error": "plain words"},
        {"error": {"message": "plain words", "code": 400}},
        {"detail": "plain words"},
        {"message": "plain words"},
        {"error": {"detail": "plain words"}},
        b"plain words",
        b"plain\n\n   words",
        b"\xff plain words",
    ],
)
def test_the_server_s_words_are_in_the_message(body):
    assert "plain words" in find(400, body).error.message


def test_long_words_are_cut():
    assert len(find(500, b"x" * 100_000).error.message) < 400
    assert len(find(500, error(500, "x" * 100_000)).error.message) < 400


@pytest.mark.parametrize("choices", [None, "x", {}, [None], ["x"], [[]]])
def test_odd_choices_are_no_error_here(choices):
    assert find(200, {"choices": choices}) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("1", 1), (" 2.5 ", 2.5), ("-4", 0), ("", None), ("soon", None), ("nan", 0)],
)
def test_retry_after_in_seconds(text, seconds):
    assert read_retry_after({"retry-after": text}) == seconds


def test_no_retry_after_is_none():
    assert read_retry_after({}) is None


@pytest.mark.parametrize(("seconds", "least", "most"), [(60, 58, 60), (-60, 0, 0)])
def test_retry_after_as_a_date(seconds, least, most):
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    found = read_retry_after({"retry-after": format_datetime(at, usegmt=True)})
    assert least <= found <= most


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 21 Oct 2015 07:28:00",
        "Wed, 21 Oct 2015 07:28:00 +9999999999",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 99 Oct 2015 07:28:00 GMT",
        "0 0 0 0 0",
        ",",
        "1 Jan",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "21 Oct 2015 07:28:00 GMT extra",
    ],
)
def test_an_odd_retry_after_does_no_harm(text):
    found = read_retry_after({"retry-after": text})
    assert found is None or found >= 0


def test_a_quota_that_is_used_up_is_no_matter_of_speed():
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    trouble = find_trouble(Reply(429, {}, msgspec.json.encode(body)), "api.openai.com")
    assert isinstance(trouble.error, ApiRefusedError)
    assert "credit" in trouble.error.message

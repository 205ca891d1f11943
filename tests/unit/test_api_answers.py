"""Answers that were paid: kept, used again, and of no use."""

import msgspec
import pytest

from comic_ocr.engines.api.answers import Answers, add_usage, hash_request
from comic_ocr.errors import (
    ApiRefusedError,
    EngineError,
    EngineUnavailableError,
    RateLimitedError,
    TruncatedAnswerError,
    UnparsableAnswerError,
)
from comic_ocr.page import Usage
from comic_ocr.storage import open_store

KEY = "ab" * 32
PRICE = Usage(input_tokens=10, output_tokens=2, cost_usd=0.25)


class Server:
    """Gives its bodies one after another, and counts; an exception is raised."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.tries = []

    def ask(self, number):
        self.tries.append(number)
        body = self.bodies.pop(0)
        if isinstance(body, Exception):
            raise body
        return body


def read(body):
    """Return the body's text and a price; `bad…` is of no use, but must be paid."""
    text = str(msgspec.json.decode(body))
    kinds = {"bad": UnparsableAnswerError, "cut": TruncatedAnswerError, "banned": EngineError}
    if text in kinds:
        error = kinds[text](f"it is {text}", hint="what to do")
        error.spent = msgspec.structs.asdict(PRICE)
        raise error
    return text, PRICE


GOOD, BAD, CUT, BANNED = b'"good"', b'"bad"', b'"cut"', b'"banned"'


@pytest.fixture
def store(memory_url):
    return open_store(memory_url)


def find(store, server, mode="use", tries=3, key=KEY, page_id="book/page 1"):
    answers = Answers(store, mode)
    return answers.find_or_ask(key, server.ask, read, tries=tries, page_id=page_id)


def keys(store):
    return sorted(entry.key for entry in store.list("_comic_ocr"))


def test_a_good_answer_is_kept_and_not_paid_again(store):
    server = Server(GOOD)
    first, second = find(store, server), find(store, server)
    assert (first.value, first.usage.cost_usd, first.usage.cached) == ("good", 0.25, False)
    assert (second.value, second.usage.cost_usd, second.usage.cached) == ("good", 0.25, True)
    assert server.tries == [0]
    assert keys(store) == [f"_comic_ocr/answers/ab/{KEY}.json"]


def test_another_request_is_asked(store):
    server = Server(GOOD, b'"other"')
    find(store, server)
    assert find(store, server, key="cd" * 32).value == "other"


def test_refresh_asks_again_and_replaces(store):
    find(store, Server(GOOD))
    assert find(store, Server(b'"newer"'), "refresh").value == "newer"
    assert find(store, Server()).value == "newer"


def test_off_neither_uses_nor_keeps(store):
    find(store, Server(GOOD))
    assert find(store, Server(b'"newer"'), "off").value == "newer"
    assert find(store, Server()).value == "good"


@pytest.mark.parametrize("mode", ["use", "refresh", "off"])
def test_without_a_store_everything_is_asked(mode):
    assert find(None, Server(GOOD), mode).value == "good"


def test_a_useless_answer_is_asked_for_again_and_all_is_paid(store):
    server = Server(BAD, CUT, GOOD)
    found = find(store, server)
    assert found.value == "good"
    assert server.tries == [0, 1, 2]
    assert found.usage.cost_usd == 0.75
    assert (found.usage.input_tokens, found.usage.output_tokens) == (30, 6)
    assert found.warnings == (
        "an answer was of no use: it is bad",
        "an answer was of no use: it is cut",
    )


def test_the_price_of_a_good_answer_is_not_paid_twice_over_when_it_is_used_again(store):
    find(store, Server(BAD, GOOD))
    again = find(store, Server())
    assert again.usage.cost_usd == 0.25
    assert not again.warnings


def test_useless_answers_end_in_a_failure_that_says_where_they_are(store):
    server = Server(BAD, CUT, BAD, GOOD)
    with pytest.raises(UnparsableAnswerError) as raised:
        find(store, server)
    error = raised.value
    path = "_comic_ocr/rejected/book/page 1.json"
    assert server.tries == [0, 1, 2]
    assert path in error.message
    assert "it is bad" in error.message
    assert error.hint == "what to do"
    assert error.exhausted
    assert error.spent["cost_usd"] == 0.75
    kept = msgspec.json.decode(store.get(path))
    assert [(one["code"], one["body"]) for one in kept] == [
        ("unparsable_answer", "bad"),
        ("truncated_answer", "cut"),
        ("unparsable_answer", "bad"),
    ]
    assert keys(store) == [path]


def test_the_failure_is_of_the_last_answer_s_kind(store):
    with pytest.raises(TruncatedAnswerError):
        find(store, Server(BAD, CUT), tries=2)


def test_one_try_is_one_try(store):
    server = Server(BAD, GOOD)
    with pytest.raises(UnparsableAnswerError):
        find(store, server, tries=1)
    assert server.tries == [0]


def test_what_another_answer_would_not_change_is_not_asked_again(store):
    server = Server(BAD, BANNED, GOOD)
    with pytest.raises(EngineError) as raised:
        find(store, server)
    assert server.tries == [0, 1]
    assert raised.value.spent["cost_usd"] == 0.5


@pytest.mark.parametrize("mode", ["off", "refresh"])
def test_useless_answers_are_kept_in_every_mode(store, mode):
    with pytest.raises(UnparsableAnswerError, match="_comic_ocr/rejected"):
        find(store, Server(BAD), mode, tries=1)


def test_without_a_store_a_failure_names_no_place():
    with pytest.raises(UnparsableAnswerError) as raised:
        find(None, Server(BAD), tries=1)
    assert "rejected" not in raised.value.message


def test_an_answer_that_is_no_json_is_kept_as_text(store):
    def refuse(_body):
        raise UnparsableAnswerError("it is a page of HTML")

    with pytest.raises(UnparsableAnswerError, match="HTML"):
        Answers(store, "use").find_or_ask(
            KEY, lambda _number: b"<p>busy \xff", refuse, tries=1, page_id="p"
        )
    (kept,) = msgspec.json.decode(store.get("_comic_ocr/rejected/p.json"))
    assert "<p>busy" in kept["body"]


@pytest.mark.parametrize("error", [RateLimitedError("later"), EngineUnavailableError("away")])
def test_a_server_that_fails_after_useless_answers_does_not_hide_their_price(store, error):
    with pytest.raises(type(error)) as raised:
        find(store, Server(BAD, error))
    assert raised.value.spent["cost_usd"] == 0.25


def test_a_refusal_goes_through(store):
    with pytest.raises(ApiRefusedError):
        find(store, Server(ApiRefusedError("no credit")))


def test_a_kept_answer_that_is_of_no_use_any_more_is_asked_again_and_replaced(store):
    store.put(f"_comic_ocr/answers/ab/{KEY}.json", BAD)
    found = find(store, Server(GOOD))
    assert (found.value, found.usage.cost_usd, found.usage.cached) == ("good", 0.25, False)
    assert find(store, Server()).usage.cached


def test_a_paid_answer_that_cannot_be_kept_is_still_an_answer(tmp_path):
    (tmp_path / "_comic_ocr").mkdir()
    (tmp_path / "_comic_ocr/answers").write_text("a file where a folder should be")
    found = Answers(open_store(str(tmp_path)), "refresh").find_or_ask(
        KEY, Server(GOOD).ask, read, tries=1, page_id="p"
    )
    assert found.value == "good"
    assert "kept" in found.warnings[0]


def test_useless_answers_that_cannot_be_kept_are_a_failure_of_the_page_with_its_price(tmp_path):
    (tmp_path / "_comic_ocr").mkdir()
    (tmp_path / "_comic_ocr/rejected").write_text("a file where a folder should be")
    with pytest.raises(UnparsableAnswerError) as raised:
        find(open_store(str(tmp_path)), Server(BAD, BAD), tries=2)
    assert raised.value.spent["cost_usd"] == 0.5


def test_usages_add_up_and_keep_what_is_no_number():
    total = add_usage(Usage(cost_usd=1.0, model="m"), {"cost_usd": 0.5, "model": "x"})
    assert (total.cost_usd, total.input_tokens, total.model) == (1.5, 0, "m")


@pytest.mark.parametrize(
    ("server", "facts", "image"),
    [("b", {"p": 1}, b"i"), ("a", {"p": 2}, b"i"), ("a", {"p": 1}, b"j"), ("a", {"q": 1}, b"i")],
)
def test_another_request_has_another_hash(server, facts, image):
    assert hash_request(server, facts, image) != hash_request("a", {"p": 1}, b"i")


def test_the_same_request_has_the_same_hash_in_any_order():
    first = hash_request("a", {"p": 1, "q": {"r": 2, "s": 3}}, b"i")
    assert hash_request("a", {"q": {"s": 3, "r": 2}, "p": 1}, b"i") == first
    assert len(first) == 64

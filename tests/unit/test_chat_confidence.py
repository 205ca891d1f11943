"""Confidence comes from the probabilities of the tokens that wrote a text."""

import json
import math
import time

import pytest

from comic_ocr.engines.chat.answers import read_answer
from comic_ocr.engines.chat.confidence import attach_confidence
from comic_ocr.page import Region


def region(text):
    return Region(text=text, bbox=(0, 0, 1, 1))


def rate(texts, tokens, content=None):
    """Return the confidences, from (token, probability)."""
    joined = "".join(token for token, _ in tokens) if content is None else content
    logs = [(token, math.log(p) if p else -math.inf) for token, p in tokens]
    rated = attach_confidence([region(text) for text in texts], joined, logs)
    assert [r.text for r in rated] == texts
    return [r.confidence for r in rated]


def test_a_text_has_the_mean_probability_of_its_tokens():
    tokens = [("[", 1), ('"', 1), ("HEL", 0.5), ("LO", 0.7), ('", "', 1), ("YOU", 0.1), ('"]', 1)]
    assert rate(["HELLO", "YOU"], tokens) == [0.6, 0.1]


def test_a_token_that_reaches_over_the_end_counts():
    assert rate(["HELLO"], [('["HEL', 0.5), ('LO"', 0.75), ("]", 1)]) == [0.625]


def test_the_same_text_again_is_the_next_one_in_the_answer():
    tokens = [('"', 1), ("HA", 0.25), ('", "', 1), ("HA", 0.75), ('"', 1)]
    assert rate(["HA", "HA"], tokens) == [0.25, 0.75]


@pytest.mark.parametrize("form", ["plain", "json", "ascii"])
def test_a_text_is_found_as_the_answer_spells_it(form):
    text = 'é "q"\\ \n「'
    in_json = json.dumps(text, ensure_ascii=form == "ascii")[1:-1]
    spelled = text if form == "plain" else in_json
    assert rate([text], [("- ", 1), (spelled, 0.5), (" -", 1)]) == [0.5]


def test_digits_of_a_box_are_not_taken_for_a_text():
    tokens = [('{"bbox_2d": [1, 2, 3, 4], "text": "', 1), ("1", 0.25), ('"}', 1)]
    assert rate(["1"], tokens) == [0.25]


def test_tagged_text_is_found_in_its_tags():
    tokens = [("<|ref|>12<|/ref|><|det|>[[1, 2]]<|/det|><|ref|>", 1), ("1", 0.5), ("<|/ref|>", 1)]
    assert rate(["12", "1"], tokens) == [1.0, 0.5]


def test_a_text_that_was_repaired_has_the_mean_of_all_tokens():
    assert rate(["not there", "A"], [("A", 0.2), ("B", 0.4)]) == [0.3, 0.2]


def test_parts_of_a_character_count_for_it():
    tokens = [("A", 1), ("\\xe6\\x97", 0.25), ("\\xa5", 0.75), ("本", 0.5), ("B", 1)]
    assert rate(["A", "日", "本", "B"], tokens, "A日本B") == [1.0, 0.5, 0.5, 1.0]


@pytest.mark.parametrize("odd", ["", "�", "<|end|>"])
def test_tokens_that_the_answer_does_not_show_do_no_harm(odd):
    assert rate(["AB"], [(odd, 0.9), ("A", 0.5), ("B", 0.5), (odd, 0.9)], "AB") == [0.5]


def test_probabilities_stay_between_0_and_1():
    tokens = [("A", -9999.0), ("B", math.nan), ("C", 0.3), ("D", -math.inf)]
    rated = attach_confidence([region(text) for text in "ABCD"], "ABCD", tokens)
    assert [r.confidence for r in rated] == [0.0, 0.0, 1.0, 0.0]


def test_without_tokens_there_is_no_confidence():
    (rated,) = attach_confidence([region("A")], "A", [])
    assert rated.confidence is None


def test_without_regions_there_is_nothing_to_rate():
    assert attach_confidence([], "[]", [("[]", 0.0)]) == []


@pytest.mark.parametrize("shown", [True, False])
def test_a_thousand_lines_are_rated_in_a_second(shown):
    lines = [{"bbox_2d": [i, 0, 9, 9], "text_content": f"行 {i} 「x」"} for i in range(1000)]
    content = json.dumps(lines, ensure_ascii=False)
    tokens = [(content[i : i + 3], -0.1) for i in range(0, len(content), 3)]
    if not shown:
        tokens = [("?!", log) for _, log in tokens]
    start = time.process_time()
    regions = read_answer(content, "lines", size=(1000, 1000), scale="thousand")
    rated = attach_confidence(regions, content, tokens)
    assert time.process_time() - start < 1
    assert {r.confidence for r in rated} == {0.9048}

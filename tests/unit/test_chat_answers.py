"""Answers that are no reading of the page are failures; plain text is one region."""

import time

import pytest

from comic_ocr.engines.chat.answers import check_answer, read_answer
from comic_ocr.errors import (
    EngineError,
    EngineUnavailableError,
    TruncatedAnswerError,
    UnparsableAnswerError,
)

SIZE = (800, 1200)
ENTRY = '{"bbox_2d": [10, 20, 30, 40], "text_content": "HA"}'
CELLS = "<tr>" + "<td></td>" * 6 + "</tr>"


def read(content, kind="text", scale="none"):
    return read_answer(content, kind, size=SIZE, scale=scale)


@pytest.mark.parametrize(
    ("content", "reason", "tokens", "error"),
    [
        ("HELLO", "length", 8192, TruncatedAnswerError),
        ("", "length", 8192, TruncatedAnswerError),
        ("HELLO", "content_filter", 5, EngineError),
        ("", "content_filter", 0, EngineError),
        ("HELLO", "error", 5, EngineUnavailableError),
        ("", "stop", 0, UnparsableAnswerError),
        ("", "stop", 7, UnparsableAnswerError),
        (" \n", None, 1, UnparsableAnswerError),
        ("<｜end▁of▁sentence｜>", "stop", 1, UnparsableAnswerError),
        ("<think>hm</think>", "stop", 9, UnparsableAnswerError),
    ],
)
def test_an_answer_that_is_cut_off_or_empty_is_a_failure(content, reason, tokens, error):
    found = check_answer(content, reason, tokens)
    assert type(found) is error


@pytest.mark.parametrize("reason", ["stop", None, "eos"])
@pytest.mark.parametrize("tokens", [0, 5])
def test_an_answer_with_text_is_none_however_its_tokens_are_counted(reason, tokens):
    assert check_answer("HELLO", reason, tokens) is None


@pytest.mark.parametrize(
    "content",
    [
        "Once upon a time " + "the cat sat on the mat. " * 12,
        "A" * 240,
        "!" * 8000,
        "HA " * 90,
        "ゴゴゴ" * 90,
        "[" + ", ".join([ENTRY] * 20) + "]",
        "```json\n[" + ", ".join([ENTRY] * 20) + "]\n```",
        "[" + ", ".join([ENTRY] * 20) + ', {"bbox_2d": [10',
        "x" + "".join(f"{i:03}" for i in range(66)) * 8,
        "the cat " * 40 + "<｜end▁of▁sentence｜>",
    ],
)
def test_an_answer_that_repeats_itself_without_end_is_a_failure(content):
    found = check_answer(content, "stop", 8192)
    assert type(found) is UnparsableAnswerError
    assert len(found.message) < 500


@pytest.mark.parametrize(
    "content",
    [
        "HA HA HA HA HA HA HA HA HA HA HA HA!",
        "A" * 239,
        "the cat sat on the mat, once. " * 7,
        "A" * 300 + "\n\nand then he fell asleep, and slept",
        "<table>" + CELLS * 20 + "</table>",
        "| name | sum |\n" + "|---|---|\n" * 40,
        "Name: " + "_" * 400,
        "Chapter 1 " + ". " * 200,
    ],
)
def test_laughter_screams_and_empty_forms_are_no_repetition(content):
    assert check_answer(content, "stop", 100) is None


def test_a_huge_answer_is_checked_in_a_second():
    start = time.process_time()
    for content in ("ab" * 16_000, "A" * 32_000 + "b", "".join(chr(33 + i) for i in range(32_000))):
        check_answer(content, "stop", 8192)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("HELLO\nTHERE\n\n「はい」", "HELLO\nTHERE\n\n「はい」"),
        ("```\nHELLO\n```", "HELLO"),
        ("```markdown\n# A\n\nB\n```", "# A\n\nB"),
        ("```markdown\n# A\n```c\nx\n```\n```", "# A\n```c\nx\n```"),
        ("```markdown\n# A", "# A"),
        ("A\n```c\nx\n```", "A\n```c\nx\n```"),
        ("```c\nx\n```\nA\n```c\ny\n```", "```c\nx\n```\nA\n```c\ny\n```"),
        ("<think>let me see</think>\nHELLO<|im_end|>", "HELLO"),
        ("HELLO<end_of_turn>", "HELLO"),
        ("HELLO</s>\n", "HELLO"),
        ("<s>HELLO</s> THERE", "<s>HELLO</s> THERE"),
        ("There is NO TEXT here", "There is NO TEXT here"),
        ('[{"number": "CS 101", "title": "Logic"}]', '[{"number": "CS 101", "title": "Logic"}]'),
    ],
)
@pytest.mark.parametrize("kind", ["text", "auto"])
def test_plain_text_is_one_region_with_the_box_of_the_page(content, text, kind):
    (region,) = read(content, kind)
    assert region.text == text
    assert region.bbox == (0.0, 0.0, 800.0, 1200.0)
    assert (region.confidence, region.metadata) == (None, {"box": "page"})


@pytest.mark.parametrize("content", ["NO TEXT", "No text.", "**NO TEXT**", "```\nNO TEXT\n```"])
def test_a_page_may_be_said_to_have_no_text(content):
    assert read(content) == []


@pytest.mark.parametrize("content", ["", "```\n```", "```", "<|im_end|>"])
@pytest.mark.parametrize("kind", ["text", "auto"])
def test_nothing_at_all_is_a_failure_and_no_empty_page(content, kind):
    with pytest.raises(UnparsableAnswerError):
        read(content, kind)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (f"[{ENTRY}]", ["HA"]),
        (f"```json\n{ENTRY}\n```", ["HA"]),
        ("[]", []),
        ("```json\n[]\n```", []),
        ("<|ref|>HA<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", ["HA"]),
    ],
)
def test_the_answer_to_a_prompt_of_ones_own_is_known_by_its_looks(content, texts):
    assert [region.text for region in read(content, "auto", "thousand")] == texts


def test_a_failure_shows_the_answer_and_what_to_do():
    with pytest.raises(UnparsableAnswerError) as caught:
        read("I am sorry, I cannot do that. " * 50, "lines")
    assert "I am sorry" in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.hint

"""What is known of chat models by their ids, and what they are asked."""

import pickle

import pytest

from comic_ocr.engines.chat.families import (
    ALIASES,
    DEEPSEEK,
    GEMMA,
    QWEN,
    explain_blind_model,
    find_box_scale,
)
from comic_ocr.engines.chat.prompts import Prompt

FAMILIES = [QWEN, GEMMA, DEEPSEEK]


@pytest.mark.parametrize(
    ("model", "scale"),
    [
        ("qwen/qwen3-vl-8b-instruct", "thousand"),
        ("Qwen/Qwen3-VL-30B-A3B-Instruct-FP8", "thousand"),
        ("qwen3-vl:8b", "thousand"),
        ("qwen3-vl-plus", "thousand"),
        ("Qwen/Qwen3-Omni-30B-A3B-Instruct", "thousand"),
        ("qwen/qwen3.5-9b", "thousand"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "pixels"),
        ("qwen/qwen-2.5-vl-7b-instruct", "pixels"),
        ("qwen2.5vl:7b", "pixels"),
        ("qwen2_5-vl-3b", "pixels"),
        ("qwen/qwen2.5-vl-72b-instruct:free", "pixels"),
        ("/models/Qwen2.5-VL-7B-Instruct/", "pixels"),
        ("qwen-vl-max", "pixels"),
        ("qwen/qwen-vl-plus", "pixels"),
        ("Qwen/Qwen2-VL-7B-Instruct", "thousand"),
        ("qwen/qwen-2-vl-7b-instruct", "thousand"),
        ("prithivMLmods/Qwen2-VL-OCR-2B-Instruct", "thousand"),
        ("deepseek-ai/DeepSeek-OCR", "999"),
        ("deepseek-ai/DeepSeek-OCR-2", "999"),
        ("deepseek-ocr:3b", "999"),
        ("google/gemma-3-27b-it", "none"),
        ("openai/gpt-4o", "none"),
        ("Qwen/Qwen2.5-7B-Instruct", "none"),
        ("my-own-model", "none"),
        ("", "none"),
    ],
)
def test_the_scale_of_boxes_follows_from_the_model(model, scale):
    assert find_box_scale(model) == scale


@pytest.mark.parametrize(
    "model",
    [
        "google/gemma-2-9b-it",
        "gemma2:27b",
        "google/gemma-7b-it",
        "gemma:2b",
        "google/gemma-1.1-7b-it",
        "google/codegemma-7b",
        "google/gemma-3-1b-it",
        "gemma3:1b",
        "google/gemma-3-270m-it",
        "google/medgemma-27b-text-it",
        "deepseek/deepseek-chat",
        "deepseek/deepseek-chat-v3-0324:free",
        "deepseek-ai/DeepSeek-V3.2",
        "deepseek/deepseek-r1",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
        "qwen/qwen-2.5-72b-instruct",
        "Qwen/Qwen2.5-7B-Instruct",
        "Qwen/Qwen2-7B",
        "qwen/qwen3-235b-a22b",
        "qwen/qwen3-coder",
        "qwen3:8b",
        "Qwen/QwQ-32B",
    ],
)
def test_a_model_that_cannot_see_is_known(model):
    assert explain_blind_model(model)


@pytest.mark.parametrize(
    "model",
    [
        *(family.default_model for family in FAMILIES),
        *ALIASES.values(),
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "qwen/qwen2.5-vl-32b-instruct:free",
        "qwen2_5-vl",
        "qwen2.5vl:7b",
        "qwen-vl-max",
        "qwen/qwen3.5-397b-a17b",
        "Qwen/Qwen2.5-Omni-7B",
        "google/gemma-3-4b-it",
        "gemma3:12b",
        "google/gemma-3n-e4b-it",
        "google/gemma-4-31b-it",
        "google/paligemma-3b-mix-448",
        "google/paligemma2-3b-mix-448",
        "deepseek-ai/deepseek-vl2",
        "meta-llama/llama-3.2-11b-vision-instruct",
        "my-own-model",
        "",
    ],
)
def test_a_model_that_can_see_or_is_not_known_is_let_through(model):
    assert explain_blind_model(model) is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_has_the_named_prompts_and_survives_pickle(family):
    assert {"markdown", "ocr", "tables", "course_catalog"} <= set(family.prompts)
    assert family.default_prompt in family.prompts
    assert pickle.loads(pickle.dumps(family)) == family


def test_a_default_prompt_asks_for_boxes_where_the_default_model_gives_them():
    for family in FAMILIES:
        boxed = find_box_scale(family.default_model) != "none"
        assert (family.prompts[family.default_prompt].answer != "text") is boxed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("markdown", "<image>\n<|grounding|>Convert the document to markdown."),
        ("ocr", "<image>\nFree OCR."),
        ("lines", "<image>\n<|grounding|>OCR this image."),
        (
            "tables",
            "<image>\n<|grounding|>Extract all tables and format them as markdown tables.",
        ),
        (
            "course_catalog",
            "<image>\n<|grounding|>Extract course information including course number, title, "
            "credits, and description. Format as structured data.",
        ),
    ],
)
def test_deepseeks_prompts_are_those_it_was_trained_on(name, text):
    prompt = DEEPSEEK.prompts[name]
    assert prompt.text == text
    assert prompt.sent_text == text.removeprefix("<image>\n")
    assert (prompt.answer == "grounding") is ("<|grounding|>" in text)


def test_a_prompt_without_the_mark_is_sent_as_it_is():
    assert Prompt(" Read <image> this.\n", "text").sent_text == " Read <image> this.\n"


@pytest.mark.parametrize("family", [QWEN, GEMMA], ids=lambda family: family.name)
def test_prompts_say_what_to_answer_where_there_is_no_text(family):
    for prompt in family.prompts.values():
        assert ("[]" if prompt.answer == "lines" else "NO TEXT") in prompt.text

"""Families of chat models: what each is asked by default, and what is known of a model's id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from comic_ocr.engines.chat.prompts import (
    DEEPSEEK_PROMPTS,
    GEMMA_PROMPTS,
    QWEN_PROMPTS,
    Prompt,
)

#: `thousand`: 0-1000 on both axes. `pixels`: of the image as Qwen2.5-VL scales it. `999`: 0-999 on
#: both axes (DeepSeek-OCR). `none`: the model gives no boxes, or none that can be trusted.
BoxScale = Literal["thousand", "pixels", "999", "none"]


@dataclass(frozen=True)
class Family:
    """What the engine must know of a method's models."""

    name: str
    default_model: str
    #: a name of `prompts`
    default_prompt: str
    prompts: Mapping[str, Prompt]
    #: the image goes before the text in the message
    image_first: bool = False
    #: what a server of one's own wants in the request besides; OpenRouter refuses such fields
    extra_body: Mapping[str, Any] = field(default_factory=dict)


QWEN = Family("qwen", "qwen/qwen3-vl-8b-instruct", "ocr", QWEN_PROMPTS)
GEMMA = Family("gemma", "google/gemma-3-27b-it", "ocr", GEMMA_PROMPTS)
DEEPSEEK = Family(
    "deepseek",
    "deepseek-ai/DeepSeek-OCR",
    # of its prompts, the one that gives every line a box
    "lines",
    DEEPSEEK_PROMPTS,
    image_first=True,
    # vLLM's recipe for the model: keep the tags, and hinder repetitions other than of table cells
    # (the two tokens are <td> and </td>)
    extra_body={
        "skip_special_tokens": False,
        "vllm_xargs": {
            "ngram_size": 30,
            "window_size": 90,
            "whitelist_token_ids": [128821, 128822],
        },
    },
)

#: Names that were in use in 2024, and the models on OpenRouter that stand in for them now.
ALIASES: Mapping[str, str] = {
    "qwen2-vl-2b-ocr": "qwen/qwen3-vl-8b-instruct",
    "qwen2-vl-7b": "qwen/qwen3-vl-8b-instruct",
    "gpt-4-vision": "openai/gpt-4o",
    "claude-3-opus": "anthropic/claude-opus-4.6",
}

_BOX_SCALES: tuple[tuple[re.Pattern[str], BoxScale], ...] = (
    (re.compile(r"deepseek.*ocr"), "999"),
    (re.compile(r"qwen-?2[.-]?5-?(vl|omni)"), "pixels"),
    # Alibaba's hosted names stand for Qwen2.5-VL
    (re.compile(r"qwen-vl-(max|plus|ocr)"), "pixels"),
    (re.compile(r"qwen-?(2|3)?-?vl|qwen-?3-?omni"), "thousand"),
    # from 3.5 on, all sizes see images
    (re.compile(r"qwen-?3\.[5-9]"), "thousand"),
)

_SEES = re.compile(r"vl|vision|omni|ocr|visual")
_BLIND: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"(?<![a-z])(code|recurrent)?gemma-?(2(?![0-9])|1\.1|7b)|medgemma.*text"),
        "Gemma 1 and 2 take text only",
    ),
    (
        re.compile(r"(?<![a-z])gemma-?3-?(1b|270m)"),
        "Gemma 3 takes images from 4B on",
    ),
    (
        re.compile(r"deepseek-?(chat|reasoner|coder|prover|math|llm|moe|v2|v3|r1)"),
        "DeepSeek's chat models take text only, other than DeepSeek-OCR",
    ),
    (
        re.compile(r"qwen-?(1\.5|2\.5|2|3)(?![.0-9])|(?<![a-z])qwq"),
        "Qwen up to 3 takes images only where the name has VL or Omni",
    ),
)


def find_box_scale(model: str) -> BoxScale:
    """Return how a model writes boxes, judged by its id; `none` where that is not known."""
    name = _normalise(model)
    return next((scale for pattern, scale in _BOX_SCALES if pattern.search(name)), "none")


def explain_blind_model(model: str) -> str | None:
    """Return why a model cannot see images, None where it can or nothing is known of it."""
    name = _normalise(model)
    if _SEES.search(name):
        return None
    return next((reason for pattern, reason in _BLIND if pattern.search(name)), None)


def _normalise(model: str) -> str:
    """Return a model's own name in one spelling: `Qwen/Qwen2_5-VL-7B` is `qwen2.5-vl-7b`.

    Ollama writes the size after a colon, as in `gemma3:1b`.
    """
    name = model.strip().lower().rstrip("/").rpartition("/")[2]
    name = re.sub(r"(?<=\d)_(?=\d)", ".", name)
    return re.sub(r"[_:\s]+", "-", name)

"""Methods `qwen`, `gemma` and `deepseek`: vision models behind an OpenAI-compatible API."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from comic_ocr.engines.base import Method
from comic_ocr.engines.chat import families
from comic_ocr.engines.chat.engine import ChatEngine
from comic_ocr.engines.chat.options import (
    ChatOptions,
    DeepSeekOptions,
    GemmaOptions,
    QwenOptions,
    key_variable,
    missing_key,
    resolve_options,
)


def _make_method(family: families.Family, options: type[ChatOptions], summary: str) -> Method:
    return Method(
        family.name,
        summary,
        build=partial(ChatEngine, family),
        options=options,
        missing=lambda _options: None if find_spec("openai") else "pip install openai",
        resolve=partial(resolve_options, prompts=tuple(family.prompts)),
        key_variable=key_variable,
        missing_key=missing_key,
        runs_on=("api",),
        price="by the token; OpenRouter says it with each page",
        page_usd=lambda _options: None,
        typical_s=8.0,
        load_s=1.0,
        memory_mb=1024,
        concurrency=32,
    )


QWEN = _make_method(families.QWEN, QwenOptions, "Qwen-VL: text with boxes, any language")
GEMMA = _make_method(families.GEMMA, GemmaOptions, "Gemma: text without boxes, any language")
DEEPSEEK = _make_method(
    families.DEEPSEEK, DeepSeekOptions, "DeepSeek-OCR: text with boxes, tables, markdown"
)

"""What chat servers answer about a page of known text, each model in the format of its own."""

from __future__ import annotations

import base64
import json
import math
import re
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from comic_ocr.testing.api_server.schema import fill_schema
from comic_ocr.testing.api_server.truth import (
    Answer,
    RefusedError,
    SentImage,
    TruthLine,
    TruthPage,
    read_image,
)

#: what a model that writes plain text says of a page without text
NO_TEXT = "NO TEXT"
#: the box of a page without text, which DeepSeek-OCR calls an image
_WHOLE = (0, 0, 999, 999)
_VISION_MODELS = (
    "qwen/qwen3-vl-8b-instruct",
    "qwen/qwen2.5-vl-72b-instruct",
    "google/gemma-3-27b-it",
    "deepseek/deepseek-ocr",
)
_TEXT_MODELS = ("google/gemma-2-9b-it", "deepseek/deepseek-chat")
_SPECIAL = re.compile(r"<\|[^|<>]*\|>")
_TOKEN = re.compile(r"<\|[^|<>]*\|>|[\U00010000-\U0010ffff]|\s*\w{1,4}|\s*[^\w\s]|\s+")
_BOXES = re.compile(r"qwen-?(3|2\.5|2)-vl")
_DATA_URL = re.compile(r"data:([\w.+/-]+);base64,")


class Offer(msgspec.Struct, frozen=True):
    """What kind of chat server this is."""

    #: `openrouter`, or `vllm`: no price, OpenAI's errors, special tokens dropped unless asked for
    dialect: str = "openrouter"
    #: of an answer
    cost_usd: float = 0.001
    logprobs: bool = True
    schema: bool = True


@dataclass(frozen=True)
class ChatAsk:
    """A chat completion that was asked for."""

    model: str
    prompt: str
    image: SentImage
    #: JSON schema of the answer
    schema: Mapping[str, Any] | None
    max_tokens: int | None
    logprobs: bool
    skip_special_tokens: bool
    #: the request without its image
    record: Mapping[str, Any]

    def answer(self, page: TruthPage, fault: str, offer: Offer) -> Answer:
        """Return the chat completion, spoiled as the fault says."""
        content = spoil(write_content(self, page, offer), fault)
        tokens = split_tokens(content)
        limit = len(tokens) // 2 if fault == "truncated" else self.max_tokens or len(tokens)
        kept = tokens[:limit]
        content = b"".join(data for _, data in kept).decode("utf-8", "ignore")
        choice: dict[str, Any] = {
            "index": 0,
            "logprobs": {"content": _rate_tokens(kept), "refusal": None} if self.logprobs else None,
            "finish_reason": "length" if limit < len(tokens) else "stop",
            "message": {"role": "assistant", "content": content, "refusal": None},
        }
        if fault == "choice_error":
            choice |= {"finish_reason": "error", "error": provider_error(502)}
        usage: dict[str, Any] = {
            "prompt_tokens": 10 + self.image.width * self.image.height // 784,
            "completion_tokens": len(kept),
        }
        usage["total_tokens"] = sum(usage.values())
        return _sign(self.model, choice, usage, offer)


def _sign(model: str, choice: dict[str, Any], usage: dict[str, Any], offer: Offer) -> Answer:
    """Return the completion with what the servers name differently."""
    head: dict[str, Any] = {"object": "chat.completion", "created": int(time.time())}
    cost = 0.0
    if offer.dialect == "openrouter":
        cost = offer.cost_usd if usage["completion_tokens"] else 0.0
        choice["native_finish_reason"] = choice["finish_reason"]
        choice["message"]["reasoning"] = None
        usage |= {"cost": cost, "prompt_tokens_details": {"cached_tokens": 0}}
        head |= {"id": f"gen-{uuid.uuid4().hex}", "provider": "Loopback"}
    else:
        choice["message"]["tool_calls"] = []
        head |= {"id": f"chatcmpl-{uuid.uuid4().hex}", "system_fingerprint": None}
    completion = head | {"model": model, "choices": [choice], "usage": usage}
    return Answer(msgspec.json.encode(completion), cost)


def read_chat(body: bytes, offer: Offer) -> ChatAsk:
    """Return what a body of /chat/completions asks for.

    Raises:
        RefusedError: it has no image, or wants what this server does not do.
    """
    try:
        wanted: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        parts = [part for message in wanted["messages"] for part in _parts(message["content"])]
        image = next(part["image_url"] for part in parts if part["type"] == "image_url")
        url = image["url"]
        model = str(wanted["model"])
    except (msgspec.DecodeError, KeyError, StopIteration, TypeError):
        raise RefusedError(400, "the request has no model or no image_url") from None
    for name, served in (("logprobs", offer.logprobs), ("response_format", offer.schema)):
        if wanted.get(name) and not served:
            raise RefusedError(400, f"unsupported parameter: {name}", style="vllm")
    if wanted.get("stream"):
        raise RefusedError(400, "streams are not served here")
    if model in _TEXT_MODELS:
        raise RefusedError(404, "No endpoints found that support image input")
    sent = _read_data_url(url)
    image["url"] = sent._asdict()
    return ChatAsk(
        model=model,
        prompt="\n".join(part["text"] for part in parts if part["type"] == "text"),
        image=sent,
        schema=((wanted.get("response_format") or {}).get("json_schema") or {}).get("schema"),
        max_tokens=wanted.get("max_completion_tokens") or wanted.get("max_tokens"),
        logprobs=bool(wanted.get("logprobs")),
        skip_special_tokens=wanted.get("skip_special_tokens", True),
        record=wanted,
    )


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _read_data_url(url: str) -> SentImage:
    head = _DATA_URL.match(url)
    if head is None:
        raise RefusedError(400, "only data: URLs with base64 are fetched here")
    try:
        data = base64.b64decode(memoryview(url.encode())[head.end() :], validate=True)
    except ValueError:
        raise RefusedError(400, "the image is not base64") from None
    return read_image(data, head[1], refused_as=400)


def write_content(ask: ChatAsk, page: TruthPage, offer: Offer) -> str:
    """Return what the model that is asked writes about the page."""
    model = ask.model.lower()
    kind = _BOXES.search(model)
    spans = (1000, 1000)
    if kind and kind[1] == "2.5":
        spans = smart_resize(ask.image.width, ask.image.height)
    boxed = [
        {"bbox_2d": [round(v) for v in page.corners(line, *spans)], "text_content": line.text}
        for line in page.lines
    ]
    if ask.schema is not None:
        return json.dumps(fill_schema(ask.schema, boxed), ensure_ascii=False)
    if kind:
        rows = ",\n".join("\t" + json.dumps(row, ensure_ascii=False) for row in boxed)
        return f"```json\n[\n{rows}\n]\n```" if rows else "```json\n[]\n```"
    if "deepseek-ocr" in model and "<|grounding|>" in ask.prompt:
        grounded = "\n".join(_ground(line, page) for line in page.lines) or _refer("image", _WHOLE)
        hides = offer.dialect == "vllm" and ask.skip_special_tokens
        return _SPECIAL.sub("", grounded) if hides else grounded
    return "\n".join(line.text for line in page.lines) or NO_TEXT


def _ground(line: TruthLine, page: TruthPage) -> str:
    return f"{_refer('text', page.corners(line, 999, 999))}\n{line.text}\n"


def _refer(label: str, corners: Sequence[float]) -> str:
    return f"<|ref|>{label}<|/ref|><|det|>[{[round(v) for v in corners]}]<|/det|>"


def smart_resize(
    width: int, height: int, factor: int = 28, least: int = 3136, most: int = 12_845_056
) -> tuple[int, int]:
    """Return the size in pixels at which Qwen2.5-VL sees an image.

    Both sides are multiples of `factor`, the area is between `least` and `most`, the shape is kept
    as far as that allows. Formula: Qwen2-VL's image processor, `smart_resize`, in transformers.
    """
    sides = (width, height)
    near = [max(factor, round(side / factor) * factor) for side in sides]
    area = near[0] * near[1]
    if area > most:
        shrink = math.sqrt(width * height / most)
        near = [max(factor, math.floor(side / shrink / factor) * factor) for side in sides]
    elif area < least:
        grow = math.sqrt(least / (width * height))
        near = [math.ceil(side * grow / factor) * factor for side in sides]
    return near[0], near[1]


def spoil(content: str, fault: str) -> str:
    """Return the content as a model in that trouble writes it."""
    if fault == "empty":
        return ""
    if fault == "garbage":
        return 'I see {"bbox_2d": [12, "text_content": the page shows\n]] **many**: things}'
    return content


def split_tokens(content: str) -> list[tuple[str, bytes]]:
    """Return small tokens and their bytes, which joined are the content.

    A character of four bytes is two tokens, neither of which is text: as with byte-level BPE.
    """
    tokens: list[tuple[str, bytes]] = []
    for text in _TOKEN.findall(content):
        data = text.encode()
        if len(text) == 1 and len(data) == 4:
            halves = (data[:2], data[2:])
            tokens += [("".join(f"\\x{byte:02x}" for byte in half), half) for half in halves]
        else:
            tokens.append((text, data))
    return tokens


def _rate_tokens(tokens: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Return OpenAI's list of log probabilities; the same token at the same place has the same."""
    return [
        {
            "token": text,
            "logprob": -((((zlib.crc32(data) + 7 * place) % 400) / 1000) ** 2) - 1e-6,
            "bytes": list(data),
            "top_logprobs": [],
        }
        for place, (text, data) in enumerate(tokens)
    ]


def provider_error(code: int) -> dict[str, Any]:
    """Return OpenRouter's error object for a provider that failed."""
    return {
        "code": code,
        "message": "Provider returned error",
        "metadata": {"provider_name": "Loopback", "raw": "upstream connect error"},
    }


def list_models(offer: Offer) -> dict[str, Any]:
    """Return what GET /models says, as OpenRouter or vLLM lists them."""
    names = _VISION_MODELS + _TEXT_MODELS
    if offer.dialect == "vllm":
        shared = {"object": "model", "created": 1, "owned_by": "vllm", "parent": None}
        models = [{"id": n, "root": n, "max_model_len": 8192} | shared for n in names]
        return {"object": "list", "data": models}
    return {"data": [_describe_model(name, offer) for name in names]}


def _describe_model(name: str, offer: Offer) -> dict[str, Any]:
    inputs = ["text", "image"] if name in _VISION_MODELS else ["text"]
    takes = ["max_tokens", "temperature", "top_p", "seed"]
    takes += ["logprobs", "top_logprobs"] if offer.logprobs else []
    takes += ["response_format", "structured_outputs"] if offer.schema else []
    return {
        "id": name,
        "name": name,
        "created": 1,
        "architecture": {
            "input_modalities": inputs,
            "output_modalities": ["text"],
            "modality": f"{'+'.join(inputs)}->text",
        },
        "pricing": {"prompt": "0.0000001", "completion": "0.0000004", "image": "0"},
        "supported_parameters": takes,
        "context_length": 131072,
        "top_provider": {"max_completion_tokens": 32768, "is_moderated": False},
    }

"""Options of the chat methods, and what is made of them before a job starts."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from comic_ocr.engines.api.keys import OTHER_KEY, find_key, key_is_missing
from comic_ocr.engines.api.options import ApiOptions, check_base_url, find_host
from comic_ocr.engines.base import TUNING
from comic_ocr.engines.chat.families import ALIASES, DEEPSEEK, GEMMA, QWEN, explain_blind_model
from comic_ocr.errors import EngineMissingError, OptionError

OPENROUTER_URL = "https://openrouter.ai/api/v1"
OPENROUTER_KEY = "OPENROUTER_API_KEY"
_LIST_TIMEOUT_S = 10.0


class ChatOptions(ApiOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of methods `qwen`, `gemma` and `deepseek`."""

    #: as the server names it
    model: str = ""
    #: a named prompt, a text of your own, or @FILE
    prompt: str = ""
    #: of any server that speaks OpenAI's chat completions
    base_url: str = OPENROUTER_URL
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    #: of one answer; a longer one is cut off, which is a failure
    max_tokens: Annotated[int, Meta(ge=1)] = 8192
    #: what the numbers of a box are: of 1000, of 999, pixels as the model saw them, or no boxes
    boxes: Literal["auto", "thousand", "999", "pixels", "none"] = "auto"
    #: hold the server to a JSON schema where it can and the prompt asks for boxes
    json_schema: Literal["auto", "off"] = "auto"
    #: ask for log probabilities, for confidence; auto: not on OpenRouter, few models have them
    logprobs: Literal["auto", "on", "off"] = "auto"
    #: larger pages are sent with their longer side brought down to this; 0 for never
    max_side_px: Annotated[int, Meta(ge=0)] = 3072
    #: dollars per million tokens, where the server does not name its price
    usd_per_million_input: Annotated[float, Meta(ge=0), TUNING] = 0.0
    usd_per_million_output: Annotated[float, Meta(ge=0), TUNING] = 0.0


class QwenOptions(ChatOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str = QWEN.default_model
    prompt: str = QWEN.default_prompt


class GemmaOptions(ChatOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str = GEMMA.default_model
    prompt: str = GEMMA.default_prompt


class DeepSeekOptions(ChatOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str = DEEPSEEK.default_model
    prompt: str = DEEPSEEK.default_prompt


def is_openrouter(options: ChatOptions) -> bool:
    """Return whether the server is OpenRouter."""
    host = find_host(options.base_url)
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")


def key_variable(options: ChatOptions) -> str:
    """Return the environment variable with the server's key."""
    return options.api_key_env or (OPENROUTER_KEY if is_openrouter(options) else OTHER_KEY)


def missing_key(options: ChatOptions) -> str | None:
    """Return how to give OpenRouter's key, None where it is there or the server may need none."""
    return key_is_missing(options, key_variable(options)) if is_openrouter(options) else None


def resolve_options(options: ChatOptions, prompts: Collection[str] = ()) -> ChatOptions:
    """Return the options as workers get them: aliases and prompt files replaced by what they name.

    Asks the server for its models, where it answers: one that is not there, or cannot see images,
    is refused before any page is sent. A server that does not answer here may answer the workers.

    Args:
        options: as given.
        prompts: names that the method knows; another single word is refused.

    Raises:
        OptionError: the model, the URL or the prompt file does not work. Not retryable.
    """
    model = ALIASES.get(options.model, options.model)
    blind = explain_blind_model(model)
    if blind:
        raise _blind(model, blind)
    ready = msgspec.structs.replace(
        options,
        model=model,
        prompt=_read_prompt(options.prompt, prompts),
        base_url=check_base_url(options.base_url),
    )
    _check_model(ready)
    return ready


def _blind(model: str, why: str) -> OptionError:
    return OptionError(
        f'model "{model}" cannot read pages: {why}.',
        hint=f"take one that sees images, such as {QWEN.default_model} or {GEMMA.default_model}",
    )


def _read_prompt(prompt: str, names: Collection[str]) -> str:
    if not prompt.startswith("@"):
        _refuse_misspelt(prompt, names)
        return prompt
    path = Path(prompt[1:])
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise OptionError(
            f"the prompt file {path} cannot be read: {error}", hint="check @FILE"
        ) from error
    if not text:
        raise OptionError(f"the prompt file {path} is empty.", hint="write the prompt into it")
    return text


def _refuse_misspelt(prompt: str, names: Collection[str]) -> None:
    """A single word that is no prompt's name would be sent, and paid, with every page."""
    if not names or prompt in names or len(prompt.split()) > 1:
        return
    raise OptionError(
        f'there is no prompt named "{prompt}".',
        hint=f"prompts: {', '.join(names)}; a text of your own has more than one word, or is @FILE",
    )


def _check_model(options: ChatOptions) -> None:
    """Refuse a model that the server says it does not have, or that takes no images."""
    models = _list_models(options)
    if models is None:
        return
    name = options.model
    # OpenRouter's variants, such as `:free`, need not be listed; Ollama lists `:latest` in full.
    spellings = (name, name.partition(":")[0], f"{name}:latest")
    entry = next((models[spelling] for spelling in spellings if spelling in models), None)
    if entry is None:
        seeing = sorted(key for key, facts in models.items() if "image" in _inputs(facts, "image"))
        close = difflib.get_close_matches(name, seeing, n=3) or seeing[:3]
        raise OptionError(
            f'{urlsplit(options.base_url).netloc} has no model "{name}".',
            hint=f"it has, among others, {', '.join(close)}; another server: --option base_url=URL",
        )
    modalities = _inputs(entry)
    if modalities and "image" not in modalities:
        raise _blind(name, f"the server says that it takes {', '.join(modalities)} only")


def _inputs(entry: dict[str, Any], *default: str) -> list[str]:
    """Return what a model takes, such as text and image, where the server says it."""
    facts = entry.get("architecture")
    modalities = facts.get("input_modalities") if isinstance(facts, dict) else None
    return [str(name) for name in modalities] if isinstance(modalities, list) else list(default)


def _list_models(options: ChatOptions) -> dict[str, Any] | None:
    try:
        key = None if is_openrouter(options) else find_key(options, key_variable(options))
    except EngineMissingError:
        # A secret may be for the workers alone; they say so if they cannot read it either.
        return None
    return _fetch_models(options.base_url, key)


@lru_cache(maxsize=8)
def _fetch_models(base_url: str, key: str | None) -> dict[str, Any] | None:
    """Return the server's models by id, None where it does not answer with a list."""
    import httpx2

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx2.get(f"{base_url}/models", headers=headers, timeout=_LIST_TIMEOUT_S)
        data = msgspec.json.decode(reply.content)["data"] if reply.is_success else []
    except (httpx2.HTTPError, msgspec.DecodeError, KeyError, TypeError):
        return None
    if not isinstance(data, list):
        return None
    return {str(entry.get("id")): entry for entry in data if isinstance(entry, dict)} or None

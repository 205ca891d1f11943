"""The engine behind the chat methods: a page and a prompt to an OpenAI-compatible server."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from comic_ocr.engines.api.answers import Answers, hash_request
from comic_ocr.engines.api.images import SentImage, encode_page, is_blank
from comic_ocr.engines.api.keys import find_key
from comic_ocr.engines.base import EngineSetup, Recognition
from comic_ocr.engines.chat.answers import check_answer, read_answer
from comic_ocr.engines.chat.completion import read_completion
from comic_ocr.engines.chat.confidence import attach_confidence
from comic_ocr.engines.chat.families import BoxScale, Family, find_box_scale
from comic_ocr.engines.chat.options import ChatOptions, is_openrouter, key_variable
from comic_ocr.engines.chat.prompts import LINES_SCHEMA, Prompt
from comic_ocr.errors import PageError
from comic_ocr.images import PageImage
from comic_ocr.page import Region, Usage

if TYPE_CHECKING:
    from comic_ocr.engines.api.client import ApiClient

#: An answer that was of no use is asked for again with this much more temperature: at 0 the
#: same would come again.
_WARMER = 0.2
#: Sent smaller than this, a page gets a warning.
_LEAST_SCALE = 0.5


class ChatEngine:
    """Reads pages by asking; from many threads at once."""

    def __init__(self, family: Family, setup: EngineSetup) -> None:
        if not isinstance(setup.options, ChatOptions):
            raise TypeError(f"expected ChatOptions, got {type(setup.options).__name__}")
        self._family = family
        self._options = setup.options
        self._api = setup.api
        self._answers = Answers(setup.api.store, setup.options.cache)
        self._prompt = _find_prompt(family, setup.options.prompt)
        self._scale = _choose_scale(setup.options)
        self._client: ApiClient | None = None
        self.model: str | None = setup.options.model
        self.version = ""

    def load(self) -> None:
        """Open the client."""
        import openai

        from comic_ocr.engines.api.client import ApiClient

        options = self._options
        key = find_key(options, key_variable(options))
        self._client = ApiClient(options.base_url, key, options, self._api)
        self.version = f"openai {openai.__version__}"

    def recognize(self, page: PageImage) -> Recognition:
        """Return the text that the model reads, in its own order, with boxes where it gives any."""
        if is_blank(page):
            return Recognition([], warnings=("the page is blank: it was not sent",))
        image = encode_page(page, self._options.max_side_px)
        size = (page.width, page.height)
        page.release()
        facts = {"body": self._make_body(None, 0), "extras": self._make_extras()}
        answer = self._answers.find_or_ask(
            hash_request(self._options.base_url, facts, image.data),
            lambda number: self._ask(image, number),
            lambda body: self._read(body, size, (image.width, image.height)),
            tries=self._options.answer_tries,
            page_id=page.page_id,
        )
        warnings = answer.warnings + self._warn(max(size), max(image.width, image.height))
        return Recognition(answer.value, answer.usage, warnings)

    def _warn(self, side_px: int, sent_px: int) -> tuple[str, ...]:
        if sent_px >= side_px * _LEAST_SCALE:
            return ()
        return (
            f"the page was sent at {sent_px / side_px:.0%} of its size (option max_side_px); "
            "small letters may be missed",
        )

    def _ask(self, image: SentImage, number: int) -> bytes:
        from comic_ocr.engines.api.client import Request

        if self._client is None:
            raise RuntimeError("recognize() before load()")
        encoded = base64.b64encode(image.data).decode("ascii")
        body = self._make_body(f"data:{image.mime};base64,{encoded}", number)
        request = Request("/chat/completions", json=body, extras=self._make_extras())
        return self._client.ask(request).content

    def _make_body(self, image_url: str | None, number: int) -> dict[str, Any]:
        options = self._options
        parts: list[dict[str, Any]] = [{"type": "text", "text": self._prompt.sent_text}]
        if image_url:
            picture = {"type": "image_url", "image_url": {"url": image_url}}
            parts.insert(0 if self._family.image_first else 1, picture)
        body: dict[str, Any] = {
            "model": options.model,
            "messages": [{"role": "user", "content": parts}],
            "temperature": min(2.0, options.temperature + _WARMER * number),
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
        }
        return body if is_openrouter(options) else {**body, **self._family.extra_body}

    def _make_extras(self) -> list[dict[str, Any]]:
        """Return what not every server knows, the least needed last."""
        extras: list[dict[str, Any]] = []
        asked = self._options
        if asked.json_schema == "auto" and self._prompt.answer == "lines":
            extra: dict[str, Any] = {"response_format": LINES_SCHEMA}
            if is_openrouter(asked):
                extra["provider"] = {"require_parameters": True}
            extras.append(extra)
        if asked.logprobs == "on" or (asked.logprobs == "auto" and not is_openrouter(asked)):
            extras.append({"logprobs": True})
        return extras

    def _read(
        self, body: bytes, size: tuple[int, int], sent: tuple[int, int]
    ) -> tuple[list[Region], Usage]:
        """Return what a reply's body says of a page, and its price; sizes are (width, height)."""
        completion = read_completion(body, self._options)
        content, usage = completion.content, completion.usage
        try:
            trouble = check_answer(content, completion.finish_reason, usage.output_tokens)
            if trouble is not None:
                raise trouble
            regions = read_answer(
                content, self._prompt.answer, size=size, scale=self._scale, sent=sent
            )
        except PageError as error:
            error.spent = msgspec.structs.asdict(usage)
            raise
        return attach_confidence(regions, content, completion.tokens), usage


def _find_prompt(family: Family, asked: str) -> Prompt:
    return family.prompts.get(asked) or Prompt(asked, "auto")


def _choose_scale(options: ChatOptions) -> BoxScale:
    return find_box_scale(options.model) if options.boxes == "auto" else options.boxes

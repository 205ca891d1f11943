"""The engine behind method `upstage`: a page to Upstage, regions from its answer."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from comic_ocr.engines.api.answers import Answers, hash_request
from comic_ocr.engines.api.images import SentImage, encode_page, is_blank
from comic_ocr.engines.api.keys import find_key
from comic_ocr.engines.base import EngineSetup, Recognition
from comic_ocr.engines.upstage.bill import read_bill
from comic_ocr.engines.upstage.fields import read_prebuilt, read_universal
from comic_ocr.engines.upstage.options import (
    ApiType,
    UpstageOptions,
    find_model,
    find_price,
    key_variable,
)
from comic_ocr.engines.upstage.parse import read_elements
from comic_ocr.engines.upstage.words import read_words
from comic_ocr.errors import EngineError, PageError, UnparsableAnswerError
from comic_ocr.images import PageImage
from comic_ocr.page import Region, Usage

if TYPE_CHECKING:
    from comic_ocr.engines.api.client import ApiClient, Request
    from comic_ocr.engines.upstage.later import LateAnswers

#: of one file: https://console.upstage.ai/docs/capabilities/extract/universal-extraction
MAX_BYTES = 50 * 1024 * 1024
#: WebP is not on Upstage's list
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png"}
_DIGITIZATION_PATH = "/document-digitization"
_EXTRACTION_PATH = "/information-extraction"
_FORMATS = '["text","html","markdown"]'
_READERS: Mapping[ApiType, Callable[[bytes, tuple[int, int]], list[Region]]] = {
    "document-parse": read_elements,
    "ocr": read_words,
    "prebuilt-extraction": read_prebuilt,
    "universal-extraction": read_universal,
}
DEPRECATED = (
    "Upstage deprecated prebuilt extraction on 2026-05-06: "
    "use api_type=universal-extraction with a schema"
)


class UpstageEngine:
    """Reads pages by asking Upstage; from many threads at once."""

    def __init__(self, setup: EngineSetup) -> None:
        if not isinstance(setup.options, UpstageOptions):
            raise TypeError(f"expected UpstageOptions, got {type(setup.options).__name__}")
        self._options = setup.options
        self._api = setup.api
        self._answers = Answers(setup.api.store, setup.options.cache)
        self._client: ApiClient | None = None
        self._late: LateAnswers | None = None
        self.model: str | None = find_model(setup.options)
        self.version = ""

    def load(self) -> None:
        """Open the client."""
        import openai

        from comic_ocr.engines.api.client import ApiClient
        from comic_ocr.engines.upstage.later import LateAnswers

        options = self._options
        key = find_key(options, key_variable(options))
        self._client = ApiClient(options.base_url, key, options, self._api)
        if options.asynchronous:
            self._late = LateAnswers(self._client, self._answers)
        self.version = f"openai {openai.__version__}"

    def recognize(self, page: PageImage) -> Recognition:
        """Return what Upstage reads, in its own order."""
        if is_blank(page):
            return Recognition([], warnings=("the page is blank: it was not sent",))
        image = encode_for_upstage(page)
        size = (page.width, page.height)
        page.release()
        options = self._options
        key = hash_request(options.base_url, _list_facts(options), image.data)
        answer = self._answers.find_or_ask(
            key,
            lambda number: self._ask(key, image, number),
            lambda body: read_answer(body, size, options),
            tries=options.answer_tries,
            page_id=page.page_id,
        )
        warnings = answer.warnings
        if options.api_type == "prebuilt-extraction":
            warnings = (*warnings, DEPRECATED)
        return Recognition(answer.value, answer.usage, warnings)

    def _ask(self, key: str, image: SentImage, number: int) -> bytes:
        if self._client is None:
            raise RuntimeError("recognize() before load()")
        request = make_request(self._options, image)
        if self._late is not None:
            # A document that was of no use would be of no use again.
            return self._late.ask(key, request, resume=number == 0)
        return self._client.ask(request).content


def read_answer(
    body: bytes, size: tuple[int, int], options: UpstageOptions
) -> tuple[list[Region], Usage]:
    """Return the regions of an answer, and what it cost.

    Args:
        body: of the answer.
        size: (width, height) of the page in pixels.
        options: say what was asked for, and its price.

    Raises:
        UnparsableAnswerError, TruncatedAnswerError: it is of no use; `spent` says what it cost.
            Retryable.
    """
    bill = read_bill(body)
    usage = bill.charge(find_price(options) or 0.0)
    try:
        if bill.pages == 0:
            raise UnparsableAnswerError("the answer is about no page: 0 pages were read")
        return _READERS[options.api_type](body, size), usage
    except PageError as error:
        error.spent = msgspec.structs.asdict(usage)
        raise


def make_request(options: UpstageOptions, image: SentImage) -> Request:
    """Return the request for a page."""
    from comic_ocr.engines.api.client import Request
    from comic_ocr.engines.upstage.later import ASYNC_PATH

    if options.api_type == "universal-extraction":
        return Request(f"{_EXTRACTION_PATH}/chat/completions", json=_make_chat(options, image))
    is_extraction = options.api_type == "prebuilt-extraction"
    path = _EXTRACTION_PATH if is_extraction else _DIGITIZATION_PATH
    return Request(
        ASYNC_PATH if options.asynchronous else path,
        form=_list_form(options),
        files={"document": (f"page.{_EXTENSIONS[image.mime]}", image.data, image.mime)},
    )


def _list_form(options: UpstageOptions) -> dict[str, str]:
    form = {"model": find_model(options)}
    if options.api_type == "document-parse":
        form |= {"ocr": options.ocr, "coordinates": "true", "output_formats": _FORMATS}
    return form


def _make_chat(options: UpstageOptions, image: SentImage) -> dict[str, Any]:
    url = f"data:{image.mime};base64,{base64.b64encode(image.data).decode('ascii')}"
    schema = {"name": "fields", "schema": msgspec.json.decode(options.schema)}
    return {
        "model": find_model(options),
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
        ],
        "response_format": {"type": "json_schema", "json_schema": schema},
    }


def _list_facts(options: UpstageOptions) -> dict[str, Any]:
    """Return what the answer depends on besides the image; not whether it comes later."""
    return {"api_type": options.api_type, "schema": options.schema, **_list_form(options)}


def encode_for_upstage(page: PageImage) -> SentImage:
    """Return the page as Upstage takes it.

    Raises:
        EngineError: it is larger than Upstage takes. Not retryable.
    """
    image = encode_page(page, formats=("JPEG", "PNG"))
    if len(image.data) > MAX_BYTES:
        raise EngineError(
            f"the page is {len(image.data) / 2**20:.1f} MB as it is sent; Upstage takes "
            f"{MAX_BYTES // 2**20} MB",
            hint="store it as JPEG, or smaller",
        )
    return image

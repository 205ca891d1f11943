"""Options of method `upstage`, and what is made of them before a job starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from comic_ocr.engines.api.keys import OTHER_KEY, key_is_missing
from comic_ocr.engines.api.options import ApiOptions, check_base_url
from comic_ocr.engines.base import TUNING
from comic_ocr.errors import OptionError

ApiType = Literal["document-parse", "ocr", "prebuilt-extraction", "universal-extraction"]

UPSTAGE_URL = "https://api.upstage.ai/v1"
UPSTAGE_KEY = "UPSTAGE_API_KEY"

DEFAULT_MODELS: Mapping[ApiType, str] = {
    "document-parse": "document-parse",
    "ocr": "ocr",
    "prebuilt-extraction": "receipt-extraction",
    "universal-extraction": "information-extract",
}
#: Dollars a page, standard mode, pay as you go, as read on 2026-11-22 at
#: https://console.upstage.ai/docs/models/document-parse.md; no public page names the others'.
LIST_PRICES: Mapping[ApiType, float] = {"document-parse": 0.01}


class UpstageOptions(ApiOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of method `upstage`."""

    #: what Upstage is asked for: elements of the layout, words, fields of known documents, or
    #: fields of your own schema
    api_type: ApiType = "document-parse"
    #: hand pages in, and fetch what was read later; for document-parse
    asynchronous: Annotated[bool, TUNING] = False
    #: as Upstage names it; empty for the default of the API type
    model: str = ""
    #: for document-parse: recognise characters always, or only where the file has no text
    ocr: Literal["auto", "force"] = "force"
    #: for universal-extraction: a JSON schema of the fields, or @FILE
    schema: str = ""
    #: of Upstage, or of a server that speaks the same
    base_url: str = UPSTAGE_URL
    #: dollars a page; None for the list price, where it is known
    usd_per_page: Annotated[Annotated[float, Meta(ge=0)] | None, TUNING] = None
    #: of the whole job; Upstage takes 3 a second (asynchronous 6, extraction 1) as you go
    requests_per_minute: Annotated[float, Meta(ge=0), TUNING] = 180.0


def find_model(options: UpstageOptions) -> str:
    """Return the model that is asked."""
    return options.model or DEFAULT_MODELS[options.api_type]


def find_price(options: UpstageOptions) -> float | None:
    """Return dollars a page, None where the price is not known."""
    if options.usd_per_page is not None:
        return options.usd_per_page
    return LIST_PRICES.get(options.api_type)


def is_upstage(options: UpstageOptions) -> bool:
    """Return whether the server is Upstage's own."""
    host = urlsplit(options.base_url).hostname or ""
    return host == "upstage.ai" or host.endswith(".upstage.ai")


def key_variable(options: UpstageOptions) -> str:
    """Return the environment variable with the server's key."""
    return options.api_key_env or (UPSTAGE_KEY if is_upstage(options) else OTHER_KEY)


def missing_key(options: UpstageOptions) -> str | None:
    """Return how to give Upstage's key, None where it is there or the server may need none."""
    return key_is_missing(options, key_variable(options)) if is_upstage(options) else None


def resolve_options(options: UpstageOptions) -> UpstageOptions:
    """Return the options as workers get them: model named, schema file read.

    Raises:
        OptionError: options that do not go together, or a schema or URL that does not work. Not
            retryable.
    """
    _check_model(options)
    for name, set_, api_type in (
        ("asynchronous", options.asynchronous, "document-parse"),
        ("ocr", options.ocr != "force", "document-parse"),
        ("schema", bool(options.schema), "universal-extraction"),
    ):
        if set_ and options.api_type != api_type:
            raise OptionError(
                f'option "{name}" is for api_type {api_type}, not {options.api_type}.',
                hint=f"leave it out, or set api_type={api_type}",
            )
    return msgspec.structs.replace(
        options,
        model=find_model(options),
        schema=_read_schema(options),
        base_url=check_base_url(options.base_url),
    )


def _check_model(options: UpstageOptions) -> None:
    """Refuse a model that answers another kind of request."""
    serves = _find_api_type(options.model)
    if serves not in (None, options.api_type):
        raise OptionError(
            f'model "{options.model}" is for api_type {serves}, not {options.api_type}.',
            hint=f"set api_type={serves}, or leave the model out",
        )


def _find_api_type(model: str) -> ApiType | None:
    if model.startswith(("document-parse", "ocr", "information-extract")):
        return next(kind for kind, name in DEFAULT_MODELS.items() if model.startswith(name))
    return "prebuilt-extraction" if model.endswith("-extraction") else None


def _read_schema(options: UpstageOptions) -> str:
    """Return the schema as JSON, empty where none is needed."""
    if options.api_type != "universal-extraction":
        return ""
    if not options.schema.strip():
        raise OptionError(
            "api_type universal-extraction needs the fields to look for.",
            hint="--option schema=@FILE, with a JSON schema: "
            '{"type": "object", "properties": {"title": {"type": "string"}}}',
        )
    try:
        schema = _unwrap(msgspec.json.decode(_read_text(options.schema)))
    except msgspec.DecodeError as error:
        raise OptionError(f"the schema is not JSON: {error}", hint="check schema") from error
    if schema.get("type") != "object" or not schema.get("properties"):
        raise OptionError(
            'the schema is not one of an object: it needs "type": "object" and "properties".',
            hint="see https://console.upstage.ai/docs/capabilities/extract/universal-extraction",
        )
    return msgspec.json.encode(schema).decode()


def _unwrap(value: Any) -> Mapping[str, Any]:
    """Return the schema itself, of one as Upstage's schema generation writes it, too."""
    for name in ("json_schema", "schema"):
        if isinstance(value, dict) and isinstance(value.get(name), dict):
            value = value[name]
    return value if isinstance(value, dict) else {}


def _read_text(schema: str) -> str:
    if not schema.startswith("@"):
        return schema
    path = Path(schema[1:])
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            f"the schema file {path} cannot be read: {error}", hint="check @FILE"
        ) from error

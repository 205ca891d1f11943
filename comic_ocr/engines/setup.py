"""From what a user typed to what an engine gets: languages and options, checked before any page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from comic_ocr.engines.base import Method
from comic_ocr.engines.languages import parse_languages, tesseract_name
from comic_ocr.engines.registry import list_methods
from comic_ocr.errors import EngineMissingError, LanguageError, OptionError


def prepare_method(method: Method, options: msgspec.Struct) -> None:
    """Check that the method can run on this machine with these options.

    Raises:
        EngineMissingError: says what to install, and what is installed. Not retryable.
    """
    remedy = method.missing(options)
    if remedy is not None:
        installed = [m.name for m in list_methods() if m.missing(m.options()) is None]
        raise EngineMissingError(
            f'method "{method.name}" is not installed here (installed: {", ".join(installed)}).',
            hint=remedy,
        )
    remedy = method.missing_key(options)
    if remedy is not None:
        raise EngineMissingError(f'method "{method.name}" has no API key here.', hint=remedy)


def pages_in_flight(method: Method, options: msgspec.Struct) -> int:
    """Return the pages that one worker has in recognition at once."""
    return int(getattr(options, "concurrency", method.concurrency))


def tuning_options(method: Method) -> frozenset[str]:
    """Return the names of the options that do not change what is read (see base.TUNING)."""
    fields = msgspec.inspect.type_info(method.options).fields  # type: ignore[attr-defined]
    return frozenset(f.name for f in fields if _is_tuning(f.type))


def _is_tuning(kind: msgspec.inspect.Type) -> bool:
    return isinstance(kind, msgspec.inspect.Metadata) and bool((kind.extra or {}).get("tuning"))


def resolve_languages(
    method: Method, options: msgspec.Struct, asked: str | None
) -> tuple[str, ...]:
    """Return the language codes for an engine, in the order asked.

    Args:
        method: who is to read.
        options: an instance of the method's options type.
        asked: what the user typed, such as `en`, `eng` or `en,ja`; None for the method's default.

    Raises:
        LanguageError: the method, or its installed data, cannot read one of them. Not retryable.
    """
    codes = parse_languages(asked or "") or method.default_languages
    readable = method.languages(options)
    unreadable = [code for code in codes if readable and code not in readable]
    if not unreadable:
        return codes
    others = [
        other.name
        for other in list_methods()
        if other.name != method.name
        and set(unreadable) <= other.languages(other.options())
        and other.missing(other.options()) is None
    ]
    reader = next(iter(others), None)
    raise LanguageError(
        f'method "{method.name}" cannot read {", ".join(unreadable)} with what is installed here; '
        f"it reads {', '.join(sorted(readable))}.",
        hint=f"--method {reader} reads it here" if reader else _suggest_pack(unreadable),
    )


def _suggest_pack(codes: Sequence[str]) -> str:
    packs = [tesseract_name(code) for code in codes]
    if None in packs:
        return "choose another language or method (batch_ocr methods lists both)"
    names = " ".join(f"tesseract-ocr-{str(pack).replace('_', '-')}" for pack in packs)
    return f"method tesseract reads it once its data is installed: apt-get install {names}"


def convert_options(method: Method, given: Mapping[str, Any]) -> msgspec.Struct:
    """Return the method's options with the given values, texts turned into their types.

    Raises:
        OptionError: an option that the method does not have, or a value that does not fit.
    """
    fields = {field.name: field for field in msgspec.structs.fields(method.options)}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise OptionError(
            f'method "{method.name}" has no option "{unknown[0]}".',
            hint=f"options: {', '.join(fields) or 'none'}",
        )
    try:
        return msgspec.convert(dict(given), method.options, strict=False)
    except msgspec.ValidationError as error:
        raise OptionError(
            f'an option of method "{method.name}" does not fit: {error}',
            hint="; ".join(f"{name}: {_describe(field)}" for name, field in fields.items()),
        ) from error


def _describe(field: msgspec.structs.FieldInfo) -> str:
    kind = _name_type(field.type)
    return kind if field.required else f"{kind} (default {field.default!r})"


def _name_type(kind: Any) -> str:
    """Return how a type is called in a hint: `int`, `use | off`, `float | none`."""
    if hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    if get_origin(kind) is Literal:
        return " | ".join(map(str, get_args(kind)))
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(map(_name_type, get_args(kind)))
    return "none" if kind is NoneType else getattr(kind, "__name__", "text")

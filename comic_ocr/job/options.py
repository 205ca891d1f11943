"""Options of all methods of a job: `KEY=VALUE`, or `METHOD.KEY=VALUE` where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from comic_ocr.engines import convert_options, find_method, method_names, tuning_options
from comic_ocr.errors import MethodUnknownError, OptionError

#: by method
AllOptions = dict[str, dict[str, Any]]


def split_names(text: str) -> list[str]:
    """Return the methods of a cascade such as `tesseract,qwen`, or the one that it is.

    Raises:
        MethodUnknownError: one is empty or stands there twice. Not retryable.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise MethodUnknownError(
            f'"{text}" is not a list of different methods.', hint="such as tesseract,paddleocr"
        )
    return names


def split_options(names: Sequence[str], given: Mapping[str, Any]) -> AllOptions:
    """Return the given options by method.

    A key without a method belongs to the only method of the job that has it.

    Args:
        names: the job's methods.
        given: `key` or `method.key` → value. Any method may be named, for rows of the manifest that
            name it.

    Raises:
        OptionError: no method of the job has it, or several, or it is given twice. Not retryable.
    """
    options: AllOptions = {}
    for full_key, value in given.items():
        owner, dot, key = full_key.partition(".")
        if not dot:
            owner, key = _find_owner(names, full_key), full_key
        elif owner not in method_names():
            raise OptionError(
                f'option "{full_key}": there is no method "{owner}".',
                hint=f"methods: {', '.join(method_names())}",
            )
        if key in options.setdefault(owner, {}):
            raise OptionError(
                f'option "{key}" of method "{owner}" is given twice.',
                hint=f"{key} or {owner}.{key}, not both",
            )
        options[owner][key] = value
    return options


def _find_owner(names: Sequence[str], key: str) -> str:
    if len(names) == 1:
        return names[0]
    owners = [name for name in names if key in _field_names(name)]
    if len(owners) == 1:
        return owners[0]
    who = " and ".join(owners) if owners else "none of the methods"
    raise OptionError(
        f'{who} {"have" if owners else "has"} an option "{key}".',
        hint=f"name the method: --option {(owners or names)[0]}.{key}=…",
    )


def _field_names(name: str) -> set[str]:
    return {field.name for field in msgspec.structs.fields(find_method(name).options)}


def check_options(name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a method's options, less those that do not change what is read, and all of them.

    Raises:
        UsageError: one does not work. Not retryable.
    """
    method = find_method(name)
    built = msgspec.to_builtins(method.resolve(convert_options(method, given)))
    tuning = tuning_options(method)
    return {key: value for key, value in built.items() if key not in tuning}, built

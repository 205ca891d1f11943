"""What is on a page, as people wrote it down."""

from __future__ import annotations

import os

import msgspec

from comic_ocr.errors import UsageError
from comic_ocr.storage import read_source

_REQUIRED_KIND = "text"


class Truth(msgspec.Struct, frozen=True):
    """The text of a page. Optional text is neither wrong when read nor missed when not."""

    required: str
    optional: str = ""


class _TruthBlock(msgspec.Struct):
    text: str
    kind: str = _REQUIRED_KIND


class _TruthFile(msgspec.Struct):
    blocks: list[_TruthBlock]


def read_truth(path: str | os.PathLike[str]) -> Truth:
    """Return the truth of one page, from a local path or the URL of any store.

    A name that ends in `.json` holds `{"blocks": [{"text": ..., "kind": ...}]}`: blocks of kind
    `text` (or of none) are required, those of other kinds optional. Any other file is plain
    UTF-8 text, all of it required.

    Raises:
        UsageError: the file is not UTF-8, or not such JSON. Not retryable.
        SourceNotFoundError: there is no such file. Not retryable.
    """
    name = os.fspath(path)
    data = read_source(name)
    if name.lower().endswith(".json"):
        return _read_blocks(data, name)
    try:
        return Truth(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text: {error}") from error


def _read_blocks(data: bytes, name: str) -> Truth:
    try:
        blocks = msgspec.json.decode(data, type=_TruthFile).blocks
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{name} is not a truth file: {error}",
            hint='write {"blocks": [{"text": "...", "kind": "text"}]}',
        ) from error
    return Truth(
        "\n".join(b.text for b in blocks if b.kind == _REQUIRED_KIND),
        "\n".join(b.text for b in blocks if b.kind != _REQUIRED_KIND),
    )

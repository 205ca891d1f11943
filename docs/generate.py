"""Writes the pages of docs/reference that come from the code: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from comic_ocr.cli.main import cli
from comic_ocr.page import PageResult

REFERENCE = Path(__file__).parent / "reference"
_WIDTH = 100
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render_commands() -> str:
    """Return the help pages of `batch_ocr` and all of its commands, as Markdown."""
    root = click.Context(
        cli, info_name="batch_ocr", **{**cli.context_settings, "terminal_width": _WIDTH}
    )
    sections = [
        "# The command",
        "Written by `make docs` from the code; do not edit. Flags without a command word are "
        "those of\n`batch_ocr run`.",
    ]
    for context in walk_commands(root):
        sections.append(f"## {context.command_path}")
        sections.append(f"```text\n{context.get_help().rstrip()}\n```")
    return "\n\n".join(sections) + "\n"


def walk_commands(context: click.Context) -> Iterator[click.Context]:
    """Yield the context and those of the commands under it, in the order of the help page."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from walk_commands(click.Context(command, parent=context, info_name=name))


def render_schema() -> str:
    """Return the JSON Schema of the page JSON."""
    schema: dict[str, Any] = {"$schema": _DIALECT, **msgspec.json.schema(PageResult)}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def render_pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    return {
        REFERENCE / "command.md": render_commands(),
        REFERENCE / "page.schema.json": render_schema(),
    }


if __name__ == "__main__":
    for path, text in render_pages().items():
        path.write_text(text, encoding="utf-8")

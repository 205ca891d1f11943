from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import jsonschema
import msgspec
import pytest

from comic_ocr import errors
from comic_ocr.cli.main import cli
from comic_ocr.engines import EngineSetup, Method, find_method
from comic_ocr.page import Block, LedgerRow, PageResult, Region
from comic_ocr.testing.contracts import make_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_GENERATED = DOCS / "reference" / "command.md"
#: folders that hold other people's Markdown, or what was built from ours
_FOREIGN = {"build", "dist", "demo_output", "shared"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def markdown_files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name[0] != "." and name not in _FOREIGN]
        yield from (Path(folder) / name for name in names if name.endswith(".md"))


def written_pages() -> list[Path]:
    return [path for path in DOCS.rglob("*.md") if path != _GENERATED]


def walk_errors(kind: type[errors.ComicOcrError]) -> Iterator[type[errors.ComicOcrError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from walk_errors(below)


def walk_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from walk_commands(below, f"{name} {word}")


def list_flags() -> set[str]:
    return {
        flag
        for _, command in walk_commands(cli, "batch_ocr")
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--")
    } | {"--help"}


def table_codes(text: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("path", "text"),
    list(load_generator().render_pages().items()),
    ids=lambda value: getattr(value, "name", ""),
)
def test_generated_pages_are_those_of_the_code(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run: make docs"


def test_every_command_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    assert [name for name, _ in walk_commands(cli, "batch_ocr") if name not in text] == []


def test_every_flag_of_run_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    flags = {flag for parameter in cli.commands["run"].params for flag in parameter.opts}
    assert flags - set(re.findall(r"--[a-z-]+", text)) == set()


@pytest.mark.parametrize("path", written_pages(), ids=lambda path: path.name)
def test_every_flag_in_the_docs_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = [*re.findall(r"`(--[^`]*)`", text), *re.findall(r"batch_ocr .*", text)]
    named = {flag for part in code for flag in re.findall(r"--[a-z-]+", part)}
    assert named - list_flags() == set()


def test_every_error_code_is_explained_with_its_retryability() -> None:
    text = (DOCS / "reference" / "failures.md").read_text(encoding="utf-8")
    for kind in set(walk_errors(errors.ComicOcrError)) - {errors.ComicOcrError}:
        assert f"| `{kind.code}` |" in text, kind.__name__
        told = re.findall(rf"^\| `{kind.code}` \| (yes|no) \|", text, re.MULTILINE)
        assert set(told) <= {"yes" if kind.retryable else "no"}, kind.__name__


def test_failures_names_no_code_that_does_not_exist() -> None:
    text = (DOCS / "reference" / "failures.md").read_text(encoding="utf-8")
    assert table_codes(text) <= {kind.code for kind in walk_errors(errors.ComicOcrError)}


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("page-json.md", PageResult),
        ("page-json.md", Region),
        ("page-json.md", Block),
        ("job-state.md", LedgerRow),
    ],
)
def test_every_field_is_explained(page: str, kind: type[msgspec.Struct]) -> None:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    named = {
        name for row in re.findall(r"^\|([^|]*)\|", text, re.MULTILINE) for name in row.split("`")
    }
    assert {field.encode_name for field in msgspec.structs.fields(kind)} - named == set()


def test_the_example_of_page_json_is_page_json() -> None:
    text = (DOCS / "reference" / "page-json.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    result = msgspec.json.decode(example, type=PageResult)
    assert result.num_regions == len(result.text_regions)
    schema = msgspec.json.decode((DOCS / "reference" / "page.schema.json").read_bytes())
    document: Any = msgspec.json.decode(example)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert set(document) == {field.name for field in msgspec.structs.fields(PageResult)}


def test_the_example_of_ledger_rows_is_ledger_rows() -> None:
    text = (DOCS / "reference" / "job-state.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    rows = msgspec.json.Decoder(LedgerRow).decode_lines(example)
    assert [row.status for row in rows] == ["done", "failed"]


@pytest.mark.parametrize("name", ["paddleocr", "tesseract", "null"])
def test_every_option_of_a_method_is_explained_with_its_default(name: str) -> None:
    text = (DOCS / "reference" / "methods.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert section
    for field in msgspec.structs.fields(find_method(name).options):
        default = f"`{field.default}`" if field.default != "" else "empty"
        assert f"| `{field.name}` | {default} |" in section


def test_the_plugin_of_the_how_to_works() -> None:
    text = (DOCS / "how-to" / "write-an-engine.md").read_text(encoding="utf-8")
    plugin = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(compile(plugin, "comic_ocr_shout.py", "exec"), names)
    method = names["METHOD"]
    assert isinstance(method, Method)
    engine = method.build(EngineSetup())
    engine.load()
    assert engine.recognize(make_page(30, 20)).regions == []
    assert engine.recognize(make_page(30, 20, shade=0)).regions[0].bbox == (0, 0, 30, 20)


@pytest.mark.parametrize(
    "path", sorted(markdown_files()), ids=lambda path: str(path.relative_to(ROOT))
)
def test_relative_links_lead_somewhere(path: Path) -> None:
    links = _LINK.findall(path.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in links if "://" not in link]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_map_names_every_page() -> None:
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = {(DOCS / target).resolve() for target in _LINK.findall(text)}
    pages = {path for path in DOCS.rglob("*.md") if path.parent.name != "decisions"}
    assert pages - linked == {DOCS / "README.md"}

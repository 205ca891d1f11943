from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import jsonschema
import msgspec
import pytest

from comic_ocr import errors
from comic_ocr.cli.main import cli
from comic_ocr.engines import ApiSetup, EngineSetup, Method, find_method
from comic_ocr.engines.api.options import ApiOptions
from comic_ocr.engines.chat.families import DEEPSEEK, GEMMA, QWEN
from comic_ocr.engines.chat.options import ChatOptions
from comic_ocr.engines.registry import ENTRY_POINT_GROUP
from comic_ocr.job import JobSummary
from comic_ocr.job.state import JobFile
from comic_ocr.manifest import read_manifest
from comic_ocr.page import Block, LedgerRow, PageResult, Reading, Region, Usage
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


def first_columns(text: str) -> set[str]:
    """Return what stands as code in the first column of a page's tables."""
    cells = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return {name for cell in cells for name in cell.split("`")[1::2]}


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
        ("page-json.md", Usage),
        ("job-state.md", LedgerRow),
        ("job-state.md", Reading),
        ("job-state.md", JobFile),
        ("job-state.md", JobSummary),
    ],
)
def test_every_field_is_explained(page: str, kind: type[msgspec.Struct]) -> None:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    named = first_columns(text)
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


def read_ledger_example(page: str) -> list[LedgerRow]:
    text = (DOCS / page).read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return msgspec.json.Decoder(LedgerRow).decode_lines(example)


def test_the_example_of_ledger_rows_is_ledger_rows() -> None:
    rows = read_ledger_example("reference/job-state.md")
    assert [row.status for row in rows] == ["done", "failed"]


def test_the_example_of_a_cascade_adds_up() -> None:
    (row,) = read_ledger_example("how-to/use-several-methods.md")
    assert [reading.method for reading in row.readings] == ["tesseract", "qwen"]
    for name in ("ocr_s", "input_tokens", "output_tokens", "cost_usd"):
        parts = [getattr(reading, name) for reading in row.readings]
        assert getattr(row, name) == pytest.approx(sum(parts))


def test_the_example_of_a_manifest_with_methods_is_one(tmp_path: Path) -> None:
    text = (DOCS / "how-to" / "use-several-methods.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    (tmp_path / "pages.csv").write_text(example, encoding="utf-8")
    pages = read_manifest(str(tmp_path / "pages.csv"), known_methods=frozenset(own_methods()))
    assert [page.method for page in pages] == ["tesseract", "paddleocr", "qwen", None]


def own_methods() -> list[str]:
    """Return the names of the methods of this package, without plugins."""
    points = entry_points(group=ENTRY_POINT_GROUP)
    return sorted({point.name for point in points if point.value.startswith("comic_ocr.engines.")})


def read_reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


def find_defaults(text: str) -> dict[str, str]:
    """Return what a page's tables of options say is their default, by option."""
    tables = re.findall(r"^\| Option \| Default \|.*\n(?:\|.*\n)*", text, re.MULTILINE)
    rows = [row for table in tables for row in re.findall(r"\| `(\w+)` \|([^|]*)\|", table)]
    assert len(dict(rows)) == len(rows), "an option has two rows"
    return {option: default.strip() for option, default in rows}


def describe_default(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def option_defaults(options: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.default for field in msgspec.structs.fields(options)}


#: pages whose tables hold for all methods with these options
_SHARED = [
    (ChatOptions, DOCS / "reference" / "methods" / "chat.md"),
    (ApiOptions, DOCS / "how-to" / "use-an-api.md"),
]


@pytest.mark.parametrize("name", own_methods())
def test_every_method_has_a_page_and_a_row(name: str) -> None:
    assert read_reference(f"methods/{name}.md").startswith(f"# {name}\n")
    assert f"| [`{name}`](methods/{name}.md)" in read_reference("methods.md")


def test_no_page_is_of_a_method_that_does_not_exist() -> None:
    pages = {path.stem for path in (DOCS / "reference" / "methods").glob("*.md")}
    assert pages - set(own_methods()) == {"chat"}


def option_tables(name: str) -> list[dict[str, str]]:
    """Return the defaults that a method's page names, then those of the pages that it shares."""
    kind = find_method(name).options
    shared = [path.read_text(encoding="utf-8") for base, path in _SHARED if issubclass(kind, base)]
    return [find_defaults(text) for text in (read_reference(f"methods/{name}.md"), *shared)]


@pytest.mark.parametrize("name", own_methods())
def test_every_option_of_a_method_is_explained_with_its_default(name: str) -> None:
    own, *shared = option_tables(name)
    told = {
        option: default for table in [*reversed(shared), own] for option, default in table.items()
    }
    defaults = option_defaults(find_method(name).options)
    assert set(told) == set(defaults)
    for option, default in defaults.items():
        if default in ("", None):
            assert not re.fullmatch(r"`[^`]*`", told[option]), f"{option} has no default"
        else:
            assert told[option] == describe_default(default), option


@pytest.mark.parametrize("name", own_methods())
def test_an_option_that_methods_share_is_explained_once(name: str) -> None:
    defaults = option_defaults(find_method(name).options)
    tables = option_tables(name)
    for number, table in enumerate(tables):
        for later in tables[number + 1 :]:
            again = table.keys() & later.keys()
            assert [x for x in again if later[x] == describe_default(defaults[x])] == []


@pytest.mark.parametrize("name", ["qwen", "gemma", "deepseek"])
def test_every_named_prompt_is_explained(name: str) -> None:
    family = {"qwen": QWEN, "gemma": GEMMA, "deepseek": DEEPSEEK}[name]
    assert set(family.prompts) - first_columns(read_reference(f"methods/{name}.md")) == set()


@pytest.mark.parametrize("kind", [Method, EngineSetup, ApiSetup])
def test_every_field_for_plugin_authors_is_explained(kind: type) -> None:
    text = (DOCS / "how-to" / "write-an-engine.md").read_text(encoding="utf-8")
    named = first_columns(text)
    assert {field.name for field in dataclasses.fields(kind)} - named == set()


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


def find_anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", written_pages(), ids=lambda path: path.name)
def test_links_to_headings_lead_to_one(path: Path) -> None:
    links = [link.partition("#") for link in _LINK.findall(path.read_text(encoding="utf-8"))]
    inside = [(target, anchor) for target, _, anchor in links if anchor and "://" not in target]
    pages = {target: path.parent / target if target else path for target, _ in inside}
    assert [link for link in inside if link[1] not in find_anchors(pages[link[0]])] == []


def test_the_map_names_every_page() -> None:
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = {(DOCS / target).resolve() for target in _LINK.findall(text)}
    pages = {path for path in DOCS.rglob("*.md") if path.parent.name != "decisions"}
    assert pages - linked == {DOCS / "README.md"}

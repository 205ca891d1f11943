"""The plugin of docs/how-to/write-an-engine.md, installed as a package of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.integration.conftest import Command, Pages

_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-an-engine.md"
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def read_files() -> dict[str, str]:
    """Return the files that the page shows under their names."""
    text = _PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)```", text, re.MULTILINE | re.DOTALL))


def build_wheel(files: dict[str, str], folder: Path) -> Path:
    """Return a wheel of the files, as their pyproject.toml describes it.

    Made here, by the format of packaging.python.org/specifications/binary-distribution-format,
    since a build backend may have to be downloaded.
    """
    project = tomllib.loads(files["pyproject.toml"])["project"]
    name, version = project["name"], project["version"]
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    requires = "".join(f"Requires-Dist: {needed}\n" for needed in project["dependencies"])
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    content = {
        **{path: text for path, text in files.items() if path.endswith(".py")},
        f"{info}/METADATA": metadata + requires,
        f"{info}/WHEEL": _WHEEL,
        f"{info}/entry_points.txt": points,
    }
    record = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    wheel = folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**content, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on PYTHONPATH where pip has installed the page's plugin."""
    wheel = build_wheel(read_files(), tmp_path)
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-index", "--no-deps", "--target", str(target), str(wheel)],
        check=True,
        timeout=120,
    )
    path = os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    return target


def test_the_plugin_of_the_how_to_is_under_15_lines() -> None:
    files = read_files()
    assert set(files) == {"pyproject.toml", "comic_ocr_shout.py"}
    code = [line for line in files["comic_ocr_shout.py"].splitlines() if line.strip()]
    assert len(code) < 15


def test_an_installed_plugin_is_listed_and_reads_a_job(
    plugin: Path, pages: Pages, batch_ocr: Command, tmp_path: Path
) -> None:
    assert (plugin / "comic_ocr_shout.py").is_file()
    listed = {
        method["name"]: method for method in json.loads(batch_ocr("methods", "--json").stdout)
    }
    assert listed["shout"]["ready"] is True
    pages.add("blank")
    Image.new("RGB", (41, 60), "black").save(pages.add("inked"))
    flags = ["--method", "shout", "--output", "shouted", "--workers", "1", "--json"]
    summary = json.loads(batch_ocr("--manifest", pages.manifest, *flags).stdout)
    assert (summary["done"], summary["failed"]) == (2, 0)
    results = {
        name: json.loads((tmp_path / "shouted" / f"{name}_ocr.json").read_text(encoding="utf-8"))
        for name in ("blank", "inked")
    }
    assert [results[name]["full_text"] for name in ("blank", "inked")] == ["", "HELLO"]
    assert results["inked"]["ocr_method"] == "shout"
    assert results["inked"]["text_regions"][0]["bbox"] == [0, 0, 41, 60]

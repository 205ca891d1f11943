"""Small manifests, and the command in a process of its own."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Command = Callable[..., "subprocess.CompletedProcess[str]"]


class Pages:
    """A folder of small images with their manifest; made anew for each test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[str, str]] = []
        folder.mkdir()

    def add(self, name: str, data: bytes | None = None) -> Path:
        """Add a page of that id: a small image, or a file with that content."""
        path = self.folder / f"{len(self.rows):04d}.png"
        if data is None:
            Image.new("RGB", (40 + len(self.rows), 60), "white").save(path)
        else:
            path.write_bytes(data)
        self.rows.append((name, str(path)))
        return path

    def add_many(self, count: int) -> None:
        """Add pages with ids p000, p001, …."""
        for _ in range(count):
            self.add(f"p{len(self.rows):03d}")

    @property
    def manifest(self) -> str:
        """Return the path of the manifest, written now."""
        path = self.folder / "pages.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["canonical_id", "absolute_image_path"])
            writer.writerows(self.rows)
        return str(path)


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    return Pages(tmp_path / "pages")


def command_line(*words: str) -> list[str]:
    return [sys.executable, "-m", "comic_ocr", *words]


@pytest.fixture
def batch_ocr(own_machine: Path, tmp_path: Path) -> Command:
    """Return a function that runs the command to its end, in a folder of its own."""

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command_line(*words), capture_output=True, text=True, cwd=tmp_path, timeout=300
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def faulty_options(
    plan: dict[str, Sequence[str]], journal: Path, seconds: float = 0.0
) -> dict[str, Any]:
    return {"plan": json.dumps(plan), "journal": str(journal), "seconds": seconds}


def as_flags(options: dict[str, Any]) -> list[str]:
    return [word for key, value in options.items() for word in ("--option", f"{key}={value}")]


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Return once the condition holds; fail when it does not in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)

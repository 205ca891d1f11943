"""The chaos benchmark at a shorter length, and whether its checks see what they are to see."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import comic_ocr
from comic_ocr.testing.faults import METHOD
from tests.conftest import SHARED_DATA
from tests.integration.conftest import Pages

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
REAL_PAGES = SHARED_DATA / "comics" / "en"
SEED = 20


def load_checks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chaos_checks", BENCHMARKS / "chaos_checks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks = load_checks()


def test_no_page_is_lost_or_wrong_whatever_is_killed() -> None:
    method = "tesseract" if shutil.which("tesseract") else "paddleocr"
    words = ["--minutes", "0.4", "--count", "24", "--seed", str(SEED), "--method", method]
    words += ["--pages", str(REAL_PAGES)] if REAL_PAGES.exists() else []
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "chaos.py"), *words],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "round 1 holds" in done.stdout
    assert re.search(r"(kill|interrupt|terminate) .* \d", done.stdout)
    assert re.search(r"'(busy|error|drop|lost|cut)': \d", done.stdout)


@pytest.fixture
def output(pages: Pages, tmp_path: Path) -> str:
    """Return the output of a job with six pages that were read and one that failed."""
    pages.add_many(6)
    pages.add("broken", b"no image")
    output = str(tmp_path / "out")
    comic_ocr.run(pages.manifest, method=METHOD.name, output=output, backend="inline", workers=1)
    return output


@pytest.fixture
def expected(output: str) -> object:
    texts = {f"p{number:03d}": f"p{number:03d}" for number in range(6)}
    return checks.Expected(texts, {"broken": "not_an_image"})


def ledger_of(output: str) -> Path:
    (path,) = Path(output).glob("_comic_ocr/ledger/*/*.jsonl")
    return path


def lose_a_page(output: str) -> None:
    Path(output, "p002_ocr.json").unlink()


def change_a_text(output: str) -> None:
    path = Path(output, "p002_ocr.json")
    path.write_text(path.read_text().replace('"full_text":"p002"', '"full_text":"p003"'))


def add_a_stranger(output: str) -> None:
    data = Path(output, "p002_ocr.json").read_text().replace('"p002"', '"q"')
    Path(output, "q_ocr.json").write_text(data)


def write_a_page_again(output: str) -> None:
    path = Path(output, "p002_ocr.json")
    page = json.loads(path.read_text())
    page["timing"]["ocr_s"] += 1.0
    path.write_text(json.dumps(page))


def lose_the_ledger(output: str) -> None:
    ledger_of(output).unlink()


def count_a_page_twice(output: str) -> None:
    path = ledger_of(output)
    row = next(line for line in path.read_text().splitlines() if "p002" in line)
    path.with_name("000009-1.jsonl").write_text(row + "\n")


def forget_a_page_in_the_summary(output: str) -> None:
    path = Path(output, "_comic_ocr", "summary.json")
    path.write_text(path.read_text().replace('"done": 6', '"done": 5'))


def lose_the_record_of_calls(output: str) -> None:
    for path in Path(output).glob("_comic_ocr/calls/*/*.jsonl"):
        path.unlink()


def test_a_sound_output_has_no_violation(output: str, expected: object) -> None:
    assert checks.check_output(output, expected, exit_code=3) == ([], 0)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lose_a_page, "lost or foreign"),
        (change_a_text, "has another text"),
        (add_a_stranger, "lost or foreign"),
        (write_a_page_again, "not of its page JSON"),
        (lose_the_ledger, "lost or foreign"),
        (count_a_page_twice, "done twice"),
        (forget_a_page_in_the_summary, "does not add up"),
        (lose_the_record_of_calls, "in its run's calls"),
    ],
)
def test_what_is_wrong_with_an_output_is_a_violation(
    harm: Callable[[str], None], message: str, output: str, expected: object
) -> None:
    harm(output)
    with pytest.raises(checks.Violation, match=message):
        checks.check_output(output, expected, exit_code=3)


def test_another_exit_code_than_the_summary_s_is_a_violation(output: str, expected: object) -> None:
    with pytest.raises(checks.Violation, match="exit code"):
        checks.check_output(output, expected, exit_code=0)

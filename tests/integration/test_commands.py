"""What the command prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Command, Pages


def test_methods_are_listed_with_what_a_user_needs(batch_ocr: Command) -> None:
    listed = json.loads(batch_ocr("methods", "--json").stdout)
    by_name = {method["name"]: method for method in listed}
    assert {"null", "paddleocr", "tesseract"} <= set(by_name)
    assert by_name["paddleocr"]["installed"] is True
    assert {"en", "ja", "zh"} <= set(by_name["paddleocr"]["languages"])
    text = batch_ocr("methods").stdout
    assert "paddleocr: PP-OCRv6" in text
    assert "price:" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lang", "ko"], "tesseract-ocr-kor"),
        (["--lang", "ru"], 'error[language_unsupported]: method "paddleocr" cannot read ru'),
        (["--method", "paddelocr"], "did you mean paddleocr?"),
        (["--option", "runtime=abacus"], "error[option_invalid]"),
        (["--option", "no"], "KEY=VALUE"),
        (["--model", "x"], 'no option "model"'),
        (["--output", "ftp://x/y"], "ftp://"),
        (["--output", "a", "--output-bucket", "b"], "exclude"),
        (["--retry-failed", "--overwrite"], "exclude"),
        (["--config", "nothing.yaml"], "nothing.yaml"),
        (["--workers", "0"], "workers"),
        (["--backend", "abacus"], "localhost"),
    ],
)
def test_bad_flags_exit_2_before_any_page_is_read(
    pages: Pages, batch_ocr: Command, tmp_path: Path, words: list[str], said: str
) -> None:
    pages.add_many(1)
    done = batch_ocr("--manifest", pages.manifest, *words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ocr_results").exists()


def test_a_missing_manifest_exits_2(batch_ocr: Command) -> None:
    done = batch_ocr("--manifest", "nothing.csv", code=2)
    assert "nothing.csv" in done.stderr


def test_manifest_check_reports_every_problem_with_row_and_column(
    batch_ocr: Command, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_bytes(
        b"canonical_id,path,method\n"
        b"a,a.png,\n"
        b"a,b.png,\n"
        b",c.png,\n"
        b"../d,d.png,\n"
        b"e,e.png,abacus\n"
        b"f\xff,f.png,\n"
    )
    done = batch_ocr("manifest", "check", "bad.csv", code=2)
    assert len(done.stdout.splitlines()) == 5
    for row, column in ((2, "canonical_id"), (3, "canonical_id"), (4, "canonical_id")):
        assert f"row {row}, {column}" in done.stdout
    assert "row 5, method" in done.stdout
    assert "row 6, canonical_id" in done.stdout
    as_json = json.loads(batch_ocr("manifest", "check", "bad.csv", "--json", code=2).stdout)
    assert [p["row"] for p in as_json["problems"]] == [2, 3, 4, 5, 6]


def test_manifest_check_of_a_good_manifest_exits_0(pages: Pages, batch_ocr: Command) -> None:
    pages.add_many(2)
    assert "2 rows, 0 problems" in batch_ocr("manifest", "check", pages.manifest).stderr


def test_a_dry_run_says_what_would_be_done(
    pages: Pages, batch_ocr: Command, tmp_path: Path
) -> None:
    pages.add_many(3)
    done = batch_ocr("--manifest", pages.manifest, "--dry-run")
    assert "3 to read in about" in done.stdout
    assert not (tmp_path / "ocr_results").exists()
    facts = json.loads(batch_ocr("--manifest", pages.manifest, "--dry-run", "--json").stdout)
    assert facts["to_read"] == 3
    assert facts["expected_usd"] == 0


def test_the_summary_can_be_had_as_json_and_as_a_file(
    pages: Pages, batch_ocr: Command, tmp_path: Path
) -> None:
    pages.add_many(2)
    words = ["--manifest", pages.manifest, "--method", "null", "--summary-file", "--json"]
    done = batch_ocr(*words)
    printed = json.loads(done.stdout)
    (path,) = tmp_path.glob("lithops_ocr_summary_*.json")
    assert json.loads(path.read_text()) == printed
    assert printed["done"] == 2


def test_quiet_prints_nothing(pages: Pages, batch_ocr: Command) -> None:
    pages.add_many(2)
    done = batch_ocr("--manifest", pages.manifest, "--method", "null", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("word", ["status", "failures"])
def test_an_output_without_a_job_is_said_to_be_none(batch_ocr: Command, word: str) -> None:
    done = batch_ocr(word, "nowhere", code=2)
    assert "no job" in done.stderr


def test_the_demo_reads_what_it_drew(batch_ocr: Command) -> None:
    done = batch_ocr("demo")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("word F1")]
    assert float(line.split()[2]) >= 0.97

"""`batch_ocr estimate`, on pages that are drawn and against a server that takes no money."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from comic_ocr.testing.api_server import ApiServer
from tests.integration.conftest import Command, Pages, as_flags, faulty_options


@pytest.fixture
def manifest(drawn_comic: Path) -> str:
    return str(drawn_comic / "pages.csv")


def estimate(batch_ocr: Command, manifest: str, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        batch_ocr("estimate", "--manifest", manifest, "--json", *words).stdout
    )
    return found


def list_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "machine" not in path.parts}


def test_methods_and_sizes_are_compared(batch_ocr: Command, manifest: str) -> None:
    found = estimate(
        batch_ocr,
        manifest,
        "--method",
        "null",
        "--method",
        "tesseract",
        "--memory",
        "512,1024,4096",
    )
    assert (found["pages"], found["backend"], found["variant"]) == (6, "aws_lambda", "x86")
    null, tesseract = found["methods"]
    assert (null["method"], tesseract["method"]) == ("null", "tesseract")
    assert tesseract["sampled"] == 6
    assert tesseract["core_s"] > null["core_s"] > 0
    assert [size["memory_mb"] for size in tesseract["sizes"]] == [512, 1024, 4096]
    assert [size["too_small"] for size in tesseract["sizes"]] == [True, False, False]
    small, fit, wide = tesseract["sizes"]
    assert small["wall_s"] > fit["wall_s"] > wide["wall_s"]
    for size in tesseract["sizes"]:
        assert size["known_usd"] == pytest.approx(sum(size["costs"].values()))
        assert size["known_usd_spread"]["low"] <= size["known_usd"]
        assert size["known_usd"] <= size["known_usd_spread"]["high"]
        assert size["unknown"] == []


def test_nothing_is_written(batch_ocr: Command, manifest: str, tmp_path: Path) -> None:
    before = list_files(tmp_path) | list_files(Path(manifest).parent)
    batch_ocr("estimate", "--manifest", manifest, "--method", "tesseract")
    assert list_files(tmp_path) | list_files(Path(manifest).parent) == before


def test_people_get_the_figures_and_what_they_are_worth(batch_ocr: Command, manifest: str) -> None:
    done = batch_ocr("estimate", "--manifest", manifest, "--method", "tesseract", "--memory", "512")
    assert "tesseract: 6 of 6 pages read" in done.stdout
    assert "512 MB, 100 workers; TOO SMALL for this method" in done.stdout
    assert "per 1,000 pages $" in done.stdout
    assert "compute $" in done.stdout
    assert "a cloud's cores may be slower or faster than this machine's" in done.stdout
    assert "tesseract: reading 6 pages here" in done.stderr


def test_this_machine_costs_nothing(batch_ocr: Command, manifest: str) -> None:
    words = ["--method", "null", "--backend", "localhost", "--workers", "2"]
    found = estimate(batch_ocr, manifest, *words)
    assert found["methods"][0]["sizes"][0]["known_usd"] == 0
    assert found["methods"][0]["sizes"][0]["wall_s"] > 0


def test_a_backend_without_a_price_is_said_to_be_unknown(batch_ocr: Command, manifest: str) -> None:
    done = batch_ocr("estimate", "--manifest", manifest, "--method", "null", "--backend", "k8s")
    assert "and compute and requests and storage unknown" in done.stdout


def test_a_users_table_is_taken(batch_ocr: Command, manifest: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'as_of = 2026-01-02\ncurrency = "USD"\n[compute.k8s.mine]\nworker_hour_usd = 3600\n'
    )
    words = ["--method", "null", "--backend", "k8s", "--prices", "mine.toml"]
    found = estimate(batch_ocr, manifest, *words)
    size = found["methods"][0]["sizes"][0]
    assert size["costs"]["compute_usd"] == pytest.approx(size["worker_s"])
    assert (found["prices_as_of"], found["variant"]) == ("2026-01-02", "mine")


def test_the_output_says_which_store_is_paid(batch_ocr: Command, manifest: str) -> None:
    words = ["--method", "null", "--backend", "k8s", "--output", "gs://bucket/read"]
    size = estimate(batch_ocr, manifest, *words)["methods"][0]["sizes"][0]
    assert size["unknown"] == ["compute", "requests"]
    assert size["known_usd"] == size["costs"]["storage_usd"] > 0


def test_the_packages_table_can_be_printed_to_be_changed(
    batch_ocr: Command, manifest: str, tmp_path: Path
) -> None:
    text = batch_ocr("estimate", "--show-prices").stdout
    assert tomllib.loads(text)["currency"] == "USD"
    changed = text.replace("gb_s_usd = 0.0000166667", "gb_s_usd = 0.0000333334")
    (tmp_path / "mine.toml").write_text(changed)
    words = ["--method", "null", "--prices", "mine.toml", "--memory", "2048"]
    size = estimate(batch_ocr, manifest, *words)["methods"][0]["sizes"][0]
    assert size["costs"]["compute_usd"] == pytest.approx(
        size["worker_s"] * 2 * 0.0000333334, rel=0.01
    )


def test_pages_that_fail_are_counted_and_part_of_the_price(
    pages: Pages, batch_ocr: Command
) -> None:
    pages.add_many(4)
    pages.add("broken", b"no image")
    found = estimate(batch_ocr, pages.manifest, "--method", "null")
    assert found["methods"][0]["failures"] == {"not_an_image": 1}
    done = batch_ocr("estimate", "--manifest", pages.manifest, "--method", "null")
    assert "5 of 5 pages read, 1 failed (1 not_an_image)" in done.stdout


def test_a_sample_that_fails_whole_is_no_estimate(pages: Pages, batch_ocr: Command) -> None:
    for name in ("a", "b"):
        pages.add(name, b"no image")
    done = batch_ocr("estimate", "--manifest", pages.manifest, "--method", "null", code=2)
    assert 'method "null" reads none of 2 sampled pages; page "a": not_an_image' in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_that_stops_the_job_stops_the_estimate(pages: Pages, batch_ocr: Command) -> None:
    pages.add_many(2)
    options = as_flags({**faulty_options({"p000": ["stop"]}, pages.folder), "journal": ""})
    done = batch_ocr(
        "estimate", "--manifest", pages.manifest, "--method", "faulty", *options, code=2
    )
    assert "no key on order" in done.stderr


def test_a_cascade_reads_a_page_with_as_many_methods_as_it_needs(
    batch_ocr: Command, manifest: str
) -> None:
    found = estimate(
        batch_ocr, manifest, "--method", "tesseract", "--method", "null,tesseract", "--lang", "en"
    )
    alone, cascade = found["methods"]
    assert cascade["method"] == "null,tesseract"
    # null finds no text, so that every page goes on to tesseract
    assert cascade["core_s"] > 0.5 * alone["core_s"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "paddelocr"], "did you mean paddleocr?"),
        (["--method", "tesseract", "--option", "psm=many"], "error[option_invalid]"),
        (["--method", "tesseract", "--lang", "xx"], "xx"),
        (["--method", "null", "--option", "no"], "KEY=VALUE"),
        (["--method", "null", "--backend", "abacus"], "localhost"),
        (["--method", "null", "--variant", "z80"], "it has: x86, arm64"),
        (["--method", "null", "--memory", "64"], "at least 128 MB"),
        (["--method", "null", "--memory", "much"], "such as 1024,2048"),
        (["--method", "null", "--workers", "0"], "workers"),
        (["--method", "null", "--sample", "0"], "sample"),
        (["--method", "null", "--output", "ftp://x/y"], "ftp://"),
        (["--method", "null", "--prices", "nothing.toml"], "nothing.toml"),
        (["--method", "qwen"], "OPENROUTER_API_KEY"),
    ],
)
def test_bad_flags_exit_2(
    batch_ocr: Command,
    manifest: str,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    done = batch_ocr("estimate", "--manifest", manifest, *words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_faulty_manifest_is_told_as_by_run(batch_ocr: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("canonical_id,path\na,a.png\na,b.png\n")
    done = batch_ocr("estimate", "--manifest", "bad.csv", "--method", "null", code=2)
    assert "row 2, canonical_id" in done.stderr
    (tmp_path / "empty.csv").write_text("canonical_id,path\n")
    done = batch_ocr("estimate", "--manifest", "empty.csv", "--method", "null", code=2)
    assert "has no pages" in done.stderr


def test_an_api_is_asked_for_three_pages_and_what_it_took_is_told(
    batch_ocr: Command, manifest: str, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMIC_OCR_API_KEY", "any")
    words = ["--method", "qwen", "--option", f"base_url={api.url}/v1"]
    (found,) = estimate(batch_ocr, manifest, *words)["methods"]
    account = api.account()
    assert found["sampled"] == len(account["pages"]) == 3
    assert found["sample_usd"] == pytest.approx(account["cost_usd"])
    assert found["sample_usd"] > 0
    assert found["api_usd"] == pytest.approx(account["cost_usd"] / 3)
    assert found["sizes"][0]["costs"]["api_usd"] == pytest.approx(account["cost_usd"] / 3 * 6)
    assert found["egress_gb"] > 0
    assert found["egress_usd"] == pytest.approx(found["egress_gb"] * 0.09)
    size = found["sizes"][0]
    assert size["known_usd"] == pytest.approx(sum(size["costs"].values()))


def test_people_are_told_that_an_api_is_paid(
    batch_ocr: Command, manifest: str, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMIC_OCR_API_KEY", "any")
    words = ["--method", "qwen", "--option", f"base_url={api.url}/v1", "--sample", "2"]
    done = batch_ocr("estimate", "--manifest", manifest, *words)
    assert "qwen: reading 2 pages here; the API is asked, and paid" in done.stderr
    assert "this sample cost $" in done.stdout
    assert "not in the sums: " in done.stdout


def test_answers_of_no_use_are_in_the_price(
    batch_ocr: Command, manifest: str, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMIC_OCR_API_KEY", "any")
    api.order([{"every": 2, "do": "truncated"}])
    words = ["--method", "qwen", "--option", f"base_url={api.url}/v1", "--sample", "6"]
    (found,) = estimate(batch_ocr, manifest, *words)["methods"]
    account = api.account()
    assert account["by_fault"]["truncated"] > 0
    assert found["sample_usd"] == pytest.approx(account["cost_usd"])


def test_a_key_that_is_refused_stops_the_estimate(
    batch_ocr: Command, manifest: str, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMIC_OCR_API_KEY", "any")
    api.order([{"every": 1, "do": "401"}])
    words = ["--method", "qwen", "--option", f"base_url={api.url}/v1"]
    done = batch_ocr("estimate", "--manifest", manifest, *words, code=5)
    assert "Traceback" not in done.stderr

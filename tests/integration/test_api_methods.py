"""Methods that ask an API, through the command, against a server that speaks the real formats."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from comic_ocr.job import JobState
from comic_ocr.page import LedgerRow
from comic_ocr.testing.api_server import ApiServer, read_truths
from comic_ocr.testing.comic import draw_comic
from tests.integration.conftest import Command, command_line, wait_until

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs/reference/page.schema.json").read_text(encoding="utf-8")
)
KEY = "SECRET123"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMIC_OCR_API_KEY", "any")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def many(tmp_path: Path, drawn_comic: Path, api: ApiServer) -> Path:
    """Return the manifest of 100 pages that the server knows; their image files all differ."""
    image = (drawn_comic / "page_01.jpg").read_bytes()
    truth = read_truths(drawn_comic)[hashlib.sha256(image).hexdigest()]
    rows, truths = [], {}
    for number in range(100):
        data = image + f"{number}".encode()
        path = tmp_path / f"page{number:03d}.jpg"
        path.write_bytes(data)
        rows.append(f"p{number:03d},{path}")
        truths[hashlib.sha256(data).hexdigest()] = truth
    api.know(truths)
    manifest = tmp_path / "many.csv"
    manifest.write_text("\n".join(["canonical_id,path", *rows]) + "\n")
    return manifest


def flags(
    manifest: Path, output: Path, api: ApiServer, *more: str, method: str = "qwen"
) -> list[str]:
    words = ["--manifest", str(manifest), "--output", str(output), "--method", method]
    return [*words, "--option", f"base_url={api.url}/v1", "--workers", "2", *more]


def page_files(output: Path) -> list[Path]:
    return sorted(output.glob("*_ocr.json"))


def ledger(output: Path) -> list[LedgerRow]:
    return list(JobState(str(output)).read_ledger())


METHODS: dict[str, list[str]] = {
    "null": [],
    "tesseract": [],
    "paddleocr": [],
    "qwen": [],
    "gemma": [],
    "deepseek": ["--model", "deepseek/deepseek-ocr"],
    "upstage": [],
}


@pytest.mark.parametrize("method", METHODS)
def test_the_same_pages_give_page_json_of_one_schema_by_every_method(
    batch_ocr: Command, tmp_path: Path, output: Path, api: ApiServer, method: str
) -> None:
    pages = draw_comic(tmp_path / "comic", pages=12)
    api.know(read_truths(tmp_path / "comic"))
    manifest = tmp_path / "pages.csv"
    rows = [f"{page.image.stem},{page.image}" for page in pages]
    manifest.write_text("\n".join(["canonical_id,path", *rows]) + "\n")
    words = ["--manifest", str(manifest), "--output", str(output), "--method", method]
    if method in ("qwen", "gemma", "deepseek", "upstage"):
        words += ["--option", f"base_url={api.url}/v1"]
    batch_ocr(*words, *METHODS[method])
    found = [json.loads(path.read_bytes()) for path in page_files(output)]
    assert len(found) == 12
    for page in found:
        jsonschema.validate(page, SCHEMA)
        assert page["ocr_method"] == method
        assert bool(page["full_text"]) == (method != "null")
        assert bool(page["usage"]["cost_usd"]) == (
            method in ("qwen", "gemma", "deepseek", "upstage")
        )


def test_faults_of_the_server_cost_no_page_and_no_page_is_paid_twice(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    api.order(
        [
            {"every": 17, "do": "hang"},
            {"every": 13, "do": "truncated"},
            {"every": 11, "do": "error_200"},
            {"every": 7, "do": "500"},
            {"every": 5, "do": "429", "retry_after": 1},
        ]
    )
    batch_ocr(*flags(many, output, api, "--option", "timeout_s=2"))
    account = api.account()
    assert len(page_files(output)) == 100
    assert {page["answers"] for page in account["pages"].values()} == {1}
    assert len(account["pages"]) == 100
    assert set(account["by_fault"]) == {"hang", "truncated", "error_200", "500", "429"}
    assert sum(row.cost_usd for row in ledger(output)) == pytest.approx(account["cost_usd"])


@pytest.mark.parametrize(
    ("status", "word"), [("401", "key"), ("402", "credit"), ("403", "allowed")]
)
def test_a_refusal_stops_the_run_and_it_can_go_on(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer, status: str, word: str
) -> None:
    api.order([{"after": 20, "do": status}])
    started = time.monotonic()
    stopped = batch_ocr(*flags(many, output, api), code=5)
    assert time.monotonic() - started < 20
    assert "error[api_refused]" in stopped.stderr
    assert status in stopped.stderr
    assert word in stopped.stderr
    assert "run the same command again" in stopped.stderr
    done = len(page_files(output))
    assert done <= 20
    assert not [row for row in ledger(output) if row.status == "failed"]
    api.order([])
    batch_ocr(*flags(many, output, api))
    assert len(page_files(output)) == 100
    assert {page["answers"] for page in api.account()["pages"].values()} == {1}


def test_a_page_is_never_paid_twice_however_often_the_job_is_run(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    words = flags(many, output, api, "--limit", "10")
    batch_ocr(*words)
    for path in page_files(output):
        path.unlink()
    batch_ocr(*words)
    batch_ocr(*words, "--overwrite")
    assert api.account()["asked"] == 10
    pages = [json.loads(path.read_bytes()) for path in page_files(output)]
    assert all(page["usage"]["cached"] and page["usage"]["cost_usd"] for page in pages)
    assert all(page["full_text"] for page in pages)
    assert sum(row.cost_usd for row in ledger(output)) == 0
    batch_ocr(*words, "--overwrite", "--option", "cache=refresh")
    assert api.account()["asked"] == 20


def test_a_driver_that_is_killed_costs_no_answer_that_had_arrived(
    batch_ocr: Command, tmp_path: Path, output: Path, many: Path, api: ApiServer
) -> None:
    api.order([{"every": 1, "do": "slow", "delay_s": 0.2}])
    words = flags(many, output, api, "--option", "concurrency=4")
    driver = subprocess.Popen(
        command_line(*words), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: len(page_files(output)) > 20)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: api.account()["in_flight"] == 0)
    batch_ocr(*words)
    assert len(page_files(output)) == 100
    paid = Counter(page["answers"] for page in api.account()["pages"].values())
    # Its workers end by themselves: what they had asked for arrived, or was asked again.
    assert paid[1] >= 92
    assert set(paid) <= {1, 2}


def test_limits_may_change_within_a_job_but_the_prompt_may_not(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    batch_ocr(*flags(many, output, api, "--limit", "2"))
    batch_ocr(*flags(many, output, api, "--limit", "4", "--option", "concurrency=2"))
    refused = batch_ocr(
        *flags(many, output, api, "--limit", "4", "--option", "prompt=markdown"), code=2
    )
    assert "output_conflict" in refused.stderr
    assert "prompt=ocr" in refused.stderr


def test_a_worker_has_many_pages_in_flight(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    api.order([{"every": 1, "do": "slow", "delay_s": 1}])
    batch_ocr(*flags(many, output, api), "--workers", "1")
    assert api.account()["max_in_flight"] == 32


def test_the_limits_of_a_job_hold_for_all_its_workers_together(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    api.order([{"every": 1, "do": "slow", "delay_s": 0.3}])
    limits = ["--option", "max_in_flight=6", "--option", "requests_per_minute=600"]
    batch_ocr(*flags(many, output, api, *limits, "--limit", "60"))
    account = api.account()
    assert account["asked"] == 60
    assert 2 <= account["max_in_flight"] <= 6
    assert account["peak_per_s"] <= 12


def test_a_key_on_the_command_line_stands_nowhere_else(
    own_machine: Path, tmp_path: Path, output: Path, many: Path, api: ApiServer
) -> None:
    api.order([{"every": 1, "do": "slow", "delay_s": 0.2}, {"every": 9, "do": "500"}])
    driver = subprocess.Popen(
        command_line(*flags(many, output, api, "--api-key", KEY, "--verbose")),
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    seen: set[int] = set()
    watcher = threading.Thread(target=watch_command_lines, args=(driver, seen))
    watcher.start()
    out, err = driver.communicate(timeout=120)
    watcher.join()
    assert driver.returncode == 0, err
    assert seen == {driver.pid}
    assert KEY not in out + err
    assert "safer: export COMIC_OCR_API_KEY" in err
    header = hashlib.sha256(f"Bearer {KEY}".encode()).hexdigest()
    assert header in api.account()["keys"]
    # The temporary folder and home of Lithops, the output, the logs.
    assert [path for path in list_files(tmp_path) if KEY.encode() in path.read_bytes()] == []


def watch_command_lines(driver: subprocess.Popen[str], seen: set[int]) -> None:
    """Note every process whose command line holds the key, while the driver lives."""
    while driver.poll() is None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and KEY.encode() in read_command_line(entry):
                seen.add(int(entry.name))
        time.sleep(0.05)


def read_command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def list_files(folder: Path) -> list[Path]:
    found = [Path(home) / name for home, _, names in os.walk(folder) for name in names]
    return [path for path in found if path.is_file()]


def test_a_key_from_a_named_secret_reaches_the_server(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer, s3_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import boto3

    monkeypatch.delenv("COMIC_OCR_API_KEY")
    name = f"keys-{s3_bucket}"
    value = json.dumps({"COMIC_OCR_API_KEY": "from-the-secret"})
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=value)
    batch_ocr(*flags(many, output, api, "--limit", "2", "--option", f"api_key_secret={name}"))
    header = hashlib.sha256(b"Bearer from-the-secret").hexdigest()
    assert api.account()["keys"] == [header]
    assert [p for p in list_files(output) if b"from-the-secret" in p.read_bytes()] == []


def test_without_a_key_nothing_is_started(batch_ocr: Command, output: Path, many: Path) -> None:
    done = batch_ocr(
        "--manifest", str(many), "--output", str(output), "--method", "upstage", code=2
    )
    assert "export UPSTAGE_API_KEY" in done.stderr
    assert not output.exists()


def test_a_key_is_not_given_to_a_backend_that_would_store_it(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    words = flags(many, output, api, "--api-key", KEY, "--backend", "aws_batch", "--quiet")
    done = batch_ocr(*words, code=2)
    assert "api_key_secret" in done.stderr
    assert KEY not in done.stderr


def test_models_that_cannot_see_are_refused_at_the_start(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    for model in ("google/gemma-2-9b-it", "deepseek/deepseek-chat"):
        done = batch_ocr(*flags(many, output, api, "--model", model), code=2)
        assert f'model "{model}" cannot read pages' in done.stderr
    done = batch_ocr(*flags(many, output, api, "--model", "qwen/qwen3-vl-8b-instrct"), code=2)
    assert "qwen/qwen3-vl-8b-instruct" in done.stderr
    assert api.account()["asked"] == 0


def test_a_useless_answer_fails_the_page_and_is_kept_beside_it(
    batch_ocr: Command, output: Path, many: Path, api: ApiServer
) -> None:
    sha = hashlib.sha256((many.parent / "page003.jpg").read_bytes()).hexdigest()
    api.order([{"sha": sha, "do": "truncated"}])
    done = batch_ocr(*flags(many, output, api, "--limit", "6"), code=3)
    assert "1 truncated_answer" in done.stdout
    (row,) = [row for row in ledger(output) if row.status == "failed"]
    assert (row.canonical_id, row.retryable, row.cost_usd) == ("p003", True, pytest.approx(0.005))
    kept = json.loads((output / "_comic_ocr/rejected/p003.json").read_bytes())
    assert len(kept) == 5
    assert kept[0]["body"]["choices"][0]["message"]["content"]
    assert "_comic_ocr/rejected/p003.json" in row.message
    api.order([])
    batch_ocr(*flags(many, output, api, "--limit", "6", "--retry-failed"))
    assert len(page_files(output)) == 6


def test_a_server_that_knows_neither_schemas_nor_log_probabilities_is_asked_without(
    batch_ocr: Command, output: Path, drawn_comic: Path
) -> None:
    with ApiServer(read_truths(drawn_comic), logprobs=False, schema=False, dialect="vllm") as plain:
        batch_ocr(*flags(drawn_comic / "pages.csv", output, plain))
        account = plain.account()
    pages = [json.loads(path.read_bytes()) for path in page_files(output)]
    assert len(pages) == account["answers"] == 6
    assert all(page["confidence"] is None and page["full_text"] for page in pages)


def test_a_cascade_asks_the_api_only_about_pages_that_were_read_badly(
    batch_ocr: Command, output: Path, drawn_comic: Path, api: ApiServer
) -> None:
    words = flags(drawn_comic / "pages.csv", output, api, method="paddleocr,qwen")
    floor = 0.99
    batch_ocr(*words, "--min-confidence", str(floor))
    rows = {row.canonical_id: row for row in ledger(output)}
    pages = {p.stem.removesuffix("_ocr"): json.loads(p.read_bytes()) for p in page_files(output)}
    for name, row in rows.items():
        first = row.readings[0]
        assert first.method == "paddleocr"
        assert first.confidence is not None
        asked = first.confidence < floor
        assert [reading.method for reading in row.readings[1:]] == ["qwen"] * asked
        assert row.cost_usd == pytest.approx(0.001 * asked)
        assert pages[name]["ocr_method"] == ("qwen" if asked else "paddleocr")
    assert 0 < api.account()["asked"] < 6, "the floor must lie between the pages' confidences"


def test_rows_of_the_manifest_may_name_their_method(
    batch_ocr: Command, tmp_path: Path, output: Path, drawn_comic: Path, api: ApiServer
) -> None:
    manifest = tmp_path / "mixed.csv"
    methods = ["qwen", "null", "", "upstage", "gemma", "null"]
    rows = [f"p{i},{drawn_comic}/page_0{i + 1}.jpg,{m}" for i, m in enumerate(methods)]
    manifest.write_text("\n".join(["canonical_id,path,method", *rows]) + "\n")
    urls = [f"{name}.base_url={api.url}/v1" for name in ("qwen", "upstage", "gemma")]
    words: list[Any] = [word for url in urls for word in ("--option", url)]
    batch_ocr("--manifest", str(manifest), "--output", str(output), "--method", "paddleocr", *words)
    read_by = [json.loads(path.read_bytes())["ocr_method"] for path in page_files(output)]
    assert read_by == ["qwen", "null", "paddleocr", "upstage", "gemma", "null"]


def test_the_methods_say_what_they_need(
    batch_ocr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.setenv("UPSTAGE_API_KEY", "any")
    rows = {row["name"]: row for row in json.loads(batch_ocr("methods", "--json").stdout)}
    own = ["deepseek", "easyocr", "gemma", "null", "paddleocr", "qwen", "tesseract", "upstage"]
    assert [name for name in sorted(rows) if name != "faulty"] == own
    assert rows["qwen"]["installed"]
    assert not rows["qwen"]["ready"]
    assert "OPENROUTER_API_KEY" in rows["qwen"]["needs"]
    assert rows["upstage"]["ready"]
    assert not rows["easyocr"]["installed"]
    assert "comic-ocr[easyocr]" in rows["easyocr"]["needs"]


def test_one_page_can_be_tried(batch_ocr: Command, drawn_comic: Path, api: ApiServer) -> None:
    image = str(drawn_comic / "page_01.jpg")
    words = ["--method", "qwen", "--option", f"base_url={api.url}/v1"]
    assert "DOT LEARNS TO READ" in batch_ocr("page", image, *words).stdout
    page = msgspec.json.decode(batch_ocr("page", image, *words, "--json").stdout)
    jsonschema.validate(page, SCHEMA)

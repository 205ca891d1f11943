"""Resume of a job that is nearly done: what planning the rest takes. A part of scale.py.

The state of the job is written here as its workers would have left it: page JSON, one ledger object
for each 200 pages, the job file and a summary that says "stopped". Then the real run_job plans and
finishes it.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec

from comic_ocr.job import JobSpec, run_job
from comic_ocr.job.events import JobPlanned
from comic_ocr.job.spec import check_spec
from comic_ocr.job.state import JobState
from comic_ocr.page import STATE_PREFIX, LedgerRow, result_key
from comic_ocr.testing.simulation import CloudModel, SimulatedCloud, count_results, write_manifest
from comic_ocr.testing.simulation.job import name_page

_PAGES_PER_CALL = 200
#: One page of so many is not done.
_LEFT_EVERY = 1000
_WRITERS = 16


def resume_files(pages: int, folder: str | None) -> dict[str, Any]:
    """Return what resuming a job of files on this disk takes; runs in a process of its own."""
    home = Path(tempfile.mkdtemp(prefix="resume-", dir=folder))
    try:
        spec = make_spec(home, str(home / "out"), pages)
        started = time.perf_counter()
        write_state(spec, pages)
        written_s = time.perf_counter() - started
        figures = {"files_written_s": written_s, **resume(spec, pages)}
        # Before they are deleted again, which may take longer than all else.
        print(f"2  files: {figures}", file=sys.stderr, flush=True)
        return figures
    finally:
        shutil.rmtree(home)


def resume_s3(pages: int) -> dict[str, Any]:
    """Return the same of a bucket of moto's server, with the requests that planning made."""
    with counting_s3() as (bucket, requests), tempfile.TemporaryDirectory() as home:
        spec = make_spec(Path(home), f"s3://{bucket}/out", pages)
        write_state(spec, pages)
        requests.clear()
        figures = resume(spec, pages, requests)
        planning = figures["requests"]
        return {
            **figures,
            "requests_per_1000_pages": sum(planning.values()) / pages * 1000,
            "lists_per_1000_pages": planning.get("LIST", 0) / pages * 1000,
            "gets_per_1000_pages": planning.get("GET", 0) / pages * 1000,
        }


def make_spec(home: Path, output: str, pages: int) -> JobSpec:
    return JobSpec(
        manifest=write_manifest(home / "pages.csv", pages),
        method="tesseract",
        output=output,
        backend="aws_lambda",
        workers=10,
    )


def write_state(spec: JobSpec, pages: int) -> None:
    """Leave an output as a job that was stopped late leaves it."""
    state = JobState(spec.output)
    state.begin(check_spec(spec)[0], run_id="earlier", overwrite=False)
    done = [number for number in range(pages) if number % _LEFT_EVERY]
    calls = [done[i : i + _PAGES_PER_CALL] for i in range(0, len(done), _PAGES_PER_CALL)]
    encoder = msgspec.json.Encoder()

    def write_call(number: int) -> None:
        rows = [
            LedgerRow(canonical_id=name_page(page), status="done", at=1.8e9, ocr_s=0.4)
            for page in calls[number]
        ]
        for row in rows:
            _put(state, result_key(row.canonical_id), encoder.encode(row))
        key = f"{STATE_PREFIX}/ledger/earlier/{number:06d}-1.jsonl"
        _put(state, key, encoder.encode_lines(rows))

    with ThreadPoolExecutor(_WRITERS if "://" in spec.output else 1) as writers:
        list(writers.map(write_call, range(len(calls))))


def _put(state: JobState, key: str, data: bytes) -> None:
    if "://" in state.store.url:
        state.store.put(key, data, overwrite=True)
        return
    # The store's atomic writes would only take longer here.
    path = os.path.join(state.store.url, key)
    try:
        file = open(path, "wb")  # noqa: PTH123, SIM115 (a million times)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "wb")  # noqa: PTH123, SIM115
    with file:
        file.write(data)


def resume(spec: JobSpec, pages: int, requests: Counter[str] | None = None) -> dict[str, Any]:
    """Return the time, memory and requests of planning; the job is finished after it."""
    found: dict[str, Any] = {}
    started, started_cpu_s = time.perf_counter(), time.process_time()

    def watch(event: object) -> None:
        if isinstance(event, JobPlanned):
            found["planning_s"] = time.perf_counter() - started
            found["planning_cpu_s"] = time.process_time() - started_cpu_s
            found["peak_mb"] = read_peak_mb()
            found["planned"] = event.summary.remaining
            found["requests"] = dict(requests or {})

    run_job(spec, backend=SimulatedCloud(model=CloudModel(most_workers=10)), on_event=watch)
    results = count_results(spec.output)
    if results.written != pages:
        raise SystemExit(f"{results.written} of {pages} pages are there after the resume")
    return {"pages": pages, "left": -(-pages // _LEFT_EVERY), **found}


def read_peak_mb() -> int:
    """Return this process's largest resident size in MiB, not its parent's as getrusage may."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20


@contextmanager
def counting_s3() -> Iterator[tuple[str, Counter[str]]]:
    """Yield an empty bucket of moto's server, and its requests by kind as they come."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    requests: Counter[str] = Counter()
    moto = DomainDispatcherApplication(create_backend_app)

    def count(environ: dict[str, Any], start_response: Any) -> Any:
        listing = environ["REQUEST_METHOD"] == "GET" and "list-type" in environ["QUERY_STRING"]
        requests["LIST" if listing else environ["REQUEST_METHOD"]] += 1
        return moto(environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, count, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    try:
        yield bucket, requests
    finally:
        server.shutdown()

"""What methods that ask an API do with a slow and with a failing server, on loopback.

    python benchmarks/api.py [--pages 2000] [--faulty-pages 500]

The server is a process of its own (comic_ocr.testing.api_server); the command is run as users run
it, on Lithops localhost. First, one worker against answers that take a second each: pages per
second, and the worker's memory over time. Then two workers against a server that fails in every way
it can: every page must be done and none paid twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import Any

from comic_ocr.testing.api_server import ApiServer, read_truths
from comic_ocr.testing.comic import draw_comic

FAULTS = [
    {"every": 17, "do": "hang"},
    {"every": 13, "do": "truncated"},
    {"every": 11, "do": "error_200"},
    {"every": 7, "do": "500"},
    {"every": 5, "do": "429", "retry_after": 1},
]
#: as hung requests are given up in the benchmark
_TIMEOUT_S = 3


def make_pages(folder: Path, count: int) -> tuple[Path, dict[str, Any]]:
    """Return a manifest of pages whose image files all differ, and what the server must know."""
    drawn = draw_comic(folder / "comic", pages=1)[0]
    image = drawn.image.read_bytes()
    truth = next(iter(read_truths(folder / "comic").values()))
    rows, truths = ["canonical_id,path"], {}
    for number in range(count):
        # Decoders stop at the end of the image, before these bytes.
        data = image + f"{number:06d}".encode()
        path = folder / f"{number:06d}.jpg"
        path.write_bytes(data)
        rows.append(f"p{number:06d},{path}")
        truths[hashlib.sha256(data).hexdigest()] = truth
    manifest = folder / "pages.csv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return manifest, truths


def run_job(manifest: Path, server: ApiServer, output: Path, *more: str) -> dict[str, Any]:
    """Return the summary of a job, which must end well, and the worker's memory while it ran."""
    words = ["--manifest", str(manifest), "--output", str(output), "--method", "qwen", "--json"]
    words += ["--option", f"base_url={server.url}/v1", "--quiet", *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "comic_ocr", *words], stdout=subprocess.PIPE, text=True
    )
    memory: list[int] = []
    watcher = Thread(target=watch_memory, args=(process, memory), daemon=True)
    watcher.start()
    summary: dict[str, Any] = json.loads(process.communicate()[0])
    if process.returncode:
        raise SystemExit(f"the job ended with exit code {process.returncode}: {summary}")
    return {**summary, "memory_mb": memory}


def watch_memory(process: subprocess.Popen[str], memory: list[int]) -> None:
    """Note the resident MiB of the driver's largest descendant, each second."""
    while process.poll() is None:
        time.sleep(1)
        memory.append(max((read_rss(pid) for pid in find_descendants(process.pid)), default=0))


def find_descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [
        int(word) for task in children.parent.parent.glob("*/children") for word in read_words(task)
    ]
    return found + [deep for child in found for deep in find_descendants(child)]


def read_words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def read_rss(pid: int) -> int:
    words = read_words(Path(f"/proc/{pid}/statm"))
    return int(words[1]) * 4096 >> 20 if words else 0


def measure_throughput(folder: Path, pages: int) -> None:
    manifest, truths = make_pages(folder, pages)
    with ApiServer(truths, delay_s=1.0) as server:
        summary = run_job(manifest, server, folder / "out", "--workers", "1")
        account = server.account()
    memory = [mb for mb in summary["memory_mb"] if mb > 100]
    third = max(1, len(memory) // 3)
    print(f"{pages} pages, answers of 1 s, one worker, 32 in flight:")
    print(f"  {pages / summary['wall_s']:.1f} pages/s in all, {summary['chunks']} calls")
    print(f"  in flight at most {account['max_in_flight']}, paid {account['answers']}")
    print(f"  worker's memory, MiB: first third at most {max(memory[:third])}, "
          f"last third at most {max(memory[-third:])}")  # fmt: skip


def measure_faults(folder: Path, pages: int) -> None:
    manifest, truths = make_pages(folder, pages)
    with ApiServer(truths, faults=FAULTS) as server:
        timeout = ["--option", f"timeout_s={_TIMEOUT_S}"]
        summary = run_job(manifest, server, folder / "out", "--workers", "2", *timeout)
        account = server.account()
    paid = [page["answers"] for page in account["pages"].values()]
    print(f"{pages} pages, two workers, a failing server {account['by_fault']}:")
    print(f"  {summary['done']} done, {summary['failed']} failed, {summary['wall_s']:.0f} s")
    print(f"  asked {account['asked']} times; answers per page at most {max(paid)}")
    print(f"  cost by the job ${summary['cost_usd']:.3f}, by the server ${account['cost_usd']:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--faulty-pages", type=int, default=500)
    asked = parser.parse_args()
    for measure, pages in (
        (measure_throughput, asked.pages),
        (measure_faults, asked.faulty_pages),
    ):
        if pages:
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder), pages)


if __name__ == "__main__":
    main()

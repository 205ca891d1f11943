"""What a job costs beside recognition: batch_ocr against a bare pool and against GNU parallel.

    python benchmarks/overhead.py FOLDER [--pages 500] [--workers 2] [--rounds 1] [--json]

All three read the same images with the same Tesseract data and page segmentation, in one run, and
write one file per page. Compare the ratios, not the seconds: they are of this machine and hour.

- pool: multiprocessing with one tesserocr API object per process, words and confidences to JSON
- parallel: GNU parallel starting the tesseract command for each page, TSV to a file
- batch_ocr: this project, on Lithops localhost
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from comic_ocr.engines.tesseract import find_tessdata
from comic_ocr.testing.comic import draw_comic

PSM = 3
IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
_api: Any = None


def open_api(tessdata: str) -> None:
    """Prepare a process of the bare pool."""
    global _api  # noqa: PLW0603 (a process of a pool has no other place for it)
    import tesserocr

    _api = tesserocr.PyTessBaseAPI(path=tessdata, lang="eng", psm=PSM)


def read_bare(job: tuple[str, str]) -> None:
    """Read one page as a plain script would: decode, recognize, write words as JSON."""
    from PIL import Image

    source, target = job
    with Image.open(source) as image:
        _api.SetImage(image.convert("RGB"))
    _api.Recognize()
    rows = csv.reader(_api.GetTSVText(0).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    words = [row[6:] for row in rows if row[0] == "5"]
    Path(target).write_text(json.dumps(words), encoding="utf-8")


def run_pool(images: Sequence[Path], out: Path, workers: int, tessdata: str) -> int:
    """Read the pages with a bare pool and return how many files it wrote."""
    jobs = [(str(image), str(out / f"{i:06d}.json")) for i, image in enumerate(images)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, open_api, (tessdata,)) as pool:
        for _ in pool.imap_unordered(read_bare, jobs):
            pass
    return len(list(out.glob("*.json")))


def run_parallel(images: Sequence[Path], out: Path, workers: int, tessdata: str) -> int:
    """Read the pages with GNU parallel and return how many files it wrote."""
    lines = "".join(f"{image}\t{out}/{i:06d}\n" for i, image in enumerate(images))
    command = ["parallel", "-j", str(workers), "--colsep", "\t"]
    command += ["tesseract", "{1}", "{2}", "--tessdata-dir", tessdata, "--psm", str(PSM), "tsv"]
    subprocess.run(
        command,
        input=lines,
        text=True,
        check=True,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        stderr=subprocess.DEVNULL,
    )
    return len(list(out.glob("*.tsv")))


def run_batch_ocr(images: Sequence[Path], out: Path, workers: int, tessdata: str) -> int:
    """Read the pages with this project and return how many page JSON files it wrote."""
    manifest = out / "pages.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["canonical_id", "absolute_image_path"])
        writer.writerows([f"{i:06d}", image] for i, image in enumerate(images))
    command = [sys.executable, "-m", "comic_ocr", "--manifest", str(manifest)]
    command += ["--method", "tesseract", "--option", f"psm={PSM}"]
    command += ["--option", f"tessdata={tessdata}", "--workers", str(workers)]
    subprocess.run([*command, "--output", str(out / "results"), "--quiet"], check=True)
    return len(list((out / "results").glob("*_ocr.json")))


RUNNERS: dict[str, Callable[[Sequence[Path], Path, int, str], int]] = {
    "pool": run_pool,
    "parallel": run_parallel,
    "batch_ocr": run_batch_ocr,
}


def measure(name: str, images: Sequence[Path], workers: int, tessdata: str) -> float:
    """Return pages per second of one runner, start-up and all; it must read every page."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        written = RUNNERS[name](images, Path(folder), workers, tessdata)
        took_s = time.perf_counter() - started
    if written != len(images):
        raise SystemExit(f"{name} wrote {written} files for {len(images)} pages")
    return len(images) / took_s


def driver_memory_mb(images: Sequence[Path], workers: int) -> int:
    """Return the peak resident MiB of batch_ocr's driver process, its workers not counted."""
    script = (
        "import resource, sys; from comic_ocr.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)"
    )
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "pages.csv"
        rows = "".join(f"{i:06d},{image}\n" for i, image in enumerate(images))
        manifest.write_text("canonical_id,absolute_image_path\n" + rows, encoding="utf-8")
        command = [sys.executable, "-c", script, "--manifest", str(manifest), "--quiet"]
        command += ["--method", "null", "--workers", str(workers), "--output", f"{folder}/out"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def choose_images(folder: str | None, pages: int, scratch: Path) -> list[Path]:
    """Return that many image paths, the folder's over and over, or drawn ones."""
    if folder is None:
        found = [page.image for page in draw_comic(scratch, pages=12)]
    else:
        found = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in IMAGE_ENDINGS)
    if not found:
        raise SystemExit(f"no images in {folder}")
    return list(islice(cycle(found), pages))


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="images; drawn pages by default")
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = find_tessdata()
    if data is None:
        raise SystemExit("no tessdata here: apt-get install tesseract-ocr")
    names = [n for n in RUNNERS if n != "parallel" or shutil.which("parallel")]
    speeds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        images = choose_images(args.folder, args.pages, Path(scratch))
        for number in range(args.rounds):
            # Back and forth, so that a machine that slows down favours nobody.
            for name in names if number % 2 == 0 else reversed(names):
                speeds[name].append(measure(name, images, args.workers, str(data)))
        memory_mb = driver_memory_mb(images, args.workers)
    report(args, speeds, memory_mb)


def report(args: argparse.Namespace, speeds: dict[str, list[float]], memory_mb: int) -> None:
    """Print pages per second, and ratios within each round."""
    ours = speeds["batch_ocr"]
    ratios = {
        name: [a / b for a, b in zip(ours, others, strict=True)]
        for name, others in speeds.items()
        if name != "batch_ocr"
    }
    facts = {
        "pages": args.pages,
        "workers": args.workers,
        "pages_per_s": speeds,
        "batch_ocr_ratio_to": ratios,
        "driver_peak_mb": memory_mb,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }
    if args.json:
        print(json.dumps(facts, indent=2))
        return
    print(f"{args.pages} pages, {args.workers} workers, {facts['machine']}, {facts['date']}")
    for name, values in speeds.items():
        print(f"  {name:<10} {' '.join(f'{v:6.2f}' for v in values)} pages/s")
    for name, values in ratios.items():
        print(f"  batch_ocr / {name:<10} {' '.join(f'{v:.3f}' for v in values)}")
    print(f"  driver's peak memory {memory_mb} MiB")


if __name__ == "__main__":
    main()

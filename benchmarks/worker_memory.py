"""Whether a worker's memory stays flat over thousands of pages, engine by engine.

    python benchmarks/worker_memory.py [--pages 5000] [--images DIR] [--width 500] [--plot FILE.svg]

Each engine reads, in one process and as one chunk, pages that differ in size and content; they come
round again after 60. The process is watched from outside: of each 100 pages the largest resident
size counts. Fails when the largest of the last third is more than a tenth above that of the middle
third. Pages are drawn here unless a folder of images is given. They are made narrow, for growth is
a matter of how many shapes and texts an engine sees, and small pages show more of them in an hour.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from PIL import Image

from comic_ocr._version import __version__
from comic_ocr.page import STATE_PREFIX, ChunkRef, ChunkReport, PageRef
from comic_ocr.testing.comic import draw_comic
from comic_ocr.worker import ChunkTask, WorkSpec, run_chunk

ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "tesseract": ("tesseract", {}),
    "openvino": ("paddleocr", {"runtime": "openvino"}),
    "onnxruntime": ("paddleocr", {"runtime": "onnxruntime"}),
}
DIFFERENT_PAGES = 60
#: pages for which one figure of the curve stands
STRIDE = 100
LARGEST_GROWTH = 1.10
_PEEK_S = 0.25


class Curve(NamedTuple):
    """Resident MiB of one worker: the largest of each STRIDE pages, in order."""

    engine: str
    mib: list[int]
    wall_s: float

    def thirds(self) -> tuple[int, int, int]:
        """Return the largest figure of each third of the pages, in MiB."""
        third = max(1, len(self.mib) // 3)
        return max(self.mib[:third]), max(self.mib[third:-third]), max(self.mib[-third:])

    @property
    def is_flat(self) -> bool:
        _, middle, last = self.thirds()
        return last <= LARGEST_GROWTH * middle


def make_images(folder: Path, source: Path | None, width_px: int) -> list[Path]:
    """Return images of different sizes: four fifths to six fifths of that width."""
    folder.mkdir()
    if source:
        found = sorted(source.rglob("*.jpg"))
        found = found[:: max(1, len(found) // DIFFERENT_PAGES)][:DIFFERENT_PAGES]
    else:
        found = [
            page.image
            for seed in range(DIFFERENT_PAGES // 6)
            for page in draw_comic(folder / f"drawn-{seed}", pages=6, seed=seed)
        ]
    made = []
    for number, path in enumerate(found):
        image = Image.open(path).convert("RGB")
        width = width_px * (80 + number * 37 % 41) // 100
        image = image.resize((width, max(32, round(image.height * width / image.width))))
        made.append(folder / f"{number:03d}.jpg")
        image.save(made[-1], quality=92)
    return made


def write_task(output: Path, engine: str, images: Sequence[Path], pages: int) -> bytes:
    """Return the input of one call that reads all of the pages; its plan is written."""
    method, options = ENGINES[engine]
    refs = [
        PageRef(canonical_id=f"p{number:06d}", source=str(image))
        for number, image in enumerate(islice(cycle(images), pages))
    ]
    data = msgspec.json.Encoder().encode_lines(refs)
    plan_key = f"{STATE_PREFIX}/plan/run/part-00000.jsonl"
    (output / plan_key).parent.mkdir(parents=True)
    (output / plan_key).write_bytes(data)
    chunk = ChunkRef(
        chunk_id="000001", plan_key=plan_key, slices=((0, len(data)),), pages=pages, method=method
    )
    spec = WorkSpec(
        output=str(output),
        run_id="run",
        options={method: options},
        threads=1,
        package_version=__version__,
    )
    return msgspec.json.encode(ChunkTask(spec, chunk))


def read_chunk(task: bytes, answer: Path) -> None:
    """Do what a call does, and leave its report in a file. Runs in the watched process."""
    answer.write_bytes(run_chunk(task))


def measure(engine: str, images: Sequence[Path], pages: int, home: Path) -> Curve:
    """Return the memory of one worker that reads all pages; every page must be read."""
    output, answer = home / engine, home / f"{engine}.report"
    task = write_task(output, engine, images, pages)
    started = time.monotonic()
    worker = multiprocessing.get_context("spawn").Process(target=read_chunk, args=(task, answer))
    worker.start()
    curve = Curve(engine, watch(worker, output, pages, engine), time.monotonic() - started)
    if worker.exitcode:
        raise SystemExit(f"{engine}: the worker ended with {worker.exitcode}")
    report = msgspec.json.decode(answer.read_bytes(), type=ChunkReport)
    if report.done != pages:
        raise SystemExit(f"{engine}: {report}")
    return curve


def watch(worker: BaseProcess, output: Path, pages: int, engine: str) -> list[int]:
    """Return the largest resident MiB of each STRIDE pages, until the process has ended."""
    curve = [0] * max(1, pages // STRIDE)
    part = 0
    while worker.exitcode is None:
        resident = read_rss(worker.pid)
        written = sum(entry.name.endswith("_ocr.json") for entry in os.scandir(output))
        if written // STRIDE > part and part < len(curve) - 1:
            print(f"{engine}, {written} pages: {curve[part]} MiB", file=sys.stderr, flush=True)
            part = min(written // STRIDE, len(curve) - 1)
        curve[part] = max(curve[part], resident)
        worker.join(_PEEK_S)
    return [mib for mib in curve if mib]


def read_rss(pid: int | None) -> int:
    """Return the resident MiB of a process, 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def describe(curve: Curve) -> str:
    first, middle, last = curve.thirds()
    end = "flat" if curve.is_flat else f"GROWS by {last / middle - 1:.0%}"
    return (
        f"{curve.engine}: {len(curve.mib) * STRIDE} pages in {curve.wall_s:.0f} s; largest of "
        f"thirds {first}, {middle}, {last} MiB: {end}\n  every {STRIDE} pages: {curve.mib}"
    )


def keep(curves: Sequence[Curve], path: Path) -> list[Curve]:
    """Return these curves and those of other engines in the file, which now has all of them."""
    earlier = msgspec.json.decode(path.read_bytes(), type=list[Curve]) if path.exists() else []
    by_engine = {curve.engine: curve for curve in [*earlier, *curves]}
    kept = [by_engine[engine] for engine in ENGINES if engine in by_engine]
    path.write_bytes(msgspec.json.encode(kept))
    return kept


def label(engine: str) -> str:
    method, _ = ENGINES[engine]
    return method if method == engine else f"{method} on {engine}"


def plot(curves: Sequence[Curve], path: Path, title: str) -> None:
    """Write the curves as an SVG picture."""
    width, height, left, top = 720, 300, 60, 40
    pages = max(len(curve.mib) for curve in curves)
    highest = -(-max(max(curve.mib) for curve in curves) // 200) * 200
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} '
        f'{top + height + 80}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="22" font-size="15">{title}</text>',
    ]
    for mib in range(0, highest + 1, 200):
        y = top + height * (1 - mib / highest)
        parts += [
            f'<path d="M{left} {y:.0f}H{left + width}" stroke="#ddd"/>',
            f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{mib}</text>',
        ]
    for fifth in range(6):
        x, at = left + width * fifth / 5, pages * STRIDE * fifth // 5
        parts.append(
            f'<text x="{x:.0f}" y="{top + height + 20}" text-anchor="middle">{at:,}</text>'
        )
    for number, (curve, colour) in enumerate(
        zip(curves, ("#0b6e99", "#c4512d", "#4a7a2c"), strict=False)
    ):
        points = " ".join(
            f"{left + width * (i + 1) / pages:.1f},{top + height * (1 - mib / highest):.1f}"
            for i, mib in enumerate(curve.mib)
        )
        x = left - 40 + number * 260
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{x}" y="{top + height + 50}" fill="{colour}">{label(curve.engine)}: '
            f"at most {max(curve.mib)} MiB</text>",
        ]
    parts.append(
        f'<text x="{left}" y="{top + height + 70}">resident MiB of one worker, by pages read</text>'
    )
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=5000, help="per engine; at least 900")
    parser.add_argument("--images", type=Path, help="a folder of .jpg; else pages are drawn")
    parser.add_argument("--width", type=int, default=500, help="of the pages, in pixels")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all")
    parser.add_argument("--parallel", type=int, default=1, help="engines measured at a time")
    parser.add_argument("--plot", type=Path, help="write the curves as SVG")
    parser.add_argument("--curves", type=Path, help="JSON to keep curves in, for one plot of many")
    asked = parser.parse_args()
    if asked.pages < 9 * STRIDE:
        parser.error(f"thirds of {asked.pages} pages say little; take {9 * STRIDE} or more")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.parallel) as pool:
        home = Path(folder)
        images = make_images(home / "images", asked.images, asked.width)

        def measure_engine(engine: str) -> Curve:
            curve = measure(engine, images, asked.pages, home)
            print(describe(curve), flush=True)
            return curve

        curves = list(pool.map(measure_engine, asked.engine or ENGINES))
    shown = keep(curves, asked.curves) if asked.curves else curves
    if asked.plot:
        title = f"One worker, {len(images)} different pages, about {asked.width} px wide"
        plot(shown, asked.plot, title)
    if not all(curve.is_flat for curve in curves):
        raise SystemExit("memory grows")


if __name__ == "__main__":
    main()

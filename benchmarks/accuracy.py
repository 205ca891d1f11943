"""How right and how fast a method reads the pages of a folder that have truth beside them.

    python benchmarks/accuracy.py TRUTH_DIR --method paddleocr --option K=V --workers 2

Runs the installed `batch_ocr` on this machine, from manifest to page JSON, and scores `full_text`
against NAME.json beside each image (see comic_ocr.evaluate.read_truth). Averages are micro
averages. A page that failed is scored as if nothing had been read.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from comic_ocr.evaluate import Score, read_truth, score_chars, score_words
from comic_ocr.page import result_key

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp")
#: done, and finished with some pages failed
USABLE_EXITS = (0, 3)


class TruePage(NamedTuple):
    canonical_id: str
    image: Path
    truth: Path


class PageScore(NamedTuple):
    canonical_id: str
    chars: Score
    words: Score
    #: None for a page without a result
    ocr_s: float | None


def find_pages(folder: Path, limit: int | None = None) -> list[TruePage]:
    """Return the images with a truth file beside them, by path; ids are paths in the folder."""
    images = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    pages = {
        image.relative_to(folder).with_suffix("").as_posix(): image
        for image in images
        if image.with_suffix(".json").exists()
    }
    found = [TruePage(name, image, image.with_suffix(".json")) for name, image in pages.items()]
    return found[:limit]


def write_manifest(pages: Sequence[TruePage], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("canonical_id", "absolute_image_path"))
        rows.writerows((page.canonical_id, page.image.resolve()) for page in pages)


def command_line(args: argparse.Namespace, manifest: Path, output: Path) -> list[str]:
    """Return the batch_ocr command that reads the manifest on this machine."""
    command = [sys.executable, "-m", "comic_ocr", "--manifest", str(manifest)]
    command += ["--method", args.method, "--backend", "localhost"]
    command += ["--workers", str(args.workers), "--output", str(output)]
    if args.lang:
        command += ["--lang", args.lang]
    for option in args.option:
        command += ["--option", option]
    return command


def score_output(pages: Sequence[TruePage], output: Path) -> Iterator[PageScore]:
    """Yield each page's scores, from the page JSON in the output folder."""
    for page in pages:
        truth = read_truth(page.truth)
        text, ocr_s = read_result(output / result_key(page.canonical_id))
        chars = score_chars(text, truth.required, truth.optional)
        words = score_words(text, truth.required, truth.optional)
        yield PageScore(page.canonical_id, chars, words, ocr_s)


def read_result(path: Path) -> tuple[str, float | None]:
    """Return the text and OCR seconds of one page JSON; ("", None) where the page failed."""
    if not path.exists():
        return "", None
    result = json.loads(path.read_text(encoding="utf-8"))
    return result["full_text"], result["timing"]["ocr_s"]


def summarize(scores: Sequence[PageScore], wall_s: float, worst: int = 5) -> dict[str, Any]:
    """Return the figures of all pages, ready for JSON."""
    seconds = [s.ocr_s for s in scores if s.ocr_s is not None]
    by_f1 = sorted(scores, key=lambda s: (s.chars.f1, s.canonical_id))
    return {
        "pages": len(scores),
        "failed": len(scores) - len(seconds),
        "chars": describe_score(sum((s.chars for s in scores), Score())),
        "words": describe_score(sum((s.words for s in scores), Score())),
        "worst": [{"id": s.canonical_id, **describe_score(s.chars)} for s in by_f1[:worst]],
        "wall_s": round(wall_s, 2),
        "pages_per_s": round(len(scores) / wall_s, 3),
        "mean_ocr_s": round(sum(seconds) / len(seconds), 3) if seconds else None,
    }


def describe_score(score: Score) -> dict[str, float]:
    return {
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
    }


def describe_machine() -> dict[str, Any]:
    """Return what a figure needs to be compared with another: machine, versions, date."""
    cpus = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return {
        "platform": platform.platform(),
        "cpu": read_cpu_model() or platform.processor() or platform.machine(),
        "cpus": len(cpus),
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def read_cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")


def format_report(report: dict[str, Any]) -> str:
    """Return the report as a table for people."""
    lines = [f"{report['method']} on {report['folder']}: {report['pages']} pages"]
    if report["failed"]:
        lines[0] += f", {report['failed']} failed (scored as empty)"
    if report["options"]:
        lines.append("options " + " ".join(report["options"]))
    lines += ["", f"{'':24}{'precision':>10}{'recall':>10}{'F1':>10}"]
    lines += [format_score(name, report[name]) for name in ("chars", "words")]
    lines += ["", "worst pages, by characters"]
    lines += [format_score(page["id"], page) for page in report["worst"]]
    mean = "-" if report["mean_ocr_s"] is None else f"{report['mean_ocr_s']:.3f} s"
    lines += [
        "",
        f"wall {report['wall_s']:.1f} s, {report['pages_per_s']:.2f} pages/s with "
        f"{report['workers']} workers; OCR {mean} a page",
        "{date}, {cpu} x {cpus}, {platform}, Python {python}".format(**report["machine"]),
    ]
    return "\n".join(lines)


def format_score(name: str, score: dict[str, float]) -> str:
    return f"{name:24}{score['precision']:>10.4f}{score['recall']:>10.4f}{score['f1']:>10.4f}"


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, metavar="TRUTH_DIR")
    parser.add_argument("--method", default="paddleocr")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--lang", help="languages of the pages, such as en,ja")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int, help="read only the first pages")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(argv)


def measure(args: argparse.Namespace, pages: Sequence[TruePage]) -> dict[str, Any]:
    """Return the report of one run; raises SystemExit where batch_ocr could not run."""
    with tempfile.TemporaryDirectory() as folder:
        manifest, output = Path(folder, "pages.csv"), Path(folder, "output")
        write_manifest(pages, manifest)
        started = time.perf_counter()
        # its data goes to stderr, so that stdout stays this program's own
        run = subprocess.run(
            command_line(args, manifest, output), stdout=sys.stderr.fileno(), check=False
        )
        wall_s = time.perf_counter() - started
        if run.returncode not in USABLE_EXITS:
            raise SystemExit(run.returncode)
        report = summarize(list(score_output(pages, output)), wall_s)
    about = {"method": args.method, "options": args.option, "workers": args.workers}
    return {"folder": str(args.folder), **about, **report, "machine": describe_machine()}


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    pages = find_pages(args.folder, args.limit)
    if not pages:
        raise SystemExit(f"{args.folder} has no image with a truth file NAME.json beside it")
    report = measure(args, pages)
    print(json.dumps(report, indent=1) if args.json else format_report(report))


if __name__ == "__main__":
    main()

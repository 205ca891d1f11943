"""`batch_ocr demo`: the whole way on a comic that the program draws itself."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

from comic_ocr.cli.progress import ProgressPrinter
from comic_ocr.evaluate import Score, read_truth, score_words
from comic_ocr.export import read_results
from comic_ocr.job import JobSpec, run_job
from comic_ocr.page import PageResult
from comic_ocr.testing.comic import draw_comic

_COLUMN = 46


@click.command()
@click.option("--folder", default="demo_output", show_default=True, help="Where to put everything.")
@click.option("--method", default="paddleocr", show_default=True, help="What reads the pages.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def demo(folder: str, method: str, workers: int) -> int:
    """Draw a six-page comic, read it on Lithops on this machine, and compare."""
    home = Path(folder)
    pages = home / "pages"
    drawn = draw_comic(pages)
    manifest = write_manifest(home / "pages.csv", [page.image for page in drawn])
    click.echo(f"drew {len(drawn)} pages into {pages}/ and listed them in {manifest}", err=True)
    output = home / "ocr_results"
    spec = JobSpec(
        manifest=str(manifest), method=method, output=str(output), workers=workers, overwrite=True
    )
    with ProgressPrinter() as printer:
        summary = run_job(spec, on_event=printer.handle)
    results = {result.canonical_id: result for result in read_results(str(output))}
    total = Score()
    for page in drawn:
        result = results.get(page.image.stem)
        truth = read_truth(page.truth)
        score = score_words(result.full_text if result else "", truth.required, truth.optional)
        total += score
        show_page(page.image.stem, [block.text for block in page.blocks], result, score)
    command = f"batch_ocr --manifest {manifest} --method {method} --output {output}"
    click.echo(f"word F1 {total.f1:.4f} over {len(drawn)} pages ({summary.wall_s:.1f} s)")
    click.echo(f"results: {output}/page_01_ocr.json and so on")
    click.echo(f"again, and nothing is read twice: {command}")
    return summary.exit_code


def write_manifest(path: Path, images: Sequence[Path]) -> Path:
    """Write a manifest of images, with their names as ids, and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["canonical_id", "absolute_image_path"])
        writer.writerows([image.stem, image.resolve()] for image in images)
    return path


def show_page(name: str, written: Sequence[str], result: PageResult | None, score: Score) -> None:
    """Print what was written beside what was read, block by block."""
    click.echo(f"\n{name}: word F1 {score.f1:.3f}")
    click.echo(f"  {'written':<{_COLUMN}}  read")
    read = [block.text for block in result.blocks] if result else []
    for index in range(max(len(written), len(read))):
        left = _wrap(written, index)
        right = _wrap(read, index)
        for row in range(max(len(left), len(right))):
            a = left[row] if row < len(left) else ""
            b = right[row] if row < len(right) else ""
            click.echo(f"  {a:<{_COLUMN}}  {b}")


def _wrap(texts: Sequence[str], index: int) -> list[str]:
    return textwrap.wrap(texts[index], _COLUMN) if index < len(texts) else []

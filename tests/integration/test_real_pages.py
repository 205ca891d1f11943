"""Real pages with truth, where this machine has them."""

from __future__ import annotations

from pathlib import Path

import pytest

import comic_ocr
from comic_ocr.evaluate import Score, read_truth, score_chars
from tests.conftest import SHARED_DATA

COMICS = SHARED_DATA / "comics"

pytestmark = pytest.mark.skipif(
    not COMICS.exists(), reason="the shared pages with truth are not on this machine"
)


@pytest.mark.parametrize(
    ("lang", "least_f1"), [("en", 0.98), ("ja", 0.97), ("fr", 0.97), ("cn", 0.97)]
)
def test_paddleocr_reads_real_comics(lang: str, least_f1: float, tmp_path: Path) -> None:
    images = sorted((COMICS / lang).glob("*.jpg"))[3:6]
    rows = "".join(f"{image.stem},{image}\n" for image in images)
    (tmp_path / "pages.csv").write_text("canonical_id,path\n" + rows)
    output = str(tmp_path / "out")
    comic_ocr.run(tmp_path / "pages.csv", output=output, backend="inline")
    total = Score()
    for page in comic_ocr.results(output):
        truth = read_truth(Path(page.source_image_path).with_suffix(".json"))
        total += score_chars(page.full_text, truth.required, truth.optional)
    assert total.f1 >= least_f1

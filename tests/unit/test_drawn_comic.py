from __future__ import annotations

import json
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from comic_ocr.evaluate import read_truth, score_words
from comic_ocr.geometry import BBox, overlap_length
from comic_ocr.testing.comic import DrawnPage, draw_comic
from comic_ocr.testing.story import read_pages


@pytest.fixture(scope="module")
def comic(tmp_path_factory: pytest.TempPathFactory) -> list[DrawnPage]:
    return draw_comic(tmp_path_factory.mktemp("comic"))


def _meet(a: BBox, b: BBox) -> bool:
    return bool(overlap_length(a[0], a[2], b[0], b[2]) and overlap_length(a[1], a[3], b[1], b[3]))


def _holds(outer: BBox, inner: BBox) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[0] + inner[2] <= outer[0] + outer[2]
        and inner[1] + inner[3] <= outer[1] + outer[3]
    )


def test_pages_are_jpegs_of_a_comics_size(comic: list[DrawnPage]) -> None:
    assert [page.image.name for page in comic] == [f"page_{n:02}.jpg" for n in range(1, 7)]
    for page in comic:
        with Image.open(page.image) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (992, 1400), "RGB")


def test_truth_files_hold_every_word_of_the_script(comic: list[DrawnPage]) -> None:
    for page, rows in zip(comic, read_pages(), strict=True):
        words = [speech.text for row in rows for scene in row.scenes for speech in scene.words]
        assert 4 <= len(words) <= 7
        truth = read_truth(page.truth)
        assert truth.required == "\n".join(words)
        assert truth.optional == ""
        assert score_words(truth.required, " ".join(words)).f1 == 1.0


def test_truth_files_have_the_documented_fields(comic: list[DrawnPage]) -> None:
    for page in comic:
        truth = json.loads(page.truth.read_text(encoding="utf-8"))
        assert (truth["image"], truth["lang"]) == (page.image.name, "en")
        assert (truth["width"], truth["height"]) == (992, 1400)
        for block in truth["blocks"]:
            assert block["kind"] == "text"
            assert " ".join(line["text"] for line in block["lines"]) == block["text"]
            assert block["text"].isascii()
            for box in (block["box"], *(line["box"] for line in block["lines"])):
                assert len(box) == 4
                assert _holds((0, 0, 992, 1400), tuple(box))


def test_text_lies_in_its_balloon_and_the_balloon_in_a_panel(comic: list[DrawnPage]) -> None:
    for page in comic:
        for block in page.blocks:
            assert _holds(block.outline, block.box)
            assert sum(_holds(panel, block.outline) for panel in page.panels) == 1
            for _, box in block.lines:
                assert _holds(block.box, box)


@pytest.mark.parametrize("seed", [0, 1])
def test_balloons_do_not_overlap_each_other(tmp_path: Path, seed: int) -> None:
    for page in draw_comic(tmp_path, seed=seed):
        for a, b in combinations(page.blocks, 2):
            assert not _meet(a.outline, b.outline)


def test_lines_do_not_overlap_each_other(comic: list[DrawnPage]) -> None:
    for page in comic:
        for block in page.blocks:
            for (_, above), (_, below) in pairwise(block.lines):
                assert above[1] + above[3] <= below[1]


def test_paper_is_clear_between_text_and_outline(comic: list[DrawnPage]) -> None:
    for page in comic:
        with Image.open(page.image) as image:
            pixels = np.asarray(image.convert("L"))
        for block in page.blocks:
            for _, line in block.lines:
                x, y, w, h = (round(v) for v in line)
                frame = pixels[y - 5 : y + h + 5, x - 5 : x + w + 5].copy()
                # other lines of the block may be near above and below, the sides are free
                assert frame[5:-5, :3].min() > 150
                assert frame[5:-5, -3:].min() > 150
                assert frame[5:-5, 5:-5].min() < 90


def test_blocks_are_in_reading_order_of_their_panels(comic: list[DrawnPage]) -> None:
    for page in comic:
        panels = [
            next(i for i, panel in enumerate(page.panels) if _holds(panel, block.outline))
            for block in page.blocks
        ]
        assert panels == sorted(panels)


def test_panels_are_apart_by_white_gutters(comic: list[DrawnPage]) -> None:
    assert len({tuple(len(row.scenes) for row in rows) for rows in read_pages()}) >= 4
    for page in comic:
        with Image.open(page.image) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels[:20].min() > 240
        assert pixels[:, :20].min() > 240
        for a, b in combinations(page.panels, 2):
            assert not _meet((a[0] - 8, a[1] - 8, a[2] + 16, a[3] + 16), b)


def test_the_same_seed_draws_the_same_bytes(comic: list[DrawnPage], tmp_path: Path) -> None:
    again = draw_comic(tmp_path, pages=2)
    for first, second in zip(comic, again, strict=False):
        assert first.image.read_bytes() == second.image.read_bytes()
        assert first.truth.read_bytes() == second.truth.read_bytes()


def test_another_seed_draws_another_page(comic: list[DrawnPage], tmp_path: Path) -> None:
    (other,) = draw_comic(tmp_path, pages=1, seed=1)
    assert other.image.read_bytes() != comic[0].image.read_bytes()
    assert [b.text for b in other.blocks] == [b.text for b in comic[0].blocks]


def test_the_story_starts_again_after_its_last_page(tmp_path: Path) -> None:
    pages = draw_comic(tmp_path, pages=7)
    assert [b.text for b in pages[6].blocks] == [b.text for b in pages[0].blocks]
    assert pages[6].image.read_bytes() != pages[0].image.read_bytes()

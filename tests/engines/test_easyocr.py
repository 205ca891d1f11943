"""Method easyocr on the real package, with made weights; with the real ones where they are.

EASYOCR_WEIGHTS=FOLDER make test-engines
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

import comic_ocr
from comic_ocr.engines import Engine, EngineSetup, find_method
from comic_ocr.engines.easyocr import _GROUPS, LANGUAGES, EasyOptions, name_languages
from comic_ocr.errors import EngineMissingError, OptionError
from comic_ocr.images import decode_image
from comic_ocr.testing.comic import DrawnPage, draw_comic
from comic_ocr.testing.contracts import EngineContract

pytestmark = pytest.mark.skipif(find_spec("easyocr") is None, reason="EasyOCR is not installed")

METHOD = find_method("easyocr")
REAL_WEIGHTS = os.environ.get("EASYOCR_WEIGHTS", "")
# The engine turns these off when it loads; pytest turns them on again for every test.
quiet = pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")


def load(options: EasyOptions, languages: tuple[str, ...] = ("en",), **setup: bool) -> Engine:
    engine = METHOD.build(EngineSetup(options, languages, threads=1, **setup))
    engine.load()
    return engine


@quiet
@pytest.mark.usefixtures("made_weights")
class TestEasyOnMadeWeights(EngineContract):
    """The contract, at a size that is quick to read; the blank page is blank to this detector."""

    method = "easyocr"
    options = {"detection_px": 704}

    def test_it_says_what_reads(self, loaded: Engine) -> None:
        assert loaded.version.startswith("easyocr 1.")
        assert ", torch 2." in loaded.version
        assert loaded.model == "craft_mlt_25k + english_g2"


@quiet
@pytest.mark.usefixtures("import_s")
@pytest.mark.skipif(not REAL_WEIGHTS, reason="EASYOCR_WEIGHTS names no folder of real weights")
class TestEasyOnRealWeights(EngineContract):
    method = "easyocr"
    options = {"weights": REAL_WEIGHTS}
    least_word_f1 = 0.6


@quiet
@pytest.mark.usefixtures("made_weights")
class TestOneEngine:
    """Figures and places at the default size, on one engine."""

    @pytest.fixture(scope="class")
    @classmethod
    def pages(cls, tmp_path_factory: pytest.TempPathFactory) -> list[DrawnPage]:
        return draw_comic(tmp_path_factory.mktemp("pages"), pages=2)

    @pytest.fixture(scope="class")
    @classmethod
    def timed(cls, made_weights: Path) -> tuple[Engine, float]:
        started = time.perf_counter()
        engine = load(EasyOptions(weights=str(made_weights)))
        return engine, time.perf_counter() - started

    def test_what_it_costs(
        self, timed: tuple[Engine, float], pages: list[DrawnPage], import_s: float
    ) -> None:
        engine, load_s = timed
        images = [decode_image(page.image.read_bytes(), page_id="p") for page in pages]
        started = time.perf_counter()
        found = [engine.recognize(image).regions for image in images]
        page_s = (time.perf_counter() - started) / len(images)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        regions = sum(map(len, found)) / len(found)
        print(  # noqa: T201 (the figures are what `make test-engines` is for)
            f"\n{engine.version}, {engine.model} (made weights: no accuracy is claimed): "
            f"import {import_s:.1f} s (torch apart), load {load_s:.1f} s, "
            f"{page_s:.1f} s a drawn page on 1 thread, {regions:.0f} regions a page, "
            f"peak RSS of the tests {peak_mb:.0f} MB"
        )
        assert all(found)
        assert peak_mb < METHOD.memory_mb

    def test_regions_lie_on_the_lines(
        self, timed: tuple[Engine, float], pages: list[DrawnPage]
    ) -> None:
        """The made detector takes lines that touch an outline for a part of the drawing."""
        image = decode_image(pages[0].image.read_bytes(), page_id="p")
        boxes = [region.bbox for region in timed[0].recognize(image).regions]
        lines = [box for block in pages[0].blocks for _, box in block.lines]
        covered = [line for line in lines if any(_frames(box, line) for box in boxes)]
        assert len(covered) >= 0.8 * len(lines)


def _frames(box: tuple[float, ...], line: tuple[float, ...]) -> bool:
    """Return whether the line's middle is in a box that is not much higher than the line."""
    x, y = line[0] + line[2] / 2, line[1] + line[3] / 2
    inside = box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]
    return inside and box[3] < 3 * line[3]


def test_a_job_reads_two_pages_and_says_what_read_them(made_weights: Path, tmp_path: Path) -> None:
    pages = draw_comic(tmp_path / "pages", pages=2)
    manifest = tmp_path / "pages.csv"
    rows = [f"{page.image.stem},{page.image}\n" for page in pages]
    manifest.write_text("canonical_id,absolute_image_path\n" + "".join(rows))
    output = tmp_path / "out"
    summary = comic_ocr.run(
        manifest,
        method="easyocr",
        output=output,
        backend="inline",
        options={"weights": str(made_weights), "detection_px": 704},
    )
    assert (summary.done, summary.failed) == (2, 0)
    results = {result.canonical_id: result for result in comic_ocr.results(output)}
    assert sorted(results) == ["page_01", "page_02"]
    for result in results.values():
        assert result.engine.name == "easyocr"
        assert result.engine.model == "craft_mlt_25k + english_g2"
        assert result.num_regions > 0
        assert len(result.text_regions[0].polygon) == 4


def test_reading_says_nothing(
    made_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = draw_comic(tmp_path, pages=1)[0]
    capfd.readouterr()
    engine = load(EasyOptions(detection_px=320))
    engine.recognize(decode_image(page.image.read_bytes(), page_id="p"))
    assert capfd.readouterr() == ("", "")


def test_a_missing_recogniser_is_named_with_its_folder(made_weights: Path) -> None:
    with pytest.raises(EngineMissingError, match=r"japanese_g2\.pth") as raised:
        load(EasyOptions(), ("ja",))
    assert str(made_weights) in raised.value.message
    assert "download=true" in raised.value.hint


def test_weights_that_easyocr_did_not_publish_are_refused_and_left_alone(
    import_s: float, tmp_path: Path
) -> None:
    (tmp_path / "craft_mlt_25k.pth").write_bytes(b"another network")
    with pytest.raises(EngineMissingError, match="MD5"):
        load(EasyOptions(weights=str(tmp_path)))
    assert (tmp_path / "craft_mlt_25k.pth").read_bytes() == b"another network"


def test_a_gpu_that_is_not_there_is_no_reason_to_read_on_the_cpu(made_weights: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(OptionError, match="no CUDA device") as raised:
        load(EasyOptions(), gpu=True)
    assert "--gpu" in raised.value.hint


@pytest.mark.parametrize("group", _GROUPS, ids=min)
def test_easyocr_reads_the_languages_of_a_group_together(
    import_s: float, group: frozenset[str], tmp_path: Path
) -> None:
    from easyocr import Reader

    def open_without_networks(codes: frozenset[str]) -> None:
        names = [name_languages([code])[0] for code in sorted(codes)]
        folder = str(tmp_path)
        Reader(names, False, folder, folder, detector=False, recognizer=False, verbose=False)

    open_without_networks(group | {"en"})
    stranger = min(LANGUAGES - group - {"en"})
    with pytest.raises(ValueError, match="only compatible"):
        open_without_networks(group | {stranger})


def test_what_is_left_out_lacks_its_alphabet(import_s: float) -> None:
    import easyocr
    from easyocr.config import all_lang_list

    left_out = set(all_lang_list) - set(name_languages_of(LANGUAGES))
    alphabets = Path(easyocr.__file__).parent / "character"
    assert left_out == {"bgc", "mni", "sa"}
    assert not any((alphabets / f"{name}_char.txt").exists() for name in left_out)


def name_languages_of(codes: frozenset[str]) -> list[str]:
    return [name_languages([code])[0] for code in codes]


def test_the_command_says_that_weights_are_missing_and_how_to_get_them(tmp_path: Path) -> None:
    page = draw_comic(tmp_path, pages=1)[0]
    manifest = tmp_path / "pages.csv"
    manifest.write_text(f"canonical_id,absolute_image_path\np,{page.image}\n")
    empty = tmp_path / "weights"
    empty.mkdir()
    command = [sys.executable, "-m", "comic_ocr", "--manifest", str(manifest)]
    command += ["--method", "easyocr", "--option", f"weights={empty}"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "error[engine_missing]" in done.stderr
    assert "craft_mlt_25k.pth" in done.stderr
    assert "download=true" in done.stderr
    assert not (tmp_path / "out").exists()

"""Method paddleocr with runtime=paddle, on the real package; figures are printed (pytest -rP).

Networks in Paddle's own format are made here, for no weights in it can be fetched where tests run;
they need paddlepaddle, which the extra does not bring.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from comic_ocr.engines import Engine, EngineSetup, find_method
from comic_ocr.engines.paddleocr import PaddleOptions
from comic_ocr.engines.paddleocr.models import find_models, lay_out_bundled
from comic_ocr.errors import EngineMissingError, OptionError
from comic_ocr.evaluate import Score, read_truth, score_chars, score_words
from comic_ocr.images import PageImage, decode_image
from comic_ocr.testing.comic import DrawnPage, draw_comic
from comic_ocr.testing.contracts import EngineContract
from tests.conftest import SHARED_DATA
from tests.engines.paddle_networks import save_networks

pytestmark = pytest.mark.skipif(
    find_spec("paddleocr") is None, reason="the official paddleocr package is not installed"
)
needs_paddlepaddle = pytest.mark.skipif(
    find_spec("paddle") is None, reason="paddlepaddle is not installed"
)

METHOD = find_method("paddleocr")
COMICS = SHARED_DATA / "comics" / "en"
_STATM = Path("/proc/self/statm")
#: in a process of its own, for Lithops fixes its folders when it is first imported
_RUN_A_JOB = """
import sys
import comic_ocr
manifest, output, runtime = sys.argv[1:]
summary = comic_ocr.run(
    manifest, method="paddleocr", output=output, options={"runtime": runtime},
    backend="localhost", workers=2,
)
print(summary.done, summary.failed)
"""
_READ_A_PAGE = """
import sys
from comic_ocr import ocr_page
print(ocr_page(sys.argv[1], runtime=sys.argv[2]).num_regions)
"""


class TestPaddleOnOnnxRuntime(EngineContract):
    method = "paddleocr"
    options = {"runtime": "paddle"}
    least_word_f1 = 0.97

    def test_it_says_what_reads(self, loaded: Engine) -> None:
        assert loaded.version.startswith("paddleocr 3.7")
        assert ", onnxruntime" in loaded.version
        assert loaded.model == "PP-OCRv6_small"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[DrawnPage]:
    return draw_comic(tmp_path_factory.mktemp("pages"), pages=4)


@pytest.fixture(scope="module")
def images(drawn: list[DrawnPage]) -> list[PageImage]:
    return [decode_image(page.image.read_bytes(), page_id=page.image.stem) for page in drawn]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a folder of models as a user would have it."""
    folder = tmp_path / "models"
    folder.mkdir()
    lay_out_bundled(folder)
    return folder


def load(gpu: bool = False, **options: Any) -> Engine:
    engine = METHOD.build(EngineSetup(PaddleOptions(**options), ("en",), 1, gpu=gpu))
    engine.load()
    return engine


def read_lines(engine: Engine, page: PageImage) -> list[str]:
    return [region.text for region in engine.recognize(page).regions]


def read_job(pages: list[Path], folder: Path, runtime: str) -> dict[str, dict[str, Any]]:
    """Return the page JSON of a whole job on two workers, by the image's name."""
    folder.mkdir()
    rows = "".join(f"{image.stem},{image}\n" for image in pages)
    (folder / "pages.csv").write_text("canonical_id,path\n" + rows)
    done = subprocess.run(
        [sys.executable, "-c", _RUN_A_JOB, folder / "pages.csv", folder / "out", runtime],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == [str(len(pages)), "0"], done.stderr
    files = (folder / "out").glob("*_ocr.json")
    return {file.name.removesuffix("_ocr.json"): json.loads(file.read_text()) for file in files}


def describe_shape(value: Any) -> Any:
    """Return what JSON holds without its values: names and types."""
    if isinstance(value, dict):
        return {name: describe_shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return describe_shape(value[0]) if value else None
    return type(value).__name__


@pytest.mark.usefixtures("own_machine")
def test_a_job_writes_the_same_page_json_as_the_other_runtimes(
    drawn: list[DrawnPage], tmp_path: Path
) -> None:
    pages = [page.image for page in drawn]
    jobs = {name: read_job(pages, tmp_path / name, name) for name in ("openvino", "paddle")}
    assert sorted(jobs["paddle"]) == sorted(page.stem for page in pages)
    for name, page in jobs["paddle"].items():
        other = jobs["openvino"][name]
        assert describe_shape(page) == describe_shape(other)
        assert score_words(page["full_text"], other["full_text"]).f1 >= 0.97
        assert page["engine"]["version"].startswith("paddleocr 3.7")
        assert page["engine"]["options"]["runtime"] == "paddle"
        assert len(page["blocks"]) == len(other["blocks"])


def test_models_of_the_users_own_are_read_and_named(models: Path, images: list[PageImage]) -> None:
    (models / "PP-OCRv6_small_det").rename(models / "a")
    engine = load(runtime="paddle", models=str(models))
    assert engine.model == "PP-OCRv6_small_det + PP-OCRv6_small_rec"
    assert read_lines(engine, images[0]) == read_lines(load(runtime="paddle"), images[0])


def test_loading_and_reading_ask_no_server_and_leave_nothing(
    images: list[PageImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address))
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert read_lines(load(runtime="paddle"), images[0])
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_reading_says_nothing(images: list[PageImage], capfd: pytest.CaptureFixture[str]) -> None:
    load(runtime="paddle").recognize(images[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("runtime", ["paddle", "onnxruntime"])
def test_no_device_id_is_left_in_the_home_directory(
    runtime: str, drawn: list[DrawnPage], tmp_path: Path
) -> None:
    assert int(read_apart(drawn[0].image, runtime, home=tmp_path)) > 0
    assert list(tmp_path.rglob("*Microsoft*")) == []


def test_a_home_that_cannot_be_written_to_is_no_obstacle(drawn: list[DrawnPage]) -> None:
    assert int(read_apart(drawn[0].image, "paddle", home=Path("/proc/nowhere"))) > 0


def read_apart(image: Path, runtime: str, home: Path) -> str:
    """Return what a process of its own prints, in which no one has turned anything off."""
    kept_off = ("ORT_DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME", "PADDLE_PDX_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in kept_off}
    with tempfile.TemporaryDirectory() as temporary:
        environment |= {"HOME": str(home), "TMPDIR": temporary}
        done = subprocess.run(
            [sys.executable, "-c", _READ_A_PAGE, str(image), runtime],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_gpu_that_is_not_there_is_no_reason_to_read_on_the_cpu() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime may have a GPU")
    with pytest.raises(OptionError, match="no GPU") as raised:
        load(runtime="paddle", gpu=True)
    assert "onnxruntime-gpu" in raised.value.hint


def test_paddles_own_format_needs_paddlepaddle(models: Path) -> None:
    if find_spec("paddle"):
        pytest.skip("paddlepaddle is installed")
    for folder in models.iterdir():
        (folder / "inference.onnx").unlink()
        for name in ("inference.json", "inference.pdiparams"):
            (folder / name).write_bytes(b"")
    with pytest.raises(EngineMissingError, match="run on paddle") as raised:
        load(runtime="paddle", models=str(models))
    assert raised.value.hint == "pip install paddlepaddle"


def test_what_it_costs_and_how_well_it_reads(
    drawn: list[DrawnPage], images: list[PageImage]
) -> None:
    truths = [read_truth(page.truth).required for page in drawn]
    seconds = {}
    for runtime in ("paddle", "onnxruntime", "openvino"):
        started = time.perf_counter()
        engine = load(runtime=runtime)
        load_s = time.perf_counter() - started
        started = time.process_time()
        texts = ["\n".join(read_lines(engine, image)) for image in images]
        seconds[runtime] = (time.process_time() - started) / len(images)
        score = sum(map(score_words, texts, truths), Score())
        print(  # noqa: T201 (the figures are what `make test-engines` is for)
            f"{runtime}: {engine.version}, load {load_s:.1f} s, {seconds[runtime]:.2f} CPU s a "
            f"drawn page, paddle takes {seconds['paddle'] / seconds[runtime]:.2f} times that; "
            f"word F1 {score.f1:.4f}"
        )
        assert score.f1 >= 0.97


@pytest.mark.skipif(not _STATM.exists(), reason="memory is read from /proc")
def test_memory_stops_growing(images: list[PageImage]) -> None:
    engine = load(runtime="paddle")
    sizes = []
    for _ in range(6):
        for image in images:
            engine.recognize(image)
        pages = int(_STATM.read_text().split()[1])
        sizes.append(round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
    print(f"RSS after every {len(images)} drawn pages: {sizes} MB")  # noqa: T201 (as above)
    assert sizes[-1] - sizes[1] < 50


@pytest.mark.usefixtures("own_machine")
@pytest.mark.skipif(
    not COMICS.exists(), reason="the shared pages with truth are not on this machine"
)
def test_real_pages_are_read_as_well_as_by_the_other_runtimes(tmp_path: Path) -> None:
    pages = sorted(COMICS.glob("*.jpg"))[::6][:10]
    found = {}
    for runtime in ("openvino", "paddle"):
        total = Score()
        for result in read_job(pages, tmp_path / runtime, runtime).values():
            truth = read_truth(Path(result["source_image_path"]).with_suffix(".json"))
            total += score_chars(result["full_text"], truth.required, truth.optional)
        found[runtime] = total.f1
        print(  # noqa: T201 (as above)
            f"{runtime}: character F1 {total.f1:.4f}, precision {total.precision:.4f}, "
            f"recall {total.recall:.4f} on {len(pages)} English pages"
        )
    assert found["paddle"] >= found["openvino"] - 0.005


@pytest.fixture
def paddle_models(tmp_path: Path) -> Path:
    return save_networks(tmp_path / "paddle")


@needs_paddlepaddle
@pytest.mark.filterwarnings("ignore:No ccache found:UserWarning")
def test_networks_in_paddles_own_format_run_on_paddlepaddle(
    paddle_models: Path, images: list[PageImage], drawn: list[DrawnPage]
) -> None:
    assert find_models(paddle_models).are_paddle
    engine = load(runtime="paddle", models=str(paddle_models), min_confidence=0.1)
    assert engine.version.startswith("paddleocr 3.7")
    assert ", paddlepaddle" in engine.version
    assert engine.model == "PP-OCRv5_mobile_det + PP-OCRv5_mobile_rec"
    regions = engine.recognize(images[0]).regions
    assert len(regions) > 5
    assert {letter for region in regions for letter in region.text} == {"A"}


@needs_paddlepaddle
@pytest.mark.filterwarnings("ignore:No ccache found:UserWarning")
def test_paddlepaddle_without_a_gpu_is_refused(paddle_models: Path) -> None:
    import paddle

    if paddle.device.is_compiled_with_cuda():
        pytest.skip("this paddlepaddle may have a GPU")
    with pytest.raises(OptionError, match="paddlepaddle finds no GPU"):
        load(runtime="paddle", models=str(paddle_models), gpu=True)

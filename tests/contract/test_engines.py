"""Every engine of the package against the contract, and the fake one that other tests rely on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from comic_ocr.engines import Engine, tesseract
from comic_ocr.testing.contracts import EngineContract


class TestNull(EngineContract):
    method = "null"


class TestFaulty(EngineContract):
    method = "faulty"

    def test_a_page_without_text_has_no_text(self) -> None:
        """It reads the page's id instead, by design."""


class TestPaddleOnOpenVino(EngineContract):
    method = "paddleocr"
    options = {"runtime": "openvino"}
    least_word_f1 = 0.97


class TestPaddleOnOnnxRuntime(EngineContract):
    method = "paddleocr"
    options = {"runtime": "onnxruntime"}
    least_word_f1 = 0.97


class TestTesseract(EngineContract):
    method = "tesseract"
    least_word_f1 = 0.7


@pytest.mark.skipif(not shutil.which("tesseract"), reason="the tesseract command is not installed")
class TestTesseractCommand(EngineContract):
    """The fall-back where tesserocr is not installed."""

    method = "tesseract"
    least_word_f1 = 0.7

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def without_tesserocr(cls) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                tesseract,
                "find_spec",
                lambda name: None if name == "tesserocr" else find_spec(name),
            )
            yield

    def test_it_is_the_command_that_reads(self, loaded: Engine) -> None:
        assert loaded.version.startswith("tesseract ")
        assert "pytesseract" in sys.modules

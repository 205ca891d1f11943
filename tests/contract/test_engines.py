"""Every engine of the package against the contract, and the fake one that other tests rely on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, ClassVar

import pytest

from comic_ocr.engines import Engine, tesseract
from comic_ocr.testing.api_server import ApiServer
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


class ApiContract(EngineContract):
    """A method that asks an API, asking a server of the tests."""

    #: besides the server's address
    more: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def at_the_server(cls, running_api: ApiServer) -> Iterator[None]:
        running_api.order([])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COMIC_OCR_API_KEY", "any")
            patch.setattr(cls, "options", {"base_url": f"{running_api.url}/v1", **cls.more})
            yield


class TestQwen(ApiContract):
    method = "qwen"
    least_word_f1 = 0.97


class TestQwenWithBoxesInPixels(ApiContract):
    method = "qwen"
    more = {"model": "qwen/qwen2.5-vl-72b-instruct"}
    least_word_f1 = 0.97


class TestGemma(ApiContract):
    method = "gemma"
    least_word_f1 = 0.97


class TestDeepSeek(ApiContract):
    method = "deepseek"
    more = {"model": "deepseek/deepseek-ocr"}
    least_word_f1 = 0.97


class TestUpstageParse(ApiContract):
    method = "upstage"
    least_word_f1 = 0.97


class TestUpstageParseLater(ApiContract):
    method = "upstage"
    more = {"asynchronous": True}
    least_word_f1 = 0.97


class TestUpstageOcr(ApiContract):
    method = "upstage"
    more = {"api_type": "ocr"}
    least_word_f1 = 0.97


class TestUpstagePrebuilt(ApiContract):
    method = "upstage"
    more = {"api_type": "prebuilt-extraction"}


class TestUpstageUniversal(ApiContract):
    method = "upstage"
    more = {
        "api_type": "universal-extraction",
        "schema": '{"type": "object", "properties": {"title": {"type": "string"}}}',
    }


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

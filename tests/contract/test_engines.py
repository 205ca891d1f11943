"""Every engine of the package against the contract, and the fake one that other tests rely on."""

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

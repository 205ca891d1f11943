"""What the paddleocr engine does around the networks."""

import numpy as np
import pytest

from comic_ocr.engines import EngineSetup, find_method
from comic_ocr.engines.paddleocr import PaddleEngine, PaddleOptions, _pad_strip
from comic_ocr.testing.contracts import make_page


@pytest.mark.parametrize(
    ("shape", "padded"),
    [
        ((1400, 992, 3), (1400, 992, 3)),
        ((2, 3000, 3), (75, 3000, 3)),
        ((3000, 2, 3), (3000, 75, 3)),
        ((1, 1, 3), (1, 1, 3)),
    ],
)
def test_a_strip_is_made_thick_enough_with_white(shape, padded):
    result = _pad_strip(np.zeros(shape, dtype=np.uint8))
    assert result.shape == padded
    assert (result[: shape[0], : shape[1]] == 0).all()
    assert result.sum() == 255 * (result.size - np.prod(shape))


def test_a_page_that_is_shrunk_a_lot_says_so_in_its_warnings():
    engine = PaddleEngine(EngineSetup(PaddleOptions(), ("en",), 1))
    engine.load()
    (warning,) = engine.recognize(make_page(100, 2600)).warnings
    assert "100 x 2600 px" in warning
    assert engine.recognize(make_page(992, 1400)).warnings == ()


def test_options_of_another_method_are_a_fault_of_the_program():
    with pytest.raises(TypeError, match="PaddleOptions"):
        find_method("paddleocr").build(EngineSetup())

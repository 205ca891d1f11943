"""Boxes as models write them, on the page."""

import pytest

from comic_ocr.engines.chat.boxes import Frame, smart_resize


@pytest.mark.parametrize(
    ("size", "scaled"),
    [
        # sides are rounded to the nearest multiple of 28
        ((1000, 700), (1008, 700)),
        ((1400, 992), (1400, 980)),
        ((2800, 2800), (2800, 2800)),
        # at most 12,845,056 pixels
        ((10_000, 5_000), (5068, 2520)),
        ((800, 40_000), (504, 25_340)),
        # at least 3,136 pixels
        ((10, 10), (56, 56)),
        ((1, 1), (56, 56)),
        ((60, 20), (112, 56)),
    ],
)
def test_qwen_scales_pages_to_multiples_of_28_within_limits(size, scaled):
    assert smart_resize(*size) == scaled
    assert smart_resize(*size[::-1]) == scaled[::-1]


@pytest.mark.parametrize(
    ("scale", "corners"),
    [
        ("thousand", (250, 500, 500, 1000)),
        ("999", (249.75, 499.5, 499.5, 999)),
        # a page of 1,000 x 700 pixels is scaled to 1,008 x 700
        ("pixels", (252, 350, 504, 700)),
    ],
)
def test_a_box_is_placed_by_the_models_scale(scale, corners):
    assert Frame((1000, 700), scale).place(corners) == (250.0, 350.0, 250.0, 350.0)


def test_pixels_are_those_of_the_image_as_it_was_sent():
    frame = Frame((2000, 1400), "pixels", sent=(1000, 700))
    assert frame.place((252, 350, 504, 700)) == (500.0, 700.0, 500.0, 700.0)


def test_a_scale_of_none_places_nothing():
    assert Frame((1000, 700), "none").place((1, 2, 3, 4)) is None


def test_the_smallest_page_holds_any_box():
    assert Frame((1, 1), "thousand").place((0, 0, 0, 0)) == (0.0, 0.0, 1.0, 1.0)
    assert Frame((1, 1), "thousand").place((999, 1, 5000, 5000)) == (0.0, 0.0, 1.0, 1.0)

"""Boxes, polygons, and words to text."""

import pytest

from comic_ocr.geometry import (
    enclose_boxes,
    enclose_points,
    overlap_length,
    round_box,
)
from comic_ocr.text import is_unspaced, join_words


def test_the_box_around_points_holds_all_of_them():
    assert enclose_points([(5, 9), (2, 30), (8, 1)]) == (2, 1, 6, 29)


def test_the_box_around_one_point_has_no_size():
    assert enclose_points([(5, 9)]) == (5, 9, 0, 0)


def test_the_box_around_boxes_holds_all_of_them():
    assert enclose_boxes([(10, 10, 5, 5), (0, 12, 2, 20), (11, 11, 1, 1)]) == (0, 10, 15, 22)


@pytest.mark.parametrize(
    ("a", "b", "shared"),
    [
        ((0, 10), (5, 10), 5),
        ((5, 10), (0, 10), 5),
        ((0, 10), (2, 3), 3),
        ((0, 10), (10, 5), 0),
        ((0, 10), (50, 5), 0),
    ],
)
def test_intervals_share_what_lies_in_both(a, b, shared):
    assert overlap_length(*a, *b) == shared


def test_a_rounded_box_keeps_a_tenth_of_a_pixel():
    assert round_box([1.26, 2, 3.04, 4.999]) == (1.3, 2.0, 3.0, 5.0)


@pytest.mark.parametrize("letter", "日々あアー。「」！Ａ　")
def test_japanese_and_chinese_are_written_without_blanks(letter):
    assert is_unspaced(letter)


@pytest.mark.parametrize("letter", "aéЖ한א!.1")
def test_other_scripts_are_written_with_blanks(letter):
    assert not is_unspaced(letter)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], ""),
        (["HELLO,", "YOU"], "HELLO, YOU"),
        (["東京", "タワー", "。"], "東京タワー。"),
        (["第3", "巻"], "第3 巻"),
        (["OK", "だ"], "OK だ"),
        (["だ", "OK"], "だ OK"),
        (["안녕", "하세요"], "안녕 하세요"),
        (["A", "", "B"], "A B"),
        (["", "A"], "A"),
    ],
)
def test_words_are_joined_as_their_script_is_written(words, text):
    assert join_words(words) == text


def test_marks_of_both_scripts_follow_the_letter_beside_them() -> None:
    assert join_words(["そう…", "なのか"]) == "そう…なのか"
    assert join_words(["WELL…", "YES"]) == "WELL… YES"
    assert join_words(["𠮷", "野"]) == "𠮷野"

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comic_ocr.errors import SourceNotFoundError, UsageError
from comic_ocr.evaluate import Score, Truth, normalize, read_truth, score_chars, score_words


def test_case_width_and_ligatures_make_no_difference() -> None:
    assert normalize("ＡＢＣ ﬁne STRASSE") == normalize("abc fine straße")


def test_folding_leaves_text_composed() -> None:
    assert score_chars("e\u0301cole", "École").f1 == 1.0


def test_only_letters_digits_and_the_marks_that_spell_are_counted() -> None:
    assert score_chars("", "Go! 42 – (yes)…").expected == 7
    assert score_chars("", "हिन्दी").expected == 6
    assert score_chars("", "ラーメン").expected == 4


def test_invisible_characters_are_not_seen() -> None:
    assert score_words("won\u00adder", "wonder").f1 == 1.0
    assert score_chars("葛\U000e0100", "葛").f1 == 1.0


def test_characters_are_a_multiset_whatever_their_order() -> None:
    assert score_chars("baa", "aab") == Score(3, 3, 3)
    assert score_chars("aaa", "ab") == Score(1, 3, 2)


def test_precision_recall_and_f1_follow_the_counts() -> None:
    score = Score(matched=6, predicted=8, expected=12)
    assert (score.precision, score.recall, score.f1) == (0.75, 0.5, pytest.approx(0.6))


def test_optional_text_is_neither_wrong_when_read_nor_missed_when_not() -> None:
    assert score_words("hello boom", "hello", "BOOM!").f1 == 1.0
    assert score_words("hello", "hello", "BOOM!").f1 == 1.0
    assert score_words("hello boom boom", "hello", "BOOM!") == Score(1, 2, 1)


def test_required_text_is_matched_before_optional_text_excuses() -> None:
    assert score_words("boom", "boom", "boom") == Score(1, 1, 1)


def test_a_page_without_text_is_right_when_nothing_was_read() -> None:
    assert score_chars("", "") == Score()
    assert Score().precision == Score().recall == Score().f1 == 1.0
    assert score_chars("x", "").f1 == 0.0
    assert score_chars("", "x").f1 == 0.0


def test_pages_add_up_to_the_micro_average() -> None:
    pages = [score_chars("aaaa", "aaaa"), score_chars("b", "c")]
    assert sum(pages, Score()) == Score(4, 5, 5)


@pytest.mark.parametrize("apostrophe", ["'", "’", "ʼ", ""])
def test_an_apostrophe_inside_a_word_does_not_split_it(apostrophe: str) -> None:
    assert score_words(f"don{apostrophe}t", "don't") == Score(1, 1, 1)


def test_quotes_around_a_word_are_not_part_of_it() -> None:
    assert score_words("'quoted' rock'n'roll", "quoted rocknroll") == Score(2, 2, 2)


def test_words_are_right_only_as_a_whole() -> None:
    assert score_words("ALL READY 999,999", "already 999,999") == Score(2, 4, 3)


def test_truth_json_separates_required_from_optional_blocks(tmp_path: Path) -> None:
    blocks = [
        {"text": "Hello there", "kind": "text", "box": [1, 2, 3, 4], "lines": []},
        {"text": "BOOM", "kind": "sfx_or_filtered"},
        {"text": "Bye"},
    ]
    path = tmp_path / "page.json"
    path.write_text(json.dumps({"lang": "en", "blocks": blocks}), encoding="utf-8")
    assert read_truth(path) == Truth("Hello there\nBye", "BOOM")


def test_plain_text_is_required_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.txt"
    path.write_text("\ufeffÀ bientôt", encoding="utf-8")
    assert read_truth(str(path)) == Truth("À bientôt")


@pytest.mark.parametrize("content", ["[]", '{"regions": []}', '{"blocks": [{}]}', "{"])
def test_json_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "page.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"page\.json is not a truth file"):
        read_truth(path)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_truth(path)


def test_truth_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        read_truth(tmp_path / "none.json")

"""Tesseract's table to lines, and where its language data is."""

import pytest

from comic_ocr.engines.tesseract import find_tessdata, parse_tsv


def word(text: str, conf: object = 90, box=(10, 20, 30, 8), place=(1, 1, 1, 1)) -> str:
    return "\t".join(str(v) for v in (5, 1, *place, *box, conf, text))


def level(number: int) -> str:
    return "\t".join(str(v) for v in (number, 1, 1, 1, 1, 0, 0, 0, 500, 500, -1, ""))


def parse(*rows: str):
    return parse_tsv("\n".join(rows) + "\n")


def test_words_of_a_line_are_one_region():
    (line,) = parse(
        *map(level, (1, 2, 3, 4)),
        word("HELLO,", 90, (10, 20, 30, 8), (1, 2, 1, 1)),
        word("YOU", 60.5, (45, 18, 15, 12), (1, 2, 1, 2)),
    )
    assert line.text == "HELLO, YOU"
    assert line.bbox == (10, 18, 50, 12)
    assert line.polygon is None
    assert (line.metadata["block"], line.metadata["paragraph"]) == (1, 2)
    assert line.metadata["words"] == [
        {"text": "HELLO,", "bbox": (10, 20, 30, 8), "confidence": 0.9},
        {"text": "YOU", "bbox": (45, 18, 15, 12), "confidence": 0.605},
    ]


def test_a_lines_confidence_weighs_words_by_their_letters():
    (line,) = parse(word("AAA", 100), word("B", 20))
    assert line.confidence == 0.8


def test_lines_come_in_tesseracts_order():
    rows = [
        word(text, place=place)
        for text, place in [
            ("a", (1, 1, 1, 1)),
            ("b", (1, 1, 2, 1)),
            ("c", (1, 2, 1, 1)),
            ("d", (2, 1, 1, 1)),
            ("e", (2, 1, 1, 2)),
        ]
    ]
    assert [line.text for line in parse(*rows)] == ["a", "b", "c", "d e"]


def test_a_confidence_of_minus_one_is_none():
    (line,) = parse(word("?", -1))
    assert line.confidence is None
    assert line.metadata["words"][0]["confidence"] is None


def test_a_word_without_confidence_does_not_lower_its_line():
    (line,) = parse(word("SURE", 96), word("?", -1))
    assert line.confidence == 0.96


def test_japanese_words_are_joined_without_blanks():
    (line,) = parse(word("東京"), word("タワー"), word("。"))
    assert line.text == "東京タワー。"


def test_quotes_are_text():
    assert [
        line.text for line in parse(word('"NO!'), word("IT'S"), word('"', place=(2, 1, 1, 1)))
    ] == [
        "\"NO! IT'S",
        '"',
    ]


@pytest.mark.parametrize("tsv", ["", "\n", level(1), word(" "), word(""), "5\t1\tbroken"])
def test_a_table_without_words_has_no_lines(tsv):
    assert parse_tsv(tsv) == []


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Make a folder with English data that TESSDATA_PREFIX does not name."""
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    folder = tmp_path / "share" / "tessdata"
    folder.mkdir(parents=True)
    (folder / "eng.traineddata").touch()
    return folder


def test_the_folder_that_is_asked_for_is_taken(data, monkeypatch):
    monkeypatch.setenv("TESSDATA_PREFIX", "/elsewhere")
    assert find_tessdata(str(data)) == data


def test_a_folder_that_is_asked_for_is_not_replaced_by_another(data, monkeypatch):
    monkeypatch.setenv("TESSDATA_PREFIX", str(data))
    assert find_tessdata(str(data.parent)) is None
    assert find_tessdata("/no/such/folder") is None


@pytest.mark.parametrize("name", [".", "tessdata"])
def test_the_environment_names_the_data_folder_or_the_one_above(data, monkeypatch, name):
    monkeypatch.setenv("TESSDATA_PREFIX", str(data.parent / name))
    assert find_tessdata() == data


def test_without_data_there_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("comic_ocr.engines.tesseract._DATA_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    assert find_tessdata() is None
    (tmp_path / "jpn.traineddata").touch()
    assert find_tessdata() == tmp_path


def test_a_word_may_hold_a_line_separator_of_unicode():
    (line,) = parse(word("A\u2028B"))
    assert line.text == "A\u2028B"

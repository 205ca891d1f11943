"""DeepSeek-OCR's tags become regions."""

import pytest

from comic_ocr.engines.chat.answers import read_answer
from comic_ocr.errors import UnparsableAnswerError

SIZE = (999, 1998)
PAGE = (0.0, 0.0, 999.0, 1998.0)


def ref(label, boxes, text=""):
    return f"<|ref|>{label}<|/ref|><|det|>{boxes}<|/det|>{text}\n"


def read(content, kind="grounding", scale="999"):
    return read_answer(content, kind, size=SIZE, scale=scale)


MARKDOWN = (
    ref("title", "[[10, 20, 30, 40]]", "\n# 第一話\n")
    + ref("image", "[[0, 0, 999, 999]]")
    + ref("image_caption", "[[5, 5, 6, 6]]", "\n<center>A cat</center>\n")
    + ref("speech_balloon", "[[1, 2, 3, 4]]", "\nHELLO\nTHERE\n")
    + "<｜end▁of▁sentence｜>"
)
LINES = ref("一段接一段", "[[549, 653, 616, 679]]") + ref("image", "[[0, 0, 999, 999]]")


@pytest.mark.parametrize("kind", ["grounding", "auto", "text"])
def test_a_kind_is_metadata_and_the_text_that_follows_is_the_text(kind):
    regions = read(MARKDOWN, kind)
    assert [(region.text, region.bbox, region.metadata) for region in regions] == [
        ("# 第一話", (10.0, 40.0, 20.0, 40.0), {"label": "title"}),
        ("<center>A cat</center>", (5.0, 10.0, 1.0, 2.0), {"label": "image_caption"}),
        ("HELLO\nTHERE", (1.0, 4.0, 2.0, 4.0), {"label": "speech_balloon"}),
    ]


def test_where_no_text_follows_the_labels_are_the_text():
    first, second = read(LINES)
    assert (first.text, first.metadata) == ("一段接一段", {})
    assert first.bbox == (549.0, 1306.0, 67.0, 52.0)
    assert second.text == "image"


def test_tags_that_a_server_left_out_are_seen_from_the_boxes():
    bare = LINES
    for tag in ("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"):
        bare = bare.replace(tag, "")
    assert bare.startswith("一段接一段[[549")
    assert read(bare) == read(LINES)


def test_several_boxes_of_one_part_are_enclosed_and_kept():
    (region,) = read(ref("HI", "[[10, 10, 20, 20], [30, 30, 50, 60]]"))
    assert region.bbox == (10.0, 20.0, 40.0, 100.0)
    assert region.metadata == {"boxes": [[10.0, 20.0, 10.0, 20.0], [30.0, 60.0, 20.0, 60.0]]}


@pytest.mark.parametrize(
    ("boxes", "bbox"),
    [
        ("[10, 20, 30, 40]", (10.0, 40.0, 20.0, 40.0)),
        ("[[30, 40, 10, 20]]", (10.0, 40.0, 20.0, 40.0)),
        ("[[-5, 0, 5000, 999]]", PAGE),
        ("[[999, 999, 999, 999]]", (998.0, 1997.0, 1.0, 1.0)),
    ],
)
def test_a_box_lies_on_the_page(boxes, bbox):
    (region,) = read(ref("HI", boxes))
    assert (region.bbox, region.metadata) == (bbox, {})


@pytest.mark.parametrize(
    "boxes",
    [
        "",
        "[]",
        "[[]]",
        "null",
        "[[1, 2, 3]]",
        "[[1, 2, 3, NaN]]",
        "[[1, 2, 3, 4",
        "__import__('os').getcwd()",
        "[" * 5000,
    ],
)
def test_text_whose_box_cannot_be_read_is_kept_with_that_of_the_page(boxes):
    first, second = read(ref("text", boxes, "HELLO") + ref("text", "[[1, 1, 2, 2]]", "THERE"))
    assert (first.text, first.bbox) == ("HELLO", PAGE)
    assert first.metadata == {"label": "text", "box": "page"}
    assert (second.text, second.metadata) == ("THERE", {"label": "text"})


@pytest.mark.parametrize(
    ("cut", "text"),
    [
        ("<|ref|>HELLO<|/ref|><|det|>[[1, 2, 3, 4]]", "HELLO"),
        ("<|ref|>HELLO<|/ref|><|det|>[[1, 2,", "HELLO"),
        ("<|ref|>HELLO<|/ref|><|det|>", "HELLO"),
        ("<|ref|>HELLO<|/ref|>", "HELLO"),
        ("<|ref|>HELLO", "HELLO"),
        ("<|ref|>HELLO<|det|>[[1, 2, 3, 4]]<|/det|>", "HELLO"),
        ("HELLO<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", "HELLO[[1, 2, 3, 4]]"),
        ("HELLO", "HELLO"),
        ("```\nHELLO\n```", "HELLO"),
    ],
)
def test_text_survives_tags_that_are_cut_off_or_missing(cut, text):
    (region,) = read(cut)
    assert region.text == text


def test_text_outside_of_all_tags_is_kept():
    before, tagged = read("A word before\n" + ref("HI", "[[1, 1, 2, 2]]"))
    assert (before.text, before.metadata) == ("A word before", {"box": "page"})
    assert tagged.text == "HI"


def test_boxes_that_are_not_wanted_leave_one_text_in_order():
    (region,) = read(ref("B", "[[1, 900, 9, 990]]") + ref("A", "[[1, 1, 9, 9]]"), scale="none")
    assert (region.text, region.bbox) == ("B\nA", PAGE)


def test_a_page_of_pictures_alone_has_no_text():
    assert read(ref("image", "[[0, 0, 999, 999]]")) == []


@pytest.mark.parametrize("content", ["<|ref|>", "<|ref|><|/ref|><|det|>[[1, 1, 2, 2]]<|/det|>", ""])
def test_tags_around_nothing_are_a_failure_and_no_empty_page(content):
    with pytest.raises(UnparsableAnswerError):
        read(content)


def test_the_same_part_over_and_over_is_a_failure():
    with pytest.raises(UnparsableAnswerError, match="repeats"):
        read(ref("A", "[[1, 1, 2, 2]]") + ref("HI", "[[5, 5, 6, 6]]") * 12)

"""Regions to blocks to reading order."""

import random

import pytest

from comic_ocr.layout import arrange_regions
from comic_ocr.page import Region


def lines_at(x: float, y: float, *texts: str, width: float = 100) -> list[Region]:
    """Lines of a balloon: 16 px high, one below the other, centred."""
    return [
        Region(text=text, bbox=(x + 5 * (i % 2), y + 20 * i, width - 10 * (i % 2), 16))
        for i, text in enumerate(texts)
    ]


def columns_at(right: float, y: float, *texts: str) -> list[Region]:
    """Columns of vertical text, the first at the right."""
    return [
        Region(text=text, bbox=(right - 20 - 25 * i, y, 20, 100 - 15 * i))
        for i, text in enumerate(texts)
    ]


def texts_of(regions: list[Region], direction: str = "ltr") -> list[str]:
    return [block.text for block in arrange_regions(regions, direction).blocks]


def test_a_page_without_text_has_no_blocks():
    arranged = arrange_regions([])
    assert (arranged.blocks, arranged.full_text, arranged.confidence) == ([], "", None)


@pytest.mark.parametrize("seed", range(60))
def test_every_region_is_in_exactly_one_block(seed):
    rng = random.Random(seed)
    regions = [
        Region(
            text=str(i),
            bbox=(
                rng.uniform(0, 400),
                rng.uniform(0, 400),
                rng.choice([0, 3, 20, 90]),
                rng.choice([0, 5, 16, 80]),
            ),
        )
        for i in range(rng.randrange(1, 50))
    ]
    direction = rng.choice(["ltr", "rtl"])
    arranged = arrange_regions(regions, direction)
    found = [i for block in arranged.blocks for i in block.regions]
    assert sorted(found) == list(range(len(regions)))
    assert [block.order for block in arranged.blocks] == list(range(len(arranged.blocks)))
    assert arranged.full_text == "\n".join(block.text for block in arranged.blocks)
    for block in arranged.blocks:
        assert block.text.split() == [regions[i].text for i in block.regions]


def test_a_block_encloses_its_lines():
    (block,) = arrange_regions(lines_at(10, 30, "A", "B", "C")).blocks
    assert block.bbox == (10, 30, 100, 56)
    assert block.kind == "text"


@pytest.mark.parametrize("seed", range(5))
def test_lines_of_one_balloon_join_in_order_however_they_come(seed):
    regions = lines_at(50, 50, "IT WAS", "A DARK", "AND STORMY", "NIGHT.")
    random.Random(seed).shuffle(regions)
    assert texts_of(regions) == ["IT WAS A DARK AND STORMY NIGHT."]


def test_words_of_one_line_are_read_along_it():
    left, right = (Region(text=t, bbox=(x, 0, 45, 16)) for t, x in [("ONE", 0), ("TWO", 50)])
    below = Region(text="THREE", bbox=(0, 20, 95, 16))
    assert texts_of([right, below, left], "rtl") == ["ONE TWO THREE"]


def test_two_balloons_side_by_side_stay_apart():
    left = lines_at(0, 0, "LEFT", "SIDE")
    right = lines_at(115, 4, "RIGHT", "ONE")
    assert texts_of([*right, *left]) == ["LEFT SIDE", "RIGHT ONE"]


def test_balloons_that_stand_a_line_apart_stay_apart():
    assert texts_of([*lines_at(0, 0, "A", "B"), *lines_at(0, 56, "C", "D")]) == ["A B", "C D"]


def test_a_sound_in_large_letters_is_no_line_of_the_balloon_below_it():
    sound = Region(text="BOOM", bbox=(0, 0, 100, 60))
    assert texts_of([sound, *lines_at(0, 64, "WHAT", "WAS THAT?")]) == ["BOOM", "WHAT WAS THAT?"]


FOUR = [
    *lines_at(300, 206, "D"),
    *lines_at(0, 200, "C"),
    *lines_at(300, 0, "B"),
    *lines_at(0, 6, "A"),
]


def test_blocks_are_read_tier_by_tier_from_the_left():
    assert texts_of(FOUR) == ["A", "B", "C", "D"]


def test_a_page_from_right_to_left_is_read_so():
    assert texts_of(FOUR, "rtl") == ["B", "A", "D", "C"]
    assert arrange_regions(FOUR, "rtl").full_text == "B\nA\nD\nC"


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("seed", range(3))
def test_vertical_lines_are_read_from_the_right_on_any_page(direction, seed):
    regions = columns_at(200, 30, "吾輩は", "猫で", "ある。")
    random.Random(seed).shuffle(regions)
    assert texts_of(regions, direction) == ["吾輩は猫である。"]


def test_vertical_balloons_side_by_side_stay_apart():
    regions = [*columns_at(300, 0, "右", "側"), *columns_at(150, 0, "左", "側")]
    assert texts_of(regions, "rtl") == ["右側", "左側"]


def test_a_vertical_line_and_a_horizontal_one_are_two_blocks():
    regions = [*columns_at(20, 0, "縦書"), Region(text="横書", bbox=(22, 40, 60, 20))]
    assert sorted(texts_of(regions)) == ["横書", "縦書"]


def test_a_pages_confidence_weighs_regions_by_their_letters():
    known = [
        Region(text="AAA", bbox=(0, 0, 9, 9), confidence=1.0),
        Region(text="B", bbox=(0, 50, 9, 9), confidence=0.2),
        Region(text="NOBODY KNOWS", bbox=(0, 100, 9, 9)),
    ]
    assert arrange_regions(known).confidence == 0.8
    assert arrange_regions(known[2:]).confidence is None

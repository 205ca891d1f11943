"""A small comic with known text, drawn here: pages to test with that owe nobody a licence.

A panel is drawn from tables: its place in shares of the panel, its figures in head radii around
the middle of the head. Balloons are then put where they hide nobody and read in order.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from comic_ocr.errors import EngineMissingError
from comic_ocr.geometry import BBox, enclose_boxes, overlap_length
from comic_ocr.testing.story import (
    BACKDROPS,
    COATS,
    DYES,
    FIGURES,
    INK,
    NARRATOR,
    PLACES,
    TITLE,
    Row,
    Scene,
    Speech,
    Stroke,
    read_pages,
)

WIDTH_PX, HEIGHT_PX = 992, 1400
_MARGIN, _GUTTER, _INSET, _GAP = 36, 18, 14, 10
_FONT_PX = {NARRATOR: 22, TITLE: 40}
_SPEECH_PX = 23
#: lines are drawn this much larger and reduced, which smooths them
_OVERSAMPLE = 2

_PAPER = {NARRATOR: "#fdf0b8", TITLE: "#ffd65c", "dot": "#e6f5fb"}


class DrawnBlock(NamedTuple):
    """One balloon or caption. `box` is its ink, `outline` the shape around it, without the tail."""

    speaker: str
    text: str
    lines: tuple[tuple[str, BBox], ...]
    box: BBox
    outline: BBox


class DrawnPage(NamedTuple):
    """A page and its truth file; blocks and panels are in reading order."""

    image: Path
    truth: Path
    blocks: tuple[DrawnBlock, ...]
    panels: tuple[BBox, ...]


class _Figure(NamedTuple):
    name: str
    x: float
    y: float
    radius: float


class _Draft(NamedTuple):
    """A balloon with its text broken into lines, not yet put anywhere."""

    speech: Speech
    lines: tuple[str, ...]
    width: float
    height: float


def draw_comic(folder: str | os.PathLike[str], pages: int = 6, seed: int = 0) -> list[DrawnPage]:
    """Return the pages of a comic, drawn into `folder` as `page_01.jpg` and `page_01.json`, ….

    Pages are 992 x 1400 px. The truth files are those that `read_truth` reads, with blocks in
    reading order. The same seed gives the same pixels with the same Pillow; another one other
    panel sizes and colours. After six pages the story starts again, drawn differently.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    return [_draw_page(home, number, seed) for number in range(1, pages + 1)]


def _draw_page(home: Path, number: int, seed: int) -> DrawnPage:
    rng = np.random.default_rng([seed, number])
    story = read_pages()
    coat = COATS[(seed + (number - 1) // len(story)) % len(COATS)]
    panels = list(_split_page(story[(number - 1) % len(story)], rng))
    art = Image.new("RGB", (WIDTH_PX * _OVERSAMPLE, HEIGHT_PX * _OVERSAMPLE), "white")
    blocks: list[DrawnBlock] = []
    for box, scene in panels:
        figures, balloons = _compose(scene, box)
        _draw_panel(art, scene, box, figures, coat)
        _draw_balloons(art, balloons, figures)
        blocks += balloons
    page = art.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.LANCZOS)
    _letter(page, blocks)
    drawn = DrawnPage(
        home / f"page_{number:02}.jpg",
        home / f"page_{number:02}.json",
        tuple(blocks),
        tuple(box for box, _ in panels),
    )
    page.save(drawn.image, quality=90)
    drawn.truth.write_text(json.dumps(_describe(drawn), indent=1) + "\n", encoding="utf-8")
    return drawn


def _describe(page: DrawnPage) -> dict[str, object]:
    return {
        "image": page.image.name,
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "lang": "en",
        "box_format": "x,y,w,h px",
        "blocks": [
            {
                "text": block.text,
                "lines": [{"text": text, "box": box} for text, box in block.lines],
                "box": block.box,
                "kind": "text",
            }
            for block in page.blocks
        ],
    }


def _split_page(rows: Sequence[Row], rng: np.random.Generator) -> Iterator[tuple[BBox, Scene]]:
    heights = _share(HEIGHT_PX - 2 * _MARGIN, [row.height for row in rows], rng)
    y = float(_MARGIN)
    for row, height in zip(rows, heights, strict=True):
        x = float(_MARGIN)
        widths = _share(WIDTH_PX - 2 * _MARGIN, [scene.width for scene in row.scenes], rng)
        for scene, width in zip(row.scenes, widths, strict=True):
            yield (x, y, width, height), scene
            x += width + _GUTTER
        y += height + _GUTTER


def _share(total: int, shares: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Return lengths in about these shares, gutters taken off, a little different by seed."""
    weights = [share * (1 + 0.03 * rng.uniform(-1, 1)) for share in shares]
    space = total - _GUTTER * (len(shares) - 1)
    return [float(round(space * weight / sum(weights))) for weight in weights]


def _compose(scene: Scene, panel: BBox) -> tuple[list[_Figure], list[DrawnBlock]]:
    """Return where figures and words go; figures are as large as the words let them be."""
    crowd = 0.145 - 0.013 * len(scene.words)
    radius = min(panel[3] * crowd, panel[2] * 0.34 / len(scene.cast), 66)
    for scale in (1.0, 0.9, 0.8, 0.7, 0.6):
        figures = _place_figures(scene, panel, radius * scale)
        placed = _arrange(scene.words, panel, figures, [])
        if placed is not None:
            return figures, placed
    raise ValueError(f"the words do not fit their panel: {scene.words}")


def _place_figures(scene: Scene, panel: BBox, radius: float) -> list[_Figure]:
    x, y, width, height = panel
    step = width / len(scene.cast)
    return [
        _Figure(
            name,
            x + step * (i + 0.5),
            y + height - (2.2 if name == "mog" else 2.7) * radius,
            radius,
        )
        for i, name in enumerate(scene.cast)
    ]


def _draw_panel(
    art: Image.Image, scene: Scene, panel: BBox, figures: Sequence[_Figure], coat: str
) -> None:
    x, y, width, height = (round(v * _OVERSAMPLE) for v in panel)
    top, bottom = BACKDROPS[scene.place]
    picture = ImageOps.colorize(Image.linear_gradient("L").resize((width, height)), top, bottom)
    pen = ImageDraw.Draw(picture)
    _draw_strokes(pen, PLACES[scene.place], (0, 0), (width, height), {})
    for figure in figures:
        middle = (figure.x * _OVERSAMPLE - x, figure.y * _OVERSAMPLE - y)
        unit = (figure.radius * _OVERSAMPLE,) * 2
        dyes = {"coat": coat, "hair": INK} | DYES.get(figure.name, {})
        _draw_strokes(pen, FIGURES[figure.name], middle, unit, dyes)
    art.paste(picture, (x, y))
    ImageDraw.Draw(art).rectangle((x, y, x + width, y + height), outline=INK, width=7)


def _draw_strokes(
    pen: ImageDraw.ImageDraw,
    strokes: Iterable[Stroke],
    origin: tuple[float, float],
    unit: tuple[float, float],
    dyes: dict[str, str],
) -> None:
    for kind, paint, numbers in strokes:
        points = [
            (origin[0] + x * unit[0], origin[1] + y * unit[1])
            for x, y in zip(numbers[::2], numbers[1::2], strict=True)
        ]
        fill = dyes.get(paint, paint)
        if kind == "shape":
            pen.polygon(points, fill, INK, width=4)
        elif kind == "block":
            pen.rounded_rectangle(points, 8, fill, INK, width=4)
        elif kind == "flat":
            pen.rectangle(points, fill)
        elif kind == "oval":
            pen.ellipse(points, fill, INK, width=4)
        elif kind == "disc":
            pen.circle(points[0], numbers[2] * unit[1], fill, INK, width=4)
        elif kind == "dot":
            pen.ellipse(points, fill)
        elif kind == "ring":
            pen.ellipse(points, None, fill, width=5)
        elif kind == "slice":
            pen.chord(points, 180, 360, fill)
        else:
            pen.arc(points, 20, 160, fill, width=6)


def _draw_balloons(
    art: Image.Image, balloons: Iterable[DrawnBlock], figures: Sequence[_Figure]
) -> None:
    for block in balloons:
        head = next((f for f in figures if f.name == block.speaker), None)
        _draw_balloon(ImageDraw.Draw(art), block, head)


def _arrange(
    words: Sequence[Speech], panel: BBox, figures: Sequence[_Figure], placed: list[DrawnBlock]
) -> list[DrawnBlock] | None:
    """Return `placed` and the words after it where they cost least, or None where none fit.

    Words that leave no room for the next ones are put elsewhere: a few places of each are tried.
    """
    if len(placed) == len(words):
        return placed
    hidden = [
        (f.x - f.radius * 1.3, f.y - f.radius * 1.9, f.radius * 2.6, panel[3]) for f in figures
    ]
    hidden += [box for block in placed for box in _tail_boxes(block, figures)]
    spots = _rate_spots(words, panel, figures, len(placed))
    free = ((draft, box) for _, draft, box in spots if _is_free(box, hidden, placed))
    for draft, box in islice(free, 0, None, 80):
        found = _arrange(words, panel, figures, [*placed, _set_lines(draft, box)])
        if found is not None:
            return found
    return None


def _tail_boxes(block: DrawnBlock, figures: Iterable[_Figure]) -> Iterator[BBox]:
    """Yield boxes along the way from a balloon to its speaker's head."""
    x, y, width, height = block.outline
    middle_x, middle_y = x + width / 2, y + height / 2
    for head in (f for f in figures if f.name == block.speaker):
        for share in np.linspace(0, 1, 16).tolist():
            way_x = middle_x + share * (head.x - middle_x)
            yield (way_x - 15, middle_y + share * (head.y - middle_y), 30, 30)


def _rate_spots(
    words: Sequence[Speech], panel: BBox, figures: Sequence[_Figure], turn: int
) -> list[tuple[float, _Draft, BBox]]:
    """Return where the words in this turn can go, cheapest first.

    It costs to be far from the speaker, early but low, badly shaped, or with a last word alone.
    """
    x, y, width, height = panel
    room = (x + _INSET, y + _INSET, width - 2 * _INSET, height - 2 * _INSET)
    height_share = (turn + 0.3) / len(words)
    rated: list[tuple[float, _Draft, BBox]] = []
    slim = 5 if words[turn].speaker in (NARRATOR, TITLE) else 1.8
    for draft in _drafts(words[turn], room[2]):
        shape = abs(math.log(draft.width / draft.height / slim)) * 90
        shape += 120 * max(0.0, 0.5 - len(draft.lines[-1]) / max(map(len, draft.lines)))
        goal = _wanted(draft, room, figures, height_share)
        rated += [
            (shape + abs(box[0] - goal[0]) * 0.7 + abs(box[1] - goal[1]), draft, box)
            for box in _spots(draft, room)
        ]
    return sorted(rated)


def _spots(draft: _Draft, room: BBox) -> Iterator[BBox]:
    """Yield the boxes that the draft can fill, every 14 pixels."""
    for dx, dy in product(
        range(0, int(room[2] - draft.width) + 1, 14), range(0, int(room[3] - draft.height) + 1, 14)
    ):
        yield (room[0] + dx, room[1] + dy, draft.width, draft.height)


def _wanted(
    draft: _Draft, room: BBox, figures: Sequence[_Figure], height_share: float
) -> tuple[float, float]:
    """Return the corner of the best place: over the speaker, or where captions are looked for."""
    x, y, width, height = room
    if draft.speech.speaker == NARRATOR:
        return x, y
    if draft.speech.speaker == TITLE:
        return (x + width, y + height) if height_share > 0.5 else (x + (width - draft.width) / 2, y)
    speaker = next(f for f in figures if f.name == draft.speech.speaker)
    free = speaker.y - 2 * speaker.radius - draft.height - y
    return speaker.x - draft.width / 2, y + height_share * free


def _is_free(box: BBox, hidden: Iterable[BBox], placed: Iterable[DrawnBlock]) -> bool:
    """Return whether a balloon hides nobody and is read after those that are there."""
    return not any(_meet(box, other) for other in hidden) and all(
        box[1] >= before[1] + before[3] + _GAP
        or (box[0] >= before[0] + before[2] + _GAP and box[1] >= before[1])
        for before in (block.outline for block in placed)
    )


def _meet(a: BBox, b: BBox) -> bool:
    return bool(overlap_length(a[0], a[2], b[0], b[2]) and overlap_length(a[1], a[3], b[1], b[3]))


def _font(speaker: str) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=_FONT_PX.get(speaker, _SPEECH_PX))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise EngineMissingError("this Pillow is built without FreeType, which sets the text")
    return font


def _drafts(speech: Speech, room_px: float) -> Iterator[_Draft]:
    """Yield the words in lines of several widths, each with its balloon's size."""
    font = _font(speech.speaker)
    leading = font.size * 1.25
    wraps = {tuple(_wrap(speech.text, font, measure)): None for measure in range(120, 620, 20)}
    for lines in wraps:
        width = max(font.getlength(_space(line)) for line in lines)
        height = leading * len(lines)
        if speech.speaker in (NARRATOR, TITLE, "dot"):
            outer = (width + 36, height + 26)
        elif speech.text.endswith("!!"):
            outer = (width * 1.3 + 76, height * 1.6 + 54)
        else:
            # an ellipse goes around a rectangle when (1/1.3)^2 + (1/1.6)^2 < 1
            outer = (width * 1.3 + 26, height * 1.6 + 14)
        if outer[0] <= room_px:
            yield _Draft(speech, lines, round(outer[0]), round(outer[1]))


def _space(line: str) -> str:
    """Return the line as set: the font's blanks are so thin that engines join words in capitals."""
    return line.replace(" ", "  ")


def _wrap(text: str, font: ImageFont.FreeTypeFont, measure: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(_space(longer)) > measure:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _set_lines(draft: _Draft, outline: BBox) -> DrawnBlock:
    """Return the block with the ink box of each line, centred in its outline."""
    font = _font(draft.speech.speaker)
    middle_x, middle_y = outline[0] + outline[2] / 2, outline[1] + outline[3] / 2
    lines: list[tuple[str, BBox]] = []
    for i, text in enumerate(draft.lines):
        y = middle_y + (i - (len(draft.lines) - 1) / 2) * font.size * 1.25
        left, top, right, bottom = font.getbbox(_space(text))
        capital = font.getbbox("H")
        x = round(middle_x - (left + right) / 2)
        y = round(y - (capital[1] + capital[3]) / 2)
        lines.append((text, (x + left, y + top, right - left, bottom - top)))
    box = enclose_boxes([box for _, box in lines])
    return DrawnBlock(draft.speech.speaker, draft.speech.text, tuple(lines), box, outline)


def _letter(page: Image.Image, blocks: Iterable[DrawnBlock]) -> None:
    pen = ImageDraw.Draw(page)
    for block in blocks:
        font = _font(block.speaker)
        for text, (x, y, _, _) in block.lines:
            left, top, _, _ = font.getbbox(_space(text))
            pen.text((x - left, y - top), _space(text), INK, font)


def _draw_balloon(pen: ImageDraw.ImageDraw, block: DrawnBlock, head: _Figure | None) -> None:
    paper = _PAPER.get(block.speaker, "white")
    x, y, width, height = (v * _OVERSAMPLE for v in block.outline)
    if head is None:
        pen.rectangle((x, y, x + width, y + height), paper, INK, width=5)
        return
    middle, half = (x + width / 2, y + height / 2), (width / 2, height / 2)
    outline = list(_outline_points(block, middle, half))
    tail = _tail_points(head, middle, half)
    pen.polygon(outline, paper)
    pen.line([*outline, *outline[:2]], INK, 6, joint="curve")
    pen.polygon(tail, paper)
    pen.line(tail, INK, 6, joint="curve")
    inside = [(px + (middle[0] - px) * 0.02, py + (middle[1] - py) * 0.04) for px, py in outline]
    pen.polygon(inside, paper)


def _outline_points(
    block: DrawnBlock, middle: tuple[float, float], half: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    """Yield an ellipse, a burst for shouts, or a superellipse of power 5 for the robot."""
    loud = block.text.endswith("!!")
    for step in range(44 if loud else 180):
        angle = 2 * math.pi * step / (44 if loud else 180)
        x, y = math.cos(angle), math.sin(angle)
        reach = 0.86 if loud and step % 2 else 1.0
        if block.speaker == "dot":
            reach = (abs(x) ** 5 + abs(y) ** 5) ** -0.2
        yield middle[0] + half[0] * x * reach, middle[1] + half[1] * y * reach


def _tail_points(
    head: _Figure, middle: tuple[float, float], half: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return the two sides of a tail that starts inside the balloon and ends short of the head."""
    dx, dy = head.x * _OVERSAMPLE - middle[0], head.y * _OVERSAMPLE - middle[1]
    length = math.hypot(dx, dy)
    ux, uy = dx / length, dy / length
    start = 0.8 / math.hypot(ux / half[0], uy / half[1])
    end = length - head.radius * _OVERSAMPLE * (1.9 if head.name == "dot" else 1.4)
    x, y = middle[0] + ux * start, middle[1] + uy * start
    tip = (middle[0] + ux * end, middle[1] + uy * end)
    broad = 14 * _OVERSAMPLE
    return [(x - uy * broad, y + ux * broad), tip, (x + uy * broad, y - ux * broad)]

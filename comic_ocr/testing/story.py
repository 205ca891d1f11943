"""The comic that `draw_comic` draws: its script, and how its places and its cast look.

The story is written for this project and shares its licence. Text is ASCII, so that every engine
can be tried on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

#: speaker of narration, set in a rectangle
NARRATOR = ""
#: speaker of the title, set larger
TITLE = "title"
INK = "#1d1a26"

# Pages are apart by a blank line. "== height" begins a row and "-- width place cast" a panel, sizes
# in shares of what there is; then "speaker> words" in reading order. "!!" at the end is a shout.
_SCRIPT = """
== 1.05
-- 1 street pip mog
title> DOT LEARNS TO READ
> A quiet Monday on Lantern Street.
pip> DOT! WAKE UP! TODAY I TEACH YOU TO READ!!
== 1
-- 1.15 room dot pip
dot> I CAN ALREADY MAKE TOAST. DO I NEED A SECOND SKILL?
pip> TRUST ME. BOOKS ARE BETTER THAN TOAST.
-- 1 room dot book
> Eleven minutes later...
dot> I HAVE FINISHED THE ALPHABET. IS THERE A SEQUEL?

== 1
-- 1.5 room dot mog pip
dot> IT SAYS: SHAKE WELL BEFORE USE.
pip> THE JUICE, DOT. NOT THE CAT!!
-- 1 night mog
mog> I WAS NOT EVEN THIRSTY.
== 1
-- 1 garden dot bench pip
dot> WET PAINT. DO NOT SIT. SO THIS BENCH CAN TALK?
pip> IT IS ONLY A SIGN, AND YOU ARE TALKING TO IT.
== 0.8
-- 1 street pip dot
> By noon she had read 412 labels, 9 menus and one angry note.
dot> MORE WORDS, PLEASE.

== 1.1
-- 1 library quill dot pip
> So Pip took her to the one place with enough words.
quill> WELCOME! WE HAVE A MILLION PAGES. WHISPER, PLEASE.
dot> A MILLION! MAY I START ON THE LEFT?
== 1
-- 1 library quill
quill> START WHEREVER YOU LIKE, DEAR.
-- 1.4 library pip dot
> The first page took a second. The next took half of one.
pip> SLOW DOWN! YOUR EARS ARE SMOKING!!
dot> I HAVE NO EARS. THAT IS MY TOASTER.

== 1
-- 1 library dot book
dot> THIS PAGE IS A MAP! THE CROSS IS IN OUR GARDEN.
-- 1.2 street pip mog
pip> TREASURE! MOG, FETCH THE SHOVEL!!
mog> CATS FETCH NOTHING. CATS SUPERVISE.
== 1.1
-- 1 night dot pip
> They dug until the moon came up to help.
dot> TEN STEPS NORTH, THEN MIND THE CARROTS.
pip> I DID NOT MIND THE CARROTS.

== 0.9
-- 1 night dot chest pip
dot> CLONK. MY SHOVEL SAID SOMETHING.
pip> A CHEST! IT MUST BE FULL OF GOLD!!
== 1
-- 1 night mog chest
mog> OR SARDINES. LET US STAY HOPEFUL.
-- 1.1 night pip book
> The lid opened with a very long creak.
pip> IT IS... ANOTHER BOOK?
== 0.9
-- 1 garden mog dot pip
dot> PAGE ONE IS BLANK. WHO FORGOT TO PUT THE WORDS IN?
pip> ASK MRS QUILL.

== 1
-- 1 library quill book
quill> I HID IT WHEN I WAS NINE. IT WAITS FOR A STORY.
-- 1 library pip dot
dot> THEN I SHALL WRITE ONE. IT HAS A ROBOT IN IT.
== 0.9
-- 1 room pip mog
pip> IS THERE A CAT IN IT TOO?
mog> A BRAVE CAT, WITH SARDINES.
== 1.1
-- 1 street mog dot pip
> And so it began, on a quiet Monday on Lantern Street.
dot> ONE PAGE DONE. 999,999 TO GO!!
title> THE END
"""


class Speech(NamedTuple):
    """Words of one balloon or caption."""

    speaker: str
    text: str


class Scene(NamedTuple):
    """One panel: its place, its figures from left to right, its words in reading order."""

    width: float
    place: str
    cast: tuple[str, ...]
    words: tuple[Speech, ...]


class Row(NamedTuple):
    """Panels side by side."""

    height: float
    scenes: tuple[Scene, ...]


def read_pages() -> list[list[Row]]:
    """Return the pages of the script in order, each as its rows from the top."""
    return [list(_read_rows(page)) for page in _SCRIPT.strip().split("\n\n")]


def _read_rows(page: str) -> Iterator[Row]:
    for row in page.split("== ")[1:]:
        height, *scenes = row.split("-- ")
        yield Row(float(height), tuple(_read_scene(scene) for scene in scenes))


def _read_scene(scene: str) -> Scene:
    head, *lines = scene.strip().splitlines()
    width, place, *cast = head.split()
    words = (line.split("> ", 1) for line in lines)
    return Scene(float(width), place, tuple(cast), tuple(Speech(who, text) for who, text in words))


#: kind, fill (or the name of a dye), then x and y of its points; a disc has its middle and radius
Stroke = tuple[str, str, tuple[float, ...]]

BACKDROPS: dict[str, tuple[str, str]] = {
    "street": ("#8fd0ee", "#fdebc4"),
    "room": ("#f7dca8", "#f2b98c"),
    "library": ("#8a6247", "#4d3540"),
    "garden": ("#a6def2", "#eaf7da"),
    "night": ("#1b2450", "#5a5f9c"),
}
_STARS = ((0.06, 0.3), (0.15, 0.5), (0.3, 0.42), (0.44, 0.36), (0.7, 0.4), (0.93, 0.46))
PLACES: dict[str, tuple[Stroke, ...]] = {
    "street": (
        ("block", "#d98b73", (0.02, 0.5, 0.2, 0.95)),
        ("shape", "#8a4b52", (0, 0.5, 0.11, 0.36, 0.22, 0.5)),
        ("block", "#e8c07d", (0.22, 0.58, 0.42, 0.95)),
        ("shape", "#7a5c61", (0.2, 0.58, 0.32, 0.44, 0.44, 0.58)),
        ("block", "#9db8a0", (0.6, 0.52, 0.78, 0.95)),
        ("shape", "#4f6d6a", (0.58, 0.52, 0.69, 0.38, 0.8, 0.52)),
        ("block", "#d9a0a8", (0.81, 0.6, 1.02, 0.95)),
        ("shape", "#8a4b52", (0.79, 0.6, 0.91, 0.47, 1.04, 0.6)),
        *(("block", "#fff3b8", (x, 0.63, x + 0.045, 0.71)) for x in (0.05, 0.12, 0.29, 0.66, 0.9)),
        ("block", "#b9b4b0", (-0.1, 0.88, 1.1, 1.1)),
    ),
    "room": (
        ("block", "#bfe6f5", (0.36, 0.3, 0.64, 0.66)),
        ("flat", "#fff8e6", (0.49, 0.3, 0.51, 0.66)),
        ("flat", "#d9574f", (0.32, 0.28, 0.4, 0.69)),
        ("flat", "#d9574f", (0.6, 0.28, 0.68, 0.69)),
        ("block", "#a9714b", (-0.1, 0.84, 1.1, 1.1)),
    ),
    "library": tuple(
        ("block", ("#7d5a6b", "#5f6f7d", "#8c7450", "#66795e")[(i * 7 + row * 3) % 4], box)
        for row, shelf in enumerate((0.36, 0.66, 0.96))
        for i in range(16)
        for box in [(i / 16, shelf - 0.19 - (i * 5 + row) % 4 * 0.015, (i + 0.86) / 16, shelf)]
    )
    + tuple(("block", "#a9774c", (-0.1, y, 1.1, y + 0.03)) for y in (0.36, 0.66, 0.96)),
    "garden": (
        ("disc", "#fff0a0", (0.56, 0.2, 0.1, 0)),
        ("oval", "#9ccf8a", (-0.3, 0.6, 0.7, 1.5)),
        ("oval", "#7fbd78", (0.35, 0.66, 1.4, 1.6)),
        ("block", "#8a5a3c", (0.475, 0.56, 0.5, 0.8)),
        ("oval", "#5fa463", (0.4, 0.36, 0.575, 0.62)),
    ),
    "night": (
        ("disc", "#fdf6cf", (0.52, 0.22, 0.09, 0)),
        *(("dot", "#fdf6cf", (x, y, x + 0.006, y + 0.008)) for x, y in _STARS),
        ("oval", "#2f5a58", (-0.4, 0.7, 0.75, 1.6)),
        ("oval", "#254a4d", (0.4, 0.74, 1.5, 1.6)),
    ),
}
_PERSON: tuple[Stroke, ...] = (
    ("shape", "coat", (-0.75, 0.8, 0.75, 0.8, 1.35, 4.5, -1.35, 4.5)),
    ("shape", "coat", (-0.7, 1, -1.35, 2.3, -1.05, 2.5, -0.5, 1.6)),
    ("shape", "coat", (0.7, 1, 1.35, 2.3, 1.05, 2.5, 0.5, 1.6)),
    ("oval", "hair", (-1.12, -1.16, 1.12, 0.8)),
    ("oval", "#f6cfae", (-0.92, -0.82, 0.92, 1)),
    ("slice", "hair", (-1, -1.05, 1, 0.35)),
    ("dot", INK, (-0.46, 0.02, -0.26, 0.32)),
    ("dot", INK, (0.26, 0.02, 0.46, 0.32)),
    ("dot", "#ef9f8f", (-0.75, 0.35, -0.4, 0.58)),
    ("dot", "#ef9f8f", (0.4, 0.35, 0.75, 0.58)),
    ("smile", "#a5403f", (-0.3, 0.25, 0.3, 0.75)),
)
FIGURES: dict[str, tuple[Stroke, ...]] = {
    "pip": _PERSON,
    "quill": (
        ("oval", "hair", (-0.55, -1.7, 0.55, -0.75)),
        *_PERSON,
        ("ring", INK, (-0.66, -0.12, -0.08, 0.46)),
        ("ring", INK, (0.08, -0.12, 0.66, 0.46)),
        ("shape", "#f4efe6", (-0.5, 0.95, 0, 1.15, 0.5, 0.95, 0, 1.6)),
    ),
    "dot": (
        ("flat", INK, (-0.05, -1.5, 0.05, -0.8)),
        ("oval", "#f2c14e", (-0.2, -1.75, 0.2, -1.35)),
        ("block", "#8f9fae", (-1.2, -0.3, -0.9, 0.4)),
        ("block", "#8f9fae", (0.9, -0.3, 1.2, 0.4)),
        ("block", "#b7c6d3", (-1, -0.9, 1, 0.85)),
        ("block", "#26394d", (-0.78, -0.6, 0.78, 0.5)),
        ("dot", "#8ff0d2", (-0.55, -0.4, -0.17, 0.08)),
        ("dot", "#8ff0d2", (0.17, -0.4, 0.55, 0.08)),
        ("smile", "#8ff0d2", (-0.3, -0.1, 0.3, 0.35)),
        ("block", "#8f9fae", (-0.3, 0.85, 0.3, 1.1)),
        ("block", "#b7c6d3", (-1.15, 1.1, 1.15, 4.5)),
        ("oval", "#e2654f", (-0.25, 1.5, 0.25, 2)),
    ),
    "mog": (
        ("oval", "#f0983c", (-0.95, 0.5, 0.95, 4)),
        ("shape", "#f0983c", (-0.95, -0.1, -0.85, -1.2, -0.2, -0.7)),
        ("shape", "#f0983c", (0.95, -0.1, 0.85, -1.2, 0.2, -0.7)),
        ("oval", "#f0983c", (-1, -0.8, 1, 0.9)),
        ("oval", "#e9f5b5", (-0.6, -0.35, -0.15, 0.2)),
        ("oval", "#e9f5b5", (0.15, -0.35, 0.6, 0.2)),
        ("dot", INK, (-0.43, -0.3, -0.32, 0.15)),
        ("dot", INK, (0.32, -0.3, 0.43, 0.15)),
        ("shape", "#d9626b", (-0.12, 0.28, 0.12, 0.28, 0, 0.42)),
        *(("flat", INK, (x, y, x + 0.6, y + 0.04)) for x in (-1.3, 0.7) for y in (0.25, 0.45)),
    ),
    "book": (
        ("shape", "#b5413f", (-1.5, 1, 0, 1.35, 1.5, 1, 1.5, 2.5, 0, 2.85, -1.5, 2.5)),
        ("shape", "#fbf5e2", (-1.4, 0.85, 0, 1.2, 0, 2.65, -1.4, 2.35)),
        ("shape", "#f1e8cd", (1.4, 0.85, 0, 1.2, 0, 2.65, 1.4, 2.35)),
    ),
    "bench": (
        ("block", "#b7784a", (-1.7, 0.9, 1.7, 1.25)),
        ("block", "#b7784a", (-1.7, 1.4, 1.7, 1.75)),
        ("block", "#8a5a3c", (-1.5, 1.75, -1.2, 2.9)),
        ("block", "#8a5a3c", (1.2, 1.75, 1.5, 2.9)),
    ),
    "chest": (
        ("block", "#8d5b34", (-1.5, 0.9, 1.5, 2.9)),
        ("block", "#a9703f", (-1.6, 0.5, 1.6, 1.3)),
        ("block", "#e9bf4b", (-0.25, 1, 0.25, 1.7)),
    ),
}
COATS = ("#d9483b", "#2f7fb8", "#3f9a5f", "#8a55a8", "#d9832f")
DYES = {"pip": {"hair": "#5a3524"}, "quill": {"coat": "#5b6f9c", "hair": "#cfcdd4"}}

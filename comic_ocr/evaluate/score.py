"""Text scores of one page, which add up to those of many.

Order does not matter: what was read and what is on the page are compared as multisets, so that a
score judges recognition, not reading order.

What counts, after NFKC and case folding, is letters and digits (Unicode categories L* and N*),
and the marks that NFKC leaves apart from their letter (Mn, Mc), for in Devanagari, Thai or Arabic
they spell. Variation selectors and format characters (soft hyphens, joiners) are not seen at all.
Punctuation, symbols and blanks are not counted; they end a word.

An apostrophe between two letters is not seen either: "don't", "don’t" and "dont" are one word.
Scripts without blanks between words (Chinese, Japanese, Thai) have long "words"; judge those
pages by their characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import msgspec

_APOSTROPHES = "'\u2018\u2019\u02bc\u00b4`"
_INNER_APOSTROPHE = re.compile(rf"(?<=\w)[{_APOSTROPHES}](?=\w)")
_VARIATION_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


class Score(msgspec.Struct, frozen=True):
    """Counts of one page or many; `+` gives the micro average, `sum(scores, Score())` that of all.

    `predicted` leaves out what optional text excuses.
    """

    matched: int = 0
    predicted: int = 0
    expected: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.matched + other.matched,
            self.predicted + other.predicted,
            self.expected + other.expected,
        )

    @property
    def precision(self) -> float:
        """Share of what was read that is right, 0-1; 1.0 where nothing was read."""
        return self.matched / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of what is on the page that was read, 0-1; 1.0 where there is nothing to read."""
        return self.matched / self.expected if self.expected else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0-1; 1.0 for a page rightly read as empty."""
        total = self.predicted + self.expected
        return 2 * self.matched / total if total else 1.0


def normalize(text: str) -> str:
    """Return the text as it is compared: NFKC, case-folded, without invisible characters.

    Case folding can take a composed letter apart, hence NFKC a second time.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in folded if not _is_invisible(c))


def score_chars(predicted: str, required: str, optional: str = "") -> Score:
    """Return the character score of one page.

    Args:
        predicted: all text that was read.
        required: all text that must be read.
        optional: text that is neither wrong when read nor missed when not, such as sound effects.
    """
    return _compare(_chars(predicted), _chars(required), _chars(optional))


def score_words(predicted: str, required: str, optional: str = "") -> Score:
    """Return the word score of one page; arguments as of score_chars.

    A word is a maximal run of counted characters, and right only when all of it is.
    """
    return _compare(_words(predicted), _words(required), _words(optional))


def _compare(predicted: Counter[str], required: Counter[str], optional: Counter[str]) -> Score:
    matched = predicted & required
    excused = (predicted - matched) & optional
    return Score(matched.total(), predicted.total() - excused.total(), required.total())


def _chars(text: str) -> Counter[str]:
    return Counter(c for c in normalize(text) if _is_counted(c))


def _words(text: str) -> Counter[str]:
    joined = _INNER_APOSTROPHE.sub("", normalize(text))
    return Counter("".join(c if _is_counted(c) else " " for c in joined).split())


def _is_counted(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LN" or category in ("Mn", "Mc")


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or char in _VARIATION_SELECTORS

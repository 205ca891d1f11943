"""Words to text, for scripts with blanks between words and scripts without."""

from __future__ import annotations

from collections.abc import Sequence

#: Kana, Bopomofo, CJK ideographs and punctuation, full-width forms: written without blanks
_UNSPACED = (
    (0x3000, 0x312F),
    (0x31F0, 0x33FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
    (0x20000, 0x3FFFF),
)
#: Marks of both kinds of script; they follow the letter on their other side.
_SHARED_MARKS = "…‥—―"


def is_unspaced(letter: str) -> bool:
    """Return whether a letter's script is written without blanks between words."""
    return any(first <= ord(letter) <= last for first, last in _UNSPACED)


def join_words(words: Sequence[str]) -> str:
    """Return the words as text: a blank between two, but none inside Chinese or Japanese."""
    text = ""
    for word in words:
        if text and word and not _are_joined(text[-1], word[0]):
            text += " "
        text += word
    return text


def _are_joined(last: str, first: str) -> bool:
    unspaced = [is_unspaced(letter) for letter in (last, first) if letter not in _SHARED_MARKS]
    return bool(unspaced) and all(unspaced)

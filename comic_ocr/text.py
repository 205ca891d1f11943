"""Words to text, for scripts with blanks between words and scripts without."""

from __future__ import annotations

from collections.abc import Sequence

#: Kana, CJK ideographs and punctuation, full-width forms: written without blanks
_UNSPACED = (
    (0x3000, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
)


def is_unspaced(letter: str) -> bool:
    """Return whether a letter's script is written without blanks between words."""
    return any(first <= ord(letter) <= last for first, last in _UNSPACED)


def join_words(words: Sequence[str]) -> str:
    """Return the words as text: a blank between two, but none inside Chinese or Japanese."""
    text = ""
    for word in words:
        if text and word and not (is_unspaced(text[-1]) and is_unspaced(word[0])):
            text += " "
        text += word
    return text

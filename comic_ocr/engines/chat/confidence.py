"""Confidence from the log probabilities of an answer's tokens."""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from comic_ocr.page import Region

#: so far on in the answer, in characters, the next token is looked for after some were not found
_MOST_AHEAD = 64


class _Tokens(NamedTuple):
    """Tokens in the order of the answer: where each lies in it, and their summed probability."""

    starts: list[int]
    ends: list[int]
    #: one longer than the others: the sum before each token
    sums: list[float]

    def average(self, first: int, after: int) -> float:
        return (self.sums[after] - self.sums[first]) / (after - first)


def attach_confidence(
    regions: Sequence[Region], content: str, tokens: Sequence[tuple[str, float]]
) -> list[Region]:
    """Return the regions with the mean probability (0-1) of the tokens that wrote their text.

    Regions must be in the order of the answer. One whose text is not found in the answer, because
    it was repaired or joined, gets the mean over all tokens. Without tokens nothing changes.

    Args:
        regions: what the answer was read as.
        content: the answer as the server gave it.
        tokens: text and natural log probability of each token, in order.
    """
    if not tokens:
        return list(regions)
    placed = _place_tokens(content, tokens)
    at = content.rfind("</think>") + 1
    rated = []
    for region in regions:
        found = _find_text(content, region.text, at)
        first, after = 0, len(tokens)
        if found is not None:
            start, at = found
            first, after = bisect_right(placed.ends, start), bisect_left(placed.starts, at)
            if first >= after:
                first, after = 0, len(tokens)
        confidence = round(placed.average(first, after), 4)
        rated.append(msgspec.structs.replace(region, confidence=confidence))
    return rated


def _place_tokens(content: str, tokens: Sequence[tuple[str, float]]) -> _Tokens:
    """Return where tokens lie in the answer.

    Servers cannot write a token that is a part of a character; such tokens lie together in the gap
    before the next one that is found.
    """
    starts: list[int] = []
    ends: list[int] = []
    at, waiting = 0, 0
    for text, _ in tokens:
        # A waiting token stands for one character at most.
        ahead = min(waiting, _MOST_AHEAD)
        found = content.find(text, at, at + ahead + len(text)) if text else -1
        if found < 0:
            waiting += 1
            continue
        starts += [at] * waiting + [found]
        ends += [found] * waiting + [found + len(text)]
        at, waiting = found + len(text), 0
    starts += [at] * waiting
    ends += [len(content)] * waiting
    return _Tokens(starts, ends, [0.0, *accumulate(_probability(log) for _, log in tokens)])


def _probability(log: float) -> float:
    return 0.0 if math.isnan(log) else math.exp(min(log, 0.0))


def _find_text(content: str, text: str, at: int) -> tuple[int, int] | None:
    """Return (start, end) of a region's text in the answer from a place on, None if not there.

    Text in quotes or tags goes before bare text, which a box or a key may hold by chance.
    """
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    ascii_only = json.dumps(text)[1:-1]
    for before, form, behind in (
        ('"', escaped, '"'),
        ('"', ascii_only, '"'),
        ("<|ref|>", text, "<|/ref|>"),
        ("", text, ""),
        ("", escaped, ""),
        ("", ascii_only, ""),
    ):
        found = content.find(before + form + behind, at)
        if found >= 0:
            start = found + len(before)
            return start, start + len(form)
    return None

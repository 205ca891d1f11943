"""How well pages were read: results against ground truth."""

from __future__ import annotations

from comic_ocr.evaluate.score import Score, normalize, score_chars, score_words
from comic_ocr.evaluate.truth import Truth, read_truth

__all__ = ["Score", "Truth", "normalize", "read_truth", "score_chars", "score_words"]

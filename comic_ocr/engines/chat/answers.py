"""What a chat model's answer is worth: a failure, or the regions that it names."""

from __future__ import annotations

import re

from comic_ocr.engines.chat.boxes import Frame
from comic_ocr.engines.chat.families import BoxScale
from comic_ocr.engines.chat.grounding import has_tags, read_grounding, restore_tags
from comic_ocr.engines.chat.lines import PAGE_BOX, looks_like_lines, read_lines
from comic_ocr.engines.chat.prompts import NO_TEXT, AnswerKind
from comic_ocr.errors import (
    EngineError,
    EngineUnavailableError,
    PageError,
    TruncatedAnswerError,
    UnparsableAnswerError,
)
from comic_ocr.page import Region

#: The end of an answer is a repetition when a unit of at most so many characters fills it,
_LONGEST_UNIT = 200
#: so many times
_LEAST_TIMES = 8
#: and over so many characters. A comic's HA HA HA is shorter.
_LEAST_LENGTH = 240
#: So many last entries with the same text in the same place are a repetition as well.
_LEAST_ENTRIES = 12

#: servers' words for an answer that their own fault has cut off
_SERVER_FAULTS = frozenset({"error", "abort", "insufficient_system_resource"})
#: marks of the chat format that some servers leave in; the tags of groundings are not among them
_MARKS = re.compile(
    r"<[|｜](?!/?(?:ref|det)\|)[\w▁/]{1,40}[|｜]>|<(?:end|start)_of_turn>|(?:</s>|<eos>)\s*$"
)
_FENCE = re.compile(r"^[ \t]*```.*$", re.MULTILINE)
#: what may stand behind the last entry of a list without being part of a repetition
_CLOSERS = " \t\r\n`\"'}])*,"
_MOST_CLOSERS = 12
#: empty cells, rules and leaders: tables and forms have many
_RULES = re.compile(r"(?:</?t[dhr]>|[\s|:._=-])*")


def check_answer(content: str, finish_reason: str | None, output_tokens: int) -> PageError | None:
    """Return why an answer is no reading of the page, None where it may be one.

    Args:
        content: the answer's text, "" where the server gave none.
        finish_reason: as the server gave it.
        output_tokens: as the server counted them, 0 where it did not.
    """
    if finish_reason == "content_filter":
        return EngineError(
            "the server's content filter stopped the answer",
            hint="read the page with another model or method",
        )
    if finish_reason == "length":
        return TruncatedAnswerError(
            f"the answer was cut off after {output_tokens} tokens",
            hint="allow a longer answer (option max_tokens), or cut the page into parts",
        )
    if finish_reason in _SERVER_FAULTS:
        return EngineUnavailableError(f'the server stopped the answer: "{finish_reason}"')
    if not clean_answer(content):
        return UnparsableAnswerError(f"the answer is empty ({output_tokens} tokens)")
    if repeats_itself(content):
        return _refuse("the answer repeats itself without end", content[-_LEAST_LENGTH:])
    return None


def read_answer(
    content: str,
    kind: AnswerKind,
    *,
    size: tuple[int, int],
    scale: BoxScale,
    sent: tuple[int, int] | None = None,
) -> list[Region]:
    """Return the regions of an answer, in its order; [] where it says that there is no text.

    Text without boxes is one region with the box of the page and metadata {"box": "page"}: its
    order is the model's, which no geometry must change.

    Args:
        content: the answer's text.
        kind: what the prompt asks for.
        size: width and height of the page, in pixels.
        scale: how the model writes boxes.
        sent: width and height of the image as it was sent, where the page was scaled for that.

    Raises:
        UnparsableAnswerError: nothing in the answer can be used, or it repeats itself. Retryable.
    """
    answer = clean_answer(content)
    lines = _read(answer, kind, Frame(size, scale, sent))
    if lines is None:
        raise _refuse("the answer holds no text in the form that was asked for", answer)
    if _repeats_last(lines):
        raise _refuse("the answer repeats its last line without end", answer[-_LEAST_LENGTH:])
    return _join_unboxed(lines)


def _read(answer: str, kind: AnswerKind, frame: Frame) -> list[Region] | None:
    """Return what stands in an answer, line by line; None where nothing in it can be used."""
    if kind == "lines" or (kind == "auto" and looks_like_lines(answer)):
        return read_lines(answer, frame)
    if kind == "grounding":
        answer = restore_tags(answer)
    return read_grounding(answer, frame) if has_tags(answer) else _read_text(answer, frame)


def clean_answer(content: str) -> str:
    """Return the answer without a model's thoughts and the marks of its chat format."""
    _, thought, after = content.rpartition("</think>")
    return _MARKS.sub("", after if thought else content).strip()


def repeats_itself(content: str) -> bool:
    """Return whether the end of a text is one unit over and over."""
    text = _MARKS.sub("", content).rstrip()
    text = text[:-_MOST_CLOSERS] + text[-_MOST_CLOSERS:].rstrip(_CLOSERS)
    for unit in range(1, _LONGEST_UNIT + 1):
        length = max(_LEAST_TIMES * unit, _LEAST_LENGTH)
        tail = text[-length:]
        if len(tail) == length and tail[unit:] == tail[:-unit]:
            # The shortest unit is found first; longer ones are made of it.
            return _RULES.fullmatch(tail[:unit]) is None
    return False


def _repeats_last(regions: list[Region]) -> bool:
    """Return whether the last entries are one and the same line; only boxes can tell."""
    last = regions[-_LEAST_ENTRIES:]
    if len(last) < _LEAST_ENTRIES or last[0].metadata.get("box") == "page":
        return False
    return len({(region.text, region.bbox) for region in last}) == 1


def _join_unboxed(lines: list[Region]) -> list[Region]:
    """Return the lines, as one region where none of them has a box of its own."""
    if len(lines) < 2 or any(line.metadata.get("box") != "page" for line in lines):
        return lines
    text = "\n".join(line.text for line in lines)
    return [Region(text=text, bbox=lines[0].bbox, metadata=dict(PAGE_BOX))]


def _read_text(answer: str, frame: Frame) -> list[Region] | None:
    text = _strip_fence(answer)
    if text.strip(" \t\r\n\"'`*_.[]()").upper() == NO_TEXT:
        return []
    return [Region(text=text, bbox=frame.whole, metadata=dict(PAGE_BOX))] if text else None


def _strip_fence(answer: str) -> str:
    """Return the answer without a code fence around all of it."""
    fences = [(match.start(), match.end()) for match in _FENCE.finditer(answer)]
    if not fences or fences[0][0] != 0:
        return answer
    start = fences[0][1]
    wrapped = len(fences) == 1 or fences[-1][1] == len(answer)
    markdown = answer[3:start].strip().lower() in ("markdown", "md", "text")
    if not wrapped or (len(fences) > 2 and not markdown):
        return answer
    return answer[start : fences[-1][0] if len(fences) > 1 else None].strip()


def _refuse(reason: str, answer: str) -> UnparsableAnswerError:
    shown = answer if len(answer) <= 120 else answer[:117] + "..."
    return UnparsableAnswerError(
        f"{reason}: {shown!r}",
        hint="one more try mostly helps; else take another model or prompt",
    )

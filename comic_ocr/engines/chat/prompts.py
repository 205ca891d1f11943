"""What chat models are asked, and in which form they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: `lines`: JSON list of lines with boxes. `text`: plain text or Markdown. `grounding`: text with
#: DeepSeek's <|ref|> and <|det|> tags. `auto`: whichever of them the answer looks like.
AnswerKind = Literal["lines", "text", "grounding", "auto"]

#: what a model is told to answer with, alone, where a page has no text
NO_TEXT = "NO TEXT"

_IMAGE_MARK = "<image>"


@dataclass(frozen=True)
class Prompt:
    """A prompt in full, and what it is answered with."""

    text: str
    answer: AnswerKind

    @property
    def sent_text(self) -> str:
        """The text of a chat message, without the leading `<image>` mark.

        A server's chat template puts the mark itself; a second one would stand for an image that
        is not there.
        """
        text = self.text.lstrip()
        if text.startswith(_IMAGE_MARK):
            return text.removeprefix(_IMAGE_MARK).lstrip("\r\n")
        return self.text


def _close_object(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


#: The `response_format` of a chat completion that asks for a `lines` answer. Boxes come first, as
#: Qwen was trained to write them.
LINES_SCHEMA: Mapping[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "lines",
        "strict": True,
        "schema": _close_object(
            lines={
                "type": "array",
                "items": _close_object(
                    bbox_2d={
                        "type": "array",
                        "items": {"type": "number"},
                        "minItems": 4,
                        "maxItems": 4,
                    },
                    text_content={"type": "string"},
                ),
            }
        ),
    },
}

_EXACTLY = (
    "Transcribe exactly what is printed, in its own language and spelling: do not translate, "
    "correct, complete or describe anything. "
)
_EMPTY = f"Answer with {NO_TEXT} alone if there is none."

_SPOTTING = Prompt(
    # The first sentence is the one that Qwen3-VL was trained on.
    "Spotting all the text in the image with line-level, and output in JSON format. "
    'Give every line as {"bbox_2d": [x1, y1, x2, y2], "text_content": "..."}, in reading order. '
    + _EXACTLY
    + "Answer with the JSON alone, and with an empty list [] if the image has no text.",
    "lines",
)
_PLAIN = Prompt(
    "Read all the text on this page: speech balloons, captions, sound effects, signs and notes. "
    + _EXACTLY
    + "Keep the reading order, put every printed line on a line of its own, and leave a blank line "
    "between balloons or paragraphs. Answer with the text alone, without comments. " + _EMPTY,
    "text",
)
_MARKDOWN = Prompt(
    "Convert this page to Markdown, in reading order, with its headings, lists and tables. "
    + _EXACTLY
    + "Answer with the Markdown alone, without a code fence. "
    + _EMPTY,
    "text",
)
_TABLES = Prompt(
    "Extract all tables of this page as Markdown tables, in reading order, each with its caption "
    "above it if it has one. Leave out text that is in no table. "
    + _EXACTLY
    + "Answer with the tables alone, without a code fence. "
    + _EMPTY,
    "text",
)
_COURSE_CATALOG = Prompt(
    "Extract the courses of this page as a JSON list, in reading order, of "
    '{"course_number": "...", "title": "...", "credits": "...", "description": "..."}, with null '
    "for what the page does not say. " + _EXACTLY + "Answer with the JSON alone. " + _EMPTY,
    "text",
)

QWEN_PROMPTS: Mapping[str, Prompt] = {
    "ocr": _SPOTTING,
    "markdown": _MARKDOWN,
    "tables": _TABLES,
    "course_catalog": _COURSE_CATALOG,
}
GEMMA_PROMPTS: Mapping[str, Prompt] = {**QWEN_PROMPTS, "ocr": _PLAIN}
#: the words that DeepSeek-OCR was trained on
DEEPSEEK_PROMPTS: Mapping[str, Prompt] = {
    "lines": Prompt("<image>\n<|grounding|>OCR this image.", "grounding"),
    "ocr": Prompt("<image>\nFree OCR.", "text"),
    "markdown": Prompt("<image>\n<|grounding|>Convert the document to markdown.", "grounding"),
    "tables": Prompt(
        "<image>\n<|grounding|>Extract all tables and format them as markdown tables.",
        "grounding",
    ),
    "course_catalog": Prompt(
        "<image>\n<|grounding|>Extract course information including course number, title, "
        "credits, and description. Format as structured data.",
        "grounding",
    ),
}

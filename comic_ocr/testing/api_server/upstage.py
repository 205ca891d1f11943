"""What Upstage answers about a page of known text: document parse, OCR and extraction.

Shapes: https://console.upstage.ai/api/parse/document-parsing.md, …/document-ocr.md and
https://console.upstage.ai/api/information-extraction/prebuilt-extraction.md
"""

from __future__ import annotations

import html
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any, NamedTuple

import msgspec

from comic_ocr.testing.api_server.truth import (
    Answer,
    RefusedError,
    SentImage,
    TruthLine,
    TruthPage,
    read_image,
)

DIGITIZATION = "/v1/document-digitization"
ASYNC = f"{DIGITIZATION}/async"
EXTRACTION = "/v1/information-extraction"
_MODELS = {
    DIGITIZATION: ("document-parse", "ocr"),
    ASYNC: ("document-parse",),
    EXTRACTION: ("receipt-extraction", "air-waybill", "bill-of-lading", "commercial-invoice"),
}
_FORMATS = ("html", "markdown", "text")
_MAX_BYTES = 50 * 1024 * 1024
_RECEIPT_KEYS = ("store.store_name", "date.date", "total.charged_price")


class Part(NamedTuple):
    """One part of a multipart body."""

    filename: str | None
    content_type: str
    data: bytes


@dataclass(frozen=True)
class UpstageAsk:
    """A document that Upstage was asked to read."""

    path: str
    model: str
    image: SentImage
    fields: Mapping[str, str]
    #: in which text is wanted
    formats: tuple[str, ...]
    #: the request without its document
    record: Mapping[str, Any]

    def answer(self, page: TruthPage, fault: str) -> Answer:
        """Return the JSON of the page, spoiled as the fault says."""
        if fault == "empty":
            page = TruthPage(page.width, page.height)
        if self.path == EXTRACTION:
            found = _extract(page, self)
        elif self.model.startswith("ocr"):
            found = _read_words(page, self)
        else:
            found = _parse(page, self)
        if fault == "empty":
            found |= {"elements": [], "pages": [], "usage": {"pages": 0}, "numBilledPages": 0}
        body = msgspec.json.encode(found)
        if fault == "truncated":
            body = body[: len(body) // 2]
        return Answer(b"<html><body>It works!</body></html>" if fault == "garbage" else body)


def read_upstage(path: str, content_type: str, body: bytes) -> UpstageAsk:
    """Return what a multipart body asks of Upstage.

    Raises:
        RefusedError: it has no document, or one that Upstage would not read.
    """
    parts = split_parts(content_type, body)
    document = parts.pop("document", None)
    fields = {name: part.data.decode("utf-8", "replace") for name, part in parts.items()}
    model = fields.get("model", "")
    if not model.startswith(_MODELS[path]):
        raise RefusedError(400, "invalid model name")
    if document is None:
        raise RefusedError(400, "no document in the request")
    if len(document.data) > _MAX_BYTES:
        raise RefusedError(413, "uploaded document is too large. max allowed size is 50MB")
    image = read_image(document.data, document.content_type, refused_as=415)
    sent = {"filename": document.filename} | image._asdict()
    formats = _read_list(fields.get("output_formats", '["html"]'))
    return UpstageAsk(path, model, image, fields, formats, fields | {"document": sent})


def split_parts(content_type: str, body: bytes) -> dict[str, Part]:
    """Return the parts of a multipart/form-data body by name, their bytes as they were sent."""
    kind = Message()
    kind["Content-Type"] = content_type
    boundary = kind.get_boundary()
    if kind.get_content_type() != "multipart/form-data" or boundary is None:
        raise RefusedError(400, "the body is not multipart/form-data")
    parts: dict[str, Part] = {}
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]:
        head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = BytesHeaderParser().parsebytes(head)
        name = headers.get_param("name", header="content-disposition")
        parts[str(name)] = Part(headers.get_filename(), headers.get_content_type(), data)
    return parts


def _parse(page: TruthPage, ask: UpstageAsk) -> dict[str, Any]:
    placed = ask.fields.get("coordinates", "true").lower() == "true"
    elements = []
    for number, line in enumerate(page.lines):
        element: dict[str, Any] = {
            "category": "paragraph",
            "content": _write_formats(line.text, number, ask.formats),
            "id": number,
            "page": 1,
        }
        if placed:
            element["coordinates"] = _relative_corners(page, line)
        elements.append(element)
    whole = {name: "\n".join(e["content"][name] for e in elements) for name in _FORMATS}
    return {
        "api": "2.0",
        "content": whole,
        "elements": elements,
        "model": "document-parse-260930",
        "ocr": True,
        "usage": {"pages": 1},
    }


def _read_list(text: str) -> tuple[str, ...]:
    """Upstage takes Python's quotes in its lists as well as JSON's."""
    try:
        return msgspec.json.decode(text.replace("'", '"'), type=tuple[str, ...])
    except msgspec.DecodeError:
        raise RefusedError(400, f"not a list: {text}") from None


def _write_formats(text: str, number: int, wanted: tuple[str, ...]) -> dict[str, str]:
    marked = f"<p id='{number}' data-category='paragraph' style='font-size:22px'>"
    written = {"html": f"{marked}{html.escape(text)}</p>", "markdown": text, "text": text}
    return {name: written[name] if name in wanted else "" for name in _FORMATS}


def _relative_corners(page: TruthPage, line: TruthLine) -> list[dict[str, float]]:
    left, top, right, bottom = (round(v, 4) for v in page.corners(line, 1, 1))
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return [{"x": x, "y": y} for x, y in corners]


def _read_words(page: TruthPage, ask: UpstageAsk) -> dict[str, Any]:
    words: list[dict[str, Any]] = []
    for line in page.lines:
        for text, box in _cut_words(line):
            corners = page.corners(TruthLine(text, box), ask.image.width, ask.image.height)
            left, top, right, bottom = (round(v) for v in corners)
            spots = ((left, top), (right, top), (right, bottom), (left, bottom))
            vertices = [{"x": x, "y": y} for x, y in spots]
            words.append(
                {
                    "boundingBox": {"vertices": vertices},
                    "confidence": round(0.9 + 0.0999 * (len(words) * 37 % 100) / 100, 4),
                    "id": len(words),
                    "text": text,
                }
            )
    sure = sum(word["confidence"] for word in words) / len(words) if words else 0.0
    size = {"height": ask.image.height, "width": ask.image.width}
    text = " \n".join(line.text for line in page.lines)
    return {
        "apiVersion": "1.1",
        "confidence": sure,
        "metadata": {"pages": [size | {"page": 1}]},
        "mimeType": "multipart/form-data",
        "modelVersion": "ocr-260930",
        "numBilledPages": 1,
        "pages": [size | {"confidence": sure, "id": 0, "text": text, "words": words}],
        "stored": False,
        "text": text,
    }


def _cut_words(line: TruthLine) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Return the words of a line, each with its share of the line's box."""
    x, y, w, h = line.bbox
    step = w / max(1, len(line.text))
    cut, start = [], 0
    for word in line.text.split():
        start = line.text.index(word, start)
        cut.append((word, (x + start * step, y, len(word) * step, h)))
        start += len(word)
    return cut


def _extract(page: TruthPage, ask: UpstageAsk) -> dict[str, Any]:
    fields = []
    for number, line in enumerate(page.lines):
        known = number < len(_RECEIPT_KEYS)
        leaf: dict[str, Any] = {
            "confidence": 0.98,
            "id": number,
            "key": _RECEIPT_KEYS[number] if known else "item.name",
            "properties": None,
            "refinedValue": line.text.strip(),
            "type": "content",
            "value": line.text,
        }
        if not known:
            leaf = {"id": 1000 + number, "key": "group", "type": "group", "properties": [leaf]}
            leaf |= {"confidence": None, "refinedValue": None, "value": None}
        fields.append(leaf)
    return {
        "apiVersion": "1.1",
        "confidence": 0.98 if fields else 0.0,
        "documentType": ask.model.removesuffix("-extraction"),
        "fields": fields,
        "metadata": {"pages": [{"height": ask.image.height, "page": 1, "width": ask.image.width}]},
        "mimeType": "multipart/form-data",
        "modelVersion": f"{ask.model}-3.2.0",
        "numBilledPages": 1,
        "stored": False,
    }


@dataclass
class Job:
    """An asynchronous request: submitted, started, then completed or failed, poll by poll."""

    answer: Answer
    done_at: float
    failed: bool = False
    polls: int = 0
    requested_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def describe(self, request_id: str, host: str) -> dict[str, Any]:
        """Return what one more poll is told; the download leads back to this server."""
        self.polls += 1
        status = ("submitted", "started")[self.polls - 1] if self.polls < 3 else "completed"
        if status == "completed" and time.monotonic() < self.done_at:
            status = "started"
        over = status == "completed"
        if over and self.failed:
            status = "failed"
        message = "internal server error" if status == "failed" else ""
        batch = {
            "id": 0,
            "model": "document-parse-260930",
            "status": status,
            "failure_message": message,
            "download_url": download_url(request_id, host) if status == "completed" else "",
            "start_page": 1,
            "end_page": 1,
            "requested_at": self.requested_at,
            "updated_at": datetime.now(UTC).isoformat(),
        }
        return {
            "id": request_id,
            "status": status,
            "model": "document-parse",
            "failure_message": message,
            "total_pages": 1,
            "completed_pages": int(status == "completed"),
            "batches": [batch] if self.polls > 1 else [],
            "requested_at": self.requested_at,
            "completed_at": batch["updated_at"] if over else None,
        }


def download_url(request_id: str, host: str) -> str:
    """Return a signed address, as good as the real one: it needs no key, and takes none."""
    return f"http://{host}/download/{request_id}/0.json?X-Amz-Expires=900&X-Amz-Signature=loopback"

"""What crosses a process or is written down: pages, results, failures, chunks and reports.

All are frozen msgspec structs. Times are seconds, boxes are pixels of the page as decoded.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from comic_ocr.geometry import BBox, Polygon

SCHEMA_VERSION = "1.0"
#: Where a job keeps its own files, under the output prefix.
STATE_PREFIX = "_comic_ocr"
#: Where answers of APIs are kept, and those that were of no use.
ANSWERS_PREFIX = f"{STATE_PREFIX}/answers"
REJECTED_PREFIX = f"{STATE_PREFIX}/rejected"
RESULT_SUFFIX = "_ocr.json"

Direction = Literal["ltr", "rtl"]
#: numbers as runs of (first, after the last)
Runs = tuple[tuple[int, int], ...]


class PageRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of a manifest: a page to read and where its bytes are."""

    canonical_id: str
    source: str
    member: str | None = None
    page: int | None = None
    method: str | None = None
    lang: str | None = None
    direction: Direction | None = None
    width: int | None = None
    height: int | None = None
    #: columns that the project does not know, as text; they ride along into the page JSON
    extra: dict[str, str] = {}
    #: times that earlier runs tried this page
    attempts: int = 0


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of text that an engine found. Confidence is 0-1, None where the engine gives none."""

    text: str
    bbox: BBox
    confidence: float | None = None
    polygon: Polygon | None = None
    metadata: dict[str, Any] = {}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Regions that belong together. `regions` are indices into the page's text_regions."""

    kind: str
    bbox: BBox
    regions: tuple[int, ...]
    order: int
    text: str


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of the page, in reading order."""

    bbox: BBox
    order: int


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The page image as decoded (EXIF rotation applied); sha256 is of the bytes as fetched."""

    width: int
    height: int
    format: str
    sha256: str


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    model: str | None = None
    options: dict[str, Any] = {}


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    fetch_s: float = 0.0
    decode_s: float = 0.0
    ocr_s: float = 0.0
    arrange_s: float = 0.0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an API charged for the page; zero for engines that run in the worker."""

    input_tokens: int = 0
    output_tokens: int = 0
    #: as the API says, or by the prices that the options give; 0 where neither does
    cost_usd: float = 0.0
    #: that answered, as the API names it
    model: str | None = None
    #: taken from the output's answers, where an earlier try had paid for it
    cached: bool = False


class PageResult(msgspec.Struct, frozen=True, kw_only=True):
    """The page JSON: written once, whole, at result_key(canonical_id)."""

    canonical_id: str
    source_image_path: str
    ocr_method: str
    #: when the page was read, ISO 8601 in UTC
    timestamp: str
    text_regions: list[Region]
    full_text: str
    num_regions: int
    image: ImageFacts
    engine: EngineFacts
    blocks: list[Block] = []
    panels: list[Panel] = []
    #: mean confidence of the regions, weighted by their length; None where none is known
    confidence: float | None = None
    warnings: list[str] = []
    timing: Timing = Timing()
    usage: Usage = Usage()
    #: manifest columns that the project does not know
    manifest: dict[str, str] = {}
    package_version: str = ""
    schema_version: str = SCHEMA_VERSION


class PageFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A page that could not be read. `code` is a fixed word of errors.py."""

    canonical_id: str
    code: str
    message: str
    retryable: bool
    attempts: int
    source: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one method of a cascade made of a page. `code` is set where it failed."""

    method: str
    #: of the page; None where the method gives none or found no text
    confidence: float | None = None
    ocr_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    code: str = ""


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page in one attempt.

    Status `done` means read and written now, `found` that its page JSON was already there,
    `failed` carries code, message and retryable.
    """

    canonical_id: str
    status: Literal["done", "found", "failed"]
    #: end of the attempt, seconds since the epoch
    at: float
    attempts: int = 1
    code: str = ""
    message: str = ""
    retryable: bool = False
    source: str = ""
    fetch_s: float = 0.0
    decode_s: float = 0.0
    ocr_s: float = 0.0
    arrange_s: float = 0.0
    image_bytes: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    #: paid to APIs in this attempt, for answers that were of no use too
    cost_usd: float = 0.0
    #: the page's part of what its call costs: seconds, the call itself, requests to the store
    compute_usd: float = 0.0
    #: the methods of a cascade that read the page, in order; seconds, tokens and price above are
    #: their sums
    readings: tuple[Reading, ...] = ()


class ChunkRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The pages that one call handles, as byte ranges of a plan object."""

    chunk_id: str
    #: key of the plan object, relative to the output
    plan_key: str
    #: (first byte, byte after the last) of runs of rows
    slices: Runs
    pages: int
    #: a method, or several as `a,b`: the next one for pages that the one before reads badly
    method: str
    #: language codes of the pages; none for the methods' defaults
    languages: tuple[str, ...] = ()
    #: 1 at the first submission
    attempt: int = 1


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a whole chunk could not start: every other chunk would fail the same way."""

    code: str
    message: str
    hint: str | None = None


class ChunkReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker returns for a chunk; kept under 8 KiB, so that it rides in Lithops' status."""

    chunk_id: str
    attempt: int
    done: int = 0
    found: int = 0
    failed: int = 0
    #: runs (first, after the last) of rows of the chunk that were not reached before the deadline
    unreached: Runs = ()
    failures_by_code: dict[str, int] = {}
    #: engine import and load, before the first page
    load_s: float = 0.0
    #: whole call, as the worker saw it
    wall_s: float = 0.0
    #: engine time summed over the pages
    ocr_s: float = 0.0
    cost_usd: float = 0.0
    peak_memory_mb: int = 0
    fault: Fault | None = None


def result_key(canonical_id: str) -> str:
    """Return where a page's JSON goes, relative to the output prefix.

    The id is normalised to NFC, so that an id typed on one system is found on another.
    `check_page_id` says which ids are safe to use.
    """
    return unicodedata.normalize("NFC", canonical_id) + RESULT_SUFFIX


def check_page_id(canonical_id: str) -> str | None:
    """Return why an id cannot be a key, or None when it can.

    A key must stay under the output prefix, must not meet the job's own files, must be the same
    on every store, and must fit the limits of file systems (255 bytes a name) and S3 (1,024 a key).
    """
    if not canonical_id.strip():
        return "is empty"
    parts = canonical_id.split("/")
    if not all(parts) or not {".", ".."}.isdisjoint(parts):
        return "has an empty, '.' or '..' step ('//', '../'), which would escape the output prefix"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in canonical_id):
        return "has a control character or is not valid UTF-8"
    if parts[0] == STATE_PREFIX or any(part.endswith(RESULT_SUFFIX) for part in parts[:-1]):
        return (
            f"starts with {STATE_PREFIX}/ or has a step that ends in {RESULT_SUFFIX}, "
            "where the job keeps its own files"
        )
    key = result_key(canonical_id)
    if any(len(part.encode()) > 255 for part in key.split("/")) or len(key.encode()) > 1000:
        return "is too long for a key (255 bytes a step, 1,000 in all, with _ocr.json)"
    return None


def find_runs(numbers: Iterable[int]) -> Runs:
    """Return ascending numbers as runs."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return tuple(runs)

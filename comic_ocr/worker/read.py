"""One page: fetch, decode, recognize, arrange."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from comic_ocr._version import __version__
from comic_ocr.engines import Engine
from comic_ocr.errors import NotAnImageError
from comic_ocr.images import PageImage, decode_image
from comic_ocr.images.decode import MAX_PIXELS
from comic_ocr.layout import arrange_regions
from comic_ocr.page import (
    Direction,
    EngineFacts,
    ImageFacts,
    PageRef,
    PageResult,
    Timing,
)
from comic_ocr.storage import read_source


@dataclass(frozen=True)
class ReadPlan:
    """How an engine reads pages; the same for all pages of a chunk."""

    method: str
    #: what the engine was given, for the page JSON
    options: dict[str, Any] = field(default_factory=dict)
    direction: Direction = "ltr"


@dataclass(frozen=True)
class Fetched:
    """A page ready to be recognized."""

    image: PageImage
    fetch_s: float
    decode_s: float


def fetch_page(page: PageRef, max_pixels: int = MAX_PIXELS) -> Fetched:
    """Return the decoded image of a page.

    Raises:
        PageError: not there, not allowed, or no usable image. Not retryable.
        StorageError: the store did not answer. Retryable.
    """
    if page.member is not None or page.page:
        raise NotAnImageError(
            "the manifest names a member or page of a container, which this version does not open"
        )
    started = time.perf_counter()
    data = read_source(page.source)
    fetched = time.perf_counter()
    image = decode_image(data, page_id=page.canonical_id, max_pixels=max_pixels)
    return Fetched(image, fetched - started, time.perf_counter() - fetched)


def recognize_page(page: PageRef, fetched: Fetched, engine: Engine, plan: ReadPlan) -> PageResult:
    """Return the page's result. Raises what the engine raises."""
    started = time.perf_counter()
    recognition = engine.recognize(fetched.image)
    recognized = time.perf_counter()
    arranged = arrange_regions(recognition.regions, page.direction or plan.direction)
    image = fetched.image
    timing = Timing(
        fetch_s=round(fetched.fetch_s, 4),
        decode_s=round(fetched.decode_s, 4),
        ocr_s=round(recognized - started, 4),
        arrange_s=round(time.perf_counter() - recognized, 4),
    )
    return PageResult(
        canonical_id=page.canonical_id,
        source_image_path=page.source,
        ocr_method=plan.method,
        timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
        text_regions=recognition.regions,
        full_text=arranged.full_text,
        num_regions=len(recognition.regions),
        image=ImageFacts(
            width=image.width, height=image.height, format=image.format, sha256=image.sha256
        ),
        engine=EngineFacts(
            name=plan.method, version=engine.version, model=engine.model, options=plan.options
        ),
        blocks=arranged.blocks,
        confidence=arranged.confidence,
        warnings=list(recognition.warnings),
        timing=timing,
        usage=recognition.usage,
        manifest=page.extra,
        package_version=__version__,
    )

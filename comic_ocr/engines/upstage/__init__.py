"""Method `upstage`: Upstage's document parse, OCR and information extraction."""

from __future__ import annotations

from importlib.util import find_spec

from comic_ocr.engines.base import Method
from comic_ocr.engines.upstage.engine import UpstageEngine
from comic_ocr.engines.upstage.options import (
    UpstageOptions,
    find_price,
    key_variable,
    missing_key,
    resolve_options,
)

METHOD = Method(
    "upstage",
    "Upstage: documents with layout and tables, words, or named fields",
    build=UpstageEngine,
    options=UpstageOptions,
    missing=lambda _options: None if find_spec("openai") else "pip install openai",
    resolve=resolve_options,
    key_variable=key_variable,
    missing_key=missing_key,
    runs_on=("api",),
    price="by the page; document parse $0.01",
    page_usd=find_price,
    typical_s=3.0,
    load_s=1.0,
    memory_mb=1024,
    concurrency=32,
)

"""Manifests of every format, made for tests."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from comic_ocr.page import PageRef

EXAMPLES = Path(__file__).parents[2] / "manifests"
COLUMNS = ["canonical_id", "absolute_image_path", "member", "page", "direction", "note"]
ROWS = [
    ["vol 1/p#1", "/scans/été.jpg", None, None, "rtl", "two\nlines, and a comma"],
    ["vol.2/日本", "s3://b/v2.cbz", "p 1.png", None, None, None],
    ["vol3", "https://h/v3.pdf", None, 0, None, "x"],
]
PAGES = [
    PageRef(
        canonical_id="vol 1/p#1",
        source="/scans/été.jpg",
        direction="rtl",
        extra={"note": "two\nlines, and a comma"},
    ),
    PageRef(canonical_id="vol.2/日本", source="s3://b/v2.cbz", member="p 1.png"),
    PageRef(canonical_id="vol3", source="https://h/v3.pdf", page=0, extra={"note": "x"}),
]


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def tsv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    return csv_bytes(columns, rows, "\t")


def jsonl_bytes(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    return b"".join(
        json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False).encode() + b"\n"
        for row in rows
    )


def parquet_bytes(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    sink = io.BytesIO()
    lists = list(zip(*rows, strict=True)) if rows else [[] for _ in columns]
    pq.write_table(pa.table({c: list(v) for c, v in zip(columns, lists, strict=True)}), sink)
    return sink.getvalue()


WRITERS = {
    ".csv": csv_bytes,
    ".tsv": tsv_bytes,
    ".jsonl": jsonl_bytes,
    ".ndjson": jsonl_bytes,
    ".parquet": parquet_bytes,
}


def zstd_bytes(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


PACKERS = {"": bytes, ".gz": gzip.compress, ".zst": zstd_bytes}

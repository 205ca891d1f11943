"""Rows of a manifest, streamed from any store: CSV, TSV, JSONL and Parquet, plain, gzip or zstd.

The ending names the format; the first bytes say whether the data is compressed, so a `.csv.gz` that
a server has unpacked already, or a `.csv` that is packed, is read all the same.

Text that is not UTF-8 arrives with lone surrogates in place of its bad bytes (surrogateescape), in
every format, so that the one cell can be named and all others are still checked.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from comic_ocr.errors import ManifestError, SourceDeniedError, SourceNotFoundError
from comic_ocr.storage import open_source, split_url

Columns = tuple[str, ...]
#: the columns, and as many values
Row = tuple[Columns, Sequence[Any]]

_COMPRESSION_ENDINGS = (".gz", ".zst")
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
# what is unpacked at a time, and lost with its rows where the data ends damaged
_BUFFER_BYTES = 1 << 16
_BATCH_ROWS = 8192


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that cannot be taken apart, and why."""

    message: str


@dataclass(frozen=True, slots=True)
class Table:
    """A manifest opened for reading, once, from its first row to its last."""

    #: None where every row names its own columns (JSONL)
    columns: Columns | None
    #: values are text in CSV and TSV; in JSONL and Parquet they are what the file holds
    rows: Iterator[Row | RowFault]


@contextmanager
def open_table(url: str) -> Iterator[Table]:
    """Give the rows of a manifest, read in pieces while they are iterated.

    Blank lines are no rows. A file that ends damaged gives a RowFault as its last row.

    Args:
        url: path or URL with an ending of FORMATS, and perhaps `.gz` or `.zst` after it.

    Raises:
        ManifestError: it is not there, or cannot be read as what its ending says. Not retryable.
        UsageError: the scheme is not known. Not retryable.
        StorageError: the store fails. Retryable.
    """
    read = _find_reader(url)
    with ExitStack() as stack:
        try:
            stream = _open_stream(url, stack)
            table = read(_seekable(stream, stack) if read is _read_parquet else stream)
        except (SourceNotFoundError, SourceDeniedError) as error:
            raise ManifestError(
                f"cannot open manifest {url}: {error.message}",
                hint="check the path, and that this machine may read it",
            ) from error
        except (OSError, pa.ArrowException, csv.Error) as error:
            raise ManifestError(
                f"cannot read manifest {url}: {_first_line(error)}",
                hint="check that the file is whole and that its ending fits its content",
            ) from error
        yield Table(table.columns, _rows_until_damage(table.rows))


def _rows_until_damage(rows: Iterator[Row | RowFault]) -> Iterator[Row | RowFault]:
    try:
        yield from rows
    except (OSError, pa.ArrowException) as error:
        yield RowFault(f"cannot be read, nor what follows it: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _find_reader(url: str) -> Callable[[BinaryIO], Table]:
    scheme, _, path = split_url(url)
    name = path.partition("?")[0] if scheme in ("http", "https") else path
    stem = name.lower()
    for ending in _COMPRESSION_ENDINGS:
        stem = stem.removesuffix(ending)
    for ending, read in FORMATS.items():
        if stem.endswith(ending):
            return read
    raise ManifestError(
        f"cannot tell the format of manifest {url} by its ending.",
        hint=f"name it {', '.join(FORMATS)}, with {' or '.join(_COMPRESSION_ENDINGS)} if packed",
    )


def _open_stream(url: str, stack: ExitStack) -> BinaryIO:
    """Return the bytes of the manifest, decompressed."""
    store, key = open_source(url)
    raw = stack.enter_context(store.open_reader(key))
    compression = _detect_compression(raw.read(4))
    raw.seek(0)
    if compression is None:
        return cast("BinaryIO", raw)
    native = stack.enter_context(pa.CompressedInputStream(raw, compression))
    return cast("BinaryIO", stack.enter_context(io.BufferedReader(native, _BUFFER_BYTES)))


def _seekable(stream: BinaryIO, stack: ExitStack) -> BinaryIO:
    """Return the stream itself, or an unpacked copy on disk: Parquet is read from its end."""
    if stream.seekable():
        return stream
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(stream, copy, _BUFFER_BYTES)
    copy.seek(0)
    return cast("BinaryIO", copy)


def _detect_compression(start: bytes) -> str | None:
    if start[:2] == b"\x1f\x8b":
        return "gzip"
    # parallel zstd tools begin with a skippable frame, RFC 8878 section 3.1.2
    is_skippable = start[1:] == b"\x2a\x4d\x18" and start[0] >> 4 == 5
    return "zstd" if start == b"\x28\xb5\x2f\xfd" or is_skippable else None


def _skip_bom(stream: BinaryIO) -> None:
    start = cast("io.BufferedReader", stream).peek(3)[:3]
    if start == _UTF8_BOM:
        stream.read(3)
    if start[:2] in _UTF16_BOMS:
        raise OSError("the text is UTF-16; save it as UTF-8")


def _read_csv(stream: BinaryIO, delimiter: str = ",") -> Table:
    _skip_bom(stream)
    text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
    # strict: an open quote is reported, where it would swallow rows in silence
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    columns = tuple(next((values for values in reader if values), ()))
    return Table(columns, _iter_csv(reader, columns))


def _iter_csv(reader: Any, columns: Columns) -> Iterator[Row | RowFault]:
    width = len(columns)
    while True:
        try:
            for values in reader:
                if len(values) == width:
                    yield columns, values
                elif values:
                    yield RowFault(f"has {len(values)} fields where the header has {width}")
            return
        except csv.Error as error:  # the reader goes on with the next line
            yield RowFault(
                f"is broken (line {reader.line_num} of the file): {error}; is a quote left open?"
            )


def _read_jsonl(stream: BinaryIO) -> Table:
    _skip_bom(stream)
    return Table(None, _iter_jsonl(stream))


def _iter_jsonl(lines: BinaryIO) -> Iterator[Row | RowFault]:
    decode = msgspec.json.Decoder().decode
    for line in lines:
        if line.isspace():
            continue
        try:
            record = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            record = _decode_loosely(line, error)
        if isinstance(record, dict):
            yield tuple(record), list(record.values())
        elif isinstance(record, RowFault):
            yield record
        else:
            yield RowFault("is not a JSON object; write one {…} a line")


def _decode_loosely(line: bytes, error: Exception) -> Any:
    """Return a record whose only fault is its encoding, or the RowFault."""
    try:
        return json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return RowFault(f"is not JSON: {_first_line(error)}")


def _read_parquet(stream: BinaryIO) -> Table:
    file = pq.ParquetFile(stream)
    columns = tuple(file.schema_arrow.names)
    return Table(columns, _iter_parquet(file, columns))


def _iter_parquet(file: Any, columns: Columns) -> Iterator[Row | RowFault]:
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
        lists = [_list_values(column) for column in batch.columns]
        for values in zip(*lists, strict=True):
            yield columns, values


def _list_values(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.string())  # Python has no nanoseconds
    try:
        return cast("list[Any]", column.to_pylist())
    except UnicodeDecodeError:
        return [_value_of(scalar) for scalar in column]


def _value_of(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "surrogateescape")


#: ending -> what reads a stream of it
FORMATS: dict[str, Callable[[BinaryIO], Table]] = {
    ".csv": _read_csv,
    ".tsv": partial(_read_csv, delimiter="\t"),
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}

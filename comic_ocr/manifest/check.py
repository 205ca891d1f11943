"""Every problem of a manifest, with row and column.

`check_rows` is the one place that judges a row; `check_manifest` counts what it finds, and
`read_manifest` hands out its pages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

from comic_ocr.errors import ManifestProblem
from comic_ocr.manifest.columns import (
    Layout,
    cell_parsers,
    find_layout,
    is_badly_encoded,
    text_of,
)
from comic_ocr.manifest.formats import RowFault, open_table
from comic_ocr.manifest.sources import check_source, find_base, resolve_source
from comic_ocr.page import RESULT_SUFFIX, PageRef, check_page_id, result_key

# ids that check_page_id passes for certain; most are, and this is five times as fast
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.# -]*(?:/[A-Za-z0-9][A-Za-z0-9_.# -]*)*", re.ASCII)
_PLAIN_ID_LENGTH = 200


@dataclass(frozen=True)
class ManifestCheck:
    """What a manifest holds and what is wrong with it."""

    #: data rows, good and bad
    rows: int
    #: in the order of the file, the first max_problems of them
    problems: list[ManifestProblem]
    #: good rows per value of the `method` column; rows without one are not counted
    methods: Counter[str] = field(default_factory=Counter)
    #: problems that are not in the list
    more: int = 0


#: (row, page, problems); the page is None where there are problems, and for row 0, the header
CheckedRow = tuple[int, PageRef | None, Sequence[ManifestProblem]]


def check_manifest(
    url: str,
    *,
    known_methods: Iterable[str] | None = None,
    image_path_prefix: str | None = None,
    max_problems: int = 1000,
) -> ManifestCheck:
    """Return all problems of a manifest, without opening a single image.

    Args:
        url: path or URL of a CSV, TSV, JSONL or Parquet file, plain, gzip or zstd.
        known_methods: what the `method` column may say; None lets it say anything.
        image_path_prefix: URL or folder that relative sources start from.
        max_problems: how many problems to list; the others are counted in `more`.

    Raises:
        ManifestError: the file is not there or not of its format. Not retryable.
        UsageError: the URL or the prefix cannot be used. Not retryable.
        StorageError: the store fails. Retryable.
    """
    rows, more = 0, 0
    problems: list[ManifestProblem] = []
    methods: Counter[str] = Counter()
    for row, page, faults in check_rows(url, known_methods, image_path_prefix):
        rows = row
        room = max_problems - len(problems)
        problems.extend(faults[:room])
        more += len(faults[room:])
        if page is not None and page.method is not None:
            methods[page.method] += 1
    return ManifestCheck(rows, problems, methods, more)


def check_rows(
    url: str, known_methods: Iterable[str] | None, image_path_prefix: str | None
) -> Iterator[CheckedRow]:
    """Yield the header and every row, judged, in the order of the file.

    Where each row names its own columns (JSONL) there is no header, and what is wrong with the
    columns is said of the row. Memory grows by about 125 bytes a row, for the ids seen.
    """
    judge = _RowJudge(find_base(url, image_path_prefix))
    layout_of = lru_cache(maxsize=256)(partial(find_layout, parsers=cell_parsers(known_methods)))
    with open_table(url) as table:
        layout = layout_of(table.columns or ())
        if table.columns is not None:
            yield 0, None, _at_row(0, layout.problems)
        for row, item in enumerate(table.rows, 1):
            if isinstance(item, RowFault):
                yield row, None, [ManifestProblem(row, "", item.message)]
                continue
            columns, values = item
            if columns is not layout.columns:
                layout = layout_of(columns)
            page, problems = judge.read(row, layout, values)
            if table.columns is None and layout.problems:
                problems = {**dict(layout.problems), **problems}
            yield row, page, _at_row(row, problems.items()) if problems else ()


def describe_problem(problem: ManifestProblem) -> str:
    """Return a problem as one line."""
    place = f"row {problem.row}" if problem.row else "header"
    if problem.column:
        place += f", {problem.column}"
    return f"{place}: {problem.message}"


def _at_row(row: int, problems: Iterable[tuple[str, str]]) -> list[ManifestProblem]:
    return [ManifestProblem(row, column, message) for column, message in problems]


class _RowJudge:
    """Turns rows into pages, and remembers the ids it has met."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._seen = _SeenIds()

    def read(
        self, row: int, layout: Layout, values: Sequence[Any]
    ) -> tuple[PageRef | None, dict[str, str]]:
        """Return the page, or None and the problems: the first of each column."""
        problems: dict[str, str] = {}
        cells = _readable_cells(layout, values, problems)
        canonical_id = self._read_id(row, layout, cells, problems)
        source = self._read_source(layout, cells, problems)
        known: dict[str, Any] = {}
        for name, at, parse in layout.optional:
            if cells[at]:
                try:
                    known[name] = parse(cells[at])
                except ValueError as error:
                    problems.setdefault(layout.labels[at], str(error))
        if problems or canonical_id is None or source is None or layout.problems:
            return None, problems
        extra = {name: cells[at] for name, at in layout.extra if cells[at]}
        return PageRef(canonical_id=canonical_id, source=source, extra=extra, **known), problems

    def _read_id(
        self, row: int, layout: Layout, cells: Sequence[str], problems: dict[str, str]
    ) -> str | None:
        if layout.id_at is None:
            return None
        canonical_id = cells[layout.id_at]
        is_plain = (
            len(canonical_id) <= _PLAIN_ID_LENGTH
            and _PLAIN_ID.fullmatch(canonical_id)
            and f"{RESULT_SUFFIX}/" not in canonical_id
        )
        problem = None if is_plain else check_page_id(canonical_id)
        problem = problem or self._seen.find_clash(canonical_id, row)
        if problem is None:
            return canonical_id
        problems.setdefault(layout.labels[layout.id_at], problem)
        return None

    def _read_source(
        self, layout: Layout, cells: Sequence[str], problems: dict[str, str]
    ) -> str | None:
        if layout.source_at is None:
            return None
        text = cells[layout.source_at]
        if text and not text.isspace():
            source = resolve_source(text, self._base)
            problem = check_source(source)
            if problem is None:
                return source
        else:
            problem = "is empty"
        problems.setdefault(layout.labels[layout.source_at], problem)
        return None


def _readable_cells(
    layout: Layout, values: Sequence[Any], problems: dict[str, str]
) -> Sequence[str]:
    """Return the cells as text; those that cannot be read are empty, with their problem noted."""
    try:
        joined = "".join(values)
    except TypeError:
        values = _texts_of(layout, values, problems)
        joined = "".join(values)
    if not is_badly_encoded(joined):
        return values
    bad = {at for at, text in enumerate(values) if is_badly_encoded(text)}
    problems.update((layout.labels[at], "is not valid UTF-8") for at in sorted(bad))
    return ["" if at in bad else text for at, text in enumerate(values)]


def _texts_of(layout: Layout, values: Sequence[Any], problems: dict[str, str]) -> list[str]:
    riding = {at for _, at in layout.extra}
    texts = []
    for at, value in enumerate(values):
        is_nested = isinstance(value, (list, dict)) and at not in riding
        if is_nested and layout.labels[at]:
            problems[layout.labels[at]] = "is a list or an object; write text or a number"
        texts.append("" if is_nested else text_of(value))
    return texts


class _SeenIds:
    """The keys met so far, as 64-bit digests, and the row that each came first in.

    Two of a million keys share a digest by chance once in forty million manifests.
    """

    def __init__(self) -> None:
        #: digest of a key -> row, negative where the id was not in NFC itself
        self._rows: dict[bytes, int] = {}

    def find_clash(self, canonical_id: str, row: int) -> str | None:
        """Return how an id clashes with one of an earlier row, and remember it."""
        literal = canonical_id + RESULT_SUFFIX
        key = literal if canonical_id.isascii() else result_key(canonical_id)
        if key == literal:
            first = self._rows.setdefault(_digest(key), row)
            return None if first == row else _describe_clash(abs(first), is_same=first > 0)
        first = self._rows.setdefault(_digest(literal), row)
        if first != row:
            return _describe_clash(first, is_same=True)
        first = self._rows.setdefault(_digest(key), -row)
        return None if first == -row else _describe_clash(abs(first), is_same=False)


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=8).digest()


def _describe_clash(first: int, *, is_same: bool) -> str:
    if is_same:
        return f"is the same as in row {first}"
    return f"looks the same as in row {first} and would share its result (other Unicode form)"

"""Manifests: real files in every format, and every way in which one can be wrong."""

import csv
import gzip
import io
import itertools
import json
import pickle
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comic_ocr.errors import ManifestError, ManifestProblem, UsageError
from comic_ocr.manifest import check_manifest, read_manifest
from comic_ocr.manifest.check import _PLAIN_ID
from comic_ocr.page import PageRef, check_page_id
from comic_ocr.storage import open_store

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


@pytest.fixture
def problems_of(tmp_path: Path):
    def check(
        data: bytes | str, ending: str = ".csv", **options: Any
    ) -> list[tuple[int, str, str]]:
        path = tmp_path / f"pages{ending}"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        found = [tuple(problem) for problem in check_manifest(str(path), **options).problems]
        options.pop("max_problems", None)
        if found:
            with pytest.raises(ManifestError) as raised:
                list(read_manifest(str(path), **options))
            assert [tuple(p) for p in raised.value.problems] == found
        else:
            list(read_manifest(str(path), **options))
        return found

    return check


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_pages_plain_and_packed(tmp_path, ending, packing):
    path = tmp_path / f"pages{ending}{packing}"
    path.write_bytes(PACKERS[packing](WRITERS[ending](COLUMNS, ROWS)))
    assert list(read_manifest(str(path))) == PAGES
    assert check_manifest(str(path)).rows == 3


@pytest.mark.parametrize("ending", WRITERS)
def test_a_manifest_is_read_from_a_store(ending):
    open_store("memory://manifests").put(
        f"in/pages{ending}.gz", gzip.compress(WRITERS[ending](COLUMNS[:2], [["a", "p/a.jpg"]]))
    )
    pages = list(read_manifest(f"memory://manifests/in/pages{ending}.gz"))
    assert pages == [PageRef(canonical_id="a", source="memory://manifests/in/p/a.jpg")]


@pytest.mark.parametrize("ending", WRITERS)
def test_a_manifest_without_rows_has_no_pages_and_no_problems(problems_of, ending):
    assert problems_of(WRITERS[ending](COLUMNS, []), ending) == []


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
def test_an_empty_file_misses_its_columns(problems_of, ending):
    assert [(row, column) for row, column, _ in problems_of(b"", ending)] == [
        (0, "canonical_id"),
        (0, "absolute_image_path"),
    ]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path, ending):
    path = tmp_path / f"pages{ending}"
    path.write_bytes(b"\xef\xbb\xbf" + WRITERS[ending](COLUMNS, ROWS))
    assert list(read_manifest(str(path))) == PAGES


def test_a_byte_order_mark_before_a_quote_is_skipped(problems_of):
    assert problems_of(b'\xef\xbb\xbf"canonical_id","path"\r\n"a","/a.jpg"\r\n') == []


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.zst", ".csv"])
@pytest.mark.parametrize("pack", PACKERS.values())
def test_the_first_bytes_say_how_a_file_is_packed(problems_of, ending, pack):
    assert problems_of(pack(csv_bytes(COLUMNS, ROWS)), ending) == []


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstd_bytes)])
def test_parts_packed_one_by_one_are_read_to_the_end(tmp_path, ending, pack):
    path = tmp_path / f"pages.csv{ending}"
    path.write_bytes(pack(b"canonical_id,path\n") + pack(b"a,/a.jpg\n") + pack(b"b,/b.jpg\n"))
    assert [page.canonical_id for page in read_manifest(str(path))] == ["a", "b"]


@pytest.mark.parametrize("name", ["example.csv", "example.tsv", "example.jsonl"])
def test_the_examples_have_no_problems(name):
    check = check_manifest(str(EXAMPLES / name), known_methods=["tesseract", "paddleocr"])
    assert check.problems == []
    assert check.methods["paddleocr"] == 1
    first, *_, manga, annual = read_manifest(str(EXAMPLES / name))
    assert first.source == str(EXAMPLES / "pages/captain_01/p001.jpg")
    assert (manga.lang, manga.member, manga.direction) == ("en,ja", "p001.png", "rtl")
    assert (annual.page, annual.width, annual.extra) == (13, None, {"series": "Annual"})


@pytest.mark.parametrize("alias", ["absolute_image_path", "image_path", "uri", "path", " URI "])
def test_the_source_has_several_names(tmp_path, alias):
    (tmp_path / "pages.csv").write_text(f"Canonical_ID,{alias}\na,/a.jpg\n")
    assert [page.source for page in read_manifest(str(tmp_path / "pages.csv"))] == ["/a.jpg"]


@pytest.mark.parametrize(
    ("source", "prefix", "resolved"),
    [
        ("p/a.jpg", "s3://b/scans", "s3://b/scans/p/a.jpg"),
        ("p/a.jpg", "s3://b/scans/", "s3://b/scans/p/a.jpg"),
        ("p/a.jpg", "s3://b", "s3://b/p/a.jpg"),
        ("./p/../a.jpg", "s3://b", "s3://b/a.jpg"),
        ("../a.jpg", "s3://b/scans", "s3://b/a.jpg"),
        ("a.jpg", "/scans/", "/scans/a.jpg"),
        ("a.jpg", "/", "/a.jpg"),
        ("./a.jpg", "/", "/a.jpg"),
        ("./a b#.jpg", "/scans", "/scans/a b#.jpg"),
        ("a.jpg", "file:///my%20scans", "/my scans/a.jpg"),
        ("/x/a.jpg", "s3://b/scans", "/x/a.jpg"),
        ("gs://c/a.jpg", "/scans", "gs://c/a.jpg"),
    ],
)
def test_relative_sources_start_from_the_prefix(tmp_path, source, prefix, resolved):
    (tmp_path / "pages.csv").write_text(f"canonical_id,path\na,{source}\n")
    (page,) = read_manifest(str(tmp_path / "pages.csv"), image_path_prefix=prefix)
    assert page.source == resolved


def test_relative_sources_start_from_the_manifest_without_a_prefix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/pages.csv").write_text("canonical_id,path\na,p/a.jpg\nb,../b.jpg\n")
    expected = [str(tmp_path / "in/p/a.jpg"), str(tmp_path / "b.jpg")]
    assert [page.source for page in read_manifest("in/pages.csv")] == expected
    assert [page.source for page in read_manifest(f"file://{tmp_path}/in/pages.csv")] == expected


def test_a_column_without_a_name_is_left_out(tmp_path):
    (tmp_path / "pages.csv").write_text(",canonical_id,path,\n0,a,/a.jpg,x\n")
    assert [page.extra for page in read_manifest(str(tmp_path / "pages.csv"))] == [{}]


def test_values_of_json_and_parquet_become_text(tmp_path):
    columns = ["canonical_id", "path", "page", "width", "score", "tags", "flag"]
    row = [7, "/a.jpg", 2.0, 1654, 0.5, ["x", "ü"], True]
    for ending in (".jsonl", ".parquet"):
        path = tmp_path / f"pages{ending}"
        path.write_bytes(WRITERS[ending](columns, [row]))
        (page,) = read_manifest(str(path))
        assert (page.canonical_id, page.page, page.width) == ("7", 2, 1654)
        assert page.extra == {"score": "0.5", "tags": '["x", "ü"]', "flag": "true"}


def test_parquet_times_and_dictionaries_become_text(tmp_path):
    table = pa.table(
        {
            "canonical_id": pa.array(["a"]).dictionary_encode(),
            "path": pa.array([b"/a.jpg"]),
            "at": pa.array([1], pa.timestamp("ns")),
        }
    )
    pq.write_table(table, tmp_path / "pages.parquet")
    (page,) = read_manifest(str(tmp_path / "pages.parquet"))
    assert (page.canonical_id, page.source) == ("a", "/a.jpg")
    assert page.extra == {"at": "1970-01-01 00:00:00.000000001"}


def test_rows_of_jsonl_may_name_different_columns(tmp_path):
    lines = ['{"canonical_id": "a", "path": "/a"}', "", '{"uri": "/b", "canonical_id": "b"}', " "]
    (tmp_path / "pages.jsonl").write_text("\n".join(lines))
    pages = list(read_manifest(str(tmp_path / "pages.jsonl")))
    assert [(page.canonical_id, page.source) for page in pages] == [("a", "/a"), ("b", "/b")]


def test_a_missing_manifest_is_a_usage_error_that_names_it(tmp_path):
    for url in (str(tmp_path / "none.csv"), "memory://manifests/none.parquet"):
        for read in (check_manifest, lambda url: list(read_manifest(url))):
            with pytest.raises(ManifestError, match=url) as raised:
                read(url)
            assert raised.value.exit_code == 2


def test_a_folder_is_not_a_manifest(tmp_path):
    (tmp_path / "pages.csv").mkdir()
    with pytest.raises(ManifestError, match=r"pages\.csv"):
        check_manifest(str(tmp_path / "pages.csv"))


@pytest.mark.parametrize("name", ["pages.txt", "pages", "pages.gz", "csv", "pages.csv.bz2"])
def test_an_unknown_ending_names_the_known_ones(tmp_path, name):
    with pytest.raises(ManifestError) as raised:
        check_manifest(str(tmp_path / name))
    assert ".parquet" in (raised.value.hint or "")


def test_an_unknown_scheme_is_a_usage_error():
    with pytest.raises(UsageError):
        check_manifest("ftp://host/pages.csv")
    with pytest.raises(UsageError):
        check_manifest(str(EXAMPLES / "example.csv"), image_path_prefix="ftp://host/scans")


@pytest.mark.parametrize("data", [b"", b"canonical_id,path\na,/a\n", gzip.compress(b"x")])
def test_a_parquet_that_is_none_is_an_error(tmp_path, data):
    (tmp_path / "pages.parquet").write_bytes(data)
    with pytest.raises(ManifestError, match=r"pages\.parquet"):
        check_manifest(str(tmp_path / "pages.parquet"))


def test_utf_16_is_named(tmp_path):
    (tmp_path / "pages.csv").write_text("canonical_id,path\na,/a\n", encoding="utf-16")
    with pytest.raises(ManifestError, match="UTF-16"):
        check_manifest(str(tmp_path / "pages.csv"))


@pytest.mark.parametrize("pack", [gzip.compress, zstd_bytes])
def test_a_file_cut_off_reports_its_first_rows_and_the_damage(tmp_path, pack):
    rows = ((f"id{i * 7919 % 100003}", f"/{i * 104729 % 1000003}.jpg") for i in range(50_000))
    data = pack(csv_bytes(["canonical_id", "path"], rows))
    (tmp_path / "pages.csv").write_bytes(data[: len(data) // 2])
    check = check_manifest(str(tmp_path / "pages.csv"))
    assert check.rows > 1000
    assert "cannot be read" in check.problems[-1].message


def test_missing_columns_are_reported_with_those_that_there_are(problems_of):
    problem, *_ = problems_of("uri,path,x\n/a,/b,c\n")
    assert problem[:2] == (0, "canonical_id")
    assert "uri, path, x" in problem[2]


def test_a_missing_column_of_a_jsonl_row_is_reported_at_the_row(problems_of):
    found = problems_of('{"canonical_id": "a", "path": "/a"}\n{"canonical_id": "b"}\n', ".jsonl")
    assert [p[:2] for p in found] == [(2, "absolute_image_path")]


def test_rows_are_checked_although_a_column_is_missing(problems_of):
    found = problems_of("canonical_id,x\na,1\na,2\n")
    assert [p[:2] for p in found] == [(0, "absolute_image_path"), (2, "canonical_id")]


@pytest.mark.parametrize("header", ["canonical_id,uri,path", "canonical_id,path,PATH"])
def test_two_columns_that_mean_the_same_are_reported(problems_of, header):
    ((row, column, message),) = problems_of(f"{header}\na,/a,/b\n")
    assert (row, column) == (0, header.split(",")[2])
    assert header.split(",")[1] in message


def test_two_other_columns_of_one_name_are_reported(problems_of):
    ((row, column, _),) = problems_of("canonical_id,path,x,x\na,/a,1,2\n")
    assert (row, column) == (0, "x")


@pytest.mark.parametrize(
    "bad", ["", " ", "../a", "a/../../b", "/a", "a//b", "_comic_ocr/a", "a\x01"]
)
def test_an_id_that_cannot_be_a_key_is_reported(problems_of, bad):
    ((row, column, message),) = problems_of(f"canonical_id,path\nok,/a\n{bad},/b\n")
    assert (row, column) == (2, "canonical_id")
    assert message == check_page_id(bad)


def test_a_duplicate_names_the_first_row(problems_of):
    found = problems_of("canonical_id,path\na,/a\nb,/b\na,/c\nb,/d\na,/e\n")
    assert found == [
        (3, "canonical_id", "is the same as in row 1"),
        (4, "canonical_id", "is the same as in row 2"),
        (5, "canonical_id", "is the same as in row 1"),
    ]


NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (NFC, NFD, "Unicode form"),
        (NFD, NFC, "Unicode form"),
        (NFD, NFD, "is the same"),
        (NFC, NFC, "is the same"),
    ],
)
def test_two_ids_that_share_a_key_are_reported(problems_of, first, second, words):
    ((row, column, message),) = problems_of(f"canonical_id,path\n{first},/a\n{second},/b\n")
    assert (row, column) == (2, "canonical_id")
    assert words in message
    assert "row 1" in message


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_bad_encoding_names_its_cell_and_the_rest_is_checked(problems_of, ending):
    latin = {
        ".csv": b"canonical_id,path,x\na,/a,ok\nb,/b,\xe9t\xe9\nc\xe9,/c,ok\na,/d,ok\n",
        ".jsonl": b"".join(
            b'{"canonical_id": "%s", "path": "/%s", "x": "%s"}\n' % row
            for row in [
                (b"a", b"a", b"k"),
                (b"b", b"b", b"\xe9"),
                (b"c\xe9", b"c", b"k"),
                (b"a", b"d", b"k"),
            ]
        ),
        ".parquet": parquet_of_bytes(
            canonical_id=[b"a", b"b", b"c\xe9", b"a"],
            path=[b"/a", b"/b", b"/c", b"/d"],
            x=[b"ok", b"\xe9", b"ok", b"ok"],
        ),
    }[ending]
    assert problems_of(latin, ending) == [
        (2, "x", "is not valid UTF-8"),
        (3, "canonical_id", "is not valid UTF-8"),
        (4, "canonical_id", "is the same as in row 1"),
    ]


def parquet_of_bytes(**columns: list[bytes]) -> bytes:
    """Text columns whose bytes nobody has validated."""
    arrays = {
        name: pa.Array.from_buffers(
            pa.string(), len(values), pa.array(values, pa.binary()).buffers()
        )
        for name, values in columns.items()
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays), sink)
    return sink.getvalue()


def test_bad_encoding_of_a_column_name_is_reported(problems_of):
    ((row, column, _),) = problems_of(b"canonical_id,path,\xe9\na,/a,x\n")
    assert (row, column) == (0, "\\udce9")


def test_an_unknown_method_is_reported_with_the_known(problems_of):
    data = "canonical_id,path,method\na,/a,tesseract\nb,/b,magic\nc,/c,\n"
    assert problems_of(data) == []
    ((row, column, message),) = problems_of(data, known_methods=["tesseract", "null"])
    assert (row, column) == (2, "method")
    assert '"magic"' in message
    assert "null, tesseract" in message


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        ("direction", ["ltr", "rtl", "RTL", ""], ["up", "left-to-right"]),
        ("page", ["0", "7", " 7 ", "7.0", ""], ["-1", "1.5", "x", "1_0", "١", "9" * 5000]),
        ("width", ["1654", ""], ["-1", "1e3", "NaN"]),
        ("height", ["2339", ""], ["A4"]),
    ],
)
def test_a_bad_value_is_reported(problems_of, column, good, bad):
    rows = [f"id{i},/x,{value}\n" for i, value in enumerate(good + bad)]
    found = problems_of(f"canonical_id,path,{column}\n{''.join(rows)}")
    assert [p[:2] for p in found] == [(len(good) + i + 1, column) for i in range(len(bad))]
    assert all(len(message) < 200 for _, _, message in found)


def test_a_wrong_value_of_json_is_reported(problems_of):
    rows = [
        {"canonical_id": ["a"], "path": "/a"},
        {"canonical_id": "b", "path": {"x": 1}},
        {"canonical_id": "c", "path": "/c", "page": True},
        {"canonical_id": None, "path": "/d"},
    ]
    found = problems_of("".join(json.dumps(row) + "\n" for row in rows), ".jsonl")
    assert [p[:2] for p in found] == [
        (1, "canonical_id"),
        (2, "path"),
        (3, "page"),
        (4, "canonical_id"),
    ]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("ftp://host/a.jpg", "s3://"),
        ("s3:///a.jpg", "bucket is missing"),
        ("s3://bucket", "no object"),
        ("s3://bucket/", "no object"),
        ("a\0.jpg", "NUL"),
    ],
)
def test_a_source_that_cannot_be_opened_is_reported(problems_of, source, words):
    ((row, column, message),) = problems_of(f"canonical_id,uri\na,{source}\n")
    assert (row, column) == (1, "uri")
    assert words in message


def test_a_wrong_number_of_fields_is_reported(problems_of):
    found = problems_of("canonical_id,path\na,/a\nb\nc,/c,x\n\nd,/d\n")
    assert found == [
        (2, "", "has 1 fields where the header has 2"),
        (3, "", "has 3 fields where the header has 2"),
    ]


def test_an_open_quote_is_reported(problems_of):
    ((row, _, message),) = problems_of('canonical_id,path\na,/a\nb,"/b\nc,/c\n')
    assert row == 2
    assert "quote" in message


def test_rows_after_a_broken_one_are_checked(problems_of):
    found = problems_of('canonical_id,path\n"a"x,/a\nb,/b\nb,/c\n')
    assert [p[:2] for p in found] == [(1, ""), (3, "canonical_id")]


def test_a_field_with_newlines_is_one_row(problems_of):
    found = problems_of('canonical_id,path,note\na,/a,"1\n2\r\n3"\na,/b,\n')
    assert found == [(2, "canonical_id", "is the same as in row 1")]


def test_broken_json_is_reported(problems_of):
    good = '{"canonical_id": "%s", "path": "/a"}\n'
    deep = "[" * 100_000 + "\n"
    found = problems_of(good % "a" + "{oops\n" + "[1]\n" + deep + good % "a", ".jsonl")
    assert [p[:2] for p in found] == [(2, ""), (3, ""), (4, ""), (5, "canonical_id")]


def test_all_problems_of_a_row_are_reported(problems_of):
    found = problems_of("canonical_id,path,page,direction\n../a,,x,up\n")
    assert {column for _, column, _ in found} == {"canonical_id", "path", "page", "direction"}


def test_check_lists_so_many_problems_and_counts_the_rest(tmp_path):
    (tmp_path / "pages.csv").write_text("canonical_id,path\n" + ",\n" * 20)
    check = check_manifest(str(tmp_path / "pages.csv"), max_problems=15)
    assert (check.rows, len(check.problems), check.more) == (20, 15, 25)


def test_check_counts_the_methods(tmp_path):
    (tmp_path / "pages.csv").write_text("canonical_id,path,method\na,/,x\nb,/,x\nc,/,y\nd,/,\n")
    assert check_manifest(str(tmp_path / "pages.csv")).methods == {"x": 2, "y": 1}


def test_good_rows_come_before_the_error(tmp_path):
    (tmp_path / "pages.csv").write_text("canonical_id,path\na,/a\na,/b\nc,/c\n")
    pages = read_manifest(str(tmp_path / "pages.csv"))
    assert [page.canonical_id for page in itertools.islice(pages, 2)] == ["a", "c"]
    with pytest.raises(ManifestError):
        next(pages)


def test_the_error_shows_ten_problems_and_counts_the_rest(tmp_path):
    (tmp_path / "pages.csv").write_text("canonical_id,path\n" + ",/a\n" * 12)
    with pytest.raises(ManifestError) as raised:
        list(read_manifest(str(tmp_path / "pages.csv")))
    error = raised.value
    assert "has 12 problems" in error.message
    assert "row 10, canonical_id: is empty" in error.message
    assert error.message.endswith("and 2 more")
    assert error.problems[11] == ManifestProblem(12, "canonical_id", "is empty")
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_ids_that_are_passed_quickly_are_good():
    pieces = ["a", "_", ".", "..", "/", " ", "#", "_comic_ocr", "é", "\n", "-"]
    for parts in itertools.product(pieces, repeat=4):
        candidate = "".join(parts)
        assert not _PLAIN_ID.fullmatch(candidate) or check_page_id(candidate) is None


def test_memory_stays_small_for_many_rows(tmp_path):
    rows = ([f"s{i % 7}/page {i}", f"pages/{i}.jpg", "note " * 20] for i in range(40_000))
    path = tmp_path / "pages.csv.gz"
    path.write_bytes(gzip.compress(csv_bytes(["canonical_id", "path", "note"], rows), 1))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_manifest(str(path)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 40_000
    assert peak < 12e6  # the ids seen; the pages themselves would take 29e6


def test_an_id_under_another_pages_result_is_a_problem(tmp_path):
    (tmp_path / "pages.csv").write_text("canonical_id,path\na,1.png\na_ocr.json/b,2.png\n")
    (problem,) = check_manifest(str(tmp_path / "pages.csv")).problems
    assert (problem.row, problem.column) == (2, "canonical_id")

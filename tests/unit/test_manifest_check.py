"""Every fault of a manifest is reported, with its row and column."""

import gzip
import io
import itertools
import json
import pickle
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comic_ocr.errors import ManifestError, ManifestProblem
from comic_ocr.manifest import check_manifest, read_manifest
from comic_ocr.manifest.check import _PLAIN_ID
from comic_ocr.page import check_page_id
from tests.unit.manifest_files import (
    csv_bytes,
)


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

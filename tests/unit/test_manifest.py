"""Manifests: real files in every format, and every way in which one can be wrong."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comic_ocr.errors import ManifestError, UsageError
from comic_ocr.manifest import check_manifest, read_manifest
from comic_ocr.page import PageRef
from comic_ocr.storage import open_store
from tests.unit.manifest_files import (
    COLUMNS,
    EXAMPLES,
    PACKERS,
    PAGES,
    ROWS,
    WRITERS,
    csv_bytes,
    zstd_bytes,
)


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

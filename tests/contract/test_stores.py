"""Every kind of store that can run here against the contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from comic_ocr.errors import SourceDeniedError, SourceNotFoundError, StorageError
from comic_ocr.storage import Store, open_source, open_store, read_source
from comic_ocr.testing.contracts import StoreContract


class TestFiles(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(str(tmp_path / "out put #1"))


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self, memory_url: str) -> Store:
        return open_store(memory_url)


class TestS3(StoreContract):
    @pytest.fixture
    def store(self, s3_bucket: str) -> Store:
        return open_store(f"s3://{s3_bucket}/some prefix/#1")


class TestS3WithoutPrefix(StoreContract):
    @pytest.fixture
    def store(self, s3_bucket: str) -> Store:
        return open_store(f"s3://{s3_bucket}")


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Tests stay silent."""

    def do_GET(self) -> None:
        if self.path.startswith("/secret"):
            self.send_error(403)
        else:
            super().do_GET()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_is_read_over_http_with_its_name_escaped(site: str, tmp_path: Path) -> None:
    (tmp_path / "vol 1").mkdir()
    (tmp_path / "vol 1" / "ü#1.jpg").write_bytes(b"image")
    assert read_source(f"{site}/vol%201/%C3%BC%231.jpg") == b"image"


def test_a_signed_url_keeps_its_query(site: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"image")
    assert read_source(f"{site}/a.jpg?signature=a%2Fb&expires=1") == b"image"


def test_http_says_what_is_not_there_and_what_is_not_allowed(site: str) -> None:
    with pytest.raises(SourceNotFoundError, match="nothing"):
        read_source(f"{site}/nothing.jpg")
    with pytest.raises(SourceDeniedError, match="secret"):
        read_source(f"{site}/secret.jpg")


def test_a_bucket_that_is_not_there_is_not_found(s3_bucket: str) -> None:
    with pytest.raises(SourceNotFoundError):
        read_source(f"s3://no-{s3_bucket}/a.jpg")


def test_a_file_url_is_unescaped_and_a_path_is_not(tmp_path: Path) -> None:
    (tmp_path / "a b.jpg").write_bytes(b"blank")
    (tmp_path / "a%20b.jpg").write_bytes(b"percent")
    assert read_source(f"file://{tmp_path}/a%20b.jpg") == b"blank"
    assert read_source(f"{tmp_path}/a%20b.jpg") == b"percent"


def test_a_folder_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="folder"):
        read_source(str(tmp_path))


def test_a_relative_path_is_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("out").put("a", b"1")
    assert (tmp_path / "out" / "a").read_bytes() == b"1"
    store, key = open_source("out/a")
    assert store.get(key) == b"1"


def test_a_store_that_does_not_answer_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((StorageError, SourceNotFoundError)):
        open_store(str(tmp_path / "file")).put("under/a/file", b"")

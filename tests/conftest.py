"""Servers, isolation and the plugin that fails on order. Servers stop with the tests."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from comic_ocr.testing.api_server import ApiServer, read_truths
from comic_ocr.testing.comic import draw_comic

PLUGINS = Path(__file__).parent / "plugins"
#: real pages with truth, where the machine has them; never part of the repository
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# Offers method `faulty` by entry point, here and in the processes that tests start.
sys.path.insert(0, str(PLUGINS))
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH", "")])
)


@pytest.fixture
def memory_url() -> str:
    """Return the URL of a memory store of this test's own."""
    return f"memory://{uuid.uuid4().hex}/out"


@pytest.fixture(scope="session")
def drawn_comic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pages of a drawn comic, their truth and a manifest, pages.csv."""
    folder = tmp_path_factory.mktemp("comic")
    pages = draw_comic(folder)
    rows = [f"{page.image.stem},{page.image}" for page in pages]
    (folder / "pages.csv").write_text("\n".join(["canonical_id,path", *rows]) + "\n")
    return folder


@pytest.fixture(scope="session")
def running_api(drawn_comic: Path) -> Iterator[ApiServer]:
    with ApiServer(read_truths(drawn_comic)) as server:
        yield server


@pytest.fixture
def api(running_api: ApiServer, drawn_comic: Path) -> ApiServer:
    """Return a server that reads the drawn comic, speaks the APIs' formats and has no faults."""
    running_api.know(read_truths(drawn_comic))
    running_api.order([])
    running_api.reset()
    return running_api


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """Return the address of moto's server, on a free port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an empty bucket; the environment leads to moto's server."""
    import boto3

    from comic_ocr import storage

    for name, value in {
        "AWS_ENDPOINT_URL": moto_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    storage._open_bucket.cache_clear()
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give Lithops a temporary folder and a home of this test's own."""
    home = tmp_path / "machine"
    for name in ("tmp", "home"):
        (home / name).mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    monkeypatch.setenv("HOME", str(home / "home"))
    monkeypatch.setenv("USER", "tester")
    return home

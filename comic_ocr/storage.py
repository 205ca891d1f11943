"""One way to read and write objects: local files, S3, Google Cloud Storage, Azure, HTTP, memory.

    store = open_store("s3://bucket/results")
    store.put("a_ocr.json", data)        # create-only: False when the object is already there
    store.get("a_ocr.json")

Keys are relative to the store's URL and are taken literally: blanks, `#`, `%` and non-ASCII
letters need no escaping on any store. Puts are atomic, whole objects. Credentials, regions and
endpoints come from the environment, as each cloud's own tools take them.

Raises everywhere: SourceNotFoundError, SourceDeniedError, and StorageError (retryable) for the
rest. obstore retries connection errors and 5xx by itself before one of these is raised.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import (
    AzureStore,
    GCSStore,
    HTTPStore,
    LocalStore,
    MemoryStore,
    S3Store,
)

from comic_ocr.errors import (
    SourceDeniedError,
    SourceNotFoundError,
    StorageError,
    UsageError,
)

SCHEMES = ("file", "s3", "gs", "az", "http", "https", "memory")
_REQUEST_TIMEOUT = timedelta(seconds=120)
_LIST_BATCH = 1000
#: Connection errors and 5xx. A pause is a random part of `base` times the one before, so the sum
#: varies much: 40 s in the median, 10 s or more for 99 of 100 requests, about 60 s at most.
_RETRIES: Any = {
    "max_retries": 10,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(seconds=0.5),
        "max_backoff": timedelta(seconds=10),
        "base": 3,
    },
}

_ObjectStore = S3Store | GCSStore | AzureStore | HTTPStore | LocalStore | MemoryStore


class Entry(NamedTuple):
    """An object in a listing; `key` is relative to the store that listed it."""

    key: str
    size: int
    modified_at: datetime


class Store:
    """Objects under one URL. Safe to use from several threads."""

    def __init__(self, url: str, backing: _ObjectStore, prefix: str) -> None:
        self.url = url
        self._backing = backing
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def locate(self, key: str) -> str:
        """Return the URL of a key, for messages."""
        return f"{self.url}/{key}"

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        with _translated(self.locate(key)):
            return obstore.get(self._backing, self._path(key)).bytes().to_bytes()

    def get_slices(self, key: str, slices: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return byte ranges of an object, each (first byte, byte after the last), in order."""
        starts, ends = zip(*slices, strict=True)
        with _translated(self.locate(key)):
            parts = obstore.get_ranges(self._backing, self._path(key), starts=starts, ends=ends)
            return [part.to_bytes() for part in parts]

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> bool:
        """Write an object whole; return False, and change nothing, when it exists already.

        Args:
            key: where, relative to this store.
            data: the whole object.
            overwrite: replace an existing object instead, and return True.
        """
        mode: Literal["overwrite", "create"] = "overwrite" if overwrite else "create"
        with _translated(self.locate(key)):
            try:
                obstore.put(self._backing, self._path(key), data, mode=mode)
            except AlreadyExistsError:
                return False
        return True

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with suppress(SourceNotFoundError), _translated(self.locate(key)):
            obstore.delete(self._backing, self._path(key))

    def exists(self, key: str) -> bool:
        """Return whether an object is there."""
        try:
            self.head(key)
        except SourceNotFoundError:
            return False
        return True

    def head(self, key: str) -> Entry:
        """Return an object's size and time of writing."""
        with _translated(self.locate(key)):
            meta = obstore.head(self._backing, self._path(key))
        return Entry(key, meta["size"], meta["last_modified"])

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the objects under a prefix of whole path steps, as they arrive, in no order."""
        start = self._path(prefix) if prefix else self._prefix
        skip = len(self._prefix) + 1 if self._prefix else 0
        with _translated(self.locate(prefix)):
            for batch in obstore.list(self._backing, prefix=start or None, chunk_size=_LIST_BATCH):
                for meta in batch:
                    yield Entry(meta["path"][skip:], meta["size"], meta["last_modified"])

    def open_reader(self, key: str) -> io.BufferedReader:
        """Return a seekable binary file that reads the object in pieces."""
        with _translated(self.locate(key)):
            raw = _ObjectFile(obstore.open_reader(self._backing, self._path(key)), self.locate(key))
        return io.BufferedReader(raw, buffer_size=1 << 20)


class _ObjectFile(io.RawIOBase):
    """obstore's reader with the interface, and the errors, that file users expect."""

    def __init__(self, reader: Any, url: str) -> None:
        self._reader = reader
        self._url = url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _translated(self._url):
            return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def readinto(self, buffer: Any) -> int:
        with _translated(self._url):
            data = self._reader.read(len(buffer)).to_bytes()
        buffer[: len(data)] = data
        return len(data)


def open_store(url: str) -> Store:
    """Return the store at a URL or local folder. Nothing is created or contacted yet.

    Raises:
        UsageError: the scheme is not one of SCHEMES, or the bucket is missing. Not retryable.
    """
    scheme, bucket, path = split_url(url)
    if scheme == "file":
        folder = os.path.abspath(path)
        return Store(folder, LocalStore(), folder.strip("/"))
    clean = path.strip("/")
    root = f"{scheme}://{bucket}"
    return Store(f"{root}/{clean}" if clean else root, _open_bucket(scheme, bucket), clean)


def open_source(url: str) -> tuple[Store, str]:
    """Return the store and key of one object's URL, for reading."""
    scheme, bucket, path = split_url(url)
    if scheme in ("http", "https"):
        parts = urlsplit(url)
        if parts.query:
            return Store(url, _open_http(url), ""), ""
        return Store(f"{scheme}://{bucket}", _open_bucket(scheme, bucket), ""), unquote(
            parts.path.lstrip("/")
        )
    if scheme == "file":
        folder, name = os.path.split(os.path.abspath(path))
        return open_store(folder), name
    return open_store(f"{scheme}://{bucket}"), path


def read_source(url: str) -> bytes:
    """Return the bytes of one object by its URL or local path."""
    scheme, _, path = split_url(url)
    if scheme == "file":
        with _translated(path):
            return Path(path).read_bytes()
    store, key = open_source(url)
    return store.get(key)


def split_url(url: str) -> tuple[str, str, str]:
    """Return (scheme, bucket or host, path) of a URL or a local path.

    Paths of s3, gs and az are literal keys. A file:// URL is percent-encoded, a plain path is not.

    Raises:
        UsageError: the scheme is not one of SCHEMES, or the bucket is missing. Not retryable.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "file", "", url
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise UsageError(
            f'cannot open "{url}": "{scheme}://" is not a known kind of storage.',
            hint="use a local path or " + ", ".join(f"{s}://" for s in SCHEMES),
        )
    if scheme == "file":
        return "file", "", unquote(urlsplit(url).path)
    bucket, _, path = rest.partition("/")
    if not bucket:
        raise UsageError(
            f'cannot open "{url}": the bucket is missing.',
            hint=f"write {scheme}://BUCKET/PATH",
        )
    return scheme, bucket, path


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Turn errors of obstore and the file system into this project's, saying where."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"nothing at {where}") from error
    except IsADirectoryError as error:
        raise SourceNotFoundError(f"{where} is a folder, not a file") from error
    except NotADirectoryError as error:
        raise SourceNotFoundError(f"nothing at {where}") from error
    except (PermissionError, PermissionDeniedError, UnauthenticatedError) as error:
        raise SourceDeniedError(f"not allowed to use {where}: {_first_line(error)}") from error
    except (BaseError, OSError, ValueError) as error:
        raise StorageError(f"{where}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@lru_cache(maxsize=256)
def _open_bucket(scheme: str, bucket: str) -> _ObjectStore:
    options: Any = {"timeout": _REQUEST_TIMEOUT}
    if scheme == "s3":
        return _open_s3(bucket, options)
    if scheme == "gs":
        return GCSStore(bucket, client_options=options, retry_config=_RETRIES)
    if scheme == "az":
        return AzureStore(bucket, client_options=options, retry_config=_RETRIES)
    if scheme == "memory":
        return MemoryStore()
    return _open_http(f"{scheme}://{bucket}")


@lru_cache(maxsize=64)
def _open_http(url: str) -> HTTPStore:
    options: Any = {"timeout": _REQUEST_TIMEOUT, "allow_http": True}
    return HTTPStore.from_url(url, client_options=options, retry_config=_RETRIES)


def _open_s3(bucket: str, options: Any) -> S3Store:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config: Any = {}
    if endpoint:
        config["endpoint"] = endpoint
        options["allow_http"] = endpoint.startswith("http://")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if "AWS_ACCESS_KEY_ID" in os.environ or not _has_aws_profile():
        config["region"] = region or "us-east-1"
        return S3Store(bucket, config=config, client_options=options, retry_config=_RETRIES)
    return _open_s3_by_profile(bucket, config, options, region)


def _has_aws_profile() -> bool:
    files = (
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"),
    )
    return any(Path(name).expanduser().exists() for name in files)


def _open_s3_by_profile(bucket: str, config: Any, options: Any, region: str | None) -> S3Store:
    """Profiles, SSO and assumed roles are boto3's business (extra `aws`)."""
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise UsageError(
            f"s3://{bucket} needs the AWS profile of this machine, which boto3 reads.",
            hint='pip install "comic-ocr[aws]", or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
        ) from error
    session = boto3.Session()
    config["region"] = region or session.region_name or "us-east-1"
    return S3Store(
        bucket,
        config=config,
        client_options=options,
        retry_config=_RETRIES,
        credential_provider=Boto3CredentialProvider(session),
    )

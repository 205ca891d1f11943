"""A server on loopback as a process of its own, for tests and benchmarks."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

_TIMEOUT_S = 30.0


class ServerProcess:
    """A running server; use it as a context manager, or call `stop`.

    It ends with the process that started it, however that ends.

    Args:
        module: run with `--parent PID` and the arguments; prints `listening on URL` once it does.
        arguments: of its command line.

    Raises:
        RuntimeError: it did not start.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", module, "--parent", str(os.getpid()), *arguments]
        # A session of its own, so that an interrupt meant for the client does not end it.
        self._process = subprocess.Popen(  # noqa: S603 (a fixed command line)
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        line = self._process.stdout.readline().decode() if self._process.stdout else ""
        if not line.startswith("listening on "):
            self.stop()
            raise RuntimeError(f"{module} did not start; exit code {self._process.returncode}")
        self.url = line.removeprefix("listening on ").strip()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def stop(self) -> None:
        """End it; once is enough."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _control(self, method: str, path: str, value: Any = None) -> dict[str, Any]:
        """Return the server's answer to a request about itself.

        Raises:
            ValueError: it refuses the value.
        """
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_TIMEOUT_S
        )
        with closing(connection):
            connection.request(method, path, msgspec.json.encode(value))
            response = connection.getresponse()
            found = msgspec.json.decode(response.read(), type=dict[str, Any])
        if response.status != 200:
            raise ValueError(f"{method} {path}: {found['error']}")
        return found

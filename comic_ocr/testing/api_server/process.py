"""The server as a process that a test or benchmark starts, asks and stops."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from comic_ocr.testing.api_server.truth import Truths

_TIMEOUT_S = 30.0


class ApiServer:
    """A running server; use it as a context manager, or call `stop`.

    It ends with the process that started it, however that ends.

    Args:
        truth: pages by the sha256 of their image files, see `read_truths`.
        faults: rules, see `faults.Rule`: `[{"first": 2, "do": "503"}]`.
        delay_s: how long each page takes.
        cost_usd: what `usage.cost` says of a chat answer.
        dialect: `openrouter` or `vllm`.
        logprobs: False to refuse requests that want them.
        schema: False to refuse requests with a `response_format`.
    """

    def __init__(
        self,
        truth: Truths | None = None,
        *,
        faults: Sequence[Mapping[str, Any]] = (),
        delay_s: float = 0.0,
        cost_usd: float = 0.001,
        dialect: str = "openrouter",
        logprobs: bool = True,
        schema: bool = True,
    ) -> None:
        command = [sys.executable, "-m", "comic_ocr.testing.api_server", "--port", "0"]
        command += ["--parent", str(os.getpid()), "--dialect", dialect]
        command += ["--delay-s", str(delay_s), "--cost-usd", str(cost_usd)]
        command += [] if logprobs else ["--no-logprobs"]
        command += [] if schema else ["--no-schema"]
        # A session of its own, so that an interrupt meant for the client does not end it.
        self._process = subprocess.Popen(  # noqa: S603 (a fixed command line)
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            self.url = self._read_url()
            self.know(truth or {})
            self.order(faults)
        except BaseException:
            self.stop()
            raise

    def _read_url(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the server has no output to read its address from")
        line = self._process.stdout.readline().decode()
        if not line.startswith("listening on "):
            raise RuntimeError(f"the server did not start; exit code {self._process.wait()}")
        return line.removeprefix("listening on ").strip()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def account(self) -> dict[str, Any]:
        """Return what was asked and answered since the start or the last `reset`."""
        return self._control("GET", "/_account")

    def reset(self) -> None:
        """Start the account and the count of the fault plan again."""
        self._control("POST", "/_reset")

    def know(self, truth: Truths) -> None:
        """Replace the pages that it knows."""
        self._control("PUT", "/_truth", truth)

    def order(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Replace the plan of faults; requests count from 1 again.

        Raises:
            ValueError: a rule is not one.
        """
        self._control("PUT", "/_faults", faults)

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
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_TIMEOUT_S
        )
        try:
            connection.request(method, path, msgspec.json.encode(value))
            response = connection.getresponse()
            found = msgspec.json.decode(response.read(), type=dict[str, Any])
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"{method} {path}: {found['error']}")
        return found

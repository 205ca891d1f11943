"""The server as a process that a test or benchmark starts, asks and stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comic_ocr.testing.api_server.truth import Truths
from comic_ocr.testing.loopback import ServerProcess


class ApiServer(ServerProcess):
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
        arguments = ["--port", "0", "--dialect", dialect]
        arguments += ["--delay-s", str(delay_s), "--cost-usd", str(cost_usd)]
        arguments += [] if logprobs else ["--no-logprobs"]
        arguments += [] if schema else ["--no-schema"]
        super().__init__("comic_ocr.testing.api_server", arguments)
        try:
            self.know(truth or {})
            self.order(faults)
        except BaseException:
            self.stop()
            raise

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

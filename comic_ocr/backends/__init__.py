"""Where calls run. Lithops is imported only once a backend of its own is opened."""

from __future__ import annotations

from typing import Any

from comic_ocr.backends.base import (
    Backend,
    CallLoss,
    CallResult,
    Clock,
    RealClock,
    WorkerLimits,
)
from comic_ocr.backends.config import CallSettings, load_config
from comic_ocr.backends.inline import InlineBackend
from comic_ocr.errors import UsageError

#: Lithops' names of what suits OCR, and `inline` for this process.
BACKENDS = (
    "localhost",
    "inline",
    "aws_lambda",
    "aws_batch",
    "azure_containers",
    "azure_functions",
    "gcp_cloudrun",
    "gcp_functions",
    "k8s",
    "code_engine",
)
LOCAL_BACKENDS = ("localhost", "inline")
#: Those that hand variables to workers without writing them anywhere: by inheritance, or in a
#: call's request alone. Batch jobs, queues and cluster objects are stored and can be read.
CARRYING_BACKENDS = ("localhost", "inline", "aws_lambda", "gcp_cloudrun")

__all__ = [
    "BACKENDS",
    "CARRYING_BACKENDS",
    "LOCAL_BACKENDS",
    "Backend",
    "CallLoss",
    "CallResult",
    "CallSettings",
    "Clock",
    "RealClock",
    "WorkerLimits",
    "check_backend",
    "load_config",
    "open_backend",
]


def check_backend(name: str) -> None:
    """Raise UsageError unless the name is one of BACKENDS."""
    if name not in BACKENDS:
        raise UsageError(f'there is no backend "{name}".', hint=f"backends: {', '.join(BACKENDS)}")


def open_backend(name: str, settings: CallSettings, config: dict[str, Any]) -> Backend:
    """Return a backend that is ready for calls.

    Args:
        name: one of BACKENDS.
        settings: workers, memory and timeout.
        config: Lithops' configuration, as load_config returns it.

    Raises:
        UsageError: the name or the configuration is wrong. Not retryable.
        BackendError: Lithops cannot reach or use the backend. Not retryable.
    """
    check_backend(name)
    if name == "inline":
        return InlineBackend()
    from comic_ocr.backends.lithops import LithopsBackend

    return LithopsBackend(name, config, settings)

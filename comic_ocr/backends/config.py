"""Lithops' configuration, as a dict: Lithops itself does not look for ./lithops.yaml."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from comic_ocr.errors import UsageError

DEFAULT_FILE = "lithops.yaml"
#: Lithops' own default for a call on this machine.
LOCALHOST_TIMEOUT_S = 3600


@dataclass(frozen=True)
class CallSettings:
    """What the command or the caller of run() says about calls."""

    workers: int
    memory_mb: int | None = None
    timeout_s: int | None = None
    #: variables that workers elsewhere must find in their environment; not to be shown or stored
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def load_config(path: str | None) -> dict[str, Any]:
    """Return the content of a Lithops configuration file, {} when none is named or found.

    Args:
        path: the file; None for ./lithops.yaml if there is one.

    Raises:
        UsageError: the file is missing or is not a YAML mapping. Not retryable.
    """
    file = Path(path or DEFAULT_FILE)
    if not file.exists():
        if path is None:
            return {}
        raise UsageError(f"there is no Lithops configuration at {path}.", hint="check --config")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid YAML: {error}", hint="check --config") from error
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise UsageError(f"{file} must hold a mapping of sections.", hint="see lithops.yaml")
    return config


def complete_config(config: dict[str, Any], backend: str, settings: CallSettings) -> dict[str, Any]:
    """Return the configuration for one run: the file's, with what the command and we decide."""
    for name, section in config.items():
        if not isinstance(section, dict | None):
            raise UsageError(
                f'section "{name}" of the Lithops configuration is not a mapping.',
                hint="see lithops.yaml",
            )
    full = {name: dict(section or {}) for name, section in config.items()}
    lithops = full.setdefault("lithops", {})
    section = full.setdefault(backend, {})
    lithops["backend"] = backend
    # Cleaning between jobs stops the localhost consumers under later jobs (Lithops 3.8).
    lithops["data_cleaner"] = False
    if backend == "localhost":
        if section.setdefault("version", 2) != 2:
            raise UsageError(
                "Lithops localhost must be version 2: version 1 runs one job after another.",
                hint="take `version` out of the localhost section of the configuration",
            )
        lithops["storage"] = "localhost"
        lithops["execution_timeout"] = settings.timeout_s or LOCALHOST_TIMEOUT_S
        # The default takes `python` from PATH, which in a virtual environment may be another.
        section.setdefault("runtime", sys.executable)
        section["worker_processes"] = settings.workers
        return full
    section["max_workers"] = settings.workers
    if settings.memory_mb:
        section["runtime_memory"] = settings.memory_mb
    if settings.timeout_s:
        section["runtime_timeout"] = settings.timeout_s
    return full

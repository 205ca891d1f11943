"""A key given to the driver, on its way to the workers: by the environment, and by nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from comic_ocr.backends import CARRYING_BACKENDS
from comic_ocr.engines import convert_options, find_method
from comic_ocr.errors import UsageError
from comic_ocr.job.options import split_names, split_options
from comic_ocr.job.spec import JobSpec


@contextmanager
def key_in_environment(spec: JobSpec, api_key: str | None) -> Iterator[dict[str, str]]:
    """Put a key into this process's environment, where engines look for it, and take it out again.

    Yields what workers elsewhere must find in theirs.

    Raises:
        UsageError: no method asks an API, several do, or the backend would store the key.
            Not retryable.
    """
    if not api_key:
        yield {}
        return
    variable = find_key_variable(spec)
    if spec.backend not in CARRYING_BACKENDS:
        raise UsageError(
            f"--api-key cannot go to {spec.backend}: the key would be stored with its calls.",
            hint=f"set {variable} in the runtime, or --option api_key_secret=NAME",
        )
    before = os.environ.get(variable)
    os.environ[variable] = api_key
    try:
        yield {variable: api_key}
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before


def find_key_variable(spec: JobSpec) -> str:
    """Return the environment variable that the job's one API takes its key from."""
    names = split_names(spec.method)
    given = split_options(names, spec.options)
    variables = set()
    for name in {*names, *given}:
        method = find_method(name)
        variables.add(method.key_variable(convert_options(method, given.get(name, {}))))
    variables.discard(None)
    if len(variables) != 1:
        which = "several APIs" if variables else "no API"
        found = ", ".join(sorted(filter(None, variables)))
        raise UsageError(
            f'--api-key: method "{spec.method}" asks {which}.',
            hint=f"set {found} in the environment" if found else "leave it out",
        )
    return str(variables.pop())

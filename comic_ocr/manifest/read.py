"""Pages out of a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from comic_ocr.errors import ManifestError, ManifestProblem
from comic_ocr.manifest.check import check_rows, describe_problem
from comic_ocr.page import PageRef

_SHOWN_PROBLEMS = 10
_KEPT_PROBLEMS = 10_000


def read_manifest(
    url: str,
    *,
    image_path_prefix: str | None = None,
    known_methods: Iterable[str] | None = None,
) -> Iterator[PageRef]:
    """Yield the pages of a manifest in its order, then raise if any row had a problem.

    A generator: nothing is opened before the first page is asked for, and good rows are yielded
    although others are bad. Use the pages only when it ends without an error.

    Args:
        url: path or URL of a CSV, TSV, JSONL or Parquet file, plain, gzip or zstd.
        image_path_prefix: URL or folder that relative sources start from; without it they start
            from the manifest's own folder.
        known_methods: what the `method` column may say; None lets it say anything.

    Raises:
        ManifestError: the file is not there or not of its format, or, at the end, rows have
            problems: all of them in `problems` (up to 10,000). Not retryable.
        UsageError: the URL or the prefix cannot be used. Not retryable.
        StorageError: the store fails. Retryable.
    """
    problems: list[ManifestProblem] = []
    more = 0
    for _, page, faults in check_rows(url, known_methods, image_path_prefix):
        if page is not None:
            yield page
        elif faults:
            room = _KEPT_PROBLEMS - len(problems)
            problems.extend(faults[:room])
            more += len(faults[room:])
    if problems:
        raise _describe_problems(url, problems, more)


def _describe_problems(url: str, problems: Sequence[ManifestProblem], more: int) -> ManifestError:
    count = len(problems) + more
    lines = [f"manifest {url} has {count:,} problem{'s' if count > 1 else ''}:"]
    lines += [f"  {describe_problem(problem)}" for problem in problems[:_SHOWN_PROBLEMS]]
    if count > _SHOWN_PROBLEMS:
        lines.append(f"  and {count - _SHOWN_PROBLEMS:,} more")
    return ManifestError(
        "\n".join(lines),
        problems=problems,
        hint=f"correct these rows; batch_ocr manifest check {url} lists the problems",
    )

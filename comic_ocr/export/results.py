"""Page JSON back as objects, and as a DataFrame on demand."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from comic_ocr.errors import StorageError
from comic_ocr.page import RESULT_SUFFIX, STATE_PREFIX, PageResult
from comic_ocr.storage import Store, open_store

if TYPE_CHECKING:
    import pandas as pd

_READERS = 16
_AHEAD = 256


class Results:
    """The results under an output URL; iterates PageResults as they arrive, in key order.

    At most 256 pages are held at once.
    """

    def __init__(self, output: str) -> None:
        self._store: Store = open_store(output)

    def __iter__(self) -> Iterator[PageResult]:
        keys = iter(sorted(self.keys()))
        with ThreadPoolExecutor(_READERS) as readers:
            while batch := list(islice(keys, _AHEAD)):
                yield from readers.map(self.read, batch)

    def keys(self) -> Iterator[str]:
        """Yield the keys of all page JSON, in no order."""
        for entry in self._store.list():
            if entry.key.endswith(RESULT_SUFFIX) and not entry.key.startswith(f"{STATE_PREFIX}/"):
                yield entry.key

    def read(self, key: str) -> PageResult:
        """Return one page's result by its key.

        Raises:
            SourceNotFoundError: no such key. Not retryable.
            StorageError: the object is no page JSON, or the store did not answer.
        """
        try:
            return msgspec.json.decode(self._store.get(key), type=PageResult)
        except msgspec.DecodeError as error:
            raise StorageError(
                f"{self._store.locate(key)} is not page JSON: {error}",
                hint="delete it and run the job again: that page is then read anew",
            ) from error

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per page: ids, text, counts, confidence, image, timing and usage.

        Columns of the manifest that the project does not know are added by their names. Needs
        pandas (extra `pandas`).
        """
        import pandas as pd

        return pd.DataFrame([_flatten(result) for result in self])


def read_results(output: str) -> Results:
    """Return the results of the job at an output URL."""
    return Results(output)


def _flatten(result: PageResult) -> dict[str, object]:
    return {
        "canonical_id": result.canonical_id,
        "source_image_path": result.source_image_path,
        "ocr_method": result.ocr_method,
        "timestamp": result.timestamp,
        "full_text": result.full_text,
        "num_regions": result.num_regions,
        "num_blocks": len(result.blocks),
        "confidence": result.confidence,
        **msgspec.structs.asdict(result.image),
        **msgspec.structs.asdict(result.timing),
        **msgspec.structs.asdict(result.usage),
        **result.manifest,
    }

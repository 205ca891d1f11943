"""What several files of unit tests share."""

from pathlib import Path
from typing import Any

import pytest

from comic_ocr.errors import ManifestError
from comic_ocr.manifest import check_manifest, read_manifest


@pytest.fixture
def problems_of(tmp_path: Path):
    def check(
        data: bytes | str, ending: str = ".csv", **options: Any
    ) -> list[tuple[int, str, str]]:
        path = tmp_path / f"pages{ending}"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        found = [tuple(problem) for problem in check_manifest(str(path), **options).problems]
        options.pop("max_problems", None)
        if found:
            with pytest.raises(ManifestError) as raised:
                list(read_manifest(str(path), **options))
            assert [tuple(p) for p in raised.value.problems] == found
        else:
            list(read_manifest(str(path), **options))
        return found

    return check

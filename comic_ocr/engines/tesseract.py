"""Method `tesseract`: Tesseract 5 through tesserocr, or through pytesseract where that is missing.

tesserocr keeps one API object, with its language data, for all pages of a worker. pytesseract
starts the tesseract command for each page and loads the data again each time.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from comic_ocr.engines.base import EngineSetup, Method, Recognition
from comic_ocr.engines.languages import language_code, tesseract_name
from comic_ocr.errors import EngineError, EngineMissingError
from comic_ocr.geometry import enclose_boxes
from comic_ocr.images import PageImage
from comic_ocr.page import Region
from comic_ocr.text import join_words

_DATA_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
    "/opt/local/share/tessdata",
)
_NOT_LANGUAGES = {"osd", "equ", "snum"}
_WORD_LEVEL = "5"


class TesseractOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of method `tesseract`."""

    #: page segmentation mode of Tesseract: 3 finds columns and blocks, 11 sparse text
    psm: int = 3
    #: folder of *.traineddata; empty to look in TESSDATA_PREFIX and the usual places
    tessdata: str = ""


class TesseractEngine:
    """One Tesseract per worker."""

    model: str | None

    def __init__(self, setup: EngineSetup) -> None:
        if not isinstance(setup.options, TesseractOptions):
            raise TypeError(f"expected TesseractOptions, got {type(setup.options).__name__}")
        self._options = setup.options
        self._names = [tesseract_name(code) or code for code in setup.languages]
        self._read_tsv: Callable[[PageImage], str]
        self.model = "+".join(self._names)
        self.version = ""

    def load(self) -> None:
        """Open the language data once, for all pages of this worker."""
        # Tesseract's own threads cost more than they bring; workers are the parallelism.
        os.environ["OMP_THREAD_LIMIT"] = "1"
        folder = find_tessdata(self._options.tessdata)
        if folder is None:
            raise EngineMissingError(
                'method "tesseract" found no language data (*.traineddata) on this machine.',
                hint=_install_data(self._names),
            )
        opener = _open_tesserocr if find_spec("tesserocr") else _open_pytesseract
        self._read_tsv, self.version = opener(folder, self.model or "", self._options.psm)

    def recognize(self, page: PageImage) -> Recognition:
        """Return one region per line, its words with boxes and confidences in `metadata`."""
        return Recognition(parse_tsv(self._read_tsv(page)))


def _open_tesserocr(folder: Path, names: str, psm: int) -> tuple[Callable[[PageImage], str], str]:
    import tesserocr

    api = tesserocr.PyTessBaseAPI(path=f"{folder}/", lang=names, psm=psm)

    def read_tsv(page: PageImage) -> str:
        api.SetImageBytes(page.pixels.tobytes(), page.width, page.height, 3, 3 * page.width)
        if not api.Recognize():
            raise EngineError("Tesseract could not read the image")
        tsv: str = api.GetTSVText(0)
        api.Clear()
        return tsv

    return read_tsv, tesserocr.tesseract_version().splitlines()[0].strip()


def _open_pytesseract(folder: Path, names: str, psm: int) -> tuple[Callable[[PageImage], str], str]:
    import pytesseract
    from PIL import Image

    os.environ["TESSDATA_PREFIX"] = str(folder)

    def read_tsv(page: PageImage) -> str:
        try:
            table: str = pytesseract.image_to_data(
                Image.fromarray(page.pixels), lang=names, config=f"--psm {psm}"
            )
        except pytesseract.TesseractError as error:
            raise EngineError(f"Tesseract could not read the image: {error}") from error
        return table.partition("\n")[2]

    return read_tsv, f"tesseract {pytesseract.get_tesseract_version()}"


def parse_tsv(tsv: str) -> list[Region]:
    """Return the lines of Tesseract's TSV (no header row), each with its words.

    Columns: level, page, block, paragraph, line, word, left, top, width, height, conf (0-100, -1
    for none), text. https://tesseract-ocr.github.io/tessdoc/Command-Line-Usage.html
    """
    lines: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in csv.reader(tsv.split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE):
        if len(row) == 12 and row[0] == _WORD_LEVEL and row[11].strip():
            confidence = float(row[10])
            word = {
                "text": row[11].strip(),
                "bbox": tuple(float(value) for value in row[6:10]),
                "confidence": round(confidence / 100, 4) if confidence >= 0 else None,
            }
            lines.setdefault(tuple(row[2:5]), []).append(word)
    return [_make_line(key, words) for key, words in lines.items()]


def _make_line(key: tuple[str, ...], words: list[dict[str, Any]]) -> Region:
    known = [(w["confidence"], len(w["text"])) for w in words if w["confidence"] is not None]
    letters = sum(length for _, length in known)
    return Region(
        text=join_words([w["text"] for w in words]),
        bbox=enclose_boxes([w["bbox"] for w in words]),
        confidence=round(sum(c * n for c, n in known) / letters, 4) if letters else None,
        metadata={"words": words, "block": int(key[0]), "paragraph": int(key[1])},
    )


def find_tessdata(asked: str = "") -> Path | None:
    """Return the folder that holds Tesseract's language data, None where there is none."""
    prefix = os.environ.get("TESSDATA_PREFIX", "")
    wanted = [asked] if asked else [prefix, f"{prefix}/tessdata" if prefix else "", *_DATA_FOLDERS]
    for name in wanted:
        if name and any(Path(name).glob("*.traineddata")):
            return Path(name)
    return None


def _languages(options: TesseractOptions) -> frozenset[str]:
    folder = find_tessdata(options.tessdata)
    if folder is None:
        return frozenset()
    names = {path.stem for path in folder.glob("*.traineddata")} - _NOT_LANGUAGES
    return frozenset(language_code(name) for name in names)


def _install_data(names: list[str]) -> str:
    packs = " ".join(f"tesseract-ocr-{name.replace('_', '-')}" for name in names)
    return f"apt-get install tesseract-ocr {packs}, or set TESSDATA_PREFIX to its folder"


def _missing(options: TesseractOptions) -> str | None:
    if find_spec("tesserocr") is None and not _has_command():
        return 'pip install "comic-ocr[tesseract]"'
    if find_tessdata(options.tessdata) is None:
        return _install_data(["eng"])
    return None


@lru_cache(maxsize=1)
def _has_command() -> bool:
    """pytesseract is of use only with a tesseract command that starts."""
    command = shutil.which("tesseract")
    if find_spec("pytesseract") is None or command is None:
        return False
    return subprocess.run([command, "--version"], capture_output=True, check=False).returncode == 0  # noqa: S603 (a fixed command line)


METHOD = Method(
    "tesseract",
    "Tesseract 5: fast, best on clean print; over 100 languages by installed data",
    build=TesseractEngine,
    options=TesseractOptions,
    languages=_languages,
    default_languages=("en",),
    missing=_missing,
    typical_s=0.3,
    load_s=0.3,
    memory_mb=1024,
)

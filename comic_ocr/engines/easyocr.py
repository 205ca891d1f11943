"""Method `easyocr`: CRAFT finds the text, a recurrent network reads it, on torch; CPU or GPU.

EasyOCR's weights are no part of its package. They lie in a folder, as in an image that is built for
the job, and are fetched only where the option `download` says so.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import msgspec
import numpy as np
import numpy.typing as npt

from comic_ocr.engines.base import TUNING, EngineSetup, Method, Recognition
from comic_ocr.errors import EngineMissingError, LanguageError, OptionError
from comic_ocr.geometry import Polygon, enclose_points, round_box
from comic_ocr.images import PageImage
from comic_ocr.page import Region

#: Scaled down further than this to find text, a page gets a warning.
_LEAST_SCALE = 0.5
#: No letter is smaller.
_LEAST_PX = 3
_DETECTOR_FILE = "craft_mlt_25k.pth"

#: Languages that one recogniser reads together. English goes with each of them. EasyOCR also lists
#: bgc, mni and sa, of which its package lacks the alphabets.
_TOGETHER = (
    "af az bs cs cy da de es et fr ga hr hu id is it ku la lt lv mi ms mt nl no oc pi pl pt ro "
    "sr-latn sk sl sq sv sw tl tr uz vi",
    "abq ady ava be bg che dar inh kbd lbe lez mn ru sr tab tg uk",
    "ang bh bho gom hi mah mai mr ne new sck",
    "ar fa ug ur",
    "as bn",
    *("ja", "kn", "ko", "ta", "te", "th", "zh", "zh-hant"),
)
_GROUPS = tuple(frozenset(codes.split()) for codes in _TOGETHER)
LANGUAGES = frozenset({"en"}).union(*_GROUPS)
#: this project's code → EasyOCR's, where they differ
_NAMES = {
    "sr": "rs_cyrillic",
    "sr-latn": "rs_latin",
    "tg": "tjk",
    "zh": "ch_sim",
    "zh-hant": "ch_tra",
}

#: [left, right, top, bottom]
Span = Sequence[float]
#: four corners
Corners = Sequence[Sequence[float]]


class EasyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of method `easyocr`."""

    #: folder of the *.pth files; empty for EasyOCR's own, `$EASYOCR_MODULE_PATH/model` or
    #: `~/.EasyOCR/model`
    weights: Annotated[str, TUNING] = ""
    #: fetch weights that are not in the folder
    download: Annotated[bool, TUNING] = False
    #: the page's longer side is brought down to this many pixels to find text: memory and time grow
    #: with its square, and EasyOCR's own 2,560 takes over 4 GB
    detection_px: Annotated[int, msgspec.Meta(ge=32)] = 1600
    #: regions below this confidence are taken for noise and left out; low, for EasyOCR's confidence
    #: falls with a line's length
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1


class EasyEngine:
    """One EasyOCR reader per worker."""

    model: str | None = None

    def __init__(self, setup: EngineSetup) -> None:
        if not isinstance(setup.options, EasyOptions):
            raise TypeError(f"expected EasyOptions, got {type(setup.options).__name__}")
        self._options = setup.options
        self._setup = setup
        self._names = name_languages(setup.languages)
        self._reader: Any = None
        self.version = ""

    def load(self) -> None:
        """Import torch and load both networks.

        Raises:
            EngineMissingError: weights are not in their folder, or are not those that EasyOCR
                publishes (it compares MD5 sums). Not retryable.
            OptionError: a GPU was asked for, and torch finds none. Not retryable.
        """
        import cv2
        import torch

        if self._setup.gpu and not torch.cuda.is_available():
            raise OptionError(
                f'method "easyocr" was asked to read on a GPU, and torch {torch.__version__} '
                "finds no CUDA device on this machine.",
                hint="leave out --gpu, or give workers a GPU and a CUDA build of torch",
            )
        if not self._setup.gpu:
            torch.set_num_threads(self._setup.threads)
        cv2.setNumThreads(self._setup.threads)
        _silence()
        self._reader = self._open_reader()
        self.version = f"easyocr {version('easyocr')}, torch {torch.__version__}"
        self.model = _name_networks(self._reader)

    def _open_reader(self) -> Any:
        import easyocr

        folder = find_weights(self._options.weights)
        download = self._options.download
        try:
            with _lock(folder) if download else nullcontext():
                return easyocr.Reader(
                    self._names,
                    gpu=self._setup.gpu,
                    model_storage_directory=str(folder),
                    # else it makes a folder in the home, which functions cannot write to
                    user_network_directory=str(folder),
                    download_enabled=download,
                    verbose=False,
                )
        except (OSError, AssertionError, BadZipFile) as error:
            raise EngineMissingError(
                f'method "easyocr" has no usable weights in {folder}: {error}',
                hint=_get_weights(folder),
            ) from error

    def recognize(self, page: PageImage) -> Recognition:
        """Return one region per line, or part of a line, with its four corners."""
        import cv2

        pixels = _pad_strip(page.pixels, self._options.detection_px)
        # As EasyOCR reads a file: the colours in RGB for the detector, which was trained so. Its
        # readtext takes arrays as BGR.
        lines, slanted = self._reader.detect(
            pixels, canvas_size=self._options.detection_px, reformat=False
        )
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        found = self._reader.recognize(
            grey,
            clip_spans(lines[0], page.width, page.height),
            [box for box in slanted[0] if is_on_page(box, page.width, page.height)],
            reformat=False,
        )
        regions = [
            _make_region(corners, text, confidence, page)
            for corners, text, confidence in found
            if text.strip() and confidence >= self._options.min_confidence
        ]
        return Recognition(regions, warnings=self._warn(page))

    def _warn(self, page: PageImage) -> tuple[str, ...]:
        scale = self._options.detection_px / max(page.width, page.height)
        if scale >= _LEAST_SCALE:
            return ()
        return (
            f"page of {page.width} x {page.height} px was brought down to {scale:.0%} to find "
            "text; small letters may be missed",
        )


def name_languages(codes: Sequence[str]) -> list[str]:
    """Return EasyOCR's names of languages that one of its recognisers reads together.

    Raises:
        LanguageError: they need more than one recogniser. Not retryable.
    """
    asked = set(codes) - {"en"}
    if asked and not any(asked <= group for group in _GROUPS):
        home = next((group for group in _GROUPS if codes[0] in group), _GROUPS[0])
        raise LanguageError(
            f'method "easyocr" cannot read {", ".join(codes)} together: each of its recognisers '
            "reads one group of languages, and English.",
            hint=f"ask for languages of one group, such as {', '.join(sorted(home | {'en'}))}; "
            "the manifest's column lang names them per page",
        )
    return [_NAMES.get(code, code) for code in codes]


def clip_spans(spans: Sequence[Span], width: int, height: int) -> list[list[int]]:
    """Return the spans cut to the page, without those that leave nothing to read.

    EasyOCR fails on a page when a box lies beyond its edge (JaidedAI/EasyOCR issue 1399).
    """
    cut = [
        [max(0, int(x0)), min(width, int(x1)), max(0, int(y0)), min(height, int(y1))]
        for x0, x1, y0, y1 in spans
    ]
    return [s for s in cut if s[1] - s[0] >= _LEAST_PX and s[3] - s[2] >= _LEAST_PX]


def is_on_page(corners: Corners, width: int, height: int) -> bool:
    """Return whether a slanted box has sides to read along and lies on the page in part."""
    ends = [corners[1], corners[2], corners[3], corners[0]]
    sides = [math.dist(a, b) for a, b in zip(corners, ends, strict=True)]
    xs, ys = zip(*corners, strict=True)
    inside = max(xs) >= _LEAST_PX and min(xs) <= width - _LEAST_PX
    inside = inside and max(ys) >= _LEAST_PX and min(ys) <= height - _LEAST_PX
    return inside and min(sides) >= _LEAST_PX


def _make_region(corners: Corners, text: str, confidence: float, page: PageImage) -> Region:
    """Return the region, its corners brought to the page."""
    inside = np.clip(np.asarray(corners, dtype=float), 0, (page.width, page.height))
    polygon: Polygon = tuple((round(float(x), 1), round(float(y), 1)) for x, y in inside)
    return Region(
        text=text,
        confidence=round(float(confidence), 4),
        bbox=round_box(enclose_points(polygon)),
        polygon=polygon,
    )


def _pad_strip(pixels: npt.NDArray[np.uint8], canvas_px: int) -> npt.NDArray[np.uint8]:
    """Return the page, white added to a strip that would be scaled to less than a pixel."""
    height, width = pixels.shape[:2]
    least = math.ceil(max(height, width) / canvas_px)
    missing = ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0))
    if not any(after for _, after in missing):
        return pixels
    return np.pad(pixels, missing, constant_values=255)


def find_weights(asked: str = "") -> Path:
    """Return the folder in which EasyOCR looks for weights; it need not be there."""
    if asked:
        return Path(asked).expanduser().absolute()
    home = os.environ.get("EASYOCR_MODULE_PATH") or os.environ.get("MODULE_PATH") or "~/.EasyOCR"
    return Path(home).expanduser().absolute() / "model"


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one worker of a machine fetch at a time: all would write the same temp.zip."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _silence() -> None:
    """Keep what EasyOCR and torch say of each other's use off the worker's stderr."""
    logging.getLogger("easyocr").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|torchvision|easyocr)\b")


def _name_networks(reader: Any) -> str:
    """Return the names of detector and recogniser, such as `craft_mlt_25k + english_g2`."""
    networks = [item for made in reader.recognition_models.values() for item in made.items()]
    names = [name for name, facts in networks if facts["characters"] == reader.character]
    detector = Path(reader.detection_models[reader.detect_network]["filename"]).stem
    return f"{detector} + {names[0]}"


def _get_weights(folder: Path) -> str:
    return (
        "--option weights=FOLDER names a folder that has them, as in an image made for the job; "
        f"--option download=true fetches them into {folder}"
    )


def _missing(options: EasyOptions) -> str | None:
    if find_spec("torch") is None or find_spec("easyocr") is None:
        return 'pip install "comic-ocr[easyocr]"'
    folder = find_weights(options.weights)
    if not options.download and not (folder / _DETECTOR_FILE).is_file():
        return f"no weights ({_DETECTOR_FILE}) in {folder}. {_get_weights(folder)}"
    return None


METHOD = Method(
    "easyocr",
    "EasyOCR on torch: 83 languages in 13 groups, on CPU or GPU; weights apart",
    build=EasyEngine,
    options=EasyOptions,
    languages=lambda _options: LANGUAGES,
    default_languages=("en",),
    missing=_missing,
    runs_on=("cpu", "gpu"),
    typical_s=11.0,
    load_s=6.0,
    memory_mb=3008,
)

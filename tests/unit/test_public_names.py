"""What `import comic_ocr` offers, and what a worker's import leaves alone."""

import subprocess
import sys

import pytest

import comic_ocr


def test_the_public_names_are_listed_once():
    assert comic_ocr.__all__ == sorted(set(comic_ocr.__all__))
    assert {*comic_ocr._HOMES, "__version__"} == set(comic_ocr.__all__)


@pytest.mark.parametrize("name", comic_ocr.__all__)
def test_a_public_name_is_there(name):
    thing = getattr(comic_ocr, name)
    assert name == "__version__" or (thing.__name__, thing.__module__) == (
        name,
        comic_ocr._HOMES[name],
    )


def test_a_name_that_is_not_public_is_not_there():
    with pytest.raises(AttributeError, match="'comic_ocr' has no attribute 'read_everything'"):
        comic_ocr.read_everything  # noqa: B018


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_names_can_be_imported_at_once():
    names = python("from comic_ocr import *; print(*sorted(set(dir()) - {'__version__'}))").split()
    assert set(comic_ocr.__all__) - {"__version__"} <= set(names)


def test_a_notebook_completes_the_names_before_they_are_used():
    assert python("import comic_ocr; print('run' in dir(comic_ocr))") == "True"


HEAVY = ("lithops", "pyarrow", "pandas", "click", "rich", "cv2", "rapidocr", "boto3", "yaml")


@pytest.mark.parametrize("module", ["comic_ocr", "comic_ocr.worker.task"])
def test_a_worker_imports_nothing_heavy(module):
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    assert python(code) == "[]"


def test_the_light_import_offers_the_version_and_loads_nothing():
    code = "import sys, comic_ocr; comic_ocr.__version__; print('numpy' in sys.modules)"
    assert python(code) == "False"

"""What every engine and every store must do, as pytest classes for plugin authors too.

    from comic_ocr.testing.contracts import EngineContract

    class TestShout(EngineContract):
        method = "shout"

pytest must be installed. Methods are found by entry point, as the command finds them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from comic_ocr.engines import (
    Engine,
    EngineSetup,
    Method,
    Recognition,
    convert_options,
    find_method,
    resolve_languages,
)
from comic_ocr.errors import LanguageError, OptionError, SourceNotFoundError
from comic_ocr.evaluate import read_truth, score_words
from comic_ocr.images import PageImage, decode_image
from comic_ocr.storage import Store
from comic_ocr.testing.comic import draw_comic


def make_page(width: int, height: int, *, shade: int = 255) -> PageImage:
    """Return a page of one shade of grey, without text."""
    pixels = np.full((height, width, 3), shade, dtype=np.uint8)
    pixels.setflags(write=False)
    return PageImage(page_id="plain", pixels=pixels, format="PNG", sha256="0" * 64, data=b"")


class EngineContract:
    """Subclass as `Test…`, and set `method`."""

    #: the method's name
    method: ClassVar[str]
    #: for options that the method cannot do without
    options: ClassVar[dict[str, Any]] = {}
    #: word F1 that it promises on a drawn English page; 0 where it promises none
    least_word_f1: ClassVar[float] = 0.0

    @pytest.fixture(scope="class")
    @classmethod
    def loaded(cls) -> Engine:
        """Return the engine, loaded as a worker does it."""
        method = cls.find()
        options = convert_options(method, cls.options)
        missing = method.missing(options)
        if missing:
            pytest.skip(f"method {cls.method} is not installed here: {missing}")
        engine = method.build(
            EngineSetup(options, resolve_languages(method, options, None), threads=1)
        )
        engine.load()
        return engine

    @classmethod
    def find(cls) -> Method:
        """Return the method."""
        return find_method(cls.method)

    def test_the_method_has_the_name_of_its_entry_point(self) -> None:
        assert self.find().name == self.method

    def test_the_planner_gets_usable_figures(self) -> None:
        method = self.find()
        assert method.typical_s > 0
        assert method.load_s >= 0
        assert method.memory_mb >= 128
        assert method.concurrency >= 1
        assert set(method.runs_on) <= {"cpu", "gpu", "api"}

    def test_options_have_defaults_and_survive_json(self) -> None:
        method = self.find()
        options = method.options()
        encoded = msgspec.json.encode(options)
        assert msgspec.json.decode(encoded, type=method.options) == options

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(OptionError):
            convert_options(self.find(), {"no_such_option": 1})

    def test_an_unreadable_language_is_refused_by_those_that_do_not_read_any(self) -> None:
        method = self.find()
        options = convert_options(method, self.options)
        if not method.languages(options):
            assert resolve_languages(method, options, "tlh") == ("tlh",)
            return
        with pytest.raises(LanguageError):
            resolve_languages(method, options, "tlh")

    def test_it_says_which_version_reads(self, loaded: Engine) -> None:
        assert loaded.version

    @pytest.mark.parametrize(
        "size", [(200, 300), (1, 1), (1600, 40), (40, 1600), (3000, 2), (2, 3000)]
    )
    def test_a_page_without_text_has_no_text(self, loaded: Engine, size: tuple[int, int]) -> None:
        found = loaded.recognize(make_page(*size))
        assert isinstance(found, Recognition)
        assert "".join(region.text for region in found.regions).strip() == ""

    def test_regions_lie_on_the_page(self, loaded: Engine, tmp_path: Path) -> None:
        page = self.draw(tmp_path)
        for region in loaded.recognize(page).regions:
            x, y, w, h = region.bbox
            assert w > 0
            assert h > 0
            assert -2 <= x <= page.width
            assert -2 <= y <= page.height
            assert x + w <= page.width + 2
            assert y + h <= page.height + 2
            assert region.text.strip()
            assert region.confidence is None or 0 <= region.confidence <= 1

    def test_the_same_page_reads_the_same_twice(self, loaded: Engine, tmp_path: Path) -> None:
        page = self.draw(tmp_path)
        first, second = loaded.recognize(page).regions, loaded.recognize(page).regions
        assert [r.text for r in first] == [r.text for r in second]

    def test_a_drawn_page_is_read(self, loaded: Engine, tmp_path: Path) -> None:
        page = self.draw(tmp_path)
        text = "\n".join(region.text for region in loaded.recognize(page).regions)
        score = score_words(text, read_truth(tmp_path / "page_01.json").required)
        assert score.f1 >= self.least_word_f1, text

    def draw(self, folder: Path) -> PageImage:
        """Return the first page of the drawn comic."""
        drawn = draw_comic(folder, pages=1)[0]
        return decode_image(drawn.image.read_bytes(), page_id="page_01")


class StoreContract:
    """Subclass as `Test…`, with a fixture `store` that returns an empty Store."""

    KEYS: ClassVar[tuple[str, ...]] = (
        "plain_ocr.json",
        "series/vol 1/page #1_ocr.json",
        "100% sure?_ocr.json",
        "日本語/ページ 001_ocr.json",
        "ünïcödé+&=;,!'()[]{}~_ocr.json",
        "a.jpg_ocr.json",
        "x%20y_ocr.json",
    )

    @pytest.mark.parametrize("key", KEYS)
    def test_a_key_is_taken_literally(self, store: Store, key: str) -> None:
        assert store.put(key, key.encode())
        assert store.get(key) == key.encode()
        assert [entry.key for entry in store.list()] == [key]

    def test_a_put_leaves_an_object_that_is_there(self, store: Store) -> None:
        assert store.put("a", b"first")
        assert not store.put("a", b"second")
        assert store.get("a") == b"first"

    def test_a_put_replaces_when_told_to(self, store: Store) -> None:
        store.put("a", b"first")
        assert store.put("a", b"second", overwrite=True)
        assert store.get("a") == b"second"

    def test_what_is_not_there_is_not_found(self, store: Store) -> None:
        assert not store.exists("nothing")
        with pytest.raises(SourceNotFoundError):
            store.get("nothing")
        with pytest.raises(SourceNotFoundError):
            store.head("nothing")

    def test_slices_are_bytes_of_the_object(self, store: Store) -> None:
        store.put("a", b"0123456789")
        assert store.get_slices("a", ((0, 3), (7, 10), (3, 4))) == [b"012", b"789", b"3"]

    def test_a_listing_shows_size_and_time_of_writing(self, store: Store) -> None:
        store.put("folder/a", b"12345")
        (entry,) = store.list()
        assert (entry.key, entry.size) == ("folder/a", 5)
        assert abs(entry.modified_at - datetime.now(UTC)) < timedelta(minutes=2)
        assert store.head("folder/a") == entry

    def test_a_listing_takes_whole_steps_of_the_path(self, store: Store) -> None:
        for key in ("a/1", "a/b/2", "ab/3"):
            store.put(key, b"")
        assert sorted(entry.key for entry in store.list("a")) == ["a/1", "a/b/2"]

    def test_a_listing_longer_than_a_page_is_whole(self, store: Store) -> None:
        keys = {f"n/{i:05d}" for i in range(2100)}
        for key in keys:
            store.put(key, b"")
        assert {entry.key for entry in store.list()} == keys

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        assert list(store.list()) == []

    def test_a_deleted_object_is_gone_and_a_second_delete_is_no_error(self, store: Store) -> None:
        store.put("a", b"1")
        store.delete("a")
        store.delete("a")
        assert not store.exists("a")

    def test_a_reader_seeks(self, store: Store) -> None:
        store.put("a", bytes(range(256)) * 100)
        with store.open_reader("a") as file:
            file.seek(-6, 2)
            assert file.read() == bytes(range(250, 256))
            file.seek(0)
            assert file.read(3) == b"\x00\x01\x02"

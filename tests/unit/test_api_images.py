"""A page as it is sent, and the memory that it gives back meanwhile."""

import io

import numpy as np
import pytest
from PIL import Image

from comic_ocr.engines.api.images import encode_page, is_blank
from comic_ocr.images import decode_image

RNG = np.random.default_rng(7)


def make_data(file_format="PNG", mode="RGB", size=(60, 40), **how):
    noise = RNG.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(128)
    stream = io.BytesIO()
    image.save(stream, file_format, **how)
    return stream.getvalue()


def make_page(*args, **how):
    return decode_image(make_data(*args, **how), page_id="p")


def turned(quarter):
    exif = Image.Exif()
    exif[0x0112] = quarter
    return exif


def open_sent(sent):
    return Image.open(io.BytesIO(sent.data))


@pytest.mark.parametrize(
    ("file_format", "mode", "mime"),
    [
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("PNG", "RGB", "image/png"),
        ("PNG", "L", "image/png"),
        ("WEBP", "RGB", "image/webp"),
    ],
)
def test_what_every_server_reads_is_sent_as_it_was_fetched(file_format, mode, mime):
    page = make_page(file_format, mode)
    sent = encode_page(page)
    assert sent.data is page.data
    assert (sent.mime, sent.width, sent.height) == (mime, 60, 40)


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        ("PNG", "RGBA"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("WEBP", "RGBA"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
    ],
)
def test_what_servers_differ_in_is_sent_as_it_was_decoded(file_format, mode):
    page = make_page(file_format, mode)
    sent = encode_page(page)
    image = open_sent(sent)
    assert (sent.mime, image.format, image.mode) == ("image/png", "PNG", "RGB")
    assert np.array_equal(np.asarray(image), page.pixels)


def test_cmyk_is_sent_as_rgb():
    sent = encode_page(make_page("JPEG", "CMYK"))
    assert (sent.mime, open_sent(sent).mode) == ("image/jpeg", "RGB")


@pytest.mark.parametrize(("file_format", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_page_is_sent_upright(file_format, mime, orientation):
    page = make_page(file_format, exif=turned(orientation))
    sent = encode_page(page)
    image = open_sent(sent)
    upright = (60, 40) if orientation == 3 else (40, 60)
    assert (sent.width, sent.height) == image.size == (page.width, page.height) == upright
    assert image.getexif().get(0x0112, 1) == 1
    assert sent.mime == mime
    assert np.abs(np.asarray(image, int) - page.pixels).mean() < 30


def test_an_upright_page_with_exif_is_sent_as_it_is():
    page = make_page("JPEG", exif=turned(1))
    assert encode_page(page).data is page.data


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF"])
def test_a_large_page_is_brought_down_with_its_shape(file_format):
    mode = "P" if file_format == "GIF" else "RGB"
    sent = encode_page(make_page(file_format, mode, (600, 300)), 200)
    assert (sent.width, sent.height) == open_sent(sent).size == (200, 100)
    assert sent.mime == "image/jpeg"


def test_a_page_of_the_allowed_size_is_left_alone():
    page = make_page(size=(200, 100))
    assert encode_page(page, 200).data is page.data
    assert encode_page(page, 0).data is page.data


def test_a_very_tall_page_keeps_a_width():
    sent = encode_page(make_page(size=(2, 4000)), 100)
    assert (sent.width, sent.height) == (1, 100)


def test_a_format_that_the_server_does_not_read_is_sent_as_another():
    sent = encode_page(make_page("WEBP"), formats=("JPEG", "PNG"))
    assert sent.mime == "image/png"


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_page_of_one_shade_is_blank(shade, file_format):
    stream = io.BytesIO()
    Image.new("RGB", (50, 70), (shade, shade, shade)).save(stream, file_format)
    assert is_blank(decode_image(stream.getvalue(), page_id="p"))


def test_a_page_with_a_faint_mark_is_not_blank():
    image = Image.new("RGB", (500, 700), "white")
    image.putpixel((3, 5), (240, 240, 240))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert not is_blank(decode_image(stream.getvalue(), page_id="p"))


@pytest.mark.parametrize(
    ("file_format", "mode", "how"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"exif": turned(6)}),
        ("GIF", "P", {}),
    ],
)
def test_released_pixels_come_back_as_they_were(file_format, mode, how):
    page = make_page(file_format, mode, **how)
    before = page.pixels.copy()
    page.release()
    assert page._pixels is None
    assert (page.width, page.height) == (before.shape[1], before.shape[0])
    assert np.array_equal(page.pixels, before)
    assert page.pixels.flags.c_contiguous
    assert not page.pixels.flags.writeable


def test_pixels_that_could_not_come_back_are_not_released():
    page = make_page()
    page.data = b""
    page.release()
    assert page.pixels.shape == (40, 60, 3)


def test_a_released_page_is_encoded_as_before():
    page = make_page("PNG", "RGBA")
    before = encode_page(page).data
    page.release()
    assert encode_page(page).data == before

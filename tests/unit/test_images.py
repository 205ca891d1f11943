"""Image bytes to pixels: every mode that scans come in, and every way in which a file is broken."""

import hashlib
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image, features

from comic_ocr.errors import ImageTooLargeError, NotAnImageError, TruncatedImageError
from comic_ocr.images import PageImage, decode_image


def encode(image: Image.Image, image_format: str = "PNG", **how) -> bytes:
    data = io.BytesIO()
    image.save(data, image_format, **how)
    return data.getvalue()


def decode(data: bytes, **how) -> PageImage:
    return decode_image(data, page_id="p", **how)


def noise(width: int = 60, height: int = 40) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def png_that_claims(width: int, height: int) -> bytes:
    """A small PNG whose header names another size, with a right checksum."""
    data = bytearray(encode(Image.new("RGB", (8, 8))))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_pixels_are_rgb_bytes_of_height_width_and_cannot_be_written():
    picture = noise(60, 40)
    data = encode(picture)
    page = decode(data)
    assert page.pixels.shape == (40, 60, 3)
    assert page.pixels.dtype == np.uint8
    assert page.pixels.flags.c_contiguous
    assert not page.pixels.flags.writeable
    assert np.array_equal(page.pixels, np.asarray(picture))


def test_a_page_carries_its_facts():
    data = encode(noise(60, 40), "JPEG")
    page = decode(data)
    assert (page.page_id, page.width, page.height, page.format) == ("p", 60, 40, "JPEG")
    assert page.sha256 == hashlib.sha256(data).hexdigest()
    assert page.data is data


def grey16(value: int) -> Image.Image:
    return Image.fromarray(np.full((2, 2), value, dtype=np.uint16))


def floats(*values: float) -> Image.Image:
    return Image.fromarray(np.array([values, values], dtype=np.float32))


def palette() -> Image.Image:
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return image


@pytest.mark.parametrize(
    ("image", "image_format", "pixel"),
    [
        (Image.new("RGB", (2, 2), (1, 2, 3)), "PNG", (1, 2, 3)),
        (Image.new("L", (2, 2), 77), "PNG", (77, 77, 77)),
        (palette(), "PNG", (200, 100, 50)),
        (palette(), "GIF", (200, 100, 50)),
        (Image.new("RGBA", (2, 2), (9, 9, 9, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 127)), "PNG", (128, 128, 128)),
        (Image.new("RGBA", (2, 2), (4, 5, 6, 255)), "PNG", (4, 5, 6)),
        (Image.new("LA", (2, 2), (0, 0)), "PNG", (255, 255, 255)),
        (Image.new("CMYK", (2, 2), (0, 0, 0, 0)), "TIFF", (255, 255, 255)),
        (Image.new("CMYK", (2, 2), (0, 0, 0, 255)), "TIFF", (0, 0, 0)),
        (Image.new("1", (2, 2), 1), "PNG", (255, 255, 255)),
        (Image.new("1", (2, 2), 0), "TIFF", (0, 0, 0)),
        (grey16(65535), "PNG", (255, 255, 255)),
        (grey16(32896), "PNG", (128, 128, 128)),
        (grey16(0), "TIFF", (0, 0, 0)),
        (floats(1.0, 0.0), "TIFF", (255, 255, 255)),
        (floats(0.5, 1.0), "TIFF", (127, 127, 127)),
        (floats(500.0, 1000.0), "TIFF", (127, 127, 127)),
        (floats(float("nan"), 1.0), "TIFF", (0, 0, 0)),
    ],
)
def test_every_mode_becomes_rgb(image, image_format, pixel):
    page = decode(encode(image, image_format))
    assert page.pixels.shape == (2, 2, 3)
    assert tuple(int(v) for v in page.pixels[0, 0]) == pixel


def test_a_transparent_palette_colour_becomes_white():
    page = decode(encode(palette(), transparency=1))
    assert page.pixels.min() == 255


def test_cmyk_jpegs_keep_their_colours():
    page = decode(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    red, green, blue = (int(v) for v in page.pixels[8, 8])
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_a_page_stands_as_its_exif_orientation_says(image_format):
    picture = Image.new("RGB", (64, 32), "white")
    picture.paste((0, 0, 0), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    page = decode(encode(picture, image_format, exif=exif))
    assert (page.width, page.height) == (32, 64)
    assert page.pixels[8, 24].max() < 60
    assert page.pixels[8, 8].min() > 200


def test_of_several_images_the_first_is_the_page():
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    page = decode(encode(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert page.pixels.max() == 10


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("p1.png", encode(noise()))
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "an HTML page"),
        (b"<html><body>denied", "an HTML page"),
        (b"just some words", "text"),
        ("日本".encode(), "text"),
        (zipped(), "a zip archive"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x1f\x8b\x08\x00", "gzip data"),
        (bytes(4096), "zero bytes"),
        (b"\xfe\xed\xfa\xce" * 50, "an unknown format"),
    ],
    ids=lambda value: value[:16] if isinstance(value, str) else "",
)
def test_what_is_no_image_is_named_for_what_it_looks_like(data, looks):
    with pytest.raises(NotAnImageError, match=looks):
        decode(data)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_file_that_ends_early_is_no_page(image_format, share):
    whole = encode(noise(), image_format)
    decode(whole)
    with pytest.raises(TruncatedImageError, match="bytes"):
        decode(whole[: int(len(whole) * share)])


def test_a_header_that_ends_early_is_no_page():
    with pytest.raises((TruncatedImageError, NotAnImageError)):
        decode(encode(noise())[:20])


def test_damage_inside_a_png_is_found():
    data = bytearray(encode(noise()))
    middle = len(data) // 2
    data[middle : middle + 20] = bytes(20)
    with pytest.raises(TruncatedImageError):
        decode(bytes(data))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_damage_inside_an_avif_is_found():
    data = bytearray(encode(noise(), "AVIF"))
    start = data.index(b"mdat") + 4
    data[start : start + 8] = bytes(8)
    with pytest.raises(TruncatedImageError):
        decode(bytes(data))


# Decoding either would first find that the data ends early.
def test_too_many_pixels_are_refused_before_decoding():
    with pytest.raises(ImageTooLargeError, match=r"5000 x 4000 px is 20 megapixels.* limit of 10"):
        decode(png_that_claims(5000, 4000), max_pixels=10_000_000)


def test_a_header_that_lies_about_a_huge_size_is_refused_before_decoding():
    with pytest.raises(ImageTooLargeError):
        decode(png_that_claims(60_000, 60_000))


def test_a_page_of_exactly_the_limit_is_read():
    assert decode(encode(noise(60, 40)), max_pixels=2400).width == 60
    with pytest.raises(ImageTooLargeError):
        decode(encode(noise(60, 40)), max_pixels=2399)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_cut_in_half_is_truncated_and_no_stranger():
    data = encode(noise(), "AVIF")
    with pytest.raises(TruncatedImageError):
        decode(data[: len(data) // 2])


def test_greys_of_8_bits_in_32_are_not_read_as_black():
    image = Image.fromarray(np.full((4, 4), 200, dtype=np.int32))
    assert decode(encode(image, "TIFF")).pixels.max() == 200

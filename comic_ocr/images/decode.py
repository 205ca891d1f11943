"""Image bytes to RGB pixels, with each way in which that can fail told apart."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from comic_ocr.errors import ImageTooLargeError, NotAnImageError, TruncatedImageError

#: Larger pages are refused before they are decoded. Pillow's own hard limit: 537 MB as RGB.
MAX_PIXELS = 178_956_970
_SNIFFED_BYTES = 512
_SIGNATURES = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive (CBZ, EPUB, DOCX)"),
    (b"Rar!", "a RAR archive (CBR)"),
    (b"7z\xbc\xaf", "a 7z archive (CB7)"),
    (b"\x1f\x8b", "gzip data"),
)
#: of AVIF, which Pillow cannot tell without its end
_ISO_BRANDS = (b"avif", b"avis")
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body")


class PageImage:
    """A decoded page.

    `data` is what was fetched, for engines that send it on; `format` is Pillow's name, such as
    JPEG; `width` and `height` are pixels.
    """

    def __init__(
        self,
        *,
        page_id: str,
        pixels: npt.NDArray[np.uint8],
        format: str,  # noqa: A002 (Pillow's name for it)
        sha256: str,
        data: bytes,
    ) -> None:
        self.page_id = page_id
        self.format = format
        self.sha256 = sha256
        self.data = data
        self.height, self.width = int(pixels.shape[0]), int(pixels.shape[1])
        self._pixels: npt.NDArray[np.uint8] | None = pixels

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """RGB uint8, shape (height_px, width_px, 3), C-contiguous and read-only.

        EXIF rotation is applied and alpha laid on white. Decoded again if they were released.
        """
        pixels = self._pixels
        if pixels is None:
            image = decode_image(
                self.data, page_id=self.page_id, max_pixels=self.width * self.height
            )
            pixels = self._pixels = image.pixels
        return pixels

    def release(self) -> None:
        """Let go of the pixels: a page that waits for an API needs a tenth of the memory."""
        if self.data:
            self._pixels = None


def decode_image(data: bytes, *, page_id: str, max_pixels: int = MAX_PIXELS) -> PageImage:
    """Return the decoded page; of a file with several images, the first.

    Args:
        data: the whole file.
        page_id: the page's canonical id, carried along.
        max_pixels: refuse larger images before decoding them.

    Raises:
        NotAnImageError: empty, or no image format that is known here. Not retryable.
        TruncatedImageError: the file ends early or is damaged. Not retryable.
        ImageTooLargeError: more than max_pixels. Not retryable.
    """
    image = _open(data, max_pixels)
    image_format = image.format or "unknown"
    try:
        image.load()
        rgb = _to_rgb(ImageOps.exif_transpose(image))
    # RuntimeError is what the AVIF plugin raises for damage.
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, RuntimeError) as error:
        raise TruncatedImageError(
            f"the {image_format} data is damaged or ends early ({len(data):,} bytes): {error}"
        ) from error
    return PageImage(
        page_id=page_id,
        pixels=np.asarray(rgb),
        format=image_format,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )


def _open(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise NotAnImageError("the file is empty (0 bytes)")
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        if data[4:8] == b"ftyp" and data[8:12] in _ISO_BRANDS:
            raise TruncatedImageError(
                f"the {data[8:12].decode()} data ends early ({len(data):,} bytes)"
            ) from error
        raise NotAnImageError(f"the file is not an image: it looks like {_sniff(data)}") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise TruncatedImageError(
            f"the image header is damaged ({len(data):,} bytes): {error}"
        ) from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{width} x {height} px is {width * height / 1e6:.0f} megapixels, "
            f"more than the limit of {max_pixels / 1e6:.0f}"
        )
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_scale_depth(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _scale_depth(
    values: npt.NDArray[np.uint16 | np.int32 | np.float32],
) -> npt.NDArray[np.uint8]:
    """Return grey values as 8 bits: 16-bit integers by their range, floats of 0-1 or by maximum."""
    highest = float(np.nanmax(values, initial=0))
    if values.dtype.kind in "iu":
        # 32-bit integers may hold 8-bit greys.
        top = 255.0 if highest <= 255 and values.dtype.itemsize == 4 else 65535.0
    else:
        top = max(1.0, highest)
    scaled = np.nan_to_num(values.astype(np.float64)) * (255.0 / top)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _sniff(data: bytes) -> str:
    head = data[:_SNIFFED_BYTES].lstrip()
    if head.lower().startswith(_HTML_STARTS):
        return "an HTML page (an error page saved under an image's name?)"
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if not any(data[:_SNIFFED_BYTES]):
        return "nothing but zero bytes"
    try:
        head.decode()
    except UnicodeDecodeError:
        return "data of an unknown format"
    return "text"

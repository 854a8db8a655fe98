"""Encoded bytes, PIL images and arrays to upright 8-bit pixels, or an error that tells the mend."""

from __future__ import annotations

import io
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from nbannotate.errors import ImageError
from nbannotate.images.readers import Raw, check_array

MAX_PIXELS = 500_000_000  # 1.5 GB as RGB

_READABLE = "JPEG, PNG, WebP, BMP, GIF or TIFF"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A PIL image reads its file at the first touch, and two threads at once would garble it
_PIL_LOCK = threading.Lock()
_WINDOW_ROWS_VALUES = 1 << 22  # values turned into 8 bits at a time, to bound the memory


class _Tiff(TiffImagePlugin.TiffImageFile):
    """TIFF without Pillow's process-wide pixel limit; `check_pixels` applies the caller's own."""

    def load_prepare(self) -> None:
        # Pillow checks its limit just where it allocates: what is there already is not checked
        if getattr(self, "_im", None) is None:
            self.im = Image.new(self.mode, getattr(self, "_tile_size", self.size)).im
        super().load_prepare()


def open_header(raw: Raw, key: str) -> Image.Image:
    """Open an image without decoding its pixels.

    Raises
    ------
    ImageError
        If it is not an image of a kind we read.
    """
    if isinstance(raw, Image.Image):
        return raw
    if isinstance(raw, np.ndarray):
        check_array(raw, key)
        return Image.fromarray(np.ascontiguousarray(raw))
    opener = _opener(raw, key)
    try:
        # The plug-in itself, not Image.open: that compares with a limit shared by the process,
        # and silencing its warning would change the filters of other threads
        return opener(io.BytesIO(raw))
    except Exception as error:  # Pillow's parsers raise nearly anything on a broken header
        raise _broken(key, error) from error


def check_pixels(width: int, height: int, key: str, max_pixels: int) -> None:
    """Refuse an image before decoding that would take too much memory."""
    if width * height > max_pixels:
        raise ImageError(
            f"{key} has {width * height / 1e6:,.0f} megapixels, more than the limit of "
            f"{max_pixels / 1e6:,.0f}; raise it with max_pixels={width * height}."
        )


def orientation(image: Image.Image, raw: Raw) -> int:
    """EXIF orientation, 1 to 8, that is yet to be applied to the pixels; 1 if there is none."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1  # Pillow turns TIFFs itself
    try:
        if isinstance(raw, bytes):
            exif = Image.Exif()
            is_png = image.format == "PNG"
            # Pillow would decode a whole PNG to learn of EXIF that stands behind the pixels
            exif.load(_png_exif(raw) if is_png else image.info.get("exif", b""))
        elif isinstance(raw, Image.Image):
            with _PIL_LOCK:
                exif = raw.getexif()
        else:
            return 1
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF beside sound pixels: shown as stored, as browsers do
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright_size(image: Image.Image, raw: Raw) -> tuple[int, int]:
    """Width and height once the orientation is applied."""
    width, height = image.size
    return (height, width) if orientation(image, raw) >= 5 else (width, height)


def decode(image: Image.Image, raw: Raw, key: str) -> Image.Image:
    """Decode the pixels, upright and in 8 bits: mode L, LA, RGB or RGBA.

    Parameters
    ----------
    image
        As `open_header` gave it; a JPEG may have been told a smaller size with ``draft``.
    raw
        What it was opened from.
    key
        Names the image in errors.
    """
    turn = orientation(image, raw)
    try:
        with _PIL_LOCK if raw is image else threading.Lock():
            image.load()
        image = displayable(image)
        return image.transpose(_TRANSPOSE[turn]) if turn != 1 else image
    except Exception as error:  # Pillow's decoders raise nearly anything on broken data
        raise _broken(key, error) from error


def pixel_bytes(image: Image.Image, key: str) -> bytes:
    """The pixels of a PIL image as it has them in memory.

    Raises
    ------
    ImageError
        If its file cannot be decoded.
    """
    try:
        with _PIL_LOCK:
            return image.tobytes()
    except Exception as error:  # Pillow's decoders raise nearly anything on broken data
        raise _broken(key, error) from error


def displayable(image: Image.Image) -> Image.Image:
    """Convert to what PNG and JPEG can carry and a screen can show: L, LA, RGB or RGBA."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _windowed(image)
    has_alpha = "transparency" in image.info or mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if mode in ("L", "1", "LA", "La"):
        target = "LA" if has_alpha else "L"
    else:
        target = "RGBA" if has_alpha else "RGB"
    if mode == target:
        return image
    if mode == "La":
        return image.convert("LA")
    return image.convert(target)


def is_whole(data: bytes, image: Image.Image) -> bool:
    """Whether the bytes reach the end of the image; a cheap test that decodes nothing."""
    if image.format == "PNG":
        return _png_is_whole(data)
    if image.format == "JPEG":
        # The thumbnail in the EXIF has an end of its own: look behind the start of the scan,
        # where the end marker cannot occur by chance
        return data.find(b"\xff\xd9", _jpeg_scan(data)) >= 0
    return len(data) >= int.from_bytes(data[4:8], "little") + 8  # WebP


def is_animated(image: Image.Image) -> bool:
    """Whether there are several frames."""
    return bool(getattr(image, "is_animated", False))


def png_bit_depth(data: bytes) -> int:
    """Bits a channel of a PNG."""
    return data[24]


def _opener(data: bytes, key: str) -> Callable[[io.BytesIO], ImageFile.ImageFile]:
    if data[:3] == b"\xff\xd8\xff":
        return JpegImagePlugin.JpegImageFile
    if data[:8] == _PNG_START:
        return PngImagePlugin.PngImageFile
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if data[:4] == b"GIF8":
        return GifImagePlugin.GifImageFile
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _Tiff
    if data[:2] == b"BM":
        return BmpImagePlugin.BmpImageFile
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        why = "the file is empty (0 bytes). Copy it again from where it came from."
    elif start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in data[:4096]):
        why = "SVG is a drawing without pixels. Export it as PNG first."
    elif start.startswith((b"<!doctype", b"<html")):
        why = "this is a web page, not an image. Download the image itself."
    elif data[4:8] == b"ftyp":
        why = f"HEIC and AVIF are not read. Convert it to {_READABLE}."
    else:
        why = f"not an image in {_READABLE}, whatever its name says. Convert or remove it."
    raise ImageError(f"{key}: {why}")


def _broken(key: str, error: Exception) -> ImageError:
    if isinstance(error, MemoryError):
        why, mend = "not enough memory to decode it", "Make it smaller, or free memory"
    elif isinstance(error, Image.DecompressionBombError):
        # Pillow's limit stands inside its WebP and GIF decoders, out of reach
        why, mend = "too large for its format", "Save it as JPEG, PNG or TIFF"
    else:
        why = f"broken or cut off ({str(error).rstrip('.') or type(error).__name__})"
        mend = "Copy it again from where it came from, or remove it"
    return ImageError(f"{key}: {why}. {mend}.")


def _windowed(image: Image.Image) -> Image.Image:
    """More than 8 bits to gray, from the least to the greatest value that occurs."""
    values: NDArray[Any] = np.asarray(image)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    factor = 255.0 / (high - low) if high > low else 0.0
    gray = np.empty(values.shape, np.uint8)
    step = max(1, _WINDOW_ROWS_VALUES // max(1, values.shape[1]))
    for top in range(0, len(values), step):
        part = (values[top : top + step].astype(np.float64) - low) * factor
        np.nan_to_num(part, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        gray[top : top + step] = part.round()
    return Image.fromarray(gray)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of each chunk that is all there."""
    at = len(_PNG_START)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        yield data[at + 4 : at + 8], at + 8, end
        at = end + 4


def _png_exif(data: bytes) -> bytes:
    return next((data[a:b] for kind, a, b in _png_chunks(data) if kind == b"eXIf"), b"")


def _png_is_whole(data: bytes) -> bool:
    view = memoryview(data)
    for kind, start, end in _png_chunks(data):
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if kind == b"IEND":
            return True
    return False


def _jpeg_scan(data: bytes) -> int:
    """Where the first scan of a JPEG starts; the end of the data if it never does."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        if data[at + 1] == 0xDA:
            return at
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data)

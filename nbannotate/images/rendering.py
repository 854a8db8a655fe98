"""Pictures as a browser gets them: upright, of bounded size, the file's own bytes where they do.

`render` makes the whole picture; what is too large for that is shown in parts by
`nbannotate.images.zoom`.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image

from nbannotate.errors import ImageError
from nbannotate.images.decoding import (
    MAX_PIXELS,
    check_pixels,
    decode,
    is_animated,
    is_whole,
    open_header,
    orientation,
    png_bit_depth,
    upright_size,
)
from nbannotate.images.readers import Raw

BASE_PIXELS = 4_000_000

_MAX_SIDE = 16_384  # canvases of current browsers go no further
_LOSSLESS_PIXELS = 1_000_000  # above, PNG of a photograph costs too much time and room
_QUALITY = 90
_MIMES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


@dataclass(frozen=True)
class Picture:
    """An image as a browser gets it.

    Parameters
    ----------
    key
        Key of the image.
    width, height
        Size in pixels of the whole upright image.
    data
        Bytes that a browser decodes, upright; perhaps smaller than the image.
    mime
        Their kind, such as ``image/jpeg``.
    shown
        Width and height of `data` in its own pixels.
    """

    key: str
    width: int
    height: int
    data: bytes
    mime: str
    shown: tuple[int, int]

    @property
    def scale(self) -> float:
        """Width of `data` in pixels divided by `width`; at most 1."""
        return self.shown[0] / self.width


def size(raw: Raw, key: str) -> tuple[int, int]:
    """Width and height of the upright image, from its header alone.

    Raises
    ------
    ImageError
        If it is not an image; says which, why, and the mend.

    Examples
    --------
    >>> import numpy as np
    >>> size(np.zeros((2, 3), np.uint8), "small")
    (3, 2)
    """
    return upright_size(open_header(raw, key), raw)


def render(
    raw: Raw, key: str, *, base_pixels: int = BASE_PIXELS, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Make the bytes that a browser shows.

    Parameters
    ----------
    raw
        Bytes of a file, a PIL image or a uint8 array.
    key
        Names the image in the result and in errors.
    base_pixels
        A larger image is scaled down to this many pixels.
    max_pixels
        A larger image is refused before it is decoded.

    Raises
    ------
    ImageError
        If it is too large, broken, or not an image; says which, why, and the mend.
    """
    image = open_header(raw, key)
    width, height = upright_size(image, raw)
    check_pixels(width, height, key, max_pixels)
    shown = _fit(width, height, base_pixels)
    if isinstance(raw, bytes) and shown == (width, height) and _passes(raw, image):
        if not is_whole(raw, image):
            decode(image, raw, key)  # some writers leave out the end: the decoder has the last word
        return Picture(key, width, height, raw, _MIMES[str(image.format)], shown)
    is_lossless = _is_lossless(image)
    is_graphic = image.mode in ("1", "P", "PA")
    if isinstance(raw, bytes) and image.format == "JPEG" and shown != (width, height):
        turned = orientation(image, raw) >= 5
        # libjpeg decodes at 1/2, 1/4 or 1/8, never below what is asked for
        image.draft(None, shown[::-1] if turned else shown)
    pixels = decode(image, raw, key)
    if pixels.size != shown:
        pixels = pixels.resize(shown, Image.Resampling.LANCZOS, reducing_gap=3.0)
    small = is_graphic or shown[0] * shown[1] <= _LOSSLESS_PIXELS
    data, mime = encode(pixels, lossless=is_lossless and small, icc=_profile(image, pixels))
    return Picture(key, width, height, data, mime, shown)


def encode(image: Image.Image, *, lossless: bool, icc: bytes | None = None) -> tuple[bytes, str]:
    """Encode pixels as PNG if they are transparent or must stay exact, else as JPEG."""
    stream = io.BytesIO()
    more = {"icc_profile": icc} if icc else {}
    if lossless or image.mode in ("LA", "RGBA"):
        # Level 1: the picture goes over a local wire once, time counts for more than room
        image.save(stream, "PNG", compress_level=1, **more)
        return stream.getvalue(), "image/png"
    image.save(stream, "JPEG", quality=_QUALITY, subsampling=0, **more)
    return stream.getvalue(), "image/jpeg"


def _fit(width: int, height: int, base_pixels: int) -> tuple[int, int]:
    if base_pixels < 1:
        raise ImageError(f"base_pixels is {base_pixels}. Give at least 1.")
    scale = min(1.0, math.sqrt(base_pixels / (width * height)), _MAX_SIDE / max(width, height))
    if scale == 1.0:
        return width, height
    shown = max(1, int(width * scale)), max(1, int(height * scale))
    # a side held at one pixel leaves the other one too long
    return min(shown[0], max(1, base_pixels // shown[1])), min(shown[1], base_pixels)


def _passes(data: bytes, image: Image.Image) -> bool:
    """Whether a browser shows the file's own bytes as they are."""
    if orientation(image, data) != 1 or is_animated(image):
        return False
    if image.format == "JPEG":
        return image.mode in ("L", "RGB")
    if image.format == "PNG":
        # 16-bit gray needs a window; 16-bit colour a browser shows as well as Pillow could
        return not (png_bit_depth(data) == 16 and image.mode.startswith("I"))
    return image.format == "WEBP"


def _is_lossless(image: Image.Image) -> bool:
    if image.format in ("JPEG", "MPO"):
        return False
    return not (image.format == "TIFF" and "jpeg" in str(image.info.get("compression", "")))


def _profile(image: Image.Image, pixels: Image.Image) -> bytes | None:
    """Colour profile of the source, where the pixels still have the channels that it describes."""
    same = image.mode[:1] in ("L", "1") if pixels.mode[0] == "L" else image.mode[:3] == "RGB"
    profile = image.info.get("icc_profile")
    return bytes(profile) if profile and same else None

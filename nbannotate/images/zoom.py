"""Crisp parts of pictures that are too large to send whole, from a few kept decoded."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable

from PIL import Image

from nbannotate.errors import ImageError
from nbannotate.images.decoding import (
    MAX_PIXELS,
    check_pixels,
    decode,
    open_header,
    upright_size,
)
from nbannotate.images.readers import Raw
from nbannotate.images.rendering import encode

Box = tuple[float, float, float, float]

_PIXELATED = 2.0  # from this magnification on, a pixel is shown as a square
_EXACT_PIXELS = 250_000  # few enough to be looked at one by one, and cheap as a PNG
_MAX_CROP_PIXELS = 64_000_000  # an 8K screen has 33 million


class Decoded:
    """An upright 8-bit image, ready for `crop`; made by `DecodedCache` or `decoded`."""

    def __init__(self, pixels: Image.Image) -> None:
        self.pixels = pixels
        self.n_bytes = pixels.width * pixels.height * len(pixels.getbands())


def decoded(raw: Raw, key: str, *, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode an image at its full size."""
    image = open_header(raw, key)
    check_pixels(*upright_size(image, raw), key, max_pixels)
    return Decoded(decode(image, raw, key))


def crop(raw: Raw | Decoded, key: str, box: Box, size: tuple[int, int]) -> bytes:
    """Render a region of an image: a JPEG, or a PNG if it is small or transparent.

    Parameters
    ----------
    raw
        The image, or the same decoded before.
    key
        Names the image in errors.
    box
        x, y, width, height of the region in pixels of the upright image.
    size
        Width and height of the result in pixels.

    Raises
    ------
    ImageError
        If the region reaches outside the image by more than half a pixel, or has no area.
    """
    pixels = (raw if isinstance(raw, Decoded) else decoded(raw, key)).pixels
    left, top, width, height = map(float, box)
    right, bottom = left + width, top + height
    is_inside = (
        min(left, top) >= -0.5 and right <= pixels.width + 0.5 and bottom <= pixels.height + 0.5
    )
    if not (all(map(math.isfinite, box)) and width > 0 and height > 0 and is_inside):
        raise ImageError(
            f"{key}: the region {box} is not within the image of {pixels.width} x "
            f"{pixels.height} pixels. Clip it first."
        )
    if not (min(size) >= 1 and size[0] * size[1] <= _MAX_CROP_PIXELS):
        raise ImageError(
            f"{key}: cannot render a region as {size[0]} x {size[1]} pixels. Ask for 1 to "
            f"{_MAX_CROP_PIXELS:,} pixels."
        )
    magnification = min(size[0] / width, size[1] / height)
    if magnification >= _PIXELATED:
        method = Image.Resampling.NEAREST
    else:
        method = Image.Resampling.LANCZOS if magnification < 1 else Image.Resampling.BICUBIC
    edges = max(left, 0.0), max(top, 0.0), min(right, pixels.width), min(bottom, pixels.height)
    part = pixels.resize(size, method, box=edges, reducing_gap=3.0)
    return encode(part, lossless=size[0] * size[1] <= _EXACT_PIXELS)[0]


class DecodedCache:
    """Decoded large images, those used longest ago dropped first. Safe between threads.

    Parameters
    ----------
    max_bytes
        Room for them. The newest one stays even if it is larger: it was decoded anyway.
    max_pixels
        A larger image is refused before it is decoded.
    """

    def __init__(self, max_bytes: int = 1_000_000_000, *, max_pixels: int = MAX_PIXELS) -> None:
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Decoded] = OrderedDict()
        self._decoding: dict[str, threading.Lock] = {}

    def get(self, key: str, load: Callable[[str], Raw]) -> Decoded:
        """Return the image decoded; `load` is called with the key if it is not kept."""
        with self._lock:
            one_at_a_time = self._decoding.setdefault(key, threading.Lock())
        with one_at_a_time:
            found = self._find(key)
            if found is None:
                found = decoded(load(key), key, max_pixels=self._max_pixels)
                self._keep(key, found)
        with self._lock:
            self._decoding.pop(key, None)
        return found

    def clear(self) -> None:
        """Drop all of them."""
        with self._lock:
            self._kept.clear()

    def _find(self, key: str) -> Decoded | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: str, image: Decoded) -> None:
        with self._lock:
            self._kept[key] = image
            while len(self._kept) > 1 and self._total() > self._max_bytes:
                self._kept.popitem(last=False)

    def _total(self) -> int:
        return sum(image.n_bytes for image in self._kept.values())

"""Masks as PNG files, as label tools store them."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from nbannotate.core.masks import Pixels, check_pixels
from nbannotate.formats.shared.files import open_image


def read_png(data: bytes) -> Pixels:
    """Which pixels of a PNG are set: those not transparent if it has that, else those not 0.

    Raises
    ------
    ValueError
        If it is no PNG, is damaged, or is too large.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        raise ValueError("the mask is no PNG picture; save it anew")
    check_pixels(*struct.unpack(">II", data[16:24]))
    try:
        with open_image(io.BytesIO(data), formats=["PNG"]) as file:
            clear = "transparency" in file.info or file.mode in ("LA", "RGBA", "PA")
            pixels = np.asarray(file.convert("RGBA").getchannel("A") if clear else file)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise ValueError(f"the mask's PNG is damaged ({error}); save it anew") from error
    set_ = pixels != 0 if pixels.ndim == 2 else (pixels != 0).any(axis=2)
    return np.asarray(set_, dtype=np.bool_)


def png_bytes(pixels: Pixels) -> bytes:
    """The mask as a grey PNG of zeros and ones."""
    sink = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(sink, format="PNG")
    return sink.getvalue()

"""Masks as pixels: from and to COCO's run lengths, and PNG files as label tools store them."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nbannotate.formats.shared.files import open_image
from nbannotate.formats.shared.shapes import rle_counts

MOST_PIXELS = 80_000_000
"""Of a mask: one byte each, and Pillow warns of larger pictures."""

Pixels = NDArray[np.bool_]  # shape (height, width)


def mask_pixels(mask: dict[str, Any]) -> Pixels:
    """The pixels of a mask; `ValueError` if there are too many or its runs do not fill it."""
    height, width = mask["size"]
    check_pixels(width, height)
    counts = mask["counts"]
    runs = rle_counts(counts.decode("ascii") if isinstance(counts, bytes) else counts)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise ValueError(f"the mask's runs fill {runs.sum()} of {height} × {width} pixels")
    values = np.zeros(len(runs), dtype=np.bool_)
    values[1::2] = True
    return np.repeat(values, runs).reshape(width, height).T


def mask_rle(pixels: Pixels) -> dict[str, Any]:
    """The mask as COCO's compressed run lengths."""
    height, width = pixels.shape
    column = np.asarray(pixels, dtype=np.bool_).ravel(order="F")
    edges = np.flatnonzero(column[1:] != column[:-1]) + 1
    ends = np.concatenate([[0], edges, [column.size]])
    counts = np.diff(ends).tolist()
    if column.size and column[0]:
        counts.insert(0, 0)
    return {"size": [height, width], "counts": _text(counts)}


def _text(counts: list[int]) -> str:
    """Run lengths as COCO's text.

    Source: pycocotools, common/maskApi.c, rleToString.
    """
    chars: list[int] = []
    for number, count in enumerate(counts):
        value = count - counts[number - 2] if number > 2 else count
        while True:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            chars.append((bits | 0x20 if more else bits) + 48)
            if not more:
                break
    return bytes(chars).decode("ascii")


def check_pixels(width: int, height: int) -> None:
    """Raise `ValueError` for a mask of no size, or of more pixels than are worked on at once."""
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise ValueError(
            f"a mask of {width} × {height} pixels is empty or over {MOST_PIXELS // 10**6} "
            "million pixels; cut the image into parts"
        )


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


def cut_out(pixels: Pixels) -> tuple[int, int, Pixels]:
    """Left, top and the pixels of the smallest part that holds all of the mask.

    An empty mask gives its first pixel, which is not set.
    """
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return 0, 0, pixels[:1, :1]
    top, left = int(rows[0]), int(columns[0])
    return left, top, pixels[top : rows[-1] + 1, left : columns[-1] + 1]


def put_in(part: Pixels, left: int, top: int, width: int, height: int) -> Pixels:
    """The mask of a whole image from a part of it; `ValueError` if the part reaches outside."""
    check_pixels(width, height)
    part_height, part_width = part.shape
    if not (0 <= left <= width - part_width and 0 <= top <= height - part_height):
        raise ValueError(
            f"the mask of {part_width} × {part_height} pixels at {left}, {top} reaches outside "
            f"the image of {width} × {height}; mend its origin"
        )
    pixels = np.zeros((height, width), dtype=np.bool_)
    pixels[top : top + part_height, left : left + part_width] = part
    return pixels

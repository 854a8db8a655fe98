"""Labels that cover pixels, painted one over the other; and pictures of labels, read."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nbannotate.core.masks import check_pixels, mask_rle, rle_bounds
from nbannotate.core.raster import FILLED, label_pixels
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import open_image, opened
from nbannotate.formats.shared.outgoing import Label
from nbannotate.formats.shared.tables import count_lost

COVERED = "pixels that a later label covers"
Indices = NDArray[np.int64]  # shape (height, width)


@dataclass(frozen=True)
class Painted:
    """Labels on one image.

    Parameters
    ----------
    labels
        Those that cover pixels, in the order of the table.
    numbers
        Of each pixel the number of its label, from 1; 0: none. Shape (height, width).
    whole
        Of each label: whether no other covers any of it.
    """

    labels: list[Label]
    numbers: Indices
    whole: list[bool]


def paint(
    labels: Sequence[Label], width: int, height: int, path: Path, lost: dict[str, int]
) -> Painted:
    """Paint labels in their order; what is covered is counted as lost, in labels.

    Raises
    ------
    FormatError
        If a shape cannot be painted; `path` is what is written.
    """
    filled = [label for label in labels if label.kind in FILLED]
    numbers = np.zeros((height, width), dtype=np.int64)
    sizes = []
    for number, label in enumerate(filled, 1):
        try:
            check_pixels(width, height)
            pixels = label_pixels(label.kind, label.box, label.geometry, width, height)
        except (ValueError, TypeError, KeyError) as error:
            raise FormatError(
                path, f"label {label.label_id!r}", f"{label.kind}: {error}; mend or delete it"
            ) from error
        numbers[pixels] = number
        sizes.append(int(pixels.sum()))
    left = np.bincount(numbers.ravel(), minlength=len(filled) + 1)[1:].tolist()
    whole = [a == b for a, b in zip(left, sizes, strict=True)]
    count_lost(lost, f"labels with {COVERED}", whole.count(False))
    return Painted(filled, numbers, whole)


def masks(numbers: Indices, wanted: Sequence[int]) -> Iterator[tuple[int, Any, list[float]]]:
    """Of each of the numbers that is there: it, its pixels as a mask, and the box around them."""
    for number in wanted:
        pixels = numbers == number
        if pixels.any():
            mask = mask_rle(pixels)
            yield number, mask, rle_bounds(mask)


def read_indices(path: Path) -> tuple[Indices, str]:
    """The numbers of a picture's pixels, and its mode; of RGB: R + 256 G + 65536 B.

    Raises
    ------
    FormatError
        If it is no picture of one channel or of RGB, or is too large.
    """
    try:
        with opened(str(path)) as file, open_image(file, formats=["PNG"]) as image:
            check_pixels(*image.size)
            mode = image.mode
            if mode not in ("1", "L", "P", "I", "I;16", "I;16B", "RGB", "RGBA"):
                raise ValueError(f"it has the mode {mode}")
            pixels = np.asarray(image.convert("RGB") if mode == "RGBA" else image)
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(path, "", f"is no picture of labels ({error}); save it as PNG") from error
    values = pixels.astype(np.int64)
    if values.ndim == 3:
        return values[:, :, 0] + 256 * values[:, :, 1] + 65536 * values[:, :, 2], "RGB"
    return values, mode


def indexed_png(numbers: Indices, colours: Mapping[int, str], *, deep: bool = False) -> bytes:
    """A PNG of those numbers: up to 255 with a palette if there are colours; else of 16 bits.

    Parameters
    ----------
    numbers
        From 0 to 65535.
    colours
        Of numbers up to 255, as ``#rrggbb``.
    deep
        Whether it has 16 bits in any case.
    """
    sink = io.BytesIO()
    if deep or numbers.max(initial=0) > 255:
        Image.fromarray(numbers.astype(np.uint16)).save(sink, format="PNG")
        return sink.getvalue()
    image = Image.fromarray(numbers.astype(np.uint8))
    if colours:
        palette = np.zeros((256, 3), dtype=np.uint8)
        for number, colour in colours.items():
            if number < 256:
                palette[number] = list(bytes.fromhex(colour.removeprefix("#")))
        image.putpalette(palette.ravel().tolist())
    image.save(sink, format="PNG")
    return sink.getvalue()


def rgb_png(numbers: Indices) -> bytes:
    """A PNG whose R + 256 G + 65536 B are those numbers."""
    channels = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16 & 255], axis=2)
    sink = io.BytesIO()
    Image.fromarray(channels.astype(np.uint8)).save(sink, format="PNG")
    return sink.getvalue()

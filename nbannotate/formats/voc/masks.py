"""Segmentation of Pascal VOC: two indexed PNG files an image, and the colours of their indices.

Source: Everingham and Winn, The PASCAL Visual Object Classes Challenge 2012 Development Kit,
section 2.4: index 0 is the background and 255 the void border of an object; the index of an object
in SegmentationObject is its place among the objects of the image's XML file.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nbannotate.core.masks import check_pixels
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import open_image
from nbannotate.formats.shared.json_files import load

VOID = 255
MOST = VOID - 1
"""Objects of an image, and classes, that indexed pixels can tell apart."""

NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""VOC's own classes, whose indices start at 1."""

Indices = NDArray[np.uint8]  # shape (height, width)


def _palette() -> NDArray[np.uint8]:
    """VOC's colours of the indices, shape (256, 3): the bits of an index, spread over r, g, b."""
    index = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours.astype(np.uint8)


PALETTE = _palette()


def numbers(names: list[str]) -> dict[str, int]:
    """The index of each class: VOC's own if all are VOC's, else its place from 1."""
    listed = NAMES if set(names) <= set(NAMES) else names
    return {name: number for number, name in enumerate(listed, 1) if name in set(names)}


def encode(indices: Indices) -> bytes:
    """The indices as PNG with VOC's colours."""
    picture = Image.fromarray(indices)
    picture.putpalette(PALETTE.ravel().tolist())  # which makes it an indexed one
    sink = io.BytesIO()
    picture.save(sink, format="PNG")
    return sink.getvalue()


def decode(file: Path, colours: NDArray[np.uint8]) -> Indices:
    """The indices of a PNG file.

    Parameters
    ----------
    file
        Indexed, grey with the indices as its values, or in colours.
    colours
        The colour of each index, for files in colours.

    Raises
    ------
    FormatError
        If it is no PNG, too large, damaged, or has a colour that is none of those.
    """
    data = load(file)
    try:
        if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
            raise ValueError("is no PNG picture; save it anew")
        check_pixels(*struct.unpack(">II", data[16:24]))
        with open_image(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.mode in ("P", "L"):
                return np.asarray(picture, dtype=np.uint8)
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, struct.error, ValueError) as error:
        raise FormatError(file, "", f"cannot be read as a mask ({error}); save it anew") from error
    return _indices(file, pixels, colours)


def _indices(file: Path, pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> Indices:
    weights = np.array([1 << 16, 1 << 8, 1])
    codes, places = np.unique(pixels.reshape(-1, 3) @ weights, return_inverse=True)
    known = {int(code): index for index, code in reversed(list(enumerate(colours @ weights)))}
    known.setdefault(int(np.array([224, 224, 192]) @ weights), VOID)
    try:
        found = np.array([known[code] for code in codes.tolist()], dtype=np.uint8)
    except KeyError as error:
        colour = f"#{error.args[0]:06x}"
        raise FormatError(
            file, "", f"has the colour {colour}, which no index has; save it with VOC's palette"
        ) from error
    return found[places].reshape(pixels.shape[:2])

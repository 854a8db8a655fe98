"""Outlines as pixels: a pixel belongs to a shape if its centre is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import Pixels, check_pixels, mask_pixels
from nbannotate.core.rings import box_ring, rings

FILLED = ("mask", "polygon", "rotated_box", "box")
"""Kinds of labels that cover pixels."""


def polygon_pixels(parts: Sequence[ArrayLike], width: int, height: int) -> Pixels:
    """Pixels inside any of the rings, each by the even-odd rule, shape (height, width).

    Parameters
    ----------
    parts
        Rings, each of shape (n, 2), in pixels; the first pixel's centre is at (0.5, 0.5).
    width, height
        Of the image.

    Raises
    ------
    ValueError
        If the image is too large.
    """
    check_pixels(width, height)
    pixels = np.zeros((height, width), dtype=np.bool_)
    for part in parts:
        ring = np.asarray(part, dtype=np.float64).reshape(-1, 2)
        start, end = ring, np.roll(ring, -1, axis=0)
        low = np.clip(np.floor(ring.min(axis=0)), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(ring.max(axis=0)), 0, (width, height)).astype(int)
        if (high <= low).any():
            continue
        # Where the edges cross the line through the centres of a row, inside and outside change.
        crossings = np.zeros((high[1] - low[1], high[0] - low[0] + 1), dtype=np.int64)
        for (x, y), (to_x, to_y) in zip(start.tolist(), end.tolist(), strict=True):
            first, last = sorted((y, to_y))
            rows = np.arange(
                max(int(np.ceil(first - 0.5)), low[1]), min(int(np.ceil(last - 0.5)), high[1])
            )
            if len(rows):
                at = x + (rows + 0.5 - y) * ((to_x - x) / (to_y - y))
                column = np.clip(np.ceil(at - 0.5), low[0], high[0]).astype(int) - low[0]
                crossings[rows - low[1], column] += 1
        inside = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
        pixels[low[1] : high[1], low[0] : high[0]] |= inside
    return pixels


def label_pixels(kind: str, box: Sequence[float], shape: Any, width: int, height: int) -> Pixels:
    """Pixels that a label of a filled kind covers; `ValueError` says why there are none.

    Parameters
    ----------
    kind, shape
        As in a labels table.
    box
        x, y, width, height in pixels.
    width, height
        Of the image.
    """
    if kind == "mask":
        pixels = mask_pixels(shape)
        if pixels.shape != (height, width):
            raise ValueError(f"the mask's size is not that of the image, {width} × {height}")
        return pixels
    if kind == "polygon" and shape:
        return polygon_pixels(rings(shape), width, height)
    if kind == "rotated_box" and shape:
        corners = rotated_corners(np.array([shape], dtype=np.float64))
        return polygon_pixels([corners[0]], width, height)
    return polygon_pixels([box_ring(box)], width, height)

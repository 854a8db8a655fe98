"""Masks: COCO's run lengths to pixels and back, checked and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def rle_counts(counts: str | Sequence[int]) -> NDArray[np.int64]:
    """Run lengths of a COCO mask, column by column, zeros first.

    Source: pycocotools, common/maskApi.c, rleFrString.
    """
    if not isinstance(counts, str):
        return np.asarray(counts, dtype=np.int64)
    runs: list[int] = []
    value = shift = 0
    for char in counts.encode("ascii"):
        bits = char - 48
        if not 0 <= bits < 64:
            raise ValueError(f"counts holds {chr(char)!r}, which run-length text does not have")
        value |= (bits & 0x1F) << (5 * shift)
        shift += 1
        if not bits & 0x20:
            if bits & 0x10:
                value |= -1 << (5 * shift)
            # From the third on, runs are stored as the difference to the one before the last.
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("counts ends within a number")
    return np.asarray(runs, dtype=np.int64)


def check_rle(segmentation: Any) -> dict[str, Any]:
    """The mask if its runs fill its size; `ValueError` says what is wrong."""
    try:
        height, width = (int(side) for side in segmentation["size"])
        runs = rle_counts(segmentation["counts"])
    except (KeyError, TypeError, UnicodeEncodeError) as error:
        raise ValueError("the mask is not {size: [height, width], counts: …}") from error
    if (runs < 0).any() or int(runs.sum()) != height * width:
        # pycocotools makes garbage of such a mask without a word.
        raise ValueError(f"the mask's runs fill {runs.sum()} of {height} × {width} pixels")
    return {"size": [height, width], "counts": segmentation["counts"]}


def rle_area(mask: dict[str, Any]) -> float:
    """Pixels that the mask covers."""
    return float(rle_counts(mask["counts"])[1::2].sum())


def rle_bounds(mask: dict[str, Any]) -> list[float]:
    """x, y, width, height around the mask's pixels; zeros for an empty one."""
    height = mask["size"][0]
    runs = rle_counts(mask["counts"])
    ends = np.cumsum(runs)
    starts, stops = (ends - runs)[1::2], ends[1::2]
    used = stops > starts
    starts, last = starts[used], stops[used] - 1
    if not len(starts):
        return [0.0, 0.0, 0.0, 0.0]
    left, right = int(starts[0] // height), int(last[-1] // height)
    # A run that goes on in the next column touches both the bottom and the top edge.
    spans = (starts // height) != (last // height)
    top = 0 if spans.any() else int((starts % height).min())
    bottom = height - 1 if spans.any() else int((last % height).max())
    return [float(left), float(top), float(right - left + 1), float(bottom - top + 1)]

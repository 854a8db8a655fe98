"""Polygons and run-length masks as COCO has them: parsed, checked and measured."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ring = list[list[float]]


def rings(geometry: Any) -> list[Ring]:
    """A polygon's parts as rings of points; a single ring may be given bare."""
    if not geometry:
        return []
    first = geometry[0]
    if len(first) and np.isscalar(first[0]):
        return [geometry]
    return list(geometry)


def ring_area(ring: Sequence[Sequence[float]]) -> float:
    """Area in square pixels by the shoelace formula, from 0 up."""
    # Plain numbers: for the few points of a ring arrays take ten times as long.
    x, y = zip(*ring, strict=True)
    forth, back = sum(map(mul, x, (*y[1:], y[0]))), sum(map(mul, y, (*x[1:], x[0])))
    return float(abs(forth - back) / 2)


def flat_to_rings(segmentation: Any) -> list[Ring]:
    """Rings from COCO's ``[[x1, y1, x2, y2, ...], ...]``; `ValueError` says what is wrong.

    A flat list is taken as one ring: some tools write it, though pycocotools does not read it.
    """
    if not all(isinstance(ring, list) for ring in segmentation):
        segmentation = [segmentation]
    result: list[Ring] = []
    for number, ring in enumerate(segmentation):
        if len(ring) < 6 or len(ring) % 2:
            raise ValueError(
                f"polygon {number} has {len(ring)} numbers; it needs an even count of 6 or more"
            )
        points = np.asarray(ring, dtype=np.float64)
        if not np.isfinite(points).all():
            raise ValueError(f"polygon {number} holds NaN or infinity; give finite numbers")
        result.append(points.reshape(-1, 2).tolist())
    return result


def bounds(parts: Sequence[Ring]) -> list[float]:
    """x, y, width, height around all rings, in pixels."""
    points = np.concatenate([np.asarray(ring, dtype=np.float64) for ring in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


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

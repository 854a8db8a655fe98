"""Outlines: rings of points, in pixels, parsed, checked and measured."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import Any

import numpy as np

Ring = list[list[float]]


def rings(geometry: Any) -> list[Ring]:
    """A polygon's parts as rings of points; a single ring may be given bare."""
    if not geometry:
        return []
    first = geometry[0]
    if len(first) and np.isscalar(first[0]):
        return [geometry]
    return list(geometry)


def signed_area(ring: Sequence[Sequence[float]]) -> float:
    """Area in square pixels by the shoelace formula; above 0 if it runs clockwise, y being down."""
    # Plain numbers: for the few points of a ring arrays take ten times as long.
    x, y = zip(*ring, strict=True)
    forth, back = sum(map(mul, x, (*y[1:], y[0]))), sum(map(mul, y, (*x[1:], x[0])))
    return float((forth - back) / 2)


def ring_area(ring: Sequence[Sequence[float]]) -> float:
    """Area in square pixels, from 0 up."""
    return abs(signed_area(ring))


def box_ring(box: Sequence[float]) -> Ring:
    """The corners of x, y, width, height, from the upper left one clockwise."""
    x, y, width, height = box
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


def is_box_ring(ring: Ring) -> bool:
    """Whether the points are the corners of the box around them, as `box_ring` has them."""
    return len(ring) == 4 and np.allclose(ring, box_ring(bounds([ring])), rtol=0, atol=1e-9)


def bounds(parts: Sequence[Ring]) -> list[float]:
    """x, y, width, height around all rings, in pixels."""
    points = np.concatenate([np.asarray(ring, dtype=np.float64) for ring in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


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

"""Boxes as (n, 4) float arrays: x, y, width, height in pixels of the upright image.

Rotated boxes are (n, 5): the centre, the width, the height, and the angle in radians by which the
box is turned about its centre, positive clockwise on screen, as y points down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbannotate.errors import LabelError

Boxes = NDArray[np.float64]  # shape (n, 4)
RotatedBoxes = NDArray[np.float64]  # shape (n, 5)

SMALLEST_SIDE = 2.0
"""Shapes under this width or height, in image pixels, are slips of the hand."""


def as_boxes(values: ArrayLike) -> Boxes:
    """Boxes as a float array of shape (n, 4); one box may be given flat.

    Parameters
    ----------
    values
        Anything array-like of shape (n, 4) or (4,): x, y, width, height in pixels.

    Raises
    ------
    LabelError
        If the shape is another, a number is not finite, or a side is negative.
    """
    boxes = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if boxes.size == 0:
        return np.empty((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise LabelError(
            f"boxes of shape {boxes.shape}; give (n, 4) numbers: x, y, width, height in pixels"
        )
    bad = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise LabelError(
            f"box {first}: {boxes[first].tolist()} is not finite or has a negative side; "
            "give x, y, width, height in pixels, the sides not negative"
        )
    return boxes


def from_corners(corners: ArrayLike) -> Boxes:
    """Boxes from (n, 4) pairs of opposite corners x1, y1, x2, y2, in any order, in pixels."""
    values = np.atleast_2d(np.asarray(corners, dtype=np.float64))
    low = np.minimum(values[:, :2], values[:, 2:])
    high = np.maximum(values[:, :2], values[:, 2:])
    return np.hstack([low, high - low])


def to_corners(boxes: Boxes) -> NDArray[np.float64]:
    """Corners x1, y1, x2, y2 of the boxes, shape (n, 4), in pixels."""
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """Areas in square pixels, shape (n,)."""
    return np.asarray(boxes[:, 2] * boxes[:, 3], dtype=np.float64)


def clamp(boxes: Boxes, width: ArrayLike, height: ArrayLike) -> Boxes:
    """Cut the boxes at the edges of their image.

    Parameters
    ----------
    boxes
        Shape (n, 4).
    width, height
        Size of the image in pixels: one number, or one a box.

    Returns
    -------
    Shape (n, 4). A box that lies outside altogether comes back with a side of 0.
    """
    result = np.array(boxes, dtype=np.float64)
    x, y, w, h = result.T
    # Those inside stay what they are, to the last bit.
    inside = (x >= 0) & (y >= 0) & (w >= 0) & (h >= 0) & (x + w <= width) & (y + h <= height)
    rows = np.flatnonzero(~inside)
    if len(rows):
        size = np.empty((len(result), 2))
        size[:, 0], size[:, 1] = width, height
        corners = to_corners(result[rows])
        corners[:, :2] = np.clip(corners[:, :2], 0, size[rows])
        corners[:, 2:] = np.clip(corners[:, 2:], 0, size[rows])
        result[rows] = from_corners(corners)
    return result


def too_small(boxes: Boxes, smallest: float = SMALLEST_SIDE) -> NDArray[np.bool_]:
    """Which boxes have a side under `smallest` pixels, shape (n,)."""
    return np.asarray((boxes[:, 2:] < smallest).any(axis=1), dtype=np.bool_)


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every box in `a` with every box in `b`.

    Parameters
    ----------
    a, b
        Boxes, shape (n, 4) and (m, 4): x, y, width, height in pixels.

    Returns
    -------
    Shape (n, m), each value in [0, 1]. A box without area overlaps nothing: 0.

    Source: Everingham et al., The Pascal VOC Challenge, IJCV 2010, eq. 3.
    """
    corners_a, corners_b = to_corners(a)[:, None, :], to_corners(b)[None, :, :]
    low = np.maximum(corners_a[..., :2], corners_b[..., :2])
    high = np.minimum(corners_a[..., 2:], corners_b[..., 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = areas(a)[:, None] + areas(b)[None, :] - overlap
    ratio: NDArray[np.float64] = np.divide(
        overlap, union, out=np.zeros_like(overlap), where=union > 0
    )
    return np.minimum(ratio, 1.0)  # rounding of corners far from the origin gives a little more


def rotated_corners(rotated: RotatedBoxes) -> NDArray[np.float64]:
    """Corners of rotated boxes in pixels, shape (n, 4, 2): top left before the turn, clockwise."""
    cosine, sine = np.cos(rotated[:, 4]), np.sin(rotated[:, 4])
    along = np.stack([cosine, sine], axis=1) * rotated[:, 2:3] / 2
    down = np.stack([-sine, cosine], axis=1) * rotated[:, 3:4] / 2
    sides = np.stack([-along - down, along - down, along + down, down - along], axis=1)
    return np.asarray(rotated[:, None, :2] + sides, dtype=np.float64)


def rotated_from_corners(corners: ArrayLike, tolerance: float = 0.5) -> RotatedBoxes:
    """Rotated boxes from their corners, shape (n, 5).

    Parameters
    ----------
    corners
        Shape (n, 4, 2), in pixels, one after the other around the box; the first two are the
        ends of the side that is its width.
    tolerance
        How far in pixels a corner may lie from that of a rectangle. Other quadrilaterals become
        the smallest rectangle around them.
    """
    points = np.asarray(corners, dtype=np.float64).reshape(-1, 4, 2)
    along = (points[:, 1] - points[:, 0] + points[:, 2] - points[:, 3]) / 2
    down = (points[:, 3] - points[:, 0] + points[:, 2] - points[:, 1]) / 2
    angle = np.arctan2(along[:, 1], along[:, 0])
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    # Negative where the corners go round the other way.
    height = (down * across).sum(axis=1)
    fitted = np.column_stack([points.mean(axis=1), np.hypot(*along.T), height, angle])
    off = np.abs(rotated_corners(fitted) - points).max(axis=(1, 2), initial=0.0) > tolerance
    fitted[:, 3] = np.abs(height)
    if off.any():
        fitted[off] = _smallest_rectangles(points[off])
    return fitted


def _smallest_rectangles(points: NDArray[np.float64]) -> RotatedBoxes:
    """The smallest rectangle around each four points, shape (n, 5).

    One of its sides lies on a side of their hull, which is one of the six lines through two.
    """
    first, second = np.triu_indices(4, 1)
    lines = points[:, second] - points[:, first]
    angle = np.arctan2(lines[..., 1], lines[..., 0])
    axes = np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # (n, 6, 2)
    normals = np.stack([-axes[..., 1], axes[..., 0]], axis=-1)
    spans = [np.einsum("nij,nkj->nik", points, direction) for direction in (axes, normals)]
    low = np.stack([span.min(axis=1) for span in spans], axis=-1)
    high = np.stack([span.max(axis=1) for span in spans], axis=-1)
    best = np.prod(high - low, axis=-1).argmin(axis=1)
    rows = np.arange(len(points))
    low, high, axis, normal = (part[rows, best] for part in (low, high, axes, normals))
    middle = (low + high) / 2
    centre = middle[:, :1] * axis + middle[:, 1:] * normal
    return np.column_stack([centre, high - low, angle[rows, best]])

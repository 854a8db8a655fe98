"""Masks as outlines: along the edges of pixels, and with fewer points where that is asked for.

An outline covers the same pixels as its mask, to the pixel. A hole is joined to the ring around it
by a seam, there and back at one place, so that each part is a single ring, as all formats have it.

Sources: the rings follow the edges between pixels that are in and out, as in Freeman's chain code;
fewer points by Douglas and Peucker, "Algorithms for the reduction of the number of points required
to represent a digitized line or its caricature", 1973.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbannotate.core.masks import Pixels, cut_out
from nbannotate.core.rings import Ring, box_ring, ring_area, signed_area

Points = NDArray[np.float64]  # shape (n, 2): x, y


def mask_outline(pixels: Pixels, tolerance: float = 0.0) -> list[Ring]:
    """The outline of a mask, a ring for each part of it.

    Parameters
    ----------
    pixels
        The mask, shape (height, width). Pixels that touch at a corner only are of two parts.
    tolerance
        How far a point may be from the simplified outline, in pixels. 0: the outline is exact.

    Returns
    -------
    Rings of x and y, in pixels, the upper left corner of the first pixel at 0, 0. The largest part
    comes first. Parts that simplifying leaves without area are left out, unless all are.
    """
    if not pixels.any():
        return []
    result: list[Ring] = []
    for part in mask_parts(pixels):
        simple = [simplified(ring, tolerance) for ring in part]
        kept = [ring for ring in simple[1:] if len(ring) > 2 and ring_area(ring.tolist()) > 0]
        result.append(_joined([simple[0], *kept]))
    result.sort(key=lambda ring: -ring_area(ring))
    solid = [ring for ring in result if len(ring) > 2 and ring_area(ring) > 0]
    if solid:
        return solid
    left, top, inside = cut_out(pixels)
    return [box_ring([float(left), float(top), float(inside.shape[1]), float(inside.shape[0])])]


def simplified(ring: ArrayLike, tolerance: float) -> Points:
    """The ring with fewer points, none of the others farther away than the tolerance.

    Parameters
    ----------
    ring
        Shape (n, 2), in pixels.
    tolerance
        In pixels; 0 only leaves out points on straight lines.
    """
    points = np.asarray(ring, dtype=np.float64).reshape(-1, 2)
    if len(points) < 4:
        return points
    # Between the first point and the one farthest from it there are two lines.
    far = int(np.argmax(((points - points[0]) ** 2).sum(axis=1)))
    closed = np.vstack([points, points[:1]])
    keep = np.zeros(len(closed), dtype=np.bool_)
    keep[[0, far, -1]] = True
    open_ = [(0, far), (far, len(points))]
    while open_:
        start, end = open_.pop()
        if end - start < 2:
            continue
        away = _distances(closed[start + 1 : end], closed[start], closed[end])
        most = int(np.argmax(away))
        if away[most] > max(tolerance, 1e-9):
            keep[start + 1 + most] = True
            open_ += [(start, start + 1 + most), (start + 1 + most, end)]
    return points[keep[:-1]]


def _distances(points: Points, start: Points, end: Points) -> NDArray[np.float64]:
    """How far the points are from the line between two others."""
    line = end - start
    length = float(line @ line)
    along = np.clip((points - start) @ line / length, 0, 1) if length else np.zeros(len(points))
    nearest = start + along[:, None] * line
    away = points - nearest
    return np.asarray(np.hypot(away[:, 0], away[:, 1]), dtype=np.float64)


def _rings(pixels: Pixels) -> list[Points]:
    """The corners of all rings along the edges of pixels; what is inside is on their right."""
    starts, ends = _edges(pixels)
    leaving: dict[tuple[int, int], list[int]] = {}
    for number, start in enumerate(map(tuple, starts.tolist())):
        leaving.setdefault(start, []).append(number)
    targets = list(map(tuple, ends.tolist()))
    steps = np.sign(ends - starts).tolist()
    rings: list[Points] = []
    for first in range(len(starts)):
        if first not in (left := leaving.get(tuple(starts[first].tolist()), [])):
            continue
        left.remove(first)
        edges, corner = [first], targets[first]
        while choices := leaving[corner]:
            x, y = steps[edges[-1]]
            # Where two parts touch at a corner, a turn to the right stays with the same part.
            number = max(choices, key=lambda n: x * steps[n][1] - y * steps[n][0])
            choices.remove(number)
            edges.append(number)
            corner = targets[number]
        rings.append(starts[edges].astype(np.float64))
    return rings


def _edges(pixels: Pixels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Straight pieces of the edges between pixels in and out: where each starts and ends."""
    padded = np.pad(pixels, 1)
    starts: list[NDArray[np.int64]] = []
    ends: list[NDArray[np.int64]] = []
    for side in range(4):
        # Turned so that the edge is always the upper one, its inside below it.
        turned = np.rot90(padded, side)
        upper = turned & ~np.roll(turned, 1, axis=0)
        row, column = np.nonzero(upper)
        new = np.ones(len(row), dtype=np.bool_)
        new[1:] = (np.diff(row) != 0) | (np.diff(column) != 1)
        first = np.flatnonzero(new)
        last = np.append(first[1:], len(row)) - 1 if len(row) else first
        height, width = turned.shape
        for points, x in ((starts, column[first]), (ends, column[last] + 1)):
            points.append(_turned_back(x, row[first], width, height, side))
    return np.concatenate(starts) - 1, np.concatenate(ends) - 1


def _turned_back(
    x: NDArray[np.int64], y: NDArray[np.int64], width: int, height: int, side: int
) -> NDArray[np.int64]:
    """Corners in an array that was turned `side` times, in the one before: shape (n, 2)."""
    for _ in range(side):
        # One turn to the left brought (x, y) to (y, width - x) of the array before.
        x, y, width, height = height - y, x, height, width
    return np.column_stack([x, y])


def mask_parts(pixels: Pixels) -> list[list[Points]]:
    """The rings of each part of a mask: the one around it, and those of its holes.

    Parameters
    ----------
    pixels
        The mask, shape (height, width).

    Returns
    -------
    For each part rings of shape (n, 2), along the edges of pixels: x and y of their corners.
    """
    rings = _rings(pixels)
    parts = {n: [ring] for n, ring in enumerate(rings) if signed_area(ring.tolist()) > 0}
    if len(parts) == len(rings):
        return list(parts.values())
    # Which ring has the left edge of a pixel.
    owner = np.zeros(pixels.shape, dtype=np.int32)
    for number, ring in enumerate(rings):
        for (x, y), (_, other) in zip(
            ring.astype(int).tolist(), np.roll(ring, -1, axis=0).astype(int).tolist(), strict=True
        ):
            if other < y:
                owner[other:y, x] = number
    corners = {
        number: tuple(ring[_first(ring)].astype(int).tolist())
        for number, ring in enumerate(rings)
        if number not in parts
    }
    part_of = {number: number for number in parts}
    for number, (x, y) in sorted(corners.items(), key=lambda item: item[1]):
        # What ends the run of pixels on its left is of the same part, and is known by now.
        before = np.flatnonzero(~pixels[y, :x])
        start = int(before[-1]) + 1 if len(before) else 0
        part_of[number] = part_of[int(owner[y, start])]
        parts[part_of[number]].append(rings[number])
    return list(parts.values())


def _first(ring: Points) -> int:
    """The place of the upper one of its leftmost corners."""
    return int(np.lexsort((ring[:, 1], ring[:, 0]))[0])


def _joined(rings: list[Points]) -> Ring:
    """One ring: from the first there and back to each of the others, from its leftmost corner."""
    whole = rings[0]
    for hole in rings[1:]:
        first = _first(hole)
        at = int(np.argmin(((whole - hole[first]) ** 2).sum(axis=1)))
        around = np.roll(hole, -first, axis=0)
        seam = [around, around[:1], whole[at : at + 1]]
        whole = np.vstack([whole[: at + 1], *seam, whole[at + 1 :]])
    return [[float(x), float(y)] for x, y in whole.tolist()]

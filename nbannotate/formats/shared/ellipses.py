"""Circles and ellipses as polygons, and back where a polygon is one.

The data model has no ellipse. One that is read becomes a ring of `POINTS` points at even angles,
which no hand draws; a ring that is exactly such is written as an ellipse again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbannotate.core.rings import Ring, rings

POINTS = 72  # the ring stays within a thousandth of the radius of the ellipse
_TURN = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)


def ellipse_ring(x: float, y: float, radius_x: float, radius_y: float, turn: float = 0.0) -> Ring:
    """The ring of an ellipse.

    Parameters
    ----------
    x, y
        Its centre in pixels.
    radius_x, radius_y
        Half its width and half its height, in pixels.
    turn
        Radians by which it is turned about its centre, clockwise on screen.
    """
    along, across = radius_x * np.cos(_TURN), radius_y * np.sin(_TURN)
    cosine, sine = math.cos(turn), math.sin(turn)
    points = np.stack([x + along * cosine - across * sine, y + along * sine + across * cosine], 1)
    ring: Ring = points.tolist()
    return ring


def as_ellipse(geometry: Any) -> tuple[float, float, float, float, float] | None:
    """The ellipse that a polygon is, as `ellipse_ring` takes it; None if it is none."""
    parts = rings(geometry)
    if len(parts) != 1 or len(parts[0]) != POINTS:
        return None
    points = np.asarray(parts[0], dtype=np.float64)
    centre = points.mean(axis=0)
    along, across = points[0] - centre, points[POINTS // 4] - centre
    radius_x, radius_y = float(np.hypot(*along)), float(np.hypot(*across))
    turn = float(np.arctan2(along[1], along[0]))
    ring = ellipse_ring(float(centre[0]), float(centre[1]), radius_x, radius_y, turn)
    if np.abs(points - np.asarray(ring)).max() > 1e-6 * max(1.0, radius_x, radius_y):
        return None
    return float(centre[0]), float(centre[1]), radius_x, radius_y, turn

"""Outlines of masks cover the masks, to the pixel, and are near them where they are simplified."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nbannotate.core.contours import mask_outline, simplified
from nbannotate.core.raster import polygon_pixels
from nbannotate.core.rings import bounds, ring_area

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def around(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """How far the points are from the ring."""
    start, end = ring, np.roll(ring, -1, axis=0)
    line = end - start
    length = (line**2).sum(axis=1)
    along = ((points[:, None] - start) * line).sum(axis=2) / np.where(length > 0, length, 1)
    nearest = start + np.clip(along, 0, 1)[..., None] * line
    return np.hypot(*np.moveaxis(points[:, None] - nearest, 2, 0)).min(axis=1)


@settings(max_examples=400, deadline=None)
@given(mask=masks)
def test_an_outline_covers_the_same_pixels(mask):
    outline = mask_outline(mask)
    height, width = mask.shape

    assert (polygon_pixels(outline, width, height) == mask).all()
    assert sum(ring_area(ring) for ring in outline) == mask.sum()
    areas = [ring_area(ring) for ring in outline]
    assert areas == sorted(areas, reverse=True)
    if mask.any():
        rows, columns = np.nonzero(mask)
        size = [np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert bounds(outline) == [columns.min(), rows.min(), *size]


def test_holes_are_joined_by_a_seam_and_parts_are_rings_of_their_own():
    mask = np.zeros((9, 20), dtype=bool)
    mask[1:8, 1:8] = True
    mask[3:6, 3:6] = False
    mask[4, 4] = True  # an island in the hole
    mask[2, 12:15] = True

    ring, bar, island = mask_outline(mask)
    assert len(ring) == 4 + 4 + 2 and ring_area(ring) == 49 - 9
    assert bar == [[12, 2], [15, 2], [15, 3], [12, 3]]
    assert island == [[4, 4], [5, 4], [5, 5], [4, 5]]
    assert mask_outline(np.zeros((3, 3), dtype=bool)) == []


@settings(max_examples=200, deadline=None)
@given(mask=masks.filter(lambda mask: mask.any()), tolerance=st.floats(0, 3))
def test_a_simplified_outline_has_fewer_points_and_area(mask, tolerance):
    exact, simple = mask_outline(mask), mask_outline(mask, tolerance)

    assert simple and all(len(ring) > 2 and ring_area(ring) > 0 for ring in simple)
    assert sum(map(len, simple)) <= max(4, sum(map(len, exact)))


@settings(max_examples=200, deadline=None)
@given(
    ring=arrays(np.float64, st.tuples(st.integers(3, 30), st.just(2)),
                elements=st.floats(-100, 100)),
    tolerance=st.floats(0, 20),
)  # fmt: skip
def test_no_point_is_farther_from_the_simplified_ring_than_said(ring, tolerance):
    simple = simplified(ring, tolerance)

    assert {tuple(point) for point in simple} <= {tuple(point) for point in ring}
    assert around(ring, simple).max() <= tolerance + 1e-6
    assert simplified(ring, 0).shape[0] <= len(ring)


@pytest.mark.parametrize("tolerance", [0.0, 1.0])
def test_a_disc_of_a_megapixel_has_few_points(tolerance):
    y, x = np.mgrid[:1200, :1200]
    disc = (x - 600) ** 2 + (y - 600) ** 2 < 550**2
    disc[500:700, 550:650] = False

    [ring] = mask_outline(disc, tolerance)
    covered = polygon_pixels([ring], 1200, 1200)
    wrong = np.count_nonzero(covered != disc)
    assert wrong == 0 if tolerance == 0 else wrong < 0.01 * disc.sum()
    assert len(ring) < 600 if tolerance else len(ring) > 600

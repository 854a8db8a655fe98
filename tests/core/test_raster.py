"""Outlines as pixels: centres inside, holes of a ring that crosses itself, nothing outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.raster import label_pixels, polygon_pixels


def inside(ring: np.ndarray, x: float, y: float) -> bool:
    """The even-odd rule for one point, by the book."""
    result = False
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            result = not result
    return result


@settings(max_examples=60, deadline=None)
@given(
    ring=st.lists(st.tuples(st.floats(-3, 14), st.floats(-3, 11)), min_size=3, max_size=7),
)
def test_a_pixel_belongs_if_its_centre_is_inside(ring):
    # Away from the centres themselves, which either side may take.
    ring = np.round(np.array(ring), 2) + 0.003
    pixels = polygon_pixels([ring], 12, 9)
    wanted = [[inside(ring, x + 0.5, y + 0.5) for x in range(12)] for y in range(9)]
    np.testing.assert_array_equal(pixels, wanted)


def test_boxes_cover_what_they_say_and_parts_are_joined():
    assert label_pixels("box", [2, 1, 3, 4], None, 10, 8).sum() == 12
    assert label_pixels("box", [2, 1, 3, 4], None, 10, 8)[1:5, 2:5].all()
    square = [[1, 1], [5, 1], [5, 5], [1, 5]]
    hole = [[2, 2], [4, 2], [4, 4], [2, 4]]
    assert polygon_pixels([square, hole], 10, 8).sum() == 16  # a second ring is a part, no hole
    turned = label_pixels("rotated_box", [0, 0, 0, 0], [5, 4, 4, 2, np.pi / 2], 10, 8)
    assert turned[2:6, 4:6].all() and turned.sum() == 8
    assert not label_pixels("box", [-9, -9, 3, 4], None, 10, 8).any()


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="not that of the image"):
        label_pixels("mask", [0, 0, 1, 1], {"size": [2, 2], "counts": [4]}, 3, 2)
    with pytest.raises(ValueError, match="million pixels"):
        polygon_pixels([], 10**5, 10**5)

"""Boxes: corners there and back, clamping, overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from nbannotate.core.geometry import (
    areas,
    as_boxes,
    clamp,
    from_corners,
    iou,
    rotated_corners,
    rotated_from_corners,
    to_corners,
    too_small,
)
from nbannotate.errors import LabelError

pixels = st.floats(0, 5000)
boxes = npst.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)), elements=pixels)


@given(boxes)
def test_corners_go_there_and_back(some):
    np.testing.assert_allclose(from_corners(to_corners(some)), some, atol=1e-9)


@given(boxes)
def test_corners_may_come_in_any_order(some):
    corners = to_corners(some)
    np.testing.assert_array_equal(from_corners(corners[:, [2, 3, 0, 1]]), from_corners(corners))
    np.testing.assert_array_equal(from_corners(corners[:, [2, 1, 0, 3]]), from_corners(corners))


@given(boxes, st.integers(1, 4000), st.integers(1, 4000))
def test_clamped_boxes_lie_inside_and_stay_so(some, width, height):
    inside = clamp(some, width, height)
    corners = to_corners(inside)
    assert (corners >= 0).all()
    assert (corners <= np.array([width, height, width, height]) + 1e-9).all()
    np.testing.assert_allclose(clamp(inside, width, height), inside, atol=1e-9)
    assert (areas(inside) <= areas(some) + 1e-6).all()


def test_each_box_is_clamped_to_its_own_image():
    some = np.array([[5.0, 5, 100, 100], [5, 5, 100, 100], [200, 0, 5, 5]])
    assert clamp(some, [10, 50, 100], [20, 60, 100]).tolist() == [
        [5, 5, 5, 15], [5, 5, 45, 55], [100, 0, 0, 5],
    ]  # fmt: skip


@given(boxes, boxes)
def test_overlap_is_a_fraction_and_the_same_both_ways(a, b):
    ab = iou(a, b)
    assert ab.shape == (len(a), len(b))
    assert ((ab >= 0) & (ab <= 1 + 1e-9)).all()
    np.testing.assert_allclose(ab, iou(b, a).T)


def test_overlap_of_known_boxes():
    a = np.array([[0.0, 0, 10, 10], [0, 0, 0, 0]])
    b = np.array([[0.0, 0, 10, 10], [5, 0, 10, 10], [10, 0, 10, 10], [0, 0, 0, 0]])
    np.testing.assert_allclose(iou(a, b), [[1, 1 / 3, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    "bad", [[1, 2, 3], [[1, 2, 3, 4, 5]], [[0, 0, -1, 1]], [[0, 0, np.nan, 1]], [[np.inf, 0, 1, 1]]]
)
def test_what_is_no_box_is_refused(bad):
    with pytest.raises(LabelError, match="give"):
        as_boxes(bad)


def test_boxes_may_come_flat_or_empty():
    assert as_boxes([1, 2, 3, 4]).tolist() == [[1, 2, 3, 4]]
    assert as_boxes([]).shape == (0, 4)
    assert too_small(as_boxes([[0, 0, 1.9, 9], [0, 0, 2, 2]])).tolist() == [True, False]


rotated = st.tuples(
    st.floats(-500, 500), st.floats(-500, 500), st.floats(2, 900), st.floats(2, 900),
    st.floats(-3.1, 3.1),
)  # fmt: skip


def test_corners_of_a_quarter_turn_go_clockwise_on_screen():
    corners = rotated_corners(np.array([[10, 20, 6, 4, np.pi / 2]]))

    # The top left corner goes to the right, where y points down.
    np.testing.assert_allclose(corners[0], [[12, 17], [12, 23], [8, 23], [8, 17]])


@given(rows=st.lists(rotated, max_size=4), around=st.sampled_from([1, -1]))
def test_rotated_boxes_come_back_from_corners_in_either_order(rows, around):
    boxes = np.array(rows).reshape(-1, 5)

    corners = rotated_corners(boxes)[:, ::around]

    back = rotated_from_corners(corners)
    np.testing.assert_allclose(back[:, :2], boxes[:, :2], atol=1e-9)
    if around == 1:
        np.testing.assert_allclose(back, boxes, atol=1e-9)
    found = np.sort(rotated_corners(back).reshape(-1, 4, 2), axis=1)
    np.testing.assert_allclose(found, np.sort(corners, axis=1), atol=1e-7)


@given(points=st.lists(st.tuples(*[st.floats(-90, 90)] * 2), min_size=4, max_size=4))
def test_the_smallest_rectangle_holds_all_corners_and_is_that_of_opencv(points):
    cv2 = pytest.importorskip("cv2")
    x, y, width, height, angle = rotated_from_corners([points], tolerance=-1)[0]

    around = np.array(points) - [x, y]
    along = around @ [np.cos(angle), np.sin(angle)]
    down = around @ [-np.sin(angle), np.cos(angle)]
    assert np.abs(along).max() <= width / 2 + 1e-6
    assert np.abs(down).max() <= height / 2 + 1e-6
    wanted = np.prod(cv2.minAreaRect(np.array(points, dtype=np.float32))[1])
    assert width * height <= wanted * 1.001 + 0.05

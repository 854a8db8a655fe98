"""geometry.js: the cases it shares with Python, and what holds for any viewport and box."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from nbannotate.core.geometry import clamp, from_corners, too_small

from .fake import box, call_each

pytestmark = pytest.mark.browser

CASES = json.loads((Path(__file__).parent / "geometry_cases.json").read_text("utf-8"))
PICTURE = {"width": 400, "height": 300}
# screen = 2 * image + (100, 50)
VIEWPORT = {"scale": 2, "x": 100, "y": 50}
HANDLES = [(0, 0), (0.5, 0), (1, 0), (1, 0.5), (1, 1), (0.5, 1), (0, 1), (0, 0.5)]


def point(x, y):
    return {"x": x, "y": y}


def size(width, height):
    return {"width": width, "height": height}


def place(x, y, width, height):
    return {**point(x, y), **size(width, height)}


def sides(boxes):
    return np.array([[b["x"], b["y"], b["width"], b["height"]] for b in boxes])


def random_boxes(count, picture=PICTURE):
    chance = random.Random(0)
    corners = [
        sorted(chance.uniform(0, picture[side]) for _ in range(2))
        for _ in range(count)
        for side in ("width", "height")
    ]
    pairs = zip(corners[::2], corners[1::2], strict=True)
    return [place(x[0], y[0], x[1] - x[0], y[1] - y[0]) for x, y in pairs]


def assert_inside(boxes, picture=PICTURE):
    found = sides(boxes)
    assert (found >= -1e-9).all()
    assert (found[:, 0] + found[:, 2] <= picture["width"] + 1e-9).all()
    assert (found[:, 1] + found[:, 3] <= picture["height"] + 1e-9).all()


def test_box_between_is_the_same_in_the_browser_and_in_python(bare_page):
    cases = CASES["box_between"]
    wanted = [place(*case["box"]) for case in cases]

    calls = [[point(*case["a"]), point(*case["b"]), size(*case["picture"])] for case in cases]
    assert call_each(bare_page, "geometry.js", "boxBetween", calls) == wanted

    corners = from_corners([case["a"] + case["b"] for case in cases])
    widths, heights = np.array([case["picture"] for case in cases]).T
    np.testing.assert_array_equal(clamp(corners, widths, heights), sides(wanted))


def test_too_small_is_the_same_in_the_browser_and_in_python(bare_page):
    cases = CASES["too_small"]
    wanted = [case["is"] for case in cases]

    calls = [[place(*case["box"]), case["smallest"]] for case in cases]
    assert call_each(bare_page, "geometry.js", "tooSmall", calls) == wanted

    found = [too_small(np.array([c["box"]], float), c["smallest"])[0] for c in cases]
    assert found == wanted


def test_screen_and_image_are_inverse(bare_page):
    chance = random.Random(1)
    calls = [
        [
            {"scale": chance.uniform(0.01, 64), **point(*chance.choices(range(-9999, 9999), k=2))},
            point(chance.uniform(0, 9999), chance.uniform(0, 9999)),
        ]
        for _ in range(200)
    ]
    screen = call_each(bare_page, "geometry.js", "toScreen", calls)
    back = [[viewport, at] for (viewport, _), at in zip(calls, screen, strict=True)]

    assert screen[0]["x"] == calls[0][1]["x"] * calls[0][0]["scale"] + calls[0][0]["x"]
    for (_, wanted), found in zip(
        calls, call_each(bare_page, "geometry.js", "toImage", back), strict=True
    ):
        assert found == pytest.approx(wanted, abs=1e-6)


def test_zoom_keeps_the_point_under_the_cursor(bare_page):
    chance = random.Random(2)
    calls = [
        [
            {"scale": chance.uniform(0.1, 8), **point(*chance.choices(range(-500, 500), k=2))},
            point(*chance.choices(range(1000), k=2)),
            chance.uniform(0.1, 64),
        ]
        for _ in range(200)
    ]
    zoomed = call_each(bare_page, "geometry.js", "zoomAt", calls)

    assert [viewport["scale"] for viewport in zoomed] == [scale for _, _, scale in calls]
    before = call_each(bare_page, "geometry.js", "toImage", [call[:2] for call in calls])
    after = call_each(
        bare_page,
        "geometry.js",
        "toImage",
        [[viewport, at] for viewport, (_, at, _) in zip(zoomed, calls, strict=True)],
    )
    for one, other in zip(before, after, strict=True):
        assert other == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize(
    ("picture", "stage", "scale"),
    [
        ((400, 300), (816, 1000), 2),  # the width decides
        ((400, 300), (2000, 616), 2),  # the height decides
        ((8000, 6000), (816, 616), 0.1),
        ((4, 4), (1000, 1000), 8),  # small ones up to 8 times
    ],
)
def test_fit_shows_the_whole_picture_in_the_middle(bare_page, picture, stage, scale):
    call = [size(*picture), size(*stage)]
    [found] = call_each(bare_page, "geometry.js", "fit", [call])

    assert found["scale"] == pytest.approx(scale)
    for start, room, length in zip((found["x"], found["y"]), stage, picture, strict=True):
        assert start >= 8 - 1e-9
        assert start == pytest.approx((room - length * scale) / 2)


def test_fit_into_no_room_is_still_a_viewport(bare_page):
    [found] = call_each(bare_page, "geometry.js", "fit", [[PICTURE, size(10, 10)]])

    assert found["scale"] > 0
    assert all(math.isfinite(value) for value in found.values())


def test_moved_boxes_keep_their_size_and_stay_in_the_picture(bare_page):
    chance = random.Random(3)
    calls = [
        [one, chance.uniform(-600, 600), chance.uniform(-600, 600), PICTURE]
        for one in random_boxes(200)
    ]
    found = call_each(bare_page, "geometry.js", "moved", calls)

    np.testing.assert_array_equal(sides(found)[:, 2:], sides(call[0] for call in calls)[:, 2:])
    assert_inside(found)


def test_moved_goes_all_the_way_and_no_further(bare_page):
    one = place(10, 20, 30, 40)
    ways = [(5, -7), (-100, 0), (0, 1000), (1000, 1000)]
    found = call_each(bare_page, "geometry.js", "moved", [[one, *way, PICTURE] for way in ways])

    assert [(b["x"], b["y"]) for b in found] == [(15, 13), (0, 20), (10, 260), (370, 260)]


def test_resized_boxes_stay_in_the_picture(bare_page):
    chance = random.Random(4)
    calls = [
        [
            one,
            point(*HANDLES[number % 8]),
            point(chance.uniform(-200, 600), chance.uniform(-200, 500)),
            PICTURE,
        ]
        for number, one in enumerate(random_boxes(200))
    ]

    assert_inside(call_each(bare_page, "geometry.js", "resized", calls))


def test_resized_moves_only_the_sides_of_its_handle(bare_page):
    one, to = place(100, 100, 100, 100), point(130, 110)
    found = call_each(
        bare_page, "geometry.js", "resized", [[one, point(*h), to, PICTURE] for h in HANDLES]
    )

    assert [tuple(b.values()) for b in found] == [
        (130, 110, 70, 90),
        (100, 110, 100, 90),
        (100, 110, 30, 90),
        (100, 100, 30, 100),
        (100, 100, 30, 10),
        (100, 100, 100, 10),
        (130, 100, 70, 10),
        (130, 100, 70, 100),
    ]


def test_resized_across_the_other_side_turns_the_box_over(bare_page):
    one = place(100, 100, 50, 50)
    calls = [
        [one, point(1, 1), point(80, 60), PICTURE],
        [one, point(0, 0.5), point(170, 0), PICTURE],
    ]

    assert call_each(bare_page, "geometry.js", "resized", calls) == [
        place(80, 60, 20, 40),
        place(150, 100, 20, 50),
    ]


def test_each_handle_is_found_from_6_pixels_away_and_not_from_7(bare_page):
    one = place(10, 10, 100, 80)
    spots = [(100 + 2 * (10 + h[0] * 100), 50 + 2 * (10 + h[1] * 80)) for h in HANDLES]
    near = [[one, VIEWPORT, point(x + 6, y - 6), 6] for x, y in spots]
    far = [[one, VIEWPORT, point(x + 7, y), 6] for x, y in spots]

    assert call_each(bare_page, "geometry.js", "handleAt", near) == list(range(8))
    assert call_each(bare_page, "geometry.js", "handleAt", far) == [-1] * 8


def test_of_crowded_handles_the_nearest_is_meant(bare_page):
    tiny = place(10, 10, 3, 3)  # 6 pixels of the screen, from (120, 70)
    calls = [[tiny, VIEWPORT, at, 6] for at in (point(119, 69), point(127, 77), point(123, 70))]

    assert call_each(bare_page, "geometry.js", "handleAt", calls) == [0, 4, 1]


def shape_at(page, shapes, *points):
    calls = [
        [shapes, VIEWPORT, point(100 + 2 * x, 50 + 2 * y), 6]  # a reach of 3 image pixels
        for x, y in points
    ]
    found = call_each(page, "geometry.js", "shapeAt", calls)
    return [one and one["label_id"] for one in found]


def test_shape_at_takes_the_smallest_of_those_around_a_point(bare_page):
    big, small = box("big", 1, 0, 0, 200, 200), box("small", 1, 80, 80, 40, 40)

    for shapes in ([big, small], [small, big]):
        assert shape_at(bare_page, shapes, (100, 100), (50, 50), (300, 100)) == [
            "small",
            "big",
            None,
        ]


def test_shape_at_takes_an_edge_before_an_inside(bare_page):
    # The small one lies over the right edge of the big one.
    big, small = box("big", 1, 0, 0, 200, 200), box("small", 1, 180, 80, 40, 40)

    for shapes in ([big, small], [small, big]):
        assert shape_at(bare_page, shapes, (200, 100), (190, 100)) == ["big", "small"]


def test_shape_at_takes_the_smallest_of_edges_that_coincide(bare_page):
    big, small = box("big", 1, 0, 0, 200, 200), box("small", 1, 0, 0, 40, 40)

    for shapes in ([big, small], [small, big]):
        assert shape_at(bare_page, shapes, (0, 20)) == ["small"]


def test_shape_at_reaches_a_little_beyond_the_edge(bare_page):
    one = box("one", 1, 50, 50, 50, 50)

    assert shape_at(bare_page, [one], (47, 70), (46, 70), (103, 103), (104, 104)) == [
        "one",
        None,
        "one",
        None,
    ]


def test_box_around_points_is_the_tightest(bare_page):
    points = [point(30, 5), point(8, 40), point(60, 30), point(450, 90)]

    assert call_each(bare_page, "geometry.js", "boxAround", [[points, PICTURE]]) == [
        place(8, 5, 392, 85)
    ]

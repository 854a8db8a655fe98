"""What is drawn on the screen is right in pixels of the upright image, to half a pixel of it."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from .annotating import READ, drag, draw, picture, press, stage, stored, wait_saved, wait_shown
from .server import wait_until

pytestmark = pytest.mark.browser

ZOOMS = (0.3, 1, 4)
ORIENTATIONS = range(1, 9)
# Multiples of 8: JPEG's blocks then leave the edges of the marks sharp.
SIZE, MARK, CORNER = (400, 304), (200, 120, 64, 56), (0, 0, 80, 40)
LARGE, LARGE_MARK = (5000, 4000), (2400, 2120, 96, 64)  # shown smaller than it is
# What makes each orientation of the upright image, by Exif 2.32, 4.6.4: 6 is stored turned left.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# Left, top, width and height of what is red or green on the visible canvas.
MARKS = (
    f"""() => {{
  const canvas = [...document.querySelectorAll('img.nba-slot')].find(
    (one) => getComputedStyle(one).visibility === 'visible');
  const {{ width, height }} = canvas;
  const data = ({READ})(canvas, 0, 0, width, height);
"""
    + """
  return [0, 1].map((channel) => {
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let i = 0; i < width * height; i += 1) {
      const own = data[4 * i + channel], other = data[4 * i + 1 - channel];
      if (own < 190 || other > 60) continue;
      const [x, y] = [i % width, Math.floor(i / width)];
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
    }
    return [left, top, right - left, bottom - top];
  });
}"""
)


def write_photo(path, size, orientation, marks):
    """A gray JPEG that, upright, bears marks of these colours."""
    upright = Image.new("RGB", size, (128, 128, 128))
    for color, (x, y, width, height) in marks.items():
        ImageDraw.Draw(upright).rectangle((x, y, x + width - 1, y + height - 1), fill=color)
    exif = Image.Exif()
    exif[0x0112] = orientation
    kept = upright.transpose(STORED[orientation]) if orientation in STORED else upright
    kept.save(path, quality=95, subsampling=0, exif=exif)


def corners(box):
    x, y, width, height = box
    return x, y, x + width, y + height


def zoom_to(one, scale, x, y, size):
    """Turn the wheel over a point of the picture until a pixel of the image takes `scale`."""
    stage(one).focus()
    shown = picture(one, size)
    one.page.mouse.move(*shown.screen(x, y))
    ratio = one.page.evaluate("() => devicePixelRatio")  # Playwright's wheel turns that much less
    one.page.mouse.wheel(0, -500 * ratio * math.log(scale / shown.scale))
    wait_until(lambda: math.isclose(picture(one, size).scale, scale, rel_tol=0.01), "it is zoomed")
    return picture(one, size)


def red_on_screen(one, ratio):
    """Corners of what is red on a screenshot, in CSS pixels of the page."""
    one.page.mouse.move(1, 1)  # no crosshair
    place = stage(one).bounding_box()
    left, top = math.ceil(place["x"]), math.ceil(place["y"])  # a clip of whole pixels is not moved
    clip = {"x": left, "y": top, "width": place["width"] - 1, "height": place["height"] - 1}
    shot = Image.open(io.BytesIO(one.page.screenshot(clip=clip)))
    pixels = np.asarray(shot.convert("RGB"), dtype=int)
    is_red = (pixels[..., 0] > 190) & (pixels[..., 1] < 60)
    (rows,), (columns,) = is_red.any(axis=1).nonzero(), is_red.any(axis=0).nonzero()
    return (
        left + columns[0] / ratio,
        top + rows[0] / ratio,
        left + (columns[-1] + 1) / ratio,
        top + (rows[-1] + 1) / ratio,
    )


def draw_from_outside(one, zoom):
    """One box at each of two corners, begun 5 CSS pixels outside the picture; the boxes wanted."""
    wanted = []
    for (edge_x, edge_y), step, (x, y) in (((0, 0), -5, (30, 20)), (SIZE, 5, (370, 284))):
        press(one, "z")
        shown = zoom_to(one, zoom, edge_x, edge_y, SIZE)
        left, top = shown.screen(edge_x, edge_y)
        drag(one, (left + step, top + step), shown.screen(x, y))
        one.page.mouse.up()
        wanted.append((min(x, edge_x), min(y, edge_y), 30, 20))
    return wanted


@pytest.mark.parametrize("ratio", [1, 2])
def test_boxes_are_right_at_each_zoom_orientation_and_sharpness(notebook, tmp_path, ratio):
    photos = tmp_path / "photos"
    photos.mkdir()
    for orientation in ORIENTATIONS:
        marks = {"#ff0000": MARK, "#00ff00": CORNER}
        write_photo(photos / f"{orientation}.jpg", SIZE, orientation, marks)
    write_photo(photos / "large.jpg", LARGE, 6, {"#ff0000": LARGE_MARK})
    one = notebook(
        [
            "import nbannotate as nba\n"
            f"nba.BoxAnnotator({str(photos)!r}, classes=['mark'], height=560)"
        ],
        device_scale_factor=ratio,
    )

    for orientation in ORIENTATIONS:
        wait_shown(one, f"{orientation}.jpg")
        assert picture(one).canvas == SIZE
        assert one.page.evaluate(MARKS) == [list(MARK), list(CORNER)]
        middle = MARK[0] + MARK[2] / 2, MARK[1] + MARK[3] / 2
        for zoom in ZOOMS if orientation in (1, 6) else ():
            shown = zoom_to(one, zoom, *middle, SIZE)
            left, top, right, bottom = corners(MARK)
            wanted = *shown.screen(left, top), *shown.screen(right, bottom)
            # Where the mark is on the screen, to the pixel of the screen that shares its edge.
            assert red_on_screen(one, ratio) == pytest.approx(wanted, abs=0.75)
        for zoom in ZOOMS:
            zoom_to(one, zoom, *middle, SIZE)
            draw(one, *corners(MARK))
        press(one, "ArrowRight")
    wait_shown(one, "large.jpg")
    for zoom in ZOOMS:
        zoom_to(one, zoom, 2448, 2152, LARGE)
        draw(one, *corners(LARGE_MARK), size=LARGE)
    wait_saved(one)

    labels = stored(one)
    places = labels[["x", "y", "width", "height"]].to_numpy()
    is_large = (labels["image"] == "large.jpg").to_numpy()
    assert labels["image"].value_counts().to_dict() == {
        **{f"{orientation}.jpg": 3 for orientation in ORIENTATIONS},
        "large.jpg": 3,
    }
    assert np.abs(places[~is_large] - MARK).max() <= 0.5
    assert np.abs(places[is_large] - LARGE_MARK).max() <= 0.5


def test_drags_from_and_to_outside_end_exactly_at_the_edges(notebook, tmp_path):
    write_photo(tmp_path / "6.jpg", SIZE, 6, {"#ff0000": MARK})
    one = notebook(
        [
            "import nbannotate as nba\n"
            f"nba.BoxAnnotator({str(tmp_path)!r}, classes=['mark'], height=560)"
        ],
        device_scale_factor=2,
    )
    width, height = SIZE

    wanted = [box for zoom in ZOOMS for box in draw_from_outside(one, zoom)]
    shown = zoom_to(one, 0.3, *SIZE, SIZE)
    drag(one, shown.screen(-40, -30), shown.screen(width + 40, height + 30))
    one.page.mouse.up()
    wanted.append((0, 0, width, height))
    for end in ((2, 2), (1278, 898)):  # the corners of the page, far from the widget
        shown = picture(one)
        drag(one, shown.screen(*MARK[:2]), end)
        one.page.mouse.up()
    wanted += [(0, 0, *MARK[:2]), (*MARK[:2], width - MARK[0], height - MARK[1])]
    wait_saved(one)

    labels = stored(one).sort_values("created")
    found = labels[["x", "y", "width", "height"]].to_numpy()
    assert found.shape == (len(wanted), 4)
    assert np.abs(found - np.array(wanted)).max() <= 0.5
    for (x, y, w, h), (wanted_x, wanted_y, wanted_w, wanted_h) in zip(found, wanted, strict=True):
        if wanted_x == 0:
            assert x == 0
        if wanted_y == 0:
            assert y == 0
        if wanted_x + wanted_w == width:
            assert x + w == width
        if wanted_y + wanted_h == height:
            assert y + h == height

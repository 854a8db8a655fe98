"""What the kernel paints with ipycanvas is over the picture, under the shapes, in image pixels."""

from __future__ import annotations

import pytest
from PIL import Image

from .annotating import draw, picture, press, wait_drawn, wait_kernel, wait_shown

pytestmark = pytest.mark.browser

CELL = """
import numpy as np
import nbannotate as nba
gray = {f"{i}.png": np.full((300, 400), 128, np.uint8) for i in range(6)}
gray["large.png"] = np.full((4000, 5000), 128, np.uint8)
ann = nba.BoxAnnotator(gray, classes=["cat"])
seen = []

@ann.on_show
def paint(image):
    seen.append(image)
    unit = 10 if image == "large.png" else 1
    ann.canvas.fill_style = "red"
    ann.canvas.fill_rect(100 * unit, 50 * unit, (40 + 10 * len(image)) * unit, 30 * unit)

ann
"""
# Left, top, right and bottom of what is red on the page, as shares of the picture; null if none is.
RED = """() => {
  const canvas = document.querySelector('.nba-root > canvas.nba-overlay');
  if (!canvas || getComputedStyle(canvas).visibility !== 'visible') return null;
  const shown = [...document.querySelectorAll('img.nba-slot')].find(
    (one) => getComputedStyle(one).visibility === 'visible');
  if (!shown) return null;
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 0; i < width * height; i += 1) {
    if (data[4 * i] < 200 || data[4 * i + 3] < 200) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  }
  if (right === 0) return null;
  const [own, of] = [canvas.getBoundingClientRect(), shown.getBoundingClientRect()];
  const x = (at) => (own.left + (at * own.width) / width - of.left) / of.width;
  const y = (at) => (own.top + (at * own.height) / height - of.top) / of.height;
  return [x(left), y(top), x(right), y(bottom)];
}"""


def red(one):
    """Where the picture is red, in shares of its sides, once it is."""
    return one.page.wait_for_function(RED).json_value()


@pytest.fixture
def one(notebook):
    made = notebook([CELL])
    picture(made)
    return made


def test_it_is_painted_in_pixels_of_the_image_at_any_zoom(one):
    there = pytest.approx([100 / 400, 50 / 300, 190 / 400, 80 / 300], abs=0.002)
    assert red(one) == there
    press(one, "+", "+")
    assert red(one) == there
    assert one.execute("seen[-1]") == "'0.png'"


def test_it_is_painted_for_each_image_and_for_a_large_one_smaller(one):
    red(one)
    press(one, "ArrowRight")
    wait_shown(one, "1.png")
    wait_kernel(one, "seen[-1]", "1.png")
    red(one)
    one.execute("ann.goto('large.png')")
    wait_shown(one, "large.png")

    right = (100 + 40 + 10 * len("large.png")) / 500
    assert red(one) == pytest.approx([100 / 500, 50 / 400, right, 80 / 400], abs=0.002)


def test_shapes_lie_over_it_and_what_is_beside_the_stage_is_not_covered(one):
    red(one)
    draw(one, 90, 40, 200, 90)
    wait_drawn(one, 90, 40, 200, 90)
    page = Image.open(one.screenshot("overlay")).convert("RGB")
    place = picture(one)
    inside, beside, corner = (
        page.getpixel(place.screen(*at)) for at in ((120, 65), (300, 65), (3, 2))
    )
    assert inside == pytest.approx((255, 0, 0), abs=20)  # under the tint of the shape
    assert beside == corner == (128, 128, 128)  # the picture
    for _ in range(6):
        press(one, "+")
    shown = picture(one)
    covers = one.page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector('.nba-root > canvas.nba-overlay');
          const sheet = document.querySelector('canvas.nba-shapes');
          const level = (one) => Number(getComputedStyle(one).zIndex);
          const stage = document.querySelector('.nba-stage').getBoundingClientRect();
          canvas.style.pointerEvents = 'auto';
          const at = (x, y) => document.elementsFromPoint(x, y).includes(canvas);
          const inside = at(stage.left + stage.width / 2, stage.top + stage.height / 2);
          const above = at(stage.left + stage.width / 2, stage.top - 3);
          const beside = at(stage.right + 20, stage.top + stage.height / 2);
          canvas.style.pointerEvents = '';
          return { isUnder: level(canvas) < level(sheet), inside, above, beside };
        }""",
        [shown.left, shown.top],
    )

    assert covers == {"isUnder": True, "inside": True, "above": False, "beside": False}


def test_it_is_painted_again_after_a_page_reload(one):
    before = red(one)
    one.reload()
    picture(one)

    assert red(one) == pytest.approx(before, abs=0.002)


def test_an_error_of_the_users_painting_is_shown(one):
    red(one)
    one.execute("@ann.on_show\ndef broken(image):\n    raise ValueError('no heat for ' + image)")

    one.page.get_by_text("no heat for 0.png").first.wait_for()
    assert "no heat" in one.execute("str(ann.errors[0])")

"""A screenshot of each state, to be looked at, and what of the looks can be measured."""

from __future__ import annotations

import pytest

from .annotating import draw, picture, press, stage, wait_saved, wait_shown

pytestmark = pytest.mark.browser

PHOTOS = "from nbannotate.demo import photos\nimport nbannotate as nba\nphotos('photos')\n"
BOXES = (
    PHOTOS
    + """ann = nba.Annotator(
    "photos", classes=["person", "helmet", "flag", "rocket"],
    tags={"place": ["indoors", "outdoors"]},
    attributes={"occluded": bool, "view": ["front", "side", "back"]}, store=None)
ann"""
)
TAGS = PHOTOS + 'ann = nba.TagAnnotator("photos", classes=["face", "thing"], store=None)\nann'
BROKEN = (
    PHOTOS
    + """open("photos/aaa.jpg", "wb").write(b"no picture")
ann = nba.BoxAnnotator("photos", classes=["cat"], store=None)
ann"""
)
VIEW_ONLY = (
    PHOTOS
    + """ann = nba.BoxAnnotator("photos", classes=["cat", "dog"], view_only=True, store=None)
ann.add("astronaut.jpg", label="cat", box=(180, 20, 120, 180))
ann"""
)

# Texts that are hard to read (WCAG 2.2, 1.4.3: 4.5 to 1), and parts that stick out.
FAULTS = """() => {
  const faults = [];
  const parse = (text) => {
    const srgb = /color\\(srgb ([\\d.e-]+) ([\\d.e-]+) ([\\d.e-]+)(?: \\/ ([\\d.e-]+))?/.exec(text);
    if (srgb) return [srgb[1] * 255, srgb[2] * 255, srgb[3] * 255, Number(srgb[4] ?? 1)];
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], [R, G, B]) =>
    [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const backgroundOf = (one) => {
    if (!one) return [255, 255, 255];
    return over(parse(getComputedStyle(one).backgroundColor), backgroundOf(one.parentElement));
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map(
      (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  for (const one of document.querySelectorAll('.nba-annotator *')) {
    const text = [...one.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || !seen(one) || one.closest(':disabled, .nba-spoken, option')) continue;
    const behind = backgroundOf(one);
    const [a, b] = [luminance(over(parse(getComputedStyle(one).color), behind)), luminance(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faults.push(`${one.className} "${one.textContent}": ${ratio.toFixed(2)}`);
  }
  for (const one of document.querySelectorAll('.nba-annotator :is(button, select, input)')) {
    if (!seen(one) || one.type === 'checkbox') continue;
    const { width, height } = one.getBoundingClientRect();
    if (Math.min(width, height) < 24) faults.push(`${one.className} ${one.ariaLabel} is too small`);
  }
  for (const one of document.querySelectorAll('.nba-bar, .nba-main, .nba-palette, .nba-overlay')) {
    if (one.scrollWidth > one.clientWidth + 1) faults.push(`${one.className} sticks out`);
  }
  const edge = document.querySelector('.nba-root').getBoundingClientRect().right;
  for (const one of document.querySelectorAll('.nba-bar > *, .nba-palette')) {
    const { right } = one.getBoundingClientRect();
    if (seen(one) && right > edge) faults.push(`${one.className} is cut`);
  }
  return faults;
}"""
# A resize is told between two frames.
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def look(one, name):
    """Write a screenshot, and fail on what can be measured of it."""
    one.screenshot(name)
    assert one.page.evaluate(FAULTS) == [], name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_boxes(notebook, theme):
    one = notebook([BOXES], theme=theme)
    wait_shown(one, "astronaut.jpg")
    look(one, f"{theme}-1-fresh")
    press(one, "2")
    draw(one, 180, 170, 320, 300)
    press(one, "Escape", "1")
    draw(one, 170, 10, 300, 190)
    wait_saved(one)
    look(one, f"{theme}-2-selected")
    press(one, "?")
    look(one, f"{theme}-3-help")
    press(one, "Escape")
    press(one, "/")
    look(one, f"{theme}-4-search")
    one.page.keyboard.press("Escape")
    press(one, "f")
    look(one, f"{theme}-5-note")
    one.page.keyboard.type("a reason")
    one.page.keyboard.press("Enter")
    press(one, "5", "u")
    wait_saved(one)
    look(one, f"{theme}-6-flagged")
    x, y = picture(one).screen(250, 100)
    one.page.mouse.move(x, y)
    for _ in range(5):
        one.page.mouse.wheel(0, -300)
    look(one, f"{theme}-7-zoomed")


def test_widths(notebook):
    one = notebook([BOXES], viewport=(1280, 900), front_end="notebook")
    wait_shown(one, "astronaut.jpg")
    draw(one, 170, 10, 300, 190)
    press(one, "f")
    one.page.keyboard.press("Enter")
    press(one, "u")
    wait_saved(one)
    for width in (400, 560, 820, 900, 1000, 1600):
        one.page.set_viewport_size({"width": width, "height": 900})
        one.page.wait_for_function("(width) => innerWidth === width", arg=width)
        one.page.evaluate(FRAMES)
        look(one, f"width-{width}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_tags(notebook, theme):
    one = notebook([TAGS], theme=theme)
    wait_shown(one, "astronaut.jpg")
    stage(one).click(position={"x": 5, "y": 5})
    press(one, "1", "1", "2")
    wait_saved(one)
    press(one, "ArrowLeft")
    wait_shown(one, "astronaut_helmet.jpg")
    look(one, f"tags-{theme}")


def test_a_broken_image(notebook):
    one = notebook([BROKEN])
    one.page.locator(".nba-card").wait_for()
    look(one, "broken")


def test_view_only(notebook):
    one = notebook([VIEW_ONLY], front_end="notebook")
    wait_shown(one, "astronaut.jpg")
    look(one, "view-only")

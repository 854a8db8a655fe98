"""An annotator in a real notebook: hands and eyes, for a notebook `one` of the `notebook` fixture.

Points and boxes are in pixels of the upright picture. Where they are on the page is asked of the
canvas that bears the picture, not of the code that is tested. A widget that is shown
several times has several views; `view` counts them from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from playwright.sync_api import Locator

import nbannotate as nba

from .notebook import SECONDS, Notebook
from .server import wait_until

Box = tuple[float, float, float, float]

# The picture that a view shows, and where: undefined until it is painted.
SHOWN = """(view) => {
  const root = document.querySelectorAll('.nba-root')[view];
  const canvas = [...(root?.querySelectorAll('img.nba-slot') ?? [])].find(
    (one) => getComputedStyle(one).visibility === 'visible');
  if (!canvas) return undefined;
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return {
    image: root.querySelector('.nba-name').textContent,
    left, top, width, height,
    canvas: [canvas.width, canvas.height],
  };
}"""

# Whether a view shows the outline of a box: it is opaque in the middle of each side.
DRAWN = f"""([view, x1, y1, x2, y2]) => {{
  const shown = ({SHOWN})(view);
  if (!shown) return false;
  const sheet = document.querySelectorAll('.nba-root')[view].querySelector('canvas.nba-shapes');
  const from = sheet.getBoundingClientRect();
  const ratio = sheet.width / from.width;
  const scale = shown.width / shown.canvas[0];
  const isOpaque = ([x, y]) => {{
    const left = Math.floor((shown.left + x * scale - from.left) * ratio);
    const top = Math.floor((shown.top + y * scale - from.top) * ratio);
    return sheet.getContext('2d').getImageData(left, top, 1, 1).data[3] === 255;
  }};
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return [[x1, y], [x2, y], [x, y1], [x, y2]].every(isOpaque);
}}"""

# The pixels of a canvas that bears a picture: x, y, width and height in its own pixels.
READ = """(canvas, x, y, width, height) => {
  const copy = new OffscreenCanvas(width, height).getContext('2d');
  copy.drawImage(canvas, x, y, width, height, 0, 0, width, height);
  return copy.getImageData(0, 0, width, height).data;
}"""

# Whether so many pictures of the page are decoded.
DECODED = f"""(count) => [...document.querySelectorAll('img.nba-slot')].filter(
  (one) => ({READ})(one, 0, 0, 1, 1)[3] === 255).length >= count"""


@dataclass(frozen=True)
class Picture:
    """A picture as the page shows it.

    Parameters
    ----------
    image
        Its key, as the bar below says it.
    left, top, width, height
        On the page, in CSS pixels.
    canvas
        Width and height of what is painted, in its own pixels.
    size
        Width and height of the upright image.
    """

    image: str
    left: float
    top: float
    width: float
    height: float
    canvas: tuple[int, int]
    size: tuple[int, int]

    @property
    def scale(self) -> float:
        """CSS pixels that one pixel of the image takes."""
        return self.width / self.size[0]

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture is on the page."""
        return self.left + x * self.scale, self.top + y * self.height / self.size[1]

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Which point of the picture is at a point of the page."""
        return (x - self.left) / self.scale, (y - self.top) * self.size[1] / self.height


def stage(one: Notebook, view: int = 0) -> Locator:
    """What takes pointer and keys."""
    return one.page.locator(".nba-stage").nth(view)


def picture(one: Notebook, size: tuple[int, int] | None = None, view: int = 0) -> Picture:
    """The picture that is shown, once it is.

    Parameters
    ----------
    size
        Of the upright image; None: as it is painted, which holds for those of up to 4 megapixels.
    """
    found = one.page.wait_for_function(SHOWN, arg=view).json_value()
    canvas = tuple(found.pop("canvas"))
    return Picture(**found, canvas=canvas, size=size or canvas)


def wait_shown(one: Notebook, image: str, view: int = 0) -> None:
    """Until the picture of the image is to be seen."""
    one.page.wait_for_function(
        f"([view, image]) => ({SHOWN})(view)?.image === image", arg=[view, image]
    )


def wait_ring(one: Notebook, count: int = 5) -> None:
    """Until so many pictures are on the page, that of the image shown among them."""
    one.page.wait_for_function(DECODED, arg=count)


def draw(
    one: Notebook,
    *box: float,
    size: tuple[int, int] | None = None,
    view: int = 0,
) -> None:
    """Draw a box with the mouse, from its left top to its right bottom corner: x1, y1, x2, y2."""
    begin(one, *box, size=size, view=view)
    one.page.mouse.up()


def begin(
    one: Notebook,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    *,
    size: tuple[int, int] | None = None,
    view: int = 0,
) -> None:
    """Like `draw`, with the button still down at the end."""
    shown = picture(one, size, view)
    drag(one, shown.screen(x1, y1), shown.screen(x2, y2))


def drag(one: Notebook, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag the mouse between two points of the page; the button is still down at the end."""
    mouse = one.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    mouse.move(*end)


def is_drawn(one: Notebook, *box: float, view: int = 0) -> bool:
    """Whether the outline of a box is to be seen now: x1, y1, x2, y2."""
    found: bool = one.page.evaluate(DRAWN, [view, *box])
    return found


def wait_drawn(one: Notebook, *box: float, view: int = 0) -> None:
    """Until the outline of a box is to be seen: x1, y1, x2, y2."""
    one.page.wait_for_function(DRAWN, arg=[view, *box])


def wait_gone(one: Notebook, *box: float, view: int = 0) -> None:
    """Until no outline of a box is to be seen there: x1, y1, x2, y2."""
    one.page.wait_for_function(f"(at) => !({DRAWN})(at)", arg=[view, *box])


def press(one: Notebook, *keys: str, view: int = 0) -> None:
    """Press keys with the focus on the picture."""
    stage(one, view).focus()
    for key in keys:
        one.page.keyboard.press(key)


def wait_chip(one: Notebook, state: str, view: int = 0) -> str:
    """Until the chip says ``saved``, ``saving`` or ``trouble``; all that it then says."""
    chip = one.page.locator(".nba-root").nth(view).locator(f".nba-chip[data-state={state}]")
    chip.wait_for()
    return chip.inner_text()


def wait_saved(one: Notebook, view: int = 0) -> None:
    """Until the kernel has acknowledged every gesture so far."""
    wait_chip(one, "saved", view)


def wait_kernel(one: Notebook, expression: str, value: object, seconds: float = SECONDS) -> None:
    """Until an expression has this value in the kernel."""
    wait_until(
        lambda: one.execute(expression) == repr(value),
        f"{expression} is {value!r} in the kernel",
        seconds,
    )


def opened(one: Notebook, store: str = "labels.db") -> nba.Store:
    """The store on disk, opened by the test's own process; to be closed by it."""
    return nba.open(one.folder / store)


def stored(one: Notebook, store: str = "labels.db") -> pd.DataFrame:
    """The labels in the store on disk, read by the test's own process."""
    with opened(one, store) as found:
        return found.labels


def boxes(labels: pd.DataFrame) -> list[Box]:
    """Places of the boxes to the nearest pixel, oldest first: x, y, width, height."""
    found = labels[labels["kind"] == "box"].sort_values("created")
    places = found[["x", "y", "width", "height"]].round().astype(int)
    return [tuple(row) for row in places.itertuples(index=False)]

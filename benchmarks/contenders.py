"""Whom we are measured against, and where on the page each shows what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.photos import BITS, SQUARE, WIDTH

COUNTED = "(count) => document.querySelectorAll('{}').length === count"
MARK = {"bits": BITS, "square": SQUARE, "width": WIDTH}


@dataclass(frozen=True)
class Contender:
    """What the page must know of a widget.

    Parameters
    ----------
    name
        In the tables.
    method
        Of `benchmarks.kernel.Stand`, which shows it.
    picture
        CSS selector of the picture.
    hand
        Where the shape that is being drawn is to be seen; see ``looker`` in ``page.js``.
    shapes
        JavaScript: whether it shows so many; "" where the page cannot be asked.
    focus
        Selector of what takes the keys.
    button
        Selector of the button that goes on, where the Enter key does not do it.
    two_clicks
        Whether boxes are drawn by two clicks; else by a drag.
    ahead
        Whether the next pictures are on the page before they are asked for.
    """

    name: str
    method: str
    picture: str
    hand: dict[str, Any]
    shapes: str = ""
    focus: str = ""
    button: str = ""
    two_clicks: bool = False
    ahead: bool = False

    @property
    def look(self) -> dict[str, Any]:
        """The picture, for the page."""
        return {"kind": "picture", "selector": self.picture, "mark": MARK}


OURS = Contender(
    name="nbannotate",
    method="ours",
    picture=".nba-root img.nba-slot",
    hand={"kind": "pixels", "selector": "canvas.nba-live"},
    shapes="""(count) => {
      const { width, height } = document.querySelector("canvas.nba-shapes");
      const context = document.querySelector("canvas.nba-shapes").getContext("2d");
      return !count || context.getImageData(0, 0, width, height).data.some(Boolean);
    }""",
    focus=".nba-stage",
    ahead=True,
)
IPYCANVAS = Contender(
    name="ipycanvas",
    method="ipycanvas",
    picture=".bench-stand canvas",
    hand={"kind": "pixels", "selector": ".bench-stand canvas"},
)
BBOX = Contender(
    name="jupyter-bbox-widget",
    method="bbox",
    picture=".bench-stand .image-measure img",
    hand={"kind": "last shape", "selector": ".bench-stand svg rect.movable"},
    shapes=COUNTED.format(".bench-stand svg rect.movable"),
    focus=".bench-stand .wrapper",
)
QSL = Contender(
    name="qsl",
    method="qsl",
    picture=".bench-stand .media-viewer .main img",
    hand={"kind": "shape", "selector": ".bench-stand .main .region-list .active svg.box"},
    shapes=COUNTED.format(".bench-stand .main .inactive svg.box"),
    button=".bench-stand button:has-text('Save')",
    two_clicks=True,
)
DRAWING = (OURS, IPYCANVAS, BBOX, QSL)
GOING = (OURS, BBOX, QSL)

"""Shapes drawn on a picture with Pillow, as the widget draws them in the browser.

Outlines of 2 px with a dark casing, dashed from the eighth class on so that colour is never the
only difference, a light fill, and the class on a flag of its colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nbannotate.core.contours import mask_outline, mask_parts
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.label_class import LabelClass
from nbannotate.core.masks import mask_pixels
from nbannotate.core.rings import rings

CASING = (0, 0, 0, 166)
FILL, MASK_FILL = 26, 102  # of 255
WIDE, LINE, DOT = 4, 2, 4  # px
FLAG = 16  # px high
DASHES: tuple[tuple[int, ...], ...] = ((), (8, 3), (3, 3), (8, 3, 2, 3), (12, 4), (1, 3))
_FINE = 2  # times as fine as the picture, for smooth lines
Point = tuple[float, float]
Line = list[Point]


class Sheet:
    """What is drawn over a picture.

    Parameters
    ----------
    picture
        The picture, at the size at which it is shown.
    scale
        Pixels that one of the image takes in it.
    """

    def __init__(self, picture: Image.Image, scale: float) -> None:
        self._picture = picture.convert("RGBA")
        self._scale = scale
        width, height = picture.size
        self._layer = Image.new("RGBA", (width * _FINE, height * _FINE))
        self._draw = ImageDraw.Draw(self._layer)
        # Drawn last, for a fill would take away the lines under it.
        self._strokes: list[tuple[Line, str, Sequence[int], bool]] = []
        self._skeletons: list[tuple[Any, LabelClass]] = []
        self._flags: list[tuple[str, str, float, float, float]] = []

    def shape(
        self,
        kind: str,
        box: Sequence[float],
        geometry: Any,
        item: LabelClass,
        place: int,
        *,
        name: bool = True,
    ) -> None:
        """Draw a label.

        Parameters
        ----------
        kind, box, geometry
            As in a labels table.
        item
            Its class.
        place
            The place of the class in the scheme, from 0.
        name
            Whether it gets a flag with its class.
        """
        dash = DASHES[place // 7 % len(DASHES)]
        if kind == "keypoints" and geometry:
            self._skeletons.append((geometry, item))
        else:
            closed = kind != "polyline"
            lines = self._lines(kind, box, geometry)
            if kind == "mask" and geometry:
                pixels = mask_pixels(geometry)
                self._fill(self._all_at(mask_outline(pixels)), item.color, MASK_FILL)
                # Each ring by itself: the seams to holes are nothing to look at.
                lines = self._all_at([ring for part in mask_parts(pixels) for ring in part])
            elif closed:
                self._fill(lines, item.color, FILL)
            self._strokes += [(line, item.color, dash, closed) for line in lines]
        if name:
            x, y, width, height = (value * self._scale for value in box)
            if kind == "keypoints" or (width >= 14 and height >= 8):
                self._flags.append((item.name, item.color, x, y, max(60.0, width + 4)))

    def picture(self, tags: Iterable[LabelClass] = ()) -> Image.Image:
        """The picture with all that was drawn, and tags in its lower left corner."""
        for line, color, dash, closed in self._strokes:
            self._stroke(line, color, dash, closed=closed)
        for points, item in self._skeletons:
            self._skeleton(points, item)
        layer = self._layer.resize(self._picture.size, Image.Resampling.BOX)
        whole = Image.alpha_composite(self._picture, layer)
        draw = ImageDraw.Draw(whole)
        for text, color, x, y, most in self._flags:
            top = y - FLAG - 1 if y >= FLAG + 2 else y + 1
            flag(draw, text, color, x - 1, top, whole.width, most)
        x = 6.0
        for tag in tags:
            x += 4 + flag(draw, tag.name, tag.color, x, whole.height - FLAG - 6, whole.width)
        return whole.convert("RGB")

    def _lines(self, kind: str, box: Sequence[float], geometry: Any) -> list[Line]:
        x, y, width, height = box
        found: list[Any] = [[(x, y), (x + width, y), (x + width, y + height), (x, y + height)]]
        if geometry:
            if kind == "polygon":
                found = rings(geometry)
            elif kind == "rotated_box":
                found = [rotated_corners(np.array([geometry], dtype=np.float64))[0].tolist()]
            elif kind == "polyline":
                found = [geometry]
        return self._all_at(found)

    def _all_at(self, lines: Iterable[Any]) -> list[Line]:
        return [[self._at(point) for point in line] for line in lines]

    def _at(self, point: Sequence[float]) -> Point:
        factor = self._scale * _FINE
        return point[0] * factor, point[1] * factor

    def _fill(self, lines: list[Line], color: str, strength: int) -> None:
        for line in lines:
            if len(line) > 2:
                self._draw.polygon(line, fill=(*_rgb(color), strength))

    def _stroke(self, line: Line, color: str, dash: Sequence[int], *, closed: bool) -> None:
        path = [*line, line[0], line[1 % len(line)]] if closed else line
        self._draw.line(path, fill=CASING, width=WIDE * _FINE, joint="curve")
        for piece in _dashed(path if not closed else path[:-1], dash) if dash else [path]:
            self._draw.line(piece, fill=(*_rgb(color), 255), width=LINE * _FINE, joint="curve")

    def _skeleton(self, points: Sequence[Sequence[float]], item: LabelClass) -> None:
        seen = {n: self._at(point) for n, point in enumerate(points) if point[2] > 0}
        for start, end in item.skeleton:
            if start in seen and end in seen:
                self._stroke([seen[start], seen[end]], item.color, (), closed=False)
        for number, (x, y) in seen.items():
            for radius, fill in ((DOT + 1, CASING), (DOT, (*_rgb(item.color), 255))):
                r = radius * _FINE
                # A point that is hidden is a ring.
                hidden = points[number][2] == 1 and radius == DOT
                self._draw.ellipse((x - r, y - r, x + r, y + r), outline=fill, width=LINE * _FINE,
                                   fill=None if hidden else fill)  # fmt: skip


def flag(
    draw: ImageDraw.ImageDraw,
    text: str,
    color: str,
    x: float,
    y: float,
    room: float,
    most: float | None = None,
) -> float:
    """Write a name on a flag of that colour; how wide it is.

    Parameters
    ----------
    draw
        On what.
    text, color
        The name, and the colour as ``#rrggbb``.
    x, y
        The flag's upper left corner, in pixels.
    room
        The width of the picture, which the flag does not leave.
    most
        How wide the flag may be; None: as wide as the picture.
    """
    font = font_of(12)
    shown = " ".join(text.split())
    most = room if most is None else min(room, most)
    while len(shown) > 1 and draw.textlength(shown, font=font) + 8 > most:
        shown = f"{shown[:-2]}…"
    width = draw.textlength(shown, font=font) + 8
    left = max(0.0, min(x, room - width))
    top = max(0.0, y)
    draw.rectangle((left, top, left + width - 1, top + FLAG - 1), fill=_rgb(color))
    draw.text((left + 4, top + FLAG / 2), shown, fill=readable_on(color), font=font, anchor="lm")
    return width


_BOLD = ("DejaVuSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf", "NotoSans-Bold.ttf")
_PLAIN = ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf", "NotoSans-Regular.ttf")


@cache
def font_of(size: int, *, bold: bool = True) -> Any:
    """A font of that size, in pixels: one with many scripts if the system has it."""
    for name in _BOLD if bold else _PLAIN:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def readable_on(color: str) -> str:
    """Black or white, whichever is easier to read on the colour (WCAG 2.2 relative luminance)."""
    parts = [value / 255 for value in _rgb(color)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _dashed(path: Line, dash: Sequence[int]) -> list[Line]:
    """The pieces of a path that are drawn, by lengths of drawn and of left out ones."""
    lengths = [length * _FINE for length in dash]
    pieces: list[Line] = []
    number, left, piece = 0, float(lengths[0]), [path[0]]
    for start, end in pairwise(path):
        x, y = start
        rest = float(np.hypot(end[0] - x, end[1] - y))
        while rest > left:
            share = left / rest
            x, y = x + (end[0] - x) * share, y + (end[1] - y) * share
            rest -= left
            if number % 2 == 0:
                pieces.append([*piece, (x, y)])
            number += 1
            left, piece = float(lengths[number % len(lengths)]), [(x, y)]
        left -= rest
        piece.append(end)
    if number % 2 == 0 and len(piece) > 1:
        pieces.append(piece)
    return pieces

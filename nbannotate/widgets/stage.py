"""Stages: ipycanvases with one picture each, in a ring, so that the next image is there already."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Sequence
from functools import partial

from ipycanvas import Canvas, hold_canvas
from ipycanvas.canvas import COMMANDS
from PIL import Image

from nbannotate.widgets.origin import Origin

_NUMBERS = itertools.count(1)
_PAINTING = threading.Lock()
_LARGEST_NUMBER = 0xFFFFFF


class Stage:
    """One canvas and the picture on it.

    Parameters
    ----------
    number
        Its place in the ring, from 0.
    name
        Class of its canvas, by which the browser finds it.
    origin
        Whence the browser is told.

    Notes
    -----
    An ipycanvas does not tell when it has been painted, so each painting leaves its number as the
    colour of one pixel in a row of its own under the picture; ``browser/stage.js`` looks for it.
    """

    def __init__(self, number: int, name: str, origin: Origin) -> None:
        self.number = number
        self.image: str | None = None
        self.data: bytes | None = None
        self.error: str | None = None
        self.paint_number = 0
        self.size = (0, 0)
        """Of what is painted, in pixels of the upright image."""
        self.shown = (0, 0)
        """The same in pixels of the painting."""
        self.canvas = Canvas(width=1, height=2)
        self.canvas.add_class("nba-slot")
        self.canvas.add_class(name)
        self.canvas.on_client_ready(partial(origin.run, self.paint))

    @property
    def is_waiting(self) -> bool:
        """Whether its image has been neither taken nor found to be broken."""
        return self.image is not None and self.data is None and self.error is None

    def assign(self, image: str | None) -> None:
        """Take another image, not painted yet."""
        self.image = image
        self._empty(None)

    def take(self, data: bytes, size: tuple[int, int]) -> None:
        """Take a picture, to be painted by `paint` once the browser has been told of it.

        Parameters
        ----------
        data
            Bytes that a browser decodes, upright.
        size
            Width and height of it in pixels of the upright image.
        """
        self.data, self.size = data, size
        self.error = None
        self.shown = Image.open(io.BytesIO(data)).size
        self.paint_number = next(_NUMBERS) % _LARGEST_NUMBER + 1

    def fail(self, error: str) -> None:
        """Note why the image cannot be shown."""
        self._empty(error)

    def close(self) -> None:
        """End the widgets of this stage."""
        self.canvas.close()

    def paint(self) -> None:
        """Paint the picture, if there is one; again for a browser that has an empty canvas."""
        if self.data is None:
            return
        width, height = self.shown
        red, green, blue = self.paint_number.to_bytes(3)
        with _PAINTING:
            first, last = _bystanders()
            with self.canvas.hold_sync():
                self.canvas.width, self.canvas.height = width, height + 1
            with hold_canvas():
                # ipycanvas names a canvas only when it differs from the one painted last, which a
                # page that was reloaded has forgotten. Painting one that never comes last first
                # makes it name both.
                first.clear()
                # The picture replaces the one before in one go; after `clear` the canvas would be
                # empty to the eye until the browser has decoded it.
                self.canvas.global_composite_operation = "copy"
                # All in one message: a small one that follows a large one may wait 40 ms, for
                # Jupyter's server leaves Nagle's algorithm on. `put_image_data` would encode anew.
                self.canvas._canvas_manager.send_draw_command(
                    self.canvas, COMMANDS["putImageData"], [0, 0], [self.data]
                )
                self.canvas.global_composite_operation = "source-over"
                self.canvas.fill_style = f"rgb({red}, {green}, {blue})"
                self.canvas.fill_rect(0, height, width, 1)
                last.clear()

    def _empty(self, error: str | None) -> None:
        self.data, self.size = None, (0, 0)
        self.error = error
        self.paint_number = 0


_made: list[Canvas] = []


def _bystanders() -> tuple[Canvas, Canvas]:
    if not _made:
        _made.extend(Canvas(width=1, height=1) for _ in range(2))
    return _made[0], _made[1]


class Ring:
    """The stages, each holding one of the images that are wanted now.

    Parameters
    ----------
    n_stages
        How many.
    origin
        Whence the browser is told.
    """

    def __init__(self, n_stages: int, origin: Origin) -> None:
        self.stages = [Stage(number, f"nba-slot-{number}", origin) for number in range(n_stages)]

    def want(self, images: Sequence[str]) -> list[Stage]:
        """Give each image a stage, nearest first; those that have one keep it.

        Returns
        -------
        The stages of the images, in their order.
        """
        images = images[: len(self.stages)]
        held = {stage.image: stage for stage in self.stages if stage.image in images}
        free = [stage for stage in self.stages if stage.image not in held]
        for stage in free:
            if stage.image is not None:
                stage.assign(None)
        for image in images:
            if image not in held:
                held[image] = free.pop()
                held[image].assign(image)
        return [held[image] for image in images]

    def stage_of(self, image: str) -> Stage | None:
        """The stage that holds the image; None if none does."""
        return next((stage for stage in self.stages if stage.image == image), None)

    def close(self) -> None:
        """End all stages."""
        for stage in self.stages:
            stage.close()

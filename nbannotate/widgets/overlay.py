"""A canvas over the picture, under the shapes, for what the kernel paints: heatmaps, masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from ipycanvas import Canvas


class Overlay:
    """The canvas, and those who paint on it; made when it is first asked for.

    Parameters
    ----------
    add
        Called with the widget that is to be a sibling of the layer.
    report
        Called with an error of a callback, and the image it was about.
    """

    def __init__(
        self,
        add: Callable[[ipywidgets.Widget], object],
        report: Callable[[Exception, Any], object],
    ) -> None:
        self._add = add
        self._report = report
        self._painters: list[Callable[[str], object]] = []
        self._made: tuple[Canvas, Canvas] | None = None
        self._place: tuple[str, tuple[int, int], tuple[int, int]] | None = None

    @property
    def is_used(self) -> bool:
        """Whether anyone has asked for the canvas."""
        return self._made is not None

    @property
    def image(self) -> str:
        """The image that the canvas is for now; "" before the first."""
        return self._place[0] if self._place else ""

    @property
    def canvas(self) -> Canvas:
        """The canvas; its unit is a pixel of the upright image."""
        return self._both[0]

    @property
    def _both(self) -> tuple[Canvas, Canvas]:
        if self._made is None:
            from ipycanvas import Canvas  # only those who paint need it

            canvas, other = (Canvas(width=1, height=1) for _ in range(2))
            canvas.add_class("nba-overlay")
            canvas.on_client_ready(self._paint_again)
            self._made = canvas, other
            self._add(canvas)
        return self._made

    def on_show(self, painter: Callable[[str], object]) -> None:
        """Have the callback paint on each image that is shown, from the one shown now on."""
        self._painters.append(painter)
        self._paint()

    def show(self, image: str, size: tuple[int, int], shown: tuple[int, int]) -> None:
        """Clear the canvas for another image, and have it painted.

        Parameters
        ----------
        image
            Key of the image.
        size
            Width and height in pixels of the upright image.
        shown
            The same of the picture that the browser has, which may be smaller.
        """
        if image != self.image:
            self._place = image, size, shown
            self._paint()

    def _paint_again(self) -> None:
        """For a page that has an empty canvas: one that was reloaded."""
        if self._painters:  # else it would only be cleared
            self._paint()

    def _paint(self) -> None:
        from ipycanvas import hold_canvas

        if self._place is None:
            return
        image, size, shown = self._place
        canvas, other = self._both
        with canvas.hold_sync():
            canvas.width, canvas.height = shown
        with hold_canvas():
            # ipycanvas names a canvas only where it differs from the one painted last, which a
            # page that was reloaded has forgotten. After another one it is named.
            other.clear()
            canvas.reset_transform()
            canvas.clear()
            canvas.scale(shown[0] / size[0], shown[1] / size[1])
            for painter in self._painters:
                try:
                    painter(image)
                except Exception as error:  # the user's own code
                    self._report(error, image)

    # Not closed with the annotator: a page paints on no canvas of anyone any more after ipycanvas
    # was told to paint on one that is closed before the page came to it.

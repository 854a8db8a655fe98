"""Stages: one picture each, in a ring, so that the next image is in the browser already."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from nbannotate.images import Picture

_NUMBERS = itertools.count(1)


class Stage:
    """A place for one picture, in the kernel and in the browser.

    Parameters
    ----------
    number
        Its place in the ring, from 0.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.image: str | None = None
        self.data: bytes | None = None
        self.error: str | None = None
        self.paint_number = 0
        """Tells one picture of this stage from the next; 0 while there is none."""
        self.size = (0, 0)
        """Of the image, in pixels of the upright image."""
        self.shown = (0, 0)
        """Of the picture, in its own pixels."""

    @property
    def is_waiting(self) -> bool:
        """Whether its image has been neither taken nor found to be broken."""
        return self.image is not None and self.data is None and self.error is None

    def assign(self, image: str | None) -> None:
        """Take another image, whose picture is not there yet."""
        self.image = image
        self._empty(None)

    def take(self, picture: Picture) -> None:
        """Take a picture."""
        self.data, self.size = picture.data, (picture.width, picture.height)
        self.shown = picture.shown
        self.error = None
        self.paint_number = next(_NUMBERS)

    def fail(self, error: str) -> None:
        """Note why the image cannot be shown."""
        self._empty(error)

    def _empty(self, error: str | None) -> None:
        self.data, self.size, self.shown = None, (0, 0), (0, 0)
        self.error = error
        self.paint_number = 0


class Ring:
    """The stages, each holding one of the images that are wanted now.

    Parameters
    ----------
    n_stages
        How many.
    """

    def __init__(self, n_stages: int) -> None:
        self.stages = [Stage(number) for number in range(n_stages)]

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

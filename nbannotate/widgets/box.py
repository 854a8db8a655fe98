"""Boxes."""

from __future__ import annotations

from typing import Any

from nbannotate.images import Images
from nbannotate.widgets.annotator import Annotator


class BoxAnnotator(Annotator):
    """Draws boxes.

    Parameters
    ----------
    images
        See `Annotator`.
    classes
        Names; or dicts with ``name``, ``id``, ``color``, ``key``; or a dict from ids to names.
    attributes
        A dict from names to types: ``bool``, ``str``, ``(low, high)``, a list of choices.
    **options
        See `Annotator`.
    """

    def __init__(
        self, images: Images, classes: Any = (), *, attributes: Any = (), **options: Any
    ) -> None:
        super().__init__(images, classes=classes, attributes=attributes, **options)

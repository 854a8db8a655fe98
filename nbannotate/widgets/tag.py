"""Tags of whole images."""

from __future__ import annotations

from typing import Any

from nbannotate.images import Images
from nbannotate.widgets.annotator import Annotator


class TagAnnotator(Annotator):
    """Sets tags of whole images, one key press each.

    Parameters
    ----------
    images
        See `Annotator`.
    classes
        The tags: names, or dicts with ``name``, ``id``, ``color``, ``key``.
    multiple
        Whether an image may bear several.
    **options
        See `Annotator`.
    """

    def __init__(
        self, images: Images, classes: Any = (), *, multiple: bool = False, **options: Any
    ) -> None:
        tags = {"tag": {"choices": classes, "multiple": multiple}} if classes else ()
        super().__init__(images, tags=tags, **options)

"""COCO's annotations on their way into a table: typed rows, some at a time, become columns.

A million rows as Python objects take a gigabyte; their columns take a tenth of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbannotate.core.masks import check_rle, rle_bounds
from nbannotate.core.rings import bounds, flat_to_rings
from nbannotate.formats.coco.decoding import Annotation, rows, typed
from nbannotate.formats.coco.keypoints import points, visible
from nbannotate.formats.shared.rows import keypoints_bounds
from nbannotate.formats.shared.tables import Problems

_ID, _IMAGE, _CATEGORY = map(attrgetter, ("id", "image_id", "category_id"))
_SCORE, _BBOX = map(attrgetter, ("score", "bbox"))


class Columns:
    """The annotations of a file, those that are rows at all.

    Parameters
    ----------
    parts
        The annotations, each as JSON or as Python objects.
    images, classes
        Ids of the images and categories, in their order.
    problems
        What takes those that are no rows.
    keypoints
        Whether an annotation that has both key points and an outline is the key points.
    what
        What the file calls the list, for errors.

    Attributes
    ----------
    places
        Place of each row in the file, shape (n,); the others go by row, too.
    ids
        Their ids; None for none.
    image, code
        Positions of its image and category, shape (n,); -1: there is no such.
    boxes
        Shape (n, 4); pixels.
    scores
        NaN: none.
    shapes, attributes, own, bad
        Kind and geometry, attributes, what our writer put aside, and what is wrong with the shape:
        of the rows that have such.
    left_out
        How many outlines are left out for key points.
    """

    def __init__(
        self,
        parts: Sequence[Any],
        images: Iterable[Any],
        classes: Iterable[Any],
        problems: Problems,
        keypoints: bool,
        what: str,
    ) -> None:
        self._parts = parts
        self._keypoints = keypoints
        self._images = {value: row for row, value in enumerate(images)}
        self._classes = {value: row for row, value in enumerate(classes)}
        self.shapes: dict[int, tuple[str, Any]] = {}
        self.attributes: dict[int, dict[str, Any]] = {}
        self.own: dict[int, dict[str, Any]] = {}
        self.bad: dict[int, str] = {}
        self.left_out = 0
        self.ids: list[Any] = []
        columns: list[list[NDArray[Any]]] = [[], [], [], [], []]
        for places, found in rows(parts, Annotation, problems, what):
            values = (np.array(places, dtype=np.int64), *self._columns(found))
            for column, part in zip(columns, values, strict=True):
                column.append(part)
        empty = (np.int64, np.int64, np.int64, np.float64, np.float64)
        self.places, self.image, self.code, boxes, self.scores = (
            np.concatenate([np.empty(0, dtype), *column])
            for dtype, column in zip(empty, columns, strict=True)
        )
        self.boxes = boxes.reshape(-1, 4)

    def row(self, number: int) -> Annotation:
        """The annotation in that row, as it stands in the file."""
        return typed([self._parts[self.places[number]]], Annotation)[0]

    def _columns(self, found: list[Annotation]) -> tuple[NDArray[Any], ...]:
        start, count = len(self.ids), len(found)
        # `map` of attribute getters takes half the time of comprehensions.
        self.ids += map(_ID, found)
        none = repeat(-1)
        image = np.fromiter(map(self._images.get, map(_IMAGE, found), none), np.int64, count)
        code = np.fromiter(map(self._classes.get, map(_CATEGORY, found), none), np.int64, count)
        scored = list(map(_SCORE, found))
        if scored.count(None) == count:
            scores = np.full(count, np.nan)
        else:
            scores = np.array(scored, dtype=np.float64)  # None becomes NaN
        boxes = list(map(_BBOX, found))
        for at, row in enumerate(found, start):
            if row.segmentation or row.keypoints:
                boxes[at - start] = self._shape(at, row)
            if row.iscrowd or row.attributes:
                self.attributes[at] = _attributes(row)
            if row.nbannotate:
                self.own[at] = row.nbannotate
        if None in boxes or set(map(len, boxes)) - {4}:
            boxes = [self._checked(at, box) for at, box in enumerate(boxes, start)]
        flat = chain.from_iterable(boxes)
        return image, code, np.fromiter(flat, np.float64, 4 * count), scores

    def _shape(self, at: int, row: Annotation) -> list[float] | None:
        box, segment = row.bbox, row.segmentation
        try:
            if row.keypoints and self._keypoints and visible(row.keypoints):
                self.shapes[at] = ("keypoints", points(row.keypoints))
                self.left_out += bool(segment)
                return keypoints_bounds(self.shapes[at][1]) if box is None else box
            if isinstance(segment, dict):
                self.shapes[at] = ("mask", check_rle(segment))
                return rle_bounds(self.shapes[at][1]) if box is None else box
            if segment:
                self.shapes[at] = ("polygon", flat_to_rings(segment))
                return bounds(self.shapes[at][1]) if box is None else box
        except (ValueError, TypeError, OverflowError) as error:
            self.bad[at] = f"{'segmentation' if segment else 'shape'}: {error}"
        return box

    def _checked(self, at: int, box: list[float] | None) -> list[float]:
        if box is not None and len(box) == 4:
            return box
        given = "is missing" if box is None else f"has {len(box)} numbers"
        self.bad.setdefault(at, f"bbox {given}; it is x, y, width, height")
        return [0.0] * 4


def _attributes(row: Annotation) -> dict[str, Any]:
    values = dict(row.attributes) if isinstance(row.attributes, dict) else {}
    if row.iscrowd:
        values["iscrowd"] = True
    elif values.get("iscrowd") is True:
        values["iscrowd"] = False
    return values

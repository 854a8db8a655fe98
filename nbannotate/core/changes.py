"""Changes as they are asked for, by a gesture or by a call, made into edits that are allowed.

A change is a dict, the same from the browser and from Python::

    {"op": "create", "label_id": "…", "image": "a.jpg", "kind": "box", "class_id": 1,
     "x": 10, "y": 20, "width": 30, "height": 40, "attributes": {…}}
    {"op": "update", "label_id": "…", "changes": {"x": 11, "attributes": {"occluded": True}}}
    {"op": "delete", "label_id": "…"}
    {"op": "image", "image": "a.jpg", "changes": {"status": "done"}}

Instead of ``class_id`` a change may name its ``label``. The browser replays the same rules on
what it shows before the kernel has answered (``widgets/browser/replay.js``); both are tested
with ``tests/browser/replay_cases.json``.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from nbannotate.core.edits import Edit, Row
from nbannotate.core.geometry import SMALLEST_SIDE, clamp, too_small
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, CLASSED_KINDS, KINDS, PLACED_KINDS, STATUSES
from nbannotate.errors import LabelError

Change = Mapping[str, Any]
_UPDATABLE = {"label", "class_id", *BOX, "geometry", "attributes", "text", "frame", "track"}
_IMAGE_FIELDS = {"status", "note", "unsure", "split"}
_EMPTY_LABEL: Row = {
    "class_id": None,
    **dict.fromkeys(BOX),
    "geometry": None,
    "attributes": {},
    "text": None,
    "score": None,
    "frame": None,
    "track": None,
    "source": "human",
}
_CREATABLE = {"op", "label_id", "image", "kind", "label", *_EMPTY_LABEL}


class Changer:
    """Turns changes into edits, against the rows as they are.

    Parameters
    ----------
    schema
        What labels may be.
    labels_of
        The label rows of an image.
    label
        The row of one label; None if there is none.
    image
        The row of an image; None if nobody has touched it.
    size
        Width and height of an image in pixels; None if they are not known.
    has_image
        Whether there is such an image.
    annotator
        Who asks.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        labels_of: Callable[[str], list[Row]],
        label: Callable[[str], Row | None],
        image: Callable[[str], Row | None],
        size: Callable[[str], tuple[int, int] | None],
        has_image: Callable[[str], bool],
        annotator: str | None,
    ) -> None:
        self._schema = schema
        self._labels_of = labels_of
        self._label = label
        self._image = image
        self._size = size
        self._has_image = has_image
        self._annotator = annotator

    def edits(self, changes: Iterable[Change], seconds: float | None = None) -> list[Edit]:
        """The edits that the changes come to; none for what is so already.

        Raises
        ------
        LabelError, SchemaError
            If a change is not allowed. None of them is then to be applied.
        """
        edits: list[Edit] = []
        for change in changes:
            op = change.get("op")
            if op == "create":
                edits += self._create(change, edits, seconds)
            elif op == "update":
                edits += self._update(change)
            elif op == "delete":
                row = self._known(change)
                edits.append(Edit("delete", row["image"], row["label_id"], before=row))
            elif op == "image":
                edits += self._change_image(change)
            else:
                raise LabelError(f"a change has op {op!r}; use create, update, delete or image")
        return edits

    def _create(self, change: Change, so_far: list[Edit], seconds: float | None) -> Iterable[Edit]:
        image, kind = str(change["image"]), change.get("kind", "box")
        self._check_image(image)
        if kind not in KINDS:
            raise LabelError(f"kind {kind!r} is unknown; use one of {', '.join(KINDS)}")
        unknown = set(change) - {
            "op",
            "label_id",
            "image",
            "kind",
            "label",
            "created",
            *_EMPTY_LABEL,
        }
        if unknown:
            raise LabelError(f"a label has no {', '.join(sorted(unknown))}")
        given = {key: value for key, value in change.items() if key in _EMPTY_LABEL}
        row: Row = {
            "label_id": str(change.get("label_id") or uuid.uuid4()),
            "image": image,
            "kind": kind,
            **_EMPTY_LABEL,
            **given,
            "annotator": self._annotator,
            "seconds": seconds,
            "created": time.time_ns() // 1000,
        }
        if kind in CLASSED_KINDS:
            row["class_id"] = self._class_id(change, kind, offered=True)
        if kind in PLACED_KINDS:
            row.update(self._place(row, image))
            defaults = {a.name: a.default for a in self._schema.attributes}
            row["attributes"] = self._schema.check_attributes({**defaults, **row["attributes"]})
        if self._label(row["label_id"]) is not None:
            raise LabelError(f"a label with the id {row['label_id']!r} is there already")
        removed = self._make_room(row, so_far) if kind == "tag" else []
        if removed is None:
            return []
        return [*removed, Edit("create", image, row["label_id"], after=row)]

    def _make_room(self, row: Row, so_far: list[Edit]) -> list[Edit] | None:
        """Deletions of the tags that this one replaces; None if the image bears it already."""
        group = self._schema.group_of(row["class_id"])
        gone = {edit.label_id for edit in so_far if edit.op == "delete"}
        new = [edit.after for edit in so_far if edit.op == "create" and edit.after]
        rivals = []
        for other in [*self._labels_of(row["image"]), *new]:
            if other["kind"] != "tag" or other["label_id"] in gone:
                continue
            if other["image"] != row["image"]:
                continue
            if other["class_id"] == row["class_id"]:
                return None
            if not group.multiple and self._schema.group_of(other["class_id"]) is group:
                rivals.append(Edit("delete", row["image"], other["label_id"], before=other))
        return rivals

    def _update(self, change: Change) -> list[Edit]:
        row = self._known(change)
        changes = dict(change.get("changes", {}))
        unknown = set(changes) - _UPDATABLE
        if unknown:
            raise LabelError(
                f"label {row['label_id']!r}: {', '.join(sorted(unknown))} cannot be changed; "
                f"only {', '.join(sorted(_UPDATABLE))} can"
            )
        if "label" in changes or "class_id" in changes:
            wanted = self._class_id(changes, row["kind"], offered=False)
            changes.pop("label", None)
            changes["class_id"] = wanted
        if "attributes" in changes:
            merged = {**row["attributes"], **changes["attributes"]}
            changes["attributes"] = self._schema.check_attributes(merged)
        if row["kind"] in PLACED_KINDS and set(changes) & set(BOX):
            changes.update(self._place({**row, **changes}, row["image"]))
        after = {key: value for key, value in changes.items() if row[key] != value}
        if not after:
            return []
        before = {key: row[key] for key in after}
        return [Edit("update", row["image"], row["label_id"], before=before, after=after)]

    def _change_image(self, change: Change) -> list[Edit]:
        image, changes = str(change["image"]), dict(change["changes"])
        self._check_image(image)
        unknown = set(changes) - _IMAGE_FIELDS
        if unknown:
            raise LabelError(
                f"image {image!r}: {', '.join(sorted(unknown))} cannot be changed; "
                f"only {', '.join(sorted(_IMAGE_FIELDS))} can"
            )
        if changes.get("status", "todo") not in STATUSES:
            raise LabelError(
                f"image {image!r}: status {changes['status']!r} is unknown; "
                f"use one of {', '.join(STATUSES)}"
            )
        row = self._image(image) or {"status": "todo", "unsure": False}
        after = {key: value for key, value in changes.items() if row.get(key) != value}
        before = {key: row.get(key) for key in after}
        return [Edit("image", image, before=before, after=after)] if after else []

    def _known(self, change: Change) -> Row:
        row = self._label(str(change["label_id"]))
        if row is None:
            raise LabelError(
                f"there is no label {change['label_id']!r} any more; it may have been deleted"
            )
        return row

    def _check_image(self, image: str) -> None:
        if not self._has_image(image):
            raise LabelError(f"there is no image {image!r}; ann.images.index lists the keys")

    def _class_id(self, change: Change, kind: str, *, offered: bool) -> int:
        label, class_id = change.get("label"), change.get("class_id")
        if class_id is None and label is None:
            raise LabelError(f"a {kind} needs a label; give one of the scheme's")
        name = self._schema.by_id(class_id).name if class_id is not None else str(label)
        found = self._schema.find(name, kind)
        if offered and found.retired:
            raise LabelError(f"class {name!r} is retired; choose another for new labels")
        return found.id

    def _place(self, row: Row, image: str) -> Row:
        values = [row[side] for side in BOX]
        if any(v is None or isinstance(v, str) or not math.isfinite(v) for v in values):
            raise LabelError(
                f"a {row['kind']} on {image!r} has the place {values}; "
                "give finite x, y, width and height in pixels"
            )
        box = np.array([values], dtype=np.float64)
        size = self._size(image)
        if size is not None:
            box = clamp(box, *size)
        if too_small(box)[0]:
            raise LabelError(
                f"a {row['kind']} of {values[2]:g} × {values[3]:g} px on {image!r} is under "
                f"{SMALLEST_SIDE:g} px a side within the image; draw it larger"
            )
        return dict(zip(BOX, box[0].tolist(), strict=True))

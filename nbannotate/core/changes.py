"""Changes as they are asked for, by a gesture or by a call, made into edits that are allowed.

A change is a dict, the same from the browser and from Python::

    {"op": "create", "label_id": "…", "image": "a.jpg", "kind": "box", "class_id": 1,
     "x": 10, "y": 20, "width": 30, "height": 40, "attributes": {…}}
    {"op": "update", "label_id": "…", "changes": {"x": 11, "attributes": {"occluded": True}}}
    {"op": "delete", "label_id": "…"}
    {"op": "image", "image": "a.jpg", "changes": {"status": "done"}}

Instead of ``class_id`` a change may name its ``label``. An update or a delete may hold ``seen``,
the fields of the label as whoever asks for it sees them: if someone has changed since what it
changes, it is refused, and both versions are there to choose from. The browser replays the rules on
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

from nbannotate.core.assignment import (
    VERDICT,
    VERDICT_STATE,
    is_verdict,
    label_fields,
    new_verdict_id,
    state_of,
    verdict_id,
)
from nbannotate.core.draft import Draft
from nbannotate.core.edits import Edit, Row
from nbannotate.core.geometry import SMALLEST_SIDE, clamp, too_small
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, CLASSED_KINDS, KINDS, PLACED_KINDS
from nbannotate.core.values import checked, plain
from nbannotate.errors import ConflictError, LabelError

Change = Mapping[str, Any]
_WORDS = {**dict.fromkeys(BOX, "place"), "class_id": "class"}
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
_CREATABLE = {"op", "label_id", "image", "kind", "label", "created", *_EMPTY_LABEL}


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
    clock
        Gives the time in microseconds since 1970, UTC; None: this machine's clock.
    verdict_of
        The annotator's verdict on an image, where what is said of one is their own and not seen by
        others; None: what is said of an image is everyone's.
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
        clock: Callable[[], int] | None = None,
        verdict_of: Callable[[str], Row | None] | None = None,
    ) -> None:
        self._schema = schema
        self._labels_of = labels_of
        self._label = label
        self._image = image
        self._size = size
        self._has_image = has_image
        self._annotator = annotator
        self._clock = clock or (lambda: time.time_ns() // 1000)
        self._verdict_of = verdict_of

    def edits(self, changes: Iterable[Change], seconds: float | None = None) -> list[Edit]:
        """The edits that the changes come to; none for what is so already.

        Each change is asked for on top of those before it.

        Raises
        ------
        LabelError, SchemaError
            If a change is not allowed. None of them is then to be applied.
        """
        draft = Draft(self._labels_of, self._label, self._image)
        for change in changes:
            for edit in self._edits_of(change, draft, seconds):
                draft.take(edit)
        return draft.edits

    def _edits_of(self, change: Change, draft: Draft, seconds: float | None) -> list[Edit]:
        op = change.get("op")
        if op == "create":
            return self._create(change, draft, seconds)
        if op == "update":
            return self._update(change, draft)
        if op == "delete":
            row = _known(change, draft)
            _refuse_stale(change, row, set(change.get("seen") or ()))
            return [Edit("delete", row["image"], row["label_id"], before=row)]
        if op == "image":
            return self._change_image(change, draft)
        raise LabelError(f"a change has op {op!r}; use create, update, delete or image")

    def _create(self, change: Change, draft: Draft, seconds: float | None) -> list[Edit]:
        image, kind = self._image_of(change), change.get("kind", "box")
        if kind not in KINDS:
            raise LabelError(f"kind {kind!r} is unknown; use one of {', '.join(KINDS)}")
        unknown = set(change) - _CREATABLE
        if unknown:
            raise LabelError(f"a label has no {', '.join(sorted(unknown))}")
        given = {key: value for key, value in change.items() if key in _EMPTY_LABEL}
        row: Row = {
            "label_id": plain(str(change.get("label_id") or uuid.uuid4()), "label_id"),
            "image": image,
            "kind": kind,
            **checked({**_EMPTY_LABEL, **given}, f"a {kind} on {image!r}"),
            "annotator": self._annotator,
            "seconds": seconds,
            "created": self._clock(),
        }
        if kind in CLASSED_KINDS:
            row["class_id"] = self._class_id(change, kind, offered=True)
        else:
            _refuse_class(change, kind)
        attributes = row["attributes"]
        if kind in PLACED_KINDS:
            row.update(self._place(row, image))
            attributes = {**{a.name: a.default for a in self._schema.attributes}, **attributes}
        row["attributes"] = self._schema.check_attributes(attributes)
        if is_verdict(row["label_id"]):
            raise LabelError(f"the id {row['label_id']!r} is not free for labels; leave it out")
        if draft.label(row["label_id"]) is not None:
            raise LabelError(f"a label with the id {row['label_id']!r} is there already")
        removed: list[Edit] = []
        if kind == "tag":
            same, removed = self._rivals(row, draft)
            if same is not None:
                return []
        return [*removed, Edit("create", image, row["label_id"], after=row)]

    def _rivals(self, tag: Row, draft: Draft) -> tuple[Row | None, list[Edit]]:
        """Another tag of the same class on its image, and deletions of those it replaces."""
        group = self._schema.group_of(tag["class_id"])
        removed = []
        for other in draft.labels_of(tag["image"]):
            if other["kind"] != "tag" or other["label_id"] == tag["label_id"]:
                continue
            if other["class_id"] == tag["class_id"]:
                return other, []
            if not group.multiple and self._schema.group_of(other["class_id"]) is group:
                removed.append(Edit("delete", tag["image"], other["label_id"], before=other))
        return None, removed

    def _update(self, change: Change, draft: Draft) -> list[Edit]:
        row = _known(change, draft)
        what = f"label {row['label_id']!r}"
        changes = _fields(change, _UPDATABLE, what)
        _refuse_stale(change, row, _touched(changes))
        if "label" in changes or "class_id" in changes:
            if row["kind"] not in CLASSED_KINDS:
                _refuse_class(changes, row["kind"])
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
        removed: list[Edit] = []
        if row["kind"] == "tag" and "class_id" in after:
            same, removed = self._rivals({**row, **after}, draft)
            if same is not None:
                name = self._schema.by_id(after["class_id"]).name
                raise LabelError(f"{row['image']!r} bears the tag {name!r} already; delete one")
        before = {key: row[key] for key in after}
        edit = Edit("update", row["image"], row["label_id"], before=before, after=after)
        return [*removed, edit]

    def _change_image(self, change: Change, draft: Draft) -> list[Edit]:
        image = self._image_of(change)
        changes = _fields(change, _IMAGE_FIELDS, f"image {image!r}")
        edits = []
        if self._verdict_of is not None:
            own = {key: changes.pop(key) for key in VERDICT_STATE if key in changes}
            edits += self._verdict(image, own, draft)
        row = draft.image(image)
        after = {key: value for key, value in changes.items() if row.get(key) != value}
        before = {key: row.get(key) for key in after}
        return [*edits, *([Edit("image", image, before=before, after=after)] if after else [])]

    def _verdict(self, image: str, changes: Row, draft: Draft) -> list[Edit]:
        assert self._verdict_of is not None
        label_id = verdict_id(image, str(self._annotator))
        row = draft.label(label_id)
        known = self._verdict_of(image)  # of an image that was renamed since it has another id
        if known is not None:
            label_id = known["label_id"]
            row = draft.label(label_id)
        elif row is not None and row["image"] != image:
            label_id, row = new_verdict_id(), None
        was = state_of(row)
        state = {**was, **changes}
        if state == was:
            return []
        fields = label_fields(state)
        if row is None:
            row = {
                **_EMPTY_LABEL,
                "label_id": label_id,
                "image": image,
                "kind": VERDICT,
                **fields,
                "annotator": self._annotator,
                "seconds": None,
                "created": self._clock(),
            }
            return [Edit("create", image, label_id, after=row)]
        after = {name: value for name, value in fields.items() if row[name] != value}
        before = {name: row[name] for name in after}
        return [Edit("update", image, label_id, before=before, after=after)]

    def _image_of(self, change: Change) -> str:
        image = str(change.get("image"))
        if not self._has_image(image):
            raise LabelError(f"there is no image {image!r}; ann.images.index lists the keys")
        return image

    def _class_id(self, change: Change, kind: str, *, offered: bool) -> int:
        label, class_id = change.get("label"), change.get("class_id")
        if class_id is None and label is None:
            raise LabelError(f"a {kind} needs a label; give one of the scheme's")
        name = self._schema.by_id(class_id).name if class_id is not None else str(label)
        found = self._schema.find(name, kind)
        if class_id is not None and found.id != class_id:  # a class and a tag may share a name
            raise LabelError(f"id {class_id} is of another kind; a {kind} {name!r} is {found.id}")
        if offered and found.retired:
            raise LabelError(f"class {name!r} is retired; choose another for new labels")
        return found.id

    def _place(self, row: Row, image: str) -> Row:
        values = [row[side] for side in BOX]
        if not all(isinstance(v, int | float | np.number) and math.isfinite(v) for v in values):
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


def _refuse_stale(change: Change, row: Row, fields: set[str]) -> None:
    """`ConflictError` if one of the fields is not any more as the change has it ``seen``."""
    seen = change.get("seen")
    if not isinstance(seen, Mapping):
        return
    for name in sorted(fields & set(seen)):
        if _is_other(seen[name], row.get(name), change.get("changes", {}).get(name)):
            raise ConflictError(
                f"someone has changed the {_WORDS.get(name, name)} of a label of "
                f"{row['image']!r} since; "
                "choose which of the two to keep",
                row["label_id"],
                row,
            )


def _touched(changes: Row) -> set[str]:
    # A box that was moved by one and widened by another would be neither's.
    return set(changes) | (set(BOX) if set(changes) & set(BOX) else set())


def _is_other(seen: Any, now: Any, wanted: Any) -> bool:
    if isinstance(seen, Mapping) and isinstance(now, Mapping):
        names = wanted if isinstance(wanted, Mapping) else {*seen, *now}
        return any(seen.get(name) != now.get(name) for name in names)
    if isinstance(seen, int | float) and isinstance(now, int | float):
        return not math.isclose(seen, now, rel_tol=0, abs_tol=1e-6)
    return bool(seen != now)


def _known(change: Change, draft: Draft) -> Row:
    label_id = str(change.get("label_id"))
    row = None if is_verdict(label_id) else draft.label(label_id)
    if row is None and isinstance(change.get("seen"), Mapping):
        raise ConflictError(
            "someone has deleted a label since that you change; choose whether it is to be there",
            str(change.get("label_id")),
        )
    if row is None:
        raise LabelError(
            f"there is no label {change.get('label_id')!r} any more; it may have been deleted"
        )
    return row


def _fields(change: Change, allowed: set[str], what: str) -> Row:
    changes = change.get("changes", {})
    if not isinstance(changes, Mapping):
        raise LabelError(f"{what}: changes {changes!r} is not a dict")
    unknown = set(changes) - allowed
    if unknown:
        raise LabelError(
            f"{what}: {', '.join(sorted(unknown))} cannot be changed; "
            f"only {', '.join(sorted(allowed))} can"
        )
    return checked(changes, what)


def _refuse_class(change: Change, kind: str) -> None:
    if change.get("label") is not None or change.get("class_id") is not None:
        raise LabelError(f"a {kind} has no class; leave label and class_id out")

"""The tables as the history alone has them."""

from __future__ import annotations

from nbannotate.core.edits import Row
from nbannotate.store import tables

FACTS = ("path", "width", "height")
"""What is known of an image without anyone having edited it; the history has none of it."""

UNTOUCHED: Row = {
    **{name: None for name in tables.IMAGE_FIELDS if name not in ("image", *FACTS)},
    "status": "todo",
    "seconds": 0.0,
    "unsure": False,
}
"""An image before its first edit."""


class Replay:
    """Labels and images after the rows of the history that were taken in, oldest first."""

    def __init__(self) -> None:
        self.labels: dict[str, Row] = {}
        self.images: dict[str, Row] = {}
        self.deleted: dict[str, int] = {}
        """When each label that is gone was deleted, in microseconds since 1970."""
        self._of_schema: int | None = None

    def take(self, row: Row) -> str | None:
        """Take in one row; where that is not possible, why, and nothing of it is."""
        label_id, after, at = row["label_id"], row["after"] or {}, row["at"]
        if row["op"] == "schema":  # the first row of its batch
            self._of_schema = row["batch"]
            return None
        if row["op"] == "create":
            if label_id in self.labels:
                return f"creates the label {label_id!r}, which is there already"
            self.labels[label_id] = {**dict.fromkeys(tables.LABEL_FIELDS), **after, "updated": at}
            self.deleted.pop(label_id, None)
        elif row["op"] == "update":
            if label_id not in self.labels:
                return f"changes the label {label_id!r}, which is not there"
            self.labels[label_id].update({**after, "updated": at})
        elif row["op"] == "delete":
            if self.labels.pop(label_id, None) is None:
                return f"deletes the label {label_id!r}, which is not there"
            self.deleted[label_id] = at
        image = self.images.setdefault(row["image"], {**UNTOUCHED, "image": row["image"]})
        if row["op"] == "image":
            image.update(after)
        image["updated"] = at
        if self._of_schema is None or row["batch"] != self._of_schema:  # else no work on an image
            image["annotator"] = row["annotator"]
        image["seconds"] += row["seconds"] or 0.0
        return None

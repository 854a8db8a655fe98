"""Labels and images as a batch of edits leaves them, before any of it is stored."""

from __future__ import annotations

from collections.abc import Callable

from nbannotate.core.edits import Edit, Row

_UNTOUCHED: Row = {"status": "todo", "unsure": False}


class Draft:
    """Rows as they are stored, with the edits of one batch laid over them.

    Parameters
    ----------
    labels_of
        The stored label rows of an image.
    label
        The stored row of one label; None if there is none.
    image
        The stored row of an image; None if nobody has touched it.
    """

    def __init__(
        self,
        labels_of: Callable[[str], list[Row]],
        label: Callable[[str], Row | None],
        image: Callable[[str], Row | None],
    ) -> None:
        self.edits: list[Edit] = []
        self._stored_labels_of = labels_of
        self._stored_label = label
        self._stored_image = image
        self._labels: dict[str, Row | None] = {}
        self._created: dict[str, list[str]] = {}
        self._images: dict[str, Row] = {}

    def take(self, edit: Edit) -> None:
        """Lay one more edit over the rows."""
        self.edits.append(edit)
        if edit.is_wide:
            return
        if edit.op == "image":
            self._images[edit.image] = {**self.image(edit.image), **(edit.after or {})}
            return
        assert edit.label_id is not None
        if edit.op == "delete":
            self._labels[edit.label_id] = None
        elif edit.op == "update":
            row = self.label(edit.label_id) or {}
            self._labels[edit.label_id] = {**row, **(edit.after or {})}
        else:
            self._labels[edit.label_id] = edit.after
            self._created.setdefault(edit.image, []).append(edit.label_id)

    def label(self, label_id: str) -> Row | None:
        """The row of one label; None if there is none."""
        if label_id in self._labels:
            return self._labels[label_id]
        return self._stored_label(label_id)

    def labels_of(self, image: str) -> list[Row]:
        """The label rows of an image."""
        stored = {row["label_id"]: row for row in self._stored_labels_of(image)}
        ids = dict.fromkeys([*stored, *self._created.get(image, [])])
        rows = [self._labels.get(label_id, stored.get(label_id)) for label_id in ids]
        return [row for row in rows if row is not None]

    def image(self, image: str) -> Row:
        """The row of an image; what nobody has touched is to do."""
        if image in self._images:
            return self._images[image]
        return self._stored_image(image) or _UNTOUCHED

"""The history played again: the label and image rows that it comes to, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nbannotate.core.edits import Row
from nbannotate.core.moves import reconciled
from nbannotate.core.tables import IMAGE_DTYPES, LABEL_DTYPES
from nbannotate.errors import StoreError

_LABEL: Row = dict.fromkeys(["label_id", "class_id", *LABEL_DTYPES])
del _LABEL["label"]  # a row has the id of the class instead
IMAGE_STATE: Row = {"status": "todo", "note": None, "unsure": False, "split": None}
"""What image edits change, as it is before the first of them."""

UNTOUCHED: Row = {**dict.fromkeys(["image", *IMAGE_DTYPES]), **IMAGE_STATE, "seconds": 0.0}
"""An image before its first edit."""

CONTENT = ("bytes", "hash")
"""What tells the content of an image's file from others; see `nbannotate.images.identity`."""

FACTS = ("path", "width", "height", *CONTENT)
"""What becomes known of an image beside what people say of it."""

Rows = dict[str, Row]


class Replay:
    """Labels and images after the rows of the history that were taken in, by ascending ``seq``."""

    def __init__(self) -> None:
        self.labels: Rows = {}
        """By their id, in the order in which they were made, with all columns."""
        self.images: Rows = {}
        """By their key, in the order in which they were first touched, with all columns."""
        self.deleted: dict[str, int] = {}
        """When each label that is gone was deleted, in microseconds since 1970, UTC."""
        self._of_schema: int | None = None  # the batch of the last edit of the scheme

    def take(self, row: Row) -> None:
        """Take in one row of the history.

        Parameters
        ----------
        row
            seq, batch, at, annotator, seconds, op, label_id, image, before, after and facts (those
            of the image that were new with this edit).

        Raises
        ------
        StoreError
            If it cannot be played; the message has its number. Nothing of it is then taken in.
        """
        if row["op"] == "schema":  # the first row of its batch
            self._of_schema = row["batch"]
            return
        if row["batch"] == self._of_schema:  # which is no work on an image
            image = self.images.get(row["image"], UNTOUCHED)
            row = {**row, "annotator": image["annotator"]}
        play = _PLAYERS.get(row["op"])
        if play is None:
            raise _broken(row, "is of a newer nbannotate; upgrade with: pip install -U nbannotate")
        play(row, self)

    def touch(self, row: Row) -> Row:
        """Note on its image who worked on it last, for how long, and what became known of it."""
        image = self.images.setdefault(row["image"], {**UNTOUCHED, "image": row["image"]})
        image.update(row["facts"] or {}, annotator=row["annotator"], updated=row["at"])
        image["seconds"] += row["seconds"] or 0.0
        return image

    def known(self, row: Row) -> Row:
        """The label that a row changes."""
        found = self.labels.get(row["label_id"])
        if found is None:
            raise _broken(row, f"changes the label {row['label_id']!r}, which is not there")
        return found


def replay(history: Iterable[Row]) -> tuple[Rows, Rows]:
    """The labels and images that a history comes to.

    Parameters
    ----------
    history
        Its rows from the first; see `Replay.take`. Read once, so it may be a generator.

    Raises
    ------
    StoreError
        If a row cannot be played; the message has its number.
    """
    played = Replay()
    for row in history:
        played.take(row)
    return played.labels, played.images


def _create(row: Row, so_far: Replay) -> None:
    if row["label_id"] in so_far.labels:
        raise _broken(row, f"makes the label {row['label_id']!r}, which is there already")
    made = {**_LABEL, **(row["after"] or {}), "updated": row["at"]}
    so_far.labels[row["label_id"]] = made
    so_far.deleted.pop(row["label_id"], None)
    so_far.touch(row)


def _update(row: Row, so_far: Replay) -> None:
    so_far.known(row).update(row["after"] or {}, updated=row["at"])
    so_far.touch(row)


def _delete(row: Row, so_far: Replay) -> None:
    so_far.known(row)
    del so_far.labels[row["label_id"]]
    so_far.deleted[row["label_id"]] = row["at"]
    so_far.touch(row)


def _change_image(row: Row, so_far: Replay) -> None:
    so_far.touch(row).update(row["after"] or {})


def _reconcile(row: Row, so_far: Replay) -> None:
    after, at = row["after"] or {}, row["at"]
    moves = after.get("moves", {})
    try:
        so_far.images = reconciled(so_far.images, after, at)
    except ValueError as error:
        raise _broken(row, str(error)) from error
    if moves:
        for label in so_far.labels.values():
            if label["image"] in moves:
                label.update(image=moves[label["image"]], updated=at)


_PLAYERS: dict[str, Callable[[Row, Replay], None]] = {
    "create": _create,
    "update": _update,
    "delete": _delete,
    "image": _change_image,
    "reconcile": _reconcile,
}


def _broken(row: Row, why: str) -> StoreError:
    return StoreError(
        f"row {row['seq']} of the history (op {row['op']!r}, image {row['image']!r}) {why}"
        + ("" if "upgrade" in why else "; restore a copy of the store")
    )

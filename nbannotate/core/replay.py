"""The history played again: the label and image rows that it comes to, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nbannotate.core.edits import Row
from nbannotate.core.tables import IMAGE_DTYPES, LABEL_DTYPES
from nbannotate.errors import StoreError

_LABEL: Row = dict.fromkeys(["label_id", "class_id", *LABEL_DTYPES])
del _LABEL["label"]  # a row has the id of the class instead
_IMAGE: Row = {
    **dict.fromkeys(["image", *IMAGE_DTYPES]),
    "status": "todo",
    "seconds": 0.0,
    "unsure": False,
}

Rows = dict[str, Row]
_Player = Callable[[Row, Rows, Rows], None]


def replay(history: Iterable[Row]) -> tuple[Rows, Rows]:
    """The labels and images that a history comes to.

    Parameters
    ----------
    history
        Rows of the history from the first, by ascending ``seq``: seq, batch, at, annotator,
        seconds, op, label_id, image, before, after and facts (path, width and height of the
        image, if they were new with this edit). Read once, so it may be a generator.

    Returns
    -------
    Label rows by their id and image rows by their key, in the order in which they were made, with
    all columns; times in microseconds since 1970, UTC.

    Raises
    ------
    StoreError
        If a row cannot be played; the message has its number.
    """
    labels: Rows = {}
    images: Rows = {}
    of_schema = None
    for row in history:
        if row["op"] == "schema":  # the first row of its batch
            of_schema = row["batch"]
            continue
        if of_schema is not None and row["batch"] == of_schema:  # which is no work on an image
            row = {**row, "annotator": images.get(row["image"], _IMAGE)["annotator"]}
        play = _PLAYERS.get(row["op"])
        if play is None:
            raise _broken(row, "is of a newer nbannotate; upgrade with: pip install -U nbannotate")
        play(row, labels, images)
    return labels, images


def _create(row: Row, labels: Rows, images: Rows) -> None:
    if row["label_id"] in labels:
        raise _broken(row, f"makes the label {row['label_id']!r}, which is there already")
    made = {**_LABEL, **(row["after"] or {}), "updated": row["at"]}
    labels[row["label_id"]] = made
    _touch(row, images)


def _update(row: Row, labels: Rows, images: Rows) -> None:
    _known(row, labels).update(row["after"] or {}, updated=row["at"])
    _touch(row, images)


def _delete(row: Row, labels: Rows, images: Rows) -> None:
    _known(row, labels)
    del labels[row["label_id"]]
    _touch(row, images)


def _change_image(row: Row, labels: Rows, images: Rows) -> None:
    _touch(row, images).update(row["after"] or {})


_PLAYERS: dict[str, _Player] = {
    "create": _create,
    "update": _update,
    "delete": _delete,
    "image": _change_image,
}


def _touch(row: Row, images: Rows) -> Row:
    """Note on the image who worked on it last, for how long, and what became known of it."""
    image = images.setdefault(row["image"], {**_IMAGE, "image": row["image"]})
    image.update(row["facts"] or {}, annotator=row["annotator"], updated=row["at"])
    image["seconds"] += row["seconds"] or 0.0
    return image


def _known(row: Row, labels: Rows) -> Row:
    found = labels.get(row["label_id"])
    if found is None:
        raise _broken(row, f"changes the label {row['label_id']!r}, which is not there")
    return found


def _broken(row: Row, why: str) -> StoreError:
    return StoreError(
        f"row {row['seq']} of the history (op {row['op']!r}, image {row['image']!r}) {why}"
        + ("" if "upgrade" in why else "; restore a copy of the store")
    )

"""One batch of edits written into the labels and images tables, if they are as it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from nbannotate.core.draft import Draft
from nbannotate.core.edits import Edit, Row
from nbannotate.errors import ConflictError
from nbannotate.store import tables
from nbannotate.store.database import rows_among


def write(connection: sa.Connection, edits: Sequence[Edit], at: int) -> None:
    """Write the edits in order; `ConflictError` if a row is not as one has it ``before``."""
    draft = _draft(connection, edits)
    for edit in edits:
        _refuse_conflict(edit, draft)
        _change(connection, edit, at)
        draft.take(edit)


def touch(
    connection: sa.Connection,
    edits: Sequence[Edit],
    seconds: float,
    values: Row,
    facts: Mapping[str, Row] | None,
) -> dict[str, Row]:
    """Note on the images who worked on them last and, on the first, for how long.

    Returns
    -------
    Of each image the facts that its row did not have, for the history.
    """
    keys = list(dict.fromkeys(edit.image for edit in edits))
    rows = rows_among(connection, sa.select(tables.images), tables.images.c.image, keys)
    known = {row["image"]: row for row in rows}
    news: dict[str, Row] = {}
    for place, image in enumerate(keys):
        old = known.get(image, {})
        about = (facts or {}).get(image, {})
        new = {name: value for name, value in about.items() if old.get(name) != value}
        if new:
            news[image] = new
        _change_image(connection, image, {**new, **values}, seconds if place == 0 else 0.0)
    return news


def _draft(connection: sa.Connection, edits: Sequence[Edit]) -> Draft:
    """The labels and images of the edits as they are now."""
    ids = list(dict.fromkeys(edit.label_id for edit in edits if edit.label_id is not None))
    keys = list(dict.fromkeys(edit.image for edit in edits if edit.op == "image"))
    label_rows = rows_among(connection, sa.select(tables.labels), tables.labels.c.label_id, ids)
    image_rows = rows_among(connection, sa.select(tables.images), tables.images.c.image, keys)
    labels = {row["label_id"]: row for row in label_rows}
    images = {row["image"]: row for row in image_rows}
    return Draft(lambda image: [], labels.get, images.get)


def _refuse_conflict(edit: Edit, draft: Draft) -> None:
    what = f"image {edit.image!r}" if edit.label_id is None else f"a label of {edit.image!r}"
    row = draft.image(edit.image) if edit.label_id is None else draft.label(edit.label_id)
    if edit.op == "create":
        if row is not None:
            raise ConflictError(f"{what} with the id {edit.label_id!r} is there already")
    elif row is None:
        raise ConflictError(f"{what} ({edit.label_id!r}) is gone: someone has deleted it since")
    else:
        for name, value in (edit.before or {}).items():
            if name != "updated" and row.get(name) != value:
                raise ConflictError(
                    f"{what}: someone has changed its {name} since; look at it as it is now"
                )


def _change(connection: sa.Connection, edit: Edit, at: int) -> None:
    table = tables.labels
    if edit.op == "image":
        _change_image(connection, edit.image, {**(edit.after or {}), "updated": at})
    elif edit.op == "create":
        connection.execute(sa.insert(table), {**(edit.after or {}), "updated": at})
    elif edit.op == "update":
        where = table.c.label_id == edit.label_id
        values = {**(edit.after or {}), "updated": at}
        connection.execute(sa.update(table).where(where), values)
    else:
        connection.execute(sa.delete(table).where(table.c.label_id == edit.label_id))


def _change_image(connection: sa.Connection, image: str, values: Row, seconds: float = 0.0) -> None:
    table = tables.images
    more: Row = {"seconds": table.c.seconds + seconds} if seconds else {}
    update = sa.update(table).where(table.c.image == image).values(**values, **more)
    if connection.execute(update).rowcount == 0:
        connection.execute(sa.insert(table), {"image": image, **values, "seconds": seconds})

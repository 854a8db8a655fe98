"""One batch of edits written into the labels and images tables, if they are as it has them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import groupby
from typing import NoReturn

import sqlalchemy as sa

from nbannotate.core.draft import Draft
from nbannotate.core.edits import Edit, Row
from nbannotate.core.replay import CONTENT
from nbannotate.errors import ConflictError, RightsError
from nbannotate.store import tables
from nbannotate.store.database import rows_among
from nbannotate.store.guard import refusal
from nbannotate.store.moving import move


def write(connection: sa.Connection, edits: Sequence[Edit], at: int) -> None:
    """Write what the edits do to labels.

    Edits that follow one another and set the same fields go in one statement.

    Raises
    ------
    ConflictError
        If a row is not as an edit has it ``before``.
    RightsError
        If the server does not let this user change a row.
    """
    draft = _draft(connection, edits)
    for edit in edits:
        if edit.op == "reconcile":
            move(connection, edit, at)
        elif not edit.is_wide:
            _refuse_conflict(edit, draft)
        draft.take(edit)
    of_labels = [edit for edit in edits if edit.label_id is not None]
    for _, alike in groupby(of_labels, lambda edit: (edit.op, tuple(edit.after or ()))):
        _change(connection, list(alike), at)


def touch(
    connection: sa.Connection,
    edits: Sequence[Edit],
    seconds: float,
    values: Row,
    facts: Mapping[str, Row] | None,
) -> dict[str, Row]:
    """Write what the edits do to images, and who worked on them.

    Parameters
    ----------
    connection
        A transaction that writes.
    edits
        The edits.
    seconds
        Active time spent, noted on the first image.
    values
        Fields of every image, such as who worked on it last.
    facts
        What is known of some images.

    Returns
    -------
    Of each image the facts that its row did not have, for the history.
    """
    changes: dict[str, Row] = {}
    for edit in edits:
        if edit.is_wide:
            continue
        of_image = changes.setdefault(edit.image, {})
        if edit.op == "image":
            of_image.update(edit.after or {})
    query = sa.select(tables.images)
    there = rows_among(connection, query, tables.images.c.image, list(changes))
    known = {row["image"]: row for row in there}
    news: dict[str, Row] = {}
    for image, of_image in changes.items():
        old, about = known.get(image, {}), (facts or {}).get(image, {})
        new = {name: value for name, value in about.items() if old.get(name) != value}
        if old.get("hash") is not None:  # other content is recorded when a person says so
            new = {name: value for name, value in new.items() if name not in CONTENT}
        if new:
            news[image] = new
        changes[image] = {**new, **values, **of_image}
    if changes:
        first = next(iter(changes))
        _change_image(connection, first, changes.pop(first), seconds)
        _change_images(connection, changes, known)
    return news


def _draft(connection: sa.Connection, edits: Sequence[Edit]) -> Draft:
    """The labels and images of the edits as they are now."""
    ids = list(dict.fromkeys(edit.label_id for edit in edits if edit.label_id is not None))
    keys = list(dict.fromkeys(edit.image for edit in edits if edit.op == "image"))
    # Only what is compared is read: of a large batch of updates that is far less than all.
    names = {"label_id"}.union(*(edit.before or () for edit in edits if edit.label_id is not None))
    columns = [column for column in tables.labels.c if column.name in names]
    label_rows = rows_among(connection, sa.select(*columns), tables.labels.c.label_id, ids)
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


def _change(connection: sa.Connection, edits: Sequence[Edit], at: int) -> None:
    """Write edits of labels that have the same op and fields."""
    table, op = tables.labels, edits[0].op
    if op == "create":
        connection.execute(
            sa.insert(table), [{**(edit.after or {}), "updated": at} for edit in edits]
        )
        return
    where = table.c.label_id == sa.bindparam("of_label")
    if op == "update":
        done = connection.execute(
            sa.update(table).where(where),
            [{**(edit.after or {}), "updated": at, "of_label": edit.label_id} for edit in edits],
        )
    else:
        done = connection.execute(
            sa.delete(table).where(where), [{"of_label": edit.label_id} for edit in edits]
        )
    if done.rowcount != len(edits):  # a server that guards rows passes over those of others
        _refuse_passed_over(connection, edits, at)


def _refuse_passed_over(connection: sa.Connection, edits: Sequence[Edit], at: int) -> NoReturn:
    """`RightsError` with the first label that an update or delete has left as it was."""
    column = tables.labels.c
    ids = [edit.label_id for edit in edits if edit.label_id is not None]
    rows = rows_among(connection, sa.select(tables.labels), column.label_id, ids)
    row = next(row for row in rows if edits[0].op == "delete" or row["updated"] != at)
    raise RightsError(refusal(row["image"], row["annotator"]))


def _change_images(
    connection: sa.Connection, rows: Mapping[str, Row], there: Container[str]
) -> None:
    table = tables.images

    def kind(item: tuple[str, Row]) -> tuple[bool, tuple[str, ...]]:
        return item[0] in there, tuple(sorted(item[1]))

    for (is_there, _), alike in groupby(sorted(rows.items(), key=kind), kind):
        if is_there:
            update = sa.update(table).where(table.c.image == sa.bindparam("of_image"))
            connection.execute(update, [{**row, "of_image": image} for image, row in alike])
        else:
            new = [{"image": image, **row, "seconds": 0.0} for image, row in alike]
            connection.execute(sa.insert(table), new)


def _change_image(connection: sa.Connection, image: str, values: Row, seconds: float = 0.0) -> None:
    table = tables.images
    more: Row = {"seconds": table.c.seconds + seconds} if seconds else {}
    update = sa.update(table).where(table.c.image == image).values(**values, **more)
    if connection.execute(update).rowcount == 0:
        connection.execute(sa.insert(table), {"image": image, **values, "seconds": seconds})

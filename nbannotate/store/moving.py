"""Images of a store under other names: the edit written, the names that followed, all contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from nbannotate.core.edits import Edit
from nbannotate.core.moves import composed, reconciled
from nbannotate.core.reconciliation import Known
from nbannotate.core.replay import CONTENT, FACTS, IMAGE_STATE
from nbannotate.errors import ConflictError, StoreError
from nbannotate.store import tables
from nbannotate.store.database import Database, rows_among

_CHUNK = 1000  # rows; read in about 3 ms, during which a gesture may wait
_AGAIN = "call reconcile() again"


def move(connection: sa.Connection, edit: Edit, at: int) -> None:
    """Write an edit of op ``reconcile``; `ConflictError` if images are not any more as it has it.

    No image is moved to where another is that does not go away.
    """
    before, after = edit.before or {}, edit.after or {}
    moves: Mapping[str, str] = after["moves"]
    keys = list(edit.images)
    images = rows_among(connection, sa.select(tables.images), tables.images.c.image, keys)
    rows = {row["image"]: row for row in images}
    column = tables.labels.c
    query = sa.select(column.label_id, column.image)
    labels = rows_among(connection, query, column.image, keys)
    there = rows.keys() | {label["image"] for label in labels}
    for old, new in moves.items():
        if old not in there:
            raise ConflictError(f"someone has moved the image {old!r} since; {_AGAIN}")
        if new in there and new not in moves:
            raise ConflictError(f"someone has labelled the image {new!r} since; {_AGAIN}")
    for key, values in before["facts"].items():
        row = rows.get(key, {})
        if any(row.get(name) != values[name] for name in CONTENT if name in values):
            raise ConflictError(f"someone has recorded the image {key!r} since; {_AGAIN}")
    try:
        new_rows = list(reconciled(rows, after, at).values())
    except ValueError as error:
        raise StoreError(f"the step {error}; look at the store with its check()") from error
    if rows:
        gone = sa.delete(tables.images).where(tables.images.c.image == sa.bindparam("key"))
        connection.execute(gone, [{"key": key} for key in rows])
        connection.execute(sa.insert(tables.images), new_rows)
    moved = [
        {"key": label["label_id"], "image": moves[label["image"]], "updated": at}
        for label in labels
        if label["image"] in moves
    ]
    if moved:
        connection.execute(
            sa.update(tables.labels).where(column.label_id == sa.bindparam("key")), moved
        )
    _move_queue(connection, moves)


def _move_queue(connection: sa.Connection, moves: Mapping[str, str]) -> None:
    """Have the images handed out by their new keys, each in the better place of the two."""
    column = tables.queue.c
    keys = list({*moves, *moves.values()})
    rows = rows_among(connection, sa.select(tables.queue), column.image, keys)
    if not rows:
        return
    places: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: int(row["place"])):
        places.setdefault(moves.get(row["image"], row["image"]), row["place"])
    for table in (tables.queue, tables.leases):  # what was in hand is so by no key any more
        gone = sa.delete(table).where(table.c.image == sa.bindparam("key"))
        connection.execute(gone, [{"key": row["image"]} for row in rows])
    new = [{"image": image, "place": place} for image, place in places.items()]
    connection.execute(sa.insert(tables.queue), new)


def moves_since(connection: sa.Connection, batch: int) -> dict[str, str]:
    """Keys of images before all batches after this one, to what they are now, where they differ."""
    column = tables.history.c
    query = sa.select(column.after).where(column.batch > batch, column.op == "reconcile")
    rows = connection.scalars(query.order_by(column.batch, column.seq))  # by an index
    return composed(row["moves"] for row in rows)


def known_images(database: Database) -> dict[str, Known]:
    """What is known of the file of each image of which something was said."""
    column, labels = tables.images.c, tables.labels.c
    with database.reading() as connection:
        labelled = set(connection.scalars(sa.select(labels.image).distinct()))
        # An image may have labels and no row, in a store that was damaged.
        found = {key: Known(None, None, None, None, None, False) for key in labelled}
        names = ("image", *FACTS, *IMAGE_STATE)
        for key, *values in connection.execute(sa.select(*(column[name] for name in names))):
            facts, state = values[: len(FACTS)], values[len(FACTS) :]
            is_idle = key not in labelled and state == list(IMAGE_STATE.values())
            found[key] = Known._make([*facts, is_idle])
    return found


def contents(database: Database) -> Iterator[list[tuple[str, int | None, str | None]]]:
    """Key, bytes and hash of images that are not idle, some at a time.

    In between the store is left to others.
    """
    column, labels = tables.images.c, tables.labels.c
    query = sa.select(column.image, column.bytes, column.hash).order_by(column.image).limit(_CHUNK)
    is_labelled = sa.exists().where(labels.image == column.image)
    said = [column[name].is_distinct_from(value) for name, value in IMAGE_STATE.items()]
    query = query.where(sa.or_(*said, is_labelled))
    last = ""
    while True:
        with database.reading() as connection:
            rows = [tuple(row) for row in connection.execute(query.where(column.image > last))]
        if not rows:
            return
        yield rows
        last = rows[-1][0]

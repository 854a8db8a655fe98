"""Sums over the tables, kept in the transaction of each batch, so that nothing counts them anew.

They name the batch that they are of. Where that is not the last one, because a version without
them wrote it or rows came in by another way, they are made anew from the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from nbannotate.core.edits import Edit
from nbannotate.store import tables

_BATCH, _SECONDS, _CLASS = "batch", "seconds", "class "


def keep(connection: sa.Connection, edits: Sequence[Edit], seconds: float, batch: int) -> None:
    """Take in a batch, after it is written."""
    if _read(connection, _BATCH) != batch - 1:
        make(connection)
        return
    steps: Counter[str] = Counter()
    for edit in edits:
        for class_id, step in edit.class_steps().items():
            steps[f"{_CLASS}{class_id}"] += step
    changes: dict[str, float] = {name: step for name, step in steps.items() if step}
    if seconds:
        changes[_SECONDS] = seconds
    table = tables.tallies
    for name, change in {**changes, _BATCH: 1}.items():
        update = sa.update(table).where(table.c.name == name)
        if connection.execute(update.values(value=table.c.value + change)).rowcount == 0:
            connection.execute(sa.insert(table), {"name": name, "value": change})


def make(connection: sa.Connection) -> None:
    """Make them anew from the tables, unless they are of the last batch."""
    last = _last(connection)
    if _read(connection, _BATCH) == last:
        return
    values = {_BATCH: last, _SECONDS: _sum_seconds(connection)}
    values |= {f"{_CLASS}{key}": count for key, count in _count_classes(connection).items()}
    connection.execute(sa.delete(tables.tallies))
    connection.execute(
        sa.insert(tables.tallies),
        [{"name": name, "value": float(value)} for name, value in values.items()],
    )


def counts(connection: sa.Connection) -> dict[int, int]:
    """How many labels each class has that has any."""
    if _read(connection, _BATCH) != _last(connection):
        return _count_classes(connection)
    column = tables.tallies.c
    rows = connection.execute(sa.select(column.name, column.value).where(column.value != 0))
    return {
        int(name.removeprefix(_CLASS)): int(value)
        for name, value in rows
        if name.startswith(_CLASS)
    }


def seconds(connection: sa.Connection) -> float:
    """Active time spent on all images, in seconds."""
    if _read(connection, _BATCH) != _last(connection):
        return _sum_seconds(connection)
    return _read(connection, _SECONDS)


def _read(connection: sa.Connection, name: str) -> float:
    column = tables.tallies.c
    return float(connection.scalar(sa.select(column.value).where(column.name == name)) or 0)


def _last(connection: sa.Connection) -> int:
    return int(connection.scalar(sa.select(sa.func.max(tables.history.c.batch))) or 0)


def _sum_seconds(connection: sa.Connection) -> float:
    return float(connection.scalar(sa.select(sa.func.sum(tables.images.c.seconds))) or 0)


def _count_classes(connection: sa.Connection) -> dict[int, int]:
    column = tables.labels.c.class_id
    query = sa.select(column, sa.func.count()).where(column.is_not(None)).group_by(column)
    rows = connection.execute(query)
    return {class_id: count for class_id, count in rows if class_id is not None}

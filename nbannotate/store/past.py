"""What the history tells: the store as it was at a moment, and the last batches of someone."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import sqlalchemy as sa

from nbannotate.core.collector import collector_off
from nbannotate.core.replay import replay
from nbannotate.core.schema import Schema
from nbannotate.errors import StoreError
from nbannotate.store import tables, verdicts
from nbannotate.store.columns import frame_of

When = int | str | datetime | pd.Timestamp

_CHUNK = 10_000  # rows


def schema_at(connection: sa.Connection, when: When) -> Schema | None:
    """The scheme as it was; None if it is still the same. `StoreError` if `when` is no moment."""
    column = tables.history.c
    later = sa.select(column.before).where(column.op == "schema", sa.not_(_until(connection, when)))
    before = connection.scalar(later.order_by(column.seq).limit(1))
    return None if before is None else Schema.from_dict(before)


@collector_off()
def columns_at(connection: sa.Connection, when: When) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and images as they were; `StoreError` if `when` tells no moment."""
    until = _until(connection, when)
    query = sa.select(tables.history).where(until).order_by(tables.history.c.seq)
    with connection.execute(query, execution_options={"yield_per": _CHUNK}) as result:
        rows, images = replay(dict(row) for row in result.mappings())
    labels, said = verdicts.split(rows.values())
    found = verdicts.overalls(connection, said)
    return (
        frame_of(labels, tables.labels),
        verdicts.with_statuses(frame_of(images.values(), tables.images), found),
    )


def last_batches(annotator: str | None, depth: int) -> sa.Select[tuple[int, int | None]]:
    """Query of the number of an annotator's last batches, newest first, and what each reverses.

    It reads two rows a batch, however many a batch or the history has.
    """
    history = tables.history
    own = sa.select(sa.func.max(history.c.batch)).where(history.c.annotator == annotator)
    steps = sa.select(own.scalar_subquery().label("batch"), sa.literal(1).label("place"))
    found = steps.cte("found", recursive=True)
    before = own.where(history.c.batch < found.c.batch).scalar_subquery()
    found = found.union_all(
        sa.select(before, found.c.place + 1).where(
            found.c.batch.is_not(None), found.c.place < depth
        )
    )
    reverses = sa.select(history.c.reverses).where(history.c.batch == found.c.batch).limit(1)
    return (
        sa.select(found.c.batch, reverses.scalar_subquery().label("reverses"))
        .where(found.c.batch.is_not(None))
        .order_by(found.c.batch.desc())
    )


def _until(connection: sa.Connection, when: When) -> sa.ColumnElement[bool]:
    if not isinstance(when, int | np.integer):
        return tables.history.c.at <= _microseconds(when)
    if isinstance(when, bool) or when < 0:
        raise StoreError(f"{when} is no number of an edit; 0 is the store before the first")
    column = tables.history.c
    # Half an edit of the scheme is no moment: its labels would have classes that are no more.
    last = sa.select(column.batch).where(column.op == "schema", column.seq <= int(when))
    last = last.order_by(column.seq.desc()).limit(1)
    end = connection.scalar(
        sa.select(sa.func.max(column.seq)).where(column.batch == last.scalar_subquery())
    )
    return column.seq <= max(int(when), end or 0)


def _microseconds(when: str | datetime | pd.Timestamp) -> int:
    mend = "give the number of an edit, or a time such as '2026-01-31T12:00+01:00'"
    try:
        time = pd.Timestamp(when)
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"{when!r} is no time; {mend}") from error
    if not isinstance(when, str | datetime) or pd.isna(time):  # a float is no number of an edit
        raise StoreError(f"{when!r} is no time; {mend}")
    if time.tzinfo is None:
        # Whose clock was meant cannot be told, and hours of work lie between the answers.
        raise StoreError(f"{when!r} has no time zone; add one, such as '+00:00' or 'Z' for UTC")
    return int(time.floor("us").as_unit("us").asm8.astype("int64"))

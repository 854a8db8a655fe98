"""The store as it was at a moment of its history."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.core.replay import replay
from nbannotate.errors import StoreError
from nbannotate.store import tables

When = int | str | datetime | pd.Timestamp

_CHUNK = 10_000  # rows


def rows_at(connection: sa.Connection, when: When) -> tuple[list[Row], list[Row]]:
    """The label and image rows as they were; `StoreError` if `when` tells no moment."""
    query = sa.select(tables.history).where(_until(when)).order_by(tables.history.c.seq)
    with connection.execution_options(yield_per=_CHUNK).execute(query) as result:
        labels, images = replay(dict(row) for row in result.mappings())
    return list(labels.values()), list(images.values())


def _until(when: When) -> sa.ColumnElement[bool]:
    column, end = tables.history.c.seq, when
    if not isinstance(when, int):
        column, end = tables.history.c.at, _microseconds(when)
    elif isinstance(when, bool) or when < 0:
        raise StoreError(f"{when} is no number of an edit; 0 is the store before the first")
    return sa.and_(column <= end)


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
    return int(time.as_unit("us").value)

"""What is in a store, in numbers, without reading its labels one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.core.schema import Schema
from nbannotate.core.tables import STATUSES
from nbannotate.store import tables, verdicts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Work:
    """What one annotator did, or all of them.

    Parameters
    ----------
    labels
        Labels that they made and that are there.
    seconds
        Active time spent.
    first, last
        Time of the first and of the last edit; None before the first.
    """

    labels: int = 0
    seconds: float = 0.0
    first: datetime | None = None
    last: datetime | None = None

    @property
    def labels_per_hour(self) -> float | None:
        """Labels in an hour of active time; None where none was measured."""
        return self.labels * 3600 / self.seconds if self.seconds else None

    def to_dict(self) -> Row:
        """The numbers as plain JSON values; times as ISO texts."""
        values: Row = {**asdict(self), "labels_per_hour": self.labels_per_hour}
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}


@dataclass(frozen=True)
class Summary:
    """What is in a store.

    Parameters
    ----------
    images
        Number of images of each status, of those that someone has touched.
    classes, tags
        Number of labels of each class, and of each tag, by name; all of the scheme, in its order.
    others
        Number of labels without a class, such as texts.
    annotators
        What each of them did, by name; ``""`` stands for edits without one.
    total
        What all of them did.
    """

    images: dict[str, int]
    classes: dict[str, int]
    tags: dict[str, int]
    others: int
    annotators: dict[str, Work]
    total: Work

    def to_dict(self) -> Row:
        """The numbers as plain JSON values."""
        return {
            "images": self.images,
            "classes": self.classes,
            "tags": self.tags,
            "others": self.others,
            "annotators": {who: work.to_dict() for who, work in self.annotators.items()},
            "total": self.total.to_dict(),
        }


def summarise(connection: sa.Connection, schema: Schema) -> Summary:
    """Count what is in a store."""
    labels, images, history = tables.labels.c, tables.images.c, tables.history.c
    statuses = Counter(_counts(connection, images.status))
    for status in verdicts.new_statuses(connection).values():
        statuses.update({"todo": -1, status: 1})
    classes = _counts(connection, labels.class_id, verdicts.IS_LABEL)
    made = _counts(connection, labels.annotator, verdicts.IS_LABEL)
    # Where nobody made a label nor spent time, what stands there is the merging of stores.
    query = sa.select(
        history.annotator,
        sa.func.sum(history.seconds),
        sa.func.min(history.at),
        sa.func.max(history.at),
    ).group_by(history.annotator)
    work: dict[str, Work] = defaultdict(Work)
    for who, seconds, first, last in connection.execute(query):
        work[who or ""] = Work(made.get(who, 0), float(seconds or 0), _time(first), _time(last))
    if work and not work[""].labels and not work[""].seconds:
        del work[""]
    spans = [(w.first, w.last) for w in work.values() if w.first and w.last]
    total = Work(
        sum(made.values()),
        sum(w.seconds for w in work.values()),
        min((first for first, _ in spans), default=None),
        max((last for _, last in spans), default=None),
    )
    return Summary(
        {status: statuses.get(status, 0) for status in STATUSES},
        {c.name: classes.get(c.id, 0) for c in schema.classes},
        {c.name: classes.get(c.id, 0) for c in schema.tag_choices},
        classes.get(None, 0),
        dict(sorted(work.items())),
        total,
    )


def _counts(
    connection: sa.Connection, column: sa.ColumnElement[Any], *where: sa.ColumnElement[bool]
) -> dict[Any, int]:
    query = sa.select(column, sa.func.count()).where(*where).group_by(column)
    rows = connection.execute(query)
    return {value: int(count) for value, count in rows}


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)

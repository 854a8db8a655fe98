"""What a store holds for an annotator who is blind to the others."""

# ruff: noqa: D102 - the methods are those of `Reader`

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import sqlalchemy as sa

from nbannotate.core.assignment import COUNTED, VERDICT_STATE, state_of
from nbannotate.core.edits import Row
from nbannotate.core.tables import KINDS
from nbannotate.store import tables
from nbannotate.store.columns import frame_of
from nbannotate.store.database import Database
from nbannotate.store.meta import SchemaCell
from nbannotate.store.reading import Reader
from nbannotate.store.verdicts import IS_LABEL, IS_VERDICT

_LABELS = tables.labels.c


class BlindReader(Reader):
    """The labels of one annotator alone, and what they say of the images.

    Parameters
    ----------
    database, schema
        See `Reader`.
    annotator
        Whose they are.
    """

    def __init__(self, database: Database, schema: SchemaCell, annotator: str) -> None:
        super().__init__(database, schema)
        self._annotator = annotator
        self._is_verdict = sa.and_(IS_VERDICT, _LABELS.annotator == annotator)

    def label(self, label_id: str) -> Row | None:
        row = super().label(label_id)
        return row if row is not None and row["annotator"] == self._annotator else None

    def images_of(self, images: Iterable[str]) -> dict[str, Row]:
        keys = list(images)
        query = sa.select(tables.labels).where(self._is_verdict)
        rows = self._database.rows_among(query, _LABELS.image, keys)
        said = {row["image"]: state_of(row) for row in rows}
        return {
            image: {**row, **said.get(image, VERDICT_STATE)}
            for image, row in super().images_of(keys).items()
        }

    def verdict_of(self, image: str) -> Row | None:
        """The row of the annotator's verdict on an image; None if there is none."""
        query = sa.select(tables.labels).where(self._is_verdict, _LABELS.image == image)
        rows = self._database.rows(query)
        return rows[0] if rows else None

    def statuses(self) -> dict[str, str]:
        query = sa.select(_LABELS.image, _LABELS.text).where(self._is_verdict)
        with self._database.reading() as connection:
            return {image: str(status) for image, status in connection.execute(query)}

    def status_of(self, image: str) -> str:
        query = sa.select(_LABELS.text).where(self._is_verdict, _LABELS.image == image)
        return str(self._database.scalar(query) or "todo")

    def finished_by(self, annotator: str) -> list[str]:
        query = sa.select(_LABELS.image).where(
            IS_VERDICT, _LABELS.annotator == annotator, _LABELS.text != "todo"
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(_LABELS.updated)))

    def finished_by_others(self) -> dict[str, int]:
        is_other = sa.and_(IS_VERDICT, _LABELS.annotator != self._annotator)
        query = sa.select(_LABELS.image, sa.func.count()).where(is_other, _LABELS.text.in_(COUNTED))
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(_LABELS.image))
            return {image: int(count) for image, count in rows}

    def unsure_images(self) -> set[str]:
        query = sa.select(_LABELS.image, _LABELS.geometry).where(self._is_verdict)
        with self._database.reading() as connection:
            return {image for image, more in connection.execute(query) if more["unsure"]}

    def counts(self) -> dict[int, int]:
        query = sa.select(_LABELS.class_id, sa.func.count()).where(
            _LABELS.kind.in_(KINDS), self._is_label(), _LABELS.class_id.is_not(None)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(_LABELS.class_id))
            return {int(class_id): int(count) for class_id, count in rows if class_id is not None}

    def seconds(self) -> float:
        column = tables.history.c
        query = sa.select(sa.func.sum(column.seconds)).where(column.annotator == self._annotator)
        return float(self._database.scalar(query) or 0)

    def _is_label(self) -> sa.ColumnElement[bool]:
        return sa.and_(IS_LABEL, _LABELS.annotator == self._annotator)

    def _of_history(self, query: sa.Select[*tuple[object, ...]]) -> sa.Select[*tuple[object, ...]]:
        return query.where(tables.history.c.annotator == self._annotator)

    def _read_images(self, connection: sa.Connection) -> pd.DataFrame:
        history = tables.history.c
        query = sa.select(history.image, sa.func.sum(history.seconds), sa.func.max(history.at))
        query = query.where(history.annotator == self._annotator, history.op != "schema")
        work = {
            image: {"seconds": float(seconds or 0), "updated": at, "annotator": self._annotator}
            for image, seconds, at in connection.execute(query.group_by(history.image))
        }
        verdicts = connection.execute(sa.select(tables.labels).where(self._is_verdict)).mappings()
        said = {row["image"]: state_of(dict(row)) for row in verdicts}
        rows = [
            {**row, **work[row["image"]], **said.get(row["image"], VERDICT_STATE)}
            for row in connection.execute(sa.select(tables.images)).mappings()
            if row["image"] in work
        ]
        return frame_of(rows, tables.images)

"""What a store holds, read: whole tables for people, a few rows to go on with the work."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import sqlalchemy as sa

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.edits import Row
from nbannotate.core.schema import Schema
from nbannotate.core.tables import images_table
from nbannotate.store import tables, tallies, verdicts
from nbannotate.store.columns import read_columns
from nbannotate.store.database import Database
from nbannotate.store.frames import history_frame, images_frame, labels_frame
from nbannotate.store.meta import SchemaCell

_LABELS = tables.labels.c


class Reader:
    """Labels, images and their history.

    Parameters
    ----------
    database
        Where they are.
    schema
        The label scheme there.
    """

    def __init__(self, database: Database, schema: SchemaCell) -> None:
        self._database = database
        self._schema = schema

    @property
    def labels(self) -> pd.DataFrame:
        """The labels as a DataFrame, a copy."""
        with self._database.reading() as connection:
            return self._read_labels(connection)

    @property
    def images(self) -> pd.DataFrame:
        """The images that someone has touched as a DataFrame, a copy.

        Where several annotators label an image blind to each other, its status is ``todo`` until
        as many are done as it needs.
        """
        with self._database.reading() as connection:
            return images_frame(self._read_images(connection))

    @property
    def history(self) -> pd.DataFrame:
        """Every edit ever made, oldest first, as a DataFrame, a copy."""
        query = self._of_history(sa.select(tables.history)).order_by(tables.history.c.seq)
        with self._database.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
            return history_frame(rows, self._schema.read(connection).schema)

    @property
    def dataset(self) -> Dataset:
        """Labels, images and scheme together."""
        with self._database.reading() as connection:
            images = images_frame(self._read_images(connection))
            schema = self._schema.read(connection).schema
            return dataset_of(self._read_labels(connection), images, schema)

    def labels_of(self, images: Iterable[str]) -> dict[str, list[Row]]:
        """The labels of each of the images, oldest first."""
        found: dict[str, list[Row]] = {image: [] for image in images}
        query = sa.select(tables.labels).where(self._is_label())
        for row in self._database.rows_among(query, _LABELS.image, list(found)):
            found[row["image"]].append(row)
        for rows in found.values():
            rows.sort(key=lambda row: (row["created"], row["label_id"]))
        return found

    def label(self, label_id: str) -> Row | None:
        """One label; None if there is none of that id."""
        rows = self._database.rows(sa.select(tables.labels).where(_LABELS.label_id == label_id))
        return rows[0] if rows else None

    def images_of(self, images: Iterable[str]) -> dict[str, Row]:
        """The rows of those images that someone has touched."""
        query = sa.select(tables.images)
        rows = self._database.rows_among(query, tables.images.c.image, list(images))
        return {row["image"]: row for row in rows}

    def statuses(self) -> dict[str, str]:
        """Status of each image that someone has touched."""
        query = sa.select(tables.images.c.image, tables.images.c.status)
        with self._database.reading() as connection:
            own = {image: status for image, status in connection.execute(query)}
            return {**own, **verdicts.new_statuses(connection)}

    def status_of(self, image: str) -> str:
        """Status of one image."""
        column = tables.images.c
        query = sa.select(column.status).where(column.image == image)
        with self._database.reading() as connection:
            own = connection.scalar(query) or "todo"
            return own if own != "todo" else verdicts.statuses(connection, image).get(image, own)

    def finished_by(self, annotator: str) -> list[str]:
        """The images that someone was the last to work on and that are no longer to do."""
        column = tables.images.c
        query = sa.select(column.image).where(
            column.annotator == annotator, column.status != "todo"
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(column.updated)))

    def finished_by_others(self) -> dict[str, int]:
        """How many annotators have finished each image, beside the one who sees this."""
        return {}

    def images_with(self, class_id: int) -> set[str]:
        """The images that bear a label of the class."""
        query = sa.select(_LABELS.image).where(self._is_label(), _LABELS.class_id == class_id)
        with self._database.reading() as connection:
            return set(connection.scalars(query.distinct()))

    def unsure_images(self) -> set[str]:
        """The images that someone is unsure of."""
        query = sa.select(tables.images.c.image).where(tables.images.c.unsure)
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def counts(self) -> dict[int, int]:
        """How many labels each class has."""
        with self._database.reading() as connection:
            return tallies.counts(connection)

    def seconds(self) -> float:
        """Active time spent on the images, in seconds."""
        with self._database.reading() as connection:
            return tallies.seconds(connection)

    def _is_label(self) -> sa.ColumnElement[bool]:
        return verdicts.IS_LABEL

    def _of_history(self, query: sa.Select[*tuple[object, ...]]) -> sa.Select[*tuple[object, ...]]:
        return query

    def _read_labels(self, connection: sa.Connection) -> pd.DataFrame:
        with collector_off():
            columns = read_columns(connection, tables.labels, self._is_label())
            return labels_frame(columns, self._schema.read(connection).schema)

    def _read_images(self, connection: sa.Connection) -> pd.DataFrame:
        columns = read_columns(connection, tables.images)
        return verdicts.with_statuses(columns, verdicts.new_statuses(connection))


def dataset_of(labels: pd.DataFrame, images: pd.DataFrame, schema: Schema) -> Dataset:
    """A dataset whose images are at least those that bear labels."""
    missing = labels["image"][~labels["image"].isin(images.index)].unique()
    if len(missing):
        images = pd.concat([images, images_table(missing)])
    return Dataset(labels, images, schema)

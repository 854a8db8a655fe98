"""The history of a store, read: as it was at a moment, batch by batch, and who did what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import sqlalchemy as sa

from nbannotate.core.dataset import Dataset
from nbannotate.core.edits import Batch, Edit, Row, UndoStack
from nbannotate.core.reconciliation import Known
from nbannotate.store import tables
from nbannotate.store.frames import images_frame, labels_frame
from nbannotate.store.moving import contents, known_images, moves_since
from nbannotate.store.past import When, columns_at, last_batches, schema_at
from nbannotate.store.reading import Reader, dataset_of
from nbannotate.store.snapshot import write_snapshot
from nbannotate.store.summary import Summary, summarise

UNDO_DEPTH = 1000


class Journal(Reader):
    """Labels, images and all that led to them."""

    def at(self, when: When) -> Dataset:
        """The dataset as it was, with its scheme, rebuilt from the history.

        Parameters
        ----------
        when
            Number of an edit (``store.history.index``), the last one to be in it, with all of it
            where it is a part of an edit of the scheme; or a time, as a datetime, pandas Timestamp
            or ISO text, with a time zone.

        Raises
        ------
        StoreError
            If that is no moment, or a time without a time zone.
        """
        with self._database.reading() as connection:
            labels, images = columns_at(connection, when)
            schema = schema_at(connection, when) or self._schema.read(connection).schema
        return dataset_of(labels_frame(labels, schema), images_frame(images), schema)

    def snapshot(self, folder: str | Path) -> Path:
        """Write all tables as partitioned Parquet, which Dask, DuckDB, Spark and pandas read.

        Parameters
        ----------
        folder
            Made by this; see `nbannotate.store.snapshot` for what is in it.

        Returns
        -------
        The folder. It is whole, or not there.

        Examples
        --------
        In DuckDB: ``SELECT * FROM read_parquet('snapshot/labels/*/*.parquet')``; in pandas:
        ``pd.read_parquet("snapshot/labels", filters=[("kind", "==", "box")])``.
        """
        path = Path(folder).expanduser()
        with self._database.reading() as connection:
            write_snapshot(connection, self._schema.read(connection).schema, path)
        return path

    @property
    def annotators(self) -> list[str]:
        """Who made edits, sorted."""
        column = tables.history.c.annotator
        rows = self._database.rows(sa.select(column).distinct().where(column.is_not(None)))
        return sorted(row["annotator"] for row in rows)

    def summary(self) -> Summary:
        """Numbers of images by status, labels by class, and what each annotator did."""
        with self._database.reading() as connection:
            return summarise(connection, self._schema.read(connection).schema)

    def acknowledged(self, client: str) -> int:
        """Number of the last message of this client that took effect; 0 for none."""
        query = sa.select(tables.clients.c.seq).where(tables.clients.c.client == client)
        return int(self._database.scalar(query) or 0)

    def batch(self, number: int) -> list[Edit]:
        """The edits of one batch, in order."""
        query = sa.select(tables.history).where(tables.history.c.batch == number)
        return [_edit(row) for row in self._database.rows(query.order_by(tables.history.c.seq))]

    def last_batch(self) -> int:
        """Number of the last batch; 0 before the first."""
        return int(self._database.scalar(sa.select(sa.func.max(tables.history.c.batch))) or 0)

    def batches_after(self, number: int) -> list[Batch]:
        """The batches committed after this one, by whomever, oldest first."""
        column = tables.history.c
        query = sa.select(tables.history).where(column.batch > number)
        rows = self._database.rows(query.order_by(column.batch, column.seq))
        return [
            Batch(
                batch,
                first["annotator"],
                first["reverses"],
                first["seconds"] or 0.0,
                (_edit(first), *map(_edit, others)),
            )
            for batch, (first, *others) in groupby(rows, key=itemgetter("batch"))
        ]

    def undo_stack(self, annotator: str | None) -> UndoStack:
        """What this annotator can undo and redo, the last thousand steps."""
        rows = self._database.rows(last_batches(annotator, UNDO_DEPTH))
        return UndoStack.fold((row["batch"], row["reverses"]) for row in reversed(rows))

    def known_images(self) -> dict[str, Known]:
        """What is known of the file of each image of which something was said."""
        return known_images(self._database)

    def contents(self) -> Iterator[list[tuple[str, int | None, str | None]]]:
        """Key, bytes and hash of images that are not idle, some at a time, so that none waits."""
        return contents(self._database)

    def moves_since(self, batch: int) -> dict[str, str]:
        """Keys that images had after this batch, to those that they have now, where they differ."""
        with self._database.reading() as connection:
            return moves_since(connection, batch)


def _edit(row: Row) -> Edit:
    return Edit(row["op"], row["image"], row["label_id"], row["before"], row["after"])

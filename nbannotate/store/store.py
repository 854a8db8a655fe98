"""The store: every edit in one transaction with its history, and tables back as DataFrames."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from nbannotate.core.dataset import Dataset
from nbannotate.core.edits import Batch, Edit, Row, UndoStack
from nbannotate.core.schema import Schema
from nbannotate.core.tables import images_table
from nbannotate.errors import SchemaError, StoreError
from nbannotate.store import tables
from nbannotate.store.engine import create_engine, explain
from nbannotate.store.frames import history_frame, images_frame, labels_frame
from nbannotate.store.writing import rows_among, touch, write

UNDO_DEPTH = 1000
_LAST = (
    sa.select(tables.history.c.batch, tables.history.c.at)
    .order_by(tables.history.c.seq.desc())
    .limit(1)
)


class Store:
    """Labels, images and their history in one SQLite database, on disk or in memory.

    Made by `open_store`. Safe to use from several threads: one lock, one connection.

    Parameters
    ----------
    engine
        SQLAlchemy engine of the database.
    name
        What messages call it: its path, or ``memory``.
    """

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self.name = name
        self._engine = engine
        self._lock = threading.RLock()
        self._last_at = 0
        try:
            with self._transaction(write=True) as connection:
                self.id: str = self._set_up(connection)
        except BaseException:
            engine.dispose()
            raise
        self._stored_schema: Row = {}
        self._schema = Schema()

    def __repr__(self) -> str:
        return f"Store({self.name!r})"

    @property
    def schema(self) -> Schema:
        """The scheme of the labels in the store, as it is now."""
        with self._transaction() as connection:
            return self._read_schema(connection)

    @schema.setter
    def schema(self, schema: Schema) -> None:
        with self._transaction(write=True) as connection:
            self._write_schema(connection, schema)

    def extend_schema(self, schema: Schema) -> None:
        """Add to the store's scheme what this one has and it lacks; see `Schema.extended`."""
        with self._transaction(write=True) as connection:
            stored = self._read_schema(connection)
            extended = stored.extended(schema)
            if extended != stored:
                self._write_schema(connection, extended)

    @property
    def labels(self) -> pd.DataFrame:
        """All labels as a DataFrame, a copy."""
        with self._lock:
            return labels_frame(self._rows(sa.select(tables.labels)), self.schema)

    @property
    def images(self) -> pd.DataFrame:
        """All images that someone has touched as a DataFrame, a copy."""
        return images_table(images_frame(self._rows(sa.select(tables.images))))

    @property
    def history(self) -> pd.DataFrame:
        """Every edit ever made, oldest first, as a DataFrame, a copy."""
        query = sa.select(tables.history).order_by(tables.history.c.seq)
        with self._lock:
            return history_frame(self._rows(query), self.schema)

    @property
    def dataset(self) -> Dataset:
        """Labels, images and scheme together."""
        with self._lock:
            labels = self.labels
            known = self.images
            missing = labels["image"][~labels["image"].isin(known.index)].unique()
            if len(missing):
                known = pd.concat([known, images_table(missing)])
            return Dataset(labels, known, self.schema)

    @property
    def annotators(self) -> list[str]:
        """Who made edits, sorted."""
        column = tables.history.c.annotator
        rows = self._rows(sa.select(column).distinct().where(column.is_not(None)))
        return sorted(row["annotator"] for row in rows)

    def apply(
        self,
        edits: Sequence[Edit],
        *,
        annotator: str | None = None,
        seconds: float | None = None,
        reverses: int | None = None,
        message: tuple[str, int] | None = None,
        facts: Mapping[str, Row] | None = None,
    ) -> int | None:
        """Commit the edits as one batch: on disk when this returns, or not at all.

        Parameters
        ----------
        edits
            What to change, in order.
        annotator
            Who changes it.
        seconds
            Active time spent on it.
        reverses
            Number of the batch that this one takes back.
        message
            Client and number of the message that asks for it. A number that this client has had
            already changes nothing.
        facts
            What is known of the images that the edits touch: path, width and height in pixels.

        Returns
        -------
        Number of the batch; None if the message was known, or there was nothing to change.

        Raises
        ------
        ConflictError
            If a label or image is not any more as an edit has it ``before``.
        StoreError
            If the database refuses. In either case nothing of the batch is in it.
        """
        with self._transaction(write=True) as connection:
            if message is not None and not self._take(connection, *message):
                return None
            if not edits:
                return None
            last = connection.execute(_LAST).first()
            batch = 1 if last is None else last.batch + 1
            if last is not None:  # another process may have written it, by a faster clock
                self._last_at = max(self._last_at, last.at)
            at = self.now()
            write(connection, edits, at)
            touch(connection, edits, seconds or 0.0, {"annotator": annotator, "updated": at}, facts)
            connection.execute(
                sa.insert(tables.history),
                [
                    {
                        "batch": batch,
                        "reverses": reverses,
                        "at": at,
                        "annotator": annotator,
                        # Once a batch, so that the sum over the history is the time spent.
                        "seconds": seconds if place == 0 else 0.0,
                        "op": edit.op,
                        "label_id": edit.label_id,
                        "image": edit.image,
                        "before": edit.before,
                        "after": edit.after,
                    }
                    for place, edit in enumerate(edits)
                ],
            )
        return batch

    def acknowledged(self, client: str) -> int:
        """Number of the last message of this client that took effect; 0 for none."""
        query = sa.select(tables.clients.c.seq).where(tables.clients.c.client == client)
        return int(self._scalar(query) or 0)

    def batch(self, number: int) -> list[Edit]:
        """The edits of one batch, in order."""
        query = sa.select(tables.history).where(tables.history.c.batch == number)
        return [_edit(row) for row in self._rows(query.order_by(tables.history.c.seq))]

    def last_batch(self) -> int:
        """Number of the last batch; 0 before the first."""
        return int(self._scalar(sa.select(sa.func.max(tables.history.c.batch))) or 0)

    def batches_after(self, number: int) -> list[Batch]:
        """The batches committed after this one, by whomever, oldest first."""
        column = tables.history.c
        query = sa.select(tables.history).where(column.batch > number)
        rows = self._rows(query.order_by(column.batch, column.seq))
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
        column = tables.history.c
        query = (
            sa.select(column.batch, sa.func.max(column.reverses).label("reverses"))
            .where(column.annotator == annotator)
            .group_by(column.batch)
            .order_by(column.batch.desc())
            .limit(UNDO_DEPTH)
        )
        rows = self._rows(query)
        return UndoStack.fold((row["batch"], row["reverses"]) for row in reversed(rows))

    def labels_of(self, images: Iterable[str]) -> dict[str, list[Row]]:
        """The labels of each of the images, oldest first."""
        column = tables.labels.c
        found: dict[str, list[Row]] = {image: [] for image in images}
        for row in self._rows_among(sa.select(tables.labels), column.image, list(found)):
            found[row["image"]].append(row)
        for rows in found.values():
            rows.sort(key=lambda row: (row["created"], row["label_id"]))
        return found

    def label(self, label_id: str) -> Row | None:
        """One label; None if there is none of that id."""
        rows = self._rows(sa.select(tables.labels).where(tables.labels.c.label_id == label_id))
        return rows[0] if rows else None

    def images_of(self, images: Iterable[str]) -> dict[str, Row]:
        """The rows of those images that someone has touched."""
        query = sa.select(tables.images)
        rows = self._rows_among(query, tables.images.c.image, list(images))
        return {row["image"]: row for row in rows}

    def statuses(self) -> dict[str, str]:
        """Status of each image that someone has touched."""
        query = sa.select(tables.images.c.image, tables.images.c.status)
        return {row["image"]: row["status"] for row in self._rows(query)}

    def images_with(self, class_id: int) -> set[str]:
        """The images that bear a label of the class."""
        query = sa.select(tables.labels.c.image).where(tables.labels.c.class_id == class_id)
        return {row["image"] for row in self._rows(query.distinct())}

    def unsure_images(self) -> set[str]:
        """The images that someone is unsure of."""
        query = sa.select(tables.images.c.image).where(tables.images.c.unsure)
        return {row["image"] for row in self._rows(query)}

    def counts(self) -> dict[int, int]:
        """How many labels each class has."""
        column = tables.labels.c.class_id
        query = sa.select(column, sa.func.count().label("n")).group_by(column)
        return {row["class_id"]: row["n"] for row in self._rows(query.where(column.is_not(None)))}

    def seconds(self) -> float:
        """Active time spent on all images, in seconds."""
        return float(self._scalar(sa.select(sa.func.sum(tables.images.c.seconds))) or 0)

    def close(self) -> None:
        """Close the database. Everything acknowledged is on disk before and after."""
        with self._lock:
            self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> int:
        """Microseconds since 1970, UTC; each time later than the last, whatever the clock does."""
        with self._lock:
            self._last_at = max(time.time_ns() // 1000, self._last_at + 1)
            return self._last_at

    def _set_up(self, connection: sa.Connection) -> str:
        """Make or check the layout; returns the store's id."""
        there = set(sa.inspect(connection).get_table_names())
        if there and tables.meta.name not in there:
            raise StoreError(f"{self.name}: is the database of another program; give another path")
        tables.metadata.create_all(connection)
        rows = connection.execute(sa.select(tables.meta)).mappings()
        found: dict[str, Any] = {row["key"]: row["value"] for row in rows}
        version = found.get("version", tables.VERSION)
        if version > tables.VERSION:
            raise StoreError(
                f"{self.name}: written by a newer nbannotate (store version {version}, this one "
                f"reads {tables.VERSION}); upgrade with: pip install -U nbannotate"
            )
        if "id" not in found:
            found["id"] = str(uuid.uuid4())
            _insert_meta(connection, {"version": tables.VERSION, "id": found["id"]})
        last = connection.execute(_LAST).first()
        self._last_at = 0 if last is None else last.at
        return str(found["id"])

    def _read_schema(self, connection: sa.Connection) -> Schema:
        # Another process may have changed it, and an id must never get a second meaning.
        query = sa.select(tables.meta.c.value).where(tables.meta.c.key == "schema")
        stored = connection.scalar(query) or {}
        if stored != self._stored_schema:
            self._schema, self._stored_schema = Schema.from_dict(stored), stored
        return self._schema

    def _write_schema(self, connection: sa.Connection, schema: Schema) -> None:
        stored = self._read_schema(connection)
        kept = {c.id for c in (*schema.classes, *schema.tag_choices)}
        for item in (*stored.classes, *stored.tag_choices):
            if item.id not in kept:
                raise SchemaError(
                    f"the scheme would lose {item.name!r} (id {item.id}), which labels and their "
                    "history may need; set it to retired=True instead"
                )
        connection.execute(sa.delete(tables.meta).where(tables.meta.c.key == "schema"))
        _insert_meta(connection, {"schema": schema.to_dict()})

    def _take(self, connection: sa.Connection, client: str, seq: int) -> bool:
        column = tables.clients.c
        last = connection.scalar(sa.select(column.seq).where(column.client == client))
        if last is None:
            connection.execute(sa.insert(tables.clients), {"client": client, "seq": seq})
            return True
        if seq <= last:
            return False
        connection.execute(sa.update(tables.clients).where(column.client == client), {"seq": seq})
        return True

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        with self._lock:
            try:
                with self._engine.execution_options(write=write).begin() as connection:
                    yield connection
            except sa.exc.SQLAlchemyError as error:
                raise StoreError(f"{self.name}: {explain(error)}") from error

    def _rows(self, query: sa.Select[*tuple[Any, ...]]) -> list[Row]:
        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _rows_among(
        self, query: sa.Select[*tuple[Any, ...]], column: sa.ColumnElement[Any], keys: Sequence[str]
    ) -> list[Row]:
        with self._transaction() as connection:
            return rows_among(connection, query, column, keys)

    def _scalar(self, query: sa.Select[*tuple[Any, ...]]) -> Any:
        with self._transaction() as connection:
            return connection.scalar(query)


def open_store(path: str | Path | None = "labels.db") -> Store:
    """Open a store, or make it where there is none.

    Parameters
    ----------
    path
        File of the database; its folder must exist. None: in memory, gone with the process.

    Raises
    ------
    StoreError
        If the file is no store, is newer than this version reads, or cannot be written.
    """
    if path is None:
        return Store(create_engine(None), "memory")
    file = Path(path).expanduser()
    if not file.parent.is_dir():
        raise StoreError(f"{file}: its folder does not exist; make it first: {file.parent}")
    if file.is_dir():
        raise StoreError(f"{file}: is a folder; give the path of a file in it, such as labels.db")
    return Store(create_engine(file), str(path))


def _edit(row: Row) -> Edit:
    return Edit(row["op"], row["image"], row["label_id"], row["before"], row["after"])


def _insert_meta(connection: sa.Connection, values: Row) -> None:
    rows: list[Row] = [{"key": key, "value": value} for key, value in values.items()]
    connection.execute(sa.insert(tables.meta), rows)

"""The store: every edit in one transaction with its history, and tables back as DataFrames."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from nbannotate.core.dataset import Dataset
from nbannotate.core.edits import Edit, Row, UndoStack
from nbannotate.core.schema import Schema
from nbannotate.core.tables import images_table
from nbannotate.errors import StoreError
from nbannotate.store import tables
from nbannotate.store.engine import create_engine, explain
from nbannotate.store.frames import history_frame, images_frame, labels_frame

UNDO_DEPTH = 1000
_CHUNK = 500  # SQLite's oldest limit on variables in one statement is 999


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
        with self._transaction(write=True) as connection:
            tables.metadata.create_all(connection)
            rows = connection.execute(sa.select(tables.meta)).mappings()
            found: dict[str, Any] = {row["key"]: row["value"] for row in rows}
            version = found.get("version", tables.VERSION)
            if version > tables.VERSION:
                raise StoreError(
                    f"{name}: written by a newer nbannotate (store version {version}, this one "
                    f"reads {tables.VERSION}); upgrade with: pip install -U nbannotate"
                )
            if "id" not in found:
                found["id"] = str(uuid.uuid4())
                _insert_meta(connection, {"version": tables.VERSION, "id": found["id"]})
        self.id: str = found["id"]
        self._schema = Schema.from_dict(found.get("schema", {}))
        self._last_at = self._scalar(sa.select(sa.func.max(tables.history.c.at))) or 0

    def __repr__(self) -> str:
        return f"Store({self.name!r})"

    @property
    def schema(self) -> Schema:
        """The scheme of the labels in the store."""
        return self._schema

    @schema.setter
    def schema(self, schema: Schema) -> None:
        with self._transaction(write=True) as connection:
            connection.execute(sa.delete(tables.meta).where(tables.meta.c.key == "schema"))
            _insert_meta(connection, {"schema": schema.to_dict()})
        self._schema = schema

    @property
    def labels(self) -> pd.DataFrame:
        """All labels as a DataFrame, a copy."""
        return labels_frame(self._rows(sa.select(tables.labels)), self._schema)

    @property
    def images(self) -> pd.DataFrame:
        """All images that someone has touched as a DataFrame, a copy."""
        return images_table(images_frame(self._rows(sa.select(tables.images))))

    @property
    def history(self) -> pd.DataFrame:
        """Every edit ever made, oldest first, as a DataFrame, a copy."""
        rows = self._rows(sa.select(tables.history).order_by(tables.history.c.seq))
        return history_frame(rows, self._schema)

    @property
    def dataset(self) -> Dataset:
        """Labels, images and scheme together."""
        with self._lock:
            labels = self.labels
            known = self.images
            missing = labels["image"][~labels["image"].isin(known.index)].unique()
            if len(missing):
                known = pd.concat([known, images_table(missing)])
            return Dataset(labels, known, self._schema)

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
        StoreError
            If the database refuses. Nothing of the batch is then in it.
        """
        with self._transaction(write=True) as connection:
            if message is not None and not self._take(connection, *message):
                return None
            if not edits:
                return None
            at = self._now()
            last = connection.scalar(sa.select(sa.func.max(tables.history.c.batch)))
            batch = 1 if last is None else int(last) + 1
            for edit in edits:
                _change(connection, edit, at)
            _touch(
                connection, edits, seconds or 0.0, {"annotator": annotator, "updated": at}, facts
            )
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
        return [
            Edit(row["op"], row["image"], row["label_id"], row["before"], row["after"])
            for row in self._rows(query.order_by(tables.history.c.seq))
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

    def _now(self) -> int:
        # A clock that goes backwards must not reorder the history.
        self._last_at = max(time.time_ns() // 1000, self._last_at + 1)
        return self._last_at

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
        rows: list[Row] = []
        for start in range(0, len(keys), _CHUNK):
            rows += self._rows(query.where(column.in_(keys[start : start + _CHUNK])))
        return rows

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


def _insert_meta(connection: sa.Connection, values: Row) -> None:
    rows: list[Row] = [{"key": key, "value": value} for key, value in values.items()]
    connection.execute(sa.insert(tables.meta), rows)


def _touch(
    connection: sa.Connection,
    edits: Sequence[Edit],
    seconds: float,
    values: Row,
    facts: Mapping[str, Row] | None,
) -> None:
    """Note on the images who worked on them last and, on the first, for how long."""
    for place, image in enumerate(dict.fromkeys(edit.image for edit in edits)):
        about = (facts or {}).get(image, {})
        _change_image(connection, image, {**about, **values}, seconds if place == 0 else 0.0)


def _change(connection: sa.Connection, edit: Edit, at: int) -> None:
    table = tables.labels
    if edit.op == "image":
        assert edit.after is not None
        _change_image(connection, edit.image, {**edit.after, "updated": at})
    elif edit.op == "create":
        assert edit.after is not None
        connection.execute(sa.insert(table), {**edit.after, "updated": at})
    elif edit.op == "update":
        assert edit.after is not None
        where = table.c.label_id == edit.label_id
        done = connection.execute(sa.update(table).where(where), {**edit.after, "updated": at})
        _expect_one(done.rowcount, edit)
    else:
        done = connection.execute(sa.delete(table).where(table.c.label_id == edit.label_id))
        _expect_one(done.rowcount, edit)


def _expect_one(count: int, edit: Edit) -> None:
    if count != 1:
        raise StoreError(
            f"label {edit.label_id!r} of {edit.image!r} is not in the store any more, so it "
            "cannot be changed; refresh the view"
        )


def _change_image(connection: sa.Connection, image: str, values: Row, seconds: float = 0.0) -> None:
    table = tables.images
    more: Row = {"seconds": table.c.seconds + seconds} if seconds else {}
    update = sa.update(table).where(table.c.image == image).values(**values, **more)
    if connection.execute(update).rowcount == 0:
        connection.execute(sa.insert(table), {"image": image, **values, "seconds": seconds})

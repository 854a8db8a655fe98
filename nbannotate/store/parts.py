"""All that one store holds, read to be merged; a file that is read so is never changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from nbannotate.core.edits import Row
from nbannotate.core.replay import FACTS, IMAGE_STATE
from nbannotate.core.schema import Schema
from nbannotate.errors import StoreError
from nbannotate.store import tables
from nbannotate.store.database import Database
from nbannotate.store.meta import read_meta
from nbannotate.store.renaming import under_last_names
from nbannotate.store.sqlite import BUSY_SECONDS, explain

EMPTY_IMAGE: Row = {**dict.fromkeys(tables.IMAGE_FIELDS), **IMAGE_STATE, "seconds": 0.0}
"""The row of an image of which nothing is known."""


@dataclass(frozen=True)
class Part:
    """The rows of one store.

    Parameters
    ----------
    name
        What messages call it.
    meta
        What it says of itself, by key.
    history
        Its edits, oldest first, by the keys that images have now.
    labels, images
        Rows by id and by key.
    unwritten
        Edits that lead from what the history says to what labels and images are, where a damage
        has parted them.
    """

    name: str
    meta: Row
    history: list[Row]
    labels: dict[str, Row]
    images: dict[str, Row]
    unwritten: list[Row]

    @property
    def id(self) -> str:
        """The store's id, which a copy of its file bears too."""
        return str(self.meta["id"])

    @property
    def schema(self) -> Schema:
        """Its label scheme."""
        return Schema.from_dict(self.meta.get("schema") or {})

    @property
    def edits(self) -> list[Row]:
        """The history and what it lacks."""
        return self.history + self.unwritten

    def age(self) -> tuple[int, str]:
        """What sorts stores, the oldest first, and is equal for equal contents only."""
        content = [self.meta, self.history, self.labels, self.images]
        first = min((row["at"] for row in self.history), default=0)
        return first, hashlib.blake2b(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_part(connection: sa.Connection, name: str) -> Part:
    """All rows of a store.

    Raises
    ------
    StoreError
        If it is no store, or one that this version cannot read.
    """
    meta = read_meta(connection, name)
    if "id" not in meta:
        raise StoreError(f"{name}: is empty and so no nbannotate store; give another path")
    history = _rows(connection, tables.history, tables.history.c.seq)
    labels = _rows(connection, tables.labels, tables.labels.c.label_id)
    images = _rows(connection, tables.images, tables.images.c.image)
    by_id = {row["label_id"]: row for row in labels}
    by_key = {row["image"]: {**EMPTY_IMAGE, **row} for row in images}
    history = under_last_names(history)
    _add_facts(history, by_key)
    return Part(name, meta, history, by_id, by_key, _unwritten(history, by_id, by_key))


def _rows(connection: sa.Connection, table: sa.Table, order: sa.Column[Any]) -> list[Row]:
    # A store of an earlier version may lack columns that came later.
    there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    query = sa.select(*(column for column in table.columns if column.name in there))
    return [dict(row) for row in connection.execute(query.order_by(order)).mappings()]


def _add_facts(history: list[Row], images: dict[str, Row]) -> None:
    """Give the last edit of each image the facts of its row that no edit has."""
    lasts: dict[str, Row] = {}
    known: dict[str, Row] = {}
    for row in history:
        row.setdefault("facts", None)
        lasts[row["image"]] = row
        known.setdefault(row["image"], {}).update(row["facts"] or {})
    for image, last in lasts.items():
        more = _facts_of(images.get(image, {}), known[image])
        if more:
            last["facts"] = {**(last["facts"] or {}), **more}


def _facts_of(row: Row, known: Row) -> Row:
    return {k: row[k] for k in FACTS if row.get(k) is not None and row[k] != known.get(k)}


def _unwritten(
    history: list[Row], label_rows: dict[str, Row], image_rows: dict[str, Row]
) -> list[Row]:
    labels: dict[str, Row] = {}
    states: dict[str, Row] = {}
    seconds: dict[str, float] = {}
    ends: dict[str, Row] = {}
    for row in history:
        image, label_id = row["image"], row["label_id"]
        seconds[image] = seconds.get(image, 0.0) + (row["seconds"] or 0.0)
        if row["op"] == "image":
            states.setdefault(image, dict(IMAGE_STATE)).update(row["after"] or {})
        elif row["op"] == "delete":
            labels.pop(label_id, None)
            ends[label_id] = row
        elif label_id is not None:
            labels.setdefault(label_id, {}).update(row["after"] or {})
            ends[label_id] = row
    batches = iter(range(max((row["batch"] for row in history), default=0) + 1, 2**62))

    def edit(op: str, image: str, **values: Any) -> Row:
        values = {"annotator": None, "label_id": None, "seconds": 0.0, "facts": None, **values}
        return {"batch": next(batches), "reverses": None, "op": op, "image": image, **values}

    found = []
    for label_id, row in label_rows.items():
        have, want = labels.get(label_id), {k: v for k, v in row.items() if k != "updated"}
        who = {"label_id": label_id, "at": row["updated"], "annotator": row["annotator"]}
        if have is None:
            found.append(edit("create", row["image"], before=None, after=want, **who))
        elif changed := {k: v for k, v in want.items() if have.get(k) != v}:
            before = {k: have.get(k) for k in changed}
            found.append(edit("update", row["image"], before=before, after=changed, **who))
    for label_id in sorted(labels.keys() - label_rows.keys()):
        who = {"label_id": label_id, "at": ends[label_id]["at"]}
        image = ends[label_id]["image"]
        found.append(edit("delete", image, before=labels[label_id], after=None, **who))
    for image, row in image_rows.items():
        state = states.get(image, IMAGE_STATE)
        changed = {k: row.get(k) for k in IMAGE_STATE if state[k] != row.get(k)}
        missing = (row["seconds"] or 0.0) - seconds.get(image, 0.0)
        if changed or abs(missing) > 1e-3 or image not in seconds:
            before = {k: state[k] for k in changed}
            who = {"at": row["updated"] or 0, "annotator": row["annotator"], "seconds": missing}
            facts = None if image in seconds else _facts_of(row, {})
            found.append(edit("image", image, before=before, after=changed, facts=facts, **who))
    return found


@contextmanager
def reading_only(path: Path) -> Iterator[sa.Connection]:
    """A transaction on a store's file that changes neither it nor its folder.

    Raises
    ------
    StoreError
        If there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file; check the path")
    with _address(path) as address:
        engine = sa.create_engine(
            "sqlite://", creator=lambda: _connect(address), poolclass=StaticPool
        )
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        database = Database(engine, str(path), explain)
        try:
            with database.reading() as connection:
                yield connection
        finally:
            database.close()


def _connect(address: str) -> sqlite3.Connection:
    return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """The file as a URI under which SQLite reads it and makes no file beside it."""
    file = path.resolve()
    log, index = (file.with_name(file.name + end) for end in ("-wal", "-shm"))
    with file.open("rb") as start:
        has_log = start.read(20)[18:19] == b"\2"
    if not has_log or index.exists():
        yield f"{file.as_uri()}?mode=ro"  # with locks, as another program may be writing to it
    elif log.exists() and log.stat().st_size:
        with tempfile.TemporaryDirectory() as folder:
            # Its latest edits are in the log alone, which is read by a file made beside it.
            for item in (file, log):
                shutil.copy(item, folder)
            yield (Path(folder) / file.name).as_uri()
    else:
        # Nobody has it open, and a plain read-only look would leave two files beside it.
        yield f"{file.as_uri()}?immutable=1"

"""What a store says of itself: version of its layout, its id, its label scheme."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.core.schema import Schema
from nbannotate.errors import SchemaError, StoreError
from nbannotate.store import tables

MERGED = "merged"
"""Key of what the classes of other stores became that were merged into this one.

In such a store the times of the history may go back where another store begins.
"""


def set_up(connection: sa.Connection, name: str) -> str:
    """Make or check the layout; returns the store's id.

    Raises
    ------
    StoreError
        If it is another program's database, or a newer nbannotate's.
    """
    there = set(sa.inspect(connection).get_table_names())
    found = read_meta(connection, name)
    tables.metadata.create_all(connection)
    if "id" not in found:
        found["id"] = str(uuid.uuid4())
        _insert(connection, {"version": tables.VERSION, "id": found["id"]})
    if tables.history.name in there:
        _complete(connection, sa.inspect(connection))
    return str(found["id"])


def read_meta(connection: sa.Connection, name: str) -> Row:
    """What the store says of itself, by key; nothing for a database without tables.

    Raises
    ------
    StoreError
        If it is another program's database, or a newer nbannotate's.
    """
    there = set(sa.inspect(connection).get_table_names())
    if tables.meta.name not in there:
        if there:
            raise StoreError(f"{name}: is the database of another program; give another one")
        return {}
    rows = connection.execute(sa.select(tables.meta)).mappings()
    found: Row = {row["key"]: row["value"] for row in rows}
    version = found.get("version", tables.VERSION)
    if version > tables.VERSION:
        raise StoreError(
            f"{name}: written by a newer nbannotate (store version {version}, this one reads "
            f"{tables.VERSION}); upgrade with: pip install -U nbannotate"
        )
    return found


def write_meta(connection: sa.Connection, key: str, value: Any) -> None:
    """Put a value in the place of what the store says under this key."""
    connection.execute(sa.delete(tables.meta).where(tables.meta.c.key == key))
    _insert(connection, {key: value})


def _complete(connection: sa.Connection, inspector: sa.Inspector) -> None:
    """Add to the history what stores lack that were made before there was any such."""
    table = tables.history
    if table.c.facts.name in {column["name"] for column in inspector.get_columns(table.name)}:
        return
    kind = table.c.facts.type.compile(connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {table.c.facts.name} {kind}")
    for index in (*table.indexes, *tables.images.indexes):
        index.create(connection, checkfirst=True)
    # When each fact became known was not written down: it was at the latest with the last edit
    # of its image, and counts here from the first.
    first = sa.select(table.c.image, sa.func.min(table.c.seq)).group_by(table.c.image)
    seqs = dict(connection.execute(first).all())
    column = tables.images.c
    news = []
    for row in connection.execute(
        sa.select(column.image, column.path, column.width, column.height)
    ).mappings():
        facts = {key: row[key] for key in ("path", "width", "height") if row[key] is not None}
        if facts and row["image"] in seqs:
            news.append({"place": seqs[row["image"]], "facts": facts})
    if news:
        connection.execute(sa.update(table).where(table.c.seq == sa.bindparam("place")), news)


class SchemaCell:
    """The label scheme in the database, built anew only when it has changed there."""

    def __init__(self) -> None:
        self._stored: Row = {}
        self._schema = Schema()

    def read(self, connection: sa.Connection) -> Schema:
        """The scheme as it is now."""
        # Another process may have changed it, and an id must never get a second meaning.
        query = sa.select(tables.meta.c.value).where(tables.meta.c.key == "schema")
        stored = connection.scalar(query) or {}
        if stored != self._stored:
            self._schema, self._stored = Schema.from_dict(stored), stored
        return self._schema

    def write(self, connection: sa.Connection, schema: Schema) -> None:
        """Put another scheme in its place; `SchemaError` if an id would be lost."""
        stored = self.read(connection)
        kept = {c.id for c in (*schema.classes, *schema.tag_choices)}
        for item in (*stored.classes, *stored.tag_choices):
            if item.id not in kept:
                raise SchemaError(
                    f"the scheme would lose {item.name!r} (id {item.id}), which labels and their "
                    "history may need; set it to retired=True instead"
                )
        write_meta(connection, "schema", schema.to_dict())


def _insert(connection: sa.Connection, values: Row) -> None:
    rows: list[Row] = [{"key": key, "value": value} for key, value in values.items()]
    connection.execute(sa.insert(tables.meta), rows)

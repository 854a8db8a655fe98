"""What a store says of itself: version of its layout, its id, its label scheme."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa

from nbannotate.core.edits import Edit, Row
from nbannotate.core.schema import Schema
from nbannotate.core.schema_record import SchemaRecord
from nbannotate.errors import ConflictError, SchemaError, StoreError
from nbannotate.store import tables

MERGED = "merged"
"""Key of what the classes of other stores became that were merged into this one.

In such a store the times of the history may go back where another store begins.
"""

ASSIGNMENT = "assignment"
"""Key of how the work is given to annotators."""


def set_up(connection: sa.Connection, name: str) -> str:
    """Make or check the layout; returns the store's id.

    Raises
    ------
    StoreError
        If it is another program's database, or a newer nbannotate's.
    """
    there = set(sa.inspect(connection).get_table_names())
    found = read_meta(connection, name)
    try:
        tables.metadata.create_all(connection)
        if tables.history.name in there:
            _complete(connection, sa.inspect(connection))
    except sa.exc.ProgrammingError as error:
        if "id" not in found or getattr(error.orig, "sqlstate", None) != "42501":
            raise
        raise StoreError(
            f"{name}: was made by an older nbannotate, and this user may not add what it lacks; "
            "let the owner of the store run: nbannotate store init URL, with --roles if it has any"
        ) from error
    if "id" not in found:
        found["id"] = str(uuid.uuid4())
        _insert(connection, {"version": tables.VERSION, "id": found["id"]})
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


def value_of(connection: sa.Connection, key: str) -> Any:
    """What the store says of itself under this key; None if nothing."""
    return connection.scalar(sa.select(tables.meta.c.value).where(tables.meta.c.key == key))


def write_meta(connection: sa.Connection, key: str, value: Any) -> None:
    """Put a value in the place of what the store says under this key."""
    connection.execute(sa.delete(tables.meta).where(tables.meta.c.key == key))
    _insert(connection, {key: value})


def _complete(connection: sa.Connection, inspector: sa.Inspector) -> None:
    """Add what stores lack that were made before there was any such."""
    _add_facts(connection, inspector)
    _add_missing(connection, inspector, tables.images.c.bytes, tables.images.c.hash)
    there = {index["name"] for found in inspector.get_multi_indexes().values() for index in found}
    for table in tables.metadata.sorted_tables:
        for index in table.indexes:
            if index.name not in there:
                index.create(connection, checkfirst=True)


def _add_facts(connection: sa.Connection, inspector: sa.Inspector) -> None:
    table = tables.history
    if not _add_missing(connection, inspector, table.c.facts):
        return
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


def _add_missing(
    connection: sa.Connection, inspector: sa.Inspector, *columns: sa.Column[Any]
) -> bool:
    """Add to a table the columns that came later than its store; whether any was missing."""
    table = columns[0].table.name
    there = {column["name"] for column in inspector.get_columns(table)}
    missing = [column for column in columns if column.name not in there]
    for column in missing:
        kind = column.type.compile(connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column.name} {kind}")
    return bool(missing)


class SchemaCell:
    """The label scheme in the database, built anew only when it has changed there."""

    def __init__(self) -> None:
        self._stored: Row = {}
        self._record = SchemaRecord(Schema())

    def read(self, connection: sa.Connection) -> SchemaRecord:
        """The scheme as it is now, and what left it."""
        # Another process may have changed it, and an id must never get a second meaning.
        stored = value_of(connection, "schema") or {}
        if stored != self._stored:
            self._record = SchemaRecord.from_dict(stored, stored.get("given", ()))
            self._stored = stored
        return self._record

    def write(self, connection: sa.Connection, record: SchemaRecord) -> None:
        """Put another scheme in its place. Ids that were given once stay given."""
        given = self.read(connection).given | record.given
        write_meta(connection, "schema", {**record.to_dict(), "given": sorted(given)})

    def change(self, connection: sa.Connection, edit: Edit) -> Edit:
        """Make an edit of the scheme; returns it with the scheme as it really was and is.

        What others have changed in other parts of the scheme since stays: an undo takes back
        its own step only. `ConflictError` if they have changed the same part.
        """
        now = self.read(connection).to_dict()
        before, after = edit.before or {}, edit.after or {}
        values = dict(now)
        for part in ("classes", "tags", "attributes"):
            if before.get(part) == after.get(part):
                continue
            if now.get(part) != before.get(part):
                raise ConflictError(
                    f"someone has changed the {part} of the scheme since; look at it as it is now"
                )
            values[part] = after.get(part)
        was, becomes = before.get("departed", []), after.get("departed", [])
        kept = [row for row in now.get("departed", []) if row not in was or row in becomes]
        values["departed"] = [*kept, *(row for row in becomes if row not in was)]
        record = SchemaRecord.from_dict(values)
        self.write(connection, record)
        return Edit("schema", "", before=now, after=record.to_dict())


def refuse_smaller(record: SchemaRecord, schema: Schema) -> None:
    """`SchemaError` if a class of the scheme is not in the other."""
    kept = {c.id for c in (*schema.classes, *schema.tag_choices)}
    for item in (*record.schema.classes, *record.schema.tag_choices):
        if item.id not in kept:
            raise SchemaError(
                f"the scheme would lose {item.name!r} (id {item.id}), which labels and their "
                f"history may need; schema.remove({item.name!r}, move_to=...) moves its labels"
            )


def _insert(connection: sa.Connection, values: Row) -> None:
    rows: list[Row] = [{"key": key, "value": value} for key, value in values.items()]
    connection.execute(sa.insert(tables.meta), rows)

"""Rows of a store's file that is damaged: all that SQLite can still reach, table by table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import sqlalchemy as sa

from nbannotate.core.edits import Op, Row
from nbannotate.core.tables import KINDS, STATUSES
from nbannotate.store import files, tables
from nbannotate.store.sqlite import connect

_BLOCK = 1 << 16
_PAGE = 4096
_SMALLEST_ROW = 24  # bytes; none of ours takes less
_MOST_MISSED = 5_000  # rows; one inner page leads to some thousand
_TYPES: dict[type, tuple[type, ...]] = {
    sa.Integer: (int,),
    sa.Float: (int, float),
    sa.Boolean: (int,),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "labels.kind": KINDS,
    "images.status": STATUSES,
    "history.op": get_args(Op),
}


@dataclass(frozen=True)
class Rows:
    """What was read of one table.

    Parameters
    ----------
    rows
        Its rows, in the order in which they were written.
    is_whole
        Whether these are all of them.
    """

    rows: list[Row] = field(default_factory=list)
    is_whole: bool = False


def copy_of(path: Path, target: Path) -> int:
    """Copy a file from a disk that may fail; the number of bytes that could not be read."""
    lost = 0
    with path.open("rb", buffering=0) as source, target.open("wb") as copy:
        size = path.stat().st_size
        for start in range(0, size, _BLOCK):
            length = min(_BLOCK, size - start)
            try:
                source.seek(start)
                block = source.read(length)
            except OSError:
                block = b""
            lost += length - len(block)
            copy.write(block.ljust(length, b"\0"))
    return lost


def read(file: Path, empty: Path) -> dict[str, Rows]:
    """The rows of each table of a damaged store.

    Parameters
    ----------
    file
        A copy of its file, with its log beside it; both may be changed.
    empty
        The file of a new store, for the beginning of a file that has lost its own.
    """
    found: dict[str, Rows] = {}
    for mend in (_leave, _drop_log, _put_beginning):
        mend(file, empty)
        for name, table in tables.metadata.tables.items():
            rows = _rows(file, table)
            if name not in found or len(rows.rows) > len(found[name].rows) or rows.is_whole:
                found[name] = rows
        if found[tables.history.name].rows or found[tables.labels.name].rows:
            break
    return found


def _leave(*_: Path) -> None:
    pass


def _drop_log(file: Path, _: Path) -> None:
    """What the log has may keep SQLite from reading what the file has."""
    for suffix in files.BESIDE:
        files.beside(file, suffix).unlink(missing_ok=True)


def _put_beginning(file: Path, empty: Path) -> None:
    """Say again where the tables begin: in each store at the same pages."""
    beginning = bytearray(empty.read_bytes()[:_PAGE])
    # The change counter differs from where the size was noted, so SQLite takes the file's own.
    beginning[24:28] = b"\xff\xff\xff\xfe"
    beginning[32:40] = bytes(8)  # no free pages
    with file.open("rb+") as target:
        target.write(beginning)


def _rows(file: Path, table: sa.Table) -> Rows:
    with closing(connect(file, "mode=rw")) as connection:
        connection.text_factory = bytes  # a text that is cut would stop the rows after it
        sizes = [files.beside(file, suffix) for suffix in ("", "-wal")]
        most = sum(part.stat().st_size for part in sizes if part.exists()) // _SMALLEST_ROW
        raw, is_whole = _reached(connection, table, most)
    rows = []
    for rowid, values in sorted(raw.items()):
        try:
            if table is tables.history and not 0 < rowid <= most:
                raise ValueError("no edit can have this number, as none was ever deleted")
            rows.append(_row(table, values))
        except ValueError:
            is_whole = False
    return Rows(rows, is_whole)


def _reached(
    connection: sqlite3.Connection, table: sa.Table, most: int
) -> tuple[dict[int, Sequence[Any]], bool]:
    """The raw rows by their number, and whether that is all of them."""
    names = ", ".join(_names(connection, table))
    found: dict[int, Sequence[Any]] = {}

    def take(rest: str, *values: int) -> int:
        query = f"SELECT rowid, {names} FROM {table} {rest}"
        try:
            for rowid, *row in connection.execute(query, values):
                found[rowid] = row
        except sqlite3.Error as error:
            return error.sqlite_errorcode & 0xFF
        except UnicodeDecodeError:  # of SQLite's message, which quotes a damaged text
            return sqlite3.SQLITE_ERROR
        return sqlite3.SQLITE_OK

    failed = take("ORDER BY rowid")
    if failed != sqlite3.SQLITE_CORRUPT:
        return found, not failed
    top = max(found, default=0)
    take("ORDER BY rowid DESC")
    end = max((rowid for rowid in found if rowid <= top + most), default=0)  # others are damage
    # Between what was reached from both ends, pages that are in order lie among the damaged ones.
    # Where the last page is damaged, nothing says where the rows end.
    rowid, missed = top, 0
    while rowid < end if end > top else missed < _MOST_MISSED:
        rowid += 1
        if rowid not in found:
            take("WHERE rowid = ?", rowid)
        missed = 0 if rowid in found else missed + 1
    return found, False


def _names(connection: sqlite3.Connection, table: sa.Table) -> list[str]:
    """The columns as a query names them; NULL for those that came later than the store."""
    try:
        rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
    except (sqlite3.Error, UnicodeDecodeError):  # its message may quote a damaged text
        rows = []
    there = {row[1] for row in rows}
    # By a name that is not there SQLite would mean a text.
    return [f'"{c.name}"' if c.name.encode() in there or not there else "NULL" for c in table.c]


def _row(table: sa.Table, values: Sequence[Any]) -> Row:
    """A row as SQLAlchemy would give it; `ValueError` if it cannot be one of the table."""
    return {
        column.name: _value(column, value)
        for column, value in zip(table.columns, values, strict=True)
    }


def _value(column: sa.Column[Any], value: Any) -> Any:
    if value is None:
        if not column.nullable:
            raise ValueError(f"{column} has no value")
        return None
    if isinstance(column.type, sa.JSON):
        return json.loads(value if isinstance(value, bytes) else str(value))
    if isinstance(column.type, sa.String):
        if not isinstance(value, bytes):
            raise ValueError(f"{column} is no text")
        text = value.decode()
        if text not in _CHOICES.get(str(column), (text,)):
            raise ValueError(f"{column} is {text!r}")
        return text
    wanted = next(types for kind, types in _TYPES.items() if isinstance(column.type, kind))
    if not isinstance(value, wanted):
        raise ValueError(f"{column} is {value!r}")
    return bool(value) if isinstance(column.type, sa.Boolean) else value

"""SQLite set up so that what was acknowledged is on disk, and its errors in people's words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from nbannotate.store.data_version import DataVersion
from nbannotate.store.database import Database, dumps

BUSY_SECONDS = 10.0


def open_sqlite(path: Path | None, name: str) -> Database:
    """The database in the file, or in memory for None; one connection, shared between threads."""
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: _connect(path),
        poolclass=StaticPool,
        json_serializer=dumps,
    )
    sa.event.listen(engine, "begin", _begin)
    signal = None if path is None else lambda: DataVersion(path, name)
    return Database(engine, name, explain, signal)


def _begin(connection: sa.Connection) -> None:
    # The driver's own transactions begin at the first write, too late for one that reads first:
    # another process could write in between. So writers take the lock at once.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _connect(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_SECONDS,
        check_same_thread=False,  # the store's lock keeps threads apart
        isolation_level=None,
    )
    if path is not None:
        try:
            # FULL: a power cut loses no committed transaction, which NORMAL would in WAL mode.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
    return connection


def explain(error: Exception) -> str:
    """What went wrong and the mend, in the words of someone who labels images."""
    cause = str(getattr(error, "orig", None) or error)
    for sign, words in (
        ("not a database", "is no nbannotate store; give another path or restore a copy"),
        ("malformed", "is damaged; restore a copy of it"),
        ("readonly", "cannot be written; change its permissions or give another path"),
        ("unable to open", "cannot be opened; check that the folder exists and may be written"),
        ("locked", f"was busy for {BUSY_SECONDS:g} s; close the program that writes to it"),
        ("full", "the disk is full; make room, then try again"),
        ("disk I/O", "the disk failed; check it, then try again"),
    ):
        if sign in cause:
            return f"{words} ({cause})"
    return cause

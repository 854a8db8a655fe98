"""A database behind a store: its transactions, and its errors in people's words."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.errors import StoreError
from nbannotate.store.watching import Signal

Aim = Literal["read", "write", "lease"]

_CHUNK = 500  # SQLite's oldest limit on variables in one statement is 999


class Database:
    """One connection at a time, whatever thread asks.

    Parameters
    ----------
    engine
        SQLAlchemy engine. The execution option ``aim`` says what a transaction is begun for.
    name
        What messages call it: a path, an address, or ``memory``.
    explain
        What an error of the database means, and the mend.
    open_signal
        Connects to what tells of commits; None where nobody else can commit.
    """

    def __init__(
        self,
        engine: sa.Engine,
        name: str,
        explain: Callable[[sa.exc.SQLAlchemyError], str],
        open_signal: Callable[[], Signal] | None = None,
    ) -> None:
        self.name = name
        self.open_signal = open_signal
        self.lock = threading.RLock()
        self._engine = engine
        self._explain = explain
        self.notes: list[str] = []
        """What people should know of how it works here."""

    def expect(self, store_id: str) -> None:
        """Take only the store of this id for it from now on, where that can change."""

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of all tables; `StoreError` if the database fails."""
        with self._transaction("read") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that no other writer is beside; on disk when it ends, or not at all."""
        with self._transaction("write") as connection:
            yield connection

    @contextmanager
    def leasing(self) -> Iterator[sa.Connection]:
        """A transaction that writes leases only; where the database can, beside a writer.

        Nobody who watches the database hears of it.
        """
        with self._transaction("lease") as connection:
            yield connection

    def rows(self, query: sa.Select[*tuple[Any, ...]]) -> list[Row]:
        """All rows of a query."""
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def rows_among(
        self, query: sa.Select[*tuple[Any, ...]], column: sa.ColumnElement[Any], keys: Sequence[str]
    ) -> list[Row]:
        """The rows of a query whose column is one of the keys."""
        with self.reading() as connection:
            return rows_among(connection, query, column, keys)

    def scalar(self, query: sa.Select[*tuple[Any, ...]]) -> Any:
        """The first value of a query's first row; None if there is none."""
        with self.reading() as connection:
            return connection.scalar(query)

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy a SQLite database, as it is at one moment, into another."""
        with self.reading() as connection:
            source = connection.connection.driver_connection
            if not isinstance(source, sqlite3.Connection):
                raise StoreError(f"{self.name}: is no SQLite file; use its server's own backup")
            source.backup(target)

    def close(self) -> None:
        """End all connections."""
        with self.lock:
            self._engine.dispose()

    @contextmanager
    def _transaction(self, aim: Aim) -> Iterator[sa.Connection]:
        with self.lock:
            try:
                with self._engine.execution_options(aim=aim).begin() as connection:
                    yield connection
            except sa.exc.SQLAlchemyError as error:
                raise StoreError(f"{self.name}: {self._explain(error)}") from error


def rows_among(
    connection: sa.Connection,
    query: sa.Select[*tuple[Any, ...]],
    column: sa.ColumnElement[Any],
    keys: Sequence[str],
) -> list[Row]:
    """The rows of a query whose column is one of the keys."""
    rows: list[Row] = []
    for start in range(0, len(keys), _CHUNK):
        part = query.where(column.in_(keys[start : start + _CHUNK]))
        rows += [dict(row) for row in connection.execute(part).mappings()]
    return rows


def dumps(value: Any) -> str:
    """A value as JSON, the same text in every database; `StoreError` if JSON has no such value."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise StoreError(f"a label or scheme has a value that JSON has not: {error}") from error

"""SQLite set up so that what was acknowledged is on disk, and its errors in people's words."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from nbannotate.errors import StoreError
from nbannotate.store import files
from nbannotate.store.data_version import DataVersion
from nbannotate.store.database import Aim, Database, dumps

BUSY_SECONDS = 10.0

_NO_SHARED_MEMORY = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMLOCK,
}
# After these a connection may hold files that are not at their path any more, or not in order.
_UNSOUND = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PROTOCOL,
}
_SETTINGS = {
    # FULL: a power cut loses no committed transaction, which NORMAL would in WAL mode.
    "wal": ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"),
    # A file that was in WAL mode can be read without shared memory only by one that is alone.
    # EXTRA: that the journal is gone, which ends a transaction, is on disk too.
    "delete": (
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA locking_mode = NORMAL",
        "PRAGMA synchronous = EXTRA",
    ),
}
_ID = "SELECT value FROM meta WHERE key = 'id'"
_ELSEWHERE = "what is in it can be saved elsewhere with store.backup(path)"

_stores: weakref.WeakSet[SqliteFile] = weakref.WeakSet()


def open_sqlite(path: Path | None, name: str) -> Database:
    """The database in the file, or in memory for None; one connection, shared between threads."""
    if path is not None:
        return SqliteFile(path, name)
    return Database(_engine(lambda: connect(":memory:")), name, explain)


def is_open_here(path: Path) -> bool:
    """Whether this process has the file open as a store."""
    there = files.identity(path)
    return there is not None and any(
        not store.is_closed and files.identity(store.path) == there for store in list(_stores)
    )


class SqliteFile(Database):
    """A database in a file, which others may move, replace or put out of reach meanwhile.

    SQLite writes on to a file that has lost its name. So each transaction that writes makes sure,
    before it begins and once it is committed, that its file is the one at the path. A connection
    that has failed is made anew when it is next needed, if that is the same store.

    Parameters
    ----------
    path
        The file; made if there is none.
    name
        What messages call it.
    vfs
        SQLite's way to the file system; None: the usual one.
    """

    def __init__(self, path: Path, name: str, *, vfs: str | None = None) -> None:
        self.path = path
        self.is_closed = False
        self._vfs = "" if vfs is None else f"&vfs={vfs}"
        self._mode: str | None = None
        self._held: files.Held | None = None
        self._store_id: str | None = None
        self._is_unsound = False
        super().__init__(_engine(self._connect), name, explain, lambda: DataVersion(path, name))
        _stores.add(self)

    def expect(self, store_id: str) -> None:
        """Take only the store of this id for it from now on."""
        self._store_id = store_id

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy it, as it is at one moment, into another; also when its file has lost its name."""
        with self.lock:
            is_there = self._held is not None and files.held(self.path) == self._held
        if not is_there:
            super().copy_to(target)
            return
        # By a connection of its own, so that saving goes on meanwhile.
        with closing(connect(self.path, f"mode=rw{self._vfs}")) as source:
            source.backup(target)

    def close(self) -> None:
        """End all connections."""
        super().close()
        self.is_closed = True

    @contextmanager
    def _transaction(self, aim: Aim) -> Iterator[sa.Connection]:
        with self.lock:
            if self._held is not None and (aim != "read" or self._is_unsound):
                self._be_sound(self._held)
            try:
                with super()._transaction(aim) as connection:
                    yield connection
            except StoreError as error:
                self._is_unsound |= _code(error) & 0xFF in _UNSOUND
                raise
            if aim != "read" and files.held(self.path) != self._held:
                raise StoreError(
                    f"{self.name}: was removed or replaced while it was written, so what was "
                    "being saved may not be in it; save that again"
                )

    def _be_sound(self, held: files.Held) -> None:
        """Have a connection to the store at the path; `StoreError` if there can be none."""
        there = files.held(self.path)
        if there is None:
            raise StoreError(f"{self.name}: {files.why_gone(self.path)}; or {_ELSEWHERE}")
        if there == held and not self._is_unsound:
            return
        if there.file != held.file:
            self._take_other(there, held)
            self._held = there
        self._is_unsound = True
        # As the last one that has the file open, SQLite writes the log into it.
        self._engine.dispose()
        with super()._transaction("read") as connection:
            there_is = "meta" in sa.inspect(connection).get_table_names()
            self._refuse_other(connection.exec_driver_sql(_ID).scalar() if there_is else None)
        self._is_unsound = False

    def _take_other(self, there: files.Held, held: files.Held) -> None:
        """Get ready for another file at the path, unless it is not of this store."""
        try:
            # Immutable: SQLite neither reads nor changes anything beside it.
            with closing(connect(self.path, "mode=ro&immutable=1")) as connection:
                found = connection.execute(_ID).fetchone()
        except sqlite3.Error:
            found = None
        self._refuse_other(found and found[0])
        if there.log is not None and there.log == held.log:
            # It belongs to the former file; SQLite would write it into this one.
            files.set_aside(self.path, ("-wal", "-shm"))
        self.notes.append(
            f"{self.name}: another copy of this store was put in its place while it was in use; "
            "work goes on in that one"
        )

    def _refuse_other(self, found: str | None) -> None:
        if found is None or json.loads(found) != self._store_id:
            raise StoreError(
                f"{self.name}: a file that is not this store was put in its place; put it back, "
                f"and saving goes on; or {_ELSEWHERE}"
            )

    def _connect(self) -> sqlite3.Connection:
        mode = self._mode
        connection = self._first_connection() if mode is None else self._connection_with(mode)
        self._held, self.is_closed = files.held(self.path), False
        return connection

    def _first_connection(self) -> sqlite3.Connection:
        try:
            connection = self._connection_with("wal")
        except sqlite3.Error as error:
            if error.sqlite_errorcode not in _NO_SHARED_MEMORY:
                raise
        else:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                self._mode = "wal"
                return connection
            connection.close()
        connection = self._connection_with("delete")
        self._mode = "delete"
        self.notes.append(
            f"{self.name}: write-ahead logging does not work where it is, as on many network "
            "drives; a rollback journal is used instead, which is as safe and slower"
        )
        return connection

    def _connection_with(self, mode: str) -> sqlite3.Connection:
        is_new = self._mode is None
        if files.is_read_only(self.path):
            # SQLite would open it, and leave a log that may not be written either.
            raise StoreError(f"{self.name}: {_READ_ONLY}")
        connection = connect(self.path, f"mode={'rwc' if is_new else 'rw'}{self._vfs}")
        try:
            for setting in _SETTINGS[mode]:
                connection.execute(setting).fetchone()
            if is_new and mode == "delete" and self.path.stat().st_size == 0:
                connection.execute("PRAGMA user_version = 0")  # so that there is something in it
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
        except BaseException:
            connection.close()
            raise
        return connection


def _engine(creator: Callable[[], sqlite3.Connection]) -> sa.Engine:
    engine = sa.create_engine(
        "sqlite://", creator=creator, poolclass=StaticPool, json_serializer=dumps
    )
    sa.event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    # The driver's own transactions begin at the first write, too late for one that reads first:
    # another process could write in between. So writers take the lock at once.
    aim = connection.get_execution_options().get("aim", "read")
    connection.exec_driver_sql("BEGIN" if aim == "read" else "BEGIN IMMEDIATE")


def connect(path: Path | str, how: str = "") -> sqlite3.Connection:
    """A connection of its own to a file, with these options of its URI; or to memory."""
    name = path if isinstance(path, str) else f"file:{quote(str(path.absolute()))}?{how}"
    return sqlite3.connect(
        name,
        uri=bool(how),
        timeout=BUSY_SECONDS,
        check_same_thread=False,  # the store's lock keeps threads apart
        isolation_level=None,
    )


def _code(error: StoreError) -> int:
    """SQLite's number of the error that is behind this one; 0 if there is none."""
    return int(getattr(getattr(error.__cause__, "orig", None), "sqlite_errorcode", 0))


def explain(error: Exception) -> str:
    """What went wrong and the mend, in the words of someone who labels images."""
    cause = str(getattr(error, "orig", None) or error)
    for sign, words in (
        ("not a database", f"is no nbannotate store; give another path or {_MEND}"),
        ("malformed", f"is damaged; {_MEND}"),
        ("readonly", _READ_ONLY),
        ("unable to open", "cannot be opened; check that the folder exists and may be written"),
        ("locked", f"was busy for {BUSY_SECONDS:g} s; close the program that writes to it"),
        ("full", "the disk is full; make room, then try again"),
        ("disk I/O", "the disk failed or is full; check it, then try again"),
    ):
        if sign in cause:
            return f"{words} ({cause})"
    return cause


_READ_ONLY = "cannot be written; change its permissions or its drive's, or give another path"
_MEND = (
    "put a backup in its place with nbannotate.store.restore(backup, path), or save what can be "
    "read of it with nbannotate.store.salvage(path, to)"
)

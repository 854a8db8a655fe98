"""Opening a store: which database an address means."""

from __future__ import annotations

from pathlib import Path

from nbannotate.errors import StoreError
from nbannotate.store.files import refuse_remains
from nbannotate.store.postgres import is_postgres, open_postgres
from nbannotate.store.sqlite import open_sqlite
from nbannotate.store.store import Store


def open_store(path: str | Path | None = "labels.db") -> Store:
    """Open a store, or make it where there is none.

    Parameters
    ----------
    path
        File of the database; its folder must exist. Or a PostgreSQL database that is there, such
        as ``postgresql://user:password@host/name``. None: in memory, gone with the process.

    Raises
    ------
    StoreError
        If it is no store, is newer than this version reads, or cannot be reached or written.
    """
    if path is None:
        return Store(open_sqlite(None, "memory"))
    if isinstance(path, str) and is_postgres(path):
        return Store(open_postgres(path))
    if isinstance(path, str) and (kind := path.partition("://")[0]) != path:
        raise StoreError(
            f"{kind}:// is no store; give a file's path or postgresql://user@host/name"
        )
    file = Path(path).expanduser()
    if not file.parent.is_dir():
        raise StoreError(f"{file}: its folder does not exist; make it first: {file.parent}")
    if file.is_dir():
        raise StoreError(f"{file}: is a folder; give the path of a file in it, such as labels.db")
    refuse_remains(file)
    return Store(open_sqlite(file, str(path)))

"""SQLite's own counter of commits, as what tells a store that someone else has committed."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from nbannotate.errors import StoreError

LOOK_SECONDS = 0.3
_BUSY_SECONDS = 10.0


class DataVersion:
    """A `nbannotate.store.watching.Signal` of a database file, over a connection of its own.

    Parameters
    ----------
    path
        The file.
    name
        What messages call it.

    Raises
    ------
    StoreError
        If it is not there or cannot be read.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        try:
            self._file = self._identity()
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",  # never makes a file where it is gone
                uri=True,
                timeout=_BUSY_SECONDS,
                check_same_thread=False,  # opened in one thread, used in another
            )
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        try:
            self._seen = self._version()
        except StoreError:
            self._connection.close()
            raise

    def changed(self, stop: threading.Event) -> bool:
        """Wait 0.3 s or until `stop` is set; whether someone committed since the last call.

        `StoreError` if it cannot be read, or another file is at its path.
        """
        stop.wait(LOOK_SECONDS)
        before, self._seen = self._seen, self._version()
        return before != self._seen

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _version(self) -> int:
        try:
            if self._identity() != self._file:
                raise StoreError(f"{self._name}: another file was put in its place")
            # Differs when another connection has committed, one of this process too. All rows are
            # fetched so that no read transaction stays open, which would keep the log growing.
            [(version,)] = self._connection.execute("PRAGMA data_version").fetchall()
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        return int(version)

    def _identity(self) -> tuple[int, int]:
        # SQLite would go on with a file that has lost its name.
        found = self._path.stat()
        return found.st_dev, found.st_ino

    def _error(self, error: Exception) -> StoreError:
        return StoreError(f"{self._name}: cannot be watched for others' changes ({error})")

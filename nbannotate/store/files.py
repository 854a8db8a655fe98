"""The files of a store: whether those at its path are the ones that were opened, and their names.

A file that this process has open as a store is never opened here: closing it again would end the
locks that SQLite has on it.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from nbannotate.errors import StoreError

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite adds to the name of a database for the files that belong to it."""

_LOCKED_WHILE_OPEN = (0x40000002, 510)  # first byte and length: SQLite's SHARED lock
_MAKING_SECONDS = 2.0

Identity = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True)
class Held:
    """Which files are at a path: the database, and its write-ahead log if there is one."""

    file: Identity
    log: Identity | None


def held(path: Path) -> Held | None:
    """The files at the path; None if there is no database, or nothing in it."""
    try:
        file = path.stat()
    except OSError:
        return None
    if file.st_size == 0:
        return None
    return Held((file.st_dev, file.st_ino), identity(beside(path, "-wal")))


def identity(path: Path) -> Identity | None:
    """Which file is at the path; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_read_only(path: Path) -> bool:
    """Whether there is a file that this user may not write."""
    effective = os.access in os.supports_effective_ids
    return path.exists() and not os.access(path, os.W_OK, effective_ids=effective)


def why_gone(path: Path) -> str:
    """Why nothing can be saved at the path any more, and the mend."""
    try:
        path.stat()
    except FileNotFoundError:
        if path.parent.is_dir():
            return "was removed or moved while in use; put it back, and saving goes on"
        return f"its folder {path.parent} is gone; bring it or its drive back, and saving goes on"
    except OSError as error:
        return f"cannot be reached ({error}); bring its drive back, and saving goes on"
    return "was emptied by another program; put a backup in its place, and saving goes on"


def refuse_remains(path: Path) -> None:
    """`StoreError` if SQLite would make a new store of what is left of one, and remove its log."""
    log = beside(path, "-wal")
    if not path.exists():
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"{path}: is not there, but {log.name} is, with labels of it; put it back beside "
                f"that, or give {log.name} another name to begin a new store"
            )
        return
    end = time.monotonic() + _MAKING_SECONDS
    while path.stat().st_size == 0:  # another process may be making it now
        if time.monotonic() > end:
            raise StoreError(
                f"{path}: is empty; put a backup in its place with "
                "nbannotate.store.restore(backup, path), or remove it to begin a new store"
            )
        time.sleep(0.02)


def refuse_open_elsewhere(path: Path) -> None:
    """`StoreError` if another process has the database open, as far as that can be known.

    With a rollback journal it cannot; nor can it be on a file that may not be written.
    """
    try:
        import fcntl
    except ImportError:  # Windows itself refuses to rename a file that is open
        return
    try:
        file = path.open("rb+")
    except OSError:
        return
    first, length = _LOCKED_WHILE_OPEN
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, first)
        except BlockingIOError as error:
            raise StoreError(
                f"{path}: another program has it open; close that, then try again"
            ) from error


def beside(path: Path, suffix: str) -> Path:
    """The file of this database to whose name SQLite gives this suffix."""
    return path.with_name(path.name + suffix)


def set_aside(path: Path, suffixes: tuple[str, ...] = (*BESIDE, "")) -> Path:
    """Give a database and what belongs to it another name; the database's new path."""
    names = (path.with_name(f"{path.name}.old-{number}") for number in itertools.count(1))
    all_suffixes = ("", *BESIDE)
    aside = next(n for n in names if not any(beside(n, s).exists() for s in all_suffixes))
    for suffix in suffixes:
        if beside(path, suffix).exists():
            beside(path, suffix).rename(beside(aside, suffix))
    return aside


def name_if_free(part: Path, path: Path) -> None:
    """Give a file that is written a path; `FileExistsError` if there is a file by then."""
    try:
        os.link(part, path)  # unlike a rename, it never takes the place of another
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(path) from None
        part.rename(path)


def sync_folder(path: Path) -> None:
    """Have the names in the folder of a file on disk, where that can be asked for."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(folder)
    except OSError:  # some network drives cannot
        pass
    finally:
        os.close(folder)

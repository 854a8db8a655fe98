"""Looking after a store: whether it is in order, a copy of it, and a copy put back."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.core.replay import Replay
from nbannotate.core.schema import Schema
from nbannotate.errors import NbannotateError, StoreError
from nbannotate.store import files, tables
from nbannotate.store.database import Database
from nbannotate.store.meta import MERGED
from nbannotate.store.sqlite import connect, explain, is_open_here

_SHOWN = 10


@dataclass(frozen=True, repr=False)
class Report:
    """What a look at a store found.

    Parameters
    ----------
    name
        The store.
    labels, images, edits
        How many of each there are.
    problems
        What is wrong, in sentences that name the place and the mend; empty if nothing is.
    """

    name: str
    labels: int
    images: int
    edits: int
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __repr__(self) -> str:
        found = f"{self.labels} labels, {self.images} images, {self.edits} edits"
        state = "in order" if self.ok else f"problems: {len(self.problems)}"
        return "\n- ".join([f"{self.name}: {state} ({found})", *self.problems])


def check(database: Database, read_schema: Callable[[sa.Connection], Schema]) -> Report:
    """Compare all that is in a store; see `nbannotate.store.Store.check`."""
    problems: list[str] = []
    counts = {"labels": 0, "images": 0, "edits": 0}
    for look in (_damage, _missing, _contradictions):
        try:
            with database.reading() as connection:
                problems += look(connection, read_schema, counts)
        except NbannotateError as error:
            problems.append(str(error))
    return Report(database.name, **counts, problems=tuple(dict.fromkeys(problems)))


def backup(database: Database, path: str | Path) -> Path:
    """Copy a store into a new file; see `nbannotate.store.Store.backup`."""
    file = Path(path).expanduser()
    with new_file(file) as part:
        with closing(connect(part, "mode=rwc")) as target:
            database.copy_to(target)
        _refuse_unsound(part)
    return file


def restore(backup: str | Path, path: str | Path) -> Path | None:
    """Put a backup in the place of a store that is damaged or missing.

    What is there is not deleted: it is renamed to ``PATH.old-1``, or the next number.

    Parameters
    ----------
    backup
        A file that `Store.backup` made. It is copied, and stays.
    path
        The file of the store.

    Returns
    -------
    Where that is now which was there; None if nothing was.

    Raises
    ------
    StoreError
        If the backup is itself not in order, or if a program has the store open, as far as that
        can be known: it cannot on network drives. Nothing is changed then.
    """
    source, file = Path(backup).expanduser(), Path(path).expanduser()
    if not source.is_file():
        raise StoreError(f"{source}: there is no such backup; give the path of its file")
    if files.identity(source) == files.identity(file):
        raise StoreError(f"{source}: is the store itself; give the path of a backup")
    has_log = files.beside(source, "-wal").exists()
    refuse_open(file)
    with new_file(file, replace=True) as part:
        with (
            closing(connect(source, "mode=ro" if has_log else "mode=ro&immutable=1")) as old,
            closing(connect(part, "mode=rwc")) as new,
        ):
            old.backup(new)
        _refuse_unsound(part, source)
        refuse_open(file)
        is_there = any(files.beside(file, suffix).exists() for suffix in ("", *files.BESIDE))
        return files.set_aside(file) if is_there else None


def refuse_open(path: Path) -> None:
    """`StoreError` if a program has the store open, as far as that can be known."""
    if is_open_here(path):
        raise StoreError(
            f"{path}: is open in this program; close its stores and widgets, then try again"
        )
    files.refuse_open_elsewhere(path)


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a name to write to; what is there at the end, whole and on disk, gets the path.

    Parameters
    ----------
    path
        Where it is to be at last. There must be nothing then.
    replace
        Whether there may be something at the beginning.
    """
    if not path.parent.is_dir():
        raise StoreError(f"{path}: its folder does not exist; make it first: {path.parent}")
    if not replace:
        for suffix in ("", *files.BESIDE):
            if files.beside(path, suffix).exists():
                there = files.beside(path, suffix)
                raise StoreError(f"{there}: is there already; give another path")
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        _sync(part)
        files.name_if_free(part, path)
        files.sync_folder(path)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {explain(error)}") from error
    except FileExistsError as error:
        raise StoreError(f"{path}: is there already; give another path") from error
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error}); see to that or give another path"
        ) from error
    finally:
        for suffix in ("", *files.BESIDE):
            files.beside(part, suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _refuse_unsound(part: Path, source: Path | None = None) -> None:
    """`StoreError` if a copy is not a whole store that this version reads."""
    name = source or part
    with closing(connect(part, "mode=ro&immutable=1")) as connection:
        try:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        except sqlite3.Error as error:
            raise StoreError(f"{name}: {explain(error)}") from error
    if found != "ok":
        raise StoreError(f"{name}: a copy of it is not in order ({found}); see store.check()")
    if "id" not in meta:
        raise StoreError(f"{name}: is no nbannotate store; give another path")
    if json.loads(str(meta.get("version", 0))) > tables.VERSION:
        raise StoreError(
            f"{name}: written by a newer nbannotate; upgrade with: pip install -U nbannotate"
        )


Look = Callable[[sa.Connection, Callable[[sa.Connection], Schema], dict[str, int]], list[str]]
_MEND = "restore a backup, or save what can be read with nbannotate.store.salvage(path, to)"


def _damage(connection: sa.Connection, *_: object) -> list[str]:
    """What the database itself finds wrong with its file."""
    if connection.dialect.name != "sqlite":
        return []
    rows = connection.exec_driver_sql(f"PRAGMA integrity_check({_SHOWN})").scalars()
    lines = [line for row in rows for line in str(row).splitlines() if not line.startswith("***")]
    return [f"the file is damaged: {line}; {_MEND}" for line in lines if line != "ok"]


def _missing(connection: sa.Connection, *_: object) -> list[str]:
    """Which tables and indexes are not there."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    problems = []
    for table in tables.metadata.sorted_tables:
        if table.name not in there:
            problems.append(f"the table {table.name} is missing; {_MEND}")
            continue
        indexes = {index["name"] for index in inspector.get_indexes(table.name)}
        problems += [
            f"the index {index.name} on {table.name} is missing, which makes work slow; copy the "
            "store with nbannotate.store.salvage(path, to), which makes it anew"
            for index in sorted(table.indexes, key=lambda index: str(index.name))
            if index.name not in indexes
        ]
    return problems


def _contradictions(
    connection: sa.Connection,
    read_schema: Callable[[sa.Connection], Schema],
    counts: dict[str, int],
) -> list[str]:
    """Where the tables differ from the history, or from the scheme."""
    problems: list[str] = []
    schema = read_schema(connection)
    known = {c.id for c in (*schema.classes, *schema.tag_choices)}
    replay, last = Replay(), 0
    merged = sa.select(tables.meta.c.key).where(tables.meta.c.key == MERGED)
    may_go_back = connection.scalar(merged) is not None
    edits = sa.select(tables.history).order_by(tables.history.c.seq)
    for row in connection.execute(edits).mappings():
        counts["edits"] += 1
        try:
            replay.take(dict(row))
        except StoreError as error:
            problems.append(str(error))
        if row["at"] < last and not may_go_back:
            problems.append(f"edit {row['seq']} of the history is earlier than that before it")
        last = row["at"]
    for row in connection.execute(sa.select(tables.labels)).mappings():
        counts["labels"] += 1
        if row["class_id"] is not None and row["class_id"] not in known:
            problems.append(
                f"label {row['label_id']!r} of {row['image']!r} has the class {row['class_id']}, "
                "which the scheme lacks; add it to the scheme under that id"
            )
        expected = replay.labels.pop(row["label_id"], None)
        problems += _difference(f"label {row['label_id']!r} of {row['image']!r}", row, expected)
    for row in connection.execute(sa.select(tables.images)).mappings():
        counts["images"] += 1
        expected = replay.images.pop(row["image"], None)
        problems += _difference(f"image {row['image']!r}", row, expected)
    for label_id, expected in replay.labels.items():
        problems.append(
            f"label {label_id!r} of {expected['image']!r} is in the history, not in the "
            f"labels; {_MEND}"
        )
    for image in replay.images:
        problems.append(f"image {image!r} is in the history, not in the images; {_MEND}")
    return _first(problems)


def _difference(what: str, row: sa.RowMapping, expected: Row | None) -> list[str]:
    if expected is None:
        return [f"{what} is not in the history; {_MEND}"]
    names = differing(dict(row), expected)
    return [f"{what}: the history has another {', '.join(names)}; {_MEND}"] if names else []


def differing(one: Row, other: Row) -> list[str]:
    """Names of the fields in which two labels or images differ."""
    return [name for name in one if not _equal(one[name], other.get(name))]


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def _first(problems: Iterable[str]) -> list[str]:
    every = list(problems)
    more = len(every) - _SHOWN
    return [*every[:_SHOWN], *([f"and {more} more of this kind"] if more > 0 else [])]

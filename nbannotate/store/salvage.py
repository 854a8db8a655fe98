"""A new store made of what can be read of a damaged one: its history, and what that lacks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.core.replay import FACTS, UNTOUCHED, Replay
from nbannotate.core.schema import Schema
from nbannotate.errors import StoreError
from nbannotate.store import files, tables
from nbannotate.store.damaged import Rows, copy_of, read
from nbannotate.store.meta import ASSIGNMENT, MERGED, set_up
from nbannotate.store.sqlite import SqliteFile
from nbannotate.store.upkeep import Report, differing, new_file, refuse_open

ANNOTATOR = "salvage"
"""Who makes the edits that stand for those that were lost."""

_DERIVED = ("image", "annotator", "seconds", "updated", *FACTS)
_EDITED = [name for name in UNTOUCHED if name not in _DERIVED]
_Change = tuple[str, Row, Row | None, Row | None]
_NEEDED = [c.name for c in tables.labels.columns if not c.nullable and c.name != "updated"]


def salvage(path: str | Path, to: str | Path) -> Report:
    """Make a new store of what can be read of a damaged one, which is left as it is.

    Labels and images are those that the history comes to. Where edits are lost, what the tables
    of labels and images still have is taken, and an edit by ``salvage`` in the history says so.

    Parameters
    ----------
    path
        The file of the damaged store.
    to
        The file of the new one. There must be none yet.

    Returns
    -------
    How much there is in the new store, and in ``problems`` what was lost.

    Raises
    ------
    StoreError
        If nothing can be read, if a program has the damaged store open, or if there is a file
        where the new one is to be.
    """
    source, target = Path(path).expanduser(), Path(to).expanduser()
    if not source.is_file():
        raise StoreError(f"{source}: there is no such file; give the path of the damaged store")
    refuse_open(source)
    with new_file(target) as part, TemporaryDirectory(dir=target.parent) as scratch:
        copy, empty = Path(scratch, "damaged.db"), Path(scratch, "empty.db")
        unread = copy_of(source, copy)
        for suffix in ("-wal", "-journal"):
            if files.beside(source, suffix).exists():
                unread += copy_of(files.beside(source, suffix), files.beside(copy, suffix))
        _new_store(empty, lambda connection: None)
        found = _Found(read(copy, empty))
        if not found.labels and not found.history:
            raise StoreError(f"{source}: nothing of a store can be read in it; restore a backup")
        if unread:
            found.lost.insert(0, f"the disk could not read {unread} bytes of the file")
        _new_store(part, found.write)
    counts = len(found.labels), len(found.images), len(found.history)
    return Report(f"{source} salvaged to {target}", *counts, problems=tuple(found.lost))


class _Found:
    """What a damaged store comes to.

    Parameters
    ----------
    read
        What could be read of each table.
    """

    def __init__(self, read: dict[str, Rows]) -> None:
        self.lost: list[str] = []
        self._read = read
        self._replay = Replay()
        self.history: list[Row] = []
        self._meta = {row["key"]: row["value"] for row in self._rows("meta")}
        if MERGED not in self._meta:
            self._mend_times(read[tables.history.name].rows)
        is_whole = self._replay_history(read[tables.history.name])
        labels = {row["label_id"]: row for row in self._rows("labels")}
        images = {row["image"]: row for row in self._rows("images")}
        if not is_whole:
            self._complete(labels, images)
        else:
            self._tell_differences(labels)
        self.labels = list(self._replay.labels.values())
        self.images = list(self._replay.images.values())
        self._schema = self._known_schema()

    def write(self, connection: sa.Connection) -> None:
        """Put all of it into a new store."""
        store_id = self._meta.get("id")
        if not isinstance(store_id, str):
            self.lost.append("the id of the store: unsaved edits in a browser will not find it")
            store_id = str(uuid.uuid4())
        connection.execute(sa.delete(tables.meta))
        stored: Any = self._meta.get("schema") or {}
        past = {key: stored[key] for key in ("departed", "given") if key in stored}
        schema = {**self._schema.to_dict(), **past}  # so that no id gets a second meaning
        meta = {"version": tables.VERSION, "id": store_id, "schema": schema}
        meta |= {key: self._meta[key] for key in (MERGED, ASSIGNMENT) if key in self._meta}
        for table, rows in (
            (tables.meta, [{"key": key, "value": value} for key, value in meta.items()]),
            (tables.labels, self.labels),
            (tables.images, self.images),
            (tables.history, self.history),
            (tables.clients, self._rows("clients")),
        ):
            if rows:
                connection.execute(sa.insert(table), rows)

    def _rows(self, name: str) -> list[Row]:
        found = self._read[name]
        note = f"some of the table {name} cannot be read"
        if not found.is_whole and note not in self.lost:
            self.lost.append(note)
        return found.rows

    def _mend_times(self, history: list[Row]) -> None:
        """Give edits whose time cannot be, because it is damaged, that of the edit before them."""
        mended, last = 0, 0
        for row, after in zip_longest(history, history[1:]):
            is_early = row["at"] < last
            is_late = after is not None and last <= after["at"] < row["at"]
            if is_early or is_late:
                row["at"] = last
                mended += 1
            last = row["at"]
        if mended:
            self.lost.append(f"the times of {mended} edits")

    def _replay_history(self, found: Rows) -> bool:
        """Take in the edits that fit those before them; whether that is all that were made."""
        for row in found.rows:
            row.setdefault("facts", None)  # a store that was made before there was such
            if _is_edit(row):
                with suppress(StoreError):
                    self._replay.take(row)
                    self.history.append(row)
        edits = max((row["seq"] for row in found.rows), default=0)
        lost = edits - len(self.history)
        if lost:
            self.lost.append(f"{lost} of the {edits} edits of the history")
        elif not found.is_whole:
            self.lost.append("the last edits of the history")
        last = max((row["at"] for row in found.rows), default=0)
        newer = any(
            (row["updated"] or 0) > last
            for name in ("labels", "images")
            for row in self._rows(name)
        )
        return found.is_whole and not lost and not newer

    def _tell_differences(self, labels: dict[str, Row]) -> None:
        for label_id, row in labels.items():
            expected = self._replay.labels.get(label_id)
            if expected is None or differing(row, expected):
                self.lost.append(
                    f"the label {label_id!r} of {row['image']!r} as the labels have it, which is "
                    "not as the history has it"
                )

    def _complete(self, labels: dict[str, Row], images: dict[str, Row]) -> None:
        """Add edits that lead from what the history comes to, to what the tables still have."""
        changes = [*self._label_changes(labels), *self._image_changes(images)]
        for change in changes:
            self._add(*change)
        if changes:
            self.lost.append(
                f"the edits that led to {len(changes)} labels and images, which are as the tables "
                f"have them; see the edits of the annotator {ANNOTATOR!r}"
            )

    def _label_changes(self, labels: dict[str, Row]) -> Iterator[_Change]:
        replay = self._replay
        for label_id, row in labels.items():
            known = replay.labels.get(label_id)
            if known is None and replay.deleted.get(label_id, 0) < row["updated"]:
                yield "create", row, None, _without_time(row)
            elif known is not None and known["updated"] < row["updated"]:
                names = [name for name in differing(row, known) if name != "updated"]
                yield "update", row, _only(known, names), _only(row, names)
        if self._read[tables.labels.name].is_whole:
            for label_id, row in replay.labels.items():
                if label_id not in labels:
                    yield "delete", row, _without_time(row), None

    def _image_changes(self, images: dict[str, Row]) -> Iterator[_Change]:
        for image, row in images.items():
            known = self._replay.images.get(image, UNTOUCHED)
            facts = {name: row[name] for name in FACTS if row[name] not in (None, known[name])}
            if (known["updated"] or 0) < (row["updated"] or 0) or facts:
                names = [name for name in _EDITED if row[name] != known[name]]
                seconds = max(row["seconds"] - known["seconds"], 0.0)
                about = {"image": image, "seconds": seconds, "facts": facts or None}
                yield "image", about, _only(known, names), _only(row, names)

    def _add(self, op: str, about: Row, before: Row | None, after: Row | None) -> None:
        last = self.history[-1] if self.history else {"seq": 0, "batch": 0, "at": 0}
        is_first = last.get("annotator") != ANNOTATOR
        edit: Row = {
            "seq": last["seq"] + 1,
            "batch": last["batch"] + 1 if is_first else last["batch"],
            "reverses": None,
            "at": max(time.time_ns() // 1000, last["at"] + 1) if is_first else last["at"],
            "annotator": ANNOTATOR,
            "seconds": about["seconds"] if op == "image" else 0.0,
            "op": op,
            "label_id": about.get("label_id"),
            "image": about["image"],
            "before": before,
            "after": after,
            "facts": about.get("facts") if op == "image" else None,
        }
        self._replay.take(edit)
        self.history.append(edit)

    def _known_schema(self) -> Schema:
        """The scheme, with classes for what labels bear and it lacks."""
        stored: Any = self._meta.get("schema") or {}
        try:
            values = Schema.from_dict(stored).to_dict()
        except Exception:  # whatever is wrong with it, it is no scheme
            values = Schema().to_dict()
        schema = Schema.from_dict(values)
        known = {c.id for c in (*schema.classes, *schema.tag_choices)}
        used = {(row["class_id"], row["kind"] == "tag") for row in self.labels}
        missing = sorted((i, tag) for i, tag in used if i is not None and i not in known)
        if not missing:
            return schema
        names = {number: f"class {number}" for number, _ in missing}
        self.lost.append(f"the names of {', '.join(names.values())}, which are called so now")
        choices = [{"id": number, "name": names[number]} for number, tag in missing if tag]
        tags = {"salvaged": {"choices": choices, "multiple": True}} if choices else {}
        classes = [{"id": number, "name": names[number]} for number, tag in missing if not tag]
        return Schema.from_dict(
            {
                **values,
                "classes": [*values["classes"], *classes],
                "tags": {**values["tags"], **tags},
            }
        )


def _is_edit(row: Row) -> bool:
    """Whether what it has before and after are fields of a label or image."""
    if row["op"] == "schema":
        return isinstance(row["before"], dict) and isinstance(row["after"], dict)
    if row["op"] == "reconcile":
        return all(_is_reconciling(side) for side in (row["before"], row["after"]))
    fields = set(tables.IMAGE_FIELDS if row["op"] == "image" else tables.LABEL_FIELDS)
    before, after = row["before"], row["after"]
    if not all(isinstance(v, dict) and set(v) <= fields for v in (before, after) if v is not None):
        return False
    # Damage may have got into the one and not into the other.
    if any(row[n] != v[n] for v in (before, after) if v for n in ("label_id", "image") if n in v):
        return False
    if row["op"] == "create":
        return after is not None and all(after.get(name) is not None for name in _NEEDED)
    return row["op"] == "delete" or after is not None


def _is_reconciling(side: Any) -> bool:
    if not isinstance(side, dict) or set(side) != {"moves", "facts"}:
        return False
    moves, facts = side["moves"], side["facts"]
    if not (isinstance(moves, dict) and isinstance(facts, dict)):
        return False
    return all(isinstance(new, str) for new in moves.values()) and all(
        isinstance(values, dict) and set(values) <= set(FACTS) for values in facts.values()
    )


def _only(row: Row, names: Iterable[str]) -> Row:
    return {name: row[name] for name in names}


def _without_time(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "updated"}


def _new_store(path: Path, write: Callable[[sa.Connection], None]) -> None:
    database = SqliteFile(path, str(path))
    try:
        with database.writing() as connection:
            set_up(connection, database.name)
            write(connection)
    finally:
        database.close()

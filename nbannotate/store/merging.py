"""Stores of several people made into one: each label once, with its annotator and its history.

What two stores share because one is a copy of the other comes once, and the copy that went on
counts. Where both went on with the same label in different ways, both are kept and the second
gets an id of its own. Where several worked on one image, the highest of done, flagged, skipped
and todo holds; notes are joined line by line, seconds added up, and it is unsure if it is so for
anyone. What that changes stands in a last batch of the history, by no annotator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.errors import StoreError
from nbannotate.store import tables
from nbannotate.store.database import Database
from nbannotate.store.joining import Joining
from nbannotate.store.meta import MERGED, write_meta
from nbannotate.store.opening import open_store
from nbannotate.store.parts import Part, read_part, reading_only
from nbannotate.store.renaming import aligned, follow
from nbannotate.store.verdicts import split


@dataclass(frozen=True)
class MergeReport:
    """What a merge added.

    Parameters
    ----------
    stores
        How many were merged into the one.
    labels, images
        How many labels and images it has now that it did not have before.
    edits
        How many edits its history has got.
    annotators
        The labels added of each annotator; ``""`` stands for those without one.
    conflicts
        What the stores did not agree on and what was made of it, one sentence each.
    """

    stores: int
    labels: int
    images: int
    edits: int
    annotators: dict[str, int]
    conflicts: tuple[str, ...] = ()

    def __str__(self) -> str:
        people = [f"\n  {who or '(no name)'}: {n} labels" for who, n in self.annotators.items()]
        conflicts = [f"\n  {sentence}" for sentence in self.conflicts]
        return (
            f"{self.stores} stores merged: {self.labels} labels, {self.images} images and "
            f"{self.edits} edits are new{''.join(people)}"
            + (f"\n{len(conflicts)} conflicts:{''.join(conflicts)}" if conflicts else "")
        )


def merge(sources: Iterable[str | Path], to: str | Path) -> MergeReport:
    """Merge stores, such as those of the students of a class, into one.

    What is merged again adds nothing.

    Parameters
    ----------
    sources
        Files of the stores; they stay as they are. Their order does not matter.
    to
        The store that they come to: a new one, or one that is there and is added to.

    Raises
    ------
    StoreError
        If one of them cannot be read or written. Nothing is then added.
    """
    parts = read_parts(sources, to)
    with open_store(to) as store:
        return store.merge(parts)


def read_parts(sources: Iterable[str | Path], to: str | Path | None = None) -> list[Part]:
    """Read stores to be merged.

    Parameters
    ----------
    sources
        Files of the stores.
    to
        The store that they will come to; it must not be one of them.

    Raises
    ------
    StoreError
        If one of them cannot be read.
    """
    parts = []
    for source in sources:
        path = Path(source).expanduser()
        if to is not None and path.resolve() == Path(to).expanduser().resolve():
            raise StoreError(f"{path}: would be merged into itself; leave it out of the sources")
        with reading_only(path) as connection:
            parts.append(read_part(connection, str(source)))
    return parts


def merge_into(database: Database, parts: Sequence[Part]) -> MergeReport:
    """Add to a store what others hold, in one transaction."""
    with database.writing() as connection:
        target = read_part(connection, database.name)
        parts = sorted(parts, key=Part.age)
        if follow(connection, target, parts):
            target = read_part(connection, database.name)
        _, *parts = aligned([target, *parts])
        joining = Joining(target, target.meta.get(MERGED) or {})
        for part in parts:
            joining.add(part)
        history = joining.finish()
        _write(connection, joining, target, history)
    news = [row for label_id, row in joining.labels.items() if label_id not in target.labels]
    added, _ = split(news)
    people = dict.fromkeys(sorted({row["annotator"] or "" for row in history}), 0)
    people |= Counter(row["annotator"] or "" for row in added)
    return MergeReport(
        stores=len(parts),
        labels=len(added),
        images=len(joining.images.keys() - target.images.keys()),
        edits=len(history),
        annotators={who: count for who, count in people.items() if who or count},
        conflicts=(*joining.schemes.conflicts, *joining.conflicts),
    )


def _write(connection: sa.Connection, joining: Joining, target: Part, history: list[Row]) -> None:
    schemes = joining.schemes
    if schemes.schema != target.schema:
        before = target.meta.get("schema") or {}
        write_meta(connection, "schema", {**before, **schemes.schema.to_dict()})
    if schemes.remembered != (target.meta.get(MERGED) or {}):
        write_meta(connection, MERGED, schemes.remembered)
    _put(connection, tables.labels, target.labels, joining.labels)
    _put(connection, tables.images, target.images, joining.images)
    if history:
        names = [column.name for column in tables.history.columns if column.name != "seq"]
        rows = [{name: row.get(name) for name in names} for row in history]
        connection.execute(sa.insert(tables.history), rows)


def _put(
    connection: sa.Connection, table: sa.Table, old: dict[str, Row], new: dict[str, Row]
) -> None:
    """Make the rows of the table the new ones; both are by its key."""
    changed = [key for key, row in new.items() if row != old.get(key)]
    gone = [key for key in old if key not in new or new[key] != old[key]]
    [key_column] = table.primary_key.columns
    if gone:
        delete = sa.delete(table).where(key_column == sa.bindparam("gone"))
        connection.execute(delete, [{"gone": key} for key in gone])
    if changed:
        names = [column.name for column in table.columns]
        connection.execute(
            sa.insert(table), [{name: new[key].get(name) for name in names} for key in changed]
        )

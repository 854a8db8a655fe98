"""Stores to be merged, of which some have images under other names: all by the last ones.

Who reconciled a store with files that were renamed has moved images; a copy of the store, or one
that had them from it, knows them by their old names still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.core.moves import composed, reconciling
from nbannotate.store import tables
from nbannotate.store.moving import move

if TYPE_CHECKING:
    from nbannotate.store.parts import Part


def under_last_names(history: Iterable[Row]) -> list[Row]:
    """The history, each edit by the keys that images have after all of it."""
    names: dict[str, str] = {}
    found = []
    for row in reversed(list(history)):
        if row["op"] == "reconcile":
            step = (row["after"] or {}).get("moves", {})
            names = names | {old: names.get(new, new) for old, new in step.items()}
        found.append(_renamed(row, names))
    return found[::-1]


def aligned(parts: Sequence[Part]) -> list[Part]:
    """The stores, the images of each by the names that others have given to them since."""
    found = list(parts)
    for place, part in enumerate(parts):
        for other in parts:
            if other is not part:
                found[place] = _by_names(found[place], _news(found[place], other))
    return found


def follow(connection: sa.Connection, target: Part, parts: Sequence[Part]) -> bool:
    """Move images of a store that others have moved since; whether there were any."""
    moves: dict[str, str] = {}
    for part in parts:
        moves = {**_news(_by_names(target, moves), part), **moves}
    if not moves:
        return False
    last = max(target.history, key=lambda row: row["batch"], default={"batch": 0})
    at = 1 + max((row["at"] for row in target.history), default=0)
    edit = reconciling(moves, {}, {})
    move(connection, edit, at)
    connection.execute(
        sa.insert(tables.history),
        {
            "batch": last["batch"] + 1,
            "at": at,
            "seconds": 0.0,
            "op": edit.op,
            "image": edit.image,
            "before": edit.before,
            "after": edit.after,
        },
    )
    return True


def _news(part: Part, other: Part) -> dict[str, str]:
    """Images of a store that another has moved and it has not, and their new keys.

    They are the same images if one store is a copy of the other, or by their content.
    """
    known = _steps(part.history)
    steps = composed(step for at, step in _steps(other.history) if (at, step) not in known)
    found = {}
    for old, new in steps.items():
        row, theirs = part.images.get(old), other.images.get(new)
        if row is None or theirs is None or new in part.images:
            continue
        if part.id == other.id or row["hash"] == theirs["hash"] is not None:
            found[old] = new
    return found


def _steps(history: Iterable[Row]) -> list[tuple[int, Mapping[str, str]]]:
    return [(row["at"], row["after"]["moves"]) for row in history if row["op"] == "reconcile"]


def _by_names(part: Part, names: Mapping[str, str]) -> Part:
    if not names:
        return part
    return replace(
        part,
        history=[_renamed(row, names) for row in part.history],
        labels={key: _renamed(row, names) for key, row in part.labels.items()},
        images={names.get(key, key): _renamed(row, names) for key, row in part.images.items()},
        unwritten=[_renamed(row, names) for row in part.unwritten],
    )


def _renamed(row: Row, names: Mapping[str, str]) -> Row:
    if row["image"] not in names:
        return row
    image = names[row["image"]]
    row = {**row, "image": image}
    for side in ("before", "after"):
        if row.get(side) and "image" in row[side]:
            row[side] = {**row[side], "image": image}
    return row

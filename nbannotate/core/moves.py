"""Images that go by other names now: what an edit of op ``reconcile`` holds, and what it does.

Its ``after`` is ``{"moves": {old key: new key}, "facts": {new key: {field: value}}}``: each image
goes with all that is said of it, all of them at once, so that two may change places; then the
fields are set. Its ``before`` takes that back, the fields by the keys that they had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nbannotate.core.edits import Edit, Row


def reconciling(
    moves: Mapping[str, str], facts: Mapping[str, Row], known: Mapping[str, Row]
) -> Edit:
    """The edit that moves images and sets fields of them.

    Parameters
    ----------
    moves
        Old key to new key, no new one twice.
    facts
        The fields that are set, by the keys after the moves.
    known
        What these fields are now, by the keys before the moves.
    """
    back = {new: old for old, new in moves.items()}
    before = {}
    for key, values in facts.items():
        old = back.get(key, key)
        before[old] = {name: known[old][name] for name in values}
    return Edit(
        "reconcile",
        "",
        before={"moves": back, "facts": before},
        after={"moves": dict(moves), "facts": dict(facts)},
    )


def reconciled(images: Mapping[str, Row], after: Row, at: int) -> dict[str, Row]:
    """Image rows by key after such an edit; `ValueError` if it does not fit them.

    Parameters
    ----------
    images
        The rows before it, at least of the images that it names.
    after
        What it has as ``after``.
    at
        When it was made.
    """
    moves, facts = after.get("moves", {}), after.get("facts", {})
    found: dict[str, Row] = {}
    for key, row in images.items():
        now = moves.get(key, key)
        if now in found:
            raise ValueError(f"brings two images to {now!r}")
        if key in moves or now in facts:
            row = {**row, "image": now, **facts.get(now, {}), "updated": at}
        found[now] = row
    for key in facts:
        if key not in found:
            raise ValueError(f"changes the image {key!r}, which is not there")
    return found


def followed(edit: Edit, moves: Mapping[str, str]) -> Edit:
    """An edit of a label or image made before others moved it, as it is to be made after."""
    if edit.is_wide or edit.image not in moves:
        return edit
    image = moves[edit.image]
    before, after = (
        {**side, "image": image} if side and "image" in side else side
        for side in (edit.before, edit.after)
    )
    return Edit(edit.op, image, edit.label_id, before=before, after=after)


def composed(every: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Moves made one after the other, as one: the key that each image had first, to its last."""
    first: dict[str, str] = {}  # of each key that an image has by now, the one it had
    for moves in every:
        now = {new: first.get(old, old) for old, new in moves.items()}
        first = {key: old for key, old in first.items() if key not in moves} | now
    return {old: key for key, old in first.items() if old != key}

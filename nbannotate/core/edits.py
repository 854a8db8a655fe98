"""Edits: what changed, its reverse, and which batch of edits undo and redo would reverse next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Op = Literal["create", "update", "delete", "image", "schema", "reconcile"]
Row = dict[str, Any]
"""One label or image as JSON values; times are microseconds since 1970, UTC."""


@dataclass(frozen=True)
class Edit:
    """One change of one label, of one image's own fields, of the scheme, or of images' names.

    Parameters
    ----------
    op
        ``create``, ``update`` or ``delete`` of a label; ``image`` for status, note and the like;
        ``schema`` for the scheme; ``reconcile`` for the names of images and the contents of their
        files.
    image
        Key of the image; empty for an edit of no one image.
    label_id
        The label; None if it is of none.
    before, after
        The whole row for what a delete removes and a create adds; for ``update`` and ``image``
        the fields that change; for ``schema`` the whole scheme, as `SchemaRecord.to_dict` has it;
        for ``reconcile`` see `nbannotate.core.moves`.
    """

    op: Op
    image: str
    label_id: str | None = None
    before: Row | None = None
    after: Row | None = None

    @property
    def is_wide(self) -> bool:
        """Whether it is of no one image, and so no work on any."""
        return self.op in ("schema", "reconcile")

    @property
    def images(self) -> tuple[str, ...]:
        """Keys of the images that it changes; none for an edit of the scheme."""
        if not self.is_wide:
            return (self.image,)
        sides = [side or {} for side in (self.after, self.before)]
        parts = [side.get(part, {}) for side in sides for part in ("moves", "facts")]
        return tuple(dict.fromkeys(key for part in parts for key in part))

    def inverse(self) -> Edit:
        """The edit that takes this one back."""
        reverse: dict[Op, Op] = {"create": "delete", "delete": "create"}
        op = reverse.get(self.op, self.op)
        return Edit(op, self.image, self.label_id, before=self.after, after=self.before)

    def class_steps(self) -> Counter[int]:
        """By how many the labels of each class, by its id, become more or fewer."""
        steps: Counter[int] = Counter()
        for row, step in ((self.before or {}, -1), (self.after or {}, 1)):
            if row.get("class_id") is not None:
                steps[row["class_id"]] += step
        return steps


def inverted(edits: Sequence[Edit]) -> list[Edit]:
    """The edits that take a batch back, in the order in which to apply them."""
    return [edit.inverse() for edit in reversed(edits)]


@dataclass(frozen=True)
class Batch:
    """Edits that were committed together.

    Parameters
    ----------
    number
        Its number in the history.
    annotator
        Who made it.
    reverses
        Number of the batch that it takes back; None if it is no undo or redo.
    seconds
        Active time spent on it.
    edits
        The edits in it, in order.
    """

    number: int
    annotator: str | None
    reverses: int | None
    seconds: float
    edits: tuple[Edit, ...]


@dataclass
class UndoStack:
    """Which batch an undo or a redo reverses next, folded from the history.

    A batch is one step for people: a gesture, or a call. An undo is itself a batch that reverses
    another, and a redo is one that reverses an undo; so the stack needs no memory of its own and
    is there again after reopening.
    """

    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    last: int = 0

    @classmethod
    def fold(cls, batches: Iterable[tuple[int, int | None]]) -> UndoStack:
        """The stack after these batches, oldest first: pairs of a number and what it reverses."""
        stack = cls()
        for batch, reverses in batches:
            stack.push(batch, reverses)
        return stack

    def push(self, batch: int, reverses: int | None = None) -> None:
        """Take in a batch that was committed; nothing if it, or a later one, is in already."""
        if batch <= self.last:
            return
        self.last = batch
        if reverses is None:
            self.done.append(batch)
            self.undone.clear()
        elif self.done and self.done[-1] == reverses:
            self.done.pop()
            self.undone.append(batch)
        elif self.undone and self.undone[-1] == reverses:
            self.undone.pop()
            self.done.append(batch)

    def drop(self, batch: int) -> None:
        """Forget a step that cannot be reversed any more, so that those before it can."""
        for steps in (self.done, self.undone):
            if steps and steps[-1] == batch:
                steps.pop()

    @property
    def to_undo(self) -> int | None:
        """The batch that an undo reverses; None if there is none."""
        return self.done[-1] if self.done else None

    @property
    def to_redo(self) -> int | None:
        """The batch that a redo reverses; None if there is none."""
        return self.undone[-1] if self.undone else None

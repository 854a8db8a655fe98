"""How work is given to several annotators, and what each of them says of an image.

Where several label one image blind to each other, each has a status, note and doubt of their own.
Such a verdict is a label like others, of a kind that people's tables leave out: so it has an
annotator, a history and undo, and stores that are merged keep it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nbannotate.core.edits import Edit, Row
from nbannotate.errors import NbannotateError

VERDICT = "verdict"
"""The kind of such labels."""

VERDICT_STATE: Row = {"status": "todo", "note": None, "unsure": False}
"""What a verdict says before it is made."""

COUNTED = ("done", "flagged")
"""Statuses that make an annotator one of the `overlap` of an image; who skips it is none."""

_PREFIX = f"{VERDICT}-"
_RANK = ("todo", "skipped", "flagged", "done")
_MODES = ("shared", "all")


@dataclass(frozen=True)
class Assignment:
    """Who labels which images of a store.

    Parameters
    ----------
    assign
        ``"shared"``: each image is given to `overlap` annotators; ``"all"``: to everyone.
    overlap
        Number of annotators an image, where it is shared.
    """

    assign: str = "shared"
    overlap: int = 1

    @classmethod
    def of(cls, assign: str | None, overlap: int | None) -> Assignment | None:
        """What is asked for by these two arguments of an annotator; None if nothing is.

        Raises
        ------
        NbannotateError
            If there is no such assignment.
        """
        if assign is None and overlap is None:
            return None
        if assign not in (None, *_MODES):
            raise NbannotateError(
                f"assign={assign!r} is unknown; use 'shared', 'all', or None: all work on all"
            )
        if overlap is None:
            return cls(assign or "shared")
        if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 1:
            raise NbannotateError(
                f"overlap={overlap!r} is no number of annotators an image; give 1 or more"
            )
        if assign == "all":
            raise NbannotateError("assign='all' gives each image to everyone; leave overlap out")
        return cls("shared", overlap)

    @property
    def is_leased(self) -> bool:
        """Whether images are handed out a few at a time."""
        return self.assign == "shared"

    @property
    def is_blind(self) -> bool:
        """Whether annotators do not see each other's labels."""
        return self.assign == "all" or self.overlap > 1

    def __str__(self) -> str:
        return "assign='all'" if self.assign == "all" else f"overlap={self.overlap}"

    def to_dict(self) -> Row:
        """As JSON values."""
        return asdict(self)


def verdict_id(image: str, annotator: str) -> str:
    """The label_id of an annotator's verdict on an image: the same in every store."""
    return _PREFIX + str(uuid.uuid5(uuid.NAMESPACE_OID, f"{annotator}\n{image}"))


def new_verdict_id() -> str:
    """A label_id for a verdict where that of `verdict_id` is another image's, which was renamed."""
    return _PREFIX + str(uuid.uuid4())


def is_verdict(label_id: str | None) -> bool:
    """Whether a label of this id is a verdict."""
    return label_id is not None and label_id.startswith(_PREFIX)


def state_of(verdict: Row | None) -> Row:
    """Status, note and unsure that a verdict's row says; those before it where there is none."""
    if verdict is None:
        return dict(VERDICT_STATE)
    return image_fields(verdict)


def label_fields(state: Row) -> Row:
    """The fields of the verdict's label that hold such a state."""
    return {
        "text": state["status"],
        "geometry": {"note": state["note"], "unsure": state["unsure"]},
    }


def image_fields(fields: Row) -> Row:
    """The reverse of `label_fields`, of those that are there."""
    found: Row = {}
    if "text" in fields:
        found["status"] = fields["text"]
    if fields.get("geometry") is not None:
        found |= fields["geometry"]
    return found


def image_changes(edit: Edit) -> Row:
    """Fields of an image that an edit gives new values, as its maker sees them."""
    if edit.op == "image":
        return edit.after or {}
    if not is_verdict(edit.label_id):
        return {}
    return dict(VERDICT_STATE) if edit.after is None else image_fields(edit.after)


def overall(statuses: Iterable[str], needed: int) -> str:
    """Status of an image by the verdicts on it: to do until as many as needed are counted."""
    given = list(statuses)
    if sum(status in COUNTED for status in given) < needed:
        return "todo"
    return max(given, key=_RANK.index)


def from_dict(values: Any) -> Assignment | None:
    """The assignment that a store has; None if it has none."""
    return None if not values else Assignment(values["assign"], values["overlap"])

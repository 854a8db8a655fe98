"""The contract with the gesture layer: its messages checked, and what it is told.

``browser/types.js`` describes the same in the browser's words. A message comes in numbered
batches; what is in it may be anything, for the front end is not ours alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from nbannotate.core.geometry import SMALLEST_SIDE
from nbannotate.core.label_class import LabelClass
from nbannotate.core.schema import Schema
from nbannotate.core.tables import STATUSES
from nbannotate.errors import ConflictError, NbannotateError
from nbannotate.project import Progress

_LABEL_FIELDS = (
    "label_id",
    "image",
    "kind",
    "class_id",
    "x",
    "y",
    "width",
    "height",
    "attributes",
)
FILTERS = ("all", "unsure", *STATUSES)
_MOST_CHANGES = 100_000


class MessageError(NbannotateError, ValueError):
    """A message of the browser that is not one of ours."""


@dataclass(frozen=True)
class Filter:
    """Which images the walk goes through.

    Parameters
    ----------
    status
        A status, ``unsure`` or ``all``.
    class_id
        Only images that bear a label of this class; None for any.
    text
        Only images whose key contains it, whatever the case.
    """

    status: str = "all"
    class_id: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Edit:
    """Changes that are one step for undo, and the place to go to with them."""

    changes: tuple[Mapping[str, Any], ...]
    seconds: float
    goto: int | None


@dataclass(frozen=True)
class Reverse:
    """Undo or redo."""

    op: str


@dataclass(frozen=True)
class Goto:
    """Go to a place of the walk, from 0."""

    position: int


@dataclass(frozen=True)
class NextTodo:
    """Go to the next image that is to do."""


@dataclass(frozen=True)
class SetFilter:
    """Walk through other images."""

    filter: Filter


@dataclass(frozen=True)
class Nothing:
    """A number that is used up; see ``unmoving`` in ``browser/queue.js``."""


Message = Edit | Reverse | Goto | NextTodo | SetFilter | Nothing


@dataclass(frozen=True)
class Numbered:
    """A message as it came, and its number."""

    seq: int
    content: Any


@dataclass(frozen=True)
class Batch:
    """Messages of one client.

    Parameters
    ----------
    client
        The page load that they were made in.
    messages
        In their order.
    is_all
        Whether these are all that the client has not seen acknowledged. Else only the last one,
        which is to be taken if it is next in number.
    """

    client: str
    messages: tuple[Numbered, ...]
    is_all: bool


@dataclass(frozen=True)
class Select:
    """A shape was selected; None: none is any more."""

    label_id: str | None


@dataclass(frozen=True)
class Retry:
    """Read an image again that could not be shown."""

    image: str


@dataclass(frozen=True)
class Look:
    """What is in sight could be sharper.

    Parameters
    ----------
    image
        Key of the image.
    box
        x, y, width, height of what is in sight, in pixels of the upright image.
    size
        Width and height that it is wanted in, in pixels.
    """

    image: str
    box: tuple[float, float, float, float]
    size: tuple[int, int]


def received(content: Any) -> Batch | Select | Retry | Look:
    """What came over the layer's comm; `MessageError` if it is none of ours."""
    if not isinstance(content, dict):
        raise MessageError(f"a message is {type(content).__name__}, not a dict")
    kind = content.get("type")
    if kind == "messages":
        client = _text(content, "client")
        items = content.get("messages")
        if not client or len(client) > 64 or not isinstance(items, list):
            raise MessageError("a batch of messages has no client or no list of messages")
        numbered = tuple(Numbered(_whole(item, "seq"), item.get("message")) for item in items)
        return Batch(client, numbered, content.get("again") is True)
    if kind == "select":
        return Select(_text(content, "label_id") or None)
    if kind == "retry":
        return Retry(_text(content, "image"))
    if kind == "look":
        x, y, width, height = _numbers(content, "box", 4)
        size = _numbers(content, "size", 2)
        return Look(_text(content, "image"), (x, y, width, height), (int(size[0]), int(size[1])))
    raise MessageError(f"a message has the type {kind!r}")


def parse(content: Any) -> Message:
    """One numbered message; `MessageError` if it is none of ours."""
    if not isinstance(content, dict):
        raise MessageError(f"a message is {type(content).__name__}, not a dict")
    op = content.get("op")
    if op == "edit":
        changes = content.get("changes")
        if not isinstance(changes, list) or not all(isinstance(c, dict) for c in changes):
            raise MessageError("an edit has no list of changes")
        if len(changes) > _MOST_CHANGES:
            raise MessageError(f"an edit has {len(changes)} changes; at most {_MOST_CHANGES}")
        goto = None if content.get("goto") is None else _whole(content, "goto")
        return Edit(tuple(changes), _seconds(content.get("seconds")), goto)
    if op in ("undo", "redo"):
        return Reverse(op)
    if op == "goto":
        return Goto(_whole(content, "position"))
    if op == "todo":
        return NextTodo()
    if op == "filter":
        return SetFilter(_filter(content.get("filter")))
    if op == "none":
        return Nothing()
    raise MessageError(f"a message has the op {op!r}")


def _filter(content: Any) -> Filter:
    if not isinstance(content, dict) or content.get("status") not in FILTERS:
        raise MessageError(f"the filter {content!r} has no status; use one of {', '.join(FILTERS)}")
    class_id = None if content.get("class_id") is None else _whole(content, "class_id")
    return Filter(content["status"], class_id, _text(content, "text"))


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MessageError(f"{name} is {value!r}, not a text")
    return value


def _whole(content: Any, name: str) -> int:
    value = content.get(name) if isinstance(content, dict) else None
    if not _is_finite(value) or value % 1:
        raise MessageError(f"{name} is {value!r}, not a whole number")
    return int(value)


def _numbers(content: Mapping[str, Any], name: str, count: int) -> list[float]:
    values = content.get(name)
    if not isinstance(values, list) or len(values) != count:
        raise MessageError(f"{name} is {values!r}, not {count} numbers")
    for value in values:
        if not _is_finite(value):
            raise MessageError(f"{name} has {value!r}, not a finite number")
    return [float(value) for value in values]


def _seconds(value: Any) -> float:
    return max(0.0, float(value)) if _is_finite(value) else 0.0


def _is_finite(value: Any) -> TypeGuard[int | float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A whole number too large for a float is finite all the same.
    return is_number and (isinstance(value, int) or math.isfinite(value))


# --- what the browser is told ---


def config(
    schema: Schema,
    *,
    hotkeys: Mapping[int | str, str],
    keys: Mapping[str, str],
    attached: Sequence[str] = (),
    **options: Any,
) -> dict[str, Any]:
    """What stays the same while the user works; see ``Config`` in ``browser/types.js``.

    Parameters
    ----------
    schema
        The scheme.
    hotkeys
        Key of each class and tag that has one, by id, and of each attribute, by name.
    keys
        Key of each action that has one.
    attached
        Attributes whose fields are widgets of the user's own.
    **options
        The other fields.
    """

    def classes(items: Sequence[LabelClass]) -> list[dict[str, Any]]:
        return [
            {
                "id": item.id,
                "name": item.name,
                "color": item.color,
                "hotkey": hotkeys.get(item.id),
                "retired": item.retired,
            }
            for item in items
        ]

    return {
        "schema": {
            "classes": classes(schema.classes),
            "tags": [
                {"name": g.name, "choices": classes(g.choices), "multiple": g.multiple}
                for g in schema.tags
            ],
            "attributes": [
                {
                    **attribute.to_dict(),
                    "hotkey": hotkeys.get(attribute.name),
                    "attached": attribute.name in attached,
                }
                for attribute in schema.attributes
            ],
        },
        "keys": dict(keys),
        "smallest_side": SMALLEST_SIDE,
        **options,
    }


def label(row: Mapping[str, Any]) -> dict[str, Any]:
    """A label as the browser gets it."""
    return {name: row[name] for name in _LABEL_FIELDS}


def conflict(client: str, seq: int, error: ConflictError) -> dict[str, Any]:
    """A message that was refused for what someone else has changed; see ``Conflict``."""
    theirs = error.theirs
    return {
        "client": client,
        "seq": seq,
        "text": str(error),
        "label_id": error.label_id,
        "theirs": None if theirs is None else label(theirs),
    }


def progress(value: Progress) -> dict[str, Any]:
    """The progress as the browser gets it: JSON has no NaN."""
    pace = value.seconds_per_image
    return {**asdict(value), "seconds_per_image": pace if math.isfinite(pace) else None}

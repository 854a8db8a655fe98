"""A label scheme, and what became of the classes and attributes that left it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from nbannotate.core.edits import Edit, Row
from nbannotate.core.label_class import LabelClass
from nbannotate.core.schema import Schema
from nbannotate.errors import SchemaError


@dataclass(frozen=True)
class Departure:
    """A name that the scheme has no longer, and where what bore it went.

    Parameters
    ----------
    role
        ``class``, ``tag`` or ``attribute``.
    name
        The name.
    to
        Id of the class, or name of the attribute, that took its place; None if none did. For a
        class that was renamed its own id.
    id
        Id of the class; None for an attribute.
    """

    role: str
    name: str
    to: int | str | None
    id: int | None = None


@dataclass(frozen=True)
class SchemaRecord:
    """A scheme with what was in it before.

    Parameters
    ----------
    schema
        The scheme as it is.
    departures
        What left it, oldest first.
    given
        All ids that were ever given, those of the scheme among them; none of them gets a second
        meaning.
    """

    schema: Schema
    departures: tuple[Departure, ...] = ()
    given: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", self.given | _ids(self.schema))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], given: Iterable[int] = ()) -> SchemaRecord:
        """The record that `to_dict` wrote."""
        schema = Schema.from_dict(values)
        departures = tuple(Departure(**row) for row in values.get("departed", ()))
        return cls(schema, departures, frozenset(given))

    def to_dict(self) -> Row:
        """Scheme and departures as plain JSON values; without the ids that were given."""
        values: Row = self.schema.to_dict()
        if self.departures:
            values["departed"] = [asdict(departure) for departure in self.departures]
        return values

    def with_values(self, values: Row, *departures: Departure) -> SchemaRecord:
        """With another scheme, given as plain JSON values, and with more departures."""
        return self.with_schema(Schema.from_dict(values), *departures)

    def with_schema(self, schema: Schema, *departures: Departure) -> SchemaRecord:
        """With another scheme, and with more departures."""
        left = (*self.departures, *departures)
        return replace(self, schema=schema, departures=left)

    @property
    def next_id(self) -> int:
        """The id of the next class: over all that were ever given."""
        return max(self.given, default=0) + 1

    @cached_property
    def gone(self) -> frozenset[int]:
        """Ids that were given and that no class has any more."""
        return self.given - _ids(self.schema)

    def extended(self, other: Schema) -> SchemaRecord:
        """With what `other` has and the scheme lacks; see `Schema.extended`.

        What left the scheme does not come back by this: a notebook that is run again still lists
        the classes that it began with.
        """
        left = {(departure.role, departure.name) for departure in self.departures}

        def wanted(items: Iterable[LabelClass], role: str) -> list[LabelClass]:
            return [item for item in items if (role, item.name) not in left]

        tags = {
            group.name: {"choices": choices, "multiple": group.multiple}
            for group in other.tags
            if (choices := wanted(group.choices, "tag"))
        }
        attributes = [a for a in other.attributes if ("attribute", a.name) not in left]
        news = Schema(wanted(other.classes, "class"), tags, attributes)
        return self.with_schema(self.schema.extended(news, given=self.given))

    def followed(self, values: Mapping[str, Any]) -> Row:
        """Fields of a label that were set under a former scheme, as this one has them.

        A class that was merged is the one that it went into; an attribute that was renamed has
        its new name, and one that was removed is left out.

        Raises
        ------
        SchemaError
            If the class was removed and its labels went nowhere.
        """
        found = dict(values)
        if isinstance(found.get("class_id"), int):
            found["class_id"] = self._followed_class(found["class_id"])
        if isinstance(found.get("attributes"), Mapping):
            found["attributes"] = self._followed_attributes(found["attributes"])
        return found

    def followed_change(self, change: Mapping[str, Any]) -> Row:
        """A change as in `nbannotate.core.changes`, with the fields that it sets `followed`."""
        found = self.followed(change) if change.get("op") == "create" else dict(change)
        for part in ("changes", "seen"):
            if isinstance(change.get(part), Mapping):
                found[part] = self.followed(change[part])
        return found

    def followed_edit(self, edit: Edit) -> Edit:
        """An edit of a label with both its sides `followed`."""
        before, after = (
            None if row is None else self.followed(row) for row in (edit.before, edit.after)
        )
        return replace(edit, before=before, after=after)

    def now(self, class_id: int) -> int | None:
        """The class that one of a former scheme is now; None if it left and went nowhere."""
        last = {d.id: d.to for d in self.departures if d.id is not None and d.to != d.id}
        here = _ids(self.schema)
        at: int | str | None = class_id
        while isinstance(at, int) and at not in here and at in self.given:
            at = last.pop(at, None)  # popped, so that none is followed twice
        return at if isinstance(at, int) else None

    def _followed_class(self, class_id: int) -> int:
        found = self.now(class_id)
        if found is None:
            names = (d.name for d in reversed(self.departures) if d.id == class_id)
            raise SchemaError(
                f"class {next(names, class_id)!r} was removed from the scheme; "
                "choose another for this label"
            )
        return found

    def _followed_attributes(self, values: Mapping[str, Any]) -> Row:
        last = {d.name: d.to for d in self.departures if d.role == "attribute"}
        here = {attribute.name for attribute in self.schema.attributes}
        found: Row = {}
        for name, value in values.items():
            now: Any = name
            left = dict(last)
            while now is not None and now not in here and now in left:
                now = left.pop(now)
            if now is not None:
                found.setdefault(now, value)
        return {**found, **{name: values[name] for name in found if name in values}}


def _ids(schema: Schema) -> frozenset[int]:
    return frozenset(item.id for item in (*schema.classes, *schema.tag_choices))

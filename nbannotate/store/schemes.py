"""Label schemes of several stores made into one, by the names of their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from nbannotate.core.label_class import LabelClass
from nbannotate.core.schema import Role, Schema
from nbannotate.store.parts import Part

Remembered = dict[str, dict[str, int]]
"""Of each store that was merged, by its id: the class that each of its classes has become."""


class Schemes:
    """A scheme that takes in others.

    Parameters
    ----------
    schema
        The scheme to begin with. Its ids stay as they are.
    remembered
        What became of the classes of stores that it has taken in, so that a class that was
        renamed here since is found again.
    stored
        The scheme as the store keeps it, which may hold more: ids that no new class gets
        (``given``), and what became of classes that left it (``departed``).
    """

    def __init__(self, schema: Schema, remembered: Remembered, stored: Mapping[str, Any]) -> None:
        self.schema = schema
        self.moved: dict[int, int] = {}
        """Classes that labels may come with, though they left the scheme, and what they are now."""
        self._given = frozenset(stored.get("given", ()))
        self._departed = {row["id"]: row["to"] for row in stored.get("departed", ())}
        self.remembered = {store: dict(ids) for store, ids in remembered.items()}
        self.conflicts: list[str] = []

    def take(self, part: Part) -> dict[int, int]:
        """Take in the scheme of a store; returns what each of its classes is here, by id."""
        theirs = part.schema
        lost = sorted(_classes_used(part) - {c.id for c in (*theirs.classes, *theirs.tag_choices)})
        classes = [c.to_dict() for c in theirs.classes]
        classes += [{"id": c, "name": self._name_of_lost(c, part), "retired": True} for c in lost]
        theirs = Schema(
            classes,
            {g.name: {"choices": g.choices, "multiple": g.multiple} for g in theirs.tags},
            theirs.attributes,
        )
        memory = self.remembered.setdefault(part.id, {})
        here = {c.id for c in (*self.schema.classes, *self.schema.tag_choices)}
        ids: dict[int, int] = {}
        for item in (*theirs.classes, *theirs.tag_choices):
            known = memory.get(_name(item))
            now = known if known in here else self._went_to(known, here)
            if known is not None and now is not None:
                ids[item.id] = known
                if now != known:
                    self.moved[known] = now
        self._report_differences(theirs, part.name)
        self.schema = self.schema.extended(self._news(theirs, set(ids)))
        roles: list[tuple[Role, tuple[LabelClass, ...]]] = [
            ("class", theirs.classes),
            ("tag", theirs.tag_choices),
        ]
        for role, items in roles:
            for item in items:
                if item.id not in ids:
                    kind = "tag" if role == "tag" else "box"
                    ids[item.id] = self.schema.find(item.name, kind).id
                memory[_name(item)] = ids[item.id]
        return ids

    def _news(self, theirs: Schema, known: set[int]) -> Schema:
        """The scheme without the classes known, and without the keys and ids that are taken."""
        mine: list[Any] = [*self.schema.classes, *self.schema.tag_choices, *self.schema.attributes]
        keys = {item.key.lower() for item in mine if item.key is not None}
        taken = {*self._given, *(item.id for item in mine if isinstance(item, LabelClass))}

        def freed(item: Any) -> dict[str, Any]:
            values: dict[str, Any] = item.to_dict()
            if item.key is not None and item.key.lower() in keys:
                values["key"] = None
            return values

        def numbered(items: Iterable[LabelClass]) -> list[dict[str, Any]]:
            rows = [freed(item) for item in items if item.id not in known]
            for row in rows:
                row["id"] = next(n for n in count(row["id"]) if n not in taken)
                taken.add(row["id"])
            return rows

        tags = {
            g.name: {"choices": numbered(g.choices), "multiple": g.multiple} for g in theirs.tags
        }
        return Schema.from_dict(
            {
                "classes": numbered(theirs.classes),
                "tags": {name: group for name, group in tags.items() if group["choices"]},
                "attributes": [freed(a) for a in theirs.attributes],
            }
        )

    def _went_to(self, class_id: int | None, here: set[int]) -> int | None:
        """The class that took the place of one that left the scheme; None if none did."""
        left = dict(self._departed)
        while class_id is not None and class_id not in here:
            class_id = left.pop(class_id, None)  # popped, so that none is followed twice
        return class_id

    def _name_of_lost(self, class_id: int, part: Part) -> str:
        """What a class is called that only the history has."""
        name = f"class {class_id} of store {part.id[:8]}"
        if f"{class_id} {name}" not in self.remembered.get(part.id, {}):
            self.conflicts.append(
                f"{part.name}: its scheme lacks class {class_id}, which its history has; it is "
                f"kept as the retired class {name!r}"
            )
        return name

    def _report_differences(self, theirs: Schema, name: str) -> None:
        mine = {attribute.name: attribute.to_dict() for attribute in self.schema.attributes}
        for attribute in theirs.attributes:
            known, other = mine.get(attribute.name), attribute.to_dict()
            differing = [k for k in other if known and k != "key" and known[k] != other[k]]
            if differing:
                self.conflicts.append(
                    f"{name}: attribute {attribute.name!r} has another {', '.join(differing)}; "
                    "the definition that was there before is kept, and the values of both"
                )
        groups = {group.name: group for group in self.schema.tags}
        for group in theirs.tags:
            if group.name in groups and groups[group.name].multiple != group.multiple:
                self.conflicts.append(
                    f"{name}: tag group {group.name!r} has multiple={group.multiple}; it stays "
                    f"{not group.multiple}"
                )


def _classes_used(part: Part) -> set[int]:
    rows = [*part.labels.values()]
    for row in part.edits:
        rows += [value for value in (row["before"], row["after"]) if value]
    return {row["class_id"] for row in rows if row.get("class_id") is not None}


def _name(item: LabelClass) -> str:
    return f"{item.id} {item.name}"

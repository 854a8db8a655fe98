"""The label scheme: classes with ids that never change, groups of image tags, attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from nbannotate.core.attributes import Attribute
from nbannotate.core.colors import color_of
from nbannotate.core.label_class import LabelClass
from nbannotate.errors import SchemaError

Role = Literal["class", "tag"]


@dataclass(frozen=True)
class TagGroup:
    """A question about the whole image, answered by one of its choices, or by several.

    Parameters
    ----------
    name
        Its name, unique in the scheme.
    choices
        The tags.
    multiple
        Whether one image may bear several of them.
    """

    name: str
    choices: tuple[LabelClass, ...]
    multiple: bool = False


class Schema:
    """What labels may be: classes of shapes, groups of image tags, attributes of shapes.

    Parameters
    ----------
    classes
        Names; or dicts of `LabelClass` fields; or a dict from ids to names.
    tags
        A list of tags, one of which an image may bear; or a dict from group names to lists of
        tags, or to dicts with ``choices`` and ``multiple``.
    attributes
        A dict from names to types, as `Attribute.parse` takes them; or a list of `Attribute`.

    Raises
    ------
    SchemaError
        If a name, an id or a key stands twice.

    Examples
    --------
    >>> schema = Schema(
    ...     classes=["car", "person"],
    ...     tags={"weather": ["sun", "rain"], "seen": {"choices": ["sea"], "multiple": True}},
    ...     attributes={"occluded": bool, "view": ["front", "side"], "speed": (0, 130)},
    ... )
    >>> schema.classes[1].name, schema.classes[1].id
    ('person', 2)
    """

    def __init__(
        self,
        classes: Iterable[Any] | Mapping[int, str] = (),
        tags: Iterable[Any] | Mapping[str, Any] = (),
        attributes: Mapping[str, Any] | Iterable[Attribute] = (),
    ) -> None:
        groups = _group_specs(tags)
        specs = [_class_spec(item) for item in _listed(classes)]
        tag_specs = [[_class_spec(item) for item in choices] for _, choices, _ in groups]
        numbers = _Numbers(specs + [spec for group in tag_specs for spec in group])
        self.classes: tuple[LabelClass, ...] = numbers.build(specs)
        self.tags: tuple[TagGroup, ...] = tuple(
            TagGroup(name, numbers.build(choices), multiple)
            for (name, _, multiple), choices in zip(groups, tag_specs, strict=True)
        )
        self.attributes: tuple[Attribute, ...] = (
            tuple(Attribute.parse(name, spec) for name, spec in attributes.items())
            if isinstance(attributes, Mapping)
            else tuple(attributes)
        )
        self._check()

    def _check(self) -> None:
        choices = self.tag_choices
        _refuse_twice("class", [c.name for c in self.classes])
        _refuse_twice(
            "tag", [c.name for c in choices], "tags are unique across groups: rename one of them"
        )
        _refuse_twice("tag group", [group.name for group in self.tags])
        _refuse_twice("attribute", [attribute.name for attribute in self.attributes])
        _refuse_twice("id", [c.id for c in (*self.classes, *choices)])
        keys = [c.key for c in (*self.classes, *choices)] + [a.key for a in self.attributes]
        _refuse_twice("key", [key.lower() for key in keys if key is not None])
        for group in self.tags:
            if not group.choices:
                raise SchemaError(f"tag group {group.name!r} has no choices; list some")

    @cached_property
    def tag_choices(self) -> tuple[LabelClass, ...]:
        """The choices of all tag groups, in order."""
        return tuple(choice for group in self.tags for choice in group.choices)

    @cached_property
    def _by_name(self) -> dict[tuple[Role, str], LabelClass]:
        return {("class", c.name): c for c in self.classes} | {
            ("tag", c.name): c for c in self.tag_choices
        }

    @cached_property
    def _by_id(self) -> dict[int, LabelClass]:
        return {c.id: c for c in (*self.classes, *self.tag_choices)}

    @cached_property
    def _groups(self) -> dict[int, TagGroup]:
        return {choice.id: group for group in self.tags for choice in group.choices}

    def find(self, name: str, kind: str = "box") -> LabelClass:
        """The class, or for kind ``"tag"`` the tag, of that name.

        Raises
        ------
        SchemaError
            If there is none; the message lists those there are.
        """
        role: Role = "tag" if kind == "tag" else "class"
        try:
            return self._by_name[role, name]
        except KeyError:
            known = [c.name for c in (self.tag_choices if role == "tag" else self.classes)]
            listed = ", ".join(map(repr, known[:10])) + (" …" if len(known) > 10 else "")
            raise SchemaError(
                f"the scheme has no {role} {name!r}; it has {listed or 'none'}"
            ) from None

    def named(self, name: str) -> LabelClass:
        """The class of that name, else the tag; `SchemaError` if there is neither."""
        return self.find(name, "box" if ("class", name) in self._by_name else "tag")

    def by_id(self, class_id: int) -> LabelClass:
        """The class or tag of that id; `SchemaError` if there is none."""
        try:
            return self._by_id[class_id]
        except KeyError:
            raise SchemaError(f"the scheme has no class with id {class_id}") from None

    def group_of(self, tag_id: int) -> TagGroup:
        """The group that a tag belongs to."""
        try:
            return self._groups[tag_id]
        except KeyError:
            raise SchemaError(f"the scheme has no tag with id {tag_id}") from None

    def attribute(self, name: str) -> Attribute:
        """The attribute of that name; `SchemaError` if there is none."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        known = [attribute.name for attribute in self.attributes]
        raise SchemaError(f"the scheme has no attribute {name!r}; it has {known or 'none'}")

    def check_attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values, each checked by its attribute; those that are None are left out."""
        checked = {name: self.attribute(name).check(value) for name, value in values.items()}
        return {name: value for name, value in checked.items() if value is not None}

    def with_attribute(self, attribute: Attribute) -> Schema:
        """The scheme with one more attribute, or with the one of that name replaced."""
        names = [a.name for a in self.attributes]
        kept = [attribute if a.name == attribute.name else a for a in self.attributes]
        return self._replaced(attributes=kept if attribute.name in names else [*kept, attribute])

    def extended(self, other: Schema, *, given: Iterable[int] = ()) -> Schema:
        """The scheme with what `other` has and it lacks; ids of its own stay as they are.

        A class that both have by name keeps this scheme's id; one whose id is taken gets a new one.

        Parameters
        ----------
        other
            Another scheme.
        given
            Ids that were given once and are taken, though no class has them any more.
        """
        taken = {*self._by_id, *given}

        def new(theirs: Iterable[LabelClass], role: Role) -> list[dict[str, Any]]:
            rows = []
            for item in theirs:
                if (role, item.name) in self._by_name:
                    continue
                row = item.to_dict()
                if item.id in taken:
                    row["id"] = max(taken, default=0) + 1
                taken.add(row["id"])
                rows.append(row)
            return rows

        mine = {group.name for group in self.tags}
        tags = _tag_dict(self.tags)
        for group in other.tags:
            added = new(group.choices, "tag")
            if group.name in mine:
                tags[group.name]["choices"] += added
            elif added:
                tags[group.name] = {"choices": added, "multiple": group.multiple}
        known = {a.name for a in self.attributes}
        return Schema(
            classes=[*map(LabelClass.to_dict, self.classes), *new(other.classes, "class")],
            tags=tags,
            attributes=[*self.attributes, *(a for a in other.attributes if a.name not in known)],
        )

    def _replaced(self, *, attributes: Iterable[Attribute]) -> Schema:
        return Schema(map(LabelClass.to_dict, self.classes), _tag_dict(self.tags), attributes)

    def to_dict(self) -> dict[str, Any]:
        """The scheme as plain JSON values, read back by `from_dict`."""
        return {
            "classes": [c.to_dict() for c in self.classes],
            "tags": _tag_dict(self.tags),
            "attributes": [a.to_dict() for a in self.attributes],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """The scheme that `to_dict` wrote."""
        attributes = [Attribute(**row) for row in values.get("attributes", ())]
        return cls(values.get("classes", ()), values.get("tags", {}), attributes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # equal by value and not meant as a key

    def __repr__(self) -> str:
        parts = []
        if self.classes:
            parts.append(f"classes={[c.name for c in self.classes]}")
        if self.tags:
            parts.append(f"tags={ {g.name: [c.name for c in g.choices] for g in self.tags} }")
        if self.attributes:
            parts.append(f"attributes={ {a.name: a.type for a in self.attributes} }")
        return f"Schema({', '.join(parts)})"


class _Numbers:
    """Gives ids and colours to classes that come without."""

    def __init__(self, specs: Sequence[Mapping[str, Any]]) -> None:
        given = [spec["id"] for spec in specs if spec.get("id") is not None]
        bad = [value for value in given if not _is_whole(value)]
        if bad:
            raise SchemaError(f"class id {bad[0]!r} is not a whole number")
        self._next_id = max(map(int, given), default=0) + 1
        self._colored = 0

    def build(self, specs: Iterable[Mapping[str, Any]]) -> tuple[LabelClass, ...]:
        built = []
        for spec in specs:
            values = {key: value for key, value in spec.items() if value is not None}
            if "id" not in values:
                values["id"] = self._next_id
                self._next_id += 1
            values["id"] = int(values["id"])
            values.setdefault("color", color_of(self._colored))
            self._colored += 1
            try:
                built.append(LabelClass(**values))
            except TypeError:
                raise SchemaError(
                    f"class {spec!r}: give a name, or a dict with name, id, color, key, retired, "
                    "keypoints, skeleton"
                ) from None
        return tuple(built)


def _is_whole(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and int(value) == value
    except (TypeError, ValueError, OverflowError):
        return False


def _listed(classes: Iterable[Any] | Mapping[int, str]) -> list[Any]:
    if isinstance(classes, str):
        raise SchemaError(f"classes={classes!r} is one text; give a list of names: [{classes!r}]")
    if isinstance(classes, Mapping):
        return [{"id": number, "name": name} for number, name in classes.items()]
    return list(classes)


def _class_spec(item: Any) -> dict[str, Any]:
    if isinstance(item, LabelClass):
        return item.to_dict()
    if isinstance(item, str):
        return {"name": item}
    if isinstance(item, Mapping) and "name" in item:
        return dict(item)
    raise SchemaError(f"class {item!r}: give a name, or a dict with name, id, color, key")


def _group_specs(tags: Iterable[Any] | Mapping[str, Any]) -> list[tuple[str, list[Any], bool]]:
    if not isinstance(tags, Mapping):
        items = list(tags)
        if items and all(isinstance(item, TagGroup) for item in items):
            return [(g.name, list(g.choices), g.multiple) for g in items]
        return [("tag", items, False)] if items else []
    groups: list[tuple[str, list[Any], bool]] = []
    for name, spec in tags.items():
        if isinstance(spec, Mapping):
            groups.append((name, _listed(spec["choices"]), bool(spec.get("multiple", False))))
        else:
            groups.append((name, _listed(spec), False))
    return groups


def _tag_dict(groups: Iterable[TagGroup]) -> dict[str, dict[str, Any]]:
    return {
        g.name: {"choices": [c.to_dict() for c in g.choices], "multiple": g.multiple}
        for g in groups
    }


def _refuse_twice(what: str, values: Sequence[Any], mend: str = "") -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise SchemaError(f"{what} {value!r} stands twice; {mend or 'rename or drop one'}")
        seen.add(value)

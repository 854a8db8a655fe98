"""Supervisely's tags: those of images are our tags and texts, those of objects our attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nbannotate.core.attributes import Attribute
from nbannotate.core.schema import Schema
from nbannotate.formats.shared.tables import infer_attributes

Tag = dict[str, Any]
_COLOUR = "#888888"
_YES_NO = {"true": True, "false": False}
_TYPES = {"bool": "oneof_string", "choice": "oneof_string", "number": "any_number",
          "text": "any_string"}  # fmt: skip


class TagsOut:
    """What tags a project has, as its writer sees them.

    Parameters
    ----------
    schema
        The scheme.
    used
        The attributes of all labels that are written.
    """

    def __init__(self, schema: Schema, used: Iterable[Mapping[str, Any]]) -> None:
        choices = {choice.name for choice in schema.tag_choices}
        # A name means one thing in a project: a group or attribute that another bears stays ours.
        self._groups = {
            choice.name: group.name
            for group in schema.tags
            if not group.multiple and group.name not in choices
            for choice in group.choices
        }
        self._plain = {c.name: c.color for c in schema.tag_choices if c.name not in self._groups}
        taken = choices | set(self._groups.values())
        known = {attribute.name for attribute in schema.attributes}
        extra = [a for a in infer_attributes(row for row in used if row) if a.name not in known]
        self._attributes = {a.name: a for a in (*schema.attributes, *extra) if a.name not in taken}

    def of_image(self, name: str) -> Tag:
        """A tag of an image."""
        group = self._groups.get(name)
        return {"name": name, "value": None} if group is None else {"name": group, "value": name}

    def of_object(self, attributes: Mapping[str, Any]) -> tuple[list[Tag], dict[str, Any]]:
        """Attributes as tags of an object, and those that cannot be."""
        tags: list[Tag] = []
        rest: dict[str, Any] = {}
        for name, value in attributes.items():
            attribute = self._attributes.get(name)
            if attribute is None or not _fits(attribute, value):
                rest[name] = value
            else:
                text = str(value).lower() if isinstance(value, bool) else value
                tags.append({"name": name, "value": text})
        return tags, rest

    def meta(self, texts: Iterable[str]) -> list[Tag]:
        """The tags as ``meta.json`` lists them, with those of a free value that images have."""
        listed = [_meta(name, "none", color, "imagesOnly") for name, color in self._plain.items()]
        for group in dict.fromkeys(self._groups.values()):
            values = [name for name, of in self._groups.items() if of == group]
            listed.append(_meta(group, "oneof_string", _COLOUR, "imagesOnly", values))
        for name, attribute in self._attributes.items():
            kind = _TYPES[attribute.type]
            values = list(_YES_NO) if attribute.type == "bool" else list(attribute.choices)
            chosen = values if kind == "oneof_string" else None
            listed.append(_meta(name, kind, _COLOUR, "objectsOnly", chosen))
        known = {tag["name"] for tag in listed}
        free = (name for name in texts if name not in known)
        return listed + [_meta(name, "any_string", _COLOUR, "imagesOnly") for name in free]


def _fits(attribute: Attribute, value: Any) -> bool:
    if attribute.type == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if attribute.type == "bool":
        return isinstance(value, bool)
    return isinstance(value, str) and (attribute.type == "text" or value in attribute.choices)


def _meta(name: str, kind: str, color: str, where: str, values: list[str] | None = None) -> Tag:
    found: Tag = {"name": name, "value_type": kind, "color": color, "hotkey": "",
                  "applicable_type": where, "classes": []}  # fmt: skip
    return found if values is None else found | {"values": values}


class TagsIn:
    """What tags a project has, as its reader sees them.

    Parameters
    ----------
    meta
        The content of ``meta.json``.
    """

    def __init__(self, meta: Mapping[str, Any]) -> None:
        listed = meta.get("tags")
        found = [tag for tag in listed if isinstance(tag, dict)] if isinstance(listed, list) else []
        self._values: dict[str, list[str]] = {}
        self._kinds: dict[str, str] = {}
        self.choices: dict[str, list[str]] = {}
        for tag in found:
            name, values = str(tag.get("name", "")), tag.get("values")
            self._kinds[name] = str(tag.get("value_type", "none"))
            if isinstance(values, list):
                self._values[name] = [str(value) for value in values]
            if tag.get("applicable_type") == "objectsOnly" or not name.strip():
                continue
            if name in self._values:
                self.choices[name] = [value for value in self._values[name] if value.strip()]
            elif self._kinds[name] == "none":
                self.choices.setdefault("tag", []).append(name)

    def of_image(self, name: str, value: Any) -> tuple[str, str, str | None]:
        """Kind, label and text of a tag of an image: one with a free value is a text."""
        if value is None or (value == "" and self._kinds.get(name) != "any_string"):
            return "tag", name, None
        if isinstance(value, str) and value in self._values.get(name, ()) and value.strip():
            return "tag", value, None
        return "text", name, str(value)

    def of_object(self, name: str, value: Any) -> Any:
        """The value of the attribute of that name."""
        if value is None:
            return True
        if set(self._values.get(name, ())) == set(_YES_NO):
            return _YES_NO.get(str(value), value)
        return value

    def groups(self) -> dict[str, Any]:
        """The tag groups, as `Schema` takes them."""
        seen: set[str] = set()
        groups = {}
        for name, values in self.choices.items():
            fresh = [value for value in dict.fromkeys(values) if value not in seen]
            seen |= set(fresh)
            if fresh:
                groups[name] = {"choices": fresh, "multiple": name == "tag"}
        return groups

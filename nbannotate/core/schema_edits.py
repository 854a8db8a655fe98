"""Edits of a label scheme: what each makes of the scheme, and of the labels made under it.

Nothing here reads or writes labels: an edit comes to a `SchemaPlan`, which a store carries out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nbannotate.core.attributes import Attribute, Value
from nbannotate.core.colors import color_of
from nbannotate.core.edits import Edit, Row
from nbannotate.core.label_class import LabelClass
from nbannotate.core.schema import Schema
from nbannotate.core.schema_record import Departure, SchemaRecord
from nbannotate.errors import SchemaError


@dataclass(frozen=True)
class SchemaPlan:
    """What an edit of the scheme comes to.

    Parameters
    ----------
    what
        The edit in words.
    after
        The scheme that it leaves.
    classes
        Ids of the classes whose labels it concerns.
    moves
        Id of a class to the id that its labels get.
    is_reopening
        Whether the images that bear those classes are to do again.
    is_for_unused
        Whether labels of those classes stand against it.
    revise
        Makes of a shape's attributes what they are afterwards; None: they stay.
    """

    what: str
    after: SchemaRecord
    classes: tuple[int, ...] = ()
    moves: Mapping[int, int] = field(default_factory=dict)
    is_reopening: bool = False
    is_for_unused: bool = False
    revise: Callable[[Row], Row] | None = None


Planner = Callable[[SchemaRecord], SchemaPlan]
"""An edit of the scheme, to be planned for the scheme as it is when it is made."""


@dataclass(frozen=True)
class SchemaChange:
    """What an edit of the scheme did; of a dry run, what it would do.

    Parameters
    ----------
    what
        The edit in words.
    labels, images
        Numbers of labels that it concerns, and of images that bear them.
    per_class
        Both numbers for each class that has such labels, by its name before the edit.
    reopened
        Number of images that are to do again.
    dry_run
        Whether nothing was changed.
    batch
        Its number in the history; None if nothing was changed.
    schema
        The scheme afterwards.
    edits
        The edits that it consists of: of the scheme, of labels and of images.
    """

    what: str
    labels: int
    images: int
    per_class: Mapping[str, tuple[int, int]]
    reopened: int
    dry_run: bool
    batch: int | None
    schema: Schema
    edits: tuple[Edit, ...] = ()

    def __repr__(self) -> str:
        start = "dry run: " if self.dry_run else "" if self.batch else "nothing to change: "
        counts = f"{_plural(self.labels, 'label')} on {_plural(self.images, 'image')}"
        if len(self.per_class) > 1:
            each = (f"{name!r} {n} on {images}" for name, (n, images) in self.per_class.items())
            counts += f" ({', '.join(each)})"
        if self.reopened:
            counts += f", {_plural(self.reopened, 'image')} to do again"
        return f"{start}{self.what}: {counts}"


def add_class(
    record: SchemaRecord,
    name: str,
    *,
    group: str | None = None,
    color: str | None = None,
    key: str | None = None,
) -> SchemaPlan:
    """One more class of shapes, or with a group one more tag; it comes last.

    A scheme that has one group of tags and no classes gets another tag without a group named.
    """
    schema, values = record.schema, record.schema.to_dict()
    if group is None and not schema.classes and len(schema.tags) == 1:
        group = schema.tags[0].name
    if group is None:
        rows, role = values["classes"], "class"
    else:
        tags = values["tags"].setdefault(group, {"choices": [], "multiple": False})
        rows, role = tags["choices"], "tag"
    _refuse_known(schema, name, role)
    rows.append(_new_row(record, name, color=color, key=key))
    return SchemaPlan(f"add {name!r}", record.with_values(values))


def rename_class(
    record: SchemaRecord, name: str, to: str, *, kind: str | None = None
) -> SchemaPlan:
    """Another name for a class or tag; its id and so its labels stay."""
    item, role = _find(record.schema, name, kind)
    if to == name:
        return SchemaPlan(f"rename {name!r} to {to!r}", record, (item.id,))
    _refuse_known(record.schema, to, role)
    values = record.schema.to_dict()
    _row(values, item.id)["name"] = to
    left = Departure(role, name, item.id, id=item.id)
    return SchemaPlan(f"rename {name!r} to {to!r}", record.with_values(values, left), (item.id,))


def merge_classes(
    record: SchemaRecord, names: Sequence[str], into: str, *, kind: str | None = None
) -> SchemaPlan:
    """One class in place of several: `into`, which may be one of them, another or new.

    A new one has an id of its own, and colour, key and place of the first.
    """
    if isinstance(names, str):
        raise SchemaError(f"merge({names!r}) has one text; give a list of names: [{names!r}]")
    items = [_find(record.schema, name, kind)[0] for name in dict.fromkeys(names)]
    if not items:
        raise SchemaError("merge([]) has no names; list the classes that are to be one")
    role = _find(record.schema, items[0].name, kind)[1]
    values = record.schema.to_dict()
    rows = _rows_of_all(values, items, "merge")
    target = next((row for row in rows if row["name"] == into), None)
    gone = [item for item in items if item.name != into]
    if not gone:
        raise SchemaError(f"merge: {into!r} alone is nothing to merge; list the other classes")
    if target is None:
        _refuse_known(record.schema, into, role)
        target = _new_row(record, into, color=gone[0].color, key=gone[0].key)
        rows.insert(_place(rows, gone[0].id), target)
    for item in gone:
        rows.pop(_place(rows, item.id))
    left = [Departure(role, item.name, target["id"], id=item.id) for item in gone]
    return SchemaPlan(
        f"merge {_listed(names)} into {into!r}",
        record.with_values(values, *left),
        tuple(item.id for item in gone),
        {item.id: target["id"] for item in gone},
    )


def split_class(
    record: SchemaRecord, name: str, into: Sequence[str], *, kind: str | None = None
) -> SchemaPlan:
    """Several new classes for one; the images that bear it are to do again.

    Labels stay with the old class until someone relabels them, for nobody has yet said which of
    the new ones each is. The old class is retired, unless `into` has its name.
    """
    if isinstance(into, str):
        raise SchemaError(f"split into {into!r} has one text; give a list of names: [{into!r}]")
    item, role = _find(record.schema, name, kind)
    new = [one for one in dict.fromkeys(into) if one != name]
    if not new:
        raise SchemaError(f"split {name!r}: into={list(into)!r} has no new class; list some")
    values = record.schema.to_dict()
    rows = _rows(values, item.id)
    for number, one in enumerate(new):
        _refuse_known(record.schema, one, role)
        row = _new_row(record, one, number=number)
        rows.insert(_place(rows, item.id) + 1 + number, row)
    _row(values, item.id)["retired"] = name not in into
    return SchemaPlan(
        f"split {name!r} into {_listed(into)}",
        record.with_values(values),
        (item.id,),
        is_reopening=True,
    )


def retire_class(
    record: SchemaRecord, name: str, *, retired: bool, kind: str | None = None
) -> SchemaPlan:
    """A class that is not offered any more, or again; its labels stay."""
    what = f"{'retire' if retired else 'unretire'} {name!r}"
    return _changed(record, name, kind, what, retired=retired)


def color_class(
    record: SchemaRecord, name: str, color: str, *, kind: str | None = None
) -> SchemaPlan:
    """Another colour."""
    return _changed(record, name, kind, f"recolor {name!r} {color}", color=color)


def key_class(
    record: SchemaRecord, name: str, key: str | None, *, kind: str | None = None
) -> SchemaPlan:
    """Another key; None for none of its own."""
    return _changed(record, name, kind, f"rekey {name!r} {key or 'without a key'}", key=key)


def remove_class(
    record: SchemaRecord, name: str, *, move_to: str | None = None, kind: str | None = None
) -> SchemaPlan:
    """The scheme without a class; its labels go to another one, or stand against it."""
    item, role = _find(record.schema, name, kind)
    if move_to is not None:
        target, _ = _find(record.schema, move_to, "tag" if role == "tag" else "box")
        if target.id == item.id:
            raise SchemaError(f"remove {name!r}: move_to is the same class; give another")
        merged = merge_classes(record, [name], move_to, kind="tag" if role == "tag" else "box")
        return replace(merged, what=f"remove {name!r} and move its labels to {move_to!r}")
    values = record.schema.to_dict()
    rows = _rows(values, item.id)
    rows.pop(_place(rows, item.id))
    values["tags"] = {key: group for key, group in values["tags"].items() if group["choices"]}
    left = Departure(role, name, None, id=item.id)
    after = record.with_values(values, left)
    return SchemaPlan(f"remove {name!r}", after, (item.id,), is_for_unused=True)


def reorder_classes(
    record: SchemaRecord, names: Sequence[str], *, kind: str | None = None
) -> SchemaPlan:
    """Those named come first, in this order; the others after them, in the order they have."""
    if isinstance(names, str):
        raise SchemaError(f"reorder({names!r}) has one text; give a list of names")
    items = [_find(record.schema, name, kind)[0] for name in dict.fromkeys(names)]
    if not items:
        raise SchemaError("reorder([]) has no names; list them in their order")
    values = record.schema.to_dict()
    rows = _rows_of_all(values, items, "reorder")
    places = {item.id: place for place, item in enumerate(items)}
    rows.sort(key=lambda row: places.get(row["id"], len(places)))
    return SchemaPlan(f"reorder {_listed(names)}", record.with_values(values))


def add_attribute(
    record: SchemaRecord, name: str, spec: Any = bool, *, default: Value = None
) -> SchemaPlan:
    """One more attribute; every shape gets its default, if it has one."""
    attribute = Attribute.parse(name, spec)
    if default is not None:
        attribute = replace(attribute, default=attribute.check(default))
    if any(a.name == name for a in record.schema.attributes):
        raise SchemaError(f"the scheme has an attribute {name!r} already; give another name")
    values = record.schema.to_dict()
    values["attributes"].append(attribute.to_dict())
    value = attribute.check(attribute.default)
    return SchemaPlan(
        f"add the attribute {name!r}",
        record.with_values(values),
        revise=None if value is None else lambda row: {name: value, **row},
    )


def rename_attribute(record: SchemaRecord, name: str, to: str) -> SchemaPlan:
    """Another name for an attribute; shapes keep its values."""
    record.schema.attribute(name)
    if any(a.name == to for a in record.schema.attributes):
        raise SchemaError(f"the scheme has an attribute {to!r} already; give another name")
    values = record.schema.to_dict()
    for row in values["attributes"]:
        row["name"] = to if row["name"] == name else row["name"]
    return SchemaPlan(
        f"rename the attribute {name!r} to {to!r}",
        record.with_values(values, Departure("attribute", name, to)),
        revise=lambda row: {to if key == name else key: value for key, value in row.items()},
    )


def remove_attribute(record: SchemaRecord, name: str) -> SchemaPlan:
    """The scheme, and every shape, without an attribute."""
    record.schema.attribute(name)
    values = record.schema.to_dict()
    values["attributes"] = [row for row in values["attributes"] if row["name"] != name]
    return SchemaPlan(
        f"remove the attribute {name!r}",
        record.with_values(values, Departure("attribute", name, None)),
        revise=lambda row: {key: value for key, value in row.items() if key != name},
    )


def _changed(
    record: SchemaRecord, name: str, kind: str | None, what: str, **fields: Any
) -> SchemaPlan:
    item, _ = _find(record.schema, name, kind)
    values = record.schema.to_dict()
    _row(values, item.id).update(fields)
    return SchemaPlan(what, record.with_values(values), (item.id,))


def _find(schema: Schema, name: str, kind: str | None) -> tuple[LabelClass, str]:
    item = schema.named(name) if kind is None else schema.find(name, kind)
    return item, "tag" if any(item is tag for tag in schema.tag_choices) else "class"


def _refuse_known(schema: Schema, name: str, role: str) -> None:
    items = schema.tag_choices if role == "tag" else schema.classes
    found = next((item for item in items if item.name == name), None)
    if found is not None:
        mend = f"unretire({name!r}) offers it again" if found.retired else "give another name"
        raise SchemaError(
            f"the scheme has a {role} {name!r} already; {mend}, or make them one with "
            f"merge([...], into={name!r})"
        )


def _new_row(
    record: SchemaRecord,
    name: str,
    *,
    color: str | None = None,
    key: str | None = None,
    number: int = 0,
) -> Row:
    schema = record.schema
    used = {item.color for item in (*schema.classes, *schema.tag_choices)}
    free = [c for c in map(color_of, range(len(used) + number + 1)) if c not in used]
    chosen = free[number] if color is None else color
    return LabelClass(record.next_id + number, name, chosen, key).to_dict()


def _lists(values: Row) -> Iterable[list[Row]]:
    return [values["classes"], *(group["choices"] for group in values["tags"].values())]


def _rows(values: Row, class_id: int) -> list[Row]:
    """The list that a class is in."""
    return next(rows for rows in _lists(values) if any(row["id"] == class_id for row in rows))


def _rows_of_all(values: Row, items: Sequence[LabelClass], what: str) -> list[Row]:
    rows = _rows(values, items[0].id)
    ids = {row["id"] for row in rows}
    for item in items:
        if item.id not in ids:
            raise SchemaError(
                f"{what}: {items[0].name!r} and {item.name!r} are no classes of the same kind; "
                "name classes only, or tags of one group only"
            )
    return rows


def _row(values: Row, class_id: int) -> Row:
    rows = _rows(values, class_id)
    return rows[_place(rows, class_id)]


def _place(rows: Sequence[Row], class_id: int) -> int:
    return next(place for place, row in enumerate(rows) if row["id"] == class_id)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"

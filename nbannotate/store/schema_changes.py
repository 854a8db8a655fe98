"""An edit of the scheme carried out on the labels: as edits, with the numbers that people get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from nbannotate.core.edits import Edit, Row
from nbannotate.core.schema_edits import SchemaChange, SchemaPlan
from nbannotate.core.schema_record import SchemaRecord
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import ConflictError, SchemaError, StaleSchemaError
from nbannotate.store import tables

_LABELS = tables.labels.c


def change_of(
    connection: sa.Connection, record: SchemaRecord, plan: SchemaPlan, *, dry_run: bool
) -> SchemaChange:
    """What the plan comes to now: its edits, the scheme's first, and its numbers.

    Raises
    ------
    SchemaError
        If labels stand against it; a dry run counts them.
    """
    if plan.revise is not None:
        edits, touched = _revised(connection, plan)
    else:
        edits = [*_moved(connection, record, plan), *_reopened(connection, plan)]
        touched = _bearing(connection, plan.classes)
    labels = sum(len(images) for images in touched.values())
    if plan.is_for_unused and labels and not dry_run:
        raise SchemaError(
            f"{plan.what}: {labels:,} labels bear it; say with move_to=... which class they get"
        )
    if plan.after != record:
        before, after = record.to_dict(), plan.after.to_dict()
        edits.insert(0, Edit("schema", "", before=before, after=after))
    return SchemaChange(
        plan.what,
        labels,
        len(set().union(*touched.values())),
        {
            record.schema.by_id(class_id).name: (len(images), len(set(images)))
            for class_id, images in touched.items()
        },
        sum(edit.op == "image" for edit in edits),
        dry_run,
        None,
        plan.after.schema,
        tuple(edits),
    )


def news(old: SchemaRecord, new: SchemaRecord) -> str:
    """What a scheme has that another lacks, in words."""
    before, after = (
        [
            *(item.name for item in (*record.schema.classes, *record.schema.tag_choices)),
            *(item.name for item in record.schema.attributes),
        ]
        for record in (old, new)
    )
    names = [repr(name) for name in after if name not in before]
    return f"which lacks {', '.join(names)}" if names else "which is another"


def refuse_gone(record: SchemaRecord, edits: Sequence[Edit]) -> None:
    """`StaleSchemaError` if an edit sets a class that has left the scheme."""
    if not record.gone:
        return
    for edit in edits:
        if edit.op in ("create", "update") and (edit.after or {}).get("class_id") in record.gone:
            raise StaleSchemaError(
                f"a label of {edit.image!r} was given a class that is in the scheme no longer; "
                "choose another"
            )


def refuse_lost(connection: sa.Connection, before: SchemaRecord, after: SchemaRecord) -> None:
    """`ConflictError` if labels bear a class or an attribute that the scheme has lost."""
    for class_id in sorted(after.gone - before.gone):
        count = connection.scalar(sa.select(sa.func.count()).where(_LABELS.class_id == class_id))
        if count:
            name = before.schema.by_id(class_id).name
            raise ConflictError(
                f"the scheme would lose {name!r}, which {count:,} labels bear by now; "
                "relabel them first, or remove it with move_to=..."
            )
    lost = {a.name for a in before.schema.attributes} - {a.name for a in after.schema.attributes}
    if not lost:
        return
    for values in connection.scalars(sa.select(_LABELS.attributes)):
        for name in lost.intersection(values):
            raise ConflictError(
                f"the scheme would lose the attribute {name!r}, of which a label has a value by "
                "now; remove it with schema.remove_attribute"
            )


def _bearing(connection: sa.Connection, classes: Sequence[int]) -> dict[int, list[str]]:
    """The images of the labels of each class that has any, one a label."""
    found: dict[int, list[str]] = {}
    for class_id in classes:
        query = sa.select(_LABELS.image).where(_LABELS.class_id == class_id)
        images = list(connection.scalars(query))
        if images:
            found[class_id] = images
    return found


def _moved(connection: sa.Connection, record: SchemaRecord, plan: SchemaPlan) -> list[Edit]:
    tags = {item.id for item in record.schema.tag_choices}
    edits: list[Edit] = []
    borne: set[tuple[str, int]] = set()
    for target in tags.intersection(plan.moves.values()):
        images = connection.scalars(sa.select(_LABELS.image).where(_LABELS.class_id == target))
        borne |= {(image, target) for image in images}
    for old, new in plan.moves.items():
        if old in tags:
            edits += _moved_tags(connection, old, new, borne)
            continue
        query = sa.select(_LABELS.label_id, _LABELS.image).where(_LABELS.class_id == old)
        before, after = {"class_id": old}, {"class_id": new}
        edits += [
            Edit("update", image, label_id, before=before, after=after)
            for label_id, image in connection.execute(query)
        ]
    return edits


def _moved_tags(
    connection: sa.Connection, old: int, new: int, borne: set[tuple[str, int]]
) -> Iterable[Edit]:
    query = sa.select(tables.labels).where(_LABELS.class_id == old)
    for row in connection.execute(query.order_by(_LABELS.created, _LABELS.label_id)).mappings():
        if (row["image"], new) in borne:  # an image bears a tag once
            yield Edit("delete", row["image"], row["label_id"], before=dict(row))
        else:
            borne.add((row["image"], new))
            before, after = {"class_id": old}, {"class_id": new}
            yield Edit("update", row["image"], row["label_id"], before=before, after=after)


def _reopened(connection: sa.Connection, plan: SchemaPlan) -> list[Edit]:
    if not plan.is_reopening:
        return []
    image, status = tables.images.c.image, tables.images.c.status
    bearing = sa.select(_LABELS.image).where(_LABELS.class_id.in_(plan.classes))
    query = sa.select(image, status).where(status != "todo", image.in_(bearing))
    return [
        Edit("image", key, before={"status": was}, after={"status": "todo"})
        for key, was in connection.execute(query)
    ]


def _revised(
    connection: sa.Connection, plan: SchemaPlan
) -> tuple[list[Edit], Mapping[int, list[str]]]:
    assert plan.revise is not None
    query = sa.select(_LABELS.label_id, _LABELS.image, _LABELS.class_id, _LABELS.attributes)
    edits: list[Edit] = []
    touched: dict[int, list[str]] = {}
    for label_id, image, class_id, values in connection.execute(
        query.where(_LABELS.kind.in_(PLACED_KINDS))
    ):
        revised: Row = plan.revise(values)
        if revised != values:
            before, after = {"attributes": values}, {"attributes": revised}
            edits.append(Edit("update", image, label_id, before=before, after=after))
            touched.setdefault(class_id, []).append(image)
    return edits, touched

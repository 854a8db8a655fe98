"""Tables read column by column are those that a reading row by row gives."""

from __future__ import annotations

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.schema import Schema
from nbannotate.core.tables import images_table, labels_table
from nbannotate.store import columns, open_store, tables

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun"], attributes={"note": str, "speed": (0, 9)})
TIME = 1_700_000_000_000_000  # microseconds


def row_by_row(store):
    """Labels and images the plain way: a dict a row, and pandas makes columns of them."""
    with store._database.reading() as connection:
        labels, images = (
            pd.DataFrame(
                [dict(row) for row in connection.execute(sa.select(table)).mappings()],
                columns=[column.name for column in table.columns],
            )
            for table in (tables.labels, tables.images)
        )
    names = {c.id: c.name for c in (*store.schema.classes, *store.schema.tag_choices)}
    labels = labels.set_index("label_id").sort_values("created", kind="stable")
    labels["label"] = [names.get(class_id) for class_id in labels.pop("class_id")]
    for frame in (labels, images):
        for column in {"created", "updated"} & set(frame):
            frame[column] = pd.to_datetime(frame[column].astype("Int64"), unit="us", utc=True)
    return labels_table(labels, store.schema), images_table(images)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
sizes = st.floats(0, 1e6)
values = st.recursive(st.one_of(texts, sizes, st.booleans(), st.none(), st.integers()), st.lists)


@st.composite
def labels(draw):
    kind = draw(st.sampled_from(["box", "tag", "polygon", "text"]))
    placed = kind in ("box", "polygon")
    points = st.lists(st.tuples(sizes, sizes).map(list), min_size=3, max_size=4)
    return {
        "image": draw(st.sampled_from(["a.jpg", "é b.jpg"])),
        "kind": kind,
        "class_id": {"tag": 3, "text": None}.get(kind, draw(st.sampled_from([1, 2]))),
        **{side: draw(sizes) if placed else None for side in ("x", "y", "width", "height")},
        "geometry": [draw(points)] if kind == "polygon" else None,
        "attributes": draw(st.dictionaries(texts, values, max_size=2)),
        "text": draw(st.one_of(st.none(), texts)),
        "score": draw(st.one_of(st.none(), st.floats(0, 1))),
        "frame": draw(st.one_of(st.none(), st.integers(0, 2**53))),
        "track": draw(st.one_of(st.none(), st.integers(0, 9))),
        "source": draw(st.sampled_from(["human", "model:m"])),
        "annotator": draw(st.one_of(st.none(), texts)),
        "seconds": draw(st.one_of(st.none(), st.floats(0, 1e4))),
        "created": TIME + draw(st.integers(0, 3)),
        "updated": TIME + draw(st.integers(0, 2**40)),
    }


images = st.fixed_dictionaries(
    {
        "path": st.one_of(st.none(), texts),
        "width": st.one_of(st.none(), st.integers(1, 9)),
        "status": st.sampled_from(["todo", "done"]),
        "annotator": st.one_of(st.none(), texts),
        "seconds": st.floats(0, 1e4),
        "updated": st.one_of(st.none(), st.integers(0, TIME)),
        "unsure": st.booleans(),
    }
)


def fill(store, label_rows, image_rows):
    with store._database.writing() as connection:
        for table, key, made in (
            (tables.labels, "label_id", label_rows),
            (tables.images, "image", image_rows),
        ):
            rows = [{key: f"é {number}", **row} for number, row in enumerate(made)]
            if rows:
                connection.execute(sa.insert(table), rows)


@given(st.lists(labels(), max_size=6), st.lists(images, max_size=4))
@settings(deadline=None, max_examples=40)
def test_tables_are_those_of_a_reading_row_by_row(label_rows, image_rows):
    with pytest.MonkeyPatch.context() as patched, open_store(None) as store:
        patched.setattr(columns, "_CHUNK", 2)  # several parts, and an incomplete last one
        store.schema = SCHEMA
        fill(store, label_rows, image_rows)

        wanted_labels, wanted_images = row_by_row(store)
        pd.testing.assert_frame_equal(store.labels, wanted_labels)
        pd.testing.assert_frame_equal(store.images, wanted_images)


def test_an_empty_store_has_all_columns():
    with open_store(None) as store:
        wanted_labels, wanted_images = row_by_row(store)
        pd.testing.assert_frame_equal(store.labels, wanted_labels)
        pd.testing.assert_frame_equal(store.images, wanted_images)


def test_each_label_has_attributes_of_its_own():
    with open_store(None) as store:
        store.schema = SCHEMA
        empty = {"image": "a", "kind": "tag", "class_id": 3, "source": "human", "attributes": {}}
        fill(store, [{**empty, "created": 1, "updated": 1}] * 2, [])

        first, second = store.labels["attributes"]
        first["note"] = "mine"
        assert second == {}


def test_rows_in_hand_become_the_same_columns():
    with open_store(None) as store:
        store.schema = SCHEMA
        row = {"image": "a", "kind": "tag", "class_id": 3, "source": "human", "seconds": 1.5}
        row |= {"attributes": {"speed": 2}, "geometry": None, "created": 1, "updated": 2}
        fill(store, [{**row, "track": None, "text": "hi"}, {**row, "track": 4, "text": None}], [])

        with store._database.reading() as connection:
            read = columns.read_columns(connection, tables.labels)
            rows = connection.execute(sa.select(tables.labels)).mappings().all()
        pd.testing.assert_frame_equal(columns.frame_of(map(dict, rows), tables.labels), read)

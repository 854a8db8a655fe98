"""Labels and images tables: columns filled, dtypes kept, bad values named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nbannotate.core.schema import Schema
from nbannotate.core.tables import (
    IMAGE_DTYPES,
    LABEL_DTYPES,
    images_table,
    infer_schema,
    labels_table,
)
from nbannotate.errors import LabelError

BOX = {"image": ["a.jpg"], "label": ["cat"], "x": [1], "y": [2], "width": [3], "height": [4]}


def table(**changes: object) -> pd.DataFrame:
    return labels_table(pd.DataFrame({**BOX, **changes}), Schema(["cat"], tags=["sun"]))


def test_missing_columns_are_filled_with_their_dtypes():
    labels = table()

    assert list(labels.columns) == list(LABEL_DTYPES)
    for column, dtype in LABEL_DTYPES.items():
        assert str(labels[column].dtype) == str(pd.Series(dtype=dtype).dtype), column
    row = labels.iloc[0]
    assert (row["kind"], row["source"], row["attributes"]) == ("box", "human", {})
    assert row["geometry"] is None and pd.isna(row["text"])
    assert labels.index.name == "label_id" and len(labels.index[0]) == 36


def test_rows_without_a_place_are_tags():
    labels = labels_table(
        pd.DataFrame({"image": ["a", "a"], "label": ["sun", "cat"], "x": [np.nan, 1],
                      "y": [np.nan, 1], "width": [np.nan, 1], "height": [np.nan, 1]}),
        Schema(["cat"], tags=["sun"]),
    )  # fmt: skip
    assert labels["kind"].tolist() == ["tag", "box"]


def test_the_callers_table_stays_as_it_is():
    rows = pd.DataFrame({**BOX, "label_id": ["i"], "attributes": [None]})
    before = rows.copy()

    labels_table(rows, Schema(["cat"]))

    pd.testing.assert_frame_equal(rows, before)
    assert rows.attrs == {}


def test_own_columns_are_kept_at_the_end():
    assert list(table(mine=[7]).columns)[-1] == "mine"


def test_a_table_made_again_is_the_same():
    labels = table(attributes=[{"a": 1}], created=["2026-01-02T03:04:05.000001Z"])

    again = labels_table(labels, Schema.from_dict(labels.attrs["nbannotate.schema"]))

    pd.testing.assert_frame_equal(again, labels)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"label": ["dog"]}, "no class 'dog'"),
        ({"label": [None]}, "has no label"),
        ({"label": ["cat"], "kind": ["tag"]}, "no tag 'cat'"),
        ({"kind": ["bbox"]}, "unknown kind; use one of"),
        ({"width": [-1]}, "negative side"),
        ({"x": [np.inf]}, "finite"),
        ({"x": ["left"]}, "row .*column 'x': 'left'"),
        ({"score": [1.5]}, r"outside \[0, 1\]"),
        ({"frame": [1.5]}, "column 'frame'"),
        ({"frame": [np.inf]}, "column 'frame'"),
        ({"frame": [10**30]}, "column 'frame'"),
        ({"created": ["yesterday-ish"]}, "column 'created'"),
        ({"attributes": ["x"]}, "is not a dict"),
        ({"image": [""]}, "no image key"),
        ({"image": [None]}, "no image key"),
    ],
)
def test_bad_values_are_named(changes, why):
    with pytest.raises(LabelError, match=why):
        table(**changes)


def test_a_table_without_images_is_refused():
    with pytest.raises(LabelError, match="no column 'image'"):
        labels_table(pd.DataFrame({"label": ["cat"]}), Schema(["cat"]))


def test_ids_that_stand_twice_or_lack_are_refused():
    rows = {name: value * 2 for name, value in BOX.items()}
    for ids, why in ((["i", "i"], "stands twice"), (["i", None], "has no label_id")):
        with pytest.raises(LabelError, match=why):
            labels_table(pd.DataFrame({**rows, "label_id": ids}), Schema(["cat"]))


def test_numbers_as_names_become_texts():
    rows = pd.DataFrame({"image": ["a", "b"], "label": [7, 1]})

    labels = labels_table(rows, infer_schema(rows))

    assert labels["label"].tolist() == ["7", "1"]


def test_paths_as_keys_become_texts():
    assert table(image=[Path("d/a.jpg")])["image"].tolist() == ["d/a.jpg"]


def test_times_keep_microseconds_and_become_utc():
    created = table(created=[pd.Timestamp("2026-01-02T03:04:05.678901+02:00")])["created"].iloc[0]
    assert created == pd.Timestamp("2026-01-02T01:04:05.678901Z")
    assert str(created.tz) == "UTC"


def test_images_from_keys_or_a_table():
    images = images_table(["b", "a"])

    assert list(images.columns) == list(IMAGE_DTYPES)
    assert list(images.index) == list(images["path"]) == ["b", "a"]
    assert images["status"].tolist() == ["todo", "todo"]
    assert not images["unsure"].any() and images["seconds"].eq(0).all()
    given = images_table(pd.DataFrame({"image": ["a"], "status": ["done"], "mine": [1]}))
    assert given.loc["a", "status"] == "done" and given.columns[-1] == "mine"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ({"image": ["a", "a"]}, "'a' stands twice"),
        ({"image": ["a", None]}, "has no key"),
        ({"image": ["a"], "status": ["finished"]}, "unknown status; use one of"),
        ({"image": ["a"], "width": ["wide"]}, "column 'width'"),
    ],
)
def test_bad_images_are_named(rows, why):
    with pytest.raises(LabelError, match=why):
        images_table(pd.DataFrame(rows))


def test_inferred_names_do_not_depend_on_the_order_of_rows():
    rows = pd.DataFrame({"image": ["a", "a", "b"], "label": ["z", "a", "m"], "kind": "tag"})

    schemas = [infer_schema(rows), infer_schema(rows.iloc[::-1])]

    assert schemas[0] == schemas[1]
    assert [c.name for c in schemas[0].tag_choices] == ["a", "m", "z"]
    assert schemas[0].tags[0].multiple
    assert not infer_schema(rows.iloc[1:]).tags[0].multiple


def test_categories_keep_their_order():
    names = pd.Categorical(["small", "big"], categories=["small", "unused", "big"])
    schema = infer_schema(pd.DataFrame({**{k: v * 2 for k, v in BOX.items()}, "label": names}))

    assert [c.name for c in schema.classes] == ["small", "big"]

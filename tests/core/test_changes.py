"""Changes as they are asked for: what is allowed becomes edits, the rest is refused by name."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbannotate.core.changes import Changer
from nbannotate.core.edits import inverted
from nbannotate.core.schema import Schema
from nbannotate.errors import LabelError, SchemaError

SCHEMA = Schema(
    classes=["cat", "dog", {"name": "old", "retired": True}],
    tags={"weather": ["sun", "rain"], "seen": {"choices": ["sea", "hill"], "multiple": True}},
    attributes={"occluded": False, "speed": (0, 130), "view": ["front", "side"]},
)
IDS = {c.name: c.id for c in (*SCHEMA.classes, *SCHEMA.tag_choices)}
BOX = {"op": "create", "image": "a.jpg", "label": "cat", "x": 1, "y": 2, "width": 30, "height": 40}
BAD_NUMBERS = [math.nan, math.inf, None, "5", [5]]


class Rows:
    """Stored rows in two dicts, changed by edits as a store would."""

    def __init__(self, size=(100, 80)):
        self.labels, self.images = {}, {}
        self.size = size
        self.time = 0

    def tick(self):
        self.time += 1
        return self.time

    def edits(self, *changes, **more):
        changer = Changer(
            SCHEMA,
            labels_of=lambda image: [r for r in self.labels.values() if r["image"] == image],
            label=self.labels.get,
            image=self.images.get,
            size=lambda image: self.size,
            has_image=lambda image: image in ("a.jpg", "b.jpg"),
            annotator="ana",
            clock=self.tick,
        )
        return changer.edits(changes, **more)

    def apply(self, edits):
        for edit in edits:
            if edit.op == "image":
                row = self.images.setdefault(edit.image, {"status": "todo", "unsure": False})
                row.update(edit.after)
            elif edit.op == "create":
                assert edit.label_id not in self.labels
                self.labels[edit.label_id] = dict(edit.after)
            elif edit.op == "delete":
                assert self.labels.pop(edit.label_id) == edit.before
            else:
                row = self.labels[edit.label_id]
                assert {key: row[key] for key in edit.before} == edit.before
                row.update(edit.after)
        return edits

    def do(self, *changes, **more):
        return self.apply(self.edits(*changes, **more))


@pytest.fixture
def rows():
    return Rows()


def tag(name, label_id=None, image="a.jpg"):
    return {"op": "create", "image": image, "kind": "tag", "label": name, "label_id": label_id}


def update(label_id, **changes):
    return {"op": "update", "label_id": label_id, "changes": changes}


def tags_of(rows, image="a.jpg"):
    found = [r["class_id"] for r in rows.labels.values() if r["image"] == image]
    return {SCHEMA.by_id(class_id).name for class_id in found}


def test_a_box_comes_with_all_fields_and_the_defaults_of_its_attributes(rows):
    [edit] = rows.edits({**BOX, "attributes": {"view": "side"}}, seconds=2.5)

    row = edit.after
    assert (edit.op, edit.image, edit.label_id) == ("create", "a.jpg", row["label_id"])
    assert row["kind"] == "box" and row["class_id"] == IDS["cat"]
    assert [row[side] for side in ("x", "y", "width", "height")] == [1, 2, 30, 40]
    assert row["attributes"] == {"occluded": False, "view": "side"}
    assert (row["annotator"], row["seconds"], row["source"]) == ("ana", 2.5, "human")
    assert row["score"] is None and row["text"] is None


def test_shapes_made_in_one_step_are_made_one_after_the_other(rows):
    edits = rows.edits(*[BOX] * 5)

    made = [edit.after["created"] for edit in edits]
    assert made == sorted(set(made))
    assert len({edit.label_id for edit in edits}) == 5


def test_a_class_may_be_named_or_numbered(rows):
    by_id = {k: v for k, v in BOX.items() if k != "label"} | {"class_id": IDS["dog"]}

    assert rows.edits(by_id)[0].after["class_id"] == IDS["dog"]


def test_the_number_of_a_tag_is_no_class_of_a_box():
    schema = Schema(classes=["car"], tags=["car"])
    changer = Changer(
        schema, labels_of=lambda _: [], label=lambda _: None, image=lambda _: None,
        size=lambda _: None, has_image=lambda _: True, annotator=None,
    )  # fmt: skip
    box = {k: v for k, v in BOX.items() if k != "label"}

    with pytest.raises(LabelError, match="of another kind"):
        changer.edits([{**box, "class_id": schema.tag_choices[0].id}])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"op": "paint"}, "use create, update, delete or image"),
        ({**BOX, "image": "c.jpg"}, "there is no image 'c.jpg'"),
        ({k: v for k, v in BOX.items() if k != "image"}, "there is no image"),
        ({**BOX, "kind": "cube"}, "kind 'cube' is unknown"),
        ({**BOX, "colour": "red"}, "a label has no colour"),
        ({**BOX, "label": None}, "needs a label"),
        ({**BOX, "label": "cow"}, "no class 'cow'"),
        ({**BOX, "label": "sun"}, "no class 'sun'"),
        ({**BOX, "label": "old"}, "retired"),
        ({**BOX, "label": None, "class_id": 99}, "no class with id 99"),
        ({**BOX, "width": 1.5}, "under 2 px"),
        ({**BOX, "x": 100}, "under 2 px"),
        ({**BOX, "attributes": {"speed": 131}}, "outside 0 … 130"),
        ({**BOX, "attributes": {"age": 3}}, "no attribute 'age'"),
        ({**BOX, "attributes": None}, "give a dict"),
        ({**BOX, "score": 1.2}, "give a number from 0 to 1"),
        ({**BOX, "score": "high"}, "give a number from 0 to 1"),
        ({**BOX, "frame": 1.5}, "give a whole number"),
        ({**BOX, "frame": -1}, "give a whole number"),
        ({**BOX, "track": 2**63}, "give a whole number"),
        ({**BOX, "text": 5}, "give a text"),
        ({**BOX, "text": "cut \ud83d"}, "give a text"),
        ({**BOX, "source": ""}, "give a text"),
        ({**BOX, "geometry": [[math.nan, 1]]}, "cannot be stored"),
        ({**BOX, "geometry": "round"}, "give a list"),
        ({**BOX, "geometry": [{1, 2}]}, "cannot be stored"),
        ({**BOX, "kind": "text", "text": "hi"}, "a text has no class"),
        ({"op": "image", "image": "c.jpg", "changes": {}}, "there is no image 'c.jpg'"),
        ({"op": "image", "image": "a.jpg", "changes": {"status": "tidy"}}, "todo, done, skipped"),
        ({"op": "image", "image": "a.jpg", "changes": {"width": 5}}, "width cannot be changed"),
        ({"op": "image", "image": "a.jpg", "changes": {"unsure": "yes"}}, "True or False"),
        ({"op": "image", "image": "a.jpg", "changes": {"note": 1}}, "give a text"),
        ({"op": "image", "image": "a.jpg", "changes": ["done"]}, "is not a dict"),
        ({"op": "delete", "label_id": "gone"}, "no label 'gone' any more"),
        ({"op": "delete"}, "no label None any more"),
        (update("gone", x=1), "no label 'gone' any more"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_mend(rows, change, why):
    with pytest.raises((LabelError, SchemaError), match=why):
        rows.edits(change)


@pytest.mark.parametrize("side", ["x", "y", "width", "height"])
@pytest.mark.parametrize("value", BAD_NUMBERS, ids=repr)
def test_a_place_that_is_no_finite_number_is_refused(rows, side, value):
    rows.do({**BOX, "label_id": "i"})

    with pytest.raises(LabelError, match="give finite"):
        rows.edits({**BOX, side: value})
    with pytest.raises(LabelError, match="give finite"):
        rows.edits(update("i", **{side: value}))


def test_boxes_are_cut_at_the_edges_of_the_image(rows):
    [edit] = rows.edits({**BOX, "x": -10, "y": 70, "width": 300, "height": 300})

    assert [edit.after[side] for side in ("x", "y", "width", "height")] == [0, 70, 100, 10]


def test_boxes_are_left_whole_while_the_size_of_the_image_is_unknown():
    [edit] = Rows(size=None).edits({**BOX, "x": -10, "width": 5000})

    assert (edit.after["x"], edit.after["width"]) == (-10, 5000)


def test_values_of_numpy_become_plain_ones(rows):
    [edit] = rows.edits(
        {**BOX, "x": np.int64(3), "score": np.float32(0.5), "frame": np.int64(7), "track": 2.0,
         "geometry": np.array([[1, 2]]), "attributes": {"speed": np.float64(3)}}
    )  # fmt: skip

    json.dumps(edit.after, allow_nan=False)
    assert edit.after["geometry"] == [[1, 2]]
    assert (edit.after["score"], edit.after["frame"], edit.after["track"]) == (0.5, 7, 2)


def test_a_score_of_nan_is_none(rows):
    assert rows.edits({**BOX, "score": math.nan})[0].after["score"] is None


def test_an_id_that_is_there_already_is_refused(rows):
    rows.do({**BOX, "label_id": "i"})

    with pytest.raises(LabelError, match="is there already"):
        rows.edits({**BOX, "label_id": "i"})
    with pytest.raises(LabelError, match="is there already"):
        rows.edits({**BOX, "label_id": "j"}, {**BOX, "label_id": "j"})


def test_an_update_holds_only_what_changes(rows):
    rows.do({**BOX, "label_id": "i"})

    [edit] = rows.edits(update("i", x=5, y=2, label="cat"))

    assert (edit.before, edit.after) == ({"x": 1.0}, {"x": 5.0})
    assert rows.edits(update("i", x=1)) == []


def test_attributes_are_changed_one_by_one_and_none_clears_one(rows):
    rows.do({**BOX, "label_id": "i", "attributes": {"view": "side"}})

    rows.do(update("i", attributes={"speed": 3, "view": None}))

    assert rows.labels["i"]["attributes"] == {"occluded": False, "speed": 3.0}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "polygon"}, "kind cannot be changed"),
        ({"image": "b.jpg"}, "image cannot be changed"),
        ({"source": "human"}, "source cannot be changed"),
        ({"label": "sun"}, "no class 'sun'"),
        ({"width": 1}, "under 2 px"),
        ({"frame": "x"}, "give a whole number"),
        ({"attributes": {"view": "top"}}, "no choice 'top'"),
    ],
)
def test_an_update_that_is_not_allowed_is_refused(rows, changes, why):
    rows.do({**BOX, "label_id": "i"})

    with pytest.raises((LabelError, SchemaError), match=why):
        rows.edits(update("i", **changes))


def test_a_label_of_a_retired_class_can_still_be_moved(rows):
    rows.do({**BOX, "label_id": "i"})
    rows.labels["i"]["class_id"] = IDS["old"]

    rows.do(update("i", x=9))

    assert rows.labels["i"]["x"] == 9


def test_a_label_without_a_class_is_given_none(rows):
    rows.do({"op": "create", "image": "a.jpg", "kind": "text", "text": "hi", "label_id": "i"})
    assert rows.labels["i"]["class_id"] is None

    with pytest.raises(LabelError, match="a text has no class"):
        rows.edits(update("i", label="cat"))


def test_a_tag_replaces_the_other_one_of_its_group(rows):
    rows.do(tag("sun", "s"), tag("sea", "e"))

    edits = rows.do(tag("rain", "r"))

    assert [(edit.op, edit.label_id) for edit in edits] == [("delete", "s"), ("create", "r")]
    assert tags_of(rows) == {"rain", "sea"}


def test_a_tag_that_the_image_bears_already_changes_nothing(rows):
    rows.do(tag("sun", "s"))

    assert rows.edits(tag("sun")) == []


def test_tags_of_other_images_stay(rows):
    rows.do(tag("sun"), tag("rain", image="b.jpg"))

    assert (tags_of(rows), tags_of(rows, "b.jpg")) == ({"sun"}, {"rain"})


def test_a_group_of_one_answer_has_one_also_within_a_step(rows):
    rows.do(tag("sun"), tag("rain"), tag("sea"), tag("hill"), tag("sea"))

    assert tags_of(rows) == {"rain", "sea", "hill"}
    assert len(rows.labels) == 3


def test_a_tag_changed_into_another_group_replaces_the_one_there(rows):
    rows.do(tag("sun", "s"), tag("sea", "e"))

    rows.do(update("e", label="rain"))

    assert tags_of(rows) == {"rain"}


def test_a_tag_is_not_changed_into_one_that_the_image_bears(rows):
    rows.do(tag("sea", "e"), tag("hill", "h"))

    with pytest.raises(LabelError, match="bears the tag 'hill' already"):
        rows.edits(update("e", label="hill"))


def test_a_shape_made_in_a_step_can_be_changed_and_deleted_in_it(rows):
    rows.do({**BOX, "label_id": "i"}, update("i", x=5), update("i", label="dog"))
    assert (rows.labels["i"]["x"], rows.labels["i"]["class_id"]) == (5, IDS["dog"])

    rows.do({**BOX, "label_id": "j"}, {"op": "delete", "label_id": "j"})
    assert "j" not in rows.labels


def test_a_label_deleted_in_a_step_is_gone_for_the_rest_of_it(rows):
    rows.do({**BOX, "label_id": "i"})
    delete = {"op": "delete", "label_id": "i"}

    with pytest.raises(LabelError, match="no label 'i' any more"):
        rows.edits(delete, delete)
    with pytest.raises(LabelError, match="no label 'i' any more"):
        rows.edits(delete, update("i", x=5))
    rows.do(delete, {**BOX, "label_id": "i", "x": 50})
    assert rows.labels["i"]["x"] == 50


def test_changes_of_one_label_in_a_step_add_up(rows):
    rows.do({**BOX, "label_id": "i"})

    rows.do(update("i", attributes={"speed": 3}), update("i", attributes={"occluded": True}))
    assert rows.labels["i"]["attributes"] == {"speed": 3.0, "occluded": True}

    rows.do(update("i", x=50), update("i", x=1))
    assert rows.labels["i"]["x"] == 1


def test_changes_of_one_image_in_a_step_add_up(rows):
    status = [{"op": "image", "image": "a.jpg", "changes": {"status": s}} for s in ("done", "todo")]

    assert len(rows.do(*status)) == 2
    assert rows.images["a.jpg"]["status"] == "todo"


def test_an_image_changes_only_in_what_is_new(rows):
    change = {"op": "image", "image": "a.jpg", "changes": {"status": "done", "unsure": False}}

    [edit] = rows.do(change)

    assert (edit.before, edit.after) == ({"status": "todo"}, {"status": "done"})
    assert edit.label_id is None
    assert rows.edits(change) == []


IDENTIFIERS = st.sampled_from("ijk")
CHANGES = st.one_of(
    st.builds(
        lambda i, name, x: {**BOX, "label_id": i, "label": name, "x": x},
        IDENTIFIERS,
        st.sampled_from(["cat", "dog"]),
        st.floats(-50, 120),
    ),
    st.builds(tag, st.sampled_from(["sun", "rain", "sea", "hill"]), IDENTIFIERS),
    st.builds(lambda i, x: update(i, x=x), IDENTIFIERS, st.floats(-50, 120)),
    st.builds(lambda i, n: update(i, label=n), IDENTIFIERS, st.sampled_from(["dog", "sea", "sun"])),
    st.builds(lambda i: {"op": "delete", "label_id": i}, IDENTIFIERS),
    st.builds(
        lambda s: {"op": "image", "image": "a.jpg", "changes": {"status": s}},
        st.sampled_from(["todo", "done", "flagged"]),
    ),
)


@given(st.lists(st.lists(CHANGES, max_size=6), max_size=6))
def test_any_steps_keep_the_rules_and_can_be_taken_back(steps):
    rows = Rows()
    done = []
    for step in steps:
        try:
            edits = rows.edits(*step)
        except (LabelError, SchemaError):
            continue
        done.append(rows.apply(edits))  # `apply` checks each `before` against the row

    for row in rows.labels.values():
        if row["kind"] == "box":
            assert row["x"] >= 0 and row["x"] + row["width"] <= 100 and row["width"] >= 2
    tags = [r["class_id"] for r in rows.labels.values() if r["kind"] == "tag"]
    assert len(tags) == len(set(tags))
    assert not {IDS["sun"], IDS["rain"]} <= set(tags)

    for edits in reversed(done):
        rows.apply(inverted(edits))
    assert rows.labels == {}
    assert all(row["status"] == "todo" for row in rows.images.values())


@given(st.lists(CHANGES, max_size=8))
def test_a_step_comes_to_the_same_as_its_changes_one_by_one(changes):
    at_once, one_by_one = Rows(), Rows()
    try:
        at_once.do(*changes)
    except (LabelError, SchemaError):
        return
    for change in changes:
        one_by_one.do(change)

    def values(rows):
        return {
            label_id: {key: value for key, value in row.items() if key != "created"}
            for label_id, row in rows.labels.items()
        }

    assert values(at_once) == values(one_by_one)
    assert at_once.images == one_by_one.images

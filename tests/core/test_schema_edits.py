"""Edits of a scheme: what each leaves, what it moves, and ids that never get a second meaning."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbannotate.core import schema_edits as plans
from nbannotate.core.edits import Edit
from nbannotate.core.schema import Schema
from nbannotate.core.schema_record import SchemaRecord
from nbannotate.errors import SchemaError

SCHEMA = Schema(
    classes=[{"name": "car", "key": "c"}, "van", "bike"],
    tags={"weather": ["sun", "rain"], "time": ["day"]},
    attributes={"far": bool},
)
NAMES = st.sampled_from(["car", "van", "bike", "sun", "rain", "day", "x", "y", "😀"])
MANY = st.lists(NAMES, min_size=1, max_size=3)
EDITS = st.one_of(
    st.tuples(st.just(plans.add_class), NAMES),
    st.tuples(st.just(plans.rename_class), NAMES, NAMES),
    st.tuples(st.just(plans.merge_classes), MANY, NAMES),
    st.tuples(st.just(plans.split_class), NAMES, MANY),
    st.tuples(st.just(plans.remove_class), NAMES),
    st.tuples(st.just(plans.reorder_classes), MANY),
    st.tuples(st.just(plans.add_attribute), NAMES),
    st.tuples(st.just(plans.rename_attribute), NAMES, NAMES),
    st.tuples(st.just(plans.remove_attribute), NAMES),
)


@pytest.fixture
def record():
    return SchemaRecord.from_dict(SCHEMA.to_dict())


def names(schema):
    return [item.name for item in schema.classes]


def items(schema):
    return {item.id: item for item in (*schema.classes, *schema.tag_choices)}


# Each edit


def test_a_class_is_added_last_with_an_id_and_a_colour_of_its_own(record):
    plan = plans.add_class(record, "bus", key="b")

    added = plan.after.schema.classes[-1]
    assert (added.name, added.id, added.key) == ("bus", 7, "b")
    assert added.color not in {item.color for item in items(SCHEMA).values()}


def test_a_tag_is_added_to_its_group_and_a_group_is_made_for_it(record):
    after = plans.add_class(record, "fog", group="weather").after.schema
    assert [choice.name for choice in after.tags[0].choices] == ["sun", "rain", "fog"]

    after = plans.add_class(record, "fog", group="sight").after.schema
    assert [group.name for group in after.tags] == ["weather", "time", "sight"]


def test_where_there_is_one_question_only_what_is_added_is_an_answer():
    record = SchemaRecord(Schema(tags=["cat", "dog"]))

    after = plans.add_class(record, "bird").after.schema

    assert [choice.name for choice in after.tags[0].choices] == ["cat", "dog", "bird"]
    assert after.classes == ()


def test_a_rename_keeps_the_id(record):
    plan = plans.rename_class(record, "car", "automobile")

    assert plan.after.schema.find("automobile").id == SCHEMA.find("car").id
    assert (plan.moves, plan.classes) == ({}, (1,))


def test_classes_merge_into_a_new_one_in_the_place_of_the_first(record):
    plan = plans.merge_classes(record, ["car", "van"], "vehicle")

    assert names(plan.after.schema) == ["vehicle", "bike"]
    vehicle = plan.after.schema.find("vehicle")
    assert (vehicle.id, vehicle.key, vehicle.color) == (7, "c", SCHEMA.find("car").color)
    assert plan.moves == {1: 7, 2: 7}


@pytest.mark.parametrize("listed", [["car", "van"], ["van"]])
def test_classes_merge_into_one_that_is_there(record, listed):
    plan = plans.merge_classes(record, listed, "car")

    assert names(plan.after.schema) == ["car", "bike"]
    assert plan.moves == {2: 1}


def test_a_split_retires_the_old_class_and_opens_its_images_again(record):
    plan = plans.split_class(record, "van", ["bus", "truck"])

    assert names(plan.after.schema) == ["car", "van", "bus", "truck", "bike"]
    assert plan.after.schema.find("van").retired and plan.is_reopening
    assert len({item.color for item in plan.after.schema.classes}) == 5
    assert plan.moves == {}


def test_a_split_that_keeps_the_name_keeps_the_class_on_offer(record):
    after = plans.split_class(record, "van", ["van", "truck"]).after.schema

    assert names(after) == ["car", "van", "truck", "bike"]
    assert not after.find("van").retired


def test_a_class_is_retired_and_back(record):
    retired = plans.retire_class(record, "van", retired=True).after
    assert retired.schema.find("van").retired

    assert plans.retire_class(retired, "van", retired=False).after.schema == SCHEMA


def test_a_removed_class_gives_its_labels_to_another_or_stands_against_them(record):
    moved = plans.remove_class(record, "van", move_to="car")
    assert (moved.moves, moved.is_for_unused) == ({2: 1}, False)

    plain = plans.remove_class(record, "van")
    assert (plain.moves, plain.is_for_unused) == ({}, True)
    assert names(plain.after.schema) == names(moved.after.schema) == ["car", "bike"]


def test_a_group_goes_with_its_last_tag(record):
    after = plans.remove_class(record, "day").after.schema

    assert [group.name for group in after.tags] == ["weather"]


def test_those_named_come_first(record):
    assert names(plans.reorder_classes(record, ["bike", "car"]).after.schema) == [
        "bike", "car", "van",
    ]  # fmt: skip


def test_colour_and_key_change_and_nothing_else(record):
    after = plans.color_class(record, "van", "#123456").after
    after = plans.key_class(after, "car", None).after.schema

    assert (after.find("van").color, after.find("car").key) == ("#123456", None)
    assert names(after) == names(SCHEMA)


def test_an_attribute_comes_with_its_default_for_shapes_that_lack_it(record):
    plan = plans.add_attribute(record, "view", ["front", "side"], default="side")

    assert plan.revise({"far": True}) == {"view": "side", "far": True}
    assert plan.revise({"view": "front"}) == {"view": "front"}
    assert plan.after.schema.attribute("view").default == "side"
    assert plans.add_attribute(record, "near", bool).revise is None


def test_attributes_are_renamed_and_removed_in_shapes(record):
    assert plans.rename_attribute(record, "far", "away").revise({"far": True}) == {"away": True}
    assert plans.remove_attribute(record, "far").revise({"far": True, "x": 1}) == {"x": 1}


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda r: plans.add_class(r, "car"), r"has a class 'car' already.*into='car'"),
        (lambda r: plans.rename_class(r, "van", "car"), "already"),
        (lambda r: plans.rename_class(r, "cat", "x"), "no tag 'cat'"),
        (lambda r: plans.rename_class(r, "van", " "), "is empty"),
        (lambda r: plans.merge_classes(r, "car", "x"), "give a list of names"),
        (lambda r: plans.merge_classes(r, [], "x"), "has no names"),
        (lambda r: plans.merge_classes(r, ["car"], "car"), "nothing to merge"),
        (lambda r: plans.merge_classes(r, ["car", "sun"], "x"), "no classes of the same kind"),
        (lambda r: plans.merge_classes(r, ["sun", "day"], "x"), "tags of one group only"),
        (lambda r: plans.split_class(r, "car", "bus"), "give a list of names"),
        (lambda r: plans.split_class(r, "car", ["car"]), "has no new class"),
        (lambda r: plans.split_class(r, "car", ["bus", "van"]), "class 'van' already"),
        (lambda r: plans.remove_class(r, "car", move_to="car"), "is the same class"),
        (lambda r: plans.remove_class(r, "car", move_to="bus"), "no class 'bus'"),
        (lambda r: plans.reorder_classes(r, []), "has no names"),
        (lambda r: plans.color_class(r, "car", "red"), "not like '#E69F00'"),
        (lambda r: plans.key_class(r, "van", "c"), "key 'c' stands twice"),
        (lambda r: plans.add_attribute(r, "far"), "attribute 'far' already"),
        (lambda r: plans.add_attribute(r, "view", ["a"], default="b"), "no choice 'b'"),
        (lambda r: plans.rename_attribute(r, "near", "x"), "no attribute 'near'"),
        (lambda r: plans.rename_attribute(r, "far", "far"), "attribute 'far' already"),
        (lambda r: plans.remove_attribute(r, "near"), "no attribute 'near'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_mend(record, edit, why):
    with pytest.raises(SchemaError, match=why):
        edit(record)


def test_a_tag_that_shares_a_name_with_a_class_is_meant_by_its_kind():
    record = SchemaRecord(Schema(classes=["car"], tags=["car"]))

    after = plans.rename_class(record, "car", "traffic", kind="tag").after.schema

    assert (names(after), after.tag_choices[0].name) == (["car"], "traffic")


# What was meant under a former scheme


def test_an_edit_made_under_a_former_scheme_is_followed_to_the_class_it_went_into(record):
    record = plans.merge_classes(record, ["car", "van"], "vehicle").after
    record = plans.remove_class(record, "vehicle", move_to="bike").after
    record = plans.rename_attribute(record, "far", "away").after

    create = {"op": "create", "label_id": "i", "class_id": 1, "attributes": {"far": True}}
    assert record.followed_change(create) == {
        "op": "create", "label_id": "i", "class_id": 3, "attributes": {"away": True},
    }  # fmt: skip
    update = {"op": "update", "label_id": "i", "changes": {"class_id": 2, "x": 1}}
    assert record.followed_change(update)["changes"] == {"class_id": 3, "x": 1}
    edit = Edit("update", "a", "i", before={"class_id": 2}, after={"attributes": {"far": False}})
    assert record.followed_edit(edit) == Edit(
        "update", "a", "i", before={"class_id": 3}, after={"attributes": {"away": False}}
    )


def test_what_is_of_this_scheme_or_of_none_stays_as_it_is(record):
    for values in ({"class_id": 1}, {"class_id": 99}, {"class_id": None}, {"class_id": "?"}):
        assert record.followed(values) == values
    assert record.followed({"attributes": {"typo": 1}}) == {"attributes": {"typo": 1}}


def test_values_of_a_removed_attribute_are_left_out_and_of_a_later_one_kept(record):
    gone = plans.remove_attribute(record, "far").after
    assert gone.followed({"attributes": {"far": True, "x": 1}}) == {"attributes": {"x": 1}}

    again = plans.add_attribute(gone, "far").after
    assert again.followed({"attributes": {"far": True}}) == {"attributes": {"far": True}}


def test_a_class_that_went_nowhere_is_named(record):
    record = plans.remove_class(record, "van").after

    with pytest.raises(SchemaError, match="'van' was removed from the scheme; choose another"):
        record.followed({"class_id": 2})


def test_a_notebook_that_is_run_again_does_not_bring_back_what_left(record):
    record = plans.rename_class(record, "car", "automobile").after
    record = plans.remove_class(record, "day").after
    record = plans.remove_attribute(record, "far").after

    again = record.extended(Schema(["car", "van", "bus"], SCHEMA.tags, {"far": bool}))

    assert names(again.schema) == ["automobile", "van", "bike", "bus"]
    assert [group.name for group in again.schema.tags] == ["weather"]
    assert again.schema.attributes == ()
    assert names(plans.add_class(again, "car").after.schema)[-1] == "car", "but asked for, it does"


# Any edits


@given(st.lists(EDITS, max_size=12))
def test_ids_never_change_and_are_never_given_again(edits):
    record = SchemaRecord(SCHEMA)
    ever = set(items(SCHEMA))
    for edit, *arguments in edits:
        try:
            plan = edit(record, *arguments)
        except SchemaError:
            continue
        before, after = items(record.schema), items(plan.after.schema)
        assert set(after).isdisjoint(ever - set(before)), "an id was given again"
        ever |= set(after)
        assert plan.after.given >= ever
        for class_id in set(before) & set(after):
            if before[class_id].name != after[class_id].name:
                assert edit is plans.rename_class
        for class_id in set(before) - set(after):
            target = plan.moves.get(class_id)
            assert plan.after.now(class_id) == target
            assert target in after if plan.moves else plan.is_for_unused
        record = plan.after
    extended = record.extended(SCHEMA)
    assert items(extended.schema).keys() == items(record.schema).keys()


@given(st.lists(EDITS, max_size=12))
def test_records_survive_json(edits):
    record = SchemaRecord.from_dict(SCHEMA.to_dict())
    for edit, *arguments in edits:
        try:
            record = edit(record, *arguments).after
        except SchemaError:
            continue

    assert SchemaRecord.from_dict(json.loads(json.dumps(record.to_dict())), record.given) == record

"""Schemes: ids that never change, names that may be anything, contradictions refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbannotate.core.attributes import Attribute
from nbannotate.core.colors import OKABE_ITO, color_of, is_color
from nbannotate.core.label_class import LabelClass
from nbannotate.core.schema import Schema
from nbannotate.errors import NbannotateError, SchemaError

NAMES = ["NA", "null", "001", "no", "<img src=x onerror=alert(1)>", "😀", "עברית", "trailing "]


def test_classes_get_ids_from_1_and_distinct_colours():
    schema = Schema(classes=NAMES, tags=["sun"])

    assert [c.id for c in schema.classes] == list(range(1, len(NAMES) + 1))
    assert schema.tag_choices[0].id == len(NAMES) + 1
    assert [c.color for c in schema.classes[:7]] == list(OKABE_ITO)
    assert len({c.color for c in schema.classes}) == len(NAMES)


def test_given_ids_stay_and_new_ones_do_not_take_them():
    schema = Schema(classes=[{"name": "a"}, {"name": "b", "id": 0}, {"name": "c", "id": 7}])

    assert {c.name: c.id for c in schema.classes} == {"a": 8, "b": 0, "c": 7}
    assert schema.by_id(0).name == "b"


def test_a_dict_gives_ids_to_names():
    assert {c.id: c.name for c in Schema(classes={0: "x", 5: "y"}).classes} == {0: "x", 5: "y"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"classes": "cat"}, "give a list of names"),
        ({"classes": ["a", "a"]}, "class 'a' stands twice"),
        ({"classes": ["a", " "]}, "is empty"),
        ({"classes": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "id 1 stands twice"),
        ({"classes": [{"id": 1.5, "name": "a"}]}, "not a whole number"),
        ({"classes": [{"id": True, "name": "a"}]}, "not a whole number"),
        ({"classes": [{"id": "x", "name": "a"}]}, "not a whole number"),
        ({"classes": [{"id": float("inf"), "name": "a"}]}, "not a whole number"),
        ({"classes": [{"name": "a", "colour": "red"}]}, "give a name, or a dict"),
        ({"classes": [{"name": "a", "color": "red"}]}, "not like '#E69F00'"),
        ({"classes": [{"name": "a", "key": "ab"}]}, "not one character"),
        ({"classes": [{"name": "a", "key": "k"}, {"name": "b", "key": "K"}]}, "key 'k' stands"),
        ({"classes": [1]}, "give a name"),
        ({"tags": {"x": ["a"], "y": ["a"]}}, "unique across groups"),
        ({"tags": {"x": []}}, "has no choices"),
        ({"attributes": [Attribute("a"), Attribute("a")]}, "attribute 'a' stands twice"),
    ],
)
def test_contradictions_are_refused_with_their_mend(arguments, why):
    with pytest.raises(SchemaError, match=why):
        Schema(**arguments)


def test_a_class_and_a_tag_may_share_a_name():
    schema = Schema(classes=["car"], tags=["car"])

    assert schema.find("car").id != schema.find("car", kind="tag").id
    assert schema.group_of(schema.find("car", kind="tag").id).name == "tag"


def test_finding_what_is_not_there_lists_what_is():
    schema = Schema(classes=["car"], tags={"weather": ["sun"]}, attributes={"far": bool})

    with pytest.raises(SchemaError, match="no class 'cat'; it has 'car'"):
        schema.find("cat")
    with pytest.raises(SchemaError, match="no tag 'car'; it has 'sun'"):
        schema.find("car", kind="tag")
    with pytest.raises(SchemaError, match="no class with id 9"):
        schema.by_id(9)
    with pytest.raises(SchemaError, match="no attribute 'near'; it has"):
        schema.attribute("near")
    with pytest.raises(NbannotateError):
        schema.group_of(1)


@given(
    st.lists(st.text(min_size=1).filter(lambda n: n.strip()), unique=True, max_size=6),
    st.booleans(),
)
def test_schemes_survive_json(names, multiple):
    schema = Schema(
        classes=names,
        tags={"g": {"choices": names, "multiple": multiple}} if names else {},
        attributes={"view": ["a", "b"], "speed": (0, 9), "note": str, "far": False},
    )

    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_extending_keeps_own_ids_and_gives_new_ones_to_clashes():
    mine = Schema(classes={1: "a", 2: "b"}, tags={"t": [{"id": 3, "name": "x"}]})
    theirs = Schema(
        classes={2: "c", 1: "b", 9: "d"},
        tags={"t": [{"id": 5, "name": "y"}], "u": [{"id": 6, "name": "x2"}]},
        attributes={"far": bool},
    )

    both = mine.extended(theirs)

    ids = {c.name: c.id for c in both.classes}
    assert (ids["a"], ids["b"], ids["d"]) == (1, 2, 9)
    assert ids["c"] not in {1, 2, 3, 9}
    assert [c.name for c in both.tags[0].choices] == ["x", "y"]
    assert [g.name for g in both.tags] == ["t", "u"]
    assert both.attribute("far").type == "bool"
    assert mine == Schema(classes={1: "a", 2: "b"}, tags={"t": [{"id": 3, "name": "x"}]})


def test_attributes_are_replaced_by_name():
    schema = Schema(attributes={"far": bool, "note": str})

    changed = schema.with_attribute(Attribute("far", "text"))

    assert [(a.name, a.type) for a in changed.attributes] == [("far", "text"), ("note", "text")]
    assert len(schema.with_attribute(Attribute("new")).attributes) == 3


def test_values_are_checked_and_none_is_left_out():
    schema = Schema(attributes={"far": bool, "speed": (0, 130)})

    assert schema.check_attributes({"far": None, "speed": 3}) == {"speed": 3.0}
    with pytest.raises(SchemaError, match="outside 0 … 130"):
        schema.check_attributes({"speed": 131})


def test_a_scheme_is_no_key():
    with pytest.raises(TypeError):
        hash(Schema())


def test_a_label_class_needs_a_text():
    with pytest.raises(SchemaError, match="is empty"):
        LabelClass(1, 7, "#000000")  # type: ignore[arg-type]


def test_colours_are_valid_and_neighbours_differ():
    colors = [color_of(n) for n in range(60)]

    assert all(map(is_color, colors))
    assert len(set(colors)) == 60
    assert not any(map(is_color, ["red", "#12345", "#1234567", "#GGGGGG", " #123456", "#123456\n"]))

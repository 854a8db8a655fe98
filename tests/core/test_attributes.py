"""Attributes: short forms, and values that are allowed or not."""

from __future__ import annotations

import pytest

from nbannotate.core.attributes import Attribute
from nbannotate.errors import SchemaError


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        (bool, Attribute("a", "bool")),
        ("bool", Attribute("a", "bool")),
        (True, Attribute("a", "bool", default=True)),
        (str, Attribute("a", "text")),
        (float, Attribute("a", "number")),
        (int, Attribute("a", "number", step=1)),
        ((0, 5), Attribute("a", "number", min=0.0, max=5.0)),
        (["x", "y"], Attribute("a", "choice", choices=("x", "y"))),
        (("x", "y"), Attribute("a", "choice", choices=("x", "y"))),
        ({"type": "text", "required": True}, Attribute("a", "text", required=True)),
        (Attribute("a", "text"), Attribute("a", "text")),
    ],
)
def test_short_forms(short, whole):
    assert Attribute.parse("a", short) == whole


@pytest.mark.parametrize("short", [3, 2.5, [], [1, 2], None, object])
def test_other_short_forms_are_refused(short):
    with pytest.raises(SchemaError, match="says no type"):
        Attribute.parse("a", short)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": ""}, "has no name"),
        ({"name": "a", "type": "int"}, "is unknown"),
        ({"name": "a", "type": "choice"}, "needs choices"),
        ({"name": "a", "type": "bool", "choices": ("x",)}, "only a choice"),
        ({"name": "a", "type": "choice", "choices": ("x", "x")}, "listed twice"),
        ({"name": "a", "type": "number", "min": 2, "max": 1}, "over max"),
        ({"name": "a", "type": "number", "max": 1, "default": 2}, "outside"),
        ({"name": "a", "type": "bool", "default": 1}, "True or False"),
    ],
)
def test_contradictions_are_refused(fields, why):
    with pytest.raises(SchemaError, match=why):
        Attribute(**fields)


@pytest.mark.parametrize(
    ("spec", "good", "bad"),
    [
        (bool, [True, False, None], [1, 0, "True"]),
        (float, [1, 2.5, -3, None], ["1", True, float("nan"), float("inf")]),
        ((0, 5), [0, 5], [-0.1, 5.1]),
        (str, ["", "NA", None], [1, True]),
        (["NA", "no"], ["NA", "no", None], ["na", "", 1]),
    ],
)
def test_values_are_checked_by_type(spec, good, bad):
    attribute = Attribute.parse("a", spec)
    for value in good:
        assert attribute.check(value) == value
    for value in bad:
        with pytest.raises(SchemaError, match="attribute 'a'"):
            attribute.check(value)


def test_numbers_become_floats():
    assert type(Attribute.parse("a", float).check(3)) is float

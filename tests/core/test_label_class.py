"""Classes of shapes, and the key points that some have."""

from __future__ import annotations

import json

import pytest

from nbannotate.core.schema import Schema
from nbannotate.errors import SchemaError

PERSON = {"name": "person", "keypoints": ["nose", "neck", "hip"], "skeleton": [[0, 1], (1, 2)]}


def test_a_class_names_its_key_points_and_joins_them():
    [person] = Schema(classes=[PERSON]).classes

    assert person.keypoints == ("nose", "neck", "hip")
    assert person.skeleton == ((0, 1), (1, 2))


def test_a_scheme_with_key_points_comes_back_equal():
    schema = Schema(classes=["cat", PERSON], tags=["sun"])
    saved = json.loads(json.dumps(schema.to_dict()))

    assert saved == schema.to_dict()
    assert Schema.from_dict(saved) == schema
    assert Schema.from_dict(saved).classes[1].skeleton == ((0, 1), (1, 2))


def test_schemes_without_key_points_are_written_as_before_there_were_any():
    [cat] = Schema(classes=["cat"]).to_dict()["classes"]

    assert set(cat) == {"id", "name", "color", "key", "retired"}


def test_a_scheme_that_is_extended_keeps_key_points():
    schema = Schema(classes=["cat"]).extended(Schema(classes=[PERSON]))

    assert schema.find("person").keypoints == ("nose", "neck", "hip")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keypoints": "nose"}, "keypoints 'nose' are not names; give a list of texts"),
        ({"keypoints": ["a", "a"]}, "a keypoint stands twice"),
        ({"keypoints": ["a", ""]}, "are not names"),
        ({"keypoints": ["a"], "skeleton": [[0, 1]]}, "joins 0 and 1, but its 1 keypoints"),
        ({"keypoints": ["a"], "skeleton": [[0]]}, r"skeleton has \[0\]; give pairs"),
        ({"skeleton": [[-1, 0]]}, "skeleton joins -1 and 0"),
    ],
)
def test_bad_key_points_are_told(fields, message):
    with pytest.raises(SchemaError, match=message):
        Schema(classes=[{"name": "person"} | fields])

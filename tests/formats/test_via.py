"""VIA 2: projects and annotation files, shapes of every kind, attributes that are classes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import via
from nbannotate.formats.shared.ellipses import ellipse_ring
from tests.formats.samples import assert_alike, assert_same, everything, shape_datasets


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def exported(*regions: Any, **file: Any) -> dict[str, Any]:
    """What VIA's "Export Annotations (as json)" gives."""
    one = {"filename": "a.jpg", "size": 123, "regions": list(regions), "file_attributes": {}}
    return {"a.jpg123": one | file}


RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 5}


def test_round_trip_keeps_all_but_texts(tmp_path):
    dataset = everything()
    # The box around a turned one follows from its corners, and that of the sample does not.
    rows = dataset.labels[dataset.labels["kind"].ne("rotated_box")]
    dataset = Dataset(rows, dataset.images, dataset.schema)
    report = dataset.write(tmp_path / "a.json", format="via", only="all")

    kept = dataset.labels[dataset.labels["kind"].isin([*PLACED_KINDS, "tag"])]
    back = nba.read(tmp_path / "a.json")
    assert_same(back, Dataset(kept, dataset.images, dataset.schema))
    assert report.lost == {"text labels, for which VIA has no place": 2}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_via(tmp_path / "a.json")
    assert_alike(via.read(tmp_path / "a.json"), dataset)


def test_a_project_has_vias_own_shapes_and_asks_for_the_classes(tmp_path):
    ring = ellipse_ring(20.0, 10.0, 5.0, 3.0, 0.5)
    labels = pd.DataFrame({"image": "a.jpg", "label": "cat", "kind": ["box", "polygon", "polygon"]})
    labels[["x", "y", "width", "height"]] = [10.0, 20.0, 30.0, 5.0]
    triangle = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    labels["geometry"] = pd.Series([None, [triangle, triangle], [ring]], dtype=object)
    schema = Schema(classes=["cat"], attributes={"seen": bool, "view": ["front", "side"]})
    labels["attributes"] = [{"seen": True}, {}, {"view": "side"}]
    Dataset(labels, None, schema).to_via(tmp_path / "a.json", extras=False)

    project = json.loads((tmp_path / "a.json").read_text())
    asked = project["_via_attributes"]["region"]
    assert asked["label"]["options"] == {"cat": ""} and asked["label"]["type"] == "dropdown"
    assert list(asked["view"]["options"]) == ["front", "side"]
    [entry] = project["_via_img_metadata"].values()
    assert project["_via_image_id_list"] == list(project["_via_img_metadata"])
    shapes = [one["shape_attributes"] for one in entry["regions"]]
    assert shapes[0] == RECT
    part = {"name": "polygon", "all_points_x": [1, 3, 5], "all_points_y": [2, 4, 6]}
    assert shapes[1:3] == [part, part]
    assert shapes[3]["name"] == "ellipse"
    assert [shapes[3][name] for name in ("cx", "cy", "rx", "ry", "theta")] == pytest.approx(
        [20, 10, 5, 3, 0.5]
    )
    assert entry["regions"][0]["region_attributes"] == {"label": "cat", "seen": "true"}


def test_every_shape_of_via_is_read(tmp_path):
    shapes = [
        RECT,
        {"name": "circle", "cx": 10, "cy": 10, "r": 4},
        {"name": "ellipse", "cx": 10, "cy": 10, "rx": 4, "ry": 2, "theta": math.pi / 2},
        {"name": "polygon", "all_points_x": [0, 9, 9], "all_points_y": [0, 0, 5]},
        {"name": "polyline", "all_points_x": [0, 9], "all_points_y": [0, 5]},
        {"name": "point", "cx": 3, "cy": 4},
    ]
    read = nba.read(save(tmp_path / "a.json", exported(*(region(s, type="x") for s in shapes))))

    kinds = ["box", "polygon", "polygon", "polygon", "polyline", "keypoints"]
    assert read.labels["kind"].tolist() == kinds
    boxes = read.labels[["x", "y", "width", "height"]].round(2).to_numpy().tolist()
    assert boxes == [
        [10, 20, 30, 5], [6, 6, 8, 8], [8, 6, 4, 8], [0, 0, 9, 5], [0, 0, 9, 5], [3, 4, 0, 0],
    ]  # fmt: skip
    assert read.labels["label"].unique().tolist() == ["x"]


def test_regions_may_be_numbered_as_version_1_did(tmp_path):
    content = exported()
    content["a.jpg123"]["regions"] = {"0": region(RECT, name="cat"), "1": region(RECT, name="dog")}
    assert nba.read(save(tmp_path / "a.json", content)).labels["label"].tolist() == ["cat", "dog"]


def test_attributes_beside_the_class_are_typed_and_boxes_checked_are_listed(tmp_path):
    rows = [
        region(RECT, label="cat", speed="3.5", seen="true", colour={"red": True, "blue": True}),
        region(RECT, label="dog", speed="4"),
    ]
    file = save(tmp_path / "a.json", exported(*rows, file_attributes={"weather": {"sun": True}}))
    read = nba.read(file)

    boxes = read.labels[read.labels["kind"].eq("box")]
    first = {"speed": 3.5, "seen": True, "colour": "red, blue"}
    assert boxes["attributes"].tolist() == [first, {"speed": 4}]
    assert read.labels.loc[read.labels["kind"].eq("tag"), "label"].tolist() == ["sun"]


def test_which_attribute_is_the_class_can_be_said(tmp_path):
    rows = [region(RECT, breed="pug", size="big"), region(RECT, breed="lab", size="small")]
    file = save(tmp_path / "a.json", exported(*rows))

    with pytest.raises(FormatError, match="has no attribute that is its class; give it one, or sa"):
        nba.read(file)
    assert nba.read_via(file, label="breed").labels["label"].tolist() == ["pug", "lab"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"name": "rect", "x": 1}, r"'a.jpg123'.regions\[0\]: y is null, which is no number"),
        (RECT | {"width": -3}, "has a negative side"),
        ({"name": "blob"}, "shape 'blob' is unknown"),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": [1, 2]}, "not two lists of one"),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": [1]}, "has 1 points; it needs 3"),
        ({"name": "point", "cx": True, "cy": 1}, "cx is true, which is no number"),
    ],
)
def test_bad_shapes_are_told(tmp_path, shape, message):
    good = region(RECT, label="cat")
    file = save(tmp_path / "a.json", exported(region(shape, label="cat"), good))
    with pytest.raises(FormatError, match=message):
        nba.read(file)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(nba.read_via(file, on_error="skip").labels) == 1

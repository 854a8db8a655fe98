"""COCO's key points: names and skeletons, what pycocotools scores, what the wild holds."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from tests.formats.samples import assert_alike, shape_datasets

NAMES = [f"joint {number}" for number in range(17)]
PERSON = {"id": 7, "name": "person", "keypoints": NAMES, "skeleton": [(0, 1), (1, 16)]}


def people(rows: list[list[list[float]]]) -> Dataset:
    """Each list of points is a person of about 100 × 200 pixels on one image."""
    labels = pd.DataFrame(
        {"image": "a.jpg", "kind": "keypoints", "label": "person"}, range(len(rows))
    )
    labels[["x", "y", "width", "height"]] = [10.0, 20.0, 100.0, 200.0]
    labels["geometry"] = pd.Series(rows, dtype=object)
    images = pd.DataFrame({"width": 640, "height": 480, "status": "done"}, index=["a.jpg"])
    return Dataset(labels, images, Schema(classes=["cat", PERSON]))


def someone() -> list[list[float]]:
    spots = np.random.default_rng(3).uniform(20, 200, (17, 2)).round(3)
    flags = [2] * 10 + [1] * 4 + [0] * 3
    return [
        [x, y, f] if f else [0.0, 0.0, 0] for (x, y), f in zip(spots.tolist(), flags, strict=True)
    ]


def test_key_points_are_written_as_coco_has_them(tmp_path):
    points = someone()
    people([points]).to_coco(tmp_path / "a.json")

    content = json.loads((tmp_path / "a.json").read_text())
    cat, person = content["categories"]
    assert "keypoints" not in cat
    assert (person["keypoints"], person["skeleton"]) == (NAMES, [[1, 2], [2, 17]])
    [row] = content["annotations"]
    assert row["keypoints"] == [value for point in points for value in point]
    assert row["num_keypoints"] == 14 and row["bbox"] == [10, 20, 100, 200]
    assert "segmentation" not in row


def test_pycocotools_scores_what_was_written(tmp_path):
    people([someone()]).to_coco(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    found = [
        {"image_id": row["image_id"], "category_id": row["category_id"], "score": 0.9,
         "keypoints": row["keypoints"]}
        for row in content["annotations"]
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "a.json"))
        scored = COCOeval(truth, truth.loadRes(found), "keypoints")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    assert scored.stats[0] == pytest.approx(1.0)


def test_boxes_of_a_class_with_key_points_stay_boxes(tmp_path):
    both = people([someone()])
    rows = pd.concat([both.labels, both.labels.assign(kind="box", geometry=None)])
    rows.index = pd.Index(["points", "box"], name="label_id")
    Dataset(rows, both.images, both.schema).to_coco(tmp_path / "a.json", extras=False)

    content = json.loads((tmp_path / "a.json").read_text())
    assert content["annotations"][1]["num_keypoints"] == 0  # pycocotools: a missing one is KeyError
    assert nba.read(tmp_path / "a.json").labels["kind"].tolist() == ["keypoints", "box"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_coco(tmp_path / "a.json", only="all")
    assert_alike(nba.read(tmp_path / "a.json"), dataset)


def wild(**changes: Any) -> dict[str, Any]:
    """A person as the COCO data set has one: box, outline and key points in one annotation."""
    row = {
        "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 50.0,
        "bbox": [1, 2, 30, 40], "segmentation": [[1, 2, 31, 2, 31, 42]],
        "keypoints": [5, 6, 2, 0, 0, 0], "num_keypoints": 1,
    } | changes  # fmt: skip
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 60}],
        "categories": [
            {"id": 1, "name": "person", "keypoints": ["nose", "eye"], "skeleton": [[1, 2]]}
        ],
        "annotations": [row],
    }


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_an_annotation_with_outline_and_key_points_is_either(tmp_path):
    file = save(tmp_path / "a.json", wild())

    with pytest.warns(UserWarning, match="outlines of 1 annotations that have key points"):
        points = nba.read(file)
    assert points.labels["kind"].tolist() == ["keypoints"]
    assert points.labels["geometry"].tolist() == [[[5, 6, 2], [0, 0, 0]]]
    assert points.labels[["x", "y", "width", "height"]].values.tolist() == [[1, 2, 30, 40]]
    assert points.schema.classes[0].keypoints == ("nose", "eye")
    assert points.schema.classes[0].skeleton == ((0, 1),)
    assert nba.read_coco(file, keypoints=False).labels["kind"].tolist() == ["polygon"]


def test_an_annotation_whose_key_points_are_all_absent_keeps_its_outline(tmp_path):
    file = save(tmp_path / "a.json", wild(keypoints=[0] * 6, num_keypoints=0))
    assert nba.read(file).labels["kind"].tolist() == ["polygon"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 2, 4], "keypoints has 4 numbers; it is x, y, visibility of each"),
        ([1, 2, 3], r"keypoints has a visibility of \[3\]"),
        ([1, "a", 2], "keypoints holds what is no finite number"),
    ],
)
def test_bad_key_points_are_told(tmp_path, values, message):
    file = save(tmp_path / "a.json", wild(keypoints=values, segmentation=None))
    with pytest.raises(FormatError, match=rf"annotations\[0\].*{message}"):
        nba.read(file)

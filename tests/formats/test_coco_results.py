"""COCO results: perfect ones score 1.0, ids follow the truth, detections of a model are read."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError
from tests.formats.samples import assert_alike, box_datasets

many = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def shapes() -> Dataset:
    """A box, a polygon, a mask and a negative."""
    labels = pd.DataFrame(
        {
            "image": ["a.jpg", "b.jpg", "b.jpg"],
            "label": ["cat", "dog", "cat"],
            "kind": ["box", "polygon", "mask"],
            "x": [1.5, 10, 0], "y": [2, 5, 0], "width": [10.25, 20, 5], "height": [11, 10, 40],
            "geometry": [None, [[[10, 5], [30, 5], [30, 15], [10, 15]]],
                         {"size": [40, 60], "counts": [0, 200, 2200]}],
            "score": [0.9, 0.8, None],
        }
    )  # fmt: skip
    keys = ["a.jpg", "b.jpg", "c.jpg"]
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=keys)
    return Dataset(labels, images, nba.Schema([{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]))


def precision(truth: Path, results: Path, task: str) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO(str(truth))
        score = COCOeval(ground, ground.loadRes(str(results)), task)
        score.evaluate()
        score.accumulate()
        score.summarize()
    return float(score.stats[0])


@pytest.mark.parametrize("task", ["bbox", "segm"])
def test_perfect_results_score_one(tmp_path, task):
    dataset = shapes()
    mine = dataset.labels["kind"].ne("box") if task == "segm" else dataset.labels["x"].notna()
    Dataset(dataset.labels[mine], dataset.images, dataset.schema).to_coco(tmp_path / "t.json")

    report = dataset.to_coco_results(tmp_path / "r.json", task=task)

    assert precision(tmp_path / "t.json", tmp_path / "r.json", task) == pytest.approx(1)
    assert report.notes == ("1 labels without a score got 1.0",)
    assert report.lost.get("labels that are no segm") == (1 if task == "segm" else None)


def test_ids_are_those_of_the_truth(tmp_path):
    truth = {
        "images": [{"id": "x9", "file_name": "b.jpg"}, {"id": 41, "file_name": "a.jpg"}],
        "categories": [{"id": 70, "name": "cat"}, {"id": 30, "name": "dog"}],
        "annotations": [],
    }
    (tmp_path / "t.json").write_text(json.dumps(truth))
    shapes().to_coco_results(tmp_path / "r.json", truth=tmp_path / "t.json")
    rows = json.loads((tmp_path / "r.json").read_text())

    assert [(r["image_id"], r["category_id"]) for r in rows] == [(41, 70), ("x9", 30), ("x9", 70)]
    assert rows[0] == {"image_id": 41, "category_id": 70, "bbox": [1.5, 2, 10.25, 11], "score": 0.9}
    back = nba.read(tmp_path / "r.json", truth=tmp_path / "t.json")
    assert back.labels["label"].tolist() == ["cat", "dog", "cat"]
    assert back.labels["score"].tolist() == [0.9, 0.8, 1.0]
    assert back.labels["source"].tolist() == ["import:coco_results"] * 3
    truth["images"].pop(0)
    (tmp_path / "t.json").write_text(json.dumps(truth))
    with pytest.raises(FormatError, match=r"t\.json: has no image 'b\.jpg'"):
        shapes().to_coco_results(tmp_path / "r.json", truth=tmp_path / "t.json")


@many
@given(dataset=box_datasets())
def test_any_boxes_come_back(tmp_path, dataset):
    dataset.to_coco(tmp_path / "t.json")
    if not len(dataset):
        with pytest.raises(FormatError, match="has no labels for 'bbox'"):
            dataset.to_coco_results(tmp_path / "r.json")
        return
    dataset.to_coco_results(tmp_path / "r.json")
    back = nba.read_coco_results(tmp_path / "r.json", truth=tmp_path / "t.json")
    assert_alike(back, dataset, ids=False)


def test_bad_results_are_told(tmp_path):
    shapes().to_coco(tmp_path / "t.json")
    box = {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}
    (tmp_path / "r.json").write_text(json.dumps([box, box | {"image_id": 9}, box | {"bbox": [1]}]))
    with pytest.raises(FormatError, match=r"give the COCO file that names images.*truth="):
        nba.read(tmp_path / "r.json")
    with pytest.raises(FormatError, match=r"r\.json, \[1\]: image_id 9 is not in"):
        nba.read(tmp_path / "r.json", truth=tmp_path / "t.json")
    with pytest.warns(UserWarning, match="2 left out"):
        read = nba.read(tmp_path / "r.json", truth=tmp_path / "t.json", on_error="skip")
    assert len(read) == 1

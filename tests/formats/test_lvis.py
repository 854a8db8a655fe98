"""LVIS: exact round trips, what its own package reads, images by their addresses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from lvis import LVIS

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import lvis
from tests.formats.samples import assert_alike, assert_same, everything, shape_datasets

many = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CHECKED = ["neg_category_ids", "not_exhaustive_category_ids"]


def without_checks(dataset: Dataset) -> Dataset:
    return Dataset(dataset.labels, dataset.images.drop(columns=CHECKED), dataset.schema)


def test_round_trip_keeps_all_but_tags_and_texts(tmp_path):
    dataset = everything()
    report = dataset.to_lvis(tmp_path / "a.json", only="all")

    back = nba.read(tmp_path / "a.json")
    placed = dataset.labels[dataset.labels["kind"].isin(PLACED_KINDS)]
    assert_same(without_checks(back), Dataset(placed, dataset.images, dataset.schema))
    assert report.lost == {
        "tag labels, for which COCO has no place": 2,
        "text labels, for which COCO has no place": 2,
    }
    again = back.to_lvis(tmp_path / "b.json", only="all")
    assert again.lost == {}
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()


@many
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_lvis(tmp_path / "a.json")
    assert_alike(without_checks(lvis.read(tmp_path / "a.json")), dataset)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy, in pycocotools
def test_the_lvis_package_reads_the_same(tmp_path):
    labels = pd.DataFrame(
        {
            "image": ["a.jpg", "a.jpg"],
            "label": ["cat", "dog"],
            "kind": ["box", "polygon"],
            "x": 10.0, "y": 5.0, "width": 20.0, "height": 10.0,
            "geometry": [None, [[[10, 5], [30, 5], [30, 15], [10, 15]]]],
        }
    )  # fmt: skip
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=["a.jpg", "b.jpg"])
    Dataset(labels, images, nba.Schema(["cat", "dog", "elk"])).to_lvis(tmp_path / "a.json")
    theirs = LVIS(str(tmp_path / "a.json"))

    for annotation in theirs.load_anns():
        assert annotation["bbox"] == [10, 5, 20, 10] and annotation["area"] == 200
        mask = theirs.ann_to_mask(annotation)
        assert mask[5:15, 10:30].all() and mask.sum() == 200
    ids = {category["name"]: category["id"] for category in theirs.load_cats(None)}
    first, second = theirs.load_imgs([1, 2])
    assert first["neg_category_ids"] == [ids["elk"]]
    assert second["neg_category_ids"] == list(ids.values())
    counted = theirs.cats[ids["cat"]]
    assert [counted[k] for k in ("frequency", "image_count", "instance_count")] == ["r", 1, 1]


def test_images_are_called_by_their_address_and_what_was_checked_is_kept(tmp_path):
    content = {
        "images": [
            {"id": 397133, "width": 640, "height": 427, "neg_category_ids": [2],
             "coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg",
             "not_exhaustive_category_ids": [1]}
        ],
        "categories": [{"id": 1, "name": "aerosol_can", "frequency": "c"},
                       {"id": 2, "name": "zebra", "frequency": "f"}],
        "annotations": [{"id": 1, "image_id": 397133, "category_id": 1, "area": 8.0,
                         "bbox": [1, 2, 4, 4], "segmentation": [[1, 2, 5, 2, 5, 6]]}],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(content))
    read = nba.read(tmp_path / "a.json")

    assert read.images.index.tolist() == ["val2017/000000397133.jpg"]
    assert read.images[CHECKED].iloc[0].tolist() == [[2], [1]]
    assert read.labels.iloc[0]["kind"] == "polygon"
    assert read.labels.iloc[0]["source"] == "import:lvis"
    read.to_lvis(tmp_path / "b.json", extras=False)
    image = json.loads((tmp_path / "b.json").read_text())["images"][0]
    assert [image[column] for column in CHECKED] == [[2], [1]]


def test_a_box_without_extras_is_said_to_become_an_outline(tmp_path):
    labels = pd.DataFrame({"image": ["a"], "label": "x", "x": 1, "y": 1, "width": 2, "height": 2})
    images = pd.DataFrame({"width": 9, "height": 9}, index=["a"])
    report = Dataset(labels, images).to_lvis(tmp_path / "a.json", extras=False)
    assert report.lost == {"boxes as such (others see their corners as outlines)": 1}
    (shape,) = nba.read(tmp_path / "a.json").labels["geometry"]
    np.testing.assert_array_equal(shape, [[[1, 1], [3, 1], [3, 3], [1, 3]]])


def test_bad_files_are_told(tmp_path):
    with pytest.raises(FormatError, match=r"ends in \.json"):
        everything().to_lvis(tmp_path / "folder")
    content = {"images": [{"id": 1, "neg_category_ids": []}], "categories": [], "annotations": []}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"images\[0\]: file_name '.*' is empty"):
        nba.read(tmp_path / "a.json")

"""Cityscapes: polygons to and fro, pictures of them by the book, what its own scripts read."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import name2label
from hypothesis import HealthCheck, given, settings
from PIL import Image

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import cityscapes
from nbannotate.formats.cityscapes.classes import COLOURS, INSTANCES, OFFICIAL
from tests.formats.samples import assert_alike, save_image, shape_datasets

many = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SAMPLE = {
    "imgHeight": 480,
    "imgWidth": 640,
    "objects": [
        {"label": "car", "polygon": [[10, 20], [100, 20], [80, 90], [20, 80]]},
        {"label": "persongroup", "polygon": [[200, 100], [250, 120], [230, 180]]},
        {"label": "mystery-object", "polygon": [[300, 200], [360, 210], [350, 260]]},
        {"label": "truck", "deleted": True, "polygon": [[4, 1], [4, 6], [6, 6]]},
    ],
}


def test_the_classes_are_those_of_its_scripts():
    for name, number in OFFICIAL.items():
        label = name2label[name]
        assert (label.id, label.hasInstances) == (number, number in INSTANCES)
        if number >= 0:
            assert bytes.fromhex(COLOURS[number][1:]) == bytes(label.color)
    assert len(OFFICIAL) == 35


@many
@given(dataset=shape_datasets())
def test_any_polygons_and_boxes_come_back(tmp_path, dataset):
    dataset.to_cityscapes(tmp_path / "out", copy="none", overwrite=True)
    mine = dataset.labels[dataset.labels["kind"].isin(cityscapes.KINDS)]
    assert_alike(nba.read(tmp_path / "out"), Dataset(mine, dataset.images, dataset.schema))


def test_files_of_others_are_read(tmp_path):
    folder = tmp_path / "gtFine/val/bonn"
    folder.mkdir(parents=True)
    (folder / "bonn_1_gtFine_polygons.json").write_text(json.dumps(SAMPLE))
    save_image(tmp_path / "leftImg8bit/val/bonn/bonn_1_leftImg8bit.png", (640, 480))
    read = nba.read(tmp_path)

    assert read.images.index.tolist() == ["leftImg8bit/val/bonn/bonn_1_leftImg8bit.png"]
    assert read.images["split"].tolist() == ["val"]
    assert read.labels["label"].tolist() == ["car", "person", "mystery-object"]
    assert read.labels["attributes"].tolist() == [{}, {"group": True}, {}]
    alone = nba.read(folder / "bonn_1_gtFine_polygons.json")
    assert alone.labels[["x", "y", "width", "height"]].iloc[0].tolist() == [10, 20, 90, 70]


def test_its_scripts_read_the_same_and_pictures_are_by_the_book(tmp_path):
    labels = pd.DataFrame({"image": "a.jpg", "label": ["road", "car", "car", "person"],
                           "x": [0, 2, 12, 20], "y": [0, 2, 2, 2], "width": [30, 4, 4, 4],
                           "height": [20, 5, 5, 5]})  # fmt: skip
    labels["attributes"] = [{}, {}, {}, {"group": True}]
    images = pd.DataFrame({"width": [30], "height": [20], "status": "done"}, index=["a.jpg"])
    save_image(tmp_path / "src/a.jpg", (30, 20))
    schema = Schema(["car", "person", "road"], attributes={"group": bool})
    report = Dataset(labels, images, schema).to_cityscapes(
        tmp_path / "out", root=tmp_path / "src", extras=False
    )
    assert report.lost == {
        "labels' attributes": 1,
        "boxes and masks as such (their outlines are written)": 4,
    }
    start = tmp_path / "out/gtFine/train/all/a_gtFine"
    theirs = Annotation()
    theirs.fromJsonFile(f"{start}_polygons.json")
    assert (theirs.imgWidth, theirs.imgHeight) == (30, 20)
    assert [item.label for item in theirs.objects] == ["road", "car", "car", "persongroup"]
    assert [tuple(p) for p in theirs.objects[1].polygon] == [(2, 2), (6, 2), (6, 7), (2, 7)]
    classes = np.asarray(Image.open(f"{start}_labelIds.png"))
    instances = np.asarray(Image.open(f"{start}_instanceIds.png"))
    colours = np.asarray(Image.open(f"{start}_color.png"))
    assert np.unique(classes).tolist() == [7, 24, 26]
    assert np.unique(instances).tolist() == [7, 24, 26000, 26001]
    assert (instances[2:7, 12:16] == 26001).all() and (classes == 26).sum() == 40
    assert tuple(colours[3, 3]) == name2label["car"].color
    assert (tmp_path / "out/leftImg8bit/train/all/a_leftImg8bit.png").is_file()
    back = nba.read(tmp_path / "out")
    assert back.images["path"].str.endswith("a_leftImg8bit.png").all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"polygon": [[1, 2], [3, 4]]}, r"objects\[0\]\.polygon: is no polygon of 3"),
        ({"label": " "}, r"objects\[0\]: has no label"),
        ({"polygon": [[1, 2, 3]]}, r"objects\[0\]\.polygon\[0\]: expected `array`"),
    ],
)
def test_bad_files_are_told(tmp_path, change, why):
    content = SAMPLE | {"objects": [SAMPLE["objects"][0] | change, SAMPLE["objects"][1]]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=why):
        cityscapes.read(tmp_path / "a.json")
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(cityscapes.read(tmp_path / "a.json", on_error="skip")) == 1

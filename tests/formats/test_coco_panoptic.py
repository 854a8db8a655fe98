"""COCO panoptic: pixels by the book, whole shapes for ourselves, what datumaro reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels
from nbannotate.errors import FormatError
from nbannotate.formats import coco_panoptic
from tests.formats.readers import run
from tests.formats.samples import (
    assert_alike,
    everything,
    filled,
    layers,
    save_image,
    shape_datasets,
)

many = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_round_trip_is_exact_for_what_covers_pixels(tmp_path):
    dataset = everything()
    dataset.images["split"] = None
    report = dataset.to_coco_panoptic(tmp_path / "out", copy="none", only="all")

    assert_alike(nba.read(tmp_path / "out"), filled(dataset))
    assert report.lost == {
        "keypoints labels, for which COCO panoptic has no place": 1,
        "tag labels, for which COCO panoptic has no place": 2,
        "text labels, for which COCO panoptic has no place": 2,
    }


@many
@given(dataset=shape_datasets())
def test_any_filled_shapes_come_back(tmp_path, dataset):
    dataset.to_coco_panoptic(tmp_path / "out", copy="none", overwrite=True)
    assert_alike(nba.read(tmp_path / "out"), filled(dataset))


@pytest.fixture
def plain(tmp_path) -> Path:
    for name in ("a.jpg", "no.jpg"):
        save_image(tmp_path / "src" / name, (30, 20))
    report = layers().to_coco_panoptic(
        tmp_path / "out", root=tmp_path / "src", extras=False, stuff=["road"]
    )
    assert report.lost == {
        "labels with pixels that a later label covers": 1,
        "outlines of shapes (their pixels are written)": 2,
    }
    return tmp_path / "out"


def test_pixels_and_rows_are_coco_s(plain):
    content = json.loads((plain / "annotations/panoptic.json").read_text())
    first, second = content["annotations"]
    pixels = np.asarray(Image.open(plain / "annotations/panoptic" / first["file_name"])).astype(int)
    numbers = pixels[:, :, 0] + 256 * pixels[:, :, 1] + 256**2 * pixels[:, :, 2]

    assert [s["area"] for s in first["segments_info"]] == [160 - 24, 24, 14]
    assert [s["bbox"] for s in first["segments_info"]] == [
        [2, 3, 16, 10], [5, 5, 6, 4], [20, 12, 5, 3],
    ]  # fmt: skip
    for segment in first["segments_info"]:
        assert (numbers == segment["id"]).sum() == segment["area"]
    assert second["segments_info"] == []
    assert {c["name"]: c["isthing"] for c in content["categories"]} == {
        "car": 1, "road": 0, "tree": 1,
    }  # fmt: skip
    back = nba.read(plain)
    assert back.images["status"].tolist() == ["done", "done"]
    assert back.labels["kind"].tolist() == ["mask"] * 3
    assert back.labels["attributes"].tolist() == [{"isthing": False}, {}, {}]
    again = back.to_coco_panoptic(plain.parent / "again", copy="none", extras=False)
    assert set(again.lost) == {"labels' attributes", "labels' source"}
    other = plain.parent / "again/annotations/panoptic.json"
    assert json.loads(other.read_text()) == content


def test_datumaro_reads_the_same(plain):
    (plain / "annotations/panoptic.json").rename(plain / "annotations/panoptic_train.json")
    (plain / "annotations/panoptic").rename(plain / "annotations/panoptic_train")
    theirs = run(
        """
import json, sys
import numpy as np
import datumaro as dm
data = dm.Dataset.import_from(sys.argv[1], "coco_panoptic")
names = [c.name for c in data.categories()[dm.AnnotationType.label]]
print(json.dumps({item.id: [[names[a.label], np.argwhere(a.image).tolist()]
                            for a in item.annotations] for item in data}))
""",
        plain,
    )
    ours = nba.read(plain)
    assert ours.images["split"].tolist() == ["train", "train"]
    for key, rows in theirs.items():
        mine = ours.labels[ours.labels["image"].eq(f"{key}.jpg")]
        pixels = [np.argwhere(mask_pixels(shape)).tolist() for shape in mine["geometry"]]
        assert rows == [list(row) for row in zip(mine["label"], pixels, strict=True)]
    assert sorted(theirs) == ["a", "no"]


def test_splits_have_files_of_their_own(tmp_path):
    dataset = layers()
    dataset.images["split"] = ["train", "val"]
    dataset.to_coco_panoptic(tmp_path / "out", copy="none")
    assert sorted(file.name for file in (tmp_path / "out/annotations").glob("*.json")) == [
        "panoptic_train.json", "panoptic_val.json",
    ]  # fmt: skip
    assert nba.read(tmp_path / "out").images["split"].to_dict() == {"a.jpg": "train",
                                                                    "no.jpg": "val"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c["annotations"][0]["segments_info"][0].update(id=99), "id 99 has no pixels"),
        (lambda c: c["annotations"][0]["segments_info"][0].update(category_id=9), "category_id 9"),
        (lambda c: c["annotations"][0].update(file_name="../../../x.png"), "leads out"),
        (lambda c: c["annotations"][0].update(image_id=99), 'image_id 99 is not in "images"'),
        (lambda c: c["images"][0].update(width=31), r"the PNG has 30 × 20 pixels"),
        (lambda c: c["images"][1].update(file_name="a.jpg"), "stands twice"),
    ],
)  # fmt: skip
def test_bad_files_are_told(plain, change, why):
    file = plain / "annotations/panoptic.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=why):
        coco_panoptic.read(file)
    with pytest.warns(UserWarning, match="left out"):
        assert isinstance(coco_panoptic.read(file, on_error="skip"), Dataset)

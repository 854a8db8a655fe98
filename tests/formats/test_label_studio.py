"""Label Studio: percent and turns, tasks, and what its own converter makes of ours."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels, mask_rle
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import label_studio
from nbannotate.formats.label_studio import brush
from tests.formats import readers
from tests.formats.samples import assert_alike, everything, shape_datasets


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def result(kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": kind, "from_name": "box", "to_name": "image", "value": value,
        "original_width": 200, "original_height": 100,
    } | more  # fmt: skip


def box(label: str = "cat", **value: Any) -> dict[str, Any]:
    place = {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": [label]}
    return result("rectanglelabels", place | value)


def task(*results: Any, **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": list(results)}]} | more


def test_round_trip_keeps_every_row(tmp_path):
    dataset = everything()
    report = dataset.write(tmp_path / "a.json", format="label_studio", only="all")

    back = nba.read(tmp_path / "a.json")
    assert_alike(back, dataset)
    columns = ["text", "score", "source", "annotator", "frame", "seconds", "created"]
    pd.testing.assert_frame_equal(
        back.labels.loc[dataset.labels.index, columns], dataset.labels[columns]
    )
    pd.testing.assert_frame_equal(back.images.loc[dataset.images.index], dataset.images)
    assert report.lost == {} and report.labels == len(dataset.labels)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_label_studio(tmp_path / "a.json")
    assert_alike(label_studio.read(tmp_path / "a.json"), dataset)


def test_places_are_percent_and_turns_are_about_the_corner_in_pixels(tmp_path):
    # A quarter turn clockwise: what was 60 wide stands 60 high, left of its corner.
    read = nba.read(save(tmp_path / "a.json", [task(box(), box(rotation=90))]))

    plain, turned = read.labels.to_dict("records")
    assert [plain[side] for side in ("x", "y", "width", "height")] == [20, 20, 60, 40]
    assert turned["kind"] == "rotated_box"
    assert turned["geometry"] == pytest.approx([0, 50, 60, 40, math.pi / 2])
    assert [turned[side] for side in ("x", "y", "width", "height")] == pytest.approx(
        [-20, 20, 40, 60]
    )

    read.to_label_studio(tmp_path / "b.json", extras=False)
    [again] = json.loads((tmp_path / "b.json").read_text())
    values = [one["value"] for one in again["annotations"][0]["result"]]
    for value, turn in zip(values, (0, 90), strict=True):
        numbers = [value[name] for name in ("x", "y", "width", "height", "rotation")]
        assert numbers == pytest.approx([10, 20, 30, 40, turn])


def test_its_own_converter_reads_the_same(tmp_path):
    labels = pd.DataFrame({"image": ["a.jpg", "a.jpg", "b.jpg"], "label": ["cat", "dog", "cat"]})
    labels["kind"] = ["box", "polygon", "box"]
    triangle = [[1.0, 2.0], [31.0, 2.0], [1.0, 22.5]]
    labels["geometry"] = pd.Series([None, [triangle], None], dtype=object)
    labels[["x", "y", "width", "height"]] = [[5.5, 6, 20, 10], [1, 2, 30, 20.5], [0, 0, 9, 9]]
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, ["a.jpg", "b.jpg"])
    Dataset(labels, images, Schema(classes=["cat", "dog"])).to_label_studio(tmp_path / "a.json")

    found = readers.run(
        """
import json, sys
from label_studio_sdk.converter import Converter
tasks, config, out = sys.argv[1:]
Converter(open(config).read(), project_dir=None, download_resources=False).convert_to_coco(
    tasks, out, is_dir=False)
print(json.dumps(json.load(open(out + "/result.json"))))
""",
        tmp_path / "a.json", tmp_path / "a.config.xml", tmp_path / "coco",
    )  # fmt: skip

    names = {c["id"]: c["name"] for c in found["categories"]}
    rows = [(names[one["category_id"]], one["bbox"]) for one in found["annotations"]]
    assert [name for name, _ in rows] == ["cat", "dog", "cat"]
    np.testing.assert_allclose([b for _, b in rows], labels[["x", "y", "width", "height"]])
    flat = [value for point in triangle for value in point]
    np.testing.assert_allclose(found["annotations"][1]["segmentation"], [flat])


@given(st.integers(1, 30), st.integers(1, 30), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_masks_are_packed_and_unpacked(width, height, random):
    runs = np.array([random.random() < 0.3 for _ in range(width * height)])
    pixels = runs.reshape(height, width)
    assert (brush.decode(brush.encode(pixels), width, height) == pixels).all()


def test_its_own_packer_and_ours_agree():
    pixels = np.zeros((40, 300), dtype=bool)
    pixels[5:30, 17:290] = True
    pixels[7] = np.arange(300) % 3 == 0
    theirs, unpacked = readers.run(
        """
import json, sys
import numpy as np
from label_studio_sdk.converter import brush
mask = np.array(json.loads(sys.argv[1]), dtype=np.uint8) * 255
ours = json.loads(sys.argv[2])
alpha = np.reshape(brush.decode_rle(ours), (*mask.shape, 4))[:, :, 3]
print(json.dumps([brush.mask2rle(mask), alpha.tolist()]))
""",
        json.dumps(pixels.astype(int).tolist()), json.dumps(brush.encode(pixels)),
    )  # fmt: skip
    assert (np.array(unpacked) == pixels * 255).all()
    assert (brush.decode(theirs, 300, 40) == pixels).all()


def test_all_that_people_said_is_read(tmp_path):
    content = [
        {"id": 1, "data": {"image": "/data/upload/1/a.jpg"}, "annotations": [
            {"result": [box()], "completed_by": {"email": "ana@example.org"}},
            {"result": [box("dog")], "completed_by": 7},
            {"result": [box("cow")], "was_cancelled": True},
        ], "predictions": [{"result": [box("cat") | {"score": 0.5}], "model_version": "m"}]},
        {"id": 2, "data": {"image": "/data/local-files/?d=set/b%20c.jpg"}, "annotations": []},
        {"id": 3, "data": {"image": "s3://x/c.jpg"},
         "annotations": [{"result": [], "was_cancelled": True}]},
        {"id": 4, "data": {"photo": "d.jpg"}, "completions": [{"result": []}]},
    ]  # fmt: skip
    read = nba.read(save(tmp_path / "a.json", content))

    assert read.images["status"].to_dict() == {
        "upload/1/a.jpg": "done", "set/b c.jpg": "todo", "s3://x/c.jpg": "skipped", "d.jpg": "done",
    }  # fmt: skip
    rows = read.labels[["label", "annotator", "source", "score"]].astype(object)
    assert rows.where(rows.notna(), None).to_numpy().tolist() == [
        ["cat", "ana@example.org", "import:label_studio", None],
        ["dog", "7", "import:label_studio", None],
        ["cat", None, "model:m", 0.5],
    ]
    assert len(nba.read_label_studio(tmp_path / "a.json", predictions=False).labels) == 2


def test_what_is_said_of_a_region_belongs_to_it(tmp_path):
    region = box() | {"id": "r1"}
    text = result("textarea", {"x": 1, "text": ["STOP"]}, id="r1", from_name="words")
    view = result("choices", {"choices": ["front"]}, id="r1", from_name="view")
    sun = result("choices", {"choices": ["sun", "dry"]}, id="x", from_name="weather")
    read = nba.read(save(tmp_path / "a.json", [task(region, text, view, sun)]))

    first = read.labels.iloc[0]
    assert (first["kind"], first["text"], first["attributes"]) == ("box", "STOP", {"view": "front"})
    assert read.labels.iloc[1:]["label"].tolist() == ["sun", "dry"]
    assert [group.name for group in read.schema.tags] == ["weather"]


def test_the_interface_names_all_that_is_in_the_file(tmp_path):
    dataset = everything()
    dataset.to_label_studio(tmp_path / "a.json")
    text = (tmp_path / "a.config.xml").read_text()

    assert '<Label value="&lt;img src=x onerror=alert(1)' in text
    assert '<Choices name="weather" toName="image" choice="single">' in text
    for control in ("RectangleLabels", "PolygonLabels", "KeyPointLabels", "BrushLabels"):
        assert control in text


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (box(width=-1), r"\[0\]\.annotations\[0\]\.result\[0\]: a rectangle of .* negative side"),
        (box() | {"original_width": None}, "original_width is None, which is no number"),
        (box(rectanglelabels=[]), "has no class; label the region"),
        (result("video", {}), "results of the type 'video' are not read"),
        (result("brushlabels", {"format": "rle", "rle": [1], "brushlabels": ["x"]}), "ends within"),
        (result("polygonlabels", {"points": [[1, 2]], "polygonlabels": ["x"]}), "has 1 points"),
    ],
)
def test_bad_results_are_told(tmp_path, one, message):
    file = save(tmp_path / "a.json", [task(one, box())])
    with pytest.raises(FormatError, match=message):
        nba.read(file)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(nba.read_label_studio(file, on_error="skip").labels) == 1


def test_masks_of_another_size_than_the_image_stay_whole(tmp_path):
    pixels = np.eye(8, dtype=bool)
    labels = pd.DataFrame({"image": ["a"], "kind": "mask", "label": "cat", "x": 0.0, "y": 0.0})
    labels["width"], labels["height"] = 8.0, 8.0
    labels["geometry"] = pd.Series([mask_rle(pixels)], dtype=object)
    images = pd.DataFrame({"width": 8, "height": 8, "status": "done"}, ["a"])
    Dataset(labels, images, Schema(classes=["cat"])).to_label_studio(tmp_path / "a.json")
    [shape] = nba.read(tmp_path / "a.json").labels["geometry"]
    assert (mask_pixels(shape) == pixels).all()

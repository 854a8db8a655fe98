"""Supervisely: round trips, whole pixels and edges, holes, its own SDK, files of others."""

from __future__ import annotations

import json
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
from nbannotate.formats import supervisely
from tests.formats.readers import run
from tests.formats.samples import (
    assert_alike,
    box_datasets,
    everything,
    save_image,
    shape_datasets,
)

many = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BOX = ["x", "y", "width", "height"]


def project(folder: Path, objects: list[Any], meta: Any = None, **changes: Any) -> Path:
    """A project with one file, as the SDK downloads it."""
    content = {
        "description": "",
        "tags": [],
        "size": {"width": 60, "height": 40},
        "objects": objects,
    }
    (folder / "ds/ann").mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").write_text(json.dumps(meta or {"classes": [], "tags": []}))
    (folder / "ds/ann/a.jpg.json").write_text(json.dumps(content | changes))
    return folder


def shape(kind: str, exterior: list[Any], *holes: list[Any], **more: Any) -> dict[str, Any]:
    points = {"exterior": exterior, "interior": list(holes)}
    return {"classTitle": "cat", "geometryType": kind, "tags": [], "points": points} | more


def test_round_trip_keeps_everything(tmp_path):
    dataset = everything()

    report = dataset.to_supervisely(tmp_path / "out", copy="none", only="all")

    back = nba.read(tmp_path / "out")
    assert_alike(back, dataset)
    placed = [*BOX, "geometry"]
    pd.testing.assert_frame_equal(
        back.labels.loc[dataset.labels.index].drop(columns=placed),
        dataset.labels.drop(columns=placed),
    )
    assert report.lost == {} and report.labels == len(dataset) and report.images == 5


def test_without_extras_all_that_is_lost_is_counted(tmp_path):
    report = everything().to_supervisely(tmp_path / "out", copy="none", extras=False)

    assert report.lost == {
        "images not reviewed": 1,
        "labels' score": 8,
        "labels' frame": 6,
        "labels' seconds": 29,
        "labels' source": 8,
        "images' seconds": 1,
        "images' updated": 4,
        "images' unsure": 1,
        "images' status": 1,
        "labels' attributes": 1,  # a text's
    }
    back = nba.read(tmp_path / "out")
    wanted = everything().labels
    assert back.labels["kind"].value_counts().to_dict() == wanted["kind"].value_counts().to_dict()
    assert sorted(back.labels["annotator"].dropna()) == sorted(wanted["annotator"].dropna())
    assert back.labels["created"].notna().all()
    boxes = back.labels[back.labels["kind"].eq("box")]
    assert boxes["attributes"].tolist()[::3] == [
        {"occluded": True, "view": "NA", "speed": 0.1}
    ] * len(boxes.iloc[::3])  # fmt: skip


@many
@given(dataset=box_datasets() | shape_datasets(), pixels=st.booleans())
def test_any_names_keys_and_shapes_come_back(tmp_path, dataset, pixels):
    dataset.to_supervisely(tmp_path / "out", copy="none", overwrite=True, pixels=pixels)

    assert_alike(nba.read(tmp_path / "out"), dataset)


def test_whole_pixels_edges_and_what_tells_them(tmp_path):
    square = shape("rectangle", [[10, 20], [29, 39]])
    assert nba.read(project(tmp_path / "a", [square])).labels[BOX].to_numpy().tolist() == [
        [10, 20, 20, 20]
    ]
    edges = shape("rectangle", [[10, 20], [29.5, 39]])
    assert nba.read(project(tmp_path / "b", [edges])).labels[BOX].to_numpy().tolist() == [
        [10, 20, 19.5, 19]
    ]
    nested = square | {"points": None, "geometry": {"points": square["points"]}}
    assert nba.read(project(tmp_path / "c", [nested])).labels[BOX].to_numpy().tolist() == [
        [10, 20, 19, 19]
    ]
    read = supervisely.read(tmp_path / "a", pixels=False)
    assert read.labels[BOX].to_numpy().tolist() == [[10, 20, 19, 19]]
    line = nba.read(project(tmp_path / "d", [shape("line", [[1, 2], [3, 4]])]))
    assert line.labels["geometry"].tolist() == [[[1.5, 2.5], [3.5, 4.5]]]


def test_holes_make_a_mask_and_instances_join(tmp_path):
    outer = [[10, 10], [29, 10], [29, 29], [10, 29]]
    hole = [[15, 15], [20, 15], [20, 20], [15, 20]]
    triangle = [[0, 0], [4, 0], [0, 4]]
    objects = [
        shape("polygon", outer, hole),
        shape("polygon", triangle, instance="one"),
        shape("polygon", outer, instance="one"),
        shape("polygon", triangle, instance="alone"),
        {"classTitle": "cat", "geometryType": "multipolygon", "tags": [],
         "parts": [{"exterior": triangle, "interior": []}, {"exterior": outer}]},
    ]  # fmt: skip
    labels = supervisely.read(project(tmp_path, objects), pixels=False).labels

    assert labels["kind"].tolist() == ["mask", "polygon", "polygon", "polygon"]
    pixels = mask_pixels(labels["geometry"].iloc[0])
    assert pixels.sum() == 19 * 19 - 5 * 5 and not pixels[15:20, 15:20].any()
    assert [len(rings) for rings in labels["geometry"].iloc[1:]] == [2, 1, 2]


def test_tags_become_tags_texts_and_attributes(tmp_path):
    meta = {
        "classes": [{"title": "cat", "shape": "any"}, {"title": "unused", "shape": "any"}],
        "tags": [
            {"name": "weather", "value_type": "oneof_string", "values": ["sun", "rain"]},
            {"name": "night", "value_type": "none"},
            {"name": "caption", "value_type": "any_string"},
            {"name": "hidden", "value_type": "none", "applicable_type": "objectsOnly"},
        ],
    }
    tags = [{"name": "weather", "value": "rain", "labelerLogin": "ann"}, "night",
            {"name": "caption", "value": "a cat"}]  # fmt: skip
    cat = shape("point", [[3, 4]], tags=[{"name": "hidden"}, {"name": "age", "value": 3}])
    dataset = nba.read(project(tmp_path, [cat], meta, tags=tags, description="seen"))

    found = dataset.labels
    assert found["kind"].tolist() == ["tag", "tag", "text", "keypoints"]
    assert found["label"].tolist() == ["rain", "night", "caption", "cat"]
    assert found["text"].iloc[2] == "a cat" and found["annotator"].iloc[0] == "ann"
    assert found["attributes"].iloc[3] == {"hidden": True, "age": 3}
    assert {group.name: group.multiple for group in dataset.schema.tags} == {
        "weather": False, "tag": True
    }  # fmt: skip
    assert [c.name for c in dataset.schema.classes] == ["cat", "unused"]
    assert dataset.images["note"].tolist() == ["seen"]


def test_pictures_go_along_and_splits_are_data_sets(tmp_path):
    keys = ["a/1.jpg", "b.png"]
    for key in keys:
        save_image(tmp_path / "src" / key)
    labels = pd.DataFrame({"image": keys, "label": "c", "x": 1, "y": 2, "width": 3, "height": 4})
    dataset = Dataset(labels, pd.DataFrame({"status": "done"}, index=keys))
    dataset.to_supervisely(tmp_path / "out", root=tmp_path / "src", split=(0.5, 0.5))

    back = nba.read(tmp_path / "out")
    assert set(back.images.index) == set(keys) and set(back.images["split"]) == {"train", "val"}
    assert all(Path(where).is_file() for where in back.images["path"])
    names = {p.parent.name + "/" + p.name for p in (tmp_path / "out").glob("*/img/*")}
    assert names == {"img/a__1.jpg", "img/b.png"}


SDK = """
import json, sys
from pathlib import Path
import supervisely as sly
folder = Path(sys.argv[1])
meta = sly.ProjectMeta.from_json(json.loads((folder / "meta.json").read_text()))
found = {}
for file in sorted(folder.glob("*/ann/*.json")):
    ann = sly.Annotation.load_json_file(str(file), meta)
    rows = []
    for label in ann.labels:
        box = label.geometry.to_bbox()
        area = int(label.geometry.area) if label.geometry.geometry_name() == "bitmap" else None
        tags = {tag.name: tag.value for tag in label.tags}
        rows.append([label.obj_class.name, label.geometry.geometry_name(), box.left, box.top,
                     box.right, box.bottom, area, tags])
    found[file.name] = [list(ann.img_size), rows, {t.name: t.value for t in ann.img_tags}]
print(json.dumps(found))
"""


def test_its_sdk_reads_the_same(tmp_path):
    pixels = np.zeros((20, 30), dtype=bool)
    pixels[12:15, 20:25] = True
    pixels[13, 22] = False
    mask = mask_rle(pixels)
    rows = [
        ("box", [2.0, 3, 16, 10], None),
        ("polygon", [5.0, 5, 6, 4], [[[5.0, 5.0], [11.0, 5.0], [11.0, 9.0]]]),
        ("mask", [20.0, 12, 5, 3], mask),
        ("polyline", [1.0, 2, 8, 5], [[1.0, 2.0], [9.0, 7.0]]),
        ("keypoints", [4.0, 6, 9, 1], [[4.0, 6.0, 2], [0.0, 0.0, 0], [13.0, 7.0, 1]]),
        ("rotated_box", [5.0, 5, 10, 6], [10.0, 8.0, 10.0, 6.0, 0.0]),
    ]
    labels = pd.DataFrame(
        [("a.jpg", kind, f"no {i}", *box) for i, (kind, box, _) in enumerate(rows)],
        columns=["image", "kind", "label", *BOX],
    )
    labels["geometry"] = pd.Series([geometry for *_, geometry in rows], dtype=object)
    labels["attributes"] = [{"occluded": True, "speed": 4.0}, *([{}] * 5)]
    tag = pd.DataFrame({"image": ["a.jpg"], "kind": "tag", "label": "sun"})
    schema = Schema(
        [f"no {i}" for i in range(6)],
        tags={"weather": ["sun", "rain"]},
        attributes={"occluded": bool, "speed": float},
    )
    images = pd.DataFrame({"width": [30], "height": [20], "status": "done"}, index=["a.jpg"])
    dataset = Dataset(pd.concat([labels, tag], ignore_index=True), images, schema)
    dataset.to_supervisely(tmp_path / "out", copy="none")

    [[size, found, tags]] = run(SDK, tmp_path / "out", environment="supervisely").values()

    assert size == [20, 30] and tags == {"weather": "sun"}
    assert found == [
        ["no 0", "rectangle", 2, 3, 17, 12, None, {"occluded": "true", "speed": 4.0}],
        ["no 1", "polygon", 4, 4, 10, 8, None, {}],
        ["no 2", "bitmap", 20, 12, 24, 14, 14, {}],
        ["no 3", "line", 0, 1, 8, 6, None, {}],
        ["no 4", "graph", 3, 5, 12, 6, None, {}],
        ["no 5", "oriented_bbox", 5, 5, 14, 10, None, {}],
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"classTitle": " "}, r"a\.jpg\.json, objects\[0\]: its classTitle is empty"),
        ({"geometryType": "cuboid"}, r"objects\[0\]: geometryType 'cuboid'"),
        ({"points": {"exterior": [[1, 2]]}}, r"objects\[0\]: it has 1 points and needs 2"),
        ({"geometryType": "bitmap"}, r"objects\[0\]: it has no bitmap"),
        ({"geometryType": "bitmap", "bitmap": {"data": "AAAA", "origin": [0, 0]}}, "decompress"),
        ({"geometryType": "graph"}, r"objects\[0\]: the graph has no nodes"),
        ({"points": 7}, r"objects\[0\]\.points: expected"),
    ],
)
def test_bad_objects_are_told(tmp_path, change, why):
    good = shape("rectangle", [[10, 20], [29, 39]])
    project(tmp_path, [good | change, good])
    with pytest.raises(FormatError, match=why):
        supervisely.read(tmp_path)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(supervisely.read(tmp_path, on_error="skip")) == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [("{", "is not JSON"), ('{"tags": []}', "size"), ("[]", "expected `object`")],
)
def test_bad_files_are_told(tmp_path, content, why):
    project(tmp_path, [])
    (tmp_path / "ds/ann/a.jpg.json").write_text(content)
    with pytest.raises(FormatError, match=why):
        supervisely.read(tmp_path)

"""DOTA: corners to the letter, what datumaro and ultralytics make of them, and files of others."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import dota
from tests.formats.readers import run
from tests.formats.samples import box_datasets, everything, save_image

BOX = ["x", "y", "width", "height"]
SQUARE = "1 2 11 2 11 12 1 12"


def turned(image: str, label: str, *box: float) -> dict[str, object]:
    """A row with a rotated box."""
    corners = rotated_corners(np.array([box]))[0]
    (x, y), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return {"image": image, "kind": "rotated_box", "label": label, "x": x, "y": y,
            "width": right - x, "height": bottom - y, "geometry": list(box)}  # fmt: skip


def foreign(folder: Path, text: str | bytes) -> Path:
    """Somebody's data set of one image."""
    (folder / "labelTxt").mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "labelTxt/P0001.txt").write_bytes(data)
    save_image(folder / "images/P0001.png")
    return folder


def test_lines_are_written_to_the_letter(tmp_path):
    rows = [
        turned("a.png", "large vehicle", 20, 10, 8, 4, math.pi / 2),
        {"image": "a.png", "kind": "box", "label": "ship", "x": 1, "y": 2.5, "width": 3,
         "height": 4},
        {"image": "a.png", "kind": "polygon", "label": "ship", "x": 0, "y": 0, "width": 9,
         "height": 9, "geometry": [[0, 0], [9, 1], [8, 9], [1, 7]]},
    ]  # fmt: skip
    labels = pd.DataFrame(rows)
    labels["attributes"] = [{"difficult": True}, {}, {"difficult": False}]
    images = pd.DataFrame(
        {"status": "done", "imagesource": ["GoogleEarth", None], "gsd": [0.5, np.nan]},
        index=["a.png", "empty.png"],
    )

    report = Dataset(labels, images).to_dota(tmp_path / "d", copy="none")

    assert (tmp_path / "d/train/labelTxt/a.txt").read_text() == (
        "imagesource:GoogleEarth\ngsd:0.5\n"
        "22 6 22 14 18 14 18 6 large_vehicle 1\n"
        "1 2.5 4 2.5 4 6.5 1 6.5 ship 0\n"
        "0 0 9 1 8 9 1 7 ship 0\n"
    )
    assert (tmp_path / "d/train/labelTxt/empty.txt").read_text() == ""
    assert report.lost == {} and "1 boxes are oriented boxes of angle 0" in str(report)
    back = registry.read(tmp_path / "d")
    assert back.images.loc["a.png", ["imagesource", "gsd"]].tolist() == ["GoogleEarth", 0.5]
    assert back.images.loc["empty.png", "status"] == "done"
    assert back.schema.classes == Dataset(labels).schema.classes


@st.composite
def rotated_datasets(draw: st.DrawFn) -> Dataset:
    """Rotated boxes, and polygons that are no rectangles, where the boxes of others were."""
    dataset = draw(box_datasets())
    rows = []
    for row in dataset.labels.itertuples():
        if draw(st.booleans()):
            angle = draw(st.floats(-3.1, 3.1))
            rows.append(turned(row.image, row.label, row.x + 50, row.y, row.width + 1,
                               row.height + 1, angle))  # fmt: skip
        else:
            x, y, w, h = row.x, row.y, row.width + 1.1, row.height + 1.1
            ring = [[x, y], [x + w, y], [x + w / 2, y + h], [x, y + h / 2]]
            rows.append({"image": row.image, "kind": "polygon", "label": row.label, "x": x, "y": y,
                         "width": w, "height": h, "geometry": [ring]})  # fmt: skip
    labels = pd.DataFrame(rows) if rows else dataset.labels
    labels["attributes"] = [{"difficult": draw(st.booleans())} for _ in range(len(labels))]
    schema = Schema(dataset.schema.classes, attributes={"difficult": bool})
    return Dataset(labels, dataset.images, schema)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=rotated_datasets())
def test_any_names_keys_and_shapes_come_back(tmp_path, dataset):
    report = dataset.to_dota(tmp_path / "d", copy="none", overwrite=True)

    back = registry.read(tmp_path / "d", format="dota")
    assert report.lost == {} and back.schema == dataset.schema
    assert set(back.images.index) == set(dataset.images.index)
    for key in dataset.images.index:
        got, wanted = (d.labels[d.labels["image"] == key] for d in (back, dataset))
        for column in ("label", "kind", "attributes"):
            assert got[column].tolist() == wanted[column].tolist()
        for one, two in zip(got["geometry"], wanted["geometry"], strict=True):
            np.testing.assert_allclose(one, two, atol=3e-5, rtol=0)
        np.testing.assert_allclose(got[BOX], wanted[BOX], atol=3e-5, rtol=0)


def test_what_is_left_out_is_named(tmp_path):
    dataset = everything()
    dataset.images["split"] = None

    report = dataset.to_dota(tmp_path / "d", copy="none")

    assert report.lost == {
        "tag labels, for which DOTA has no place": 2,
        "text labels, for which DOTA has no place": 2,
        "images not reviewed": 1,
        "labels' score": 7, "labels' frame": 5, "labels' annotator": 12, "labels' seconds": 25,
        "labels' created": 25, "labels' source": 7, "images' note": 3, "images' seconds": 1,
        "images' updated": 4, "images' unsure": 1, "images' status": 1,
        "polygon shapes (their bounding boxes are written)": 2,
        "keypoints shapes (their bounding boxes are written)": 1,
        "mask shapes (their bounding boxes are written)": 1,
        "attribute 'occluded' without a column of DOTA": 9,
        "attribute 'view' without a column of DOTA": 9,
        "attribute 'speed' without a column of DOTA": 9,
    }  # fmt: skip


# --- consumers ---


def for_consumers(folder: Path) -> Dataset:
    for key in ("sub/a.png", "b.png"):
        save_image(folder / key)
    # datumaro wants the same classes in all splits.
    labels = pd.DataFrame(
        [
            turned("sub/a.png", "plane", 20, 12, 16, 6, 0.5),
            turned("sub/a.png", "ship", 40, 12, 6, 5, 3),
            turned("b.png", "plane", 20, 20, 7, 5, 0),
            turned("b.png", "ship", 30, 20, 9, 5, -1.2),
        ]
    )
    labels["attributes"] = [{"difficult": True}, {}, {}, {}]
    images = pd.DataFrame(
        {"status": "done", "split": ["train", "val"]}, index=["sub/a.png", "b.png"]
    )
    return Dataset(labels, images)


DATUMARO = """
import json, sys
from datumaro import Dataset
found = Dataset.import_from(sys.argv[1], "dota")
names = [label.name for label in found.categories()[next(iter(found.categories()))].items]
print(json.dumps(sorted([item.subset, item.id, names[a.label], a.attributes["difficulty"],
                         [list(p) for p in a.as_polygon()]]
                 for item in found for a in item.annotations)))
"""


def test_datumaro_reads_the_same_corners(tmp_path):
    dataset = for_consumers(tmp_path / "src")
    dataset.to_dota(tmp_path / "d", root=tmp_path / "src")

    rows = run(DATUMARO, tmp_path / "d")

    assert [row[:4] for row in rows] == [
        ["train", "sub__a", "plane", 1], ["train", "sub__a", "ship", 0],
        ["val", "b", "plane", 0], ["val", "b", "ship", 0],
    ]  # fmt: skip
    for row, box in zip(rows, dataset.labels["geometry"], strict=True):
        wanted = rotated_corners(np.array([box]))[0]
        # It names another corner first.
        found = np.array(row[4])
        gaps = np.abs(found[:, None] - wanted[None]).max(axis=2)
        assert sorted(gaps.argmin(axis=1).tolist()) == [0, 1, 2, 3]
        assert gaps.min(axis=1).max() < 0.01


def test_ultralytics_converts_the_same_corners(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", os.environ.get("YOLO_CONFIG_DIR", str(tmp_path / "cfg")))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    pytest.importorskip("ultralytics")
    from ultralytics.data.converter import convert_dota_to_yolo_obb

    dataset = for_consumers(tmp_path / "src")
    dataset.to_dota(tmp_path / "d", root=tmp_path / "src")
    for name in ("train", "val"):  # as it wants them
        shutil.copytree(tmp_path / "d" / name / "images", tmp_path / "u/images" / name)
        shutil.copytree(
            tmp_path / "d" / name / "labelTxt", tmp_path / "u/labels" / f"{name}_original"
        )

    convert_dota_to_yolo_obb(str(tmp_path / "u"))

    rows = [
        line.split()
        for file in ("train/sub__a", "val/b")
        for line in (tmp_path / "u/labels" / f"{file}.txt").read_text().splitlines()
    ]
    assert [int(row[0]) for row in rows] == [0, 1, 0, 1]
    for row, box in zip(rows, dataset.labels["geometry"], strict=True):
        corners = np.array(row[1:], dtype=float).reshape(4, 2) * [60, 40]
        np.testing.assert_allclose(corners, rotated_corners(np.array([box]))[0], atol=1e-3)


# --- files of others ---


@pytest.mark.parametrize("head", ["", "imagesource:GoogleEarth\ngsd:0.146\n", "gsd:null\n"])
def test_both_styles_of_header_are_read(tmp_path, head):
    foreign(tmp_path, f"\ufeff{head}{SQUARE} plane 1\r\n\r\n{SQUARE} small-vehicle\r\n")

    dataset = registry.read(tmp_path)

    assert dataset.labels["label"].tolist() == ["plane", "small-vehicle"]
    assert dataset.labels["attributes"].tolist() == [{"difficult": True}, {}]
    assert dataset.labels["geometry"].tolist() == [[6, 7, 10, 10, 0]] * 2
    assert dataset.labels[BOX].iloc[0].tolist() == [1, 2, 10, 10]
    assert dataset.images.index.tolist() == ["P0001.png"]
    if "0.146" in head:
        assert dataset.images.loc["P0001.png", ["imagesource", "gsd"]].tolist() == [
            "GoogleEarth", 0.146
        ]  # fmt: skip
    else:
        assert "gsd" not in dataset.images
    assert dataset.labels["source"].eq("import:dota").all() and dataset.validate().ok


def test_corners_in_whole_pixels_are_a_rectangle_within_one(tmp_path):
    # 8 × 4 at 0.6 rad, rounded; a quadrilateral; and a rectangle given the other way round.
    whole = np.round(rotated_corners(np.array([[30, 20, 20, 8, 0.6]]))[0]).ravel()
    lines = [" ".join(map(str, whole.astype(int))), "0 0 20 0 12 9 0 9", "1 2 1 12 11 12 11 2"]
    foreign(tmp_path, "".join(f"{line} c 0\n" for line in lines))

    auto, boxes, polygons = (
        dota.read(tmp_path, shape=shape).labels for shape in ("auto", "rotated_box", "polygon")
    )

    assert auto["kind"].tolist() == ["rotated_box", "polygon", "rotated_box"]
    np.testing.assert_allclose(auto["geometry"].iloc[0], [30, 20, 20, 8, 0.6], atol=1)
    assert auto["geometry"].iloc[1] == [[[0, 0], [20, 0], [12, 9], [0, 9]]]
    np.testing.assert_allclose(auto[BOX].iloc[2], [1, 2, 10, 10])
    assert boxes["kind"].eq("rotated_box").all()
    np.testing.assert_allclose(boxes[BOX].iloc[1], [0, 0, 20, 9])  # the smallest around it
    assert polygons["kind"].eq("polygon").all()
    assert polygons["geometry"].iloc[0] == [whole.reshape(4, 2).tolist()]


def test_the_folders_of_the_archives_are_found(tmp_path):
    save_image(tmp_path / "train/images/part1/P1.png")
    save_image(tmp_path / "train/images/part2/P2.png")
    folder = tmp_path / "train/labelTxt-v1.5/labelTxt"
    folder.mkdir(parents=True)
    (folder / "P1.txt").write_text(f"{SQUARE} plane 2\n")

    images = registry.read(tmp_path).images

    assert images["status"].to_dict() == {"part1/P1.png": "done", "part2/P2.png": "todo"}
    labels = registry.read(tmp_path / "train").labels
    assert labels["attributes"].tolist() == [{"difficult": 2.0}]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1 2 3 4 5 6 7 8", "has 8 columns; an object has 10"),
        (f"{SQUARE} large vehicle 0", "has 11 columns"),
        (f"x{SQUARE} plane 0", "no number"),
        (f"{SQUARE.replace('11', 'inf')} plane 0", "NaN or infinity"),
        (f"{SQUARE} plane x", "difficult is 'x'"),
    ],
)
def test_a_bad_line_is_named_or_skipped(tmp_path, line, why):
    foreign(tmp_path, f"gsd:1\n{SQUARE} plane 0\n{line}\n")

    with pytest.raises(FormatError, match=why) as caught:
        dota.read(tmp_path)
    assert caught.value.path.endswith("P0001.txt") and caught.value.where == "line 3"
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(dota.read(tmp_path, on_error="skip")) == 1


def test_wrong_shapes_and_options_are_named(tmp_path):
    row = turned("a.png", "c", 20, 10, 8, 4, 1)
    for geometry, why in (([1, 2], "rotated_box: "), ([1, 2, 3, 4, math.nan], "NaN")):
        dataset = Dataset(pd.DataFrame([row | {"geometry": geometry}]))
        with pytest.raises(FormatError, match=why):
            dataset.to_dota(tmp_path / "d", copy="none")
    with pytest.raises(FormatError, match="shape='circle'"):
        dota.read(foreign(tmp_path / "x", ""), shape="circle")
    with pytest.raises(FormatError, match="leads to no folder labelTxt"):
        dota.read(tmp_path / "x/images")

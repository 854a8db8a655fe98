"""YOLO's other tasks: outlines, oriented boxes and poses, as ultralytics reads them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats.yolo.rows import outline
from tests.formats.samples import assert_alike, save_image, shape_datasets

RING = [[6.0, 4.0], [54.0, 4.0], [30.0, 36.0]]
SHAPES: dict[str, Any] = {
    "polygon": [RING],
    "rotated_box": [30.0, 20.0, 20.0, 8.0, 0.5],
    "keypoints": [[6.0, 8.0, 2], [0.0, 0.0, 0], [12.0, 20.0, 1]],
    "box": None,
}


def one_of_each(folder: Path, kinds: list[str]) -> Dataset:
    """An image of 60 × 40 pixels for each kind, with one such label."""
    for kind in kinds:
        save_image(folder / f"{kind}.png")
    labels = pd.DataFrame({"image": [f"{kind}.png" for kind in kinds], "kind": kinds})
    labels["label"] = "dog"
    labels[["x", "y", "width", "height"]] = [6.0, 4.0, 48.0, 32.0]
    labels["geometry"] = pd.Series([SHAPES[kind] for kind in kinds], dtype=object)
    images = pd.DataFrame({"status": "done"}, index=[f"{kind}.png" for kind in kinds])
    dog = {"name": "dog", "keypoints": ["nose", "eye", "tail"]}
    return Dataset(labels, images, Schema(classes=["cat", dog]))


def numbers(file: Path) -> list[float]:
    return [float(token) for token in file.read_text().split()]


def write(tmp_path: Path, task: str, kinds: list[str]) -> nba.core.registry.WriteReport:
    dataset = one_of_each(tmp_path / "src", kinds)
    return dataset.to_yolo(tmp_path / "out", task=task, root=tmp_path / "src")


def test_outlines_are_written_as_fractions(tmp_path):
    report = write(tmp_path, "segment", ["polygon", "rotated_box", "box", "keypoints"])

    labels = tmp_path / "out/labels/train"
    assert numbers(labels / "polygon.txt") == pytest.approx([1, 0.1, 0.1, 0.9, 0.1, 0.5, 0.9])
    corners = rotated_corners(np.array([SHAPES["rotated_box"]]))[0] / [60, 40]
    assert numbers(labels / "rotated_box.txt") == pytest.approx([1, *corners.ravel()], abs=1e-7)
    box = [1, 0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9]
    assert numbers(labels / "box.txt") == pytest.approx(box)
    assert numbers(labels / "keypoints.txt") == pytest.approx(box)
    assert report.lost == {"outlines of shapes (their bounding boxes are written)": 1}


def test_poses_have_a_box_and_as_many_key_points(tmp_path):
    write(tmp_path, "pose", ["keypoints", "box"])

    assert yaml.safe_load((tmp_path / "out/data.yaml").read_text())["kpt_shape"] == [3, 3]
    labels = tmp_path / "out/labels/train"
    box = [1, 0.5, 0.5, 0.8, 0.8]
    assert numbers(labels / "keypoints.txt") == pytest.approx(
        [*box, 0.1, 0.2, 2, 0, 0, 0, 0.2, 0.5, 1]
    )
    assert numbers(labels / "box.txt") == pytest.approx([*box, *[0] * 9])


@pytest.mark.parametrize(
    ("task", "kinds"),
    [
        ("segment", ["polygon"]),
        ("obb", ["rotated_box"]),
        ("pose", ["box", "keypoints"]),
        ("detect", ["box"]),
    ],
)
def test_each_task_comes_back(tmp_path, task, kinds):
    dataset = one_of_each(tmp_path / "src", kinds)
    dataset.to_yolo(tmp_path / "out", task=task, root=tmp_path / "src")

    back = nba.read(tmp_path / "out")
    want = dataset.images.assign(width=60, height=40)
    assert_alike(back, Dataset(dataset.labels, want, dataset.schema), ids=False)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=shape_datasets())
def test_every_shape_gets_a_row_that_ultralytics_keeps(tmp_path, dataset):
    labels = dataset.labels
    wide = labels["width"].gt(0) & labels["height"].gt(0)
    dataset = Dataset(labels[wide | labels["kind"].ne("keypoints")], dataset.images, dataset.schema)
    points = dataset.labels["kind"].eq("keypoints").any()
    for task in ("segment", "obb", *["pose"] * int(points)):
        report = dataset.to_yolo(tmp_path / task, task=task, copy="none", overwrite=True)
        rows = [
            [float(token) for token in line.split()]
            for file in (tmp_path / task / "labels").rglob("*.txt")
            for line in file.read_text().splitlines()
        ]
        assert len(rows) == report.labels
        width = {"obb": {9}, "pose": {5 + 3 * _most(dataset)}}.get(task)
        for row in rows:
            assert len(row) in width if width else len(row) >= 7 and len(row) % 2
            assert all(0 <= value <= (2 if task == "pose" else 1) for value in row[1:])


def _most(dataset: Dataset) -> int:
    shapes = dataset.labels.loc[dataset.labels["kind"].eq("keypoints"), "geometry"]
    return max((len(shape) for shape in shapes), default=0)


@pytest.mark.parametrize("task", ["segment", "obb", "pose"])
def test_ultralytics_reads_the_same(tmp_path, monkeypatch, task):
    monkeypatch.setenv("YOLO_CONFIG_DIR", os.environ.get("YOLO_CONFIG_DIR", str(tmp_path / "cfg")))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    pytest.importorskip("ultralytics")
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    kind = {"segment": "polygon", "obb": "rotated_box", "pose": "keypoints"}[task]
    write(tmp_path, task, [kind, "box"])
    data = check_det_dataset(str(tmp_path / "out/data.yaml"), autodownload=False)
    read = {
        Path(row["im_file"]).stem: row
        for row in YOLODataset(img_path=data["train"], data=data, task=task).labels
    }

    assert set(read) == {kind, "box"}
    row, size = read[kind], [60, 40]
    assert row["cls"].tolist() == [[1]]
    if task == "pose":
        got = row["keypoints"][0]
        np.testing.assert_allclose(got[:, 2], [2, 0, 1])
        np.testing.assert_allclose(got[:, :2] * size, [[6, 8], [0, 0], [12, 20]], atol=1e-4)
    else:
        wanted = RING if task == "segment" else rotated_corners(np.array([SHAPES[kind]]))[0]
        np.testing.assert_allclose(row["segments"][0] * size, wanted, atol=1e-4)


def test_parts_of_a_polygon_are_joined_where_they_are_nearest():
    parts = [[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], [[6.0, 0.0], [9.0, 0.0], [9.0, 4.0]]]
    ring, exact = outline("polygon", [0, 0, 9, 4], parts)

    assert exact
    assert ring == [[0, 0], [4, 0], [6, 0], [9, 0], [9, 4], [6, 0], [4, 0], [0, 4]]


def folder(tmp_path: Path, text: str, more: str = "") -> Path:
    save_image(tmp_path / "images/train/a.png")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_text(text)
    (tmp_path / "data.yaml").write_text(f"train: images/train\nnames: [cat]\n{more}")
    return tmp_path


def test_a_folder_of_others_says_its_task_or_is_told_it(tmp_path):
    square = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"
    found = folder(tmp_path, square)

    assert nba.read_yolo(found).labels["kind"].tolist() == ["polygon"]
    [shape] = nba.read_yolo(found, task="obb").labels["geometry"]
    assert shape == pytest.approx([18, 12, 24, 16, 0])


def test_poses_of_two_numbers_a_point_are_read(tmp_path):
    found = folder(tmp_path, "0 0.5 0.5 0.2 0.2 0.1 0.2 0 0\n", "kpt_shape: [2, 2]\n")

    [shape] = nba.read(found).labels["geometry"]
    np.testing.assert_allclose(shape, [[6, 8, 2], [0, 0, 0]])


@pytest.mark.parametrize(
    ("row", "more", "message"),
    [
        ("0 .5 .5 .2 .2 .1 .1 2", "kpt_shape: [2, 3]", "has 8 numbers; by kpt_shape a pose has 11"),
        ("0 .5 .5 .2 .2 .1 .1 3", "kpt_shape: [1, 3]", "has a visibility that is not 0, 1 or 2"),
        ("0 .5 .5 .2 .2 1.1 .1 2", "kpt_shape: [1, 3]", "has a value outside 0 … 1"),
        ("0 .5 .5 .2 .2", "kpt_shape: [1, 4]", r"kpt_shape is \['1', '4'\]; give"),
        ("0 .5 .5 .2 .2", "kpt_shape: many", "kpt_shape is 'many'; give"),
    ],
)
def test_bad_poses_are_told(tmp_path, row, more, message):
    with pytest.raises(FormatError, match=message):
        nba.read(folder(tmp_path, row, f"{more}\n"))


def test_tasks_that_cannot_be_are_told(tmp_path):
    dataset = one_of_each(tmp_path / "src", ["box"])
    with pytest.raises(FormatError, match="no label has key points"):
        plain = Dataset(dataset.labels, dataset.images, Schema(classes=["dog"]))
        plain.to_yolo(tmp_path / "out", task="pose", root=tmp_path / "src")
    with pytest.raises(FormatError, match="for 'classify' write format='imagefolder'"):
        dataset.to_yolo(tmp_path / "out", task="classify", root=tmp_path / "src")
    with pytest.raises(FormatError, match="task='box'; use"):
        nba.read_yolo(folder(tmp_path, ""), task="box")


def test_the_side_file_of_detection_is_as_it_was(tmp_path):
    write(tmp_path, "detect", ["box"])
    assert "task" not in json.loads((tmp_path / "out/nbannotate.json").read_text())

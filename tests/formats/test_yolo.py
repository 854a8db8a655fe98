"""YOLO: what ultralytics makes of our folders, and folders of others read with file and line."""

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

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import yolo
from tests.formats.samples import HARD_NAMES, box_datasets, rotated, save_image

KEYS = [
    "a.jpg", "a.png", "images/x/b.jpg", ".hidden.png", "c.gif", "turned.jpg", "turned.png",
    "sp[1] é?.jpg", "con.jpg", "a.b.jpg", "A.JPG", "neg.jpg",
]  # fmt: skip


def awkward(folder: Path) -> Dataset:
    """One box on each of many images with awkward names, but for the last one."""
    for key in KEYS:
        save_image(folder / key, **({"exif": rotated()} if "turned" in key else {}))
    schema = Schema(classes=[{"id": 5 + 3 * i, "name": n} for i, n in enumerate(HARD_NAMES)])
    labels = pd.DataFrame(
        {"image": KEYS[:-1], "label": HARD_NAMES[: len(KEYS) - 1], "x": 1.5, "y": 2.25,
         "width": np.arange(len(KEYS) - 1) + 10.0, "height": 20 / 3}
    )  # fmt: skip
    return Dataset(labels, pd.DataFrame({"status": "done"}, index=KEYS), schema)


def by_image(dataset: Dataset) -> pd.DataFrame:
    rows = dataset.labels[["image", "label", "x", "y", "width", "height"]]
    return rows.astype({"label": str}).sort_values("image", ignore_index=True)


def test_round_trip_restores_keys_names_ids_and_boxes(tmp_path):
    dataset = awkward(tmp_path / "src")

    report = dataset.write(tmp_path / "out", format="yolo", root=tmp_path / "src", split=(0.5, 0.5))

    back = registry.read(tmp_path / "out")
    assert back.schema == dataset.schema
    assert set(back.images.index) == set(KEYS)
    assert set(back.images["split"]) == {"train", "val"}
    assert back.images["status"].eq("done").all()
    pd.testing.assert_frame_equal(by_image(back), by_image(dataset), atol=5e-4, rtol=0)
    assert report.lost == {} and report.images == len(KEYS)
    assert "3 images converted" not in str(report)  # gif and the turned png only
    assert "2 images converted" in str(report)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=box_datasets())
def test_any_names_survive_yaml_and_boxes_half_a_thousandth_of_a_pixel(tmp_path, dataset):
    dataset.write(tmp_path / "out", format="yolo", copy="none", overwrite=True)

    data = yaml.safe_load((tmp_path / "out/data.yaml").read_text(encoding="utf-8"))
    names = [c.name for c in dataset.schema.classes]
    assert list(data["names"]) == list(range(len(names)))
    assert list(data["names"].values())[1:] == names[1:]
    side = json.loads((tmp_path / "out/nbannotate.json").read_text(encoding="utf-8"))
    assert Schema.from_dict(side["schema"]) == dataset.schema
    keys = {key: key for key in dataset.images.index if key not in side["keys"].values()}
    keys |= {written.removeprefix("train/"): key for written, key in side["keys"].items()}
    texts = tmp_path / "out/labels/train"
    for written, key in keys.items():
        text = (texts / f"{written.rpartition('.')[0]}.txt").read_text()
        rows = np.array([line.split() for line in text.splitlines()], dtype=float).reshape(-1, 5)
        wanted = dataset.labels[dataset.labels["image"] == key]
        assert [names[int(number)] for number in rows[:, 0]] == wanted["label"].tolist()
        pixels = rows[:, 1:] * [640, 480, 640, 480]
        pixels[:, :2] -= pixels[:, 2:] / 2
        np.testing.assert_allclose(pixels, wanted[["x", "y", "width", "height"]], atol=5e-4)


def test_ultralytics_reads_every_image_and_row(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", os.environ.get("YOLO_CONFIG_DIR", str(tmp_path / "cfg")))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    pytest.importorskip("ultralytics")
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    dataset = awkward(tmp_path / "src")
    dataset.write(tmp_path / "out", format="yolo", root=tmp_path / "src", split=(0.6, 0.4))

    data = check_det_dataset(str(tmp_path / "out/data.yaml"), autodownload=False)

    assert list(data["names"].values()) == HARD_NAMES
    parts = [
        YOLODataset(img_path=data[name], data=data, task="detect") for name in ("train", "val")
    ]
    rows = [row for part in parts for row in part.labels]
    assert len(rows) == len(KEYS)
    assert sorted(int(c) for row in rows for c in row["cls"].ravel()) == list(range(len(KEYS) - 1))
    turned = [row["shape"] for row in rows if "turned" in row["im_file"]]
    assert turned == [(60, 40), (60, 40)]


def test_first_class_called_like_an_imagenet_code_keeps_its_name(tmp_path):
    save_image(tmp_path / "a.jpg")
    labels = pd.DataFrame({"image": ["a.jpg"], "label": "n01440764", "x": 1, "y": 2, "width": 9,
                           "height": 9})  # fmt: skip

    report = Dataset(labels).write(tmp_path / "out", format="yolo", root=tmp_path)

    names = yaml.safe_load((tmp_path / "out/data.yaml").read_text())["names"]
    assert not names[0].startswith("n0") and "_n01440764" in str(report)
    assert registry.read(tmp_path / "out").labels["label"].tolist() == ["n01440764"]


def test_unreviewed_images_stay_out_and_negatives_get_an_empty_file(tmp_path):
    images = pd.DataFrame(
        {"width": 60, "height": 40, "status": ["done", "todo", "skipped", "todo"]},
        index=["neg.jpg", "todo.jpg", "skipped.jpg", "boxed.jpg"],
    )
    labels = pd.DataFrame({"image": ["boxed.jpg"], "label": "c", "x": -9, "y": 2, "width": 19,
                           "height": 90})  # fmt: skip

    report = Dataset(labels, images).write(tmp_path / "out", format="yolo", copy="none")

    texts = {file.name: file.read_text() for file in (tmp_path / "out/labels/train").iterdir()}
    assert texts.keys() == {"neg.txt", "boxed.txt"}
    assert texts["neg.txt"] == ""
    # Cut at the edges: 0 … 10 of 60, 2 … 40 of 40.
    assert [float(v) for v in texts["boxed.txt"].split()] == pytest.approx(
        [0, 5 / 60, 21 / 40, 10 / 60, 38 / 40], abs=1e-8
    )
    assert report.lost == {"images not reviewed": 2}


def test_without_a_split_train_and_val_are_said_to_be_the_same(tmp_path):
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=["a.jpg"])

    report = Dataset(pd.DataFrame({"image": []}), images, Schema(["c"])).write(
        tmp_path / "out", format="yolo", copy="none"
    )

    data = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert data["train"] == data["val"] == "images/train" and "path" not in data
    assert "train and val are the same" in str(report)


def test_splits_of_the_table_are_used(tmp_path):
    images = pd.DataFrame(
        {"width": 60, "height": 40, "status": "done", "split": ["train", "valid", "test"]},
        index=["a.jpg", "b.jpg", "c.jpg"],
    )

    Dataset(pd.DataFrame({"image": []}), images).write(tmp_path / "o", format="yolo", copy="none")

    files = sorted(f.relative_to(tmp_path / "o").as_posix() for f in tmp_path.rglob("*.txt"))
    assert files == ["labels/test/c.txt", "labels/train/a.txt", "labels/val/b.txt"]


def test_images_from_memory_are_an_error_that_says_what_to_do(tmp_path):
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=["array 0"])

    with pytest.raises(FormatError, match=r"'array 0': is not a file.*root="):
        Dataset(pd.DataFrame({"image": []}), images).write(tmp_path / "out", format="yolo")
    assert not (tmp_path / "out" / "data.yaml").exists()


def test_links_share_the_file_and_copies_do_not(tmp_path):
    save_image(tmp_path / "src/a.jpg")
    dataset = Dataset(pd.DataFrame({"image": []}), pd.DataFrame({"status": "done"}, ["a.jpg"]))
    for how, same in (("link", True), ("copy", False)):
        dataset.write(tmp_path / how, format="yolo", root=tmp_path / "src", copy=how)
        made = tmp_path / how / "images/train/a.jpg"
        assert made.samefile(tmp_path / "src/a.jpg") is same
        assert made.read_bytes() == (tmp_path / "src/a.jpg").read_bytes()


@pytest.mark.parametrize("key", ["../../up.jpg", "/abs/a.jpg", "a/../../../b.jpg", "s3://b/c.jpg"])
def test_no_key_writes_outside_the_folder(tmp_path, key):
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=[key])

    Dataset(pd.DataFrame({"image": []}), images).write(
        tmp_path / "deep/out", format="yolo", copy="none"
    )

    texts = list(tmp_path.rglob("*.txt"))
    assert len(texts) == 1
    assert texts[0].resolve().is_relative_to((tmp_path / "deep/out/labels/train").resolve())


def test_foreign_folder_is_refused_and_earlier_export_replaced_when_asked(tmp_path):
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=["a.jpg"])
    dataset = Dataset(pd.DataFrame({"image": []}), images)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/thesis.txt").write_text("dear")
    with pytest.raises(FormatError, match="holds other files"):
        dataset.write(tmp_path / "foreign", format="yolo", copy="none", overwrite=True)

    dataset.write(tmp_path / "out", format="yolo", copy="none")
    (tmp_path / "out/mine.txt").write_text("dear")
    with pytest.raises(FormatError, match="overwrite=True"):
        dataset.write(tmp_path / "out", format="yolo", copy="none")
    renamed = Dataset(pd.DataFrame({"image": []}), images.rename(index={"a.jpg": "b.jpg"}))
    renamed.write(tmp_path / "out", format="yolo", copy="none", overwrite=True)

    assert [f.name for f in (tmp_path / "out/labels/train").iterdir()] == ["b.txt"]
    assert (tmp_path / "out/mine.txt").read_text() == "dear"


def foreign(folder: Path, label: str | bytes | None, **config: Any) -> Path:
    """Somebody's data set of one image of 60 × 40."""
    save_image(folder / "images/train/a.jpg")
    (folder / "labels/train").mkdir(parents=True)
    if label is not None:
        data = label if isinstance(label, bytes) else label.encode()
        (folder / "labels/train/a.txt").write_bytes(data)
    data = {"train": "images/train", "val": "images/train", "names": ["no", "cat"], **config}
    (folder / "data.yaml").write_text(json.dumps(data))
    return folder


def test_marks_line_ends_and_blank_lines_of_others_are_read(tmp_path):
    text = "\ufeff1\t0.5 0.5  0.1 0.2\r\n\r\n   \r\n0 1e-01 0.25 1e-05 0.5\r\n"

    dataset = registry.read(foreign(tmp_path, text))

    assert dataset.labels["label"].tolist() == ["cat", "no"]
    assert dataset.labels.iloc[0][["x", "y", "width", "height"]].tolist() == pytest.approx(
        [27, 16, 6, 8]
    )
    assert dataset.images.index.tolist() == ["images/train/a.jpg"]
    assert {c.name: c.id for c in dataset.schema.classes} == {"no": 0, "cat": 1}


def test_unquoted_names_keep_their_text(tmp_path):
    foreign(tmp_path, "")
    (tmp_path / "data.yaml").write_text(
        "path: .\ntrain: images/train\nval: images/train\nnames:\n  0: no\n  1: 001\n  2: null\n"
    )

    dataset = registry.read(tmp_path / "data.yaml")

    assert [c.name for c in dataset.schema.classes] == ["no", "001", "null"]


@pytest.mark.parametrize(("label", "status"), [("", "done"), (None, "todo")])
def test_a_missing_file_is_unlabelled_and_an_empty_one_a_negative(tmp_path, label, status):
    assert registry.read(foreign(tmp_path, label)).images["status"].tolist() == [status]


def test_polygons_are_read_in_pixels(tmp_path):
    dataset = registry.read(foreign(tmp_path, "1 0 0 0.5 0 0.5 0.25\n"))

    row = dataset.labels.iloc[0]
    assert row["kind"] == "polygon"
    assert row["geometry"] == [[[0, 0], [30, 0], [30, 10]]]
    assert row[["x", "y", "width", "height"]].tolist() == [0, 0, 30, 10]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,0.5,0.5,0.1,0.1", "no number"),
        ("1 0.5 0.5 0.1 0.1 0.9", "6 numbers"),
        ("1.5 0.5 0.5 0.1 0.1", "class 1.5"),
        ("2 0.5 0.5 0.1 0.1", "class 2 is not in names"),
        ("1 30 20 6 8", "outside 0 … 1"),
        ("1 nan 0.5 0.1 0.1", "outside 0 … 1"),
        ("1 0.5 0.5 -0.1 0.1", "outside 0 … 1"),
    ],
)
def test_bad_row_is_named_with_file_and_line_or_skipped(tmp_path, line, why):
    foreign(tmp_path, f"1 0.5 0.5 0.1 0.1\n\n{line}\n")

    with pytest.raises(FormatError, match=why) as caught:
        registry.read(tmp_path)
    assert caught.value.path.endswith("a.txt") and caught.value.where == "line 3"
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(registry.read(tmp_path, on_error="skip")) == 1


def test_label_file_that_is_no_text_or_has_no_image_is_named(tmp_path):
    foreign(tmp_path / "a", b"\xff\xfe\x00")
    with pytest.raises(FormatError, match=r"a\.txt: is not text in UTF-8"):
        registry.read(tmp_path / "a")
    foreign(tmp_path / "b", "")
    (tmp_path / "b/labels/train/lost.txt").write_text("")
    with pytest.raises(FormatError, match=r"lost\.txt: has no image"):
        registry.read(tmp_path / "b")


def test_sizes_are_those_of_the_upright_image(tmp_path):
    foreign(tmp_path, "0 0.5 0.5 1 1\n")
    save_image(tmp_path / "images/train/a.jpg", exif=rotated())

    dataset = yolo.read(tmp_path)

    assert dataset.labels[["width", "height"]].to_numpy().tolist() == [[40, 60]]


def test_roboflow_layout_is_read_as_splits(tmp_path):
    for split in ("train", "valid"):
        save_image(tmp_path / split / "images/a.jpg")
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels/a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (tmp_path / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n"
    )

    dataset = registry.read(tmp_path)

    assert dataset.images["split"].to_dict() == {
        "train/images/a.jpg": "train",
        "valid/images/a.jpg": "val",
    }
    assert len(dataset) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("names: [a, a]\ntrain: images/train", "'a' stands twice"),
        ("names: {a: b}\ntrain: images/train", "number the classes"),
        ("names: [a]\ntrain: nowhere", "'nowhere' is not there"),
        ("names: [a]\ntrain: {a: b}", "is no path"),
        ("train: images/train", "names: is missing"),
        ("names: [a", "is not YAML"),
        ("[1]", "no train, val and names"),
    ],
)
def test_bad_yaml_is_named(tmp_path, text, why):
    foreign(tmp_path, "")
    (tmp_path / "data.yaml").write_text(text)

    with pytest.raises(FormatError, match=why):
        yolo.read(tmp_path / "data.yaml")


def test_yaml_runs_no_code(tmp_path):
    foreign(tmp_path, "")
    (tmp_path / "data.yaml").write_text(
        f"train: images/train\nnames: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']"
    )

    yolo.read(tmp_path)

    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("split", [None, (0.8, 0.1, 0.1)])
def test_without_a_reviewed_image_there_is_nothing_to_train_on(tmp_path, split):
    save_image(tmp_path / "src" / "a.jpg")
    labels = pd.DataFrame({"image": pd.Series(dtype=str)})
    dataset = Dataset(labels, ["a.jpg"], Schema(classes=["cat"]))
    with pytest.raises(FormatError, match="none of the 1 images is done"):
        yolo.write(dataset, tmp_path / "out", root=tmp_path / "src", split=split)
    assert not (tmp_path / "out").exists()
    report = yolo.write(dataset, tmp_path / "out", root=tmp_path / "src", only="all")
    assert (report.images, report.labels) == (1, 0)

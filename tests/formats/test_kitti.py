"""KITTI object detection: 15 columns to the letter, datumaro's reading, and files of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import kitti
from tests.formats.readers import run
from tests.formats.samples import box_datasets, everything, rotated, save_image

BOX = ["x", "y", "width", "height"]
WHOLE = (
    "Pedestrian 0.20 1 0.48 0.00 185.29 61.43 238.59 1.65 0.67 0.44 -3.68 1.59 8.24 0.01\n"
    "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10\n"
)


def boxes(*rows: tuple, **more: object) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image", "label", *BOX]).assign(**more)


def foreign(folder: Path, text: str | bytes, *, image: bool = True) -> Path:
    """Somebody's data set of one image."""
    (folder / "training/label_2").mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "training/label_2/000001.txt").write_bytes(data)
    if image:
        save_image(folder / "training/image_2/000001.png", (640, 300))
    return folder


def test_lines_are_written_to_the_letter(tmp_path):
    labels = boxes(("a.png", "Car", 1, 2.5, 10, 20), ("a.png", "my van", 0, 0, 5, 6.25))
    labels["attributes"] = [
        {"truncated": 0.25, "occluded": 2, "alpha": -1.5, "height_m": 1.5, "width_m": 1.6,
         "length_m": 3.9, "x_m": 1, "y_m": 1.5, "z_m": 8, "rotation_y": -1.6},
        {"occluded": True},
    ]  # fmt: skip
    labels["score"] = [np.nan, 0.75]
    images = pd.DataFrame({"status": "done"}, index=["a.png", "empty.png"])

    report = Dataset(labels, images).to_kitti(tmp_path / "k", copy="none")

    assert (tmp_path / "k/training/label_2/a.txt").read_text() == (
        "Car 0.25 2 -1.5 1 2.5 11 22.5 1.5 1.6 3.9 1 1.5 8 -1.6\n"
        "my_van 0 1 -10 0 0 5 6.25 -1 -1 -1 -1000 -1000 -1000 -10 0.75\n"
    )
    assert (tmp_path / "k/training/label_2/empty.txt").read_text() == ""
    assert report.lost == {} and (report.images, report.labels) == (2, 2)
    assert not (tmp_path / "k/ImageSets").exists()


numbers = st.floats(-900, 900).map(lambda value: round(value, 5))
attributes = st.fixed_dictionaries(
    {
        "truncated": st.floats(0, 1).map(lambda v: round(v, 5)),
        "occluded": st.sampled_from([0.0, 1.0, 2.0, 3.0]),
    },
    optional={name: numbers.filter(lambda v: v not in (-1, -10)) for name in kitti.COLUMNS[2:]},
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=box_datasets(), drawn=st.lists(attributes, min_size=1, max_size=3),
       score=st.none() | st.floats(0, 1).map(lambda v: round(v, 6)))  # fmt: skip
def test_any_names_keys_boxes_and_columns_come_back(tmp_path, dataset, drawn, score):
    schema = Schema(dataset.schema.classes, attributes=dict.fromkeys(kitti.COLUMNS, float))
    labels = dataset.labels.assign(
        attributes=[drawn[i % len(drawn)] for i in range(len(dataset))], score=score
    )
    dataset = Dataset(labels, dataset.images, schema)

    report = dataset.to_kitti(tmp_path / "k", copy="none", overwrite=True)

    back = registry.read(tmp_path / "k", format="kitti")
    assert report.lost == {} and back.schema == dataset.schema
    assert set(back.images.index) == set(dataset.images.index)
    for key in dataset.images.index:
        got, wanted = (d.labels[d.labels["image"] == key] for d in (back, dataset))
        assert got["label"].tolist() == wanted["label"].tolist()
        assert got["attributes"].tolist() == wanted["attributes"].tolist()
        np.testing.assert_allclose(got["score"], wanted["score"], atol=1e-9)
        np.testing.assert_allclose(got[BOX], wanted[BOX], atol=2e-6, rtol=0)


def test_labels_without_attributes_get_none(tmp_path):
    dataset = Dataset(boxes(("a.png", "Car", 1, 2, 3, 4)))
    dataset.to_kitti(tmp_path / "k", copy="none")

    back = registry.read(tmp_path / "k")

    assert back.labels["attributes"].tolist() == [{}] and back.schema == dataset.schema


def test_what_is_left_out_is_named(tmp_path):
    dataset = everything()
    dataset.images["split"] = None

    report = dataset.to_kitti(tmp_path / "k", copy="none")

    assert report.lost == {
        "tag labels, for which KITTI has no place": 2,
        "text labels, for which KITTI has no place": 2,
        "images not reviewed": 1,
        "labels' frame": 5, "labels' annotator": 12, "labels' seconds": 25, "labels' created": 25,
        "labels' source": 7,
        "images' note": 3, "images' seconds": 1, "images' updated": 4, "images' unsure": 1,
        "images' status": 1, "outlines of shapes (their bounding boxes are written)": 5,
        "attribute 'view' without a column of KITTI": 9,
        "attribute 'speed' without a column of KITTI": 9,
    }  # fmt: skip


def test_splits_are_lists_and_come_back(tmp_path):
    for key in ("a.jpg", "b.jpg"):
        save_image(tmp_path / "src" / key, **({"exif": rotated()} if key == "b.jpg" else {}))
    images = pd.DataFrame({"status": "done", "split": ["train", "val"]}, index=["a.jpg", "b.jpg"])
    dataset = Dataset(boxes(("a.jpg", "c", 1, 2, 3, 4)), images)

    dataset.to_kitti(tmp_path / "k", root=tmp_path / "src")

    assert (tmp_path / "k/ImageSets/val.txt").read_text() == "b.jpg\n"
    back = registry.read(tmp_path / "k")
    assert back.images["split"].to_dict() == {"a.jpg": "train", "b.jpg": "val"}
    assert back.images.loc["b.jpg", ["width", "height"]].tolist() == [40, 60]


DATUMARO = """
import json, sys
from datumaro import Dataset
found = Dataset.import_from(sys.argv[1], "kitti_detection")
names = [label.name for label in found.categories()[next(iter(found.categories()))].items]
print(json.dumps([[item.id, names[a.label], a.get_bbox(), a.attributes]
                  for item in found for a in item.annotations]))
"""


def test_datumaro_reads_the_same_boxes(tmp_path):
    save_image(tmp_path / "src/a.png")
    labels = boxes(("a.png", "my van", 1.25, 2, 10, 20), ("a.png", "c", 0, 0, 5, 6))
    labels["attributes"] = [{"occluded": 1, "truncated": True}, {}]
    labels["score"] = [np.nan, 0.5]
    Dataset(labels).to_kitti(tmp_path / "k", root=tmp_path / "src")

    assert run(DATUMARO, tmp_path / "k") == [
        ["a", "my_van", [1.25, 2, 10, 20], {"truncated": True, "occluded": True}],
        ["a", "c", [0, 0, 5, 6], {"truncated": False, "occluded": False, "score": 0.5}],
    ]


@pytest.mark.parametrize(
    "inner", ["", "training", "training/label_2", "training/label_2/000001.txt"]
)
def test_columns_of_others_become_attributes(tmp_path, inner):
    dataset = registry.read(foreign(tmp_path, f"\ufeff{WHOLE}".replace("\n", "\r\n")) / inner)

    assert dataset.labels["label"].tolist() == ["Pedestrian", "DontCare"]
    np.testing.assert_allclose(dataset.labels[BOX].iloc[0], [0, 185.29, 61.43, 53.3])
    assert dataset.labels["attributes"].tolist() == [
        {"truncated": 0.2, "occluded": 1, "alpha": 0.48, "height_m": 1.65, "width_m": 0.67,
         "length_m": 0.44, "x_m": -3.68, "y_m": 1.59, "z_m": 8.24, "rotation_y": 0.01},
        {},
    ]  # fmt: skip
    assert dataset.images.loc["000001.png", ["width", "height", "status"]].tolist() == [
        640, 300, "done"
    ]  # fmt: skip
    assert dataset.labels["source"].eq("import:kitti").all() and dataset.validate().ok


def test_an_image_without_a_file_is_to_do_and_an_empty_file_a_negative(tmp_path):
    foreign(tmp_path, "")
    save_image(tmp_path / "training/image_2/000002.png")

    assert registry.read(tmp_path, format="kitti").images["status"].tolist() == ["done", "todo"]


def test_subsets_in_folders_of_their_own_are_splits(tmp_path):
    for name in ("train", "val"):
        foreign(tmp_path / "x", WHOLE)
        (tmp_path / "x/training").rename(tmp_path / name)

    images = registry.read(tmp_path).images

    assert images["split"].to_dict() == {"train/000001.png": "train", "val/000001.png": "val"}


def test_scores_that_are_no_probabilities_are_kept_and_written_again(tmp_path):
    line = WHOLE.splitlines()[1]
    dataset = registry.read(foreign(tmp_path, f"{line} 0.5\n{line} -3.25\n{line}\n"))

    assert dataset.labels["score"].isna().all()
    assert dataset.labels["attributes"].tolist() == [{"confidence": 0.5}, {"confidence": -3.25}, {}]
    report = dataset.to_kitti(tmp_path / "k", copy="none")
    text = (tmp_path / "k/training/label_2/000001.txt").read_text()
    assert [row.split()[15:] for row in text.splitlines()] == [["0.5"], ["-3.25"], []]
    assert "attribute" not in str(report)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Car 0 0 0 1 2 3 4", "has 8 columns; an object has 15"),
        ("0 1 " + WHOLE.splitlines()[0], "17 are KITTI tracking"),
        (WHOLE.splitlines()[0].replace("0.48", "x"), "no number"),
        (WHOLE.splitlines()[0].replace("0.48", "nan"), "NaN or infinity"),
        (WHOLE.splitlines()[0].replace("61.43", "-1"), "swap them"),
    ],
)
def test_a_bad_line_is_named_or_skipped(tmp_path, line, why):
    foreign(tmp_path, f"{WHOLE}\n{line}\n")

    with pytest.raises(FormatError, match=why) as caught:
        kitti.read(tmp_path)
    assert caught.value.path.endswith("000001.txt") and caught.value.where == "line 4"
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(kitti.read(tmp_path, on_error="skip")) == 2


def test_a_bad_file_is_named(tmp_path):
    foreign(tmp_path, b"\xff\xfe\x00")
    with pytest.raises(FormatError, match=r"000001\.txt: is not text in UTF-8"):
        kitti.read(tmp_path)
    foreign(tmp_path, WHOLE)
    (tmp_path / "training/image_2/000001.png").write_bytes(b"no image")
    with pytest.raises(FormatError, match=r"000001\.png: cannot be read as an image"):
        kitti.read(tmp_path)
    with pytest.raises(FormatError, match="leads to no folder label_2"):
        (tmp_path / "empty").mkdir()
        kitti.read(tmp_path / "empty")
    with pytest.raises(FormatError, match="no such file"):
        kitti.read(tmp_path / "missing")


def test_nan_is_refused(tmp_path):
    dataset = Dataset(boxes(("a.png", "Car", 1, 2, 3, 4)))
    dataset.labels["x"] = np.nan

    with pytest.raises(FormatError, match="not all finite"):
        dataset.to_kitti(tmp_path / "k", copy="none")
    assert not (tmp_path / "k").exists()

"""OpenImages: rows to the letter, datumaro's reading, and files of others."""

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
from nbannotate.formats import openimages
from tests.formats.readers import run
from tests.formats.samples import HARD_NAMES, box_datasets, everything, save_image

BOX = ["x", "y", "width", "height"]
# The layout and the numbers are those of the set's own documentation.
HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
ROWS = (
    "000026e7ee790996,freeform,/m/07j7r,1,0.071905,0.145346,0.206591,0.391306,0,1,1,0,0\n"
    "000062a39995e348,activemil,/m/015p6,0.5,0.2,0.8,0,1,-1,0,0,0,0\n"
)


def pets(**more: object) -> Dataset:
    """Two boxes, two tags, and an image without labels."""
    rows = [
        ("a.jpg", "cat", "box", 1.5, 2, 10, 20), ("a.jpg", "dog", "box", 0, 0, 60, 40),
        ("a.jpg", "cat", "tag", *[np.nan] * 4), ("b.jpg", "sea", "tag", *[np.nan] * 4),
    ]  # fmt: skip
    labels = pd.DataFrame(rows, columns=["image", "label", "kind", *BOX]).assign(**more)
    labels["attributes"] = [{"occluded": True, "group_of": False}, {}, {}, {}]
    labels["score"] = [np.nan, 0.25, np.nan, 0.5]
    images = pd.DataFrame(
        {"width": 60, "height": 40, "status": "done"}, index=["a.jpg", "b.jpg", "none.jpg"]
    )
    tags = {"seen": {"choices": ["cat", "sea"], "multiple": True}}
    attributes = {"occluded": bool, "group_of": bool}
    return Dataset(labels, images, Schema(["cat", "dog"], tags, attributes))


def foreign(folder: Path, rows: str = ROWS) -> Path:
    """Somebody's data set."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations/validation-annotations-bbox.csv").write_text(HEADER + rows)
    (folder / "annotations/class-descriptions-boxable.csv").write_text(
        '/m/07j7r,Tree\n/m/015p6,"Bird, wild"\n'
    )
    for name in ("000026e7ee790996", "000062a39995e348"):
        save_image(folder / f"images/validation/{name}.jpg", (1000, 500))
    return folder


def test_rows_are_written_to_the_letter(tmp_path):
    report = pets().to_openimages(tmp_path / "o", copy="none")

    folder = tmp_path / "o/annotations"
    assert (folder / "train-annotations-bbox.csv").read_text() == (
        f"{HEADER}a,freeform,cat,1,0.025,0.191666666667,0.05,0.55,1,-1,0,-1,-1\n"
        "a,machine,dog,0.25,0,1,0,1,-1,-1,-1,-1,-1\n"
    )
    assert (folder / "train-annotations-human-imagelabels.csv").read_text() == (
        "ImageID,Source,LabelName,Confidence\na,verification,cat,1\nb,machine,sea,0.5\n"
    )
    listed = (folder / "image_ids_and_rotation.csv").read_text().splitlines()
    assert listed[1] == "a,train,,,,,,,,,,0.0" and len(listed) == 4
    assert report.lost == {} and (report.images, report.labels) == (3, 4)


def test_boxes_tags_scores_flags_and_negatives_come_back(tmp_path):
    dataset = pets()
    dataset.to_openimages(tmp_path / "o", copy="none")
    back = registry.read(tmp_path / "o")

    assert back.schema == dataset.schema and back.images["split"].isna().all()
    for column in ("image", "kind", "label", "attributes"):
        assert back.labels[column].tolist() == dataset.labels[column].tolist(), column
    np.testing.assert_allclose(back.labels[BOX], dataset.labels[BOX], atol=1e-8)
    np.testing.assert_array_equal(back.labels["score"], dataset.labels["score"])
    pd.testing.assert_frame_equal(
        back.images[["width", "height", "status"]], dataset.images[["width", "height", "status"]]
    )


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=box_datasets(), is_occluded=st.booleans())
def test_any_names_keys_and_boxes_come_back(tmp_path, dataset, is_occluded):
    labels = dataset.labels.assign(attributes=[{"occluded": is_occluded}] * len(dataset))
    schema = Schema(dataset.schema.classes, attributes={"occluded": bool})
    dataset = Dataset(labels, dataset.images, schema)
    report = dataset.to_openimages(tmp_path / "o", copy="none", overwrite=True)

    back = registry.read(tmp_path / "o", format="openimages")
    assert report.lost == {} and back.schema == dataset.schema
    assert set(back.images.index) == set(dataset.images.index)
    for key in dataset.images.index:
        got, wanted = (d.labels[d.labels["image"] == key] for d in (back, dataset))
        assert got["label"].tolist() == wanted["label"].tolist()
        assert got["attributes"].tolist() == wanted["attributes"].tolist()
        np.testing.assert_allclose(got[BOX], wanted[BOX], atol=1e-7, rtol=0)


def test_places_on_large_images_are_exact(tmp_path):
    labels = pd.DataFrame(
        [("a.jpg", "c", 33333.1, 7.7, 0.3, 0.7)], columns=["image", "label", *BOX]
    )
    images = pd.DataFrame({"width": 90001, "height": 77777}, index=["a.jpg"])
    Dataset(labels, images).to_openimages(tmp_path / "o", copy="none")

    back = registry.read(tmp_path / "o").labels
    np.testing.assert_allclose(back[BOX], labels[BOX], atol=1e-6, rtol=0)


def test_hard_names_survive_as_classes(tmp_path):
    dataset = everything()
    dataset.images["split"] = None
    report = dataset.to_openimages(tmp_path / "o", copy="none")

    back = registry.read(tmp_path / "o")
    assert back.labels["label"].astype(object).tolist()[: len(HARD_NAMES)] == HARD_NAMES
    assert report.lost["text labels, for which OpenImages has no place"] == 2
    assert report.lost["outlines of shapes (their bounding boxes are written)"] == 5
    assert report.lost["images not reviewed"] == 1


def test_splits_and_rotations_come_back(tmp_path):
    for key in ("a.jpg", "b.jpg"):
        save_image(tmp_path / "src" / key)
    images = pd.DataFrame(
        {"status": "done", "split": ["train", "val"], "rotation": [None, 90]},
        index=["a.jpg", "b.jpg"],
    )
    labels = pd.DataFrame([("a.jpg", "c", 1, 2, 3, 4)], columns=["image", "label", *BOX])
    report = Dataset(labels, images).to_openimages(tmp_path / "o", root=tmp_path / "src")

    assert (tmp_path / "o/images/validation/b.jpg").is_file() and report.lost == {}
    back = registry.read(tmp_path / "o").images
    assert back["split"].to_dict() == {"a.jpg": "train", "b.jpg": "val"}
    assert back["rotation"].tolist() == [pd.NA, 90]
    assert back["width"].tolist() == [60, 60]


DATUMARO = """
import json, sys
from datumaro import Dataset
found = Dataset.import_from(sys.argv[1], "open_images")
names = [label.name for label in found.categories()[next(iter(found.categories()))].items]
print(json.dumps([[item.id, item.subset, a.type.name, names[a.label],
                   a.get_bbox() if a.type.name == "bbox" else None, a.attributes]
                  for item in found for a in item.annotations]))
"""


def test_datumaro_reads_the_same_labels(tmp_path):
    pets().to_openimages(tmp_path / "o", copy="none")

    found = run(DATUMARO, tmp_path / "o")
    assert [row[:4] for row in found] == [
        ["a", "train", "label", "cat"], ["a", "train", "bbox", "cat"],
        ["a", "train", "bbox", "dog"], ["b", "train", "label", "sea"],
    ]  # fmt: skip
    np.testing.assert_allclose([row[4] for row in found[1:3]], [[1.5, 2, 10, 20], [0, 0, 60, 40]])
    assert found[1][5] == {"score": 1, "occluded": True, "is_group_of": False}
    assert found[2][5] == {"score": 0.25}


@pytest.mark.parametrize(
    "inner", ["", "annotations", "annotations/validation-annotations-bbox.csv"]
)
def test_files_of_others_are_read(tmp_path, inner):
    dataset = registry.read(foreign(tmp_path) / inner)

    assert dataset.labels["label"].tolist() == ["Tree", "Bird, wild"]
    np.testing.assert_allclose(
        dataset.labels[BOX], [[71.905, 103.2955, 73.441, 92.3575], [200, 0, 600, 500]]
    )
    assert dataset.labels["attributes"].iloc[0] == {
        "occluded": False, "truncated": True, "group_of": True, "depiction": False, "inside": False
    }  # fmt: skip
    np.testing.assert_array_equal(dataset.labels["score"], [np.nan, 0.5])
    assert "occluded" not in dataset.labels["attributes"].iloc[1]
    assert dataset.images["split"].eq("val").all() and dataset.validate().ok
    assert dataset.images.index[0] == "validation/000026e7ee790996.jpg"


def test_a_file_without_flags_or_images_takes_a_size(tmp_path):
    text = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\nabc,xclick,Cat,1.0,.1,.5,.2,.8\n"
    )
    (tmp_path / "x.csv").write_text(text)

    with pytest.raises(FormatError, match=r"image 'abc': is not there.*give images=… or size=…"):
        registry.read(tmp_path / "x.csv")
    back = registry.read(tmp_path / "x.csv", size=(100, 50))
    np.testing.assert_allclose(back.labels[BOX], [[10, 10, 40, 30]])
    assert back.images.index.tolist() == ["abc.jpg"]


def test_sizes_that_cvat_writes_are_used(tmp_path):
    (tmp_path / "default-annotations-bbox.csv").write_text(
        HEADER + "my a,x,c,1,0.1,0.5,0.2,0.8,0,0,0,0,0\nb,x,c,1,0,1,0,1,0,0,0,0,0\n"
    )
    (tmp_path / "images.meta").write_text("'my a' 50 100\nb 7 8\nodd\n")
    back = registry.read(tmp_path)
    np.testing.assert_allclose(back.labels[BOX], [[10, 10, 40, 30], [0, 0, 8, 7]])


def test_labels_that_were_verified_to_be_absent_are_none(tmp_path):
    (tmp_path / "train-annotations-human-imagelabels.csv").write_text(
        "ImageID,Source,LabelName,Confidence\na,verification,/m/1,0\na,verification,/m/2,1\n"
        "b,machine,/m/1,0.7\n"
    )
    back = registry.read(tmp_path, size=(9, 9))
    assert back.labels["label"].tolist() == ["/m/2", "/m/1"]
    np.testing.assert_array_equal(back.labels["score"], [np.nan, 0.7])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a,x,/m/1,1,0.5,0.2,0,1,0,0,0,0,0\n", "XMax < XMin"),
        ("a,x,/m/1,1,x,0.2,0,1,0,0,0,0,0\n", "has no number"),
        ("a,x,/m/1,7,0,0.2,0,1,0,0,0,0,0\n", "Confidence outside"),
        (",x,/m/1,1,0,0.2,0,1,0,0,0,0,0\n", "has no ImageID"),
        ("a,x,,1,0,0.2,0,1,0,0,0,0,0\n", "has no LabelName"),
        ("a,x,c,1,10,900,20,300,0,0,0,0,0\n", "not in fractions"),
    ],
)
def test_a_bad_row_is_named_or_skipped(tmp_path, row, why):
    foreign(tmp_path, ROWS + row)

    with pytest.raises(FormatError, match=why) as caught:
        openimages.read(tmp_path)
    assert caught.value.path.endswith("bbox.csv") and caught.value.where == "row 3"
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(openimages.read(tmp_path, on_error="skip")) == 2


def test_a_path_without_labels_is_refused(tmp_path):
    with pytest.raises(FormatError, match="leads to no CSV file"):
        openimages.read(tmp_path)
    with pytest.raises(FormatError, match="no such file"):
        openimages.read(tmp_path / "missing")

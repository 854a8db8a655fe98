"""COCO: exact round trips, what pycocotools makes of our files, and bad files named."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import rle_area, rle_bounds
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import coco
from tests.formats.samples import (
    HARD_NAMES,
    assert_same,
    box_datasets,
    everything,
    rotated,
    save_image,
)


def load(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def minimal(**changes: Any) -> dict[str, Any]:
    """A COCO file of two good boxes."""
    box = {"image_id": 1, "category_id": 0, "bbox": [1, 2, 3, 4]}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
        "categories": [{"id": 0, "name": "cat", "supercategory": "animal"}],
        "annotations": [{"id": 1, **box}, {"id": 2, **box}],
    }
    return content | changes


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_round_trip_keeps_all_but_tags_and_texts(tmp_path):
    dataset = everything()

    report = dataset.write(tmp_path / "c.json", format="coco", only="all")

    back = registry.read(tmp_path / "c.json")
    placed = dataset.labels[dataset.labels["kind"].isin(PLACED_KINDS)]
    assert_same(back, Dataset(placed, dataset.images, dataset.schema))
    assert report.labels == len(placed)
    assert report.lost == {
        "tag labels, for which COCO has no place": 2,
        "text labels, for which COCO has no place": 2,
    }


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=box_datasets())
def test_any_names_keys_and_numbers_come_back(tmp_path, dataset):
    dataset.write(tmp_path / "c.json", format="coco")

    assert_same(coco.read(tmp_path / "c.json"), dataset)


def test_only_reviewed_images_go_out_and_empty_ones_stay(tmp_path):
    report = everything().write(tmp_path, format="coco")

    written = json.loads((tmp_path / "annotations.json").read_text(encoding="utf-8"))
    keys = [image["file_name"] for image in written["images"]]
    assert keys == ["b.jpg", "a/1.jpg", "c.jpg", "empty.jpg"]
    assert report.lost["images not reviewed"] == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools under NumPy 2
def test_pycocotools_reads_shapes_names_and_ids(tmp_path):
    dataset = everything()
    dataset.write(tmp_path / "c.json", format="coco")

    truth = load(tmp_path / "c.json")

    assert {c["id"]: c["name"] for c in truth.loadCats(truth.getCatIds())} == {
        3 * i: name for i, name in enumerate(HARD_NAMES)
    }
    rows = truth.loadAnns(truth.getAnnIds())
    assert min(row["id"] for row in rows) == 1
    polygon, mask = (
        next(row for row in rows if isinstance(row.get("segmentation"), kind))
        for kind in (list, dict)
    )
    assert polygon["area"] == 40
    assert abs(int(truth.annToMask(polygon).sum()) - 40) < 8
    assert truth.annToMask(mask).sum() == mask["area"] == 2
    assert all("segmentation" not in row for row in rows[: len(HARD_NAMES)])


def test_labels_score_ap_1_against_themselves(tmp_path):
    rng = np.random.default_rng(0)
    labels = pd.DataFrame(rng.uniform(5, 90, (60, 4)), columns=["x", "y", "width", "height"])
    labels["image"] = [f"{i % 7}.jpg" for i in range(60)]
    labels["label"] = [f"class {i % 3}" for i in range(60)]
    images = pd.DataFrame({"width": 200, "height": 200}, index=[f"{i}.jpg" for i in range(7)])
    Dataset(labels, images).write(tmp_path / "c.json", format="coco")

    truth = load(tmp_path / "c.json")
    found = [
        {key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for row in truth.loadAnns(truth.getAnnIds())
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        scored = COCOeval(truth, truth.loadRes(found), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    assert scored.stats[0] == pytest.approx(1.0)


def test_masks_are_measured_as_pycocotools_does():
    rng = np.random.default_rng(1)
    for fraction in (0.0, 0.02, 0.5, 1.0):
        pixels = np.asfortranarray(rng.random((37, 53)) < fraction, dtype=np.uint8)
        rle = coco_mask.encode(pixels)
        ours = {"size": rle["size"], "counts": rle["counts"].decode()}
        assert rle_area(ours) == coco_mask.area(rle)
        assert rle_bounds(ours) == coco_mask.toBbox(rle).tolist()


def test_split_gives_each_file_its_images_and_all_categories(tmp_path):
    dataset = everything()

    dataset.write(tmp_path, format="coco", split=(0.5, 0.5), only="all")

    parts = {name: load(tmp_path / f"{name}.json") for name in ("train", "val")}
    assert all(len(part.getCatIds()) == len(HARD_NAMES) for part in parts.values())
    assert sum(len(part.getImgIds()) for part in parts.values()) == 5
    back = registry.read(tmp_path)
    assert set(back.images["split"]) == {"train", "val"}
    assert back.schema == dataset.schema


def test_sizes_come_from_the_upright_picture(tmp_path):
    save_image(tmp_path / "a.jpg", exif=rotated())
    labels = pd.DataFrame(
        {"image": ["a.jpg"], "label": "c", "x": 1, "y": 2, "width": 3, "height": 4}
    )

    Dataset(labels).write(tmp_path / "c.json", format="coco", root=tmp_path)

    image = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["images"][0]
    assert (image["width"], image["height"]) == (40, 60)


def test_unknown_size_is_an_error_that_names_the_image(tmp_path):
    labels = pd.DataFrame(
        {"image": ["a.jpg"], "label": "c", "x": 1, "y": 2, "width": 3, "height": 4}
    )

    with pytest.raises(FormatError, match=r"image 'a\.jpg': has no width and height.*root="):
        Dataset(labels).write(tmp_path / "c.json", format="coco")


@pytest.mark.parametrize("column", ["x", "attributes"])
def test_nan_is_refused_and_the_old_file_stays(tmp_path, column):
    dataset = everything()
    dataset.write(tmp_path / "c.json", format="coco")
    before = (tmp_path / "c.json").read_bytes()
    dataset.labels.at["id003", column] = np.nan if column == "x" else {"speed": float("nan")}

    with pytest.raises(FormatError, match="id003"):
        dataset.write(tmp_path / "c.json", format="coco")
    assert (tmp_path / "c.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c.json"]


def test_crowd_and_cvat_attributes_survive(tmp_path):
    content = minimal()
    content["annotations"][1]["bbox"] = [5, 5, 9, 9]
    content["annotations"][0] |= {"iscrowd": 1, "attributes": {"occluded": False, "size": 2.5}}
    dataset = coco.read(save(tmp_path / "c.json", content))

    assert dataset.labels["attributes"].iloc[0] == {"iscrowd": True, "occluded": False, "size": 2.5}
    assert dataset.validate().ok
    dataset.write(tmp_path / "again.json", format="coco")
    assert [row["iscrowd"] for row in load(tmp_path / "again.json").dataset["annotations"]] == [
        1,
        0,
    ]


def test_images_are_found_beside_the_file(tmp_path):
    save_image(tmp_path / "images" / "a.jpg")

    dataset = coco.read(save(tmp_path / "c.json", minimal()))

    assert dataset.images["path"].tolist() == [str(tmp_path / "images" / "a.jpg")]
    assert dataset.labels["source"].eq("import:coco").all()
    assert dataset.images["status"].eq("done").all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"category_id": 91}, 'category_id 91 is not in "categories"'),
        ({"image_id": 7}, 'image_id 7 is not in "images"'),
        ({"id": 1}, "id 1 stands twice"),
        ({"bbox": [1, 2, -3, 4]}, "negative side"),
        ({"bbox": [1, 2, 3]}, "bbox has 3 numbers"),
        ({"bbox": [float("nan"), 2, 3, 4]}, "NaN"),
        ({"bbox": "1 2 3 4"}, "expected `array"),
        ({"bbox": None}, "bbox is missing"),
        ({"segmentation": [[1, 2, 3, 4]]}, "polygon 0 has 4 numbers"),
        ({"segmentation": {"size": [40, 60], "counts": [5, 5]}}, "runs fill 10 of 40 × 60"),
        ({"score": 2}, "outside 0 … 1"),
    ],
)
def test_bad_annotation_is_named_or_skipped(tmp_path, change, why):
    content = minimal()
    content["annotations"][1] |= change
    save(tmp_path / "c.json", content)

    with pytest.raises(FormatError) as caught:
        coco.read(tmp_path / "c.json")
    assert caught.value.where.startswith("annotations[1]")
    assert why.lower() in str(caught.value).lower() and "on_error" in str(caught.value)
    with pytest.warns(UserWarning, match="1 left out"):
        kept = coco.read(tmp_path / "c.json", on_error="skip")
    assert len(kept) == 1
    assert "annotations[1]" in kept.labels.attrs["nbannotate.skipped"][0]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (minimal(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]), "categories"),
        (minimal(images=[{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]),
         "images[1]"),
        (minimal(images=[{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}]), "images[1]"),
        (minimal(images=[{"id": 1}]), "images[0]"),
        ([{"image_id": 1}], ""),
        ({"images": []}, ""),
    ],
)  # fmt: skip
def test_bad_file_is_named(tmp_path, content, where):
    with pytest.raises(FormatError) as caught:
        coco.read(save(tmp_path / "c.json", content))
    assert caught.value.where == where
    assert caught.value.path.endswith("c.json")


def test_cut_off_file_names_the_line(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(minimal(), indent=1)[:-20], encoding="utf-8")

    with pytest.raises(FormatError, match="is not JSON"):
        coco.read(tmp_path / "c.json")


def test_copied_annotation_gets_an_id_of_its_own(tmp_path):
    everything().write(tmp_path / "c.json", format="coco")
    content = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    content["annotations"].append(content["annotations"][0] | {"id": 999})

    back = coco.read(save(tmp_path / "c.json", content))

    assert len(back) == len(content["annotations"])


def test_category_renamed_elsewhere_wins_over_our_scheme(tmp_path):
    everything().write(tmp_path / "c.json", format="coco")
    content = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    content["categories"][0]["name"] = "renamed"

    back = coco.read(save(tmp_path / "c.json", content))

    assert back.schema.by_id(0).name == "renamed"


@pytest.mark.parametrize(
    ("key", "value"),
    [("frame", float("inf")), ("frame", 10**30), ("created", "x"), ("score", 2), ("kind", "x")],
)
def test_what_another_tool_broke_in_our_own_keys_is_a_format_error(tmp_path, key, value):
    content = minimal()
    content["annotations"][0]["nbannotate"] = {"label_id": "i", key: value}

    with pytest.raises(FormatError, match=r"c\.json"):
        coco.read(save(tmp_path / "c.json", content))

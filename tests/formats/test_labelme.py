"""LabelMe: exact files, round trips, what supervision reads, and files of others."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels, mask_rle
from nbannotate.core.schema import Schema
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import labelme
from nbannotate.formats.shared.pixels import png_bytes
from tests.formats.samples import (
    assert_alike,
    box_datasets,
    everything,
    rotated,
    save_image,
    shape_datasets,
)


def file(folder: Path, shapes: list[dict[str, Any]], name: str = "a", **changes: Any) -> Path:
    """A file as LabelMe saves it."""
    content = {
        "version": "5.0.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{name}.jpg",
        "imageData": None,
        "imageHeight": 40,
        "imageWidth": 60,
    }
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def shape(kind: str | None, points: list[Any], label: str = "cat", **more: Any) -> dict[str, Any]:
    row = {"label": label, "points": points, "group_id": None, "flags": {}, "shape_type": kind}
    return row | more


def test_the_text_of_a_small_file(tmp_path):
    labels = pd.DataFrame(
        {"image": ["a.jpg"], "label": "cat", "x": 1.5, "y": 2.0, "width": 3.0, "height": 4.0,
         "attributes": [{"occluded": True}], "text": "hi"}
    )  # fmt: skip
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=["a.jpg"])
    schema = Schema(classes=["cat"], tags=["sun"], attributes={"occluded": bool})

    Dataset(labels, images, schema).to_labelme(tmp_path / "out", copy="none", extras=False)

    assert (
        (tmp_path / "out/a.json").read_text(encoding="utf-8")
        == """{
  "version": "5.5.0",
  "flags": {
    "sun": false
  },
  "shapes": [
    {
      "label": "cat",
      "points": [
        [
          1.5,
          2.0
        ],
        [
          4.5,
          6.0
        ]
      ],
      "group_id": null,
      "description": "hi",
      "shape_type": "rectangle",
      "flags": {
        "occluded": true
      },
      "mask": null
    }
  ],
  "imagePath": "a.jpg",
  "imageData": null,
  "imageHeight": 40,
  "imageWidth": 60
}"""
    )
    assert (tmp_path / "out/labels.txt").read_text() == "cat\n"


def test_round_trip_keeps_all_but_texts_of_images(tmp_path):
    dataset = everything()

    report = dataset.to_labelme(tmp_path / "out", copy="none", only="all")

    back = registry.read(tmp_path / "out")
    kept = dataset.labels[dataset.labels["kind"].isin([*PLACED_KINDS, "tag"])]
    wanted = Dataset(kept, dataset.images, dataset.schema)
    assert_alike(back, wanted)
    pd.testing.assert_frame_equal(
        back.labels.loc[kept.index].drop(columns=["x", "y", "width", "height", "geometry"]),
        kept.drop(columns=["x", "y", "width", "height", "geometry"]),
    )
    assert report.lost == {"text labels, for which LabelMe has no place": 2}
    assert report.labels == len(kept) and report.images == 5


def test_without_extras_all_that_is_lost_is_counted(tmp_path):
    report = everything().to_labelme(tmp_path / "out", copy="none", extras=False)

    assert report.lost == {
        "text labels, for which LabelMe has no place": 2,
        "images not reviewed": 1,
        "labels' attributes": 9,  # those that are no flags
        "labels' score": 7,
        "labels' frame": 6,
        "labels' annotator": 13,
        "labels' seconds": 27,
        "labels' created": 27,
        "labels' source": 7,
        "images' split": 3,
        "images' note": 3,
        "images' seconds": 1,
        "images' updated": 4,
        "images' unsure": 1,
        "images' status": 1,
        "rotated_box shapes (written as polygons)": 1,
    }
    back = registry.read(tmp_path / "out")
    assert back.labels["source"].eq("import:labelme").all()
    assert set(back.labels["kind"]) == {"box", "polygon", "keypoints", "mask", "tag"}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=box_datasets() | shape_datasets())
def test_any_names_keys_and_shapes_come_back(tmp_path, dataset):
    dataset.to_labelme(tmp_path / "out", copy="none", overwrite=True)

    assert_alike(registry.read(tmp_path / "out"), dataset)


def test_images_are_placed_and_a_renamed_one_keeps_its_key(tmp_path):
    keys = ["a/1.jpg", "a.jpg", "a.png", "con.jpg"]
    for key in keys:
        save_image(tmp_path / "src" / key)
    images = pd.DataFrame({"status": "done"}, index=keys)
    labels = pd.DataFrame({"image": keys, "label": "c", "x": 1, "y": 2, "width": 3, "height": 4})

    Dataset(labels, images).to_labelme(tmp_path / "out", root=tmp_path / "src", split=(0.5, 0.5))

    back = registry.read(tmp_path / "out")
    assert set(back.images.index) == set(keys)
    assert all(Path(where).is_file() for where in back.images["path"])
    assert set(back.images["split"]) == {"train", "val"}
    assert back.images[["width", "height"]].eq([60, 40]).all(axis=None)
    Dataset(labels.iloc[:1]).to_labelme(
        tmp_path / "out", root=tmp_path / "src", overwrite=True, copy="copy"
    )
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "a", "labels.txt", "nbannotate.schema"
    }  # fmt: skip


def test_without_copies_the_file_says_where_the_image_is(tmp_path):
    save_image(tmp_path / "src/a.jpg")
    labels = pd.DataFrame({"image": ["a.jpg"], "label": "c", "x": 1, "y": 2, "width": 3,
                           "height": 4})  # fmt: skip

    Dataset(labels).to_labelme(tmp_path / "out", root=tmp_path / "src", copy="none")

    content = json.loads((tmp_path / "out/a.json").read_text())
    assert content["imagePath"] == "../src/a.jpg"
    assert registry.read(tmp_path / "out").images.index.tolist() == ["a.jpg"]


def test_an_embedded_picture_is_upright_and_gives_its_size(tmp_path):
    save_image(tmp_path / "a.jpg", exif=rotated())
    labels = pd.DataFrame({"image": ["a.jpg"], "label": "c", "x": 1, "y": 2, "width": 3,
                           "height": 4})  # fmt: skip

    Dataset(labels).to_labelme(tmp_path / "out", root=tmp_path, copy="none", embed=True)

    written = tmp_path / "out/a.json"
    content = json.loads(written.read_text())
    with Image.open(io.BytesIO(base64.b64decode(content["imageData"]))) as picture:
        assert picture.size == (40, 60) and 274 not in picture.getexif()
    del content["imageWidth"], content["imageHeight"]
    written.write_text(json.dumps(content))
    back = registry.read(written)
    assert back.images[["width", "height"]].to_numpy().tolist() == [[40, 60]]


def test_corners_of_a_rectangle_come_in_any_order(tmp_path):
    path = file(tmp_path, [shape("rectangle", [[30, 5], [10, 25]])])

    assert registry.read(path).labels[["x", "y", "width", "height"]].to_numpy().tolist() == [
        [10, 5, 20, 20]
    ]


def test_a_group_joins_polygons_and_points_of_one_label(tmp_path):
    triangle = [[0, 0], [4, 0], [0, 4]]
    path = file(
        tmp_path,
        [
            shape("polygon", triangle, group_id=1),
            shape("polygon", triangle, "dog", group_id=1),
            shape("polygon", [[9, 9], [12, 9], [9, 12]], group_id=1),
            shape("point", [[5, 6]], group_id=2),
            shape("point", [[1, 2]], group_id=2),
            shape("polygon", triangle),
            shape("polygon", triangle),
        ],
    )

    labels = registry.read(path).labels

    assert labels["kind"].tolist() == ["polygon", "polygon", "keypoints", "polygon", "polygon"]
    assert [len(shape) for shape in labels["geometry"]] == [2, 1, 2, 1, 1]
    assert labels["geometry"].iloc[2] == [[5, 6, 2], [1, 2, 2]]
    assert labels["attributes"].tolist() == [{}, {"group_id": 1}, {}, {}, {}]
    assert labels[["x", "y", "width", "height"]].iloc[0].tolist() == [0, 0, 12, 12]


def test_shapes_of_all_kinds_and_versions_are_read(tmp_path):
    pixels = np.zeros((3, 4), dtype=bool)
    pixels[0, 1] = pixels[2, 3] = True
    mask = base64.b64encode(png_bytes(pixels)).decode()
    path = file(
        tmp_path,
        [
            shape(None, [[0, 0], [4, 0], [0, 4]]),  # labelme 3
            shape("circle", [[20, 20], [20, 26]]),
            shape("line", [[1, 2], [3, 4]]),
            shape("linestrip", [[1, 2], [3, 4], [5, 0]]),
            shape("point", [[7, 8]], flags={"occluded": False, "new": True}, description="x"),
            shape("mask", [[10, 20], [13, 22]], mask=mask),
            shape("rotation", [[10, 10], [20, 10], [20, 14], [10, 14]], direction=0.0),
        ],
        flags={"sunny": True, "rainy": False},
    )

    dataset = registry.read(path)
    labels = dataset.labels

    assert labels["kind"].tolist() == [
        "tag", "polygon", "polygon", "polyline", "polyline", "keypoints", "mask", "rotated_box"
    ]  # fmt: skip
    circle = np.array(labels["geometry"].iloc[2][0])
    np.testing.assert_allclose(np.hypot(*(circle - [20, 20]).T), 6)
    assert labels["attributes"].iloc[5] == {"occluded": False, "new": True}
    assert labels["text"].iloc[5] == "x"
    found = mask_pixels(labels["geometry"].iloc[6])
    assert np.argwhere(found).tolist() == [[20, 11], [22, 13]]
    assert labels["geometry"].iloc[7] == [15, 12, 10, 4, 0]
    assert labels["label"].iloc[0] == "sunny"
    assert [c.name for c in dataset.schema.tag_choices] == ["sunny", "rainy"]
    again = tmp_path / "again"
    dataset.to_labelme(again, copy="none")
    types = [s["shape_type"] for s in json.loads((again / "a.json").read_text())["shapes"]]
    assert types == ["polygon", "circle", "line", "linestrip", "point", "mask", "polygon"]
    assert_alike(registry.read(again), dataset)


def test_an_edit_in_labelme_counts_and_the_rest_stays(tmp_path):
    everything().to_labelme(tmp_path / "out", copy="none")
    written = tmp_path / "out/b.json"
    content = json.loads(written.read_text(encoding="utf-8"))
    polygon = next(s for s in content["shapes"] if s["shape_type"] == "polygon")
    polygon |= {"label": "brand new", "flags": {"occluded": False}, "description": "seen"}
    content["flags"]["no"] = False
    content["shapes"].append(shape("rectangle", [[1, 1], [3, 3]]))
    content["shapes"].append(dict(polygon))
    written.write_text(json.dumps(content), encoding="utf-8")

    back = registry.read(tmp_path / "out")

    label_id = polygon["nbannotate"]["label_id"]
    row = back.labels.loc[label_id]
    assert (row["label"], row["text"]) == ("brand new", "seen")
    assert row["attributes"]["occluded"] is False and row["created"].year == 2026
    assert "brand new" in [c.name for c in back.schema.classes]
    labels = back.labels[back.labels["image"] == "b.jpg"]
    assert not labels["kind"].eq("tag").any()
    assert labels["source"].eq("import:labelme").sum() == 1
    assert labels["label"].eq("brand new").sum() == 2  # the copied one has an id of its own


def test_images_without_a_file_are_to_do(tmp_path):
    file(tmp_path / "sub", [])
    save_image(tmp_path / "sub/a.jpg")
    save_image(tmp_path / "new.png")

    images = registry.read(tmp_path).images

    assert images["status"].to_dict() == {"sub/a.jpg": "done", "new.png": "todo"}


def test_image_paths_of_windows_and_of_other_folders(tmp_path):
    file(tmp_path / "json", [], "a", imagePath="..\\pictures\\a.jpg")
    file(tmp_path / "json", [], "b", imagePath="../../../etc/b.jpg", imageWidth=None)

    images = registry.read(tmp_path).images

    assert images.index.tolist() == ["pictures/a.jpg", "../../etc/b.jpg"]
    assert images["path"].iloc[0] == str(tmp_path / "pictures/a.jpg")
    assert pd.isna(images["width"].iloc[1])
    other = registry.read(tmp_path, images=tmp_path / "elsewhere").images
    assert other["path"].iloc[1] == str(tmp_path / "elsewhere/b.jpg")


@pytest.mark.parametrize(
    ("bad", "where", "why"),
    [
        ({"points": [[1, 2]]}, "shapes[1]", "a rectangle has 1 points; it needs 2"),
        ({"points": [[1, 2], [3]]}, "shapes[1].points[1]", "length 2"),
        ({"points": [[1, 2], ["3", 4]]}, "shapes[1].points[1][0]", "expected `float`"),
        ({"points": None}, "shapes[1].points", "expected `array`"),
        ({"shape_type": "polygon", "points": [[1, 2], [3, 4]]}, "shapes[1]", "needs 3"),
        ({"shape_type": "blob"}, "shapes[1]", "shape_type 'blob' is unknown"),
        ({"label": " "}, "shapes[1]", "label is empty"),
        ({"label": None}, "shapes[1].label", "expected `str`"),
        ({"shape_type": "mask"}, "shapes[1]", "a mask needs"),
        ({"shape_type": "mask", "mask": "AAAA"}, "shapes[1]", "no PNG"),
        ({"shape_type": "mask", "mask": "é"}, "shapes[1]", "ascii"),
    ],
)
def test_a_bad_shape_is_named_or_skipped(tmp_path, bad, where, why):
    path = file(tmp_path, [shape("rectangle", [[1, 2], [3, 4]]),
                           shape("rectangle", [[1, 2], [3, 4]]) | bad])  # fmt: skip

    with pytest.raises(FormatError) as caught:
        labelme.read(path)
    assert caught.value.where == where and caught.value.path == str(path)
    assert why.lower() in str(caught.value).lower() and "on_error" in str(caught.value)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(labelme.read(tmp_path, on_error="skip")) == 1


@pytest.mark.parametrize(
    ("content", "where", "why"),
    [
        (b'{"shapes": [', "line 1", "is not JSON"),
        (b'{"shapes": [],\n"imagePath": NaN}', "line 2", "NaN or infinity"),
        (b"\xff\xfe", "line 1", "is not JSON"),
        (b'{"imagePath": "a.jpg"}', "", "missing required field `shapes`"),
        (b'{"shapes": [], "imagePath": ""}', "imagePath", "names no file"),
        (b'{"shapes": [], "imagePath": "a", "imageWidth": 1e6, "imageHeight": 2}', "imageWidth",
         "1e+06 × 2 is no size"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_or_skipped(tmp_path, content, where, why):
    (tmp_path / "b.json").write_bytes(content)
    file(tmp_path, [shape("rectangle", [[1, 2], [3, 4]])])

    with pytest.raises(FormatError) as caught:
        labelme.read(tmp_path)
    assert (caught.value.path, caught.value.where) == (str(tmp_path / "b.json"), where)
    assert why in str(caught.value)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(labelme.read(tmp_path, on_error="skip")) == 1


def test_two_files_of_one_image_are_an_error(tmp_path):
    file(tmp_path, [])
    file(tmp_path, [], "b", imagePath="a.jpg")

    with pytest.raises(FormatError, match=r"b\.json, imagePath: .*'a.jpg' is that of a.json too"):
        labelme.read(tmp_path)


@pytest.mark.parametrize(
    ("path", "options", "why"),
    [
        ("out.json", {}, "give the name of a folder"),
        ("out", {"copy": "move"}, "use 'link', 'copy' or 'none'"),
        ("out", {}, "is not a file"),
    ],
)
def test_a_bad_call_of_the_writer_says_the_mend(tmp_path, path, options, why):
    with pytest.raises(FormatError, match=why):
        everything().to_labelme(tmp_path / path, **options)


def test_nan_in_a_shape_names_the_label(tmp_path):
    dataset = everything()
    dataset.labels.at["id019", "geometry"] = [[[0.0, math.nan], [1.0, 1.0], [2.0, 0.0]]]

    with pytest.raises(FormatError, match="id019"):
        dataset.to_labelme(tmp_path / "out", copy="none")
    assert not (tmp_path / "out").exists()


def test_supervision_reads_the_same_coordinates(tmp_path):
    supervision = pytest.importorskip("supervision")
    labels = pd.DataFrame(
        [("a.jpg", "box", "cat", 1.5, 2.25, 20.0, 10.0, None),
         ("a.jpg", "polygon", "dog", 5.0, 6.0, 10.0, 8.0, [[[5.0, 6.0], [15.0, 6.0], [9.0, 14.0]]]),
         ("b.jpg", "box", "dog", 0.0, 0.0, 60.0, 40.0, None)],
        columns=["image", "kind", "label", "x", "y", "width", "height", "geometry"],
    )  # fmt: skip
    for key in ("a.jpg", "b.jpg", "empty.jpg"):
        save_image(tmp_path / "src" / key)
    images = pd.DataFrame({"status": "done"}, index=["a.jpg", "b.jpg", "empty.jpg"])
    out = tmp_path / "out"
    Dataset(labels, images).to_labelme(out, root=tmp_path / "src")

    read = supervision.DetectionDataset.from_labelme(str(out), str(out))

    assert read.classes == ["cat", "dog"]
    found = {Path(path).name: row for path, row in read.annotations.items()}
    assert found["a.jpg"].xyxy.tolist() == [[1.5, 2.25, 21.5, 12.25], [5, 6, 15, 14]]
    assert found["a.jpg"].class_id.tolist() == [0, 1]
    assert found["b.jpg"].xyxy.tolist() == [[0, 0, 60, 40]]
    assert len(found["empty.jpg"]) == 0


def test_our_masks_are_those_of_pycocotools():
    coco_mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for fraction in (0.0, 0.03, 0.5, 1.0):
        pixels = rng.random((23, 41)) < fraction
        ours = mask_rle(pixels)
        theirs = coco_mask.encode(np.asfortranarray(pixels, dtype=np.uint8))
        assert ours["counts"] == theirs["counts"].decode()
        assert (mask_pixels(ours) == pixels).all()

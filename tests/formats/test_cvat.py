"""CVAT's XML: images and tracks, every shape, what datumaro reads, bad files named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels, mask_rle
from nbannotate.core.schema import Schema
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import cvat
from tests.formats import readers
from tests.formats.samples import assert_alike, everything, save_image, shape_datasets

META = """<meta><task><labels>
<label><name>cat</name><color>#ff0000</color><attributes><attribute><name>fur</name>
<input_type>select</input_type><values>long
short</values></attribute></attributes></label>
<label><name>man</name><type>skeleton</type></label>
<label><name>head</name><parent>man</parent></label>
<label><name>foot</name><parent>man</parent></label>
</labels><original_size><width>64</width><height>48</height></original_size></task></meta>"""


def save(path: Path, body: str, meta: str = META) -> Path:
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{meta}{body}</annotations>'
    path.write_text(text, encoding="utf-8")
    return path


def image(body: str, name: str = "a.jpg") -> str:
    return f'<image id="0" name="{name}" width="64" height="48">{body}</image>'


def test_round_trip_keeps_all_but_texts(tmp_path):
    dataset = everything()
    report = dataset.write(tmp_path / "a.xml", format="cvat", only="all")

    kept = dataset.labels[dataset.labels["kind"].isin([*PLACED_KINDS, "tag"])]
    back = nba.read(tmp_path / "a.xml")
    assert_alike(back, Dataset(kept, dataset.images, dataset.schema))
    columns = ["score", "source", "annotator", "frame", "seconds", "created"]
    pd.testing.assert_frame_equal(back.labels.loc[kept.index, columns], kept[columns])
    pd.testing.assert_frame_equal(back.images.loc[dataset.images.index], dataset.images)
    assert report.lost == {"text labels, for which CVAT has no place": 2}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_cvat(tmp_path / "a.xml")
    assert_alike(cvat.read(tmp_path / "a.xml"), dataset)


def test_every_shape_of_cvat_is_read(tmp_path):
    body = """
    <box label="cat" occluded="1" xtl="10" ytl="20" xbr="30" ybr="25" z_order="2">
      <attribute name="fur">long</attribute></box>
    <box label="cat" occluded="0" xtl="10" ytl="20" xbr="30" ybr="30" rotation="90"/>
    <polygon label="cat" points="0,0;9,0;9,5"/>
    <polyline label="cat" points="1,2;3,4"/>
    <points label="cat" points="3,4;5,6"/>
    <ellipse label="cat" cx="20" cy="20" rx="8" ry="4"/>
    <mask label="cat" rle="1, 2, 1, 2" left="5" top="6" width="3" height="2"/>
    <skeleton label="man"><points label="foot" points="7,8" occluded="1" outside="0"/>
      <points label="head" points="5,5" outside="0"/></skeleton>
    <tag label="sunny"/>"""
    read = nba.read(save(tmp_path / "a.xml", image(body)))

    rows = read.labels.reset_index(drop=True)
    assert rows["kind"].tolist() == [
        "box", "rotated_box", "polygon", "polyline", "keypoints", "polygon", "mask", "keypoints",
        "tag",
    ]  # fmt: skip
    assert rows["attributes"][0] == {"occluded": True, "z_order": 2, "fur": "long"}
    assert rows["geometry"][1] == pytest.approx([20, 25, 20, 10, math.pi / 2])
    boxes = rows[["x", "y", "width", "height"]].to_numpy()
    np.testing.assert_allclose(boxes[1], [15, 15, 10, 20], atol=1e-9)
    np.testing.assert_allclose(boxes[5], [12, 16, 16, 8], atol=1e-9)
    pixels = np.zeros((48, 64), dtype=bool)
    pixels[6, 6:8] = pixels[7, 6:8] = True
    assert (mask_pixels(rows["geometry"][6]) == pixels).all()
    assert rows["geometry"][7] == [[5, 5, 2], [7, 8, 1]]
    man = read.schema.find("man")
    assert man.keypoints == ("head", "foot") and read.schema.find("cat").color == "#ff0000"
    assert read.schema.attribute("fur").choices == ("long", "short")


def test_tracks_are_frames_until_they_are_outside(tmp_path):
    body = """<track id="4" label="cat">
    <box frame="2" outside="0" occluded="0" keyframe="1" xtl="1" ytl="2" xbr="3" ybr="4"/>
    <box frame="3" outside="0" occluded="0" keyframe="0" xtl="2" ytl="2" xbr="4" ybr="4"/>
    <box frame="4" outside="1" occluded="0" keyframe="1" xtl="2" ytl="2" xbr="4" ybr="4"/>
    </track>"""
    read = nba.read(save(tmp_path / "a.xml", body))

    assert read.labels[["frame", "track", "x"]].to_numpy().tolist() == [[2, 4, 1], [3, 4, 2]]
    assert read.labels["attributes"].tolist() == [{}, {"keyframe": False}]
    assert read.images.index.tolist() == ["frame_000002", "frame_000003"]
    assert read.images[["width", "height"]].to_numpy().tolist() == [[64, 48]] * 2


def video() -> Dataset:
    """Two tracks, one with a gap, and a label without one; a frame without labels."""
    rows = [("f1", 1, 7), ("f2", 2, 7), ("f4", 4, 7), ("f1", 1, 9), ("f2", 2, None)]
    labels = pd.DataFrame(rows, columns=["image", "frame", "track"])
    labels[["kind", "label"]] = ["box", "cat"]
    labels[["x", "y", "width", "height"]] = [4.5, 5.0, 10.25, 8.0]
    labels["x"] += labels.index * 2.0
    labels["attributes"] = [{"keyframe": False}] + [{}] * 4
    images = pd.DataFrame({"width": 64, "height": 48, "status": "done"}, ["f1", "f2", "f3", "f4"])
    return Dataset(labels, images, Schema(classes=["cat"], attributes={"keyframe": bool}))


def test_a_video_comes_back(tmp_path):
    dataset = video()
    report = dataset.to_cvat(tmp_path / "a.xml", video=True)

    back = nba.read(tmp_path / "a.xml")
    assert_alike(back, dataset)
    columns = ["frame", "track"]
    pd.testing.assert_frame_equal(
        back.labels.loc[dataset.labels.index, columns], dataset.labels[columns]
    )
    assert report.lost == {}


def test_each_track_is_ended_by_a_shape_that_is_outside(tmp_path):
    video().to_cvat(tmp_path / "a.xml", video=True, extras=False)

    tracks = ElementTree.parse(tmp_path / "a.xml").getroot().findall("track")
    shown = [[(box.get("frame"), box.get("outside")) for box in track] for track in tracks]
    assert shown == [
        [("1", "0"), ("2", "0"), ("3", "1"), ("4", "0"), ("5", "1")],
        [("1", "0"), ("2", "1")],
        [("2", "0"), ("3", "1")],
    ]
    assert tracks[0][0].get("keyframe") == "0"


def test_labels_without_a_frame_are_no_video(tmp_path):
    with pytest.raises(FormatError, match="has no frame, which a video's labels need"):
        everything().to_cvat(tmp_path / "a.xml", video=True)


def test_datumaro_reads_the_same(tmp_path):
    labels = pd.DataFrame({"image": "a.jpg", "label": "cat", "kind": ["box", "polygon", "mask"]})
    triangle = [[1.0, 2.0], [31.5, 2.0], [1.0, 22.5]]
    pixels = np.zeros((48, 64), dtype=bool)
    pixels[5:9, 3:30] = True
    pixels[6, 10] = False
    labels["geometry"] = pd.Series([None, [triangle], mask_rle(pixels)], dtype=object)
    labels[["x", "y", "width", "height"]] = [[5.5, 6, 20, 10], [1, 2, 30.5, 20.5], [3, 5, 27, 4]]
    labels["attributes"] = [{"occluded": True, "fur": "long"}, {}, {}]
    images = pd.DataFrame({"width": 64, "height": 48, "status": "done"}, ["a.jpg", "empty.jpg"])
    schema = Schema(classes=["dog", "cat"], attributes={"occluded": bool, "fur": ["long"]})
    Dataset(labels, images, schema).to_cvat(tmp_path / "a.xml")
    for name in images.index:
        save_image(tmp_path / "images" / name, (64, 48))

    found = readers.run(
        """
import json, sys
import numpy as np
import datumaro as dm
data = dm.Dataset.import_from(sys.argv[1], "cvat")
names = [c.name for c in data.categories()[dm.AnnotationType.label]]
rows = {}
for item in data:
    rows[item.id] = []
    for a in item.annotations:
        kind = a.type.name
        shape = (np.argwhere(a.image).tolist() if kind == "mask"
                 else list(a.points) if kind == "polygon" else a.get_bbox())
        rows[item.id].append([kind, names[a.label], shape, dict(a.attributes)])
print(json.dumps(rows, default=str))
""",
        tmp_path / "a.xml",
    )  # fmt: skip

    assert set(found) == {"a", "empty"} and found["empty"] == []
    by_kind: dict[str, Any] = {row[0]: row for row in found["a"]}
    assert {row[1] for row in found["a"]} == {"cat"}
    assert by_kind["bbox"][2] == [5.5, 6, 20, 10]
    assert by_kind["bbox"][3]["occluded"] is True and by_kind["bbox"][3]["fur"] == "long"
    assert by_kind["polygon"][2] == [value for point in triangle for value in point]
    assert by_kind["mask"][2] == np.argwhere(pixels).tolist()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (image('<box label="cat" xtl="1"/>'), r"image\[0\]\.box\[0\]: has no ytl"),
        (image('<box label="cat" xtl="9" ytl="1" xbr="2" ybr="2"/>'), "has a negative side"),
        (image('<polygon label="cat" points="1,2;3"/>'), "points has '3'; it is x,y;x,y"),
        (image('<polygon label="cat" points="1,2;3,4"/>'), "has 2 points; it needs 3"),
        (image('<mask label="cat" rle="1" left="0" top="0" width="2" height="2"/>'), "fills 1 of"),
        (image('<cuboid label="cat"/>'), "a cuboid has no place"),
        (image('<box xtl="1" ytl="1" xbr="2" ybr="2"/>'), "has no label; give its class"),
        ('<image name="a" width="x" height="1"/>', r"image\[0\]: its size"),
        ('<track id="x" label="cat"/>', r"track\[0\]: its id 'x' is no number"),
        ('<track id="1" label="cat"><box frame="-1"/></track>', "frame '-1' is no number from 0"),
    ],
)
def test_bad_files_are_told(tmp_path, body, message):
    good = image('<box label="cat" xtl="1" ytl="1" xbr="2" ybr="2"/>', "good.jpg")
    file = save(tmp_path / "a.xml", body + good)
    with pytest.raises(FormatError, match=message):
        nba.read(file)
    with pytest.warns(UserWarning, match="1 left out"):
        assert "good.jpg" in nba.read_cvat(file, on_error="skip").labels["image"].tolist()


def test_a_document_type_is_refused(tmp_path):
    (tmp_path / "a.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>')
    with pytest.raises(FormatError, match="DOCTYPE"):
        nba.read_cvat(tmp_path / "a.xml")

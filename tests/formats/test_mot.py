"""MOT Challenge: lines to the letter, datumaro's reading, and sequences of others."""

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
from nbannotate.formats import mot
from tests.formats.readers import run
from tests.formats.samples import box_datasets, everything, save_image

BOX = ["x", "y", "width", "height"]
LINES = "1,1,913,484,109,381,1,1,1\n1,-1,-5.5,1,40,50,0,8,0.25\n3,1,914,485,108,380,1,1,0.5\n"
INFO = (
    "[Sequence]\nname=MOT17-02\nimDir=img1\nframeRate=30\nseqLength=4\n"
    "imWidth=1920\nimHeight=1080\nimExt=.jpg\n"
)


def video(**more: object) -> Dataset:
    """Three frames of one video, the second without labels."""
    rows = [
        ("v/img1/000001.jpg", "car", 0, 1.5, 10, 20, 0, 7),
        ("v/img1/000001.jpg", "my van", 3, 4, 5, 6, 0, None),
        ("v/img1/000003.jpg", "car", 1, 2, 10, 20, 2, 7),
    ]
    columns = ["image", "label", *BOX, "frame", "track"]
    labels = pd.DataFrame(rows, columns=columns).assign(**more)
    labels["track"] = labels["track"].astype("Int64")
    labels["attributes"] = [{"ignored": True, "visibility": 0.25}, {"visibility": 0.5}, {}]
    keys = [f"v/img1/{n:06d}.jpg" for n in (1, 2, 3)]
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=keys)
    return Dataset(labels, images, Schema(["car", "my van"]))


def foreign(folder: Path, text: str = LINES, info: str | None = INFO, file: str = "gt") -> Path:
    (folder / file).mkdir(parents=True, exist_ok=True)
    (folder / file / f"{file}.txt").write_text(text)
    if info is not None:
        (folder / "seqinfo.ini").write_text(info)
    return folder


def test_lines_are_written_to_the_letter(tmp_path):
    report = video().to_mot(tmp_path / "m", copy="none")

    assert (tmp_path / "m/v/gt/gt.txt").read_text() == (
        "1,7,1,2.5,10,20,0,1,0.25\n1,8,4,5,5,6,1,2,0.5\n3,7,2,3,10,20,1,1,1\n"
    )
    assert (tmp_path / "m/v/gt/labels.txt").read_text() == "car\nmy van\n"
    assert (tmp_path / "m/v/seqinfo.ini").read_text() == (
        "[Sequence]\nname=v\nimDir=img1\nframeRate=30\nseqLength=3\n"
        "imWidth=60\nimHeight=40\nimExt=.jpg\n"
    )
    assert (tmp_path / "m/seqmaps/all.txt").read_text() == "name\nv\n"
    assert report.lost == {} and (report.images, report.labels) == (3, 3)


def test_frames_tracks_and_attributes_come_back(tmp_path):
    video().to_mot(tmp_path / "m", copy="none")
    back = registry.read(tmp_path / "m")

    assert back.labels["frame"].tolist() == [0, 0, 2]
    assert back.labels["track"].tolist() == [7, pd.NA, 7]
    assert back.labels["attributes"].tolist() == video().labels["attributes"].tolist()
    assert back.images.index.tolist() == video().images.index.tolist()
    assert back.images["status"].eq("done").all()


def test_detections_keep_their_scores(tmp_path):
    dataset = video(score=[0.5, np.nan, 0.25])
    assert dataset.to_mot(tmp_path / "gt", copy="none").lost == {"labels' score": 2}
    report = dataset.to_mot(tmp_path / "m", copy="none", file="det")

    text = (tmp_path / "m/v/det/det.txt").read_text()
    assert text.splitlines()[:2] == ["1,7,1,2.5,10,20,0.5,1,-1", "1,-1,4,5,5,6,-1,2,-1"]
    back = registry.read(tmp_path / "m").labels
    np.testing.assert_array_equal(back["score"], [0.5, np.nan, 0.25])
    assert back["track"].tolist() == [7, pd.NA, 7]
    assert report.lost == {
        "attribute 'ignored' without a column of MOT": 1,
        "attribute 'visibility' without a column of MOT": 2,
    }


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=box_datasets(), tracks=st.lists(st.none() | st.integers(-5, 9), min_size=6,
       max_size=6), frames=st.none() | st.permutations([0, 3, 4, 999]))  # fmt: skip
def test_any_names_keys_boxes_tracks_and_frames_come_back(tmp_path, dataset, tracks, frames):
    labels = dataset.labels.assign(track=pd.array(tracks[: len(dataset)], dtype="Int64"))
    if frames is not None:
        at = dataset.images.index.get_indexer(pd.Index(labels["image"]))
        labels["frame"] = pd.array([frames[i] for i in at], dtype="Int64")
    dataset = Dataset(labels, dataset.images, dataset.schema)

    report = dataset.to_mot(tmp_path / "m", copy="none", overwrite=True)

    back = registry.read(tmp_path / "m", format="mot")
    assert report.lost == {} and back.schema == dataset.schema
    assert set(back.images.index) == set(dataset.images.index)
    for key in dataset.images.index:
        got, wanted = (d.labels[d.labels["image"] == key] for d in (back, dataset))
        for column in ("label", "frame", "track", "attributes"):
            assert got[column].tolist() == wanted[column].tolist(), column
        np.testing.assert_allclose(got[BOX], wanted[BOX], atol=2e-6, rtol=0)


def test_splits_are_folders_that_keep_a_sequence_together(tmp_path):
    images = pd.DataFrame(
        {"width": 60, "height": 40, "status": "done"},
        index=[f"{s}/{n}.jpg" for s in "abcdefgh" for n in range(3)],
    )
    labels = pd.DataFrame([("a/0.jpg", "c", 1, 2, 3, 4)], columns=["image", "label", *BOX])
    Dataset(labels, images).to_mot(tmp_path / "m", copy="none", split=(0.5, 0.5, 0), only="all")

    back = registry.read(tmp_path / "m").images
    assert set(back.index) == set(images.index) and set(back["split"]) == {"train", "val"}
    assert (back.groupby(back.index.str[0])["split"].nunique() == 1).all()
    texts = [(tmp_path / f"m/seqmaps/{s}.txt").read_text() for s in ("train", "val")]
    assert sorted(s for text in texts for s in text.split()[1:]) == list("abcdefgh")


def test_frames_have_one_suffix_and_odd_sizes_are_kept(tmp_path):
    save_image(tmp_path / "src/v/a.jpg")
    save_image(tmp_path / "src/v/b.png", (50, 30))
    rows = [(f"v/{name}", "c", 1, 2, 3, 4) for name in ("a.jpg", "b.png")]
    dataset = Dataset(pd.DataFrame(rows, columns=["image", "label", *BOX]))

    dataset.to_mot(tmp_path / "m", root=tmp_path / "src")

    names = [item.name for item in sorted((tmp_path / "m/v/img1").iterdir())]
    assert names == ["000001.png", "000002.png"]
    back = registry.read(tmp_path / "m")
    assert back.images.loc["v/a.jpg", ["width", "height"]].tolist() == [60, 40]
    assert back.images.loc["v/b.png", ["width", "height"]].tolist() == [50, 30]
    assert back.labels["frame"].isna().all()


def test_what_is_left_out_is_named(tmp_path):
    dataset = everything()
    dataset.images["split"] = None
    report = dataset.to_mot(tmp_path / "m", copy="none")

    assert report.lost["labels' frame (images are numbered in their order)"] == 5
    assert report.lost["labels' score"] == 7
    assert report.lost["outlines of shapes (their bounding boxes are written)"] == 5
    assert report.lost["attribute 'view' without a column of MOT"] == 9
    assert "frame" not in {reason.partition("labels' ")[2] for reason in report.lost}


DATUMARO = """
import json, sys
from datumaro import Dataset
found = Dataset.import_from(sys.argv[1], "mot_seq")
names = [label.name for label in found.categories()[next(iter(found.categories()))].items]
print(json.dumps([[item.id, names[a.label], a.get_bbox(), a.attributes]
                  for item in found for a in item.annotations]))
"""


def test_datumaro_reads_the_same_boxes(tmp_path):
    video().to_mot(tmp_path / "m", copy="none")

    # It counts pixels from 1, as the file does.
    assert run(DATUMARO, tmp_path / "m") == [
        ["1", "car", [1, 2.5, 10, 20],
         {"track_id": 7, "visibility": 0.25, "occluded": False, "ignored": True}],
        ["1", "my van", [4, 5, 5, 6],
         {"track_id": 8, "visibility": 0.5, "occluded": False, "ignored": False}],
        ["3", "car", [2, 3, 10, 20],
         {"track_id": 7, "visibility": 1, "occluded": False, "ignored": False}],
    ]  # fmt: skip


@pytest.mark.parametrize("separator", [",", ", ", " ", "\t"])
@pytest.mark.parametrize("inner", ["", "MOT17/train", "MOT17/train/MOT17-02",
                                   "MOT17/train/MOT17-02/gt/gt.txt"])  # fmt: skip
def test_sequences_of_others_are_read(tmp_path, separator, inner):
    foreign(tmp_path / "MOT17/train/MOT17-02", LINES.replace(",", separator))
    if not inner:
        inner = "MOT17"

    dataset = registry.read(tmp_path / inner)

    np.testing.assert_array_equal(dataset.labels[BOX].iloc[1], [-6.5, 0, 40, 50])
    assert dataset.labels["label"].tolist() == ["pedestrian", "distractor", "pedestrian"]
    assert dataset.labels["track"].tolist() == [1, pd.NA, 1]
    assert dataset.labels["attributes"].iloc[1] == {"visibility": 0.25, "ignored": True}
    assert [i.rpartition("/")[2] for i in dataset.images.index] == [
        f"{n:06d}.jpg" for n in (1, 2, 3, 4)
    ]
    assert dataset.images["width"].eq(1920).all()
    assert [c.id for c in dataset.schema.classes if c.name == "distractor"] == [8]


def test_ground_coordinates_and_short_lines_are_read(tmp_path):
    foreign(tmp_path / "a", "1,1,1692,378,113.57,363.02,1,-9.4032,3.8413,0\n")
    foreign(tmp_path / "b", "2,-1,11,21,30,40,2.5\n1,-1,11,21,30,40,-0.5,-1,-1,-1\n", None, "det")

    truth = registry.read(tmp_path / "a").labels
    assert truth["attributes"].iloc[0] == {"x_m": -9.4032, "y_m": 3.8413, "z_m": 0.0}
    assert truth["label"].tolist() == ["pedestrian"]
    found = registry.read(tmp_path / "b", based=0).labels
    assert found["attributes"].tolist() == [{"confidence": 2.5}, {"confidence": -0.5}]
    assert found["x"].tolist() == [11, 11] and found["track"].isna().all()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,1,2", "has 3 columns; a box has 6 to 10"),
        ("0,1,1,1,1,1,1", "frame 0 is no whole number from 1"),
        ("1,1.5,1,1,1,1,1", "id 1.5 is no whole number"),
        ("1,1,1,1,-1,1,1", "negative width"),
        ("1,1,,1,1,1,1", "no number"),
        ("1,1,nan,1,1,1,1", "NaN or infinity"),
    ],
)
def test_a_bad_line_is_named_or_skipped(tmp_path, line, why):
    foreign(tmp_path, f"{LINES}{line}\n")

    with pytest.raises(FormatError, match=why) as caught:
        mot.read(tmp_path)
    assert caught.value.path.endswith("gt.txt") and caught.value.where == "line 4"
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(mot.read(tmp_path, on_error="skip")) == 3


def test_frames_a_second_stay_what_they_are(tmp_path):
    read = registry.read(foreign(tmp_path / "a", info=INFO.replace("frameRate=30", "frameRate=14")))
    assert set(read.images["frame_rate"]) == {14}
    report = read.to_mot(tmp_path / "b", copy="none")
    [info] = (tmp_path / "b").rglob("seqinfo.ini")
    assert "frameRate=14\n" in info.read_text() and "images' column 'frame_rate'" not in report.lost
    assert "frame_rate" not in registry.read(foreign(tmp_path / "c")).images


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (INFO.replace("=4", "=9999999"), "seqlength: '9999999' is no whole number up to 1000000"),
        (INFO.replace("=img1", "=../../.."), "leads out of the folder"),
        ("x", "no INI file"),
    ],
)
def test_a_bad_seqinfo_is_named(tmp_path, info, why):
    with pytest.raises(FormatError, match=why):
        mot.read(foreign(tmp_path / "s", info=info))


def test_a_path_without_sequences_is_refused(tmp_path):
    with pytest.raises(FormatError, match="leads to no sequence"):
        mot.read(tmp_path)
    with pytest.raises(FormatError, match="no such file"):
        mot.read(tmp_path / "missing")

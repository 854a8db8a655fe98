"""PaddleOCR: round trips, what its own encoder makes of a line, files of PPOCRLabel and others."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import paddleocr
from tests.formats.samples import assert_alike, everything, save_image, shape_datasets

many = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BOX = ["x", "y", "width", "height"]
QUAD = [[1.0, 2.0], [9.0, 3.0], [9.0, 8.0], [1.0, 7.0]]
UPRIGHT = [[1, 2], [9, 2], [9, 8], [1, 8]]


def signs() -> Dataset:
    """Three texts on one image, one of them unreadable; an image without; a text of an image."""
    labels = pd.DataFrame(
        [("a.jpg", "box", "text", 1.0, 2.0, 8.0, 6.0, None, "Café, 5 €"),
         ("a.jpg", "polygon", "date", 1.0, 2.0, 8.0, 6.0, [QUAD], 'tab\t"quote"\nline'),
         ("a.jpg", "box", "text", 3.0, 3.0, 4.0, 4.0, None, None),
         ("c.jpg", "text", None, None, None, None, None, None, "one  word")],
        columns=["image", "kind", "label", *BOX, "geometry", "text"],
    )  # fmt: skip
    labels["attributes"] = [{}, {"difficult": True}, {}, {}]
    images = pd.DataFrame(
        {"width": 60, "height": 40, "status": "done"}, index=["a.jpg", "b.jpg", "c.jpg"]
    )
    return Dataset(labels, images, Schema(["date", "text"], attributes={"difficult": bool}))


def test_the_lines_to_the_letter(tmp_path):
    report = signs().to_paddleocr(tmp_path / "out", copy="none", extras=False)

    assert (tmp_path / "out/images/Label.txt").read_text(encoding="utf-8") == (
        'images/a.jpg\t[{"transcription":"Café, 5 €","points":[[1.0,2.0],[9.0,2.0],[9.0,8.0],'
        '[1.0,8.0]],"difficult":false},{"transcription":"tab\\t\\"quote\\"\\nline","points":'
        '[[1.0,2.0],[9.0,3.0],[9.0,8.0],[1.0,7.0]],"difficult":true,"key_cls":"date"},'
        '{"transcription":"###","points":[[3.0,3.0],[7.0,3.0],[7.0,7.0],[3.0,7.0]],'
        '"difficult":false}]\nimages/b.jpg\t[]\nimages/c.jpg\t[]\n'
    )
    assert report.lost == {"text labels, for which PaddleOCR has no place": 1}
    back = nba.read(tmp_path / "out")
    wanted = signs().labels.iloc[:3]
    assert back.labels["text"].tolist() == wanted["text"].tolist()
    assert back.labels["label"].tolist() == ["text", "date", "text"]
    assert back.labels["attributes"].tolist() == [{}, {"difficult": True}, {}]
    assert back.labels["kind"].tolist() == ["box", "polygon", "box"]


def test_round_trip_keeps_all_placed_labels(tmp_path):
    dataset = everything()
    dataset.images["split"] = None
    report = dataset.to_paddleocr(tmp_path / "out", copy="none", only="all")

    back = nba.read(tmp_path / "out")
    kept = dataset.labels[dataset.labels["kind"].isin(PLACED_KINDS)]
    wanted = Dataset(kept, dataset.images, dataset.schema)
    assert_alike(back, wanted)
    placed = [*BOX, "geometry"]
    pd.testing.assert_frame_equal(
        back.labels.loc[kept.index].drop(columns=placed), kept.drop(columns=placed)
    )
    assert report.lost == {
        "tag labels, for which PaddleOCR has no place": 2,
        "text labels, for which PaddleOCR has no place": 2,
    }


@many
@given(dataset=shape_datasets())
def test_any_names_keys_and_shapes_come_back(tmp_path, dataset):
    dataset.to_paddleocr(tmp_path / "out", copy="none", overwrite=True)

    assert_alike(nba.read(tmp_path / "out"), dataset)


def test_texts_of_images_are_written_for_recognition(tmp_path):
    report = signs().to_paddleocr(tmp_path / "out", task="recognition", copy="none")

    assert (tmp_path / "out/rec_gt.txt").read_text() == "images/c.jpg\tone  word\n"
    assert (report.images, report.labels) == (1, 1)
    back = nba.read(tmp_path / "out")
    assert back.labels["text"].tolist() == ["one  word"]
    assert back.images.index.tolist() == ["c.jpg"]
    with pytest.raises(FormatError, match="'detection' or 'recognition'"):
        signs().to_paddleocr(tmp_path / "x", task="rec")


def test_splits_have_lists_and_pictures_go_along(tmp_path):
    dataset = signs()
    for key in dataset.images.index:
        save_image(tmp_path / "src" / key)
    dataset.to_paddleocr(tmp_path / "out", root=tmp_path / "src", split=(0.4, 0.3, 0.3))

    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "images", "nbannotate.json", "train.txt", "val.txt", "test.txt"
    }  # fmt: skip
    back = nba.read(tmp_path / "out")
    assert sorted(back.images["split"]) == ["test", "train", "val"]
    assert all(Path(where).is_file() for where in back.images["path"])
    alone = nba.read(tmp_path / "out/train.txt")
    assert len(alone.images) == 1 and Path(alone.images["path"].iloc[0]).is_file()
    dataset.to_paddleocr(tmp_path / "out", root=tmp_path / "src", overwrite=True)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"images", "nbannotate.json"}


def test_files_of_ppocrlabel_are_read(tmp_path):
    folder = tmp_path / "shots"
    save_image(folder / "1.jpg")
    save_image(folder / "2.jpg")
    line = json.dumps([{"transcription": "TEMPORARY", "points": UPRIGHT, "difficult": False}])
    (folder / "Label.txt").write_bytes(f"\ufeffshots/1.jpg\t{line}\r\nshots/2.jpg\t[]\r\n".encode())
    (folder / "fileState.txt").write_text("/home/x/shots/1.jpg\t1\n")
    (folder / "rec_gt.txt").write_text("crop_img/1_crop_0.jpg\tTEMPORARY\n")
    read = nba.read(folder)

    assert read.images.index.tolist() == ["crop_img/1_crop_0.jpg", "shots/1.jpg", "shots/2.jpg"]
    assert read.labels["text"].tolist() == ["TEMPORARY", "TEMPORARY"]
    assert read.labels[BOX].iloc[1].tolist() == [1, 2, 8, 6]
    assert read.images.loc["shots/1.jpg", ["width", "height"]].tolist() == [60, 40]


def encoder(monkeypatch: pytest.MonkeyPatch) -> Any:
    """PaddleOCR's own encoder of a line; its file alone, for the package wants Paddle itself."""
    for name, attribute in (("ppocr.utils.logging", "get_logger"),
                            ("ppocr.data.imaug.vqa.augment", "order_by_tbyx")):  # fmt: skip
        stand_in = types.ModuleType(name)
        setattr(stand_in, attribute, None)
        monkeypatch.setitem(sys.modules, name, stand_in)
    [folder] = importlib.util.find_spec("paddleocr").submodule_search_locations
    file = Path(folder) / "ppocr/data/imaug/label_ops.py"
    spec = importlib.util.spec_from_file_location("label_ops", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DetLabelEncode()


def test_its_encoder_sees_the_polygons_and_passes_over_what_nobody_can_read(tmp_path, monkeypatch):
    signs().to_paddleocr(tmp_path / "out", copy="none")
    [line, *_] = (tmp_path / "out/images/Label.txt").read_text(encoding="utf-8").splitlines()

    found = encoder(monkeypatch)({"label": line.split("\t")[1]})
    assert found["polys"].shape == (3, 4, 2) and found["polys"][1].tolist() == QUAD
    assert found["ignore_tags"].tolist() == [False, False, True]
    assert found["texts"][0] == "Café, 5 €"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a.jpg [1]", "line 2: has no tab"),
        ("a.jpg\t[", r"line 2: holds no JSON list"),
        ('a.jpg\t[{"points": []}]', r"line 2\[0\]: .*transcription"),
        ('a.jpg\t[{"transcription": "a", "points": [[1, 2]]}]', r"line 2\[0\]\.points: are not"),
        ("x.jpg\t[]", "line 2: the image 'x.jpg' stands twice"),
    ],
)
def test_bad_lines_are_told(tmp_path, line, why):
    (tmp_path / "train.txt").write_text(f"x.jpg\t[]\n{line}\n")
    with pytest.raises(FormatError, match=why):
        paddleocr.read(tmp_path / "train.txt", on_error="raise")
    with pytest.warns(UserWarning, match="1 left out"):
        paddleocr.read(tmp_path / "train.txt", on_error="skip")

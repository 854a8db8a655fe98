"""The list of formats, and finding one from the content alone."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import check_rle
from nbannotate.core.rings import flat_to_rings, ring_area
from nbannotate.errors import FormatError, NbannotateError
from nbannotate.formats import formats
from nbannotate.formats.shared.files import open_image, place, write_atomic
from nbannotate.formats.shared.names import distinct, inside, safe_component
from tests.formats.samples import everything, save_image


def test_every_format_says_what_it_carries():
    table = formats().set_index("format")

    assert {"coco", "csv", "imagefolder", "parquet", "yolo"} <= set(table.index)
    assert table.loc["coco", ["reads", "writes"]].all()
    assert "box" in table.loc["yolo", "kinds"]
    assert table["cannot_carry"].str.len().gt(0).all()


@pytest.mark.parametrize(
    ("name", "target"),
    [("coco", "x.json"), ("coco", "folder"), ("createml", "x.json"), ("via", "x.json"),
     ("label_studio", "x.json"), ("cvat", "x.xml"), ("csv", "x.csv"), ("parquet", "x.parquet"),
     ("parquet", "folder"), ("dota", "folder"), ("kitti", "folder"), ("mot", "folder"),
     ("openimages", "folder"), ("tfrecord", "folder"), ("voc", "folder"), ("yolo", "folder"),
     ("jsonl", "x.jsonl"),
     ("multilabel_csv", "x.csv"), ("lvis", "x.json"), ("coco_results", "x.json"),
     ("coco_panoptic", "folder"), ("masks", "folder"), ("cityscapes", "folder"),
     ("webdataset", "folder"), ("supervisely", "folder"), ("labelme", "folder"),
     ("paddleocr", "folder"), ("icdar", "folder"), ("hf_imagefolder", "folder")],
)  # fmt: skip
def test_exactly_one_format_knows_its_own_files(tmp_path, name, target):
    dataset = everything()
    for key in dataset.images.index:
        save_image(tmp_path / "src" / key)
    without_root = ("coco", "parquet")
    folder = target == "folder" and name not in without_root
    more = {"root": tmp_path / "src"} if folder else {}
    images = dataset.images.assign(split="train")
    Dataset(dataset.labels, images).write(tmp_path / target, format=name, **more)
    knows = [n for n in registry.names() if registry.find(n).sniff(tmp_path / target)]

    assert knows == [name]


@pytest.mark.parametrize("target", ["x.jsonl", "folder"])
@pytest.mark.parametrize("name", ["trl_preference", "trl_unpaired", "trl_stepwise"])
def test_exactly_one_format_knows_answers(tmp_path, name, target):
    shape = {"ranks": [1, 2]} if name == "trl_preference" else {"answer": 0, "value": True}
    if name == "trl_stepwise":
        shape["step"] = 0
    kind = "choice" if name == "trl_preference" else "rating"
    labels = pd.DataFrame({"image": ["q"], "kind": kind, "geometry": [shape], "label": None})
    images = pd.DataFrame({"prompt": ["?"], "answers": [["a", "b"]]}, index=["q"])
    Dataset(labels, images).write(tmp_path / target, format=name)

    assert [n for n in registry.names() if registry.find(n).sniff(tmp_path / target)] == [name]


def test_unknown_content_lists_the_formats(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"shapes": []}))

    with pytest.raises(FormatError, match=r"looks like none of .*coco.*; say which with format="):
        registry.read(tmp_path / "x.json")
    with pytest.raises(NbannotateError, match="no format 'cocoa'; there are"):
        registry.read(tmp_path / "x.json", format="cocoa")
    with pytest.raises(FormatError, match="no such file"):
        registry.read(tmp_path / "missing.json")


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/b", "a\\b", "CON", "nul.txt", "a. ", ".x", "é" * 400, "a\0b", "a:b"]
)
def test_safe_component_is_one_visible_name(tmp_path, name):
    safe = safe_component(name)

    (tmp_path / safe).write_text("")
    assert [item.name for item in tmp_path.iterdir()] == [safe]
    assert safe[0] != "." and safe[-1] not in ". " and safe.lower().split(".")[0] != "con"


def test_distinct_names_stay_distinct_on_systems_that_fold_them():
    names = distinct(["a.jpg", "A.JPG", "caf\u00e9", "cafe\u0301", "a_2.jpg"])
    assert names[0] == "a.jpg" and names[2] == "caf\u00e9" and names[4] == "a_2.jpg"
    assert len({name.casefold() for name in names}) == 5
    stems = distinct(["a.jpg", "a.png", "b/a.jpg", "a_2.gif"], stems=True)
    assert len({name.rpartition(".")[0] for name in stems}) == 4


def test_containment_holds_through_a_link(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path)

    assert inside(tmp_path / "out", "a/b") == tmp_path / "out/a/b"
    with pytest.raises(FormatError, match="leads out"):
        inside(tmp_path / "out", "link/x")


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    write_atomic(tmp_path / "a", b"old")

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_written_files_are_readable_by_others(tmp_path):
    old = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_where_hard_links_cannot_be_made_a_symbolic_one_is(tmp_path, monkeypatch):
    save_image(tmp_path / "a.jpg")

    def other_disk(*_: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    place(str(tmp_path / "a.jpg"), tmp_path / "out/b.jpg", "link")

    assert (tmp_path / "out/b.jpg").is_symlink()
    assert (tmp_path / "out/b.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()


def test_shapes_are_checked_and_measured():
    assert ring_area([[0, 0], [4, 0], [4, 3], [0, 3]]) == 12
    assert flat_to_rings([0, 0, 1, 0, 1, 1]) == [[[0, 0], [1, 0], [1, 1]]]
    with pytest.raises(ValueError, match="7 numbers"):
        flat_to_rings([[0] * 7])
    with pytest.raises(ValueError, match="runs fill 3 of 2 × 2"):
        check_rle({"size": [2, 2], "counts": [3]})
    with pytest.raises(ValueError, match="which run-length text does not have"):
        check_rle({"size": [2, 2], "counts": "~~"})


def test_a_broken_image_is_an_oserror_also_where_pillow_asks_for_more_readers(
    tmp_path, monkeypatch
):
    def patched(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(Image, "open", patched)
    with pytest.raises(OSError, match=r"cannot identify the image: .*pi_heif"):
        open_image(io.BytesIO(b"no image"))

"""Masks as pictures: pixels by the book, folders of others, pictures that do not fit named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.raster import label_pixels
from nbannotate.errors import FormatError
from nbannotate.formats import masks
from tests.formats.samples import filled, layers, save_image, shape_datasets

many = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def pixels_of(dataset: Dataset) -> dict[tuple[str, str], list[bytes]]:
    """The pixels of each image and class that are on top, object by object, as bytes."""
    found: dict[tuple[str, str], list[bytes]] = {}
    for key, rows in filled(dataset).labels.groupby("image", sort=False):
        width, height = map(int, dataset.images.loc[key, ["width", "height"]])
        top = np.zeros((height, width), int)
        for number, row in enumerate(rows.itertuples(), 1):
            box = [row.x, row.y, row.width, row.height]
            top[label_pixels(row.kind, box, row.geometry, width, height)] = number
        for number, name in enumerate(rows["label"], 1):
            if (top == number).any():
                found.setdefault((key, name), []).append((top == number).tobytes())
    return {place: sorted(parts) for place, parts in found.items()}


@many
@given(dataset=shape_datasets())
def test_the_pixels_of_any_shapes_come_back(tmp_path, dataset):
    dataset.to_masks(tmp_path / "out", copy="none", overwrite=True)
    back = nba.read(tmp_path / "out")

    assert back.schema == dataset.schema
    assert pixels_of(back) == pixels_of(dataset)
    assert back.images["status"].eq("done").all()
    assert set(back.images.index) == set(dataset.images.index)


@pytest.fixture
def made(tmp_path) -> Path:
    for name in ("a.jpg", "no.jpg"):
        save_image(tmp_path / "src" / name, (30, 20))
    dataset = layers()
    dataset.images["split"] = ["train", "val"]
    report = dataset.to_masks(tmp_path / "out", root=tmp_path / "src")
    assert report.lost == {
        "labels with pixels that a later label covers": 1,
        "outlines of shapes (their pixels are written)": 2,
    }
    return tmp_path / "out"


def test_pixels_are_numbers_of_classes_in_their_colours(made):
    assert (made / "classes.txt").read_text() == "0 background\n1 car\n2 road\n3 tree\n"
    with Image.open(made / "masks/train/a.png") as picture:
        assert picture.mode == "P"
        colour = bytes(picture.getpalette()[3:6]).hex()
        pixels = np.asarray(picture)
    assert f"#{colour}" == layers().schema.classes[0].color.lower()
    assert np.bincount(pixels.ravel()).tolist() == [600 - 160 - 14, 24, 136, 14]
    assert (pixels[5:9, 5:11] == 1).all() and (pixels[3:5, 2:18] == 2).all()
    assert not np.asarray(Image.open(made / "masks/val/no.png")).any()
    assert (made / "images/val/no.jpg").is_file()
    read = nba.read(made)
    assert read.images["split"].to_dict() == {"a.jpg": "train", "no.jpg": "val"}
    assert read.images.loc["a.jpg", "path"] == str(made / "images/train/a.jpg")


def folder(tmp_path: Path, pixels: np.ndarray, lines: str | None = None) -> Path:
    save_image(tmp_path / "x/images/a.jpg", (3, 2))
    save_image(tmp_path / "x/images/todo.jpg", (3, 2))
    (tmp_path / "x/masks").mkdir()
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "x/masks/a.png")
    if lines is not None:
        (tmp_path / "x/labelmap.txt").write_text(lines)
    return tmp_path / "x"


GREY = np.array([[0, 7, 7], [255, 2, 0]])


def test_masks_of_others_have_one_label_a_class(tmp_path):
    read = nba.read(folder(tmp_path, GREY))
    assert read.labels[["label", "width"]].to_numpy().tolist() == [["2", 1], ["7", 2]]
    assert read.images["status"].to_dict() == {"a.jpg": "done", "todo.jpg": "todo"}
    assert read.labels["source"].eq("import:masks").all()


def test_a_list_names_them(tmp_path):
    lines = "# a comment\n2 day lily\n7 rose\n255 void\n"
    assert nba.read(folder(tmp_path, GREY, lines)).labels["label"].tolist() == [
        "day lily", "rose", "void",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "lines", ["1 rose 255 0 0\n2 day lily 0 0 255\n",
              "# label:color_rgb:parts:actions\nbackground:0,0,0::\nrose:255,0,0::\n"
              "day lily:0,0,255::\n"],
)  # fmt: skip
def test_colours_are_looked_up(tmp_path, lines):
    pixels = np.zeros((2, 3, 3))
    pixels[0, 1:, 0] = pixels[1, 0, 2] = 255
    if not lines.startswith("#"):
        lines = "0 background 0 0 0\n" + lines
    read = nba.read(folder(tmp_path, pixels, lines))
    assert read.labels[["label", "width"]].to_numpy().tolist() == [["rose", 2], ["day lily", 1]]
    pixels[1, 2] = (9, 8, 7)
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "x/masks/a.png")
    with pytest.raises(FormatError, match=r"a\.png.*has the colour 9 8 7, which no class has"):
        nba.read(tmp_path / "x")


def test_pictures_that_do_not_fit_are_told(tmp_path):
    where = folder(tmp_path, np.zeros((5, 5)))
    with pytest.raises(FormatError, match=r"has 5 × 5 pixels, its image 3 × 2"):
        nba.read(where)
    with pytest.warns(UserWarning, match="1 left out"):
        assert nba.read(where, on_error="skip").images.index.tolist() == ["todo.jpg"]
    with pytest.raises(FormatError, match="holds no folder masks"):
        masks.read(tmp_path)


def test_objects_that_join_are_counted(tmp_path):
    labels = pd.DataFrame({"image": "a.jpg", "label": "x", "x": [0, 2], "y": 0, "width": 2,
                           "height": 2})  # fmt: skip
    images = pd.DataFrame({"width": [9], "height": [9], "status": "done"}, index=["a.jpg"])
    report = Dataset(labels, images).to_masks(tmp_path / "o", copy="none", instances=False)
    assert report.lost["objects that join another of their class"] == 1
    assert len(nba.read(tmp_path / "o")) == 1

"""Pictures with their labels: what is painted where, and what cannot be shown."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import nbannotate as nba
from nbannotate.core.masks import mask_rle, rle_bounds
from nbannotate.errors import ImageError, LabelError
from nbannotate.report.drawing import DASHES, readable_on
from tests.formats.samples import rotated, save_image

ORANGE, BLUE = (230, 159, 0), (86, 180, 233)


@pytest.fixture
def dataset(tmp_path):
    """A gray picture of 100 × 80 with a label of each kind, and one that is stored on its side."""
    Image.new("L", (100, 80), 128).save(tmp_path / "a.png")
    save_image(tmp_path / "b.jpg", (60, 40), exif=rotated())
    pixels = np.zeros((80, 100), dtype=bool)
    pixels[60:70, 60:80] = True
    pixels[63:66, 65:70] = False
    mask = mask_rle(pixels)
    rows = [
        ("box", "cat", [10.0, 20, 30, 20], None),
        ("polygon", "dog", [60.0, 10, 20, 20], [[[60, 10], [80, 10], [80, 30], [60, 30]]]),
        ("rotated_box", "dog", [10.0, 50, 20, 20], [20, 60, 20, 20, 0.0]),
        ("polyline", "cat", [40.0, 70, 15, 0], [[40, 70], [55, 70]]),
        ("keypoints", "cat", [90.0, 50, 5, 20], [[90, 50, 2], [95, 70, 1], [0, 0, 0]]),
        ("mask", "dog", rle_bounds(mask), mask),
    ]
    labels = pd.DataFrame(
        [("a.png", kind, name, *box) for kind, name, box, _ in rows],
        columns=["image", "kind", "label", "x", "y", "width", "height"],
    )
    labels["geometry"] = pd.Series([shape for *_, shape in rows], dtype=object)
    tag = pd.DataFrame({"image": ["b.jpg"], "kind": "tag", "label": "night"})
    images = pd.DataFrame(
        {"path": [str(tmp_path / "a.png"), str(tmp_path / "b.jpg")]}, index=["a.png", "b.jpg"]
    )
    schema = nba.Schema(["cat", "dog"], tags={"light": ["day", "night"]})
    return nba.Dataset(pd.concat([labels, tag], ignore_index=True), images, schema)


def at(picture, x, y):
    """The colour at a point of the image, in a picture eight times as large."""
    return picture.getpixel((round(x * 8), round(y * 8)))


def test_every_shape_is_where_it_belongs(dataset):
    picture = nba.show(dataset, "a.png", size=(800, 640), names=False)

    assert picture.size == (800, 640)
    for x, y in [(10, 30), (40, 30), (25, 20), (25, 40), (47, 70), (90, 50)]:
        assert at(picture, x, y) == ORANGE, (x, y)
    for x, y in [(60, 20), (80, 20), (70, 10), (10, 60), (20, 70), (60, 65), (65, 64)]:
        assert at(picture, x, y) == BLUE, (x, y)
    assert at(picture, 50, 50) == (128, 128, 128)
    inside = at(picture, 25, 30)
    assert inside != (128, 128, 128) and inside[0] > inside[2]  # a light fill
    assert at(picture, 75, 66)[2] > at(picture, 70, 20)[2] > 128  # a mask's is stronger
    assert at(picture, 67, 64.5) == (128, 128, 128)  # its hole
    casing = picture.getpixel((80 - 2, 240))
    assert max(casing) < 100


def test_names_stand_above_their_shapes_and_tags_below(dataset):
    named, plain = (nba.show(dataset, "a.png", size=(800, 640), names=n) for n in (True, False))
    differs = np.any(np.asarray(named) != np.asarray(plain), axis=2)
    assert differs[143:158, 80:100].all() and not differs[162:, 80:100][:60].any()
    picture = nba.show(dataset, "b.jpg", size=(400, 400))
    assert picture.size == (267, 400)  # upright
    tag = dataset.schema.tag_choices[1].color
    assert picture.getpixel((8, 400 - 12)) == tuple(bytes.fromhex(tag[1:]))


def test_large_pictures_are_made_smaller_and_tables_work_too(dataset, tmp_path):
    picture = nba.show(dataset.labels, images=dataset.images, size=(50, 50))
    assert picture.size == (50, 40)
    moved = dataset.images.assign(path=["a.png", "b.jpg"])
    assert nba.show(dataset.labels, images=moved, root=tmp_path).size == (800, 640)


def test_a_contact_sheet_has_every_picture_and_its_name(dataset, tmp_path):
    sheet = nba.contact_sheet(dataset, columns=5, size=(100, 80))
    assert sheet.size == (2 * 108 + 8, 80 + 20 + 8 + 8)
    assert sheet.getpixel((8 + 50, 8 + 50)) == (128, 128, 128)
    ink = np.asarray(sheet.convert("L"))[8 + 80 + 2 : 8 + 98]
    assert (ink[:, 8:108] < 120).any() and (ink[:, 116:216] < 120).any()
    (tmp_path / "b.jpg").write_bytes(b"broken")
    broken = nba.contact_sheet(dataset, ["b.jpg"], size=(100, 80))
    assert broken.getpixel((20, 20)) == (238, 238, 238)


def test_classes_beyond_the_seventh_are_dashed(dataset):
    schema = nba.Schema([f"c{n}" for n in range(8)])
    labels = dataset.labels.iloc[:1].assign(label="c7")
    one = nba.Dataset(labels, dataset.images, schema)
    picture = nba.show(one, "a.png", size=(800, 640), names=False)
    color = tuple(bytes.fromhex(schema.classes[7].color[1:]))
    side = [picture.getpixel((x, 160)) == color for x in range(90, 310)]
    assert 0.5 < np.mean(side) < 0.9 and DASHES[1] == (8, 3)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"image": "x.png"}, "no image 'x.png'; there are 2, such as 'a.png'"),
        ({"image": "a.png", "broken": {"size": [2, 2], "counts": [9]}}, "mask: .*mend or delete"),
    ],
)
def test_what_cannot_be_shown_is_told(dataset, how, why):
    if (broken := how.pop("broken", None)) is not None:
        dataset.labels.at[dataset.labels.index[5], "geometry"] = broken
    with pytest.raises(LabelError, match=why):
        nba.show(dataset, **how)
    with pytest.raises(LabelError, match="no image 'y'"):
        nba.contact_sheet(dataset, ["y"])


def test_a_picture_that_is_gone_or_of_another_size_is_told(dataset):
    dataset.images["width"], dataset.images["height"] = 90, 80
    with pytest.raises(ImageError, match="100 × 80 pixels, its labels were made on 90 × 80"):
        nba.show(dataset, "a.png")
    dataset.images.loc["a.png", "path"] = "nowhere.png"
    with pytest.raises(ImageError, match="start with root="):
        nba.show(dataset, "a.png")


def test_text_is_readable_on_every_colour():
    assert readable_on("#F0E442") == "#000000" and readable_on("#0072B2") == "#ffffff"


def test_no_front_end_is_loaded_for_it():
    code = "import sys, nbannotate as nba; nba.show; sys.exit('ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

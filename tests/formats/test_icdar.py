"""ICDAR: lines to the letter, round trips, what datumaro reads, files of the three challenges."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import icdar
from tests.formats.readers import run
from tests.formats.samples import everything, save_image, text

many = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BOX = ["x", "y", "width", "height"]


def words(*rows: tuple[object, ...], name: str = "text", **options: object) -> Dataset:
    """A dataset of one image, from kind, box, geometry and text of each row."""
    labels = pd.DataFrame(
        [("a.jpg", name, kind, *box, geometry, words) for kind, box, geometry, words in rows],
        columns=["image", "label", "kind", *BOX, "geometry", "text"],
    )
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=["a.jpg", "b.jpg"])
    return Dataset(labels, images, Schema([name], **options))


QUAD = [[1.0, 2.0], [9.0, 3.0], [9.0, 8.0], [1.0, 7.0]]
SIGNS = words(
    ("box", [1.0, 2, 8, 6], None, 'Café, "5" €'),
    ("polygon", [1.0, 2, 8, 6], [QUAD], "two\nlines"),
    ("box", [3.4, 3, 4, 4], None, None),
)


def test_lines_of_each_year_to_the_letter(tmp_path):
    report = SIGNS.to_icdar(tmp_path / "a", copy="none")

    assert (tmp_path / "a/train/gt/gt_a.txt").read_text(encoding="utf-8") == (
        '1,2,9,2,9,8,1,8,Café, "5" €\n1,2,9,3,9,8,1,7,two lines\n3,3,7,3,7,7,3,7,###\n'
    )
    assert (tmp_path / "a/train/gt/gt_b.txt").read_text() == ""
    assert report.lost == {
        "places rounded to 0 decimals": 1,
        "line breaks and spaces at the ends of texts": 1,
    }
    report = SIGNS.to_icdar(tmp_path / "b", copy="none", year=2013, decimals=2)
    assert (tmp_path / "b/train/gt/gt_a.txt").read_text(encoding="utf-8") == (
        '1, 2, 9, 8, "Café, \\"5\\" €"\n1, 2, 9, 8, "two lines"\n3.4, 3, 7.4, 7, "###"\n'
    )
    assert report.lost["polygon shapes (their bounding boxes are written)"] == 1
    SIGNS.labels["attributes"] = [{"script": "Latin"}, {}, {}]
    SIGNS.to_icdar(tmp_path / "c", copy="none", year=2017)
    lines = (tmp_path / "c/train/gt/gt_a.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == '1,2,9,2,9,8,1,8,Latin,Café, "5" €' and lines[1].endswith(",None,two lines")
    back = nba.read(tmp_path / "c").labels
    assert back["attributes"].tolist() == [{"script": "Latin"}, {}, {}]
    assert back["text"].iloc[0] == 'Café, "5" €' and back["text"].isna().iloc[2]


@st.composite
def word_datasets(draw: st.DrawFn) -> Dataset:
    """Boxes and polygons of four points, with any texts of one line, of any one class."""
    spoken = st.none() | text.map(lambda t: " ".join(t.split())).filter(
        lambda t: t != "###" and t.isprintable()
    )
    number = st.floats(0, 600)
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        x, y, width, height = (draw(number) for _ in range(4))
        if draw(st.booleans()):
            rows.append(("box", [x, y, width, height], None, draw(spoken)))
        else:
            ring = [[x, y], [x + width + 2, y + 1], [x + width + 1, y + height + 3], [x, y + 2]]
            box = [x, y, width + 2, height + 3]
            rows.append(("polygon", box, [ring], draw(spoken)))
    return words(*rows, name=draw(text.filter(lambda name: name.strip())))


@many
@given(dataset=word_datasets(), year=st.sampled_from([2015, 2017]))
def test_any_texts_and_places_come_back(tmp_path, dataset, year):
    report = dataset.to_icdar(
        tmp_path / "out", copy="none", decimals=None, year=year, overwrite=True
    )

    back = nba.read(tmp_path / "out", format="icdar")
    assert report.lost == {} and back.schema == dataset.schema
    for column in ("image", "label", "kind", "geometry"):
        assert back.labels[column].tolist() == dataset.labels[column].tolist()
    assert (
        back.labels["text"].astype(object).tolist()
        == dataset.labels["text"].astype(object).tolist()
    )
    pd.testing.assert_frame_equal(
        back.labels[BOX].reset_index(drop=True), dataset.labels[BOX].reset_index(drop=True)
    )
    assert back.images.index.tolist() == ["a.jpg", "b.jpg"]


def test_what_is_left_out_is_named(tmp_path):
    dataset = everything()
    dataset.images["split"] = None
    report = dataset.to_icdar(tmp_path / "out", copy="none")

    lost = report.lost
    assert lost["classes (all are 'text')"] == 20
    assert lost["tag labels, for which ICDAR has no place"] == 2
    assert lost["labels' attributes without a column"] == 9
    assert lost["mask shapes (their bounding boxes are written)"] == 1
    assert lost["rotated_box shapes (written as polygons)"] == 1
    assert len(nba.read(tmp_path / "out")) == report.labels == 25


def test_files_of_each_challenge_are_read(tmp_path):
    (tmp_path / "gt").mkdir()
    save_image(tmp_path / "images/img_1.jpg")
    save_image(tmp_path / "images/img_3.jpg")
    (tmp_path / "gt/gt_img_1.txt").write_bytes(
        "\ufeff377,117,463,117,465,130,378,130,Genaxis Theatre\r\n"
        "493,115,519,115,519,131,493,131,$5,99\r\n374,155,409,155,409,170,374,170,###\r\n".encode()
    )
    (tmp_path / "gt/gt_img_2.txt").write_text('38 43 920 215 "Tiredness"\n1, 2, 3, 4, "a b"\n')
    read = nba.read(tmp_path)

    assert read.labels["text"].tolist()[:2] == ["Genaxis Theatre", "$5,99"]
    assert read.labels["text"].tolist()[3:] == ["Tiredness", "a b"]
    assert read.labels["kind"].tolist() == ["polygon", "box", "box", "box", "box"]
    assert read.labels[BOX].iloc[3].tolist() == [38, 43, 882, 172]
    assert read.images["status"].tolist() == ["done", "done", "todo"]
    assert read.images.index.tolist() == ["img_1.jpg", "img_2.jpg", "img_3.jpg"]


def test_pictures_go_along_in_folders_of_splits(tmp_path):
    for key in ("a.jpg", "b.jpg"):
        save_image(tmp_path / "src" / key)
    SIGNS.to_icdar(tmp_path / "out", root=tmp_path / "src", split=(0.5, 0.5))

    back = nba.read(tmp_path / "out")
    assert set(back.images["split"]) == {"train", "val"}
    assert all(Path(where).is_file() for where in back.images["path"])


DATUMARO = """
import json, sys
from datumaro.components.dataset import Dataset
found = {}
for item in Dataset.import_from(sys.argv[1], "icdar_text_localization"):
    found[item.id.rpartition("/")[2]] = [
        [a.type.name, list(getattr(a, "points", a.get_bbox())), a.attributes.get("text")]
        for a in item.annotations
    ]
print(json.dumps(found))
"""


def test_datumaro_reads_the_same(tmp_path):
    signs = words(
        ("box", [1.0, 2, 8, 6], None, "Café"),
        ("polygon", [1.0, 2, 8, 6], [QUAD], "two"),
        ("box", [3.4, 3, 4, 4], None, None),
    )
    for key in ("a.jpg", "b.jpg"):
        save_image(tmp_path / "src" / key)
    signs.to_icdar(tmp_path / "out", root=tmp_path / "src")

    # It takes every entry of the folder for a split.
    (tmp_path / "out/nbannotate.json").unlink()
    found = run(DATUMARO, tmp_path / "out")

    assert found["a"] == [
        ["polygon", [1, 2, 9, 2, 9, 8, 1, 8], "Café"],
        ["polygon", [1, 2, 9, 3, 9, 8, 1, 7], "two"],
        ["polygon", [3, 3, 7, 3, 7, 7, 3, 7], "###"],
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [("a,b", "does not begin with x and y"), ("1,2,3", "does not begin"),
     ("1,2,nan,4,5,6,7,8,x", "holds NaN or infinity")],
)  # fmt: skip
def test_bad_lines_are_told(tmp_path, line, why):
    (tmp_path / "gt_a.txt").write_text(f"1,2,3,4,5,6,7,8,x\n{line}\n")
    with pytest.raises(FormatError, match=rf"gt_a\.txt, line 2: {why}"):
        icdar.read(tmp_path / "gt_a.txt")
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(icdar.read(tmp_path / "gt_a.txt", on_error="skip")) == 1


def test_bad_calls_and_numbers_are_told(tmp_path):
    with pytest.raises(FormatError, match="use one of 2013, 2015, 2017"):
        SIGNS.to_icdar(tmp_path / "out", year=2019)
    bad = words(("polygon", [1.0, 2, 8, 6], [[[0, 0], [math.nan, 1], [1, 1]]], "x"))
    with pytest.raises(FormatError, match=r"NaN|nan"):
        bad.to_icdar(tmp_path / "out", copy="none")

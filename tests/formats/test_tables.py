"""CSV and Parquet: what goes out comes back exactly."""

from __future__ import annotations

import csv

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError
from nbannotate.formats import csv_table, parquet
from tests.formats.samples import HARD_NAMES, assert_same, box_datasets, everything

WHERE = [("csv", "t.csv"), ("parquet", "folder"), ("parquet", "t.parquet")]
many = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize(("name", "target"), WHERE)
def test_round_trip_is_exact(tmp_path, name, target):
    dataset = everything()

    report = dataset.write(tmp_path / target, format=name)

    back = registry.read(tmp_path / target)
    assert_same(back, dataset)
    assert list(back.images.index) == list(dataset.images.index)
    assert (report.labels, report.images, report.lost) == (len(dataset), 5, {})


@pytest.mark.parametrize(("name", "target"), WHERE)
@many
@given(dataset=box_datasets())
def test_any_names_keys_and_numbers_come_back(tmp_path, name, target, dataset):
    dataset.write(tmp_path / target, format=name)

    assert_same(registry.reader(name)(tmp_path / target), dataset)


@pytest.mark.parametrize(("name", "target"), WHERE)
def test_empty_dataset_comes_back(tmp_path, name, target):
    empty = Dataset(pd.DataFrame({"image": []}), ["only.jpg"])

    empty.write(tmp_path / target, format=name)

    assert_same(registry.reader(name)(tmp_path / target), empty)


def test_csv_reads_as_plain_csv_for_others(tmp_path):
    dataset = everything()
    dataset.write(tmp_path / "t.csv", format="csv")

    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    boxes = [row for row in rows if row["kind"] == "box"]
    assert [row["label"] for row in boxes] == HARD_NAMES
    assert [int(row["class_id"]) for row in boxes] == [3 * i for i in range(len(HARD_NAMES))]
    assert [row["image"] for row in rows if not row["kind"]] == ["empty.jpg", "todo.jpg"]


def test_csv_keeps_class_ids_without_its_scheme_file(tmp_path):
    dataset = everything()
    dataset.write(tmp_path / "t.csv", format="csv")
    csv_table.schema_file(tmp_path / "t.csv").unlink()

    back = csv_table.read(tmp_path / "t.csv")

    assert {c.name: c.id for c in back.schema.classes} == {
        c.name: c.id for c in dataset.schema.classes
    }


def test_csv_takes_a_class_typed_in_a_spreadsheet(tmp_path):
    everything().write(tmp_path / "t.csv", format="csv")
    text = (tmp_path / "t.csv").read_text(encoding="utf-8")
    (tmp_path / "t.csv").write_text(text.replace('"=1+1"', '"new"'), encoding="utf-8")

    back = csv_table.read(tmp_path / "t.csv")

    assert back.schema.find("new").id not in {c.id for c in everything().schema.classes}
    assert back.labels["label"].eq("new").sum() == 1


def test_csv_escapes_formulas_only_when_asked(tmp_path):
    everything().write(tmp_path / "t.csv", format="csv", escape_formulas=True)

    text = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert '"\'=1+1"' in text and '"=1+1"' not in text


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_bare_csv_of_a_user(tmp_path, mark):
    lines = ["\ufeffimage,label,x,y,width,height", "a.jpg,001,1,2,3.5,4", "a.jpg,NA,0,0,1,1",
             "b.jpg,,,,,"]  # fmt: skip
    (tmp_path / "t.csv").write_text("\r\n".join(lines).replace(",", mark), encoding="utf-8")

    dataset = registry.read(tmp_path / "t.csv")

    assert dataset.labels["label"].tolist() == ["001", "NA"]
    assert dataset.labels["width"].tolist() == [3.5, 1]
    assert list(dataset.images.index) == ["a.jpg", "b.jpg"]
    assert dataset.images["status"].eq("done").all()


@pytest.mark.parametrize(
    ("row", "where", "why"),
    [
        ("a.jpg,cat,1,2,wide,4", "row 2, column width", "no finite number"),
        ("a.jpg,cat,1,2,,4", "row 2, column width", "no finite number"),
        ("a.jpg,cat,nan,2,3,4", "row 2, column x", "no finite number"),
        ("a.jpg,cat,1,2,-3,4", "row 2, column width", "negative"),
        (",cat,1,2,3,4", "row 2, column image", "empty"),
    ],
)
def test_bad_csv_row_is_named_or_skipped(tmp_path, row, where, why):
    (tmp_path / "t.csv").write_text(
        f"image,label,x,y,width,height\na.jpg,cat,1,2,3,4\n{row}\n", encoding="utf-8"
    )

    with pytest.raises(FormatError, match=why) as caught:
        csv_table.read(tmp_path / "t.csv")
    assert caught.value.where == where
    with pytest.warns(UserWarning, match="1 left out"):
        kept = csv_table.read(tmp_path / "t.csv", on_error="skip")
    assert len(kept) == 1
    assert where in kept.labels.attrs["nbannotate.skipped"][0]


def test_csv_without_image_column_says_which_columns_there_are(tmp_path):
    (tmp_path / "t.csv").write_text("file,label\na,b\n", encoding="utf-8")

    with pytest.raises(FormatError, match="no column image; it has file, label"):
        csv_table.read(tmp_path / "t.csv")


def test_parquet_keeps_the_users_own_columns_and_their_types(tmp_path):
    dataset = everything()
    labels = dataset.labels.assign(checked=pd.array([True] * len(dataset), dtype="boolean"))
    images = dataset.images.assign(patient=range(5))

    Dataset(labels, images).write(tmp_path / "t.parquet", format="parquet")

    back = parquet.read(tmp_path / "t.parquet")
    assert back.labels["checked"].dtype == "boolean" and back.labels["checked"].all()
    assert back.images["patient"].tolist() == [0, 1, 2, 3, 4]


def test_parquet_of_others_needs_only_images(tmp_path):
    pd.DataFrame({"image": ["a.jpg"], "label": ["cat"]}).to_parquet(tmp_path / "t.parquet")

    assert registry.read(tmp_path / "t.parquet").labels["label"].tolist() == ["cat"]


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"no")

    with pytest.raises(FormatError, match="is not Parquet"):
        parquet.read(tmp_path / "t.parquet")


def test_corners_are_read_as_boxes(tmp_path):
    (tmp_path / "t.csv").write_text(
        "image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,4.5,6,cat\nb.jpg,,,,,\n"
    )

    dataset = registry.read(tmp_path / "t.csv")

    assert dataset.labels[["x", "y", "width", "height"]].to_numpy().tolist() == [[1, 2, 3.5, 4]]
    assert list(dataset.images.index) == ["a.jpg", "b.jpg"]


def test_boxes_in_other_columns_do_not_pass_for_tags(tmp_path):
    (tmp_path / "t.csv").write_text("image,left,top,right,bottom,label\na.jpg,1,2,4,6,cat\n")

    with pytest.raises(FormatError, match="no x, y, width, height but left, right; convert them"):
        registry.read(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"image,image\na,b\n", "column 'image' stands twice"),
        (b"\xff\xfe\x00image\n", "UTF-8"),
        (b"", "name the columns"),
        (b"image,kind\na,box\n", "'label'|has no label|finite"),
        (b"image,label,image_width\na,c,wide\n", "wide"),
        (b"image,label,label_id\na,c,1\na,c,1\n", "stands twice"),
    ],
)
def test_damaged_csv_is_a_format_error(tmp_path, content, why):
    (tmp_path / "t.csv").write_bytes(content)

    with pytest.raises(FormatError, match=why):
        csv_table.read(tmp_path / "t.csv")


def test_damaged_parquet_metadata_is_a_format_error(tmp_path):
    everything().write(tmp_path / "t.parquet", format="parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    damaged = table.schema.metadata | {b"nbannotate.schema": b'["classes"'}
    pq.write_table(table.replace_schema_metadata(damaged), tmp_path / "t.parquet")

    with pytest.raises(FormatError, match=r"t\.parquet"):
        parquet.read(tmp_path / "t.parquet")

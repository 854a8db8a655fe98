"""Tags as columns of 0 and 1: any names come back, tables of others, bad cells named."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import multilabel_csv
from tests.formats.samples import everything, names

many = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many
@given(tags=names, keys=names, data=st.data())
def test_any_tags_come_back(tmp_path, tags, keys, data):
    rows = [(key, tag) for key in keys for tag in tags if data.draw(st.booleans())]
    labels = pd.DataFrame(rows, columns=["image", "label"]).assign(kind="tag")
    images = pd.DataFrame({"status": "done"}, index=keys)
    schema = Schema(tags={"all": {"choices": tags, "multiple": True}})
    report = Dataset(labels, images, schema).to_multilabel_csv(tmp_path / "a.csv")
    back = multilabel_csv.read(tmp_path / "a.csv")

    assert back.schema == schema and report.lost == {}
    assert back.images.index.tolist() == keys
    assert list(zip(back.labels["image"], back.labels["label"], strict=True)) == rows


def test_the_table_is_plain_and_pandas_reads_it(tmp_path):
    report = everything().to_multilabel_csv(tmp_path / "a.csv", only="all")
    table = pd.read_csv(tmp_path / "a.csv", index_col="filename")

    assert table.loc["b.jpg"].to_dict() == {"sun": 0, "no": 1, "sea": 0}
    assert table.to_numpy().sum() == report.labels == 2
    assert report.lost["text labels, for which a table of tags has no place"] == 2
    assert nba.read(tmp_path / "a.csv").schema == everything().schema


@pytest.mark.parametrize("text", ["a.jpg,x z\nb.jpg,\n", "a.jpg,x|z\nb.jpg,\n"])
def test_tags_in_one_column_are_read(tmp_path, text):
    (tmp_path / "a.csv").write_text(f"filename,tags\n{text}")
    read = nba.read(tmp_path / "a.csv")
    assert read.labels["label"].tolist() == ["x", "z"]
    assert read.images["status"].to_dict() == {"a.jpg": "done", "b.jpg": "done"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("filename,x\na,1\nb,-1\n", "row 2, column 'x': '-1' is neither 0 nor 1"),
        ("filename,x\na,1\na,1\n", "row 2: image 'a' is empty or stands twice"),
        ("filename,x\na,1\n,1\n", "row 2: image '' is empty"),
    ],
)
def test_bad_rows_are_named_or_left_out(tmp_path, text, why):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(FormatError, match=why):
        multilabel_csv.read(tmp_path / "a.csv")
    with pytest.warns(UserWarning, match="1 left out"):
        assert multilabel_csv.read(tmp_path / "a.csv", on_error="skip").images.index[0] == "a"

"""JSON Lines: exact, a line an image, damaged lines named."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError
from nbannotate.formats import jsonl
from tests.formats.samples import assert_same, everything, shape_datasets

many = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_round_trip_is_exact(tmp_path):
    dataset = everything()
    dataset.labels["mine"] = range(len(dataset))
    dataset.images["where"] = ["a", "b", None, "d", "e"]
    report = dataset.to_jsonl(tmp_path / "a.jsonl")

    back = nba.read(tmp_path / "a.jsonl")
    assert_same(back, dataset)
    assert list(back.images.index) == list(dataset.images.index)
    assert (report.labels, report.images, report.lost) == (len(dataset), 5, {})


@many
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_jsonl(tmp_path / "a.jsonl")
    assert_same(jsonl.read(tmp_path / "a.jsonl"), dataset)


def test_an_empty_dataset_comes_back(tmp_path):
    empty = Dataset(pd.DataFrame({"image": []}), ["only.jpg"])
    empty.to_jsonl(tmp_path / "a.jsonl")
    assert_same(jsonl.read(tmp_path / "a.jsonl"), empty)


def test_each_image_is_a_line_that_a_change_elsewhere_leaves_alone(tmp_path):
    dataset = everything()
    dataset.to_jsonl(tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_text().split("\n")[:-1]
    labels = dataset.labels.copy()
    labels.loc["id000", "x"] = 3.5
    Dataset(labels, dataset.images, dataset.schema).to_jsonl(tmp_path / "a.jsonl")
    after = (tmp_path / "a.jsonl").read_text().split("\n")[:-1]

    assert len(before) == 1 + len(dataset.images)
    changed = [a for a, b in zip(after, before, strict=True) if a != b]
    assert [json.loads(line)["image"] for line in changed] == ["a/1.jpg"]


def test_lines_of_others_are_read(tmp_path):
    line = {"image": "a.jpg", "labels": [{"label": "cat", "x": 1, "y": 2, "width": 3, "height": 4}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n\n")
    row = nba.read(tmp_path / "a.jsonl").labels.iloc[0]

    assert (row["kind"], row["label"], row["source"]) == ("box", "cat", "import:jsonl")
    assert (row["x"], row["y"], row["width"], row["height"]) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"image": "b", "labels": [{"x": 1}]}', r"line 2\.labels\[0\]: .* no x, y, width, height"),
        ('{"image": "b", "labels": [{"label": 3}]}', r"line 2\.labels\[0\]\.label: expected `str"),
        ('{"image": "b", "labels": [{"label": "x", "score": 2}]}', "outside 0 … 1"),
        ('{"image": "a", "labels": []}', "line 2: the image 'a' stands twice"),
        ('{"image": "b", "lab', "line 2: is not JSON"),
        ('{"labels": []}', "line 2: object missing required field `image`"),
    ],
)
def test_bad_lines_are_named_or_left_out(tmp_path, line, why):
    file = tmp_path / "a.jsonl"
    file.write_text(f'{{"image": "a", "labels": []}}\n{line}\n{{"image": "z"}}\n')
    with pytest.raises(FormatError, match=why):
        jsonl.read(file)
    with pytest.warns(UserWarning, match="1 left out"):
        assert {"a", "z"} <= set(jsonl.read(file, on_error="skip").images.index)


def test_what_json_cannot_hold_is_named(tmp_path):
    dataset = everything()
    dataset.labels["mine"] = [object()] * len(dataset)
    with pytest.raises(FormatError, match="columns 'mine'"):
        dataset.to_jsonl(tmp_path / "a.jsonl")
    with pytest.raises(FormatError, match=r"ends in \.jsonl"):
        everything().to_jsonl(tmp_path / "a.json")

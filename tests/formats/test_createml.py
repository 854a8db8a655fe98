"""Create ML: centres in pixels, exact round trips, files of others, bad files named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import createml
from tests.formats.samples import assert_alike, assert_same, everything, shape_datasets


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_round_trip_keeps_all_but_tags_and_texts(tmp_path):
    dataset = everything()
    report = dataset.write(tmp_path / "a.json", format="createml", only="all")

    placed = dataset.labels[dataset.labels["kind"].isin(PLACED_KINDS)]
    assert_same(nba.read(tmp_path / "a.json"), Dataset(placed, dataset.images, dataset.schema))
    assert report.lost == {
        "tag labels, for which Create ML has no place": 2,
        "text labels, for which Create ML has no place": 2,
    }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_createml(tmp_path / "a.json")
    assert_alike(createml.read(tmp_path / "a.json"), dataset)


def test_centres_are_written_and_read(tmp_path):
    content = [
        {"image": "a.jpg", "annotations": [
            {"label": "cat", "coordinates": {"x": 55, "y": 50, "width": 90, "height": 60}}]},
        {"image": "b.jpg", "annotations": []},
    ]  # fmt: skip
    read = nba.read(save(tmp_path / "a.json", content))

    assert read.labels[["x", "y", "width", "height"]].to_numpy().tolist() == [[10, 20, 90, 60]]
    assert read.images["status"].tolist() == ["done", "done"]
    report = read.to_createml(tmp_path / "b.json", extras=False)
    assert json.loads((tmp_path / "b.json").read_text()) == content
    assert report.lost == {"labels' source": 1}


def test_older_files_say_imagefilename_and_annotation(tmp_path):
    spot = {"x": 5, "y": 5, "width": 4, "height": 4}
    content = [
        {"imagefilename": "a.jpg", "annotation": [{"coordinates": spot, "label": "cat"}]},
    ]
    assert nba.read(save(tmp_path / "a.json", content)).labels["x"].tolist() == [3]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"annotations": []}, r"\[0\]: names no image"),
        ({"image": "a", "annotations": [{"label": "x"}]}, r"\[0\]\.annotations\[0\].*coordinates"),
        (
            {"image": "a", "annotations": [{"label": "x", "coordinates": {
                "x": 1, "y": 1, "width": -2, "height": 1}}]},
            r"are no centre, width and height",
        ),
        (
            {"image": "a", "annotations": [{"label": " ", "coordinates": {
                "x": 1, "y": 1, "width": 2, "height": 1}}]},
            r"label: is empty",
        ),
    ],
)  # fmt: skip
def test_bad_files_are_told(tmp_path, entry, message):
    file = save(tmp_path / "a.json", [entry, {"image": "b", "annotations": []}])
    with pytest.raises(FormatError, match=message):
        nba.read_createml(file)
    with pytest.warns(UserWarning, match="1 left out"):
        assert "b" in nba.read_createml(file, on_error="skip").images.index


def test_an_image_that_stands_twice_is_told(tmp_path):
    with pytest.raises(FormatError, match=r"\[1\]: the image 'a' stands twice"):
        nba.read_createml(save(tmp_path / "a.json", [{"image": "a", "annotations": []}] * 2))


def test_only_a_json_file_is_written(tmp_path):
    with pytest.raises(FormatError, match=r"give a name that ends in \.json"):
        everything().to_createml(tmp_path / "folder")

"""Hugging Face's image folder with metadata: round trips, what `datasets` reads, others' files."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import hf_imagefolder
from tests.formats.samples import (
    HARD_NAMES,
    assert_alike,
    box_datasets,
    everything,
    save_image,
    shape_datasets,
)

many = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BOX = ["x", "y", "width", "height"]
KINDS = st.sampled_from(["parquet", "jsonl"])


def tagged() -> Dataset:
    """Boxes with hard names, tags of both sorts, a text, an image without any."""
    rows: list[dict[str, Any]] = [
        {"image": "a.jpg", "kind": "box", "label": name, "x": i, "y": 1.5, "width": 7, "height": 8}
        for i, name in enumerate(HARD_NAMES)
    ]
    rows += [
        {"image": "a.jpg", "kind": "tag", "label": "no"},
        {"image": "b.jpg", "kind": "tag", "label": "sea"},
        {"image": "b.jpg", "kind": "tag", "label": "sky"},
        {"image": "b.jpg", "kind": "text", "text": "A blue sea."},
    ]
    images = pd.DataFrame(
        {"width": 60, "height": 40, "status": "done"}, index=["a.jpg", "b.jpg", "c/d.png"]
    )
    tags = {"weather": ["sun", "no"], "seen": {"choices": ["sea", "sky"], "multiple": True}}
    return Dataset(pd.DataFrame(rows), images, Schema(HARD_NAMES, tags=tags))


@pytest.mark.parametrize("metadata", ["parquet", "jsonl"])
def test_round_trip_keeps_all_but_a_second_text(tmp_path, metadata):
    dataset = everything()
    dataset.images["split"] = None
    report = dataset.to_hf_imagefolder(tmp_path / "out", copy="none", only="all", metadata=metadata)

    back = nba.read(tmp_path / "out")
    kept = dataset.labels.drop(["id028"])
    assert_alike(back, Dataset(kept, dataset.images, dataset.schema))
    placed = [*BOX, "geometry"]
    pd.testing.assert_frame_equal(
        back.labels.loc[kept.index].drop(columns=placed), kept.drop(columns=placed)
    )
    assert report.lost == {"texts after the first one of an image": 1} and report.labels == 28


@many
@given(dataset=box_datasets() | shape_datasets(), metadata=KINDS)
def test_any_names_keys_and_shapes_come_back(tmp_path, dataset, metadata):
    dataset.to_hf_imagefolder(tmp_path / "out", copy="none", overwrite=True, metadata=metadata)

    assert_alike(nba.read(tmp_path / "out"), dataset)


def test_without_extras_what_is_lost_is_counted_and_the_rest_comes_back(tmp_path):
    report = tagged().to_hf_imagefolder(tmp_path / "out", copy="none", extras=False)
    assert report.lost == {}
    (tmp_path / "out/nbannotate.json").unlink()
    back = nba.read(tmp_path / "out")
    assert [c.name for c in back.schema.classes] == HARD_NAMES
    assert back.schema.tags[0].name == "weather" and back.schema.tags[1].multiple
    wanted = tagged().labels
    assert back.labels["label"].astype(object).tolist() == wanted["label"].astype(object).tolist()
    assert back.labels["text"].dropna().tolist() == ["A blue sea."]
    report = everything().to_hf_imagefolder(tmp_path / "b", copy="none", extras=False,
                                            split=(1, 0, 0))  # fmt: skip
    assert report.lost["mask shapes (their bounding boxes are written)"] == 1
    assert report.lost["labels' score"] == 8


@pytest.mark.parametrize("metadata", ["parquet", "jsonl"])
def test_datasets_reads_the_same(tmp_path, metadata):
    datasets = pytest.importorskip("datasets")
    dataset = tagged()
    for key in dataset.images.index:
        save_image(tmp_path / "src" / key)
    if metadata == "parquet":  # JSON without labels in a split has other types, and is refused
        dataset.images["split"] = ["train", "train", "val"]
    dataset.to_hf_imagefolder(tmp_path / "out", root=tmp_path / "src", metadata=metadata)

    files = {"data_dir": str(tmp_path / "out"), "cache_dir": str(tmp_path / "cache")}
    read = datasets.load_dataset("imagefolder", split="train", **files)
    first, second = read[0], read[1]
    assert first["image"].size == (60, 40)
    boxes = dataset.labels.iloc[:-4]
    assert first["objects"]["bbox"] == boxes[BOX].to_numpy().tolist()
    assert first["objects"]["id"] == boxes.index.tolist()
    if metadata == "parquet":
        objects = read.features["objects"]["categories"].feature
        assert [objects.int2str(n) for n in first["objects"]["categories"]] == HARD_NAMES
        assert read.features["weather"].names == ["sun", "no"]
        assert (first["weather"], second["weather"]) == (1, None)
        assert second["seen"] == [0, 1]
        # A split without any label has the same types.
        other = datasets.load_dataset("imagefolder", split="validation", **files)
        assert other.features == read.features and other[0]["objects"]["bbox"] == []
    else:
        assert first["objects"]["categories"] == HARD_NAMES and second["seen"] == ["sea", "sky"]
    assert (first["text"], second["text"]) == (None, "A blue sea.")


def test_files_of_others_are_read(tmp_path):
    for name in ("1.png", "2.png", "3.png"):
        save_image(tmp_path / name)
    rows = [
        {"file_name": "1.png", "objects": {"bbox": [[302.0, 109, 73, 52]], "categories": [0]},
         "caption": "a dog", "source": "web"},
        {"file_name": "2.png", "objects": {"bbox": [], "categories": []}, "label": "night"},
    ]  # fmt: skip
    (tmp_path / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    read = nba.read(tmp_path)

    assert read.images.index.tolist() == ["1.png", "2.png", "3.png"]
    assert read.images["status"].tolist() == ["done", "done", "todo"]
    assert read.images[["width", "height"]].iloc[0].tolist() == [60, 40]
    assert read.labels["label"].astype(object).tolist()[0] == "0"
    assert read.labels["kind"].tolist() == ["box", "text", "tag"]
    assert read.images["source"].tolist()[0] == "web"


def test_the_features_of_newer_datasets_are_understood(tmp_path):
    def listed(feature: dict[str, Any]) -> dict[str, Any]:
        return {"feature": feature, "_type": "List"}

    features = {
        "objects": {
            "bbox": listed(listed({"dtype": "float32", "_type": "Value"})),
            "category": listed({"names": ["cat", "dog"], "_type": "ClassLabel"}),
        },
        "label": {"names": ["day", "night"], "_type": "ClassLabel"},
    }
    table = pa.Table.from_pylist(
        [{"file_name": "1.png", "label": 1, "objects": {"bbox": [[1, 2, 3, 4]], "category": [1]}}]
    )
    table = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    (tmp_path / "train").mkdir()
    pq.write_table(table, tmp_path / "train/metadata.parquet")
    read = nba.read(tmp_path)

    assert read.labels["label"].astype(object).tolist() == ["night", "dog"]
    assert [c.name for c in read.schema.classes] == ["cat", "dog"]
    assert read.images["split"].tolist() == ["train"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"objects": {}}, "row 2: has no file_name"),
        ({"file_name": "../x.png"}, "row 2: the file_name '../x.png' leads out"),
        ({"file_name": "b.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": []}},
         "row 2, objects: has no lists of one length"),
        ({"file_name": "b.png", "objects": {"bbox": [[1, 2, 3]], "categories": ["a"]}},
         r"row 2, objects\.bbox\[0\]: is no x, y"),
        ({"file_name": "b.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": [1.5]}},
         r"row 2, objects\.categories\[0\]: 1\.5 is no class"),
        ({"file_name": "a.png"}, "row 2: the image 'a.png' stands twice"),
    ],
)  # fmt: skip
def test_bad_rows_are_told(tmp_path, row, why):
    file = tmp_path / "metadata.jsonl"
    file.write_text(f'{{"file_name": "a.png"}}\n{json.dumps(row)}\n')
    with pytest.raises(FormatError, match=why):
        hf_imagefolder.read(tmp_path)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(hf_imagefolder.read(tmp_path, on_error="skip").labels) == 0


def test_a_group_with_the_name_of_a_column_is_refused(tmp_path):
    schema = Schema(["a"], tags={"objects": ["x"]})
    dataset = Dataset(tagged().labels.iloc[:0], tagged().images, schema)
    with pytest.raises(FormatError, match=r"'objects'.*has the name of a column"):
        dataset.to_hf_imagefolder(tmp_path / "out", copy="none")

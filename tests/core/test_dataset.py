"""Data sets: selecting, splitting, merging, joining and validating."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import LabelError

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun"], attributes={"far": bool})


def small() -> Dataset:
    labels = pd.DataFrame(
        [
            {"image": "a", "label": "cat", "x": 1, "y": 1, "width": 5, "height": 5},
            {"image": "a", "label": "dog", "x": 2, "y": 2, "width": 50, "height": 5},
            {"image": "b", "label": "dog", "x": 0, "y": 0, "width": 9, "height": 9},
            {"image": "b", "label": "sun", "kind": "tag"},
        ]
    )
    labels["kind"] = labels["kind"].fillna("box")
    labels["label_id"] = ["1", "2", "3", "4"]
    images = pd.DataFrame(
        {
            "width": 40,
            "height": 40,
            "status": ["done", "todo", "done"],
            "split": ["train", None, "val"],
        },
        index=["a", "b", "empty"],
    )
    return Dataset(labels, images, SCHEMA)


def test_images_default_to_those_of_the_labels():
    rows = pd.DataFrame({"image": ["b", "a", "b"], "label": "t"})
    assert list(Dataset(rows).images.index) == ["b", "a"]


def test_labels_on_unknown_images_are_refused():
    with pytest.raises(LabelError, match=r"image 'b' is not in the images table"):
        Dataset(pd.DataFrame({"image": ["b"], "label": "t"}), ["a"])


@pytest.mark.parametrize(
    ("conditions", "labels", "images"),
    [
        ({"images": ["b"]}, ["3", "4"], ["b"]),
        ({"kinds": ["tag"]}, ["4"], ["a", "b", "empty"]),
        ({"labels": ["dog"]}, ["2", "3"], ["a", "b", "empty"]),
        ({"status": "done"}, ["1", "2"], ["a", "empty"]),
        ({"status": ["todo", "done"], "labels": ["cat"]}, ["1"], ["a", "b", "empty"]),
        ({"split": "train"}, ["1", "2"], ["a"]),
        ({"where": "width * height > 50"}, ["2", "3"], ["a", "b", "empty"]),
    ],
)
def test_select_keeps_what_fits_all_conditions(conditions, labels, images):
    part = small().select(**conditions)

    assert list(part.labels.index) == labels
    assert list(part.images.index) == images
    assert part.schema == SCHEMA


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60), st.integers(0, 5))
def test_an_image_keeps_its_split_when_others_come(count, seed):
    def splits(number: int) -> dict[str, str]:
        keys = [f"image {i}" for i in range(number)]
        return Dataset(pd.DataFrame({"image": []}), keys).split(seed=seed).images["split"].to_dict()

    few, many = splits(200), splits(200 + count)
    assert {key: many[key] for key in few} == few
    assert set(few.values()) == {"train", "val", "test"}


def test_split_sizes_follow_the_fractions():
    dataset = Dataset(pd.DataFrame({"image": []}), [str(i) for i in range(4000)])

    share = dataset.split((0.7, 0.2, 0.1)).images["split"].value_counts(normalize=True)

    assert share["train"] == pytest.approx(0.7, abs=0.03)
    assert share["val"] == pytest.approx(0.2, abs=0.03)
    assert (
        dataset.split((0.7, 0.2, 0.1), seed=1)
        .images["split"]
        .ne(dataset.split((0.7, 0.2, 0.1)).images["split"])
        .any()
    )


def test_groups_stay_together_and_small_sets_fill_each_split():
    images = pd.DataFrame({"patient": [i // 5 for i in range(50)]}, index=map(str, range(50)))

    split = Dataset(pd.DataFrame({"image": []}), images).split(by="patient").images

    assert split.groupby("patient")["split"].nunique().eq(1).all()
    few = Dataset(pd.DataFrame({"image": []}), ["a", "b", "c"]).split().images["split"]
    assert sorted(few) == ["test", "train", "val"]


@pytest.mark.parametrize("fractions", [(0.5, 0.4), (1.2, -0.2), (), (0.25,) * 4])
def test_fractions_that_are_no_parts_of_1_are_refused(fractions):
    with pytest.raises(LabelError, match="not 1 to 3 parts of 1"):
        small().split(fractions)


def test_merging_takes_the_newer_row_and_keeps_own_ids():
    mine = small()
    other = Dataset(
        mine.labels.loc[["1"]].assign(x=30.0, updated="2026-01-01", label="dog"),
        mine.images.loc[["a"]].assign(status="flagged", updated="2026-01-01"),
        Schema(classes={2: "bird", 1: "dog"}),
    )

    both = mine.merge(other)

    assert len(both) == 4 and len(both.images) == 3
    assert both.labels.loc["1", "x"] == 30 and both.labels.loc["1", "label"] == "dog"
    assert both.images.loc["a", "status"] == "flagged"
    ids = {c.name: c.id for c in both.schema.classes}
    assert (ids["cat"], ids["dog"]) == (1, 2) and ids["bird"] not in {1, 2, 3}
    older = other.labels.assign(updated="2020-01-01", x=99.0)
    assert both.merge(Dataset(older, other.images, other.schema)).labels.loc["1", "x"] == 30


def test_merging_with_itself_changes_nothing():
    both = small().merge(small())

    pd.testing.assert_frame_equal(both.labels, small().labels)
    pd.testing.assert_frame_equal(both.images, small().images)


def test_joining_loses_no_row_of_the_user():
    frame = pd.DataFrame({"image": ["b", "missing", "a"], "label": ["x", "y", "z"]})

    joined = small().join(frame)

    assert joined["image"].tolist() == ["b", "b", "missing", "a", "a"]
    assert joined["label"].tolist() == ["x", "x", "y", "z", "z"]
    assert joined["label_label"].tolist()[:2] == ["dog", "sun"]
    assert joined["label_id"].isna().tolist() == [False, False, True, False, False]
    assert small().join(frame, how="inner")["image"].tolist() == ["b", "b", "a", "a"]


def test_joining_finds_images_by_path():
    dataset = Dataset(small().labels, small().images.assign(path=["p/a.jpg", "p/b.jpg", "p/c.jpg"]))

    joined = dataset.join(pd.DataFrame({"file": [Path("p/a.jpg")], "age": [7]}), on="file")

    assert joined["label"].tolist() == ["cat", "dog"] and joined["age"].tolist() == [7, 7]
    with pytest.raises(LabelError, match="no column 'path'"):
        dataset.join(pd.DataFrame({"file": []}), on="path")


def test_validate_names_each_problem():
    dataset = small()
    rows = pd.concat(
        [
            dataset.labels,
            dataset.labels.loc[["1"]].rename(index={"1": "twice"}),
            dataset.labels.loc[["1"]].rename(index={"1": "tiny"}).assign(width=1.0),
        ]
    )
    rows.at["3", "attributes"] = {"near": True}

    problems = Dataset(rows, dataset.images, SCHEMA).validate().problems

    assert set(zip(problems["label_id"], problems["problem"], strict=True)) == {
        ("2", "reaches outside its image"),
        ("tiny", "has a side under 2 px"),
        ("twice", "is an exact duplicate"),
        ("3", "has attributes the scheme forbids"),
    }
    assert small().select(labels=["cat"]).validate().ok
    assert str(small().select(labels=["cat"]).validate()) == "no problems"


def test_unknown_attributes_are_no_formats():
    with pytest.raises(AttributeError, match="to_nothing"):
        _ = small().to_nothing
    assert "to_coco" in dir(small())


def test_writing_by_name_and_by_method_is_the_same(tmp_path):
    small().write(tmp_path / "a.json", format="coco")
    small().to_coco(tmp_path / "b.json")

    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()

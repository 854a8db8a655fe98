"""Splits: by group, stratified, and as they were when images come."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.dataset import Dataset
from nbannotate.errors import LabelError

NO_LABELS = pd.DataFrame({"image": []})


def bearing(classes_of_image, kind="tag", **columns):
    """A dataset whose images bear these classes."""
    rows = [(image, name) for image, names in classes_of_image.items() for name in names]
    labels = pd.DataFrame(rows, columns=["image", "label"]).assign(kind=kind)
    images = pd.DataFrame(columns, index=pd.Index(list(classes_of_image), name="image"))
    return Dataset(labels, images)


def skewed(count=1000, seed=0):
    """Images with several of ten classes, of which the last are rare."""
    random = np.random.default_rng(seed)
    chances = 0.6 ** np.arange(1, 11)
    return {
        f"{number:04}.jpg": [f"class {c}" for c in np.flatnonzero(random.random(10) < chances)]
        for number in range(count)
    }


def shares(dataset):
    return dataset.balance().filter(like="%")


def test_several_labels_an_image_are_divided_as_the_fractions_are():
    dataset = bearing(skewed())
    plain, stratified = (
        dataset.split((0.7, 0.2, 0.1)),
        dataset.split((0.7, 0.2, 0.1), stratify=True),
    )

    found = stratified.balance()
    assert shares(stratified).loc[("images", "")].tolist() == pytest.approx([70, 20, 10], abs=1.5)
    wanted = found[["train", "val", "test"]].sum(axis=1).to_numpy()[:, None] * [0.7, 0.2, 0.1]
    off = np.abs(found[["train", "val", "test"]].to_numpy() - wanted)
    assert off[1:].max() < 4  # images of one class, of some hundred
    assert np.abs(plain.balance()[["train", "val", "test"]].to_numpy() - wanted).max() > 10


def test_one_label_an_image_is_divided_exactly():
    dataset = bearing({f"{n}": ["rare" if n % 10 == 0 else "common"] for n in range(200)})
    found = dataset.split((0.8, 0.1, 0.1), stratify=True).balance()

    assert found.loc[("tag", "rare"), ["train", "val", "test"]].tolist() == [16, 2, 2]
    assert found.loc[("tag", "common"), ["train", "val", "test"]].tolist() == [144, 18, 18]


def test_a_column_of_the_images_can_be_what_is_divided():
    dataset = Dataset(NO_LABELS, pd.DataFrame(
        {"site": ["a"] * 50 + ["b"] * 10 + [None] * 10}, index=[str(n) for n in range(70)]
    ))  # fmt: skip
    images = dataset.split((0.8, 0.2), stratify="site").images

    counts = images.groupby(images["site"].fillna("none"))["split"].value_counts().unstack()
    assert counts.loc["a"].to_dict() == {"train": 40, "val": 10}
    assert counts.loc["b"].to_dict() == counts.loc["none"].to_dict() == {"train": 8, "val": 2}


def test_boxes_count_by_image_not_one_by_one():
    crowd = {f"{n}": ["cat"] * (50 if n < 5 else 1) for n in range(50)}
    rows = [(image, name) for image, names in crowd.items() for name in names]
    labels = pd.DataFrame(rows, columns=["image", "label"])
    labels = labels.assign(kind="box", x=1.0, y=1.0, width=5.0, height=5.0)
    found = Dataset(labels, list(crowd)).split((0.8, 0.2), stratify=True).balance()

    assert found.loc[("box", "cat"), ["train", "val"]].tolist() == [40, 10]


def test_groups_stay_together_also_when_stratified():
    patients = [f"p{n // 7}" for n in range(1000)]
    dataset = bearing(skewed(), patient=patients)
    for how in ({}, {"stratify": True}):
        images = dataset.split(by="patient", **how).images
        assert images.groupby("patient")["split"].nunique().eq(1).all()
    assert abs(shares(dataset.split(by="patient", stratify=True)).iloc[0, 0] - 80) < 2


def test_several_groupings_join_what_either_joins():
    images = pd.DataFrame(
        {"patient": ["a", "a", "b", "b", None, None], "video": [1, 2, 2, 3, 4, 4]},
        index=list("stuvwx"),
    )
    dataset = Dataset(NO_LABELS, images)
    for seed in range(20):
        split = dataset.split((0.5, 0.5), by=["patient", "video"], seed=seed).images["split"]
        assert split.loc[list("stuv")].nunique() == 1
        assert split["w"] == split["x"]


def test_a_series_by_key_groups_too_and_a_missing_value_joins_none():
    dataset = Dataset(NO_LABELS, [str(n) for n in range(40)])
    groups = pd.Series({"1": "g", "2": "g", "3": None, "4": None})
    seeds = [dataset.split(by=groups, seed=seed).images["split"] for seed in range(20)]

    assert all(split["1"] == split["2"] for split in seeds)
    assert any(split["3"] != split["4"] for split in seeds)


def test_what_has_a_split_keeps_it_when_images_come():
    few, many = skewed(300), skewed(600)
    first = bearing(few).split(stratify=True)
    again = bearing(many, split=first.images["split"].reindex(list(many)))
    second = again.split(stratify=True, keep=True)

    assert second.images["split"].loc[list(few)].equals(first.images["split"])
    assert np.abs(shares(second).iloc[0].to_numpy() - [80, 10, 10]).max() < 1
    assert second.images["split"].notna().all()
    anew = again.split(stratify=True)
    assert not anew.images["split"].loc[list(few)].equals(first.images["split"])


def test_keeping_without_strata_divides_the_others_by_their_hash():
    dataset = Dataset(NO_LABELS, pd.DataFrame({"split": ["test"] * 5 + [None] * 95},
                                              index=[str(n) for n in range(100)]))  # fmt: skip
    kept, plain = dataset.split(keep=True).images["split"], dataset.split().images["split"]

    assert kept.iloc[:5].eq("test").all()
    assert kept.iloc[5:].equals(plain.iloc[5:])


def test_a_group_in_two_splits_cannot_keep_them():
    images = pd.DataFrame({"split": ["train", "val", None], "patient": "p"}, index=list("abc"))

    with pytest.raises(LabelError, match="images of the group 'p' are in several splits"):
        Dataset(NO_LABELS, images).split(by="patient", keep=True)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"by": "nobody"}, "by='nobody' is no column of the images; there are path"),
        ({"by": pd.Series({"other": "g"})}, "knows none of the images"),
        ({"stratify": "nobody"}, "stratify='nobody' is no column"),
        ({"fractions": (0.5, 0.6)}, "are not 1 to 3 parts of 1"),
    ],
)
def test_what_cannot_be_is_refused(how, problem):
    with pytest.raises(LabelError, match=problem):
        Dataset(NO_LABELS, ["a", "b"]).split(**how)


def test_the_balance_counts_images_not_labels():
    labels = pd.DataFrame({"image": ["a", "a", "b"], "label": ["x", "x", "y"]})
    labels = labels.assign(kind="box", x=1.0, y=1.0, width=5.0, height=[5.0, 6.0, 5.0])
    images = pd.DataFrame({"split": ["train", "val", None]}, index=list("abc"))
    found = Dataset(labels, images).balance()

    assert found.index.tolist() == [("images", ""), ("box", "x"), ("box", "y")]
    assert found.columns.tolist() == ["train", "val", "none", "train %", "val %", "none %"]
    assert found.loc[("images", "")].tolist() == [1, 1, 1, 33.3, 33.3, 33.3]
    assert found.loc[("box", "x")].tolist() == [1, 0, 0, 100, 0, 0]


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.integers(0, 8), min_size=1, max_size=30),
    classes=st.lists(st.sets(st.sampled_from("abc")), min_size=30, max_size=30),
    seed=st.integers(0, 3),
    stratify=st.booleans(),
    keep=st.booleans(),
)
def test_every_image_gets_one_split_and_no_group_two(groups, classes, seed, stratify, keep):
    names = [str(n) for n in range(len(groups))]
    dataset = bearing(dict(zip(names, classes, strict=False)), group=groups)
    how = {"seed": seed, "by": "group", "stratify": stratify}
    images = dataset.split(**how).images

    assert images["split"].isin(["train", "val", "test"]).all()
    assert images.groupby("group")["split"].nunique().eq(1).all()
    again = Dataset(dataset.labels, images).split(**how, keep=keep).images
    assert again["split"].equals(images["split"])

"""Shapes as boxes, polygons and masks: what they cover, and what is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels
from nbannotate.core.raster import FILLED, label_pixels
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX
from nbannotate.errors import LabelError
from tests.formats.samples import filled, layers, shape_datasets


def pixels(dataset: Dataset) -> list[np.ndarray]:
    """What each label covers of an image of 640 × 480."""
    labels = dataset.labels
    return [
        label_pixels(kind, box, shape, 640, 480)
        for kind, box, shape in zip(
            labels["kind"], labels[BOX].to_numpy().tolist(), labels["geometry"], strict=True
        )
    ]


@settings(max_examples=25, deadline=None)
@given(dataset=shape_datasets())
def test_polygons_and_masks_cover_what_their_shapes_did(dataset):
    before = pixels(filled(dataset))
    for to in ("polygon", "mask"):
        changed = dataset.convert(to)
        assert changed.labels.index.tolist() == dataset.labels.index.tolist()
        wanted = [to if kind in FILLED else kind for kind in dataset.labels["kind"]]
        assert changed.labels["kind"].tolist() == wanted
        for one, other in zip(pixels(filled(changed)), before, strict=True):
            assert (one == other).all()
    again = dataset.convert("mask").convert("polygon").convert("mask")
    for one, other in zip(pixels(filled(again)), before, strict=True):
        assert (one == other).all()


def test_boxes_are_the_bounding_boxes_and_the_first_tables_stay():
    dataset = layers()
    boxes = dataset.convert("box")

    assert boxes.labels["kind"].tolist() == ["box"] * 3
    assert boxes.labels["geometry"].tolist() == [None] * 3
    assert boxes.labels[BOX].equals(dataset.labels[BOX])
    assert dataset.labels["kind"].tolist() == ["box", "polygon", "mask"]
    masks = dataset.convert("mask").labels
    assert [int(mask_pixels(shape).sum()) for shape in masks["geometry"]] == [160, 24, 14]
    outline = dataset.convert("polygon").labels["geometry"].iloc[0]
    assert outline == [[[2, 3], [18, 3], [18, 13], [2, 13]]]
    assert masks[BOX].iloc[1].tolist() == [5, 5, 6, 4]


@pytest.mark.parametrize(
    ("to", "why"),
    [("circle", "'circle' is no kind to convert to"), ("mask", "size of its image is not known")],
)
def test_what_cannot_be_is_told(to, why):
    labels = pd.DataFrame({"image": ["a"], "label": "x", "x": 1, "y": 1, "width": 1, "height": 1})
    with pytest.raises(LabelError, match=why):
        Dataset(labels, schema=Schema(["x"])).convert(to)


def test_a_damaged_mask_names_its_label():
    dataset = layers()
    dataset.labels.at[dataset.labels.index[2], "geometry"] = {"size": [2, 2], "counts": [3]}
    with pytest.raises(LabelError, match=rf"label '{dataset.labels.index[2]}': mask: .*fill 3"):
        dataset.convert("polygon")

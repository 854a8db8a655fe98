"""Labels that follow their pictures: scaled along with them, or each one a picture of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels, mask_rle
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.formats.shared.names import distinct, safe_component

Sizes = NDArray[np.int64]  # shape (n, 2): width, height in pixels


def fitted_sizes(sizes: Sizes, within: tuple[int, int]) -> Sizes:
    """The sizes of pictures made to fit, their proportions kept; none is enlarged.

    Parameters
    ----------
    sizes
        Shape (n, 2), in pixels.
    within
        The most that width and height may be, in pixels.
    """
    ratio = np.minimum(1.0, np.min(np.asarray(within) / sizes, axis=1, initial=1.0))
    fitted: Sizes = np.maximum(1, np.rint(sizes * ratio[:, None])).astype(np.int64)
    return fitted


def scaled(dataset: Dataset, sizes: Sizes, fitted: Sizes) -> Dataset:
    """The dataset on pictures of other sizes.

    Parameters
    ----------
    dataset
        What is labelled.
    sizes, fitted
        Size of each image before and after, shape (n, 2), in pixels.
    """
    labels, images = dataset.labels.copy(), dataset.images.copy()
    at = images.index.get_indexer(pd.Index(labels["image"]))
    factors = (fitted / sizes)[at]
    labels[BOX] = labels[BOX].to_numpy() * np.tile(factors, 2)
    shaped = np.flatnonzero(labels["geometry"].notna().to_numpy() & (factors != 1).any(axis=1))
    geometry = labels["geometry"].tolist()
    kinds = labels["kind"].astype(object).tolist()
    for row in shaped.tolist():
        scale: Callable[..., Any] = _SCALES.get(kinds[row], _points)
        width, height = fitted[at[row]].tolist()
        geometry[row] = scale(geometry[row], *factors[row].tolist(), width, height)
    labels["geometry"] = pd.Series(geometry, index=labels.index, dtype=object)
    images[["width", "height"]] = fitted
    return Dataset(labels, images, dataset.schema)


def _points(shape: Any, x: float, y: float, *_: int) -> Any:
    """Points, rings of points, and key points with their visibility."""
    if shape and isinstance(shape[0], (list, tuple)):
        return [_points(part, x, y) for part in shape]
    return [shape[0] * x, shape[1] * y, *shape[2:]] if shape else shape


def _rotated_box(shape: Any, x: float, y: float, *_: int) -> list[float]:
    # Rounding to whole pixels scales the sides of a picture a little unevenly.
    cx, cy, width, height, turn = shape
    cosine, sine = math.cos(turn), math.sin(turn)
    return [
        cx * x,
        cy * y,
        width * math.hypot(x * cosine, y * sine),
        height * math.hypot(x * sine, y * cosine),
        math.atan2(y * sine, x * cosine),
    ]


def _mask(shape: Any, _x: float, _y: float, width: int, height: int) -> dict[str, Any]:
    picture = Image.fromarray(mask_pixels(shape).astype(np.uint8))
    resized = picture.resize((width, height), Image.Resampling.NEAREST)
    return mask_rle(np.asarray(resized, dtype=np.bool_))


_SCALES: dict[str, Callable[..., Any]] = {"rotated_box": _rotated_box, "mask": _mask}


def regions(dataset: Dataset, sizes: Sizes, margin: float) -> tuple[pd.DataFrame, Sizes, int]:
    """The part of its picture that each label with a place covers, in whole pixels.

    Parameters
    ----------
    dataset
        What is labelled.
    sizes
        Of its images, shape (n, 2), in pixels.
    margin
        What is added on each side, as a fraction of the label's width and height.

    Returns
    -------
    labels
        Those that cover a pixel or more of their picture.
    corners
        Left, top, right and bottom of each, shape (n, 4), in pixels.
    count
        How many labels cover none.
    """
    labels = dataset.labels
    placed = labels[labels["kind"].isin(PLACED_KINDS) & labels["label"].notna()]
    at = dataset.images.index.get_indexer(pd.Index(placed["image"]))
    boxes = placed[BOX].to_numpy()
    around = boxes[:, 2:] * margin
    low = np.floor(boxes[:, :2] - around)
    high = np.ceil(boxes[:, :2] + boxes[:, 2:] + around)
    limit = sizes[at]
    low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    good = np.isfinite(boxes).all(axis=1) & (high > low).all(axis=1)
    corners = np.hstack([low, high])[good].astype(np.int64)
    return placed[good], corners, int((~good).sum())


def crops(dataset: Dataset, labels: pd.DataFrame, sizes: Sizes) -> Dataset:
    """A dataset in which each label is an image of its own, with its class as the tag.

    Parameters
    ----------
    dataset
        What is labelled.
    labels
        The labels that become images.
    sizes
        Of the new images, shape (n, 2), in pixels.
    """
    parents = [PurePosixPath(str(key)) for key in labels["image"]]
    keys = distinct(
        f"{parent.with_suffix('')}-{safe_component(str(label_id))}{parent.suffix}"
        for parent, label_id in zip(parents, labels.index, strict=True)
    )
    images = dataset.images.loc[labels["image"].astype(object)].copy()
    images.index = pd.Index(keys, name="image", dtype="string")
    images[["width", "height"]] = sizes
    tags = labels.assign(image=pd.array(keys, dtype="string"), kind="tag", geometry=None)
    tags[BOX] = np.nan
    classes = [c for c in dataset.schema.to_dict()["classes"]]
    group = {"class": {"choices": classes, "multiple": False}}
    schema = Schema(tags=group if classes else {}, attributes=dataset.schema.attributes)
    return Dataset(tags, images, schema)

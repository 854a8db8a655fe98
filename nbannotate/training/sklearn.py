"""Samples and targets for scikit-learn: images or crops, whose pixels a pipeline reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Bunch

from nbannotate.core.dataset import Dataset
from nbannotate.core.tables import BOX
from nbannotate.formats.shared.tables import Only
from nbannotate.training.selection import load, question, select, single_answers, task_of

Features = Callable[[NDArray[np.uint8]], Any]


class Pixels(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The first step of a pipeline: reads each sample and gives its features.

    Parameters
    ----------
    features
        Of an array (height, width, 3) uint8, the upright RGB image or crop, its features as an
        array. None: the picture itself, made `size` large, from 0 to 1.
    size
        Width and height in pixels of the picture where there are no `features`.
    """

    def __init__(self, features: Features | None = None, size: tuple[int, int] = (32, 32)) -> None:
        self.features = features
        self.size = size

    def fit(self, data: pd.DataFrame, target: Any = None) -> Pixels:
        """Nothing is to be learned."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, data: pd.DataFrame) -> NDArray[Any]:
        """The features of each sample, shape (samples, features)."""
        rows = [self._features_of(row) for row in data.to_dict("records")]
        return np.stack(rows) if rows else np.empty((0, 0))

    def _features_of(self, row: dict[Any, Any]) -> NDArray[Any]:
        image = load(row["path"], row["image"])
        if BOX[0] in row:
            x, y, width, height = (row[side] for side in BOX)
            # Whole pixels that the box touches, one at least.
            left, top = int(np.floor(x)), int(np.floor(y))
            right, bottom = int(np.ceil(x + width)), int(np.ceil(y + height))
            right, bottom = max(right, left + 1), max(bottom, top + 1)
            image = image.crop((left, top, right, bottom))
        if self.features is not None:
            return np.asarray(self.features(np.asarray(image))).ravel()
        small = image.resize(self.size, Image.Resampling.BILINEAR)
        return np.asarray(small, dtype=np.float32).ravel() / 255


def to_sklearn(
    dataset: Dataset,
    features: Features | None = None,
    *,
    task: str | None = None,
    tags: str | None = None,
    split: str | None = None,
    only: Only = "reviewed",
    root: str | Path | None = None,
) -> Bunch:
    """Samples and targets for scikit-learn.

    Parameters
    ----------
    dataset
        Labels and images.
    features
        Computes them now; see `Pixels`. None: nothing is read yet, and `Pixels` is the first step
        of the pipeline.
    task
        ``"classify"``: each image is a sample, and its tag the target. ``"detect"``: each shape
        is, cut out by its bounding box, and its class. None: by shapes where there are any.
    tags
        Tag group that is the target; None: the only one there is.
    split
        ``"train"``, ``"val"`` or ``"test"``; None: all images.
    only
        ``"reviewed"``: images that are done or labelled; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.

    Returns
    -------
    ``data``: a DataFrame of samples (image, path and for shapes x, y, width, height), or with
    `features` an array; ``target``: numbers, or for tags of which an image may bear several zeros
    and ones, shape (samples, classes); ``target_names``; ``pixels``: a `Pixels`.

    Examples
    --------
    >>> bunch = dataset.to_sklearn()                                           # doctest: +SKIP
    >>> model = make_pipeline(bunch.pixels, LogisticRegression())              # doctest: +SKIP
    >>> model.fit(bunch.data, bunch.target)                                    # doctest: +SKIP

    Raises
    ------
    LabelError
        If no image is left, or an image has not one answer to a question with one.
    FormatError
        If an image is no file.
    """
    pixels = Pixels(features)
    target: NDArray[Any]
    if task_of(dataset, task) == "detect":
        found = select(dataset, "to_sklearn", split=split, only=only, root=root)
        names = [item.name for item in dataset.schema.classes]
        data = found.labels[["image", *BOX]].copy()
        paths = dict(zip(found.images.index, found.paths, strict=True))
        data.insert(1, "path", data["image"].map(paths))
        target = found.classes
    else:
        group = question(dataset, tags)
        found = select(dataset, "to_sklearn", kinds=("tag",), split=split, only=only, root=root)
        keys = found.images.index.tolist()
        names = [choice.name for choice in group.choices]
        data = pd.DataFrame({"image": keys, "path": list(found.paths)}, index=keys)
        answers = found.answers(group)
        single = None if group.multiple else single_answers(answers, group, keys)
        target = answers.astype(np.int64) if single is None else np.array(single, dtype=np.int64)
    read = data if features is None else pixels.transform(data)
    return Bunch(data=read, target=target, target_names=names, pixels=pixels)

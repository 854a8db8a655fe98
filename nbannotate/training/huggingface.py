"""A ``datasets.Dataset`` with typed features: images that are decoded when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets

from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.tables import CLASSED_KINDS
from nbannotate.formats.shared.tables import Only
from nbannotate.training.selection import Selection, select, single_answers


def to_huggingface(
    dataset: Dataset,
    *,
    split: str | None = None,
    only: Only = "reviewed",
    root: str | Path | None = None,
) -> datasets.Dataset | datasets.DatasetDict:
    """A dataset of Hugging Face's ``datasets``.

    Its columns are ``image`` (decoded upright when asked for), ``image_id`` (the key), where there
    are shapes ``objects`` with ``bbox`` (x, y, width, height in pixels), ``category``
    (a ``ClassLabel``), ``area`` and ``id``; and one for each tag group of the scheme, a
    ``ClassLabel``, or a list of those where an image may bear several.

    Parameters
    ----------
    dataset
        Labels and images.
    split
        One split as a ``Dataset``; None: a ``DatasetDict`` of all, where images have one.
    only
        ``"reviewed"``: images that are done or labelled; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.

    Raises
    ------
    LabelError
        If no image is left, or an image has not one answer to a question with one.
    FormatError
        If an image is no file.
    """
    if split is None and dataset.images["split"].notna().any():
        names = [name for name in SPLITS if dataset.images["split"].eq(name).any()]
        parts = {name: _part(dataset, name, only, root) for name in names}
        return datasets.DatasetDict(
            {("validation" if name == "val" else name): part for name, part in parts.items()}
        )
    return _part(dataset, split, only, root)


def _part(
    dataset: Dataset, split: str | None, only: Only, root: str | Path | None
) -> datasets.Dataset:
    found = select(
        dataset, "to_huggingface", counted=CLASSED_KINDS, split=split, only=only, root=root
    )
    keys = found.images.index.tolist()
    columns: dict[str, Any] = {"image": list(found.paths), "image_id": keys}
    features: dict[str, Any] = {"image": datasets.Image(), "image_id": datasets.Value("string")}
    schema = dataset.schema
    if schema.classes:
        features["objects"] = {
            "bbox": datasets.List(datasets.List(datasets.Value("float32"), length=4)),
            "category": datasets.List(datasets.ClassLabel(names=[c.name for c in schema.classes])),
            "area": datasets.List(datasets.Value("float32")),
            "id": datasets.List(datasets.Value("string")),
        }
        columns["objects"] = [_objects(found, place) for place in range(len(found))]
    for group in schema.tags:
        answers = found.answers(group)
        label = datasets.ClassLabel(names=[choice.name for choice in group.choices])
        if group.multiple:
            features[group.name] = datasets.List(label)
            columns[group.name] = [row.nonzero()[0].tolist() for row in answers]
        else:
            features[group.name] = label
            columns[group.name] = single_answers(answers, group, keys)
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def _objects(found: Selection, place: int) -> dict[str, list[Any]]:
    rows = found.rows(place)
    boxes = found.boxes[rows]
    return {
        "bbox": boxes.tolist(),
        "category": found.classes[rows].tolist(),
        "area": (boxes[:, 2] * boxes[:, 3]).tolist(),
        "id": found.labels.index[rows].tolist(),
    }

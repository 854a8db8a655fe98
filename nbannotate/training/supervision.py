"""Datasets of Roboflow's supervision, whose pixels it reads itself when they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import supervision

from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import to_corners
from nbannotate.errors import LabelError
from nbannotate.formats.shared.tables import Only
from nbannotate.training.selection import question, select, single_answers, task_of


def to_supervision(
    dataset: Dataset,
    *,
    task: str | None = None,
    tags: str | None = None,
    split: str | None = None,
    only: Only = "reviewed",
    root: str | Path | None = None,
) -> supervision.DetectionDataset | supervision.ClassificationDataset:
    """A dataset of supervision.

    Parameters
    ----------
    dataset
        Labels and images; shapes come as their bounding boxes.
    task
        ``"detect"`` or ``"classify"``; None: to detect where there are shapes.
    tags
        Tag group that is the class; None: the only one there is.
    split
        ``"train"``, ``"val"`` or ``"test"``; None: all images.
    only
        ``"reviewed"``: images that are done or labelled; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.

    Returns
    -------
    Detections have class numbers from 0 in the scheme's order, scores as ``confidence`` where all
    of an image have one, and ``data["label_id"]``.

    Raises
    ------
    LabelError
        If no image is left, or the tags are none that supervision can hold.
    FormatError
        If an image is no file.
    """
    if task_of(dataset, task) == "detect":
        found = select(dataset, "to_supervision", split=split, only=only, root=root)
        scores = found.labels["score"].to_numpy(dtype=np.float64)
        annotations = {}
        for place, path in enumerate(found.paths):
            rows = found.rows(place)
            confidence = scores[rows]
            annotations[path] = supervision.Detections(
                xyxy=to_corners(found.boxes[rows]).reshape(-1, 4),
                class_id=found.classes[rows],
                confidence=None if np.isnan(confidence).any() else confidence,
                data={"label_id": found.labels.index[rows].to_numpy(dtype=str)},
            )
        names = [item.name for item in dataset.schema.classes]
        return supervision.DetectionDataset(names, list(found.paths), annotations)
    group = question(dataset, tags)
    if group.multiple:
        raise LabelError(
            f"an image may bear several tags of {group.name!r}, supervision has one class for "
            "each; use to_torch or to_huggingface"
        )
    found = select(dataset, "to_supervision", kinds=("tag",), split=split, only=only, root=root)
    numbers = single_answers(found.answers(group), group, found.images.index.tolist())
    return supervision.ClassificationDataset(
        [choice.name for choice in group.choices],
        list(found.paths),
        {
            path: supervision.Classifications(class_id=np.array([number]))
            for path, number in zip(found.paths, numbers, strict=True)
        },
    )

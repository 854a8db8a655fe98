"""Datasets for PyTorch: detection targets as torchvision's models take them, and class numbers.

Source: torchvision's reference detection targets (boxes x1, y1, x2, y2 in pixels; class 0 is the
background). torchvision itself is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import to_corners
from nbannotate.core.raster import FILLED, label_pixels
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import LabelError
from nbannotate.formats.shared.tables import Only
from nbannotate.training.selection import (
    TASKS,
    Selection,
    load,
    question,
    select,
    single_answers,
    size_of,
    task_of,
)

Transform = Callable[..., Any]

_KINDS = {"detect": PLACED_KINDS, "segment": FILLED, "pose": ("keypoints",)}
"""The kinds of labels that a task is about."""


class Detection(torch.utils.data.Dataset[Any]):
    """Images with their boxes, read when they are asked for.

    An item is an image and its target: ``boxes`` float32 (n, 4) x1, y1, x2, y2 in pixels of the
    upright image, ``labels`` int64 (n,) from 1, ``image_id`` int64, ``area`` float32 (n,),
    ``iscrowd`` int64 (n,). An image without boxes has n = 0. To segment there are ``masks`` too,
    uint8 (n, height, width) of zeros and ones, and ``area`` is theirs; for poses ``keypoints``,
    float32 (n, points, 3) of x, y and visibility 0, 1 or 2, as many as the most of a label.

    Parameters
    ----------
    selection
        What to train on.
    task
        ``"detect"``, ``"segment"`` or ``"pose"``.
    transform
        ``transform(image, target)``, with a PIL image; gives both back. None: the image as
        float32 (3, height, width) from 0 to 1.
    """

    def __init__(
        self, selection: Selection, transform: Transform | None, task: str = "detect"
    ) -> None:
        self.selection = selection
        self.task = task
        self.transform = transform
        self.classes = ["__background__", *(c.name for c in selection.dataset.schema.classes)]
        """Names by number."""
        self.keys = selection.images.index.tolist()
        """Key of each image."""
        shapes = selection.labels["geometry"] if task == "pose" else ()
        self.points = max((len(shape or ()) for shape in shapes), default=0)
        """How many key points a label has."""

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        place = range(len(self))[place]
        selection = self.selection
        size = size_of(selection.images, place)
        image = load(selection.paths[place], self.keys[place], size)
        target = self.target(place, image.size)
        if self.transform is None:
            return _tensor(image), target
        pair: tuple[Any, Any] = self.transform(image, target)
        return pair

    def target(self, place: int, size: tuple[int, int] | None = None) -> dict[str, torch.Tensor]:
        """The target of an image, without its pixels.

        Parameters
        ----------
        place
            The image's, from 0.
        size
            Its width and height in pixels; None: as the images table has them, else it is read.
        """
        rows = self.selection.rows(place)
        boxes = self.selection.boxes[rows]
        attributes = self.selection.labels["attributes"].iloc[rows]
        crowds = [values.get("iscrowd") is True for values in attributes]
        target = {
            "boxes": torch.as_tensor(to_corners(boxes), dtype=torch.float32).reshape(-1, 4),
            "labels": torch.as_tensor(self.selection.classes[rows] + 1, dtype=torch.int64),
            "image_id": torch.tensor(place, dtype=torch.int64),
            "area": torch.as_tensor(boxes[:, 2] * boxes[:, 3], dtype=torch.float32),
            "iscrowd": torch.as_tensor(crowds, dtype=torch.int64),
        }
        if self.task == "segment":
            size = size or size_of(self.selection.images, place)
            if size is None:
                size = load(self.selection.paths[place], self.keys[place]).size
            target["masks"] = self._masks(rows, size)
            target["area"] = target["masks"].sum(dim=(1, 2), dtype=torch.float32)
        elif self.task == "pose":
            target["keypoints"] = self._keypoints(rows)
        return target

    def _masks(self, rows: slice, size: tuple[int, int]) -> torch.Tensor:
        width, height = size
        labels = self.selection.labels.iloc[rows]
        boxes = self.selection.boxes[rows].tolist()
        masks = np.zeros((len(labels), height, width), dtype=np.uint8)
        for row, (kind, shape) in enumerate(zip(labels["kind"], labels["geometry"], strict=True)):
            try:
                masks[row] = label_pixels(kind, boxes[row], shape, width, height)
            except (ValueError, TypeError, KeyError) as error:
                raise LabelError(
                    f"label {labels.index[row]!r}: {kind}: {error}; mend or delete it"
                ) from error
        return torch.from_numpy(masks)

    def _keypoints(self, rows: slice) -> torch.Tensor:
        shapes = self.selection.labels["geometry"].iloc[rows].tolist()
        points = np.zeros((len(shapes), self.points, 3), dtype=np.float32)
        for row, shape in enumerate(shapes):
            if shape:
                points[row, : len(shape)] = shape
        return torch.from_numpy(points)

    @staticmethod
    def collate(items: Sequence[tuple[Any, Any]]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """``DataLoader(..., collate_fn=data.collate)``: images and targets, for sizes differ."""
        images, targets = zip(*items, strict=True)
        return images, targets


class Classification(torch.utils.data.Dataset[Any]):
    """Images with their tags, read when they are asked for.

    An item is an image and the number of its class, from 0; where an image may bear several
    tags, a float32 tensor (classes,) of zeros and ones.

    Parameters
    ----------
    selection
        What to train on.
    classes
        Names by number.
    targets
        Number of each image's class; or which it bears, shape (images, classes).
    transform
        ``transform(image)``, with a PIL image. None: the image as float32 (3, height, width)
        from 0 to 1.
    """

    def __init__(
        self,
        selection: Selection,
        classes: list[str],
        targets: torch.Tensor,
        transform: Transform | None,
    ) -> None:
        self.selection = selection
        self.classes = classes
        """Names by number."""
        self.targets = targets
        self.transform = transform
        self.keys = selection.images.index.tolist()
        """Key of each image."""

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        place = range(len(self))[place]
        image = load(self.selection.paths[place], self.keys[place])
        target = self.targets[place]
        shown = _tensor(image) if self.transform is None else self.transform(image)
        return shown, int(target) if target.ndim == 0 else target


def to_torch(
    dataset: Dataset,
    transform: Transform | None = None,
    *,
    task: str | None = None,
    tags: str | None = None,
    split: str | None = None,
    only: Only = "reviewed",
    root: str | Path | None = None,
) -> Detection | Classification:
    """A dataset for PyTorch, whose pixels are read when they are asked for.

    Parameters
    ----------
    dataset
        Labels and images.
    transform
        Of an image and its target, or for tags of an image alone; see `Detection` and
        `Classification`.
    task
        ``"detect"``; ``"segment"``, by the shapes that cover pixels; ``"pose"``, by those of key
        points; or ``"classify"``. None: to detect where there are shapes.
    tags
        Tag group that is the class; None: the only one there is.
    split
        ``"train"``, ``"val"`` or ``"test"``; None: all images.
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
    task = task_of(dataset, task, (*_KINDS, *set(TASKS) - _KINDS.keys()))
    if task in _KINDS:
        kinds = _KINDS[task]
        shapes = select(dataset, "to_torch", kinds=kinds, split=split, only=only, root=root)
        return Detection(shapes, transform, task)
    group = question(dataset, tags)
    found = select(dataset, "to_torch", kinds=("tag",), split=split, only=only, root=root)
    answers = found.answers(group)
    classes = [choice.name for choice in group.choices]
    if group.multiple:
        targets = torch.as_tensor(answers, dtype=torch.float32)
    else:
        numbers = single_answers(answers, group, found.images.index.tolist())
        targets = torch.as_tensor(numbers, dtype=torch.int64)
    return Classification(found, classes, targets, transform)


def _tensor(image: Any) -> torch.Tensor:
    pixels = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))

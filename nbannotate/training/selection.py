"""What of a dataset is trained on: which images and labels, and where their pixels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import TagGroup
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import ImageError, LabelError
from nbannotate.formats.shared.files import opened, require_files
from nbannotate.formats.shared.tables import Only, reviewed
from nbannotate.images.decoding import decode, open_header

TASKS = ("detect", "classify")


@dataclass(frozen=True)
class Selection:
    """The images to train on, each a file, with their labels.

    Parameters
    ----------
    dataset
        The whole.
    images, labels
        Those chosen; the labels in the order of their images.
    paths
        Where each image is.
    starts
        Where the labels of each image begin in the table, and the end of the last.
    """

    dataset: Dataset
    images: pd.DataFrame
    labels: pd.DataFrame
    paths: Sequence[str]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, place: int) -> slice:
        """Which rows of the labels are those of one image."""
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        """x, y, width, height of each label, in pixels of the upright image."""
        return self.labels[BOX].to_numpy(dtype=np.float64)

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """Place of each label's class in the scheme, from 0."""
        places = {item.name: place for place, item in enumerate(self.dataset.schema.classes)}
        numbers = self.labels["label"].astype(object).map(places)
        return np.asarray(numbers.to_numpy(), dtype=np.int64)

    def answers(self, group: TagGroup) -> NDArray[np.bool_]:
        """Which choices of a tag group each image bears, shape (images, choices)."""
        names = [choice.name for choice in group.choices]
        found = np.zeros((len(self.images), len(names)), dtype=np.bool_)
        labels = self.dataset.labels
        tags = labels[labels["kind"].eq("tag") & labels["label"].isin(names)]
        rows = self.images.index.get_indexer(pd.Index(tags["image"]))
        columns = pd.Index(names).get_indexer(pd.Index(tags["label"].astype(object)))
        found[rows[rows >= 0], columns[rows >= 0]] = True
        return found


def select(
    dataset: Dataset,
    what: str,
    *,
    kinds: Sequence[str] = PLACED_KINDS,
    counted: Sequence[str] | None = None,
    split: str | None = None,
    only: Only = "reviewed",
    root: str | Path | None = None,
) -> Selection:
    """Choose what to train on.

    Parameters
    ----------
    dataset
        Labels and images.
    what
        Who asks, for messages.
    kinds
        Kinds of labels that come along.
    counted
        Kinds of labels that make an image a reviewed one; None: those.
    split
        ``"train"``, ``"val"`` or ``"test"``; None: all images.
    only
        ``"reviewed"``: images that are done or have such labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.

    Raises
    ------
    LabelError
        If no image is left.
    FormatError
        If an image is no file.
    """
    use = reviewed(dataset, kinds if counted is None else counted, only)
    if split is not None:
        use = use & dataset.images["split"].eq(split).fillna(False).to_numpy(dtype=bool)
    images = dataset.images[use]
    if images.empty:
        raise LabelError(
            f"{what}: none of the {len(dataset.images)} images is "
            + ("done or labelled" if split is None else f"in the split {split!r} and reviewed")
            + "; label some, split the dataset first, or take all with only='all'"
        )
    paths = require_files(images, None if root is None else Path(root), Path(what))
    labels = dataset.labels[dataset.labels["kind"].isin(list(kinds))]
    at = images.index.get_indexer(pd.Index(labels["image"]))
    order = np.argsort(at, kind="stable")
    order = order[at[order] >= 0]
    ends = np.searchsorted(at[order], np.arange(len(images)), side="right")
    starts = np.array([0, *ends], dtype=np.int64)
    return Selection(dataset, images, labels.iloc[order], paths, starts)


def task_of(dataset: Dataset, task: str | None, tasks: Sequence[str] = TASKS) -> str:
    """The task asked for; else to detect where there are shapes, and to classify where not.

    Parameters
    ----------
    dataset
        Labels and images.
    task
        The task that is asked for.
    tasks
        Those there are.

    Raises
    ------
    LabelError
        If there is no such task.
    """
    if task is None:
        return "detect" if dataset.labels["kind"].isin(PLACED_KINDS).any() else "classify"
    if task not in tasks:
        raise LabelError(f"task={task!r} is unknown; use one of {', '.join(tasks)}")
    return task


def question(dataset: Dataset, tags: str | None) -> TagGroup:
    """The tag group of that name; None: the only one there is."""
    groups = dataset.schema.tags
    if tags is None and len(groups) == 1:
        return groups[0]
    for group in groups:
        if group.name == tags:
            return group
    there = ", ".join(repr(group.name) for group in groups) or "none"
    raise LabelError(f"tags={tags!r} is no tag group of the scheme; there are: {there}")


def single_answers(answers: NDArray[np.bool_], group: TagGroup, keys: Sequence[str]) -> list[int]:
    """The place of the one choice of each image; `LabelError` where there is none, or several."""
    counts = answers.sum(axis=1)
    wrong = np.flatnonzero(counts != 1)
    if len(wrong):
        raise LabelError(
            f"{len(wrong)} images have not one answer to {group.name!r}, such as "
            f"{keys[int(wrong[0])]!r}; answer them, or leave them out with dataset.select"
        )
    return [int(place) for place in answers.argmax(axis=1)]


def load(path: str, key: str, size: tuple[int, int] | None = None) -> Image.Image:
    """The pixels of an image, upright, as RGB.

    Parameters
    ----------
    path
        A local path, or a URI that fsspec reaches.
    key
        Names the image in messages.
    size
        Width and height that it should have; None where that is not known.

    Raises
    ------
    ImageError
        If it cannot be read, or has another size than its labels were made on.
    """
    try:
        with opened(path) as file:
            raw = file.read()
    except OSError as error:
        raise ImageError(f"{key}: {path} cannot be read ({error}); check the path") from error
    image = decode(open_header(raw, key), raw, key).convert("RGB")
    if size is not None and image.size != size:
        raise ImageError(
            f"{key}: {path} has {image.width} × {image.height} pixels, its labels were made on "
            f"{size[0]} × {size[1]}; put the former file back"
        )
    return image


def size_of(images: pd.DataFrame, place: int) -> tuple[int, int] | None:
    """Width and height of an image as the table has them."""
    width, height = images["width"].iloc[place], images["height"].iloc[place]
    return None if pd.isna(width) or pd.isna(height) else (int(width), int(height))

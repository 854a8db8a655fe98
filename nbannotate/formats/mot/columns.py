"""A sequence's labels as the columns of its text file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.dataset import Dataset
from nbannotate.core.tables import BOX
from nbannotate.formats.shared.tables import count_lost
from nbannotate.formats.shared.values import CONFIDENCE, scores

_LINE = "%d,%d,%.10g,%.10g,%.10g,%.10g,%.10g,%d,%.10g\n"
_DIGITS = re.compile(r"([0-9]{1,9})(\.[^.]*)?$")


@dataclass
class WrittenSequence:
    """A sequence as it will be written."""

    name: str
    rows: list[int]
    """Its images, as rows of the table."""
    frames: list[int] = field(default_factory=list)
    """The frame of each, from 0."""
    numbered: bool = False
    """Whether the frames are our numbers."""


class Columns:
    """Labels as columns, in the order of the images."""

    def __init__(
        self,
        dataset: Dataset,
        labels: pd.DataFrame,
        keys: pd.Index[str],
        file: str,
        based: int,
        lost: dict[str, int],
    ) -> None:
        self.keys, self.file, self.lost = keys, file, lost
        self.notes: list[str] = []
        image = keys.get_indexer(pd.Index(labels["image"]))
        order = np.argsort(image, kind="stable")
        labels, self.image = labels.iloc[order], image[order]
        self.starts = np.searchsorted(self.image, np.arange(len(keys) + 1))
        self.frame = labels["frame"].to_numpy(dtype=np.float64, na_value=np.nan)
        self.track = labels["track"].to_numpy(dtype=np.float64, na_value=np.nan)
        numbers = {c.name: n for n, c in enumerate(dataset.schema.classes, 1)}
        classes = labels["label"].astype(object).map(numbers).to_numpy(dtype=np.float64)
        boxes = labels[BOX].to_numpy(copy=True)
        boxes[:, :2] += based
        flag, visibility = self._attributes(labels)
        if file == "det":
            flag = np.where(np.isnan(own := scores(labels)), -1, own)
        self.values = np.column_stack([np.round(boxes, 6), flag, classes, visibility])

    def _attributes(self, labels: pd.DataFrame) -> tuple[NDArray[np.float64], ...]:
        flag, visibility = np.ones(len(labels)), np.ones(len(labels))
        is_gt = self.file == "gt"
        if not is_gt:
            visibility[:] = -1
        for row, values in enumerate(labels["attributes"]):
            for name, value in (values or {}).items():
                if is_gt and name == "ignored" and isinstance(value, bool):
                    flag[row] = not value
                elif is_gt and name == "visibility" and _is_share(value):
                    visibility[row] = value
                elif value is not None and not (name == CONFIDENCE and not is_gt):
                    count_lost(self.lost, f"attribute {name!r} without a column of MOT", 1)
        return flag, visibility

    def _of(self, sequence: WrittenSequence) -> NDArray[np.int64]:
        """Rows of the labels of the sequence."""
        parts = [np.arange(self.starts[row], self.starts[row + 1]) for row in sequence.rows]
        return np.concatenate(parts).astype(np.int64)

    def number(self, sequence: WrittenSequence) -> None:
        """Find the frame of each image of a sequence."""
        given = [np.unique(self.frame[self.starts[row] : self.starts[row + 1]])
                 for row in sequence.rows]  # fmt: skip
        known = [int(found[0]) if len(found) == 1 and found[0] >= 0 else None for found in given]
        seen = [frame for frame in known if frame is not None]
        clear = all(frame is not None or not len(found)
                    for frame, found in zip(known, given, strict=True))  # fmt: skip
        if seen and clear and len(set(seen)) == len(seen):
            sequence.frames = _filled(known, [self.keys[row] for row in sequence.rows])
            return
        sequence.numbered = True
        sequence.frames = list(range(len(sequence.rows)))
        rows = self._of(sequence)
        why = "labels' frame (images are numbered in their order)"
        count_lost(self.lost, why, int((~np.isnan(self.frame[rows])).sum()))

    def lines(self, sequence: WrittenSequence) -> tuple[str, dict[str, Any]]:
        """The text, and what is put aside of the sequence."""
        rows = self._of(sequence)
        order = np.argsort([*sequence.frames], kind="stable").tolist()
        keys = {str(sequence.frames[at] + 1): self.keys[sequence.rows[at]] for at in order}
        aside: dict[str, Any] = {"frames": keys, "numbered": sequence.numbered}
        frame_of = dict(zip(sequence.rows, sequence.frames, strict=True))
        frame = np.array([frame_of[row] for row in self.image[rows].tolist()], dtype=np.int64)
        track = self.track[rows]
        none = np.isnan(track)
        shift = int(max(1 - np.min(track[~none], initial=1), 0))  # ids are counted from 1
        ids = np.where(none, -1, track + shift)
        if none.any() and self.file == "gt":
            # Evaluation wants every id once in a frame.
            aside["alone"] = alone = int(np.max(ids, initial=0)) + 1
            ids[none] = np.arange(alone, alone + none.sum())
        if shift:
            aside["shift"] = shift
        self._note_twice(sequence, frame, ids[~none], none)
        columns = np.column_stack([frame + 1, ids, self.values[rows]])
        columns = columns[np.argsort(frame, kind="stable")]
        return _LINE * len(columns) % tuple(columns.ravel().tolist()), aside

    def _note_twice(
        self,
        sequence: WrittenSequence,
        frame: NDArray[np.int64],
        ids: NDArray[np.float64],
        none: NDArray[np.bool_],
    ) -> None:
        pairs = np.column_stack([frame[~none], ids])
        twice = len(pairs) - len(np.unique(pairs, axis=0))
        if twice:
            self.notes.append(
                f"{sequence.name}: {twice} boxes have the track of another one in their frame, "
                "which evaluation refuses"
            )


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _filled(known: list[int | None], keys: list[str]) -> list[int]:
    """The frames, with those of images without labels: by the numbers in their names, else free."""
    matches = [_DIGITS.search(key) for key in keys]
    numbers = [None if match is None else int(match[1]) for match in matches]
    steps = {n - k for n, k in zip(numbers, known, strict=True) if n is not None and k is not None}
    if None not in numbers and len(steps) == 1:
        step = steps.pop()
        named = [n - step for n in numbers if n is not None]
        if min(named) >= 0 and len(set(named)) == len(named):
            return named
    taken = {frame for frame in known if frame is not None}
    frames, free = list[int](), 0
    for frame in known:
        if frame is None:
            frame = next(number for number in count(free) if number not in taken)
            taken.add(frame)
        frames.append(frame)
        free = frame + 1
    return frames

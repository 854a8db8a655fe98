"""Labels on their way into a file: columns as plain lists, in the order of the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbannotate.core.rings import Ring, rings
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.tables import plain_column, refuse_bad_boxes


@dataclass(frozen=True)
class Label:
    """One label as plain values."""

    label_id: str
    kind: str
    label: str
    box: list[float]
    geometry: Any
    attributes: dict[str, Any]
    text: str | None
    score: float | None
    own: dict[str, Any]
    """What is put aside for our reader; the writer may add to it."""


class Outgoing:
    """Labels as lists, ordered by image.

    Parameters
    ----------
    labels
        A labels table.
    images
        Keys of the images that are written; labels on others are not.
    path
        The file that is written, for errors.
    own
        For each label of `labels` what is put aside for our reader; None for nothing.

    Raises
    ------
    FormatError
        If a number is NaN or infinite.
    """

    def __init__(
        self,
        labels: pd.DataFrame,
        images: pd.Index[str],
        path: Path,
        own: list[dict[str, Any]] | None = None,
    ) -> None:
        at = images.get_indexer(pd.Index(labels["image"]))
        order = np.argsort(at, kind="stable")
        order = order[at[order] >= 0]
        self.labels = labels.iloc[order]
        refuse_bad_boxes(self.labels[self.labels["kind"].isin(PLACED_KINDS)], path)
        self.path = path
        self.kinds: list[str] = self.labels["kind"].astype(object).tolist()
        self.names: list[str] = _or_none(self.labels["label"])
        self.boxes: list[list[float]] = self.labels[BOX].to_numpy().tolist()
        self.geometry = plain_column(self.labels["geometry"], path)
        self.attributes = plain_column(self.labels["attributes"], path)
        self.texts: list[str | None] = _or_none(self.labels["text"])
        self.scores: list[float | None] = _or_none(self.labels["score"])
        self.own = None if own is None else [own[row] for row in order.tolist()]
        self._ends = np.searchsorted(at[order], np.arange(len(images)), side="right").tolist()

    def __len__(self) -> int:
        return len(self.kinds)

    def rows(self) -> Iterator[tuple[int, int]]:
        """For each image the first of its rows and the one after the last."""
        return zip([0, *self._ends][:-1], self._ends, strict=True)

    def label(self, row: int) -> Label:
        """The label in that row."""
        return Label(
            str(self.labels.index[row]),
            self.kinds[row],
            self.names[row],
            self.boxes[row],
            self.geometry[row],
            self.attributes[row] or {},
            self.texts[row],
            self.scores[row],
            {} if self.own is None else self.own[row],
        )

    def per_image(self, kinds: Iterable[str]) -> Iterator[list[Label]]:
        """For each image its labels of these kinds."""
        wanted = frozenset(kinds)
        for start, end in self.rows():
            yield [self.label(row) for row in range(start, end) if self.kinds[row] in wanted]

    def bad(self, label: Label, error: Exception) -> FormatError:
        """The error about a label whose shape cannot be written."""
        return FormatError(
            self.path,
            f"label {label.label_id!r}",
            f"{label.kind}: {error}; mend or delete the label",
        )


def _or_none(column: pd.Series[Any]) -> list[Any]:
    return column.astype(object).where(column.notna(), None).tolist()


def outline(label: Label) -> list[Ring] | None:
    """The rings of a polygon if all have three points or more; notes whether it was a bare ring."""
    parts = rings(label.geometry)
    if not parts or any(len(part) < 3 for part in parts):
        return None
    if parts == [label.geometry]:
        label.own["ring"] = True
    return parts

"""The rows of YOLO's label files, task by task: numbers in, labels out, and the other way.

A row is a class and then fractions of the image's width and height: a box of x, y of its centre,
width, height; a polygon of points; an oriented box of its four corners; a pose of a box and key
points, each x, y and, where there are three numbers, whether it is labelled and visible.

Source: docs.ultralytics.com, datasets: detect, segment, obb, pose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from nbannotate.core.conversion import outline_of
from nbannotate.core.geometry import rotated_from_corners
from nbannotate.core.rings import Ring, bounds, box_ring
from nbannotate.formats.shared.rows import MOST_KEYPOINTS

Task = Literal["detect", "segment", "obb", "pose"]
TASKS: tuple[Task, ...] = ("detect", "segment", "obb", "pose")

MOST = 1.01  # ultralytics' own tolerance


@dataclass(frozen=True)
class RowKind:
    """What the rows of a data set are.

    Parameters
    ----------
    task
        The task; None: boxes and polygons, as their numbers tell.
    points, numbers
        How many key points a pose has, and of how many numbers each, 2 or 3.
    """

    task: Task | None = None
    points: int = 0
    numbers: int = 3

    def why_bad(self, values: list[float], classes: dict[int, str]) -> str | None:
        """What is wrong with a row; None if nothing is."""
        if not values:
            return "holds what is no number; separate numbers by spaces, with a point for decimals"
        why = self._why_not_as_many(len(values))
        if why is not None:
            return why
        if values[0] not in classes:
            known = f"0 … {max(classes)}" if classes else "none"
            return f"class {values[0]:g} is not in names ({known}); add it there or mend the row"
        places = values[1:]
        if self.task == "pose" and self.numbers == 3:
            if not {0, 1, 2}.issuperset(values[7::3]):
                return "has a visibility that is not 0, 1 or 2; mend it"
            del places[6::3]
        if not all(0 <= value <= MOST for value in places):
            return "has a value outside 0 … 1; divide pixels by the image's width and height"
        return None

    def _why_not_as_many(self, count: int) -> str | None:
        if self.task == "pose":
            wanted = 5 + self.points * self.numbers
            if count != wanted:
                return f"has {count} numbers; by kpt_shape a pose has {wanted}"
        elif self.task == "obb":
            if count not in (5, 9):
                return f"has {count} numbers; an oriented box has 9 (class and four corners)"
        elif count != 5 and (count < 7 or count % 2 == 0):
            return (
                f"has {count} numbers; a box has 5 (class, x, y, width, height), "
                "a polygon 7 or another odd count"
            )
        return None

    def label(
        self, values: list[float], width: float, height: float
    ) -> tuple[str, list[float], Any]:
        """Kind, box and geometry in pixels of a row that is not bad."""
        scale = np.array([width, height])
        if len(values) == 5 or self.task == "pose":
            x, y, w, h = values[1:5]
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            if self.task != "pose":
                return "box", box, None
            points = np.reshape(values[5:], (self.points, self.numbers))
            seen = np.asarray((points[:, :2] > 0).any(axis=1))
            flags = points[:, 2] if self.numbers == 3 else 2.0 * seen
            if not flags.any():
                return "box", box, None
            spots: NDArray[np.float64] = points[:, :2] * scale * (flags > 0)[:, np.newaxis]
            geometry = np.hstack([spots, flags[:, np.newaxis]]).tolist()
            return "keypoints", box, [[x, y, int(flag)] for x, y, flag in geometry]
        ring = np.reshape(values[1:], (-1, 2)) * scale
        box = bounds([ring.tolist()])
        if self.task == "obb":
            return "rotated_box", box, rotated_from_corners(ring)[0].tolist()
        return "polygon", box, [ring.tolist()]


def plain_boxes(
    texts: Sequence[str | None], classes: Iterable[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """All rows at once, if each of them is a good box: a hundred times faster than one by one.

    Returns
    -------
    tuple or None
        The text that each row comes from, shape (n,), and its numbers, shape (n, 5); None: some
        row is another or is bad.
    """
    parts = [text if not text or text[-1] == "\n" else f"{text}\n" for text in map(_lines, texts)]
    joined = "".join(parts)
    if not joined or not joined.isascii():
        return None if joined else (np.empty(0, np.int64), np.empty((0, 5)))
    letters = np.frombuffer(joined.encode(), dtype=np.uint8)
    spaces, line_ends = letters == ord(" "), np.flatnonzero(letters == ord("\n"))
    # Five numbers have four spaces between them, each of one letter.
    in_line = np.diff(np.searchsorted(np.flatnonzero(spaces), line_ends), prepend=0)
    empty = np.diff(line_ends, prepend=-1) == 1
    if ((in_line != 4) & ~empty).any() or in_line[empty].any():
        return None
    columns = list("cxywh")
    types = dict.fromkeys(columns, pa.float64())
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(letters),
            pa_csv.ReadOptions(column_names=columns),
            pa_csv.ParseOptions(delimiter=" ", quote_char=False),
            pa_csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except pa.ArrowException:
        return None
    values = np.stack([column.to_numpy() for column in table.columns], axis=1)
    known = np.isin(values[:, 0], list(classes)).all()
    if not known or not ((values[:, 1:] >= 0) & (values[:, 1:] <= MOST)).all():
        return None
    ends = np.cumsum([len(part) for part in parts])
    image = np.searchsorted(ends, line_ends[~empty], side="right")
    return (image, values) if len(image) == len(values) else None


def _lines(text: str | None) -> str:
    """The text as most files are: numbers with a space between them."""
    if not text:
        return ""
    return text.replace("\r\n", "\n").replace("\t", " ") if "\r" in text or "\t" in text else text


def kind_of(content: dict[str, Any], task: Task | None) -> RowKind:
    """What the rows are by what data.yaml says; `ValueError` if that cannot be.

    Parameters
    ----------
    content
        Of data.yaml, all scalars as texts.
    task
        What is said of them otherwise.
    """
    shape = content.get("kpt_shape")
    if task is None and shape is not None:
        task = "pose"
    if task != "pose":
        return RowKind(task)
    try:
        points, numbers = map(int, shape or ())
    except (TypeError, ValueError) as error:
        raise ValueError(f"kpt_shape is {shape!r}; give [key points, 2 or 3]") from error
    if not 0 < points <= MOST_KEYPOINTS or numbers not in (2, 3):
        raise ValueError(f"kpt_shape is {shape!r}; give [key points, 2 or 3]")
    return RowKind("pose", points, numbers)


def outline(kind: str, box: list[float], geometry: Any) -> tuple[Ring, bool]:
    """One ring around a shape, and whether it is the shape itself or the box around it."""
    parts = outline_of(kind, box, geometry)
    if parts is not None:
        return _one_ring(parts), True
    return box_ring(box), False


def corners(kind: str, box: list[float], geometry: Any) -> tuple[Ring, bool]:
    """The corners of an oriented box, and whether it is the shape itself."""
    ring, exact = outline(kind, box, geometry)
    if len(ring) == 4:
        return ring, exact
    return outline("box", box, None)[0], False


def _one_ring(parts: list[Ring]) -> Ring:
    """The parts of a polygon as one ring, joined by lines where they are nearest."""
    joined, *others = parts
    for part in others:
        a, b = np.asarray(joined, dtype=np.float64), np.asarray(part, dtype=np.float64)
        apart = np.square(a[:, None] - b[None]).sum(axis=2)
        i, j = np.unravel_index(int(apart.argmin()), apart.shape)
        joined = [*joined[: i + 1], *part[j:], *part[: j + 1], *joined[i:]]
    return joined


def ring_values(ring: Ring, width: float, height: float) -> tuple[list[float], bool]:
    """The ring as fractions of the image, and whether a point of it lay outside."""
    values = np.asarray(ring, dtype=np.float64) / (width, height)
    inside = np.clip(values, 0.0, 1.0)
    flat: list[float] = inside.ravel().tolist()
    return flat, bool((np.abs(values - inside) > 1e-6).any())


def pose_values(
    geometry: Iterable[list[float]] | None, count: int, width: float, height: float
) -> tuple[list[float], int]:
    """Key points as fractions of the image, filled up with absent ones; how many lay outside."""
    outside, rows = 0, list[list[float]]()
    for x, y, flag in geometry or ():
        is_in = 0 <= x <= width and 0 <= y <= height
        outside += bool(flag) and not is_in
        rows.append([x / width, y / height, int(flag)] if flag and is_in else [0.0, 0.0, 0])
    rows += [[0.0, 0.0, 0]] * (count - len(rows))
    return [*chain.from_iterable(rows)], outside


def scaled(boxes: NDArray[np.float64], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes in pixels, shape (n, 4), as fractions: x and y of the centre, width, height."""
    result = np.empty_like(boxes)
    result[:, :2] = (boxes[:, :2] + boxes[:, 2:] / 2) / sides
    result[:, 2:] = boxes[:, 2:] / sides
    return result

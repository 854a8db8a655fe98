"""KITTI object detection: a text file an image, a line an object, 15 columns or 16 with a score.

Source: Geiger, Lenz and Urtasun, The KITTI Vision Benchmark Suite, object development kit,
readme.txt: type, truncated (0 … 1), occluded (0 … 3), alpha, box (left, top, right, bottom in
pixels from 0), height, width and length in metres, x, y and z in metres, rotation_y, score.
What is not known is -1 (truncated, occluded, metres), -10 (angles) and -1000 (x, y, z).

All images stand in ``training``, those of the splits are listed in ``ImageSets``, as OpenPCDet and
MMDetection3D have it. ``nbannotate.json`` holds the scheme, keys, and names with spaces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, new_folder
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_word,
    refuse_other_export,
    side_schema,
    texts,
    write_lists,
    write_side,
    written_names,
)
from nbannotate.formats.shared.tables import (
    OnError,
    Only,
    Problems,
    Split,
    count_lost,
    on_images,
    refuse_bad_boxes,
    reviewed,
    split_names,
    with_attributes,
)
from nbannotate.formats.shared.text_folders import (
    Files,
    Layout,
    first_lines,
    per_image,
    write_texts,
)
from nbannotate.formats.shared.values import CONFIDENCE, scores, set_scores

LAYOUT = Layout(labels=("label_2",), images=("image_2", "image_3", "images"), suffix=".png")

COLUMNS = (
    "truncated", "occluded", "alpha", "height_m", "width_m", "length_m", "x_m", "y_m", "z_m",
    "rotation_y",
)  # fmt: skip
"""The attributes that have a column, in their order."""

_UNKNOWN = np.array([-1, -1, -10, -1, -1, -1, -1000, -1000, -1000, -10], dtype=np.float64)
# A box that says nothing of it is whole and in sight: -1 is taken for truncated by readers.
_ABSENT = np.array([0, 0, *_UNKNOWN[2:]], dtype=np.float64)
_LINE = "%s %.10g %d %.10g %.10g %.10g %.10g %.10g %.10g %.10g %.10g %.10g %.10g %.10g %.10g%s\n"


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    only: Only = "reviewed",
    root: str | Path | None = None,
    overwrite: bool = False,
) -> WriteReport:
    """Write a KITTI object detection data set: training/image_2, training/label_2, ImageSets.

    The attributes ``truncated`` (0 … 1, or yes and no), ``occluded`` (0 … 3, or yes and no),
    ``alpha``, ``height_m``, ``width_m``, ``length_m``, ``x_m``, ``y_m``, ``z_m`` and
    ``rotation_y`` have columns. Where a label has no ``truncated`` or ``occluded``, 0 is written.

    Parameters
    ----------
    dataset
        What to write; shapes other than boxes are written as their bounding boxes.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, there are no lists.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: no images.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    overwrite
        Whether to replace an earlier export in the folder.

    Raises
    ------
    FormatError
        If an image is no file, a number is not finite, or the folder holds other things.
    """
    path = Path(path)
    refuse_other_export(path, "kitti")
    chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
    on_chosen = on_images(dataset, chosen)
    labels = on_chosen[on_chosen["kind"].isin(PLACED_KINDS)]
    refuse_bad_boxes(labels, path)
    lost = losses(
        dataset, chosen, on_chosen, "KITTI", kinds=PLACED_KINDS,
        label_columns=("attributes", "score"), image_columns=("split",),
    )  # fmt: skip
    outlines = int(labels["kind"].ne("box").sum())
    count_lost(lost, "outlines of shapes (their bounding boxes are written)", outlines)
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    pictures = plan_pictures(chosen, None if root is None else Path(root), path, copy)
    names = written_names((c.name for c in dataset.schema.classes), one_word)
    lines = _texts(labels, chosen.index, names, lost)

    with new_folder(path, ("training", "ImageSets"), SIDE_FILE, overwrite=overwrite) as out:
        write_texts(out / "training" / "label_2", pictures.stems, lines)
        pictures.place((out / "training" / "image_2" / name for name in pictures.names), copy)
        if splits is not None:
            write_lists(out / "ImageSets", pictures.stems, splits)
        keys = {
            f"training/{stem}": key for stem, key in zip(pictures.stems, chosen.index, strict=True)
        }
        write_side(out, "kitti", dataset.schema, keys=keys, names=names)
    return WriteReport(path, len(chosen), len(labels), lost, tuple(pictures.notes))


def _texts(
    labels: pd.DataFrame, keys: pd.Index[str], names: dict[str, str], lost: dict[str, int]
) -> list[str]:
    """The text of each image's file."""
    image = keys.get_indexer(pd.Index(labels["image"]))
    order = np.argsort(image, kind="stable")
    labels, image = labels.iloc[order], image[order]
    columns = np.tile(_ABSENT, (len(labels), 1))
    for row, values in enumerate(labels["attributes"]):
        if values:
            for name, value in values.items():
                if not _set_column(columns[row], name, value):
                    count_lost(lost, f"attribute {name!r} without a column of KITTI", 1)
    boxes = labels[BOX].to_numpy()
    corners = np.round(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]), 6)
    score = ["" if value != value else f" {value:.10g}" for value in scores(labels).tolist()]
    written = [names[name] for name in labels["label"].astype(object)]
    numbers = np.hstack([columns[:, :3], corners, columns[:, 3:]]).tolist()
    rows = zip(written, numbers, score, strict=True)
    values = tuple(value for name, row, end in rows for value in (name, *row, end))
    return per_image(_LINE * len(labels) % values, image, len(keys))


def _set_column(row: NDArray[np.float64], name: str, value: Any) -> bool:
    """Set the attribute's column; False if it has none, or the value does not fit."""
    if name == CONFIDENCE or value is None:
        return True
    if name not in COLUMNS or not isinstance(value, (bool, int, float)):
        return False
    if not np.isfinite(value) or (name == "occluded" and value not in (-1, 0, 1, 2, 3)):
        return False
    row[COLUMNS.index(name)] = value
    return True


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read KITTI object detection.

    Columns become the attributes that `write` names, but for those whose value is not known.
    ``DontCare`` is a class like others. Scores that are no probabilities become the attribute
    ``confidence``. An image without a label file is to do.

    Parameters
    ----------
    path
        A label file; a folder ``label_2``; the folder that holds it, or holds ``training``.
    on_error
        ``"raise"`` at the first bad line, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: ``image_2`` beside the label files.

    Raises
    ------
    FormatError
        Naming the file, the line and the mend.
    """
    path = Path(path)
    problems = Problems(path, on_error)
    with blamed(path):
        files = Files(path, LAYOUT, problems, images)
        names, numbers, keys = _parse(files, problems)
        real = texts(files.side, "names")
        names = [real.get(name, name) for name in names]
        schema = side_schema(files.side, names)
        kinds = {} if schema is None else {a.name: a.type for a in schema.attributes}
        boxes = numbers[:, 3:7]
        labels = pd.DataFrame(np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]), columns=BOX)
        labels["image"], labels["label"], labels["kind"] = keys, names, "box"
        rows = _attributes(np.delete(numbers, slice(3, 7), axis=1), schema, kinds)
        labels["attributes"] = pd.Series(rows, dtype="object")
        set_scores(labels, numbers[:, -1])
        labels["source"] = "import:kitti"
        schema = Schema(sorted(set(names))) if schema is None else schema
        schema = with_attributes(schema, rows)
        return problems.finish(Dataset(labels, files.table, schema))


def _parse(files: Files, problems: Problems) -> tuple[list[str], NDArray[np.float64], list[str]]:
    """Classes, all 15 numbers of each line (NaN for no score), and image keys."""
    names, numbers, keys = list[str](), list[list[float]](), list[str]()
    for key, file, text in files.labels:
        for number, line in enumerate(text.splitlines(), 1):
            tokens = line.split()
            if not tokens:
                continue
            try:
                values = _values(tokens)
            except ValueError as error:
                problems.add(f"line {number}", str(error), file)
                continue
            names.append(tokens[0])
            numbers.append(values if len(values) == 15 else [*values, np.nan])
            keys.append(key)
    return names, np.array(numbers, dtype=np.float64).reshape(-1, 15), keys


def _values(tokens: list[str]) -> list[float]:
    """The numbers after the class; `ValueError` says what is wrong with them."""
    if len(tokens) not in (15, 16):
        raise ValueError(
            f"has {len(tokens)} columns; an object has 15, or 16 with a score"
            + (" (17 are KITTI tracking, another format)" if len(tokens) in (17, 18) else "")
        )
    try:
        values = list(map(float, tokens[1:]))
    except ValueError as error:
        raise ValueError(f"holds what is no number ({error}); mend it") from error
    if not all(map(math.isfinite, values)):
        raise ValueError("holds NaN or infinity; mend it")
    if values[5] < values[3] or values[6] < values[4]:
        raise ValueError("has a box whose right or bottom is less than its left or top; swap them")
    return values


def _attributes(
    numbers: NDArray[np.float64], schema: Schema | None, kinds: Mapping[str, str]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(len(numbers))]
    for column, name in enumerate(COLUMNS):
        values = numbers[:, column]
        known = values != _UNKNOWN[column]
        if schema is not None and name not in kinds:
            known &= values != _ABSENT[column]  # which our writer filled in
        for row in np.flatnonzero(known).tolist():
            value = float(values[row])
            rows[row][name] = value != 0 if kinds.get(name) == "bool" else value
    return rows


def sniff(path: Path) -> bool:
    """Whether the path leads to label files whose lines have KITTI's columns."""
    lines = [line.split() for line in first_lines(path, LAYOUT)]
    if not lines and path.is_dir():
        return (path / "training" / "label_2").is_dir()
    try:
        return bool([_values(line) for line in lines])
    except ValueError:
        return False


FORMAT = Format(
    name="kitti",
    kinds=("box",),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "outlines, tags, texts, who and when; attributes other than truncated, occluded, alpha, "
        "the 3-D size and place and rotation_y"
    ),
)

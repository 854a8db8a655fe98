"""DOTA: oriented boxes of aerial images, a text file an image, a line an object.

Source: Xia et al., DOTA: A Large-scale Dataset for Object Detection in Aerial Images, and the data
set's own description: ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``, corners in pixels from 0,
clockwise, the first one the top left of the object. Files of version 1.0 begin with two lines
``imagesource:…`` and ``gsd:…`` (metres a pixel), which are kept in columns of the images table.

Each split is a folder with ``images`` and ``labelTxt``. ``nbannotate.json`` holds the scheme, keys,
and names with spaces.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners, rotated_from_corners
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.rings import rings
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, new_folder
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_line,
    one_word,
    refuse_other_export,
    side_schema,
    texts,
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

LAYOUT = Layout(
    labels=("labelTxt", "labelTxt-v1.0", "labelTxt-v1.5", "labelTxt-v2.0"),
    images=("images",),
    suffix=".png",
)
HEADERS = ("imagesource", "gsd")
"""Columns of the images table that come from the lines at the start of a file."""

_LINE = "%.10g %.10g %.10g %.10g %.10g %.10g %.10g %.10g %s %d\n"
_SHAPES = ("auto", "rotated_box", "polygon")


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
    """Write a DOTA data set: a folder for each split with images and labelTxt.

    The attribute ``difficult`` goes into its column, 0 where there is none. Columns
    ``imagesource`` and ``gsd`` of the images go into the first lines of the files.

    Parameters
    ----------
    dataset
        What to write. Rotated boxes, boxes and polygons of four points are written as they are,
        other shapes as their bounding boxes.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all images are in ``train``.
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
    refuse_other_export(path, "dota")
    chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
    on_chosen = on_images(dataset, chosen)
    labels = on_chosen[on_chosen["kind"].isin(PLACED_KINDS)]
    refuse_bad_boxes(labels, path)
    lost = losses(
        dataset, chosen, on_chosen, "DOTA", kinds=PLACED_KINDS,
        label_columns=("attributes",), image_columns=("split",),
    )  # fmt: skip
    for header in HEADERS:
        lost.pop(f"images' column {header!r}", None)
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    folders = ["train"] * len(chosen) if splits is None else [str(name) for name in splits]
    pictures = plan_pictures(chosen, None if root is None else Path(root), path, copy)
    names = written_names((c.name for c in dataset.schema.classes), one_word)
    lines = _texts(labels, chosen.index, names, path, lost)
    contents = [head + text for head, text in zip(_headers(chosen), lines, strict=True)]

    with new_folder(path, ("train", "val", "test"), SIDE_FILE, overwrite=overwrite) as out:
        for name in dict.fromkeys([*folders, *([] if folders else ["train"])]):
            rows = [row for row, folder in enumerate(folders) if folder == name]
            stems = [pictures.stems[row] for row in rows]
            write_texts(out / name / "labelTxt", stems, (contents[row] for row in rows))
        targets = zip(folders, pictures.names, strict=True)
        pictures.place((out / folder / "images" / name for folder, name in targets), copy)
        placed = zip(folders, pictures.stems, chosen.index, strict=True)
        keys = {f"{folder}/{stem}": key for folder, stem, key in placed}
        write_side(out, "dota", dataset.schema, keys=keys, names=names)
    notes = [*pictures.notes]
    upright = int(labels["kind"].eq("box").sum())
    if upright:
        notes.append(f"{upright} boxes are oriented boxes of angle 0 in it")
    return WriteReport(path, len(chosen), len(labels), lost, tuple(notes))


def _headers(images: pd.DataFrame) -> list[str]:
    if not set(HEADERS) & set(images.columns):
        return [""] * len(images)
    columns = [
        images[name] if name in images else pd.Series(None, index=images.index, dtype=object)
        for name in HEADERS
    ]
    return [
        ""
        if pd.isna(source) and pd.isna(gsd)
        else f"imagesource:{'null' if pd.isna(source) else one_line(str(source))}\n"
        f"gsd:{'null' if pd.isna(gsd) else one_line(str(gsd))}\n"
        for source, gsd in zip(*columns, strict=True)
    ]


def _texts(
    labels: pd.DataFrame,
    keys: pd.Index[str],
    names: dict[str, str],
    path: Path,
    lost: dict[str, int],
) -> list[str]:
    """The lines of each image's file."""
    image = keys.get_indexer(pd.Index(labels["image"]))
    order = np.argsort(image, kind="stable")
    labels, image = labels.iloc[order], image[order]
    corners = np.round(_corners(labels, path, lost), 6).reshape(-1, 8).tolist()
    difficult = [0] * len(labels)
    for row, values in enumerate(labels["attributes"]):
        for name, value in (values or {}).items():
            if name == "difficult" and isinstance(value, (bool, int, float)) and value % 1 == 0:
                difficult[row] = int(value)
            elif value is not None:
                count_lost(lost, f"attribute {name!r} without a column of DOTA", 1)
    written = [names[name] for name in labels["label"].astype(object)]
    rows = zip(corners, written, difficult, strict=True)
    values = tuple(value for points, name, last in rows for value in (*points, name, last))
    return per_image(_LINE * len(labels) % values, image, len(keys))


def _corners(labels: pd.DataFrame, path: Path, lost: dict[str, int]) -> NDArray[np.float64]:
    """The four corners of each label, shape (n, 4, 2)."""
    boxes = labels[BOX].to_numpy()
    upright = np.column_stack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:], np.zeros(len(boxes))])
    corners = rotated_corners(upright)
    kinds: list[str] = labels["kind"].astype(object).tolist()
    for row in np.flatnonzero(labels["kind"].ne("box").to_numpy(dtype=bool)).tolist():
        kind, geometry = kinds[row], labels["geometry"].iloc[row]
        try:
            if kind == "rotated_box" and geometry is not None:
                turned = np.array([geometry], dtype=np.float64).reshape(1, 5)
                points = rotated_corners(turned)[0]
            elif kind == "polygon" and [len(part) for part in rings(geometry)] == [4]:
                points = np.array(rings(geometry)[0], dtype=np.float64).reshape(4, 2)
            else:
                count_lost(lost, f"{kind} shapes (their bounding boxes are written)", 1)
                continue
            if not np.isfinite(points).all():
                raise ValueError("holds NaN or infinity")
        except (ValueError, TypeError, IndexError) as error:
            raise FormatError(
                path, f"label {labels.index[row]!r}", f"{kind}: {error}; mend or delete the label"
            ) from error
        corners[row] = points
    return corners


@collector_off()
def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    images: str | Path | None = None,
    shape: Literal["auto", "rotated_box", "polygon"] = "auto",
) -> Dataset:
    """Read DOTA.

    ``difficult`` becomes an attribute, ``imagesource`` and ``gsd`` columns of the images. An image
    without a label file is to do.

    Parameters
    ----------
    path
        A label file; a folder ``labelTxt``; the folder that holds it, or holds those of splits.
    on_error
        ``"raise"`` at the first bad line, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: ``images`` beside the label files.
    shape
        ``"auto"``: four corners that are those of a rectangle become a rotated box, others a
        polygon; corners in whole pixels may be one pixel off. ``"rotated_box"``: others become the
        smallest rectangle around them. ``"polygon"``: all stay as they are.

    Raises
    ------
    FormatError
        Naming the file, the line and the mend.
    """
    path = Path(path)
    if shape not in _SHAPES:
        raise FormatError(path, "", f"shape={shape!r}; use one of {', '.join(_SHAPES)}")
    problems = Problems(path, on_error)
    with blamed(path):
        files = Files(path, LAYOUT, problems, images)
        lines = _Lines(files, problems)
        real = texts(files.side, "names")
        names = [real.get(name, name) for name in lines.names]
        schema = side_schema(files.side, names)
        known = {} if schema is None else {a.name: a.type for a in schema.attributes}
        labels = _shapes(np.array(lines.corners, dtype=np.float64).reshape(-1, 4, 2), shape)
        labels["image"], labels["label"] = lines.keys, names
        filled = schema is not None and "difficult" not in known
        rows = _difficult(lines.difficult, filled, known.get("difficult"))
        labels["attributes"] = pd.Series(rows, dtype="object")
        labels["source"] = "import:dota"
        schema = Schema(sorted(set(names))) if schema is None else schema
        schema = with_attributes(schema, rows)
        table = files.table
        for header in HEADERS:
            if lines.headers[header]:
                table[header] = table["image"].map(lines.headers[header])
        return problems.finish(Dataset(labels, table, schema))


class _Lines:
    """The lines of all label files: the image, corners, class and difficulty of each."""

    def __init__(self, files: Files, problems: Problems) -> None:
        self.keys: list[str] = []
        self.names: list[str] = []
        self.corners: list[list[float]] = []
        self.difficult: list[int | None] = []
        self.headers: dict[str, dict[str, str | float]] = {name: {} for name in HEADERS}
        for key, file, text in files.labels:
            for number, line in enumerate(text.splitlines(), 1):
                tokens = line.split()
                if not tokens or self._is_header(key, line):
                    continue
                try:
                    corners, difficult = _values(tokens)
                except ValueError as error:
                    problems.add(f"line {number}", str(error), file)
                    continue
                self.keys.append(key)
                self.names.append(tokens[8])
                self.corners.append(corners)
                self.difficult.append(difficult)

    def _is_header(self, key: str, line: str) -> bool:
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or name not in (*HEADERS, "acquisition dates"):
            return False
        if name in HEADERS and value and value.lower() not in ("null", "none"):
            self.headers[name][key] = _gsd(value) if name == "gsd" else value
        return True


def _gsd(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _values(tokens: list[str]) -> tuple[list[float], int | None]:
    """Corners and difficulty of a line; `ValueError` says what is wrong with it."""
    if len(tokens) not in (9, 10):
        raise ValueError(
            f"has {len(tokens)} columns; an object has 10: x and y of 4 corners, category, "
            "difficult"
        )
    try:
        corners = list(map(float, tokens[:8]))
    except ValueError as error:
        raise ValueError(f"holds what is no number ({error}); mend it") from error
    if not all(map(math.isfinite, corners)):
        raise ValueError("holds NaN or infinity; mend it")
    if len(tokens) == 9:
        return corners, None
    try:
        return corners, int(tokens[9])
    except ValueError:
        raise ValueError(f"difficult is {tokens[9][:40]!r}; write 0 or 1") from None


def _difficult(values: list[int | None], filled: bool, kind: str | None) -> list[dict[str, Any]]:
    """The attributes of each label; filled: 0 is what our writer put where none was given."""
    graded = kind == "number" or any(value not in (0, 1, None) for value in values)
    return [
        {}
        if value is None or (filled and not value)
        else {"difficult": float(value) if graded else bool(value)}
        for value in values
    ]


def _shapes(corners: NDArray[np.float64], shape: str) -> pd.DataFrame:
    """Kind, geometry and bounding box of each four corners."""
    whole = (corners % 1 == 0).all(axis=(1, 2))
    tolerance = np.where(whole, 1.0, 0.01)
    fitted = rotated_from_corners(corners, math.inf if shape == "auto" else 1.0)
    back = rotated_corners(fitted)
    off = np.minimum(
        np.abs(back - corners).max(axis=(1, 2), initial=0.0),
        np.abs(back[:, ::-1] - corners).max(axis=(1, 2), initial=0.0),
    )
    turned = {"auto": off <= tolerance, "rotated_box": off >= 0, "polygon": off < 0}[shape]
    around = np.where(turned[:, None, None], back, corners)
    low, high = around.min(axis=1), around.max(axis=1)
    frame = pd.DataFrame(np.hstack([low, high - low]), columns=BOX)
    frame["kind"] = np.where(turned, "rotated_box", "polygon")
    frame["geometry"] = pd.Series(
        [
            box if is_turned else [points]
            for is_turned, box, points in zip(
                turned.tolist(), fitted.tolist(), corners.tolist(), strict=True
            )
        ],
        dtype="object",
    )
    return frame


def sniff(path: Path) -> bool:
    """Whether the path leads to label files whose lines have DOTA's columns."""
    if path.name in ("gt.txt", "det.txt"):
        return False  # MOT's, which numbers of DOTA's columns stand in if spaces separate them
    lines = first_lines(path, LAYOUT)
    if not lines:
        return path.is_dir() and any(
            folder.is_dir() for name in ("", "*/") for folder in path.glob(f"{name}labelTxt")
        )
    lines = [line for line in lines if not line.lower().startswith(HEADERS)]
    try:
        return all(_values(line.split()) for line in lines)
    except ValueError:
        return False


FORMAT = Format(
    name="dota",
    kinds=("rotated_box", "polygon"),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "outlines of other than four points, tags, texts, scores, who and when; attributes other "
        "than difficult; boxes are read back as rotated boxes"
    ),
)

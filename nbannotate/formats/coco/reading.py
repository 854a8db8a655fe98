"""The reader of COCO instances: typed JSON in, columns checked at once, tables out."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.coco.columns import Columns
from nbannotate.formats.coco.decoding import CHECKED, Image, decode, decode_results, rows
from nbannotate.formats.coco.keypoints import names as names_of
from nbannotate.formats.shared.extras import LABEL_EXTRAS, label_ids
from nbannotate.formats.shared.files import image_paths
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES,
    OnError,
    Problems,
    with_attributes,
)

FILE_NAME = "annotations.json"
_SPLIT_FILE = re.compile(r"(?:^|_)(train|val|valid|test)\d*$")


def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    images: str | Path | None = None,
    keypoints: bool = True,
) -> Dataset:
    """Read COCO instances and key points.

    Class ids are the category ids. Boxes stay boxes; an annotation with a segmentation is a
    polygon or a mask, one with key points is those. ``iscrowd`` becomes an attribute of that name.

    Parameters
    ----------
    path
        The JSON file, or a folder with ``annotations.json`` or with a file for each split.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad rows and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.
    keypoints
        Whether an annotation that has both key points and an outline is the key points.

    Raises
    ------
    FormatError
        Naming the file, the row as ``annotations[1204]``, and the mend.
    """
    return read_family(Path(path), on_error, Ask("coco", images, keypoints))


@dataclass(frozen=True)
class Ask:
    """What is read of a file of COCO's family.

    Parameters
    ----------
    name
        The format's name.
    images, keypoints
        As in `read`.
    split
        The split of images that have none of their own.
    results
        A file whose annotations are read in place of those that are there.
    """

    name: str
    images: str | Path | None = None
    keypoints: bool = True
    split: str | None = None
    results: Path | None = None


def read_family(path: Path, on_error: OnError, ask: Ask) -> Dataset:
    """Read a file, or a folder with a file for each split."""
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    with blamed(path):  # for what our writer put aside
        if path.is_file():
            return _read_file(path, on_error, ask)
        return _read_folder(path, on_error, ask)


def _read_folder(path: Path, on_error: OnError, ask: Ask) -> Dataset:
    files = json_files(path)
    if not files:
        raise FormatError(path, "", f"holds no {FILE_NAME}, train.json, val.json or test.json")
    parts = [
        _read_file(
            file,
            on_error,
            replace(ask, split=None if file.name == FILE_NAME else _split_of(file)),
        )
        for file in files
    ]
    dataset = parts[0]
    for part in parts[1:]:
        dataset = dataset.merge(part)
    return dataset


def json_files(folder: Path) -> list[Path]:
    """The COCO files of a folder: the one of all images, or one for each split."""
    single = folder / FILE_NAME
    if single.is_file():
        return [single]
    found = [*folder.glob("*.json"), *folder.glob("annotations/*.json")]
    named = [file for file in found if _SPLIT_FILE.search(file.stem)]
    return sorted([*named, *folder.glob("*/_annotations.coco.json")])


def _split_of(file: Path) -> str:
    match = _SPLIT_FILE.search(file.stem)
    name = match[1] if match else file.parent.name
    return SPLIT_NAMES.get(name, name)


@collector_off()
def _read_file(path: Path, on_error: OnError, ask: Ask) -> Dataset:
    problems = Problems(path if ask.results is None else ask.results, on_error)
    labels, table, schema = _tables(path, problems, ask)
    return problems.finish(Dataset(labels, table, schema))


def _tables(path: Path, problems: Problems, ask: Ask) -> tuple[pd.DataFrame, pd.DataFrame, Schema]:
    """Labels, images and scheme; the file itself does not stay in memory."""
    content = decode(path)
    schema = _schema(content, path)
    table, ids = _image_rows(content.images, path, ask.images, problems)
    if ask.split is not None:
        table["split"] = table["split"].astype(object).where(table["split"].notna(), ask.split)
    parts, what = content.annotations, "annotations"
    if ask.results is not None:
        parts, what = decode_results(ask.results), ""
    if parts is None:
        table["status"] = "todo"
    classes = schema.classes
    columns = Columns(parts or [], ids, [c.id for c in classes], problems, ask.keypoints, what)
    checks = _checks(columns, [c.id for c in classes])
    wrong = np.any([mask for mask, _ in checks], axis=0)
    for row in np.flatnonzero(wrong).tolist():
        why = next(message(row) for mask, message in checks if mask[row])
        problems.add(f"{what}[{columns.places[row]}]", why)
    labels = _labels(columns, np.flatnonzero(~wrong), table.index, schema, f"import:{ask.name}")
    if columns.left_out:
        warnings.warn(
            f"{path}: the outlines of {columns.left_out} annotations that have key points are left "
            "out; keypoints=False reads outlines instead",
            stacklevel=5,
        )
    return labels, table, with_attributes(schema, columns.attributes.values())


def _checks(rows: Columns, classes: list[int]) -> list[tuple[NDArray[Any], Callable[[int], str]]]:
    """What may be wrong with an annotation: which rows, and the message for one of them."""
    listed = _listed(classes)
    boxes, scores = rows.boxes, rows.scores
    finite = np.asarray(np.isfinite(boxes).all(axis=1), dtype=np.bool_)
    negative = np.asarray((boxes[:, 2:] < 0).any(axis=1), dtype=np.bool_)
    return [
        (
            _repeated(rows.ids),
            lambda i: f"id {rows.ids[i]!r} stands twice; give each annotation its own",
        ),
        (
            rows.image < 0,
            lambda i: f'image_id {rows.row(i).image_id!r} is not in "images"; add the image',
        ),
        (
            rows.code < 0,
            lambda i: (
                f'category_id {rows.row(i).category_id!r} is not in "categories" ({listed}); '
                "add the category"
            ),
        ),
        (np.isin(np.arange(len(boxes)), list(rows.bad)), lambda i: rows.bad[i]),
        (
            ~finite,
            lambda i: f"bbox {boxes[i].tolist()} holds NaN or infinity; give finite numbers",
        ),
        (
            negative,
            lambda i: f"bbox {boxes[i].tolist()} has a negative side; it is x, y, width, height",
        ),
        (
            (scores < 0) | (scores > 1),
            lambda i: f"score {scores[i]} is outside 0 … 1; mend it",
        ),
    ]


def _schema(content: Any, path: Path) -> Schema:
    names = [(category.id, category.name) for category in content.categories]
    ours = (content.nbannotate or {}).get("schema")
    if ours is not None:
        try:
            schema = Schema.from_dict(ours)
        except (SchemaError, TypeError, KeyError, AttributeError):
            schema = Schema()
        # Another tool may have changed the categories since: then they hold.
        if [(c.id, c.name) for c in schema.classes] == names:
            return schema
    try:
        return Schema(
            classes=[
                {"id": c.id, "name": c.name} | names_of(c.keypoints, c.skeleton)
                for c in content.categories
            ]
        )
    except SchemaError as error:
        raise FormatError(path, "categories", str(error)) from error


def _image_rows(
    parts: Sequence[Any], path: Path, folder: str | Path | None, problems: Problems
) -> tuple[pd.DataFrame, list[Any]]:
    """The images table, and their ids."""
    images, places = list[Image](), list[int]()
    for where, found in rows(parts, Image, problems, "images"):
        images += found
        places += where
    twice_id = _repeated([image.id for image in images])
    twice_name = _repeated([image.name for image in images])
    side = np.array([[i.width or np.nan, i.height or np.nan] for i in images], float).reshape(-1, 2)
    bad_side = (side < 1).any(axis=1) | np.isinf(side).any(axis=1)
    nameless = np.array([not image.name for image in images], dtype=bool)
    wrong = twice_id | twice_name | bad_side | nameless
    for row in np.flatnonzero(wrong).tolist():
        image = images[row]
        if twice_id[row]:
            why = f"id {image.id!r} stands twice; give each image its own"
        elif twice_name[row] or nameless[row]:
            why = f"file_name {image.name!r} is empty or stands twice; name each file once"
        else:
            why = f"width {image.width} and height {image.height} are no size in pixels"
        problems.add(f"images[{places[row]}]", why)
    kept = [image for image, bad in zip(images, wrong.tolist(), strict=True) if not bad]
    names = [image.name for image in kept]
    more = [image.nbannotate or {} for image in kept]
    frame = pd.DataFrame(
        side[~wrong], columns=["width", "height"], index=pd.Index(names, dtype="string")
    )
    frame.insert(0, "path", image_paths(names, path, folder))
    frame["status"] = [values.get("status", "done") for values in more]
    for column in ("split", "annotator", "seconds", "updated", "note", "unsure"):
        frame[column] = [values.get(column) for values in more]
    for column in CHECKED:
        if any(getattr(image, column) is not None for image in kept):
            lists = [getattr(image, column) for image in kept]
            frame[column] = pd.Series(lists, frame.index, dtype=object)
    return frame, [image.id for image in kept]


def _repeated(values: list[Any]) -> NDArray[np.bool_]:
    with contextlib.suppress(TypeError, ValueError, OverflowError):  # most often all are numbers
        if not pd.Series(np.fromiter(values, np.int64, len(values))).duplicated().any():
            return np.zeros(len(values), dtype=np.bool_)
    column = pd.Series(values, dtype=object)
    return (column.duplicated() & column.notna()).to_numpy(dtype=bool)


def _labels(
    rows: Columns, keep: NDArray[np.int64], images: pd.Index[str], schema: Schema, source: str
) -> pd.DataFrame:
    """The rows to keep as a labels table."""
    names = pd.Index([c.name for c in schema.classes])
    labels = pd.DataFrame(rows.boxes[keep], columns=BOX)
    labels["image"] = images.array.take(rows.image[keep])
    labels["label"] = pd.Categorical.from_codes(rows.code[keep], categories=names)
    labels["score"] = rows.scores[keep]
    labels["source"] = pd.array([source], dtype="string").repeat(len(keep))
    if not (rows.shapes or rows.attributes or rows.own):
        return labels
    kept = keep.tolist()
    own = [rows.own.get(row) or {} for row in kept]
    shapes = [rows.shapes.get(row) for row in kept]
    for column, values in (
        ("kind", [_kind(*both) for both in zip(shapes, own, strict=True)]),
        ("geometry", [_geometry(*both) for both in zip(shapes, own, strict=True)]),
        ("attributes", [rows.attributes.get(row) for row in kept]),
    ):
        labels[column] = pd.Series(values, dtype=object)
    if rows.own:
        for column in LABEL_EXTRAS:
            labels[column] = pd.Series([values.get(column) for values in own], dtype=object)
        labels["score"] = labels["score"].where(labels["score"].notna(), rows.scores[keep])
        labels["source"] = [
            values.get("source", "human" if "label_id" in values else source) for values in own
        ]
        labels["label_id"] = label_ids([values.get("label_id") for values in own])
    return labels


def _kind(shape: tuple[str, Any] | None, own: dict[str, Any]) -> Any:
    return own.get("kind") or (shape[0] if shape else "box")


def _geometry(shape: tuple[str, Any] | None, own: dict[str, Any]) -> Any:
    if "geometry" in own or not shape or own.get("kind") == "box":
        return own.get("geometry")
    _, parts = shape
    return parts[0] if own.get("ring") and len(parts) == 1 else parts


def _listed(ids: list[int]) -> str:
    ordered = sorted(ids)
    if len(ordered) > 4:
        return f"{ordered[0]} … {ordered[-1]}"
    return ", ".join(map(str, ordered)) or "which is empty"

"""The reader of COCO instances: typed JSON in, columns checked at once, tables out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.attributes import Attribute
from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats._coco_json import Annotation, File, Image, decode
from nbannotate.formats._coco_keypoints import names as names_of
from nbannotate.formats._coco_keypoints import points, visible
from nbannotate.formats._extras import label_ids
from nbannotate.formats._files import image_paths
from nbannotate.formats._rows import keypoints_bounds
from nbannotate.formats._shapes import bounds, check_rle, flat_to_rings, rle_bounds
from nbannotate.formats._tables import (
    SPLIT_NAMES,
    OnError,
    Problems,
    infer_attributes,
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
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    try:
        return (
            _read_file(path, on_error, images, None, keypoints)
            if path.is_file()
            else _read_folder(path, on_error, images, keypoints)
        )
    except FormatError:
        raise
    except (ValueError, TypeError, OverflowError) as error:  # in what our writer put aside
        raise FormatError(path, "", f"{error}; mend the file") from error


def _read_folder(
    path: Path, on_error: OnError, images: str | Path | None, keypoints: bool
) -> Dataset:
    files = json_files(path)
    if not files:
        raise FormatError(path, "", f"holds no {FILE_NAME}, train.json, val.json or test.json")
    parts = [
        _read_file(
            file, on_error, images, None if file.name == FILE_NAME else _split_of(file), keypoints
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
def _read_file(
    path: Path, on_error: OnError, folder: str | Path | None, split: str | None, keypoints: bool
) -> Dataset:
    problems = Problems(path, on_error)
    content, image_places, places = decode(path, problems)
    annotations = content.annotations or []
    schema = _schema(content, path)
    rows, kept_images = _image_rows(content.images, image_places, path, folder, problems)
    if split is not None:
        rows["split"] = rows["split"].astype(object).where(rows["split"].notna(), split)
    if content.annotations is None:
        rows["status"] = "todo"

    positions = _lookup([image.id for image in kept_images], [a.image_id for a in annotations])
    boxes, shapes, bad = _boxes(annotations, keypoints)
    classes = {c.id: c.name for c in schema.classes}
    checks = _checks(annotations, positions, boxes, bad, classes)
    wrong = np.any([mask for mask, _ in checks], axis=0)
    for row in np.flatnonzero(wrong).tolist():
        why = next(message(row) for mask, message in checks if mask[row])
        problems.add(f"annotations[{places[row]}]", why)

    keep = np.flatnonzero(~wrong)
    chosen = [annotations[i] for i in keep.tolist()]
    keys = rows.index.to_numpy(dtype=object)
    labels = pd.DataFrame(boxes[keep], columns=BOX)
    labels.insert(0, "image", keys[positions[keep]] if len(keep) else [])
    labels["label"] = [classes[int(a.category_id)] for a in chosen]
    _fill(labels, chosen, [shapes.get(i) for i in keep.tolist()])
    left_out = sum(1 for a in chosen if keypoints and a.segmentation and visible(a.keypoints))
    if left_out:
        warnings.warn(
            f"{path}: the outlines of {left_out} annotations that have key points are left out; "
            "keypoints=False reads outlines instead",
            stacklevel=4,
        )
    schema = _with_attributes(schema, labels["attributes"])
    return problems.finish(Dataset(labels, rows, schema))


def _checks(
    rows: list[Annotation],
    positions: NDArray[np.int64],
    boxes: NDArray[np.float64],
    bad: dict[int, str],
    classes: dict[int, str],
) -> list[tuple[NDArray[Any], Callable[[int], str]]]:
    """What may be wrong with an annotation: which rows, and the message for one of them."""
    listed = _listed(list(classes))
    finite = np.asarray(np.isfinite(boxes).all(axis=1), dtype=np.bool_)
    negative = np.asarray((boxes[:, 2:] < 0).any(axis=1), dtype=np.bool_)
    unknown = np.array([row.category_id not in classes for row in rows], dtype=bool)
    return [
        (
            _repeated([row.id for row in rows]),
            lambda i: f"id {rows[i].id!r} stands twice; give each annotation its own",
        ),
        (
            positions < 0,
            lambda i: f'image_id {rows[i].image_id!r} is not in "images"; add the image',
        ),
        (
            unknown,
            lambda i: (
                f'category_id {rows[i].category_id!r} is not in "categories" ({listed}); '
                "add the category"
            ),
        ),
        (np.isin(np.arange(len(rows)), list(bad)), lambda i: bad[i]),
        (
            ~finite,
            lambda i: f"bbox {boxes[i].tolist()} holds NaN or infinity; give finite numbers",
        ),
        (
            negative,
            lambda i: f"bbox {boxes[i].tolist()} has a negative side; it is x, y, width, height",
        ),
        (
            _outside_unit([row.score for row in rows]),
            lambda i: f"score {rows[i].score!r} is outside 0 … 1; mend it",
        ),
    ]


def _schema(content: File, path: Path) -> Schema:
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


def _with_attributes(schema: Schema, column: pd.Series[Any]) -> Schema:
    known = {attribute.name for attribute in schema.attributes}
    found: list[Attribute] = infer_attributes(values for values in column if values)
    for attribute in found:
        if attribute.name not in known:
            schema = schema.with_attribute(attribute)
    return schema


def _image_rows(
    images: list[Image],
    places: list[int],
    path: Path,
    folder: str | Path | None,
    problems: Problems,
) -> tuple[pd.DataFrame, list[Image]]:
    twice_id = _repeated([image.id for image in images])
    twice_name = _repeated([image.file_name for image in images])
    side = np.array([[i.width or np.nan, i.height or np.nan] for i in images], float).reshape(-1, 2)
    bad_side = (side < 1).any(axis=1) | np.isinf(side).any(axis=1)
    nameless = np.array([not image.file_name for image in images], dtype=bool)
    wrong = twice_id | twice_name | bad_side | nameless
    for row in np.flatnonzero(wrong).tolist():
        image = images[row]
        if twice_id[row]:
            why = f"id {image.id!r} stands twice; give each image its own"
        elif twice_name[row] or nameless[row]:
            why = f"file_name {image.file_name!r} is empty or stands twice; name each file once"
        else:
            why = f"width {image.width} and height {image.height} are no size in pixels"
        problems.add(f"images[{places[row]}]", why)
    kept = [image for image, bad in zip(images, wrong.tolist(), strict=True) if not bad]
    names = [image.file_name for image in kept]
    more = [image.nbannotate or {} for image in kept]
    frame = pd.DataFrame(
        side[~wrong], columns=["width", "height"], index=pd.Index(names, dtype="string")
    )
    frame.insert(0, "path", image_paths(names, path, folder))
    frame["status"] = [values.get("status", "done") for values in more]
    for column in ("split", "annotator", "seconds", "updated", "note", "unsure"):
        frame[column] = [values.get(column) for values in more]
    return frame, kept


def _lookup(known: list[Any], wanted: list[Any]) -> NDArray[np.int64]:
    place = {value: row for row, value in enumerate(known)}
    return np.fromiter((place.get(value, -1) for value in wanted), np.int64, len(wanted))


def _repeated(values: list[Any]) -> NDArray[np.bool_]:
    column = pd.Series(values, dtype=object)
    return (column.duplicated() & column.notna()).to_numpy(dtype=bool)


def _outside_unit(scores: list[float | None]) -> NDArray[np.bool_]:
    values = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    given = np.array([score is not None for score in scores], dtype=bool)
    return given & ~((values >= 0) & (values <= 1))


def _boxes(
    rows: list[Annotation], keypoints: bool
) -> tuple[NDArray[np.float64], dict[int, tuple[str, Any]], dict[int, str]]:
    """Boxes; kind and geometry of the rows that have a segmentation; what is wrong, by row."""
    shapes: dict[int, tuple[str, Any]] = {}
    bad: dict[int, str] = {}
    boxes: list[list[float]] = []
    for row, item in enumerate(rows):
        box, segment = item.bbox, item.segmentation
        try:
            if item.keypoints and keypoints and visible(item.keypoints):
                shapes[row] = ("keypoints", points(item.keypoints))
                box = keypoints_bounds(shapes[row][1]) if box is None else box
            elif isinstance(segment, dict):
                shapes[row] = ("mask", check_rle(segment))
                box = rle_bounds(shapes[row][1]) if box is None else box
            elif segment:
                shapes[row] = ("polygon", flat_to_rings(segment))
                box = bounds(shapes[row][1]) if box is None else box
        except (ValueError, TypeError, OverflowError) as error:
            bad[row] = f"{'segmentation' if segment else 'shape'}: {error}"
        if box is None or len(box) != 4:
            given = "is missing" if box is None else f"has {len(box)} numbers"
            bad.setdefault(row, f"bbox {given}; it is x, y, width, height")
            box = [0.0] * 4
        boxes.append(box)
    return np.array(boxes, dtype=np.float64).reshape(-1, 4), shapes, bad


def _fill(
    labels: pd.DataFrame, rows: list[Annotation], shapes: list[tuple[str, Any] | None]
) -> None:
    """The columns beyond the box: kind, shape, attributes and what our writer put aside."""
    more = [row.nbannotate or {} for row in rows]
    kinds = [
        shape[0] if shape else own.get("kind", "box")
        for shape, own in zip(shapes, more, strict=True)
    ]
    labels["kind"] = pd.Series(kinds, dtype=object)
    geometry = [
        own["geometry"]
        if "geometry" in own
        else shape and (shape[1][0] if own.get("ring") and len(shape[1]) == 1 else shape[1])
        for shape, own in zip(shapes, more, strict=True)
    ]
    labels["geometry"] = pd.Series(geometry, dtype=object)
    labels["attributes"] = pd.Series([_attributes(row) for row in rows], dtype=object)
    labels["score"] = np.array([row.score for row in rows], dtype=np.float64)
    labels["source"] = "import:coco"
    if any(more):
        labels["score"] = [
            row.score if own.get("score") is None else own["score"]
            for row, own in zip(rows, more, strict=True)
        ]
        labels["source"] = [
            own.get("source", "human" if "label_id" in own else "import:coco") for own in more
        ]
        for column in ("text", "frame", "track", "annotator", "seconds", "created", "updated"):
            labels[column] = [own.get(column) for own in more]
    labels["label_id"] = label_ids([own.get("label_id") for own in more])


def _attributes(row: Annotation) -> dict[str, Any]:
    values = dict(row.attributes) if isinstance(row.attributes, dict) else {}
    if row.iscrowd:
        values["iscrowd"] = True
    elif values.get("iscrowd") is True:
        values["iscrowd"] = False
    return values


def _listed(ids: list[int]) -> str:
    ordered = sorted(ids)
    if len(ordered) > 4:
        return f"{ordered[0]} … {ordered[-1]}"
    return ", ".join(map(str, ordered)) or "which is empty"

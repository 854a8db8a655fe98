"""COCO instances: one JSON file with images, categories and annotations.

What COCO has no key for goes into ``"attributes"`` (as CVAT does) and ``"nbannotate"`` of each
annotation and image, which pycocotools ignores and our reader restores.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats import _coco_keypoints
from nbannotate.formats._coco_read import FILE_NAME, json_files, read
from nbannotate.formats._extras import KEY, image_extras, label_extras
from nbannotate.formats._files import sizes, write_atomic
from nbannotate.formats._shapes import ring_area, rings, rle_area
from nbannotate.formats._tables import (
    Only,
    Split,
    extra_columns,
    on_images,
    plain_column,
    refuse_bad_boxes,
    reviewed,
    split_names,
)

_AT_ONCE = 50_000  # annotations
_NATIVE = ("box", "polygon", "mask", "keypoints")


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
) -> WriteReport:
    """Write COCO instances.

    Category ids are the scheme's class ids. Images without labels are written too, if they are
    done.

    Parameters
    ----------
    dataset
        What to write. Boxes, polygons, masks and key points are COCO's own; other shapes are
        written as their bounding boxes, with the shape in ``"nbannotate"``.
    path
        A ``.json`` file; or a folder, which gets ``annotations.json``.
    split
        Fractions of train, val and test: the folder gets ``train.json``, ``val.json``, … each
        with all categories. None: one file, where images keep the split they have.
    seed, by
        As in `Dataset.split`.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start, to read sizes that the table lacks.
    extras
        Whether label ids, times, scores and the scheme go along in keys of our own.

    Raises
    ------
    FormatError
        If an image's size is unknown, or a number is NaN or infinite.
    """
    path = Path(path)
    chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
    labels = on_images(dataset, chosen)
    placed = labels[labels["kind"].isin(PLACED_KINDS)]
    placed.attrs = {}  # pandas would copy the scheme at every step
    refuse_bad_boxes(placed, path)
    size = sizes(chosen, Path(root) if root is not None else None, path)
    names = (
        None if split is None else split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    )
    images = _images(chosen, size, names, extras)
    slots = _coco_keypoints.slots(dataset.schema.classes, placed)
    rest: dict[str, Any] = {"categories": _categories(dataset, slots)}
    if extras:
        rest["nbannotate"] = {"version": 1, "schema": dataset.schema.to_dict()}
    image = chosen.index.get_indexer(pd.Index(placed["image"]))
    annotations = partial(_annotations, placed, image, dataset.schema, path, extras, slots)

    if names is None:
        file = path if path.suffix.lower() == ".json" else path / FILE_NAME
        _dump(file, images, annotations, np.arange(len(placed)), rest)
    else:
        if path.suffix.lower() == ".json":
            raise FormatError(path, "", "a split takes one file each; give the name of a folder")
        for name in (name for name in SPLITS if name in set(names)):
            mine = np.flatnonzero(names == name).tolist()
            rows = np.flatnonzero(names[image] == name)
            _dump(path / f"{name}.json", [images[i] for i in mine], annotations, rows, rest)
    return WriteReport(path, len(images), len(placed), _lost(dataset, chosen, labels, extras))


class _Annotation(msgspec.Struct):
    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int = 0
    segmentation: Any = msgspec.UNSET
    keypoints: list[int] | list[float] | msgspec.UnsetType = msgspec.UNSET
    num_keypoints: int | msgspec.UnsetType = msgspec.UNSET
    attributes: Any = msgspec.UNSET
    nbannotate: Any = msgspec.UNSET


def _categories(dataset: Dataset, slots: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"id": c.id, "name": c.name, "supercategory": ""}
        | (_coco_keypoints.category(c, slots[c.name]) if c.name in slots else {})
        for c in dataset.schema.classes
    ]


def _images(
    chosen: pd.DataFrame,
    size: NDArray[np.int64],
    names: NDArray[np.object_] | None,
    extras: bool,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"id": number, "file_name": key, "width": width, "height": height}
        for number, (key, (width, height)) in enumerate(
            zip(chosen.index.tolist(), size.tolist(), strict=True), 1
        )
    ]
    if extras:
        if names is not None:
            chosen = chosen.assign(split=pd.Series(names, index=chosen.index, dtype="string"))
        for row, more in zip(rows, image_extras(chosen), strict=True):
            row[KEY] = more
    return rows


def _annotations(
    placed: pd.DataFrame,
    image: NDArray[np.int64],
    schema: Schema,
    path: Path,
    extras: bool,
    slots: dict[str, int],
    chosen: NDArray[np.int64],
) -> list[_Annotation]:
    """The annotations of the chosen rows; `image` is the position of each row's image."""
    placed, image = placed.iloc[chosen], image[chosen]
    class_id = {c.name: c.id for c in schema.classes}
    names: list[str] = placed["label"].astype(object).tolist()
    boxes = placed[BOX].to_numpy()
    # pycocotools: an annotation id of 0 scores AP 0, a missing area or iscrowd is a KeyError.
    rows = list(
        map(
            _Annotation,
            (chosen + 1).tolist(),
            (image + 1).tolist(),
            [class_id[name] for name in names],
            boxes.tolist(),
            (boxes[:, 2] * boxes[:, 3]).tolist(),
        )
    )
    for row, values in zip(rows, plain_column(placed["attributes"], path), strict=True):
        if values:
            row.attributes, row.iscrowd = values, int(values.get("iscrowd") is True)
    # pycocotools wants the key points of each annotation whose category has some.
    for row, name in zip(rows, names, strict=True) if slots else ():
        if name in slots:
            row.keypoints, row.num_keypoints = [0] * 3 * slots[name], 0
    if extras:
        for row, own in zip(rows, label_extras(placed), strict=True):
            row.nbannotate = own
    kinds: list[str] = placed["kind"].astype(object).tolist()
    geometry = plain_column(placed["geometry"], path)
    for at in np.flatnonzero(placed["kind"].ne("box").to_numpy()).tolist():
        try:
            shape = _segment(rows[at], kinds[at], geometry[at], slots.get(names[at], 0))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise FormatError(
                path,
                f"label {placed.index[at]!r}",
                f"{kinds[at]}: {error}; mend or delete the label",
            ) from error
        if extras and shape is not None:
            rows[at].nbannotate |= shape
    return rows


def _segment(row: _Annotation, kind: str, geometry: Any, slots: int) -> dict[str, Any] | None:
    """Set the annotation's shape; what of it the annotation does not hold comes back."""
    if kind == "keypoints" and geometry:
        row.keypoints = _coco_keypoints.flat(geometry, slots)
        row.num_keypoints = sum(1 for point in geometry if point[2])
        whole = len(geometry) == slots and row.num_keypoints
        return None if whole else {"kind": kind, "geometry": geometry}
    if kind == "polygon" and geometry:
        parts = rings(geometry)
        # Fewer than three points fail in pycocotools, and two points are taken for a box.
        if all(len(part) >= 3 for part in parts):
            row.segmentation = [[*map(float, chain.from_iterable(part))] for part in parts]
            row.area = sum(ring_area(part) for part in parts)
            bare = parts == [geometry]
            return {"ring": True} if bare else None
    if kind == "mask" and geometry:
        counts = geometry["counts"]
        # pycocotools' encoder gives bytes, which JSON has not.
        counts = counts.decode("ascii") if isinstance(counts, bytes) else counts
        row.segmentation = {"size": geometry["size"], "counts": counts}
        row.area = rle_area(row.segmentation)
        return None
    # The segmentation stays out: an empty one breaks pycocotools' annToMask.
    return {"kind": kind} | ({"geometry": geometry} if geometry else {})


def _dump(
    file: Path,
    images: list[dict[str, Any]],
    annotations: Callable[[NDArray[np.int64]], list[_Annotation]],
    rows: NDArray[np.int64],
    rest: dict[str, Any],
) -> None:
    def parts() -> Iterator[bytes]:
        head = {"info": {"description": "written by nbannotate"}, "licenses": [], "images": images}
        yield msgspec.json.encode(head | rest)[:-1] + b',"annotations":['
        # Some at a time: all of a million at once would take a gigabyte.
        for start in range(0, len(rows), _AT_ONCE):
            some = annotations(rows[start : start + _AT_ONCE])
            yield b"," * bool(start) + msgspec.json.encode(some)[1:-1]
        yield b"]}"

    try:
        write_atomic(file, parts())
    except UnicodeEncodeError as error:
        raise FormatError(file, "", f"a name is not Unicode text ({error}); rename it") from error


def _lost(
    dataset: Dataset, chosen: pd.DataFrame, labels: pd.DataFrame, extras: bool
) -> dict[str, int]:
    lost = extra_columns(dataset)
    kinds = labels["kind"].astype(object).value_counts()
    for kind, count in kinds.items():
        if kind not in PLACED_KINDS:
            lost[f"{kind} labels, for which COCO has no place"] = int(count)
        elif kind not in _NATIVE and not extras:
            lost[f"{kind} shapes (their bounding boxes are written)"] = int(count)
    if len(chosen) < len(dataset.images):
        lost["images not reviewed"] = len(dataset.images) - len(chosen)
    unwritten = len(dataset.labels) - len(labels)
    if unwritten:
        lost["labels on images not reviewed"] = unwritten
    return lost


def sniff(path: Path) -> bool:
    """Whether the file is a JSON object with COCO's lists, or the folder holds such files."""
    if path.is_dir():
        return any(sniff(file) for file in json_files(path))
    if path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
        return start.startswith(b"{") and all(
            content.find(b'"%b"' % key) >= 0 for key in (b"images", b"categories")
        )


FORMAT = Format(
    name="coco",
    kinds=PLACED_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "tags, texts, ratings and choices; other tools see rotated boxes and polylines as "
        "bounding boxes"
    ),
)

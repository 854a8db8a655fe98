"""COCO's images, categories and annotations in the making: what the formats of its family share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import rle_area
from nbannotate.core.rings import ring_area, rings
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.coco import keypoints
from nbannotate.formats.shared.extras import KEY, LABEL_EXTRAS, image_extras, label_extras
from nbannotate.formats.shared.files import sizes, write_atomic
from nbannotate.formats.shared.tables import (
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
NATIVE = ("box", "polygon", "mask", "keypoints")


class Annotation(msgspec.Struct):
    """An item of ``annotations``."""

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


class Own(msgspec.Struct, omit_defaults=True):
    """What is put aside of a label of which little is known."""

    label_id: str
    source: str | None = None


@dataclass(frozen=True)
class Plain:
    """What boxes of which little is known have in common."""

    source: str | None


class Content:
    """What goes into a file: images, categories, and annotations a part at a time.

    Parameters
    ----------
    dataset
        All there is.
    path
        What is written, for errors.
    only, root
        As in `nbannotate.formats.coco.write`.
    split
        Fractions of train, val and test, their seed and what is kept together; None: no splits.
    extras
        Whether keys of our own go along.
    outlined
        Whether boxes have their corners as an outline, for readers that want one.

    Attributes
    ----------
    chosen
        The images, a part of the images table.
    images, categories
        Their rows.
    splits
        The split of each image; None: there are none.
    placed
        The labels.
    image
        The position of each label's image, shape (n,).
    lost
        What is left out, by reason.
    """

    def __init__(
        self,
        dataset: Dataset,
        path: Path,
        *,
        only: Only,
        root: str | Path | None,
        split: tuple[Split, int, str | None] | None = None,
        extras: bool = True,
        outlined: bool = False,
    ) -> None:
        self.chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
        labels = on_images(dataset, self.chosen)
        self.placed = labels[labels["kind"].isin(PLACED_KINDS)]
        self.placed.attrs = {}  # pandas would copy the scheme at every step
        refuse_bad_boxes(self.placed, path)
        self._path, self._schema, self._extras, self._outlined = (
            path, dataset.schema, extras, outlined,
        )  # fmt: skip
        size = sizes(self.chosen, Path(root) if root is not None else None, path)
        self.splits = None
        if split is not None:
            part, seed, by = split
            self.splits = split_names(dataset, self.chosen, part, seed=seed, by=by, path=path)
        self.images = _images(self.chosen, size, self.splits, extras)
        self._slots = keypoints.slots(dataset.schema.classes, self.placed)
        self.categories: list[dict[str, Any]] = [
            {"id": c.id, "name": c.name, "supercategory": ""}
            | (keypoints.category(c, self._slots[c.name]) if c.name in self._slots else {})
            for c in dataset.schema.classes
        ]
        self.image: NDArray[np.int64] = np.asarray(
            self.chosen.index.get_indexer(pd.Index(self.placed["image"])), dtype=np.int64
        )
        self.lost = _lost(dataset, self.chosen, labels, extras)

    def dump(self, file: Path, split: str | None = None) -> None:
        """Write the file of one split, or of all images."""
        images, rows = self.images, np.arange(len(self.placed))
        if split is not None and self.splits is not None:
            images = [images[i] for i in np.flatnonzero(self.splits == split).tolist()]
            rows = np.flatnonzero(self.splits[self.image] == split)

        def parts() -> Iterator[bytes]:
            head: dict[str, Any] = {"info": {"description": "written by nbannotate"}}
            head |= {"licenses": [], "images": images, "categories": self.categories}
            if self._extras:
                head["nbannotate"] = {"version": 1, "schema": self._schema.to_dict()}
            yield msgspec.json.encode(head)[:-1] + b',"annotations":['
            # Some at a time: all of a million at once would take a gigabyte.
            for start in range(0, len(rows), _AT_ONCE):
                some = self.annotations(rows[start : start + _AT_ONCE])
                yield b"," * bool(start) + msgspec.json.encode(some)[1:-1]
            yield b"]}"

        try:
            write_atomic(file, parts())
        except UnicodeEncodeError as error:
            raise FormatError(
                file, "", f"a name is not Unicode text ({error}); rename it"
            ) from error

    @cached_property
    def _plain(self) -> Plain | None:
        """What is put aside of each label if all are boxes of which nothing else is known."""
        placed = self.placed
        if self._outlined or self._slots or placed["kind"].ne("box").any():
            return None
        if any(placed["attributes"]) or any(shape is not None for shape in placed["geometry"]):
            return None
        if self._extras and any(placed[column].notna().any() for column in LABEL_EXTRAS):
            return None
        sources = placed["source"].unique().tolist()
        if len(sources) > 1 or (sources and not isinstance(sources[0], str)):
            return None
        return Plain(None if sources in ([], ["human"]) else sources[0])

    def annotations(self, chosen: NDArray[np.int64]) -> list[Annotation]:
        """The annotations of those rows of the labels."""
        rows = self._rows(chosen)
        if self._plain is None:
            self._complete(rows, chosen)
        elif self._extras:
            ids = self.placed.index[chosen].tolist()
            for row, own in zip(rows, map(Own, ids, repeat(self._plain.source)), strict=True):
                row.nbannotate = own
        return rows

    def _rows(self, chosen: NDArray[np.int64]) -> list[Annotation]:
        """Ids, classes and boxes."""
        boxes = self._boxes[chosen]
        # pycocotools: an annotation id of 0 scores AP 0, a missing area or iscrowd is a KeyError.
        return list(
            map(
                Annotation,
                (chosen + 1).tolist(),
                (self.image[chosen] + 1).tolist(),
                self._class_ids[chosen].tolist(),
                boxes.tolist(),
                (boxes[:, 2] * boxes[:, 3]).tolist(),
            )
        )

    @cached_property
    def _boxes(self) -> NDArray[np.float64]:
        return self.placed[BOX].to_numpy(dtype=np.float64)

    @cached_property
    def _class_ids(self) -> NDArray[np.int64]:
        ids = {c.name: c.id for c in self._schema.classes}
        column = self.placed["label"].cat
        numbers = [ids.get(str(name), -1) for name in column.categories]
        return np.array([*numbers, -1], dtype=np.int64)[column.codes.to_numpy()]

    def _complete(self, rows: list[Annotation], chosen: NDArray[np.int64]) -> None:
        """Give annotations their shapes and all else that is known of them."""
        path, extras, slots = self._path, self._extras, self._slots
        placed = self.placed.iloc[chosen]
        names: list[str] = placed["label"].astype(object).tolist()
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
        for row, kind, shape in zip(rows, kinds, geometry, strict=True) if self._outlined else ():
            x, y, width, height = row.bbox
            row.segmentation = [[x, y, x + width, y, x + width, y + height, x, y + height]]
            if extras and kind not in ("polygon", "mask"):
                row.nbannotate |= {"kind": kind} | ({"geometry": shape} if shape else {})
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


def _segment(row: Annotation, kind: str, geometry: Any, slots: int) -> dict[str, Any] | None:
    """Set the annotation's shape; what of it the annotation does not hold comes back."""
    if kind == "keypoints" and geometry:
        row.keypoints = keypoints.flat(geometry, slots)
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


def _lost(
    dataset: Dataset, chosen: pd.DataFrame, labels: pd.DataFrame, extras: bool
) -> dict[str, int]:
    lost = extra_columns(dataset)
    kinds = labels["kind"].astype(object).value_counts()
    for kind, count in kinds.items():
        if kind not in PLACED_KINDS:
            lost[f"{kind} labels, for which COCO has no place"] = int(count)
        elif kind not in NATIVE and not extras:
            lost[f"{kind} shapes (their bounding boxes are written)"] = int(count)
    if len(chosen) < len(dataset.images):
        lost["images not reviewed"] = len(dataset.images) - len(chosen)
    unwritten = len(dataset.labels) - len(labels)
    if unwritten:
        lost["labels on images not reviewed"] = unwritten
    return lost

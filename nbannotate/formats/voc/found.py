"""The objects that Pascal VOC's XML files and masks hold, gathered file by file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.ids import new_ids
from nbannotate.core.masks import mask_rle, rle_bounds
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError
from nbannotate.formats.shared.tables import Problems
from nbannotate.formats.voc import masks

FLAGS = ("truncated", "difficult", "occluded")
PART_OF = "part_of"
"""The attribute of a part: the id of the label that it is a part of."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_UNMARKED = -1  # a file that does not say where its corners start
_YES_NO = {"1": True, "0": False, "true": True, "false": False}


class Found:
    """Objects with their corners as they stand in the files, which only all of them explain.

    Parameters
    ----------
    problems
        What takes the bad ones.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._images: list[str] = []
        self._names: list[str] = []
        self._corners: list[list[float]] = []
        self._based: list[int] = []
        self._rings: list[list[list[float]] | None] = []
        self._masks: dict[int, dict[str, Any]] = {}
        self._attributes: list[dict[str, Any]] = []
        self._parents: dict[int, int] = {}
        self._places: list[tuple[Path, str]] = []
        self._exact: list[int] = []  # rows that are in no XML file, and start at 0

    def read_objects(self, root: Element, image: str, file: Path) -> dict[int, int]:
        """Gather the objects of an XML file; the row of each object comes back."""
        based = _marked(root)
        rows: dict[int, int] = {}
        for number, element in enumerate(root.iterfind("object"), 1):
            place = (file, f"<object> {number}")
            try:
                fields = {child.tag: child for child in element}
                name, ring = _name(fields), _ring(fields.get("polygon"))
                corners = _corners(fields.get("bndbox"), ring)
                attributes = _attributes(fields)
            except ValueError as error:
                self._problems.add(place[1], str(error), file)
                continue
            rows[number] = self._add(image, name, corners, based, place, attributes, ring)
            if "part" in fields:
                self._read_parts(element, image, place, based, rows[number])
        return rows

    def _read_parts(
        self, element: Element, image: str, place: tuple[Path, str], based: int, row: int
    ) -> None:
        for number, part in enumerate(element.iterfind("part"), 1):
            where = f"{place[1]}, <part> {number}"
            try:
                fields = {child.tag: child for child in part}
                name, corners = _name(fields), _corners(fields.get("bndbox"), None)
            except ValueError as error:
                self._problems.add(where, str(error), place[0])
                continue
            at = self._add(image, name, corners, based, (place[0], where), {}, None)
            self._parents[at] = row

    def _add(
        self,
        image: str,
        name: str,
        corners: list[float],
        based: int,
        place: tuple[Path, str],
        attributes: dict[str, Any],
        ring: list[list[float]] | None,
    ) -> int:
        self._images.append(image)
        self._names.append(name)
        self._corners.append(corners)
        self._based.append(based)
        self._places.append(place)
        self._attributes.append(attributes)
        self._rings.append(ring)
        return len(self._images) - 1

    def set_mask(self, row: int, pixels: NDArray[np.bool_]) -> None:
        """Make the object of that row a mask."""
        self._masks[row] = mask_rle(pixels)

    def add_mask(self, image: str, name: str, pixels: NDArray[np.bool_], file: Path) -> None:
        """Gather a mask that is in no XML file."""
        mask = mask_rle(pixels)
        x, y, width, height = rle_bounds(mask)
        corners = [x, y, x + width, y + height]
        row = self._add(image, name, corners, 0, (file, f"image {image!r}"), {}, None)
        self._masks[row] = mask
        self._exact.append(row)

    def problem(self, where: str, why: str, file: Path) -> None:
        """Raise, or note what is left out."""
        self._problems.add(where, why, file)

    def table(self, based: int | None) -> pd.DataFrame:
        """The labels.

        Parameters
        ----------
        based
            Where the corners of all XML files start; None: as they say, or look like.
        """
        corners = np.array(self._corners, dtype=np.float64).reshape(-1, 4)
        start = np.array(self._based, dtype=np.int64)
        if based is not None:
            in_file = [
                row not in self._masks or bool(self._attributes[row]) for row in range(len(start))
            ]
            start[np.array(in_file, dtype=bool)] = based
        unmarked = start == _UNMARKED
        start[unmarked] = 1 if (corners[unmarked, :2] >= 1).all() else 0
        boxes = np.hstack([corners[:, :2] - start[:, None], corners[:, 2:]])
        boxes[:, 2:] -= boxes[:, :2]
        good = (boxes[:, 2:] > -1e-6).all(axis=1)
        for row in np.flatnonzero(~good).tolist():
            file, where = self._places[row]
            self._problems.add(
                where, f"corners {corners[row].tolist()}: max is less than min; swap them", file
            )
        ids = new_ids(len(boxes))
        for row, parent in self._parents.items():
            self._attributes[row][PART_OF] = ids[parent]
        frame = pd.DataFrame(np.maximum(boxes, [-np.inf, -np.inf, 0, 0]), columns=BOX)
        frame["image"], frame["label"], frame["label_id"] = self._images, self._names, ids
        frame["attributes"] = pd.Series(self._attributes, dtype=object)
        kinds, shapes = self._shapes(start.tolist())
        frame["kind"] = pd.Series(kinds, dtype=object)
        frame["geometry"] = pd.Series(shapes, dtype=object)
        frame["source"] = "import:voc"
        return frame.iloc[np.flatnonzero(good)].reset_index(drop=True)

    def _shapes(self, start: list[int]) -> tuple[list[str], list[Any]]:
        kinds, shapes = ["box"] * len(start), list[Any]([None]) * len(start)
        for row, ring in enumerate(self._rings):
            if ring is not None:
                kinds[row] = "polygon"
                shapes[row] = [[[x - start[row], y - start[row]] for x, y in ring]]
        for row, mask in self._masks.items():
            kinds[row], shapes[row] = "mask", mask
        return kinds, shapes


class MaskReader:
    """Reads the masks of a data set.

    Parameters
    ----------
    root
        Its folder.
    listed
        The classes of its label map, by their indices.
    """

    def __init__(self, root: Path, listed: list[str]) -> None:
        self._instances = root / "SegmentationObject"
        self._classes = root / "SegmentationClass"
        self._there = self._instances.is_dir() or self._classes.is_dir()
        names = listed if listed[:1] == ["background"] else ["background", *listed]
        self._names = names if listed else ["background", *masks.NAMES]

    def read(
        self,
        stem: str,
        image: str,
        size: tuple[float, float],
        rows: Mapping[int, int],
        found: Found,
    ) -> None:
        """Give the objects of an image their masks, and add those that it has beside them."""
        if not self._there:
            return
        one, two = (folder / f"{stem}.png" for folder in (self._instances, self._classes))
        if not one.is_file() and not two.is_file():
            return
        try:
            classes = _indices(two, size) if two.is_file() else None
            instances = _indices(one, size) if one.is_file() else classes
        except FormatError as error:
            found.problem(error.where, error.why, Path(error.path))
            return
        assert instances is not None
        for number in np.unique(instances).tolist():
            if number in (0, masks.VOID):
                continue
            pixels = instances == number
            if one.is_file() and number in rows:
                found.set_mask(rows[number], pixels)
                continue
            index = number if not one.is_file() else _commonest(classes, pixels)
            if 0 < index < len(self._names):
                found.add_mask(image, self._names[index], pixels, one)
            else:
                found.problem(
                    f"index {number}",
                    "is of no object in the XML file, nor of a class; add it to labelmap.txt",
                    one if one.is_file() else two,
                )


def _indices(file: Path, size: tuple[float, float]) -> masks.Indices:
    indices = masks.decode(file, masks.PALETTE)
    height, width = indices.shape
    if not math.isnan(size[0]) and (width, height) != size:
        raise FormatError(
            file, "", f"is {width} × {height}, its image {size[0]:g} × {size[1]:g}; save it anew"
        )
    return indices


def _commonest(classes: masks.Indices | None, pixels: NDArray[np.bool_]) -> int:
    if classes is None:
        return 0
    counts = np.bincount(classes[pixels], minlength=256)
    counts[[0, masks.VOID]] = 0
    return int(counts.argmax())


def _marked(root: Element) -> int:
    if (root.findtext("source/database") or "") != "nbannotate":
        return _UNMARKED
    mark = (root.findtext("source/annotation") or "")[:1]
    return int(mark) if mark in ("0", "1") else _UNMARKED


def _name(fields: Mapping[str, Element]) -> str:
    name = (fields["name"].text or "").strip() if "name" in fields else ""
    if not name:
        raise ValueError("has no <name>; give its class")
    return name


def _number(element: Element, parent: str) -> float:
    try:
        value = float(element.text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"<{parent}>: <{element.tag}> is {(element.text or '')[:40]!r}, which is no finite "
            "number of pixels; mend it"
        )
    return value


def _corners(element: Element | None, ring: list[list[float]] | None) -> list[float]:
    if element is None:
        if ring is None:
            raise ValueError("has no <bndbox>; give its corners")
        low, high = np.min(ring, axis=0), np.max(ring, axis=0)
        return [*low.tolist(), *high.tolist()]
    values = {child.tag: child for child in element}
    missing = [name for name in _CORNERS if name not in values]
    if missing:
        raise ValueError(f"<bndbox> has no <{missing[0]}>; add it")
    return [_number(values[name], "bndbox") for name in _CORNERS]


def _ring(element: Element | None) -> list[list[float]] | None:
    if element is None:
        return None
    numbers = [_number(child, "polygon") for child in element]
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(
            f"<polygon> has {len(numbers)} numbers; it needs x and y of 3 points or more"
        )
    return np.reshape(numbers, (-1, 2)).tolist()


def _attributes(fields: Mapping[str, Element]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for flag in FLAGS:
        if flag in fields:
            values[flag] = _yes_no(fields[flag])
    pose = (fields["pose"].text or "").strip() if "pose" in fields else ""
    if pose and pose != "Unspecified":
        values["pose"] = pose
    if "actions" in fields:
        values |= {child.tag: _yes_no(child) for child in fields["actions"]}
    if "attributes" in fields:
        for item in fields["attributes"].iterfind("attribute"):
            name = item.findtext("name")
            if name:
                values[name] = item.findtext("value") or ""
    return values


def _yes_no(element: Element) -> bool:
    text = (element.text or "").strip()
    if text.lower() in _YES_NO:
        return _YES_NO[text.lower()]
    try:
        return float(text or "0") != 0  # some say how much is truncated
    except ValueError:
        raise ValueError(f"<{element.tag}> is {text[:40]!r}; write 1 or 0") from None

"""The objects of Pascal VOC's XML files as text, made column by column for many files at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.rings import rings
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError
from nbannotate.formats.shared.tables import count_lost
from nbannotate.formats.shared.values import as_text
from nbannotate.formats.shared.xml_files import content, legal
from nbannotate.formats.voc.found import PART_OF

_BATCH = 50_000  # rows whose text is made at once
_CORNERS = (
    "<bndbox><xmin>%.10g</xmin><ymin>%.10g</ymin><xmax>%.10g</xmax><ymax>%.10g</ymax></bndbox>"
)
_OBJECT = f"""\
  <object>
    <name>%s</name>
    <pose>%s</pose>
    <truncated>%s</truncated>
    <difficult>%s</difficult>
    {_CORNERS}
%s  </object>
\0"""
_PART = f"    <part><name>%s</name>{_CORNERS}</part>\n"


class Objects:
    """Objects in the order of their images.

    Parameters
    ----------
    labels
        Those that are written, all placed.
    keys
        The images.
    names
        What each class is called in the file.
    path
        What is written, for errors.
    based
        1 for VOC's own corners, 0 for those that start at 0.
    integers
        Whether to round the corners.
    """

    def __init__(
        self,
        labels: pd.DataFrame,
        keys: pd.Index[str],
        names: dict[str, str],
        path: Path,
        *,
        based: int,
        integers: bool,
    ) -> None:
        self.lost: dict[str, int] = {}
        self.notes: list[str] = []
        self.masks: dict[int, list[tuple[str, str, Any]]] = {}
        """Id, class and geometry of the masks of an image: those of its first objects."""
        self._path, self._based, self._images = path, based, len(keys)
        labels = self._with_area(labels)
        image = keys.get_indexer(pd.Index(labels["image"]))
        # An object's number is its index in the image's mask, so that those with masks come first.
        has_mask = labels["kind"].eq("mask") & labels["geometry"].map(bool)
        order = np.lexsort([~has_mask.to_numpy(dtype=bool), image])
        labels, self._image = labels.iloc[order], image[order]
        self.count = len(labels)
        self._corners = self._rounded(labels[BOX].to_numpy(), integers)
        written = {name: content(text) for name, text in names.items()}
        self._names = [written[name] for name in labels["label"].astype(object)]
        self._poses = ["Unspecified"] * self.count
        self._truncated, self._difficult = ["0"] * self.count, ["0"] * self.count
        self._more = [""] * self.count
        self._add_shapes(labels)
        self._take_parts(labels, self._add_attributes(labels))

    def _with_area(self, labels: pd.DataFrame) -> pd.DataFrame:
        boxes = labels[BOX].to_numpy()
        good = (boxes[:, 2:] > 0).all(axis=1)
        count_lost(self.lost, "boxes without area", int((~good).sum()))
        return labels.iloc[np.flatnonzero(good)]

    def _rounded(self, boxes: NDArray[np.float64], integers: bool) -> NDArray[np.float64]:
        corners = np.hstack([boxes[:, :2] + self._based, boxes[:, :2] + boxes[:, 2:]])
        whole = np.round(corners)
        broken = int((np.abs(whole - corners) > 1e-6).any(axis=1).sum())
        if integers:
            count_lost(self.lost, "fractions of pixels of boxes (rounded)", broken)
            whole[:, 2:] = np.maximum(whole[:, 2:], whole[:, :2] + (1 - self._based))
            return whole
        if broken:
            self.notes.append(
                f"{broken} boxes have fractions of pixels: integers=True rounds them for readers "
                "that fail at those"
            )
        return np.round(corners, 6)

    def _add_shapes(self, labels: pd.DataFrame) -> None:
        kinds: list[str] = labels["kind"].astype(object).tolist()
        images: list[int] = self._image.tolist()
        for row in np.flatnonzero(labels["kind"].ne("box").to_numpy(dtype=bool)).tolist():
            kind, geometry = kinds[row], labels["geometry"].iloc[row]
            if kind == "mask" and geometry:
                mask = (str(labels.index[row]), str(labels["label"].iloc[row]), geometry)
                self.masks.setdefault(images[row], []).append(mask)
            elif kind == "polygon" and len(parts := rings(geometry)) == 1:
                self._more[row] += self._polygon(labels.index[row], parts[0])
            else:
                what = "polygons of several rings" if kind == "polygon" else f"{kind} shapes"
                count_lost(self.lost, f"{what} (their bounding boxes are written)", 1)

    def _polygon(self, label_id: str, ring: Any) -> str:
        try:
            points = (np.asarray(ring, dtype=np.float64)[:, :2] + self._based).tolist()
            if not np.isfinite(points).all():
                raise ValueError("holds NaN or infinity")
        except (ValueError, TypeError, IndexError) as error:
            raise FormatError(
                self._path, f"label {label_id!r}", f"polygon: {error}; mend or delete the label"
            ) from error
        lines = "".join(
            f"<x{number}>{x:.10g}</x{number}><y{number}>{y:.10g}</y{number}>"
            for number, (x, y) in enumerate(points, 1)
        )
        return f"    <polygon>{lines}</polygon>\n"

    def _add_attributes(self, labels: pd.DataFrame) -> dict[int, str]:
        """Write the attributes; the ids of the labels that rows are parts of come back."""
        parents: dict[int, str] = {}
        for row, given in enumerate(labels["attributes"]):
            if not given:
                continue
            values = dict(given)
            for flag, column in (("truncated", self._truncated), ("difficult", self._difficult)):
                if isinstance(values.get(flag), bool):
                    column[row] = str(int(values.pop(flag)))
            if isinstance(values.get("occluded"), bool):
                self._more[row] += f"    <occluded>{int(values.pop('occluded'))}</occluded>\n"
            if isinstance(values.get("pose"), str):
                self._poses[row] = content(values.pop("pose"))
            if isinstance(values.get(PART_OF), str):
                parents[row] = values.pop(PART_OF)
            self._more[row] += self._attributes(values)
        return parents

    def _attributes(self, values: dict[str, Any]) -> str:
        texts = []
        for name, value in values.items():
            text = as_text(value)
            if value is None:
                continue
            if text is None:
                count_lost(self.lost, "attributes that are no text, number, yes or no", 1)
                continue
            if legal(name + text) != name + text:
                count_lost(self.lost, "characters of attributes that XML does not have", 1)
            texts.append(
                f"      <attribute><name>{content(name)}</name>"
                f"<value>{content(text)}</value></attribute>\n"
            )
        return f"    <attributes>\n{''.join(texts)}    </attributes>\n" if texts else ""

    def _take_parts(self, labels: pd.DataFrame, parents: dict[int, str]) -> None:
        """Move the rows that are parts of another object of their image into that one."""
        if not parents:
            return
        place = {str(label_id): row for row, label_id in enumerate(labels.index)}
        is_box = labels["kind"].eq("box").to_numpy(dtype=bool)
        kept = np.ones(len(labels), dtype=bool)
        for row, label_id in parents.items():
            parent = place.get(label_id, row)
            if parent in parents or self._image[parent] != self._image[row] or not is_box[row]:
                count_lost(self.lost, "parts whose object is not an object of the image", 1)
                continue
            flags = (self._truncated[row], self._difficult[row], self._poses[row])
            if self._more[row] or flags != ("0", "0", "Unspecified"):
                count_lost(self.lost, "attributes of parts", 1)
            self._more[parent] += _PART % (self._names[row], *self._corners[row].tolist())
            kept[row] = False
        rows = np.flatnonzero(kept).tolist()
        self._image, self._corners = self._image[kept], self._corners[kept]
        self._names, self._poses, self._truncated, self._difficult, self._more = (
            [column[row] for row in rows]
            for column in (
                self._names, self._poses, self._truncated, self._difficult, self._more,
            )
        )  # fmt: skip

    def texts(self) -> Iterator[tuple[int, str]]:
        """Each image, and the text of its objects."""
        ends = np.searchsorted(self._image, np.arange(self._images), side="right").tolist()
        first = 0
        while first < self._images:
            start = ends[first - 1] if first else 0
            # A batch ends where an image does.
            last = max(first, int(np.searchsorted(ends, start + _BATCH, side="right")) - 1)
            texts = self._batch(slice(start, ends[last]))
            for image in range(first, last + 1):
                begin = (ends[image - 1] if image else 0) - start
                yield image, "".join(texts[begin : ends[image] - start])
            first = last + 1

    def _batch(self, part: slice) -> list[str]:
        corners = self._corners[part]
        columns = (
            self._names[part], self._poses[part], self._truncated[part], self._difficult[part],
            *corners.T.tolist(), self._more[part],
        )  # fmt: skip
        values = [value for row in zip(*columns, strict=True) for value in row]
        return (_OBJECT * len(corners) % tuple(values)).split("\0")

"""Labels as a reader finds them, row by row, turned into a labels table and a scheme at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbannotate.core.rings import bounds
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.shared.extras import LABEL_EXTRAS, label_ids
from nbannotate.formats.shared.tables import with_attributes

MOST_KEYPOINTS = 10_000
NO_PLACE = (np.nan, np.nan, np.nan, np.nan)


class Rows:
    """Labels in the making.

    Parameters
    ----------
    source
        ``import:NAME``, for labels that come without a source of their own.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("image", "kind", "label", "box", "geometry", "attributes", "own")
        }
        self._parts: dict[Hashable, tuple[int, int, list[tuple[int | None, Any]]]] = {}

    def __len__(self) -> int:
        return len(self._columns["image"])

    def add(
        self,
        image: str,
        kind: str,
        label: str | None,
        box: Iterable[float] = NO_PLACE,
        geometry: Any = None,
        attributes: dict[str, Any] | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a label.

        Parameters
        ----------
        image, kind, label, box, geometry, attributes
            As in a labels table.
        own
            Its values of other columns: ``label_id``, ``score``, ``annotator`` and more.
        """
        columns = self._columns
        columns["image"].append(image)
        columns["kind"].append(kind)
        columns["label"].append(label)
        columns["box"].append(box)
        columns["geometry"].append(geometry)
        columns["attributes"].append(attributes)
        columns["own"].append(own)

    def add_part(
        self,
        key: Hashable,
        number: int | None,
        part: Any,
        image: str,
        kind: str,
        label: str | None,
        attributes: dict[str, Any] | None = None,
        own: Mapping[str, Any] | None = None,
        of: Any = None,
    ) -> None:
        """Add a part of a label that a format stores in several pieces.

        Parameters
        ----------
        key
            What the parts of one label have in common.
        number
            The part's place among them; None for the next.
        part
            A ring of a polygon, or one of the keypoints.
        image, kind, label, attributes, own
            As in `add`; of the first part.
        of
            How many keypoints there are, with those that have no place and so no part.
        """
        if key not in self._parts:
            slots = of if isinstance(of, int) and 0 <= of <= MOST_KEYPOINTS else 0
            self._parts[key] = (len(self), slots, [])
            self.add(image, kind, label, NO_PLACE, None, attributes, own)
        self._parts[key][2].append((number, part))

    def table(self) -> pd.DataFrame:
        """The labels table."""
        columns = self._columns
        for row, slots, parts in self._parts.values():
            if columns["kind"][row] == "keypoints":
                shape = _keypoints(parts, slots)
                columns["box"][row] = keypoints_bounds(shape)
            else:
                numbered = enumerate(parts)
                ordered = sorted(numbered, key=lambda item: (item[1][0] or 0, item[0]))
                shape = [part for _, (_, part) in ordered]
                columns["box"][row] = bounds(shape)
            columns["geometry"][row] = shape
        boxes = np.array(columns["box"], dtype=np.float64).reshape(-1, 4)
        frame = pd.DataFrame(boxes, columns=BOX)
        for name in ("image", "kind", "label", "geometry", "attributes"):
            frame[name] = pd.Series(columns[name], dtype=object)
        own = [values or {} for values in columns["own"]]
        if any(own):
            for name in LABEL_EXTRAS:
                frame[name] = pd.Series([values.get(name) for values in own], dtype=object)
            # A label that came with an id went through our hands: without a source it is human.
            frame["source"] = [
                values.get("source", "human" if "label_id" in values else self._source)
                for values in own
            ]
        else:
            frame["source"] = self._source
        frame["label_id"] = label_ids([values.get("label_id") for values in own])
        return frame


def _keypoints(parts: list[tuple[int | None, Any]], slots: int) -> list[Any]:
    """The points, each in its place; a place without a point is that of one not labelled."""
    points: list[Any] = [[0.0, 0.0, 0] for _ in range(slots)]
    free = set(range(slots))
    for number, point in parts:
        if number in free:
            points[number] = point
            free.remove(number)
        else:
            points.append(point)
    return points


def keypoints_bounds(points: Iterable[Iterable[float]]) -> list[float]:
    """x, y, width, height around the keypoints that are labelled, else zeros."""
    seen = [list(point)[:2] for point in points if list(point)[2] > 0]
    return bounds([seen]) if seen else [0.0] * 4


def scheme(
    labels: pd.DataFrame,
    path: Path,
    *,
    saved: Any = None,
    classes: Iterable[Any] = (),
    tags: Mapping[str, Any] | None = None,
) -> Schema:
    """The scheme of labels that were read.

    Parameters
    ----------
    labels
        The table.
    path
        The file, for errors.
    saved
        What `Schema.to_dict` gave when one of our writers wrote the file.
    classes, tags
        Those that the file lists, as `Schema` takes them. Names that only the labels have follow
        in alphabetical order.
    """
    try:
        found = Schema.from_dict(saved) if isinstance(saved, dict) else Schema()
    except (SchemaError, TypeError, KeyError, AttributeError):
        found = Schema()
    try:
        found = found.extended(Schema(classes=classes, tags=tags or {}))
        is_tag = labels["kind"].eq("tag").to_numpy(dtype=bool)
        placed = labels["x"].notna().to_numpy(dtype=bool)
        new_classes = _unknown(labels.loc[placed, "label"], [c.name for c in found.classes])
        new_tags = _unknown(labels.loc[is_tag, "label"], [c.name for c in found.tag_choices])
        found = found.extended(
            Schema(
                classes=new_classes,
                tags={"tag": {"choices": new_tags, "multiple": True}} if new_tags else {},
            )
        )
        found = with_attributes(found, labels["attributes"])
    except SchemaError as error:
        raise FormatError(path, "", f"{error}; mend the file") from error
    return found


def _unknown(column: pd.Series[Any], known: Iterable[str]) -> list[str]:
    return sorted(set(column.dropna().unique()) - set(known))

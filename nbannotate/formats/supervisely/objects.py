"""The objects of a Supervisely file, as labels."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import MOST_PIXELS, check_pixels, mask_rle, put_in, rle_bounds
from nbannotate.core.raster import polygon_pixels
from nbannotate.core.rings import Ring, bounds
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of, restored
from nbannotate.formats.shared.pixels import read_png
from nbannotate.formats.shared.rows import MOST_KEYPOINTS, keypoints_bounds
from nbannotate.formats.supervisely.tags import TagsIn

Points = list[tuple[float, float]]


class Outline(msgspec.Struct):
    """A polygon's outline and its holes."""

    exterior: Points
    interior: list[Points] = []


class Geometry(msgspec.Struct):
    """Where an object is."""

    points: Outline | Points | None = None
    parts: list[Outline] | None = None
    bitmap: dict[str, Any] | None = None
    nodes: dict[str, Any] | None = None
    angle: float | None = None


class Object(Geometry, kw_only=True):
    """An item of ``objects``."""

    classTitle: str  # noqa: N815
    geometryType: str | None = None  # noqa: N815
    shape: str | None = None
    geometry: Geometry | None = None
    tags: list[Any] = []
    description: str | None = None
    instance: str | None = None
    labelerLogin: str | None = None  # noqa: N815
    createdAt: str | None = None  # noqa: N815
    updatedAt: str | None = None  # noqa: N815
    nbannotate: Any = None


@dataclass(frozen=True)
class Found:
    """One file, decoded."""

    file: Path
    key: str
    size: tuple[int, int]
    objects: list[Object | None]


NATIVE = {"annotator": "labelerLogin", "created": "createdAt", "updated": "updatedAt"}
"""Columns of ours, and what Supervisely calls them."""


def who_of(row: dict[str, Any]) -> dict[str, Any]:
    """By whom and when an object or tag was made, by our columns."""
    return {
        ours: row[theirs] for ours, theirs in NATIVE.items() if isinstance(row.get(theirs), str)
    }


class Objects:
    """The objects of one file, as labels.

    Parameters
    ----------
    coming
        Where they go.
    found
        The file.
    tags
        What its tags mean.
    half
        What is added to a coordinate to have pixels' centres where they are: 0.5 or 0.
    """

    def __init__(self, coming: Coming, found: Found, tags: TagsIn, half: float) -> None:
        self.coming, self.found, self.tags, self.half = coming, found, tags, half
        self.joined = Counter(_instance(o) for o in found.objects if o is not None)

    def add(self) -> None:
        """Add all."""
        for number, shape in enumerate(self.found.objects):
            if shape is None:
                continue
            try:
                self._add(shape)
            except (ValueError, TypeError, KeyError, OverflowError, zlib.error) as error:
                why = f"{error}; mend or remove the object"
                self.coming.problems.add(f"objects[{number}]", why, self.found.file)

    def _add(self, shape: Object) -> None:
        if not shape.classTitle.strip():
            raise ValueError("its classTitle is empty")
        own = own_of(shape.nbannotate)
        attributes = attributes_of(own) or {}
        for tag in shape.tags:
            row = {"name": tag} if isinstance(tag, str) else tag
            if isinstance(row, dict) and str(row.get("name", "")).strip():
                name = str(row["name"])
                attributes[name] = self.tags.of_object(name, row.get("value"))
        who = {theirs: getattr(shape, theirs) for theirs in NATIVE.values()}
        own = own | who_of(who) | ({"text": shape.description} if shape.description else {})
        kind, geometry, box = self._shape(shape, own)
        rows, key, name = self.coming.rows, self.found.key, shape.classTitle
        together = _instance(shape)
        if kind == "polygon" and len(geometry) == 1 and self.joined[together] > 1:
            part = own.get("part") if isinstance(own.get("part"), int) else None
            rows.add_part((key, together), part, geometry[0], key, kind, name, attributes, own)
            return
        if kind == "polygon" and own.get("ring") and len(geometry) == 1:
            geometry = geometry[0]
        rows.add(key, kind, name, box, geometry, attributes or None, own)

    def _shape(self, shape: Object, own: dict[str, Any]) -> tuple[str, Any, list[float]]:
        kind = shape.geometryType or shape.shape or _guessed(shape)
        body = shape.geometry or shape
        if kind in ("bitmap", "alpha_mask"):
            mask = self._bitmap(body.bitmap)
            return "mask", mask, rle_bounds(mask)
        if kind == "graph":
            points = self._nodes(body.nodes, own)
            return "keypoints", points, keypoints_bounds(points)
        if kind == "multipolygon":
            return self._polygon(body.parts or [])
        if kind == "oriented_bbox":
            corners = body.points if isinstance(body.points, list) else []
            return self._oriented(corners, body.angle or 0.0, own.get("geometry"))
        if kind not in ("rectangle", "polygon", "line", "point"):
            raise ValueError(f"geometryType {kind!r} is not one that is read")
        outline = body.points if isinstance(body.points, Outline) else Outline([])
        if kind == "polygon":
            return self._polygon([outline])
        line = self._ring(outline.exterior, 2 if kind in ("rectangle", "line") else 1)
        if kind == "line":
            return "polyline", line, bounds([line])
        if kind == "point":
            seen = own.get("visibility")
            known = [[*line[0], seen if seen in (1, 2) else 2]]
            return "keypoints", known, keypoints_bounds(known)
        ours, geometry = restored(own)
        box = self._edges(line[:2])
        # Sides under a pixel are written as one.
        small = own.get("box")
        if isinstance(small, list) and len(small) == 4 and np.allclose(small[:2], box[:2]):
            box = [float(value) for value in small]
        return ours, geometry, box

    def _edges(self, corners: Ring) -> list[float]:
        x, y, width, height = bounds([corners])
        return [x - self.half, y - self.half, width + 2 * self.half, height + 2 * self.half]

    def _ring(self, points: Points, fewest: int) -> Ring:
        if len(points) < fewest:
            raise ValueError(f"it has {len(points)} points and needs {fewest} or more")
        ring = [[x + self.half, y + self.half] for x, y in points]
        if not np.isfinite(ring).all():
            raise ValueError("its points are not all finite numbers")
        return ring

    def _polygon(self, parts: list[Outline]) -> tuple[str, Any, list[float]]:
        rings = [self._ring(part.exterior, 3) for part in parts]
        if not rings:
            raise ValueError("it has no points")
        if not any(part.interior for part in parts):
            return "polygon", rings, bounds(rings)
        width, height = self.found.size
        pixels = np.zeros((0, 0), dtype=np.bool_)
        for number, part in enumerate(parts):
            inside = polygon_pixels([rings[number]], width, height)
            for hole in part.interior:
                inside &= ~polygon_pixels([self._ring(hole, 3)], width, height)
            pixels = inside if number == 0 else pixels | inside
        mask = mask_rle(pixels)
        return "mask", mask, rle_bounds(mask)

    def _bitmap(self, bitmap: dict[str, Any] | None) -> dict[str, Any]:
        if bitmap is None or not isinstance(bitmap.get("data"), str):
            raise ValueError("it has no bitmap with data and origin")
        check_pixels(*self.found.size)
        try:
            data = base64.b64decode(bitmap["data"], validate=True)
        except binascii.Error as error:
            raise ValueError(f"the bitmap's data is not base64 ({error})") from error
        if data[:4] != b"\x89PNG":
            data = zlib.decompressobj().decompress(data, MOST_PIXELS)
        left, top = (int(value) for value in bitmap["origin"])
        return mask_rle(put_in(read_png(data), left, top, *self.found.size))

    def _nodes(self, nodes: dict[str, Any] | None, own: dict[str, Any]) -> list[list[float]]:
        if not nodes:
            raise ValueError("the graph has no nodes")
        of = own.get("of")
        slots = of if isinstance(of, int) and 0 <= of <= MOST_KEYPOINTS else 0
        points: list[list[float]] = [[0.0, 0.0, 0] for _ in range(slots)]
        for name, node in nodes.items():
            [[x, y]] = self._ring([tuple(node["loc"])], 1)
            point = [x, y, 1 if node.get("disabled") else 2]
            if name.isdecimal() and int(name) < slots:
                points[int(name)] = point
            else:
                points.append(point)
        return points

    def _oriented(self, points: Points, angle: float, ours: Any) -> tuple[str, Any, list[float]]:
        x, y, width, height = self._edges(self._ring(points, 2))
        shape = [x + width / 2, y + height / 2, width, height, angle]
        if isinstance(ours, list) and len(ours) == 5 and np.allclose(ours, shape, atol=1):
            shape = [float(value) for value in ours]
        corners = rotated_corners(np.array([shape], dtype=np.float64))[0]
        if not np.isfinite(corners).all():
            raise ValueError("its angle is no finite number")
        return "rotated_box", shape, bounds([corners.tolist()])


def _instance(shape: Object) -> tuple[Any, ...]:
    """What objects that are parts of one label have in common; for others a key of their own."""
    if shape.instance is None:
        return (id(shape),)
    return (shape.classTitle, shape.instance)


def _guessed(shape: Object) -> str:
    """The type of an object that does not say it, as older files do not."""
    if shape.bitmap is not None:
        return "bitmap"
    if shape.nodes is not None:
        return "graph"
    return "multipolygon" if shape.parts is not None else ""

"""The shapes of CVAT's XML, as elements' attributes, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import check_pixels, cut_out, mask_pixels, mask_rle, put_in, rle_bounds
from nbannotate.core.rings import bounds, rings
from nbannotate.formats.shared.ellipses import as_ellipse, ellipse_ring
from nbannotate.formats.shared.outgoing import Label, outline
from nbannotate.formats.shared.rows import keypoints_bounds

SHAPES = ("box", "polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton")

Native = tuple[str, dict[str, str]]
"""An element's name and what it says of the shape."""


def number(value: float) -> str:
    """A number as short as it can be read back."""
    return repr(float(value)).removesuffix(".0")


def native(label: Label) -> list[Native]:
    """The elements of a label: one, or one for each part of a polygon.

    What they cannot hold is put aside in ``label.own``.
    """
    geometry = label.geometry
    x, y, width, height = label.box
    if label.kind == "polygon":
        ellipse = as_ellipse(geometry)
        if ellipse is not None:
            label.own["geometry"] = geometry
            *places, turn = ellipse
            names = ("cx", "cy", "rx", "ry")
            shape = {name: number(v) for name, v in zip(names, places, strict=True)}
            return [("ellipse", shape | {"rotation": number(math.degrees(turn))})]
        parts = outline(label)
        if parts is not None:
            return [("polygon", {"points": _listed(part)}) for part in parts]
    if label.kind == "polyline" and geometry and len(geometry) > 1:
        return [("polyline", {"points": _listed(geometry)})]
    if label.kind == "keypoints" and geometry:
        if any(point[2] != 2 for point in geometry):
            label.own["geometry"] = geometry
        return [("points", {"points": _listed(geometry)})]
    if label.kind == "mask" and geometry:
        left, top, part = cut_out(mask_pixels(geometry))
        flat = part.ravel()
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
        runs = [0, *runs] if flat[0] else runs
        place = (left, top, part.shape[1], part.shape[0])
        names = ("left", "top", "width", "height")
        shape = {name: str(value) for name, value in zip(names, place, strict=True)}
        return [("mask", {"rle": ", ".join(map(str, runs))} | shape)]
    if label.kind == "rotated_box" and geometry:
        cx, cy, width, height, turn = geometry
        x, y = cx - width / 2, cy - height / 2
        label.own["geometry"] = geometry
        return [("box", _box(x, y, width, height) | {"rotation": number(math.degrees(turn))})]
    if label.kind != "box":
        label.own.update(kind=label.kind, geometry=geometry)
    return [("box", _box(x, y, width, height))]


def _box(x: float, y: float, width: float, height: float) -> dict[str, str]:
    return {
        "xtl": number(x), "ytl": number(y), "xbr": number(x + width), "ybr": number(y + height)
    }  # fmt: skip


def _listed(points: list[list[float]]) -> str:
    return ";".join(f"{number(point[0])},{number(point[1])}" for point in points)


def _numbers(given: Mapping[str, str], *names: str) -> list[float]:
    values = []
    for name in names:
        try:
            values.append(float(given[name]))
        except KeyError as error:
            raise ValueError(f"has no {name}") from error
        except ValueError as error:
            raise ValueError(f"{name} is {given[name]!r}, which is no number") from error
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{', '.join(names)} are {values}, which are not all finite")
    return values


def points_of(text: str, least: int) -> list[list[float]]:
    """Points from ``x,y;x,y``; `ValueError` says what is wrong."""
    points = []
    for part in text.split(";"):
        try:
            x, y = map(float, part.split(","))
        except ValueError as error:
            raise ValueError(f"points has {part[:40]!r}; it is x,y;x,y and so on") from error
        points.append([x, y])
    if not all(math.isfinite(value) for point in points for value in point):
        raise ValueError("points holds what is no finite number")
    if len(points) < least:
        raise ValueError(f"has {len(points)} points; it needs {least} or more")
    return points


def shape_of(
    name: str, given: Mapping[str, str], own: Mapping[str, Any], size: tuple[int, int] | None
) -> tuple[str, Any, list[float]]:
    """Kind, geometry and bounding box in pixels; `ValueError` says what is wrong.

    Parameters
    ----------
    name, given
        The element's name and attributes.
    own
        What our writer put aside; it holds where nobody has changed the element since.
    size
        Width and height of the image, for masks.
    """
    kept = own.get("geometry")
    if name == "box":
        left, top, right, bottom = _numbers(given, "xtl", "ytl", "xbr", "ybr")
        if right < left or bottom < top:
            raise ValueError(f"box {left:g}, {top:g}, {right:g}, {bottom:g} has a negative side")
        width, height = right - left, bottom - top
        turn = math.radians(_numbers(given, "rotation")[0]) if given.get("rotation") else 0.0
        if turn or own.get("kind") == "rotated_box":
            rotated: Any = [left + width / 2, top + height / 2, width, height, turn]
            rotated = kept if _close(kept, rotated) else rotated
            corners = rotated_corners(np.array([rotated], dtype=np.float64))[0].tolist()
            return "rotated_box", rotated, bounds([corners])
        kind = str(own.get("kind", "box"))
        return kind, kept if kind != "box" else None, [left, top, width, height]
    if name == "ellipse":
        x, y, across, down = _numbers(given, "cx", "cy", "rx", "ry")
        turn = math.radians(_numbers(given, "rotation")[0]) if given.get("rotation") else 0.0
        same = as_ellipse(kept)
        if kept and same is not None and _close(list(same), [x, y, across, down, turn]):
            return "polygon", kept, bounds(rings(kept))
        ring = ellipse_ring(x, y, across, down, turn)
        return "polygon", [ring], bounds([ring])
    if name == "mask":
        return _mask(given, size)
    if name == "cuboid":
        raise ValueError("a cuboid has no place in the labels table; remove it")
    if name == "points":
        points = [[x, y, 2] for x, y in points_of(given.get("points", ""), 1)]
        if isinstance(kept, list) and _close([p[:2] for p in kept], [p[:2] for p in points]):
            points = kept
        return "keypoints", points, keypoints_bounds(points)
    points = points_of(given.get("points", ""), 3 if name == "polygon" else 2)
    return name, [points] if name == "polygon" else points, bounds([points])


def _mask(given: Mapping[str, str], size: tuple[int, int] | None) -> tuple[str, Any, list[float]]:
    left, top, width, height = map(int, _numbers(given, "left", "top", "width", "height"))
    if size is None:
        raise ValueError("the image has no size, which a mask needs")
    check_pixels(width, height)
    try:
        runs = np.array([int(part) for part in given.get("rle", "").split(",")], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError("rle is no list of whole numbers") from error
    if (runs < 0).any() or int(runs.sum()) != width * height:
        raise ValueError(f"rle fills {runs.sum()} of {width} × {height} pixels")
    values = np.zeros(len(runs), dtype=np.bool_)
    values[1::2] = True
    part = np.repeat(values, runs).reshape(height, width)
    mask = mask_rle(put_in(part, left, top, *size))
    return "mask", mask, rle_bounds(mask)


def _close(kept: Any, found: list[Any]) -> bool:
    try:
        return bool(np.abs(np.asarray(kept, dtype=np.float64) - np.asarray(found)).max() < 1e-6)
    except (TypeError, ValueError):
        return False

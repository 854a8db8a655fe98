"""Labels as the shapes of a LabelMe file."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import cut_out, mask_pixels
from nbannotate.formats.shared.ellipses import as_ellipse
from nbannotate.formats.shared.extras import KEY
from nbannotate.formats.shared.outgoing import Label, Outgoing, outline
from nbannotate.formats.shared.pixels import png_bytes
from nbannotate.formats.shared.tables import count_lost

Shape = dict[str, Any]


def is_flag_or_group(name: str, value: Any) -> bool:
    """Whether LabelMe has a place for the attribute: a flag, or the number of a group."""
    if name == "group_id":
        return isinstance(value, (int, float)) and float(value).is_integer()
    return isinstance(value, bool)


def native_shapes(
    labels: Iterable[Label], outgoing: Outgoing, lost: dict[str, int], *, extras: bool
) -> tuple[list[Shape], dict[str, list[dict[str, Any]]]]:
    """The shapes of one image, and its tags by name with what is put aside of each.

    Parameters
    ----------
    labels
        Those of the image.
    outgoing
        Where they come from.
    lost
        What is left out is counted here.
    extras
        Whether shapes get a key of our own.
    """
    shapes: list[Shape] = []
    tags: dict[str, list[dict[str, Any]]] = {}
    labels = list(labels)
    used = [int(i.attributes["group_id"]) for i in labels if _group(i) is not None]
    next_group = max(used, default=0) + 1
    for label in labels:
        if label.kind == "tag":
            more = {"attributes": label.attributes, "text": label.text}
            own = label.own | {name: value for name, value in more.items() if value}
            tags.setdefault(label.label, []).append({"label": label.label} | own)
            continue
        try:
            parts = _parts(label)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise outgoing.bad(label, error) from error
        if not extras:
            _count_lost(label, parts, lost)
        group = _group(label)
        if group is None and len(parts) > 1:
            group, next_group = next_group, next_group + 1
        rest = {k: v for k, v in label.attributes.items() if not is_flag_or_group(k, v)}
        for number, (kind, points, own, more) in enumerate(parts):
            shape = {
                "label": label.label,
                "points": points,
                "group_id": group,
                "description": label.text or "",
                "shape_type": kind,
                "flags": {k: v for k, v in label.attributes.items() if isinstance(v, bool)},
                "mask": None,
            } | more
            if extras:
                first = label.own | ({"attributes": rest} if rest else {})
                if label.text == "":
                    first["text"] = ""  # LabelMe does not tell an empty one from none
                shape[KEY] = (first if number == 0 else {"label_id": label.label_id}) | own
            shapes.append(shape)
    return shapes, tags


def _group(label: Label) -> int | None:
    value = label.attributes.get("group_id")
    return int(value) if value is not None and is_flag_or_group("group_id", value) else None


Part = tuple[str, list[list[float]], dict[str, Any], Shape]


def _parts(label: Label) -> list[Part]:
    """Shape type, points, what is put aside and further keys of each part of the label."""
    kind, geometry = label.kind, label.geometry
    if kind == "polygon" and (rings := outline(label)):
        circle = as_ellipse(geometry)
        if circle is not None and math.isclose(circle[2], circle[3], rel_tol=1e-9):
            return [("circle", [list(circle[:2]), rings[0][0]], {}, {})]
        many = len(rings) > 1
        return [("polygon", r, {"part": n} if many else {}, {}) for n, r in enumerate(rings)]
    if kind == "polyline" and geometry and len(geometry) > 1:
        return [("line" if len(geometry) == 2 else "linestrip", geometry, {}, {})]
    if kind == "keypoints" and geometry and any(point[2] > 0 for point in geometry):
        slots = {"of": len(geometry)}
        return [
            ("point", [[x, y]], {"part": n, "visibility": seen} | slots, {})
            for n, (x, y, seen) in enumerate(geometry)
            if seen > 0
        ]
    if kind == "rotated_box" and geometry:
        corners = rotated_corners(np.asarray([geometry], dtype=np.float64))[0]
        return [("polygon", corners.tolist(), {"kind": kind}, {})]
    if kind == "mask" and geometry:
        left, top, pixels = cut_out(mask_pixels(geometry))
        height, width = pixels.shape
        # Both corners are pixels of the mask.
        corners = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
        data = base64.b64encode(png_bytes(pixels)).decode("ascii")
        return [("mask", corners, {}, {"mask": data})]
    x, y, width, height = label.box
    own: dict[str, Any] = {} if kind == "box" else {"kind": kind, "geometry": geometry}
    return [("rectangle", [[x, y], [x + width, y + height]], own, {})]


def _count_lost(label: Label, parts: list[Part], lost: dict[str, int]) -> None:
    written = parts[0][0]
    if label.kind == "rotated_box" and written == "polygon":
        count_lost(lost, "rotated_box shapes (written as polygons)", 1)
    elif label.kind != "box" and written == "rectangle":
        count_lost(lost, "outlines of shapes (their bounding boxes are written)", 1)
    elif label.kind == "keypoints" and any(point[2] != 2 for point in label.geometry):
        count_lost(lost, "keypoints whose visibility is left out", 1)

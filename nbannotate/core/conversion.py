"""Shapes as shapes of other kinds: outlines as masks, masks as outlines, all of them as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from nbannotate.core.contours import mask_outline
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import mask_pixels, mask_rle, rle_bounds
from nbannotate.core.raster import FILLED, label_pixels
from nbannotate.core.rings import bounds, box_ring, rings
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import LabelError

Target = Literal["box", "polygon", "mask"]
TARGETS = ("box", "polygon", "mask")


def converted(
    labels: pd.DataFrame, images: pd.DataFrame, to: Target, tolerance: float = 0.0
) -> pd.DataFrame:
    """The labels table with its shapes of another kind.

    Parameters
    ----------
    labels, images
        The tables.
    to
        ``"box"``: all shapes as their bounding boxes. ``"polygon"``: masks by their outlines, boxes
        and rotated boxes by their corners. ``"mask"``: shapes that cover pixels as those. Lines
        and key points stay what they are for the latter two.
    tolerance
        How far the outline of a mask may be from its pixels, in pixels; 0: it is exact.

    Raises
    ------
    LabelError
        If a shape is damaged, or an image's size is needed and not known.
    """
    if to not in TARGETS:
        raise LabelError(f"to={to!r} is no kind to convert to; use one of {', '.join(TARGETS)}")
    kinds = list(PLACED_KINDS if to == "box" else FILLED)
    rows = np.flatnonzero((labels["kind"].isin(kinds) & labels["kind"].ne(to)).to_numpy())
    result = labels.copy()
    kinds_now = labels["kind"].astype(object).to_numpy(copy=True)
    geometry, boxes = labels["geometry"].tolist(), labels[BOX].to_numpy(copy=True)
    sides = images[["width", "height"]].reindex(labels["image"]).to_numpy(dtype="float64")
    for row in rows.tolist():
        kind = str(kinds_now[row])
        try:
            geometry[row], boxes[row] = _shape(
                kind, boxes[row].tolist(), geometry[row], to, sides[row].tolist(), tolerance
            )
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise LabelError(
                f"label {labels.index[row]!r}: {kind}: {error}; mend or delete it"
            ) from error
    kinds_now[rows] = to
    result["kind"] = kinds_now
    result["geometry"] = pd.Series(geometry, index=labels.index, dtype=object)
    result[BOX] = boxes
    return result


def _shape(
    kind: str, box: list[float], geometry: Any, to: str, side: Sequence[float], tolerance: float
) -> tuple[Any, list[float]]:
    """The geometry and the bounding box of the shape as one of the other kind."""
    if to == "box":
        return None, box
    if to == "polygon":
        if kind == "mask":
            outline = mask_outline(mask_pixels(geometry), tolerance)
            return outline, bounds(outline) if outline else box
        if kind == "rotated_box" and geometry:
            corners = rotated_corners(np.array([geometry], dtype=np.float64))[0].tolist()
            return [corners], bounds([corners])
        return [box_ring(box)], box
    if not all(value >= 1 for value in side):
        raise ValueError("the size of its image is not known; set it in dataset.images")
    mask = mask_rle(label_pixels(kind, box, geometry, int(side[0]), int(side[1])))
    return mask, rle_bounds(mask)


def outline_of(kind: str, box: Sequence[float], geometry: Any) -> list[list[list[float]]] | None:
    """The rings of a shape that covers pixels; None if it covers none, or is damaged.

    Parameters
    ----------
    kind, box, geometry
        As in a labels table.
    """
    if kind == "polygon":
        found = rings(geometry)
        return found if found and all(len(ring) > 2 for ring in found) else None
    if kind not in FILLED or (kind != "box" and not geometry):
        return None
    outline, _ = _shape(kind, list(box), geometry, "polygon", (), 0.0)
    return outline or None

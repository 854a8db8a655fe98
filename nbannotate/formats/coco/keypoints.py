"""Key points as COCO has them: flat lists of x, y, visibility, and names that the category has.

Source: cocodataset.org, data format, keypoint detection.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pandas as pd

from nbannotate.core.label_class import LabelClass
from nbannotate.formats.shared.rows import MOST_KEYPOINTS

Points = list[list[float]]


def slots(classes: Iterable[LabelClass], placed: pd.DataFrame) -> dict[str, int]:
    """How many key points each class has, of those that have any: named ones, or the most seen."""
    own = placed.loc[placed["kind"].eq("keypoints"), ["label", "geometry"]]
    count = own["geometry"].map(lambda points: len(points or ()))
    most = count.groupby(own["label"].astype(object)).max().to_dict()
    named = {c.name: max(len(c.keypoints), int(most.get(c.name, 0))) for c in classes}
    return {name: number for name, number in named.items() if number}


def category(item: LabelClass, count: int) -> dict[str, Any]:
    """What the category says of its key points; names are numbers where there are none."""
    names = [*item.keypoints, *(str(n) for n in range(len(item.keypoints) + 1, count + 1))]
    return {"keypoints": names, "skeleton": [[a + 1, b + 1] for a, b in item.skeleton]}


def flat(points: Points, count: int) -> list[float]:
    """The points in one list; those that a class has beyond them are not labelled."""
    values = [value for x, y, flag in points for value in (float(x), float(y), int(flag))]
    return [*values, *([0] * (3 * (count - len(points))))]


def visible(values: Any) -> bool:
    """Whether an annotation has key points: a list of which one or more is labelled."""
    return isinstance(values, list) and any(values[2::3])


def points(values: list[Any]) -> Points:
    """The points of a flat list; `ValueError` says what is wrong with it."""
    if len(values) % 3 or len(values) > 3 * MOST_KEYPOINTS:
        raise ValueError(f"keypoints has {len(values)} numbers; it is x, y, visibility of each")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise ValueError("keypoints holds what is no finite number")
    flags = values[2::3]
    if not {0, 1, 2}.issuperset(flags):
        raise ValueError(f"keypoints has a visibility of {flags}; it is 0, 1 or 2")
    return [
        [float(x), float(y), int(flag)]
        for x, y, flag in zip(values[::3], values[1::3], flags, strict=True)
    ]


def names(keypoints: Any, skeleton: Any) -> dict[str, Any]:
    """What a category says of its key points, as `LabelClass` has it; empty if it is nothing.

    Skeletons count from 1; in the wild some count from 0, which a 0 in them tells.
    """
    if not isinstance(keypoints, list) or not keypoints:
        return {}
    if not all(isinstance(name, str) and name for name in keypoints):
        return {}
    if len(set(keypoints)) < len(keypoints):
        return {}
    given = skeleton if isinstance(skeleton, list) else []
    pairs = [pair for pair in given if isinstance(pair, list) and len(pair) == 2]
    whole = [pair for pair in pairs if all(type(place) is int for place in pair)]
    first = 0 if 0 in chain.from_iterable(whole) else 1
    lines = [(a - first, b - first) for a, b in whole]
    inside = range(len(keypoints))
    return {
        "keypoints": keypoints,
        "skeleton": [line for line in lines if line[0] in inside and line[1] in inside],
    }

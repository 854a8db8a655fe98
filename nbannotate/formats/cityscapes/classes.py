"""The classes of Cityscapes: their ids, colours, and which of them have instances.

Source: cityscapes-dataset.com, "Class definitions"; Cordts et al., The Cityscapes Dataset for
Semantic Urban Scene Understanding.
"""

from __future__ import annotations

from collections.abc import Sequence

_NAMES = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic",
    "ground", "road", "sidewalk", "parking", "rail track", "building", "wall", "fence",
    "guard rail", "bridge", "tunnel", "pole", "polegroup", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "caravan",
    "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
_COLOURS = (
    "000000", "000000", "000000", "000000", "000000", "6f4a00", "510051", "804080", "f423e8",
    "faaaa0", "e6968c", "464646", "66669c", "be9999", "b4a5b4", "966464", "96785a", "999999",
    "999999", "faaa1e", "dcdc00", "6b8e23", "98fb98", "4682b4", "dc143c", "ff0000", "00008e",
    "000046", "003c64", "00005a", "00006e", "005064", "0000e6", "770b20",
)  # fmt: skip

OFFICIAL = {name: number for number, name in enumerate(_NAMES)} | {"license plate": -1}
"""Ids by names; the one below 0 is in no picture."""

COLOURS = dict(enumerate(f"#{colour}" for colour in _COLOURS))
INSTANCES = frozenset(range(24, 34))
"""Ids of the classes whose objects are told apart."""

GROUP = "group"
"""What follows the name of such a class where objects could not be told apart."""


def is_group(name: str) -> bool:
    """Whether the name is that of a group of objects, such as ``cargroup``."""
    base = name.removesuffix(GROUP)
    return base != name and name not in OFFICIAL and OFFICIAL.get(base) in INSTANCES


def numbers(names: Sequence[str]) -> dict[str, int]:
    """Ids of these classes: Cityscapes' own if all are its, else their places from 1."""
    if set(names) <= OFFICIAL.keys():
        return {name: OFFICIAL[name] for name in names}
    return {name: number for number, name in enumerate(names, 1)}

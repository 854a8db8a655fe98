"""One class of shapes, or one choice of an image tag."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nbannotate.core.colors import is_color
from nbannotate.errors import SchemaError

_ADDED = ("keypoints", "skeleton")
"""Fields that schemes of earlier versions lack; empty ones are not written."""


@dataclass(frozen=True)
class LabelClass:
    """One class of shapes, or one choice of an image tag.

    Parameters
    ----------
    id
        Its number. It is given once, never changes and is never used again.
    name
        What people read; any text that is not empty.
    color
        ``#rrggbb``.
    key
        A letter or digit that picks it, beside its place's digit; None for no letter.
    retired
        Whether it is no longer offered. Labels that bear it stay valid.
    keypoints
        Names of the points that a label of the kind keypoints has, in their order; empty: any
        number of points without names.
    skeleton
        Which of the points are joined by a line: pairs of their places, from 0.

    Raises
    ------
    SchemaError
        If a field is not as said, or the skeleton joins a point that there is not.
    """

    id: int
    name: str
    color: str
    key: str | None = None
    retired: bool = False
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise SchemaError(f"class {self.id}: the name {self.name!r} is empty; give it one")
        if not is_color(self.color):
            raise SchemaError(f"class {self.name!r}: color {self.color!r} is not like '#E69F00'")
        if self.key is not None and (len(self.key) != 1 or self.key.isspace()):
            raise SchemaError(f"class {self.name!r}: key {self.key!r} is not one character")
        object.__setattr__(self, "keypoints", self._names(self.keypoints))
        object.__setattr__(self, "skeleton", self._pairs(self.skeleton))

    def _names(self, given: Iterable[Any]) -> tuple[str, ...]:
        names = () if isinstance(given, str) else tuple(given)
        if isinstance(given, str) or not all(isinstance(name, str) and name for name in names):
            raise SchemaError(
                f"class {self.name!r}: keypoints {given!r} are not names; give a list of texts"
            )
        if len(set(names)) < len(names):
            raise SchemaError(f"class {self.name!r}: a keypoint stands twice; rename one of them")
        return names

    def _pairs(self, given: Iterable[Any]) -> tuple[tuple[int, int], ...]:
        count = len(self.keypoints)
        pairs = []
        for pair in given:
            try:
                start, end = (int(place) for place in pair)
            except (TypeError, ValueError) as error:
                raise SchemaError(
                    f"class {self.name!r}: skeleton has {pair!r}; give pairs of places, from 0"
                ) from error
            if not (0 <= start < count and 0 <= end < count):
                raise SchemaError(
                    f"class {self.name!r}: skeleton joins {start} and {end}, but its {count} "
                    f"keypoints have the places 0 … {count - 1}"
                )
            pairs.append((start, end))
        return tuple(pairs)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        values = asdict(self)
        added = {name: [*map(_plain, values.pop(name))] for name in _ADDED}
        return values | {name: value for name, value in added.items() if value}


def _plain(value: str | tuple[int, int]) -> str | list[int]:
    return value if isinstance(value, str) else list(value)

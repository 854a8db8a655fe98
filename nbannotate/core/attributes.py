"""What may be said about one shape beyond its class: a yes or no, a number, a choice, a text."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeGuard

from nbannotate.errors import SchemaError

AttributeType = Literal["bool", "number", "choice", "text"]
Value = bool | float | str | None


@dataclass(frozen=True)
class Attribute:
    """One attribute of a shape.

    Parameters
    ----------
    name
        Its name, unique in the scheme.
    type
        ``"bool"``, ``"number"``, ``"choice"`` or ``"text"``.
    choices
        The choices of a ``"choice"``.
    min, max, step
        Range and step of a ``"number"``; None for no bound.
    default
        Value of a new shape; None for none.
    key
        The key that sets it: toggles a bool, steps through choices, focuses the others.
    required
        Whether an image can be done only when each of its shapes has a value.

    Raises
    ------
    SchemaError
        If the parts contradict each other.
    """

    name: str
    type: AttributeType = "bool"
    choices: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    step: float | None = None
    default: Value = None
    key: str | None = None
    required: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        if not self.name:
            raise SchemaError("an attribute has no name; give it one")
        if self.type not in ("bool", "number", "choice", "text"):
            raise SchemaError(
                f"attribute {self.name!r}: type {self.type!r} is unknown; "
                "use 'bool', 'number', 'choice' or 'text'"
            )
        if self.type == "choice" and not self.choices:
            raise SchemaError(f"attribute {self.name!r}: a choice needs choices=[...]")
        if self.type != "choice" and self.choices:
            raise SchemaError(f"attribute {self.name!r}: only a choice has choices; drop them")
        if len(set(self.choices)) < len(self.choices):
            raise SchemaError(f"attribute {self.name!r}: a choice is listed twice; drop one")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise SchemaError(f"attribute {self.name!r}: min {self.min} is over max {self.max}")
        if self.default is not None:
            self.check(self.default)

    @classmethod
    def parse(cls, name: str, spec: Any) -> Attribute:
        """An attribute from its short form.

        Parameters
        ----------
        name
            Its name.
        spec
            ``bool``, ``str`` or ``float``; a list of choices; a pair of numbers for a range;
            a default value (``False``, ``"text"``); a dict of this class's fields;
            or an `Attribute`.
        """
        if isinstance(spec, Attribute):
            return spec
        if isinstance(spec, dict):
            return cls(**{"name": name, **spec})
        if spec is bool or spec == "bool":
            return cls(name, "bool")
        if spec is float or spec is int or spec == "number":
            return cls(name, "number", step=1 if spec is int else None)
        if spec is str or spec == "text":
            return cls(name, "text")
        if isinstance(spec, bool):
            return cls(name, "bool", default=spec)
        if isinstance(spec, tuple) and len(spec) == 2 and all(_is_number(v) for v in spec):
            return cls(name, "number", min=float(spec[0]), max=float(spec[1]))
        if isinstance(spec, (list, tuple, set)) and spec and all(isinstance(v, str) for v in spec):
            return cls(name, "choice", choices=tuple(spec))
        raise SchemaError(
            f"attribute {name!r}: {spec!r} says no type; give bool, str, float, "
            "a list of choices, a (min, max) range or a dict"
        )

    def check(self, value: Value) -> Value:
        """The value if the attribute allows it, numbers as floats; None clears it.

        Raises
        ------
        SchemaError
            If it is of another type, out of range, or not among the choices.
        """
        if value is None:
            return None
        if self.type == "bool":
            if isinstance(value, bool):
                return value
            raise SchemaError(f"attribute {self.name!r} is True or False, not {value!r}")
        if self.type == "number":
            return self._check_number(value)
        if not isinstance(value, str):
            raise SchemaError(f"attribute {self.name!r} is a text, not {value!r}")
        if self.type == "choice" and value not in self.choices:
            raise SchemaError(
                f"attribute {self.name!r} has no choice {value!r}; use one of {list(self.choices)}"
            )
        return value

    def _check_number(self, value: Value) -> float:
        if not _is_number(value) or not math.isfinite(value):
            raise SchemaError(f"attribute {self.name!r} is a finite number, not {value!r}")
        number = float(value)
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        if not low <= number <= high:
            raise SchemaError(f"attribute {self.name!r}: {number:g} is outside {low:g} … {high:g}")
        return number

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {**asdict(self), "choices": list(self.choices)}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

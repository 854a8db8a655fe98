"""Fields of a label or an image as a change gives them, checked and made plain JSON values.

What is let through here can be stored, and read back into the tables; a value that a table would
refuse must not get into a store, where it would keep all the others from being read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nbannotate.core.edits import Row
from nbannotate.core.tables import STATUSES
from nbannotate.errors import LabelError

_LARGEST = 2**63 - 1  # of the Int64 columns, and of SQLite


def checked(values: Mapping[str, Any], what: str) -> Row:
    """The fields, each a plain JSON value of its column's type.

    Parameters
    ----------
    values
        Fields of a label or of an image, by name.
    what
        Whose they are, for messages.

    Raises
    ------
    LabelError
        If a value is not of its column's type; the message names it.
    """
    return {name: _checked(name, value, f"{what}: {name}") for name, value in values.items()}


def plain(value: Any, what: str) -> Any:
    """The value as JSON has it: lists for tuples and arrays, Python's numbers for NumPy's.

    Raises
    ------
    LabelError
        If a part of it is a number that is not finite, a text that is not Unicode, or an object
        that JSON does not have.
    """
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), what)
    if isinstance(value, Mapping):
        return {str(key): plain(item, what) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, what) for item in value]
    if isinstance(value, bytes):  # pycocotools' run lengths
        return value.decode("ascii", "replace")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and _is_unicode(value):
        return value
    raise LabelError(
        f"{what} holds {value!a}, which cannot be stored; give finite numbers, texts in Unicode, "
        "and lists or dicts of them"
    )


def _checked(name: str, value: Any, what: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if name in ("text", "note", "split"):
        good = value is None or (isinstance(value, str) and _is_unicode(value))
        return _or_raise(good, value, what, "a text, or None")
    if name == "source":
        good = isinstance(value, str) and bool(value) and _is_unicode(value)
        return _or_raise(good, value, what, "a text, such as 'human'")
    if name == "score":
        if value is None or value != value:  # NaN: a person's label has no score
            return None
        good = _is_number(value) and 0 <= value <= 1
        return float(_or_raise(good, value, what, "a number from 0 to 1, or None"))
    if name in ("frame", "track"):
        low = 0 if name == "frame" else -_LARGEST
        good = value is None or (_is_number(value) and value % 1 == 0 and low <= value <= _LARGEST)
        _or_raise(good, value, what, "a whole number, or None")
        return None if value is None else int(value)
    if name == "geometry":
        good = value is None or isinstance(value, list | tuple | dict | np.ndarray)
        return plain(_or_raise(good, value, what, "a list, a dict, or None"), what)
    if name == "attributes":
        return plain(_or_raise(isinstance(value, Mapping), value, what, "a dict"), what)
    if name == "status":
        good = value in STATUSES
        return _or_raise(good, value, what, f"one of {', '.join(STATUSES)}")
    if name == "unsure":
        return _or_raise(isinstance(value, bool), value, what, "True or False")
    return value


def _or_raise(good: bool, value: Any, what: str, wanted: str) -> Any:
    if not good:
        raise LabelError(f"{what} is {value!a}; give {wanted}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_unicode(text: str) -> bool:
    # A text cut inside an emoji, as JavaScript can, has half of a pair that no file can hold.
    return not any("\ud800" <= letter <= "\udfff" for letter in text)

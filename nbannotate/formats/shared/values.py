"""Attributes as texts, in formats that have no other values, and back as their types; scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.attributes import Attribute, Value
from nbannotate.errors import SchemaError

CONFIDENCE = "confidence"
"""The attribute with a detector's score that is no probability."""

_BOOLS = {"true": True, "false": False, "True": True, "False": False}


def as_text(value: Any) -> str | None:
    """The value as text; None if it is no text, finite number, yes or no."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value).removesuffix(".0")
    return None


def as_type(text: str, attribute: Attribute | None) -> Value:
    """The text as a value of the attribute; as text if it is none of its values."""
    value: Value = text
    if attribute is not None and attribute.type == "bool":
        value = _BOOLS.get(text, text)
    elif attribute is not None and attribute.type == "number":
        number = _number(text)
        value = text if number is None else number
    return value


def set_scores(labels: pd.DataFrame, values: NDArray[np.float64]) -> None:
    """Give the labels the scores that a file has for them, NaN where it has none.

    Detectors also write scores that are no probabilities. If one is, all of them become the
    attribute ``confidence``.
    """
    given = ~np.isnan(values)
    if ((values[given] >= 0) & (values[given] <= 1)).all():
        labels["score"] = values
        return
    for attributes, value in zip(labels["attributes"], values.tolist(), strict=True):
        if value == value:
            attributes[CONFIDENCE] = value


def scores(labels: pd.DataFrame) -> NDArray[np.float64]:
    """The scores that `set_scores` would give the labels; NaN for none."""
    values = labels["score"].to_numpy(dtype=np.float64, copy=True)
    for row, attributes in enumerate(labels["attributes"]):
        given = attributes.get(CONFIDENCE) if attributes else None
        if np.isnan(values[row]) and isinstance(given, (int, float)):
            values[row] = given
    return values


def settle(rows: Iterable[Mapping[str, Value]], given: Sequence[Attribute]) -> list[Attribute]:
    """The attributes of rows whose values are texts: those given, and for others what all fit.

    Parameters
    ----------
    rows
        The values of each label, by the attribute's name.
    given
        What the file says of attributes. One that a value does not fit becomes a text.
    """
    seen: dict[str, dict[Value, None]] = {}
    for row in rows:
        for name, value in row.items():
            seen.setdefault(name, {})[value] = None
    known = {attribute.name: attribute for attribute in given}
    settled = []
    for name in [*known, *(name for name in seen if name not in known)]:
        values = list(seen.get(name, ()))
        if name:
            settled.append(_fitting(name, values, known.get(name)))
    return settled


def _fitting(name: str, values: Sequence[Value], known: Attribute | None) -> Attribute:
    guesses = [Attribute(name, "bool"), Attribute(name, "number")] if known is None else [known]
    for guess in guesses:
        if all(_fits(value, guess) for value in values):
            return guess
    return Attribute(name, "text")


def _fits(value: Value, attribute: Attribute) -> bool:
    typed = as_type(value, attribute) if isinstance(value, str) else value
    try:
        attribute.check(typed)
    except SchemaError:
        return False
    # "001" is no number: written anew it would be another text.
    return not isinstance(value, str) or isinstance(typed, (bool, str)) or as_text(typed) == value


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def typed(
    rows: Sequence[dict[str, Value]], attributes: Iterable[Attribute]
) -> list[dict[str, Value]]:
    """The rows with their texts turned into the values of these attributes."""
    known = {attribute.name: attribute for attribute in attributes}

    def turned(name: str, value: Value) -> Value:
        attribute = known.get(name)
        if isinstance(value, str):
            return as_type(value, attribute)
        if attribute is not None and attribute.type == "text" and value is not None:
            return as_text(value)
        return value

    return [{name: turned(name, value) for name, value in row.items()} for row in rows]

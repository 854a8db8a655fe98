"""Rows of the database as the DataFrames that people see: names for ids, times for numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from nbannotate.core.edits import Row
from nbannotate.core.schema import Schema
from nbannotate.core.tables import images_table, labels_table
from nbannotate.store import tables


def labels_frame(columns: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Labels in the order in which they were made, as in `nbannotate.core.tables`.

    Parameters
    ----------
    columns
        As `nbannotate.store.columns` reads them.
    schema
        The names of the classes.
    """
    frame = columns.set_index("label_id")
    if not frame["created"].is_monotonic_increasing:
        frame = frame.sort_values("created", kind="stable")
    frame["label"] = frame.pop("class_id").map(_names(schema)).astype(object)
    for column in ("created", "updated"):
        frame[column] = _times(frame[column])
    return labels_table(frame, schema)


def images_frame(columns: pd.DataFrame) -> pd.DataFrame:
    """Images sorted by their key, as in `nbannotate.core.tables`."""
    frame = columns.set_index("image").sort_index()  # no database has an order of its own
    frame["updated"] = _times(frame["updated"])
    return images_table(frame)


def history_frame(rows: Sequence[Row], schema: Schema) -> pd.DataFrame:
    """Edits by number: at, annotator, op, label_id, image, before, after and their batch."""
    columns = [column.name for column in tables.history.columns]
    frame = pd.DataFrame(rows, columns=columns).set_index("seq")
    frame["at"] = _times(frame["at"])
    of_schema = frame["op"] == "schema"
    names = {**_former_names(frame.loc[of_schema, "before"]), **_names(schema)}
    for column in ("before", "after"):
        frame[column] = pd.Series(
            [_named(value, names) for value in frame[column]], index=frame.index, dtype=object
        )
    for column in ("annotator", "op", "label_id", "image"):
        frame[column] = frame[column].astype("string")
    frame.loc[frame["image"] == "", "image"] = pd.NA
    for column in ("batch", "reverses"):
        frame[column] = frame[column].astype("Int64")
    frame["seconds"] = frame["seconds"].astype("float64")
    first = ["at", "annotator", "op", "label_id", "image", "before", "after"]
    return frame[[*first, "seconds", "batch", "reverses"]]


def _names(schema: Schema) -> dict[int, str]:
    return {c.id: c.name for c in (*schema.classes, *schema.tag_choices)}


def _former_names(schemas: Iterable[Row]) -> dict[int, str]:
    """Names of classes that may have left the scheme."""
    names: dict[int, str] = {}
    for values in schemas:
        names |= _names(Schema.from_dict(values))
    return names


def _named(value: Any, names: dict[int, str]) -> Any:
    if not isinstance(value, dict) or "class_id" not in value:
        return value if isinstance(value, dict) else None
    rest = {key: item for key, item in value.items() if key != "class_id"}
    return {"label": names.get(value["class_id"]), **rest}


def _times(column: pd.Series[Any]) -> pd.Series[Any]:
    numbers = column.astype("Int64")
    return pd.to_datetime(numbers, unit="us", utc=True).astype("datetime64[us, UTC]")

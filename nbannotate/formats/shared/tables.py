"""What readers and writers share about tables: bad rows, which images go out, splits, JSON."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.attributes import Attribute
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, IMAGE_DTYPES, LABEL_DTYPES
from nbannotate.errors import FormatError

OnError = Literal["raise", "skip"]
Only = Literal["reviewed", "all"]
Split = Sequence[float] | None

SKIPPED_ATTR = "nbannotate.skipped"
"""Key of ``dataset.labels.attrs`` with what ``on_error="skip"`` left out, one text a row."""

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


class Problems:
    """Bad rows met while reading: the first one raises, or all are left out and listed."""

    def __init__(self, path: Path, on_error: OnError) -> None:
        if on_error not in ("raise", "skip"):
            raise FormatError(path, "", f"on_error={on_error!r}; use 'raise' or 'skip'")
        self.path = path
        self.on_error = on_error
        self.found: list[str] = []

    def add(self, where: str, why: str, path: Path | None = None) -> None:
        """Raise `FormatError`, or note the row as left out."""
        error = FormatError(self.path if path is None else path, where, why)
        if self.on_error == "raise":
            raise FormatError(
                error.path, where, f'{why}, or read with on_error="skip" to leave such rows out'
            )
        self.found.append(str(error))

    def finish(self, dataset: Dataset) -> Dataset:
        """The dataset with the list of what was left out, after a warning if there is any."""
        if self.found:
            dataset.labels.attrs[SKIPPED_ATTR] = self.found
            warnings.warn(
                f"{len(self.found)} left out; the first: {self.found[0]}. "
                f"All are in dataset.labels.attrs[{SKIPPED_ATTR!r}]",
                stacklevel=4,
            )
        return dataset


def reviewed(dataset: Dataset, kinds: Iterable[str], only: Only) -> NDArray[np.bool_]:
    """Which images a training set takes: those that are done or have a label of these kinds."""
    if only not in ("reviewed", "all"):
        raise ValueError(f"only={only!r}; use 'reviewed' or 'all'")
    if only == "all":
        return np.ones(len(dataset.images), dtype=bool)
    done = dataset.images["status"].eq("done").to_numpy(dtype=bool)
    if done.all():
        return np.asarray(done, dtype=np.bool_)
    labelled = dataset.labels.loc[dataset.labels["kind"].isin(list(kinds)), "image"]
    return np.asarray(done | dataset.images.index.isin(labelled.unique()), dtype=np.bool_)


def on_images(dataset: Dataset, images: pd.DataFrame) -> pd.DataFrame:
    """The labels on those images of the dataset."""
    if len(images) == len(dataset.images):
        return dataset.labels
    return dataset.labels[dataset.labels["image"].isin(images.index)]


def split_names(
    dataset: Dataset,
    images: pd.DataFrame,
    split: Split,
    *,
    seed: int,
    by: str | None,
    path: Path,
) -> NDArray[np.object_] | None:
    """The split of each image, or None if none is asked for and none is in the table."""
    if split is not None:
        part = Dataset(dataset.labels.iloc[:0], images, dataset.schema)
        return part.split(split, seed=seed, by=by).images["split"].to_numpy(dtype=object)
    given = images["split"]
    if not given.notna().any():
        return None
    names = given.str.lower().map(SPLIT_NAMES)
    bad = names.isna().to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = given.iloc[row]
        raise FormatError(
            path,
            f"image {images.index[row]!r}",
            f"has split {None if pd.isna(value) else value!r}; set dataset.images['split'] to "
            f"one of {', '.join(SPLITS)} for all images or none, or give split=(.8, .1, .1)",
        )
    return names.to_numpy(dtype=object)


def count_lost(lost: dict[str, int], why: str, count: int) -> None:
    """Add to a count of what a writer leaves out, if there is anything to add."""
    if count:
        lost[why] = lost.get(why, 0) + count


def lost_fields(labels: pd.DataFrame, keeps: Iterable[str] = ()) -> dict[str, int]:
    """What labels have beside their class and shape, for the list of what a format leaves out.

    Parameters
    ----------
    labels
        The labels that are written.
    keeps
        The columns that the format carries.
    """
    counts = {
        "attributes": int(labels["attributes"].map(bool).sum()),
        "text": int(labels["text"].notna().sum()),
        "score": int(labels["score"].notna().sum()),
        "frame": int(labels["frame"].notna().sum()),
        "track": int(labels["track"].notna().sum()),
    }
    return {
        f"labels' {column if column == 'attributes' else column + 's'}": count
        for column, count in counts.items()
        if count and column not in set(keeps)
    }


def extra_columns(dataset: Dataset) -> dict[str, int]:
    """The user's own columns, for the list of what a format leaves out."""
    lost = {}
    for what, frame, known in (
        ("label", dataset.labels, LABEL_DTYPES),
        ("image", dataset.images, IMAGE_DTYPES),
    ):
        for column in frame.columns.difference(list(known), sort=False):
            count = int(frame[column].notna().sum())
            if count:
                lost[f"{what}s' column {column!r}"] = count
    return lost


def plain(value: Any) -> Any:
    """The value as plain JSON values; `ValueError` for a number that JSON does not have."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return (
            value if type(value) is list and _is_plain(value) else [plain(item) for item in value]
        )
    return value


def _is_plain(value: Any) -> bool:
    """Whether it is seen at a glance to be lists of finite numbers, as most shapes are."""
    level = value
    while type(level) is list and level and type(level[0]) is list:
        if set(map(type, level)) != {list}:
            return False
        level = list(chain.from_iterable(level))
    try:
        # One number that is not finite makes the sum so.
        return set(map(type, level)) <= {float, int} and math.isfinite(sum(level))
    except (TypeError, OverflowError):
        return False


def plain_column(column: pd.Series[Any], path: Path) -> list[Any]:
    """The values of a column of dicts or lists as plain JSON values; None stays None.

    Raises
    ------
    FormatError
        Naming the label that holds what JSON cannot.
    """
    given = column.tolist()
    values: list[Any] = [None] * len(given)
    if not any(given):
        return values
    for row, value in enumerate(given):
        try:
            values[row] = plain(value) if value else None
        except ValueError as error:
            raise FormatError(
                path,
                f"label {column.index[row]!r}",
                f"{column.name}: {error}; mend or delete the label",
            ) from error
    return values


def json_column(column: pd.Series[Any], path: Path) -> list[str | None]:
    """The values of a column of dicts or lists as JSON texts."""
    # Most labels have neither geometry nor attributes: their common values are encoded once.
    values = plain_column(column, path)
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]


def refuse_bad_boxes(placed: pd.DataFrame, path: Path) -> None:
    """Raise `FormatError` for the first label whose place is NaN or infinite.

    The tables are the user's to change, and a NaN that is written is misread without a word.
    """
    bad = ~np.isfinite(placed[BOX].to_numpy()).all(axis=1)
    if bad.any():
        raise FormatError(
            path,
            f"label {placed.index[bad][0]!r}",
            "x, y, width, height are not all finite numbers; mend or delete the label",
        )


def iso_times(column: pd.Series[Any]) -> list[str | None]:
    """Times as ISO 8601 texts in UTC, to the microsecond."""
    values = column.dt.tz_convert(None).to_numpy().astype("datetime64[us]")
    texts = np.datetime_as_string(values, unit="us")
    return [None if text == "NaT" else f"{text}Z" for text in texts.tolist()]


def infer_attributes(rows: Iterable[Mapping[str, Any]]) -> list[Attribute]:
    """Attributes whose values in all rows are yes or no, numbers, or texts; others are left."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                seen.setdefault(name, set()).add(_type(value))
    return [
        Attribute(name, types.pop())  # type: ignore[arg-type]
        for name, types in seen.items()
        if name and len(types) == 1 and "other" not in types
    ]


def with_attributes(schema: Schema, rows: Iterable[Mapping[str, Any] | None]) -> Schema:
    """The scheme with the attributes that rows have and it lacks, as `infer_attributes` finds."""
    known = {attribute.name for attribute in schema.attributes}
    for attribute in infer_attributes(values for values in rows if values):
        if attribute.name not in known:
            schema = schema.with_attribute(attribute)
    return schema


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "other"

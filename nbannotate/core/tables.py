"""The labels and images tables: their columns and dtypes, and the checks that keep them true."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from nbannotate.core.ids import new_ids
from nbannotate.core.schema import Schema
from nbannotate.errors import LabelError

KINDS = (
    "tag",
    "box",
    "rotated_box",
    "polygon",
    "polyline",
    "keypoints",
    "mask",
    "text",
    "rating",
    "choice",
)
PLACED_KINDS = ("box", "rotated_box", "polygon", "polyline", "keypoints", "mask")
"""Kinds that have a place in the image, and so a bounding box."""

CLASSED_KINDS = ("tag", *PLACED_KINDS)
"""Kinds whose label is a class or tag of the scheme."""

STATUSES = ("todo", "done", "skipped", "flagged")

BOX = ["x", "y", "width", "height"]
_TIME: Any = "datetime64[us, UTC]"
LABEL_DTYPES: dict[str, Any] = {
    "image": "string",
    "kind": "category",
    "label": "category",
    **dict.fromkeys(BOX, "float64"),
    "geometry": "object",
    "attributes": "object",
    "text": "string",
    "score": "float64",
    "frame": "Int64",
    "track": "Int64",
    "source": "string",
    "annotator": "string",
    "seconds": "float64",
    "created": _TIME,
    "updated": _TIME,
}
IMAGE_DTYPES: dict[str, Any] = {
    "path": "string",
    "width": "Int64",
    "height": "Int64",
    "bytes": "Int64",
    "hash": "string",
    "status": "category",
    "split": "string",
    "annotator": "string",
    "seconds": "float64",
    "updated": _TIME,
    "note": "string",
    "unsure": "boolean",
}
SCHEMA_ATTR = "nbannotate.schema"
"""Key of ``DataFrame.attrs`` under which a labels table carries its scheme along."""


def labels_table(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The rows with all columns of a labels table, each of its dtype, index ``label_id``.

    Columns that are missing are filled: NaN, NA, ``{}``; ``kind`` is ``box`` for rows with a
    place and else ``tag``; ``source`` is ``human``. Rows without ids get new ones. Columns that
    a labels table does not know are kept, at the end.

    Raises
    ------
    LabelError
        If a column holds what it cannot; the message names the row and the mend.
    """
    frame = rows.copy(deep=False)
    frame.index = _label_ids(frame)
    if "image" not in frame:
        raise LabelError(
            "the labels have no column 'image'; add one with the key of each label's image, "
            "such as its path"
        )
    for column in BOX:
        if column not in frame:
            frame[column] = np.nan
    if "kind" not in frame:
        tags = frame["x"].isna().to_numpy()
        codes = np.where(tags, KINDS.index("tag"), KINDS.index("box"))
        frame["kind"] = pd.Categorical.from_codes(codes, categories=pd.Index(KINDS))
    if "source" not in frame:
        frame["source"] = pd.array(["human"], dtype="string").repeat(len(frame))
    for column, dtype in LABEL_DTYPES.items():
        if column not in frame:
            # Of its dtype at once: a column of None would be looked at row by row.
            frame[column] = _nothing(column, dtype, len(frame))
        elif column == "attributes":
            frame[column] = _dicts(frame[column])
        elif column == "geometry":
            # NaN or NA among Python objects means that the row has none.
            shapes = [v if isinstance(v, (list, dict, tuple)) else None for v in frame[column]]
            frame[column] = pd.Series(shapes, frame.index, dtype=object)
    _refuse_unknown(frame, "kind", KINDS)
    frame["kind"] = pd.Categorical(frame["kind"], categories=list(KINDS))
    frame["label"] = _label_column(frame, schema)
    frame = _cast(frame, {c: d for c, d in LABEL_DTYPES.items() if d != "category"})
    extra = [column for column in frame.columns if column not in LABEL_DTYPES]
    frame = frame[[*LABEL_DTYPES, *extra]]
    _check_values(frame)
    frame.attrs = {SCHEMA_ATTR: schema.to_dict()}
    return frame


def images_table(rows: pd.DataFrame | Iterable[str]) -> pd.DataFrame:
    """The rows with all columns of an images table, each of its dtype, index ``image``.

    Parameters
    ----------
    rows
        A table with the image keys as its index or in a column ``image``; or just the keys.

    Raises
    ------
    LabelError
        If a key is missing or stands twice, or a status is unknown.
    """
    if isinstance(rows, pd.DataFrame):
        frame = rows.copy(deep=False)
        if "image" in frame:
            frame = frame.set_index("image")
    else:
        frame = pd.DataFrame(index=pd.Index(list(rows), dtype="string"))
    if len(frame) and frame.index.hasnans:
        raise LabelError("an image has no key; give each row of the images table one")
    frame.index = pd.Index(frame.index.map(str), dtype="string", name="image")
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()][0]
        raise LabelError(f"image {twice!r} stands twice in the images table; drop one row")
    for column in IMAGE_DTYPES:
        if column not in frame:
            frame[column] = frame.index if column == "path" else None
    # A `where` with a text gives odd dtypes on empty columns, so the gap is filled as objects.
    frame["status"] = frame["status"].astype(object).where(frame["status"].notna(), "todo")
    _refuse_unknown(frame, "status", STATUSES)
    frame["status"] = pd.Categorical(frame["status"], categories=list(STATUSES))
    frame["unsure"] = frame["unsure"].astype("boolean").fillna(False)
    frame = _cast(frame, {c: d for c, d in IMAGE_DTYPES.items() if d != "category"})
    frame["seconds"] = frame["seconds"].fillna(0.0)
    extra = [column for column in frame.columns if column not in IMAGE_DTYPES]
    return frame[[*IMAGE_DTYPES, *extra]]


def infer_schema(labels: pd.DataFrame) -> Schema:
    """The scheme that a labels table carries, else one of the names in it.

    Names come in the order of the column's categories, else sorted, so that ids do not depend
    on the order of the rows.
    """
    if SCHEMA_ATTR in labels.attrs:
        return Schema.from_dict(labels.attrs[SCHEMA_ATTR])
    if "label" not in labels or "image" not in labels:
        return Schema()
    column = labels["label"]
    tagged = (
        labels["kind"].eq("tag")
        if "kind" in labels
        else labels.get("x", pd.Series(np.nan, index=labels.index)).isna()
    ).to_numpy(dtype=bool)

    def names(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> list[str]:
        used = {str(value) for value in column[mask].dropna().unique()}
        if isinstance(column.dtype, pd.CategoricalDtype):
            return [str(value) for value in column.cat.categories if str(value) in used]
        return sorted(used)

    tags = names(tagged)
    repeated = bool(labels[tagged & column.notna().to_numpy()].duplicated("image").any())
    return Schema(
        classes=names(~tagged),
        tags={"tag": {"choices": tags, "multiple": repeated}} if tags else {},
    )


def _label_ids(frame: pd.DataFrame) -> pd.Index[str]:
    if "label_id" in frame:
        ids = frame.pop("label_id").array
    elif frame.index.name == "label_id" or frame.index.dtype.kind not in "iuf":
        ids = frame.index.array
    else:
        return pd.Index(new_ids(len(frame)), name="label_id")
    index: pd.Index[str] = pd.Index(ids, dtype="string", name="label_id")
    if index.hasnans:
        raise LabelError("a label has no label_id; leave the column out to have ids made")
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise LabelError(f"label_id {twice!r} stands twice; drop one row or give it a new id")
    return index


def _nothing(column: str, dtype: Any, count: int) -> Any:
    """What a column holds where it is not given."""
    if column == "attributes":
        values = np.empty(count, dtype=object)
        values[:] = [{} for _ in range(count)]
        return values
    if dtype in ("object", "category"):
        return np.full(count, None, dtype=object)
    return pd.Series(pd.NA if dtype in ("string", "Int64") else np.nan, range(count), dtype).array


def _dicts(column: pd.Series[Any]) -> pd.Series[Any]:
    values: list[dict[str, Any]] = []
    for row, value in enumerate(column):
        if isinstance(value, dict):
            values.append(value)
        elif value is None or pd.isna(value):
            values.append({})
        else:
            raise LabelError(f"label {column.index[row]!r}: attributes {value!r} is not a dict")
    return pd.Series(values, index=column.index, dtype=object)


def _label_column(frame: pd.DataFrame, schema: Schema) -> pd.Categorical[Any]:
    names = [c.name for c in schema.classes]
    names += [c.name for c in schema.tag_choices if c.name not in set(names)]
    column = frame["label"]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        # Classes may come as numbers (scikit-learn's digits): their names are texts.
        column = column.astype("string").astype("category")
    given: pd.Categorical[Any] = column.array
    found = [str(value) for value in given.categories]
    codes = np.asarray(given.codes, dtype=np.int64)
    classed = frame["kind"].isin(CLASSED_KINDS).to_numpy()
    tags = frame["kind"].eq("tag").to_numpy()
    _raise_first(frame, classed & (codes < 0), "has no label; give its class")
    for mask, what, known in (
        (tags, "tag", {c.name for c in schema.tag_choices}),
        (classed & ~tags, "class", {c.name for c in schema.classes}),
    ):
        for code in _codes(codes[mask]):
            if found[code] not in known:
                at = frame.index[mask & (codes == code)][0]
                raise LabelError(
                    f"label {at!r}: the scheme has no {what} {found[code]!r}; add it to the scheme "
                    "or relabel the row"
                )
    loose = [found[code] for code in _codes(codes[~classed]) if found[code] not in set(names)]
    place = {name: number for number, name in enumerate([*names, *loose])}
    moved = np.array([*(place.get(name, -1) for name in found), -1], dtype=np.int64)
    return pd.Categorical.from_codes(moved[codes], categories=pd.Index(list(place)))


def _codes(codes: np.ndarray[Any, np.dtype[np.int64]]) -> list[int]:
    """Those that stand in `codes`, in the order of their first."""
    first = pd.unique(codes)
    return [int(code) for code in first if code >= 0]


def _cast(frame: pd.DataFrame, dtypes: dict[str, Any]) -> pd.DataFrame:
    for column, dtype in dtypes.items():
        # pandas' own `str` dtype compares equal to "string" and has NaN where that has NA.
        if frame[column].dtype == (pd.StringDtype() if dtype == "string" else dtype):
            continue
        try:
            if dtype == _TIME:
                times = pd.to_datetime(frame[column], utc=True)
                frame[column] = times.astype(_TIME)
            elif dtype == "float64":
                frame[column] = pd.to_numeric(frame[column]).astype("float64")
            else:
                frame[column] = frame[column].astype(dtype)
        except (ValueError, TypeError, OverflowError) as error:
            at = _first_bad(frame[column], dtype)
            raise LabelError(
                f"row {at!r}, column {column!r}: {frame[column].get(at)!r} is not {dtype}; "
                "mend the value or leave it empty"
            ) from error
    return frame


def _first_bad(column: pd.Series[Any], dtype: Any) -> Any:
    for at, value in column.items():
        try:
            if dtype == _TIME:
                pd.to_datetime(value, utc=True)
            elif dtype == "float64":
                pd.to_numeric(value)
            else:
                pd.Series([value]).astype(dtype)
        except (ValueError, TypeError, OverflowError):
            return at
    return column.index[0]


def _refuse_unknown(frame: pd.DataFrame, column: str, known: tuple[str, ...]) -> None:
    _raise_first(
        frame,
        ~frame[column].isin(known).to_numpy(),
        f"has an unknown {column}; use one of {', '.join(known)}",
        column,
    )


def _check_values(frame: pd.DataFrame) -> None:
    if not len(frame):
        return
    _raise_first(
        frame, (frame["image"].isna() | frame["image"].eq("")).to_numpy(bool), "has no image key"
    )
    placed = frame["kind"].isin(PLACED_KINDS).to_numpy()
    box = frame[BOX].to_numpy()
    mend = "give x, y, width, height as finite numbers of pixels"
    _raise_first(frame, placed & ~np.isfinite(box).all(axis=1), mend, "x")
    _raise_first(
        frame, placed & (box[:, 2:] < 0).any(axis=1), "has a negative side; swap its corners"
    )
    score = frame["score"].to_numpy()
    with np.errstate(invalid="ignore"):
        outside = (score < 0) | (score > 1)
    _raise_first(frame, outside, "has a score outside [0, 1]", "score")


def _raise_first(
    frame: pd.DataFrame, bad: np.ndarray[Any, np.dtype[np.bool_]], why: str, column: str = ""
) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = f" ({column} is {frame[column].iloc[row]!r})" if column else ""
        raise LabelError(f"row {frame.index[row]!r}{value}: {why}")

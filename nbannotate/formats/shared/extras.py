"""What a format has no field for: put aside in keys of our own, or counted as left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nbannotate.core.dataset import Dataset
from nbannotate.core.ids import new_ids
from nbannotate.core.schema import Schema
from nbannotate.formats.shared.tables import count_lost, extra_columns, iso_times

KEY = "nbannotate"
"""The key of our own in other tools' files."""

LABEL_EXTRAS = ("text", "score", "frame", "track", "annotator", "seconds", "created", "updated")
IMAGE_EXTRAS = ("split", "note", "annotator", "seconds", "updated", "unsure", "status")


def present(frame: pd.DataFrame, columns: Iterable[str]) -> list[dict[str, Any]]:
    """The values of each row that are not missing, by column."""
    rows: list[dict[str, Any]] = [{} for _ in range(len(frame))]
    for column in columns:
        there = np.flatnonzero(frame[column].notna().to_numpy())
        if not len(there):
            continue
        part = frame[column].iloc[there]
        times = isinstance(part.dtype, pd.DatetimeTZDtype)
        values = iso_times(part) if times else part.tolist()
        for row, value in zip(there.tolist(), values, strict=True):
            rows[row][column] = value
    return rows


def label_extras(
    labels: pd.DataFrame, columns: Iterable[str] = LABEL_EXTRAS
) -> list[dict[str, Any]]:
    """Ids of the labels, and their values in `columns` and of whom they are."""
    rows = present(
        labels.assign(source=labels["source"].where(labels["source"].ne("human"))),
        (*columns, "source"),
    )
    return [{"label_id": i} | row for i, row in zip(labels.index.tolist(), rows, strict=True)]


def image_extras(
    images: pd.DataFrame, columns: Iterable[str] = IMAGE_EXTRAS
) -> list[dict[str, Any]]:
    """The values of the images that are not those of any image that is done."""
    values = images.assign(
        unsure=images["unsure"].where(images["unsure"], pd.NA),
        seconds=images["seconds"].where(images["seconds"] != 0),
    )
    return present(values, columns)


def label_ids(given: Sequence[Any]) -> list[str]:
    """The ids, and new ones where there is none or it stands twice.

    A tool that copies an annotation copies our id too; the copy gets a new one.
    """
    ids = pd.Series(list(given), dtype=object)
    fresh = (ids.isna() | ids.duplicated()).to_numpy(dtype=bool)
    ids[fresh] = new_ids(int(fresh.sum()))
    return [str(value) for value in ids]


def losses(
    dataset: Dataset,
    images: pd.DataFrame,
    labels: pd.DataFrame,
    format_name: str,
    *,
    kinds: Iterable[str],
    label_columns: Iterable[str] = (),
    image_columns: Iterable[str] = (),
) -> dict[str, int]:
    """Counts of what is left out, by reason.

    Parameters
    ----------
    dataset
        All there is.
    images
        Those that are written.
    labels
        Those on them.
    format_name
        The format's name for people.
    kinds
        Kinds of labels that are written.
    label_columns, image_columns
        Columns that are written, beside the image, kind, class, place and shape.
    """
    lost = extra_columns(dataset)
    written = labels["kind"].isin(list(kinds))
    for kind, count in labels.loc[~written, "kind"].astype(object).value_counts().items():
        lost[f"{kind} labels, for which {format_name} has no place"] = int(count)
    count_lost(lost, "images not reviewed", len(dataset.images) - len(images))
    count_lost(lost, "labels on images not reviewed", len(dataset.labels) - len(labels))
    for what, frame, kept in (
        ("label", _unusual_labels(labels[written]), label_columns),
        ("image", _unusual_images(images), image_columns),
    ):
        for column in frame.columns.difference(list(kept), sort=False):
            count_lost(lost, f"{what}s' {column}", int(frame[column].sum()))
    return lost


def _unusual_labels(labels: pd.DataFrame) -> pd.DataFrame:
    values = {column: labels[column].notna() for column in LABEL_EXTRAS}
    values["attributes"] = labels["attributes"].map(bool).astype(bool)
    values["source"] = labels["source"].ne("human").fillna(True).astype(bool)
    return pd.DataFrame(values, index=labels.index)


def _unusual_images(images: pd.DataFrame) -> pd.DataFrame:
    values = {column: images[column].notna() for column in IMAGE_EXTRAS}
    values["seconds"] = images["seconds"].ne(0)
    values["unsure"] = images["unsure"].astype(bool)
    values["status"] = images["status"].ne("done").astype(bool)
    return pd.DataFrame(values, index=images.index)


def scheme_losses(
    schema: Schema, labels: pd.DataFrame, *, roles: Iterable[str] = ("class", "tag")
) -> dict[str, int]:
    """What of the scheme is left out by a format that has names on labels only.

    Parameters
    ----------
    schema
        The scheme.
    labels
        Those that are written.
    roles
        ``"class"`` and ``"tag"``: which of the two the format has.
    """
    used = set(labels["label"].dropna().unique())
    lost: dict[str, int] = {}
    classes = [c for c in schema.classes if "class" in roles]
    tags = [c for c in schema.tag_choices if "tag" in roles]
    for what, items in (("classes", classes), ("tags", tags)):
        unused = sum(1 for item in items if item.name not in used)
        count_lost(lost, f"{what} that no label has", unused)
        count_lost(lost, f"ids and colours of {what}", len(items))
    return lost

"""Images with all of their labels as JSON objects, in which nothing is lost, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pandas as pd

from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, IMAGE_DTYPES, LABEL_DTYPES, PLACED_KINDS, infer_schema
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.shared.extras import label_ids, present
from nbannotate.formats.shared.json_files import joined
from nbannotate.formats.shared.tables import Problems, plain, plain_column, refuse_bad_boxes

_Kind = Literal[
    "tag", "box", "rotated_box", "polygon", "polyline", "keypoints", "mask", "text", "rating",
    "choice",
]  # fmt: skip


class _Label(msgspec.Struct):
    kind: _Kind | None = None
    label: str | None = None
    x: float | None = None
    y: float | None = None
    width: float | None = None
    height: float | None = None
    geometry: Any = None
    attributes: dict[str, Any] | None = None
    text: str | None = None
    score: float | None = None
    frame: int | None = None
    track: int | None = None
    source: str | None = None
    annotator: str | None = None
    seconds: float | None = None
    created: str | None = None
    updated: str | None = None
    label_id: str | None = None
    more: dict[str, Any] | None = None


class _Image(msgspec.Struct):
    image: str
    path: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    hash: str | None = None
    status: Literal["todo", "done", "skipped", "flagged"] = "done"
    split: str | None = None
    annotator: str | None = None
    seconds: float | None = None
    updated: str | None = None
    note: str | None = None
    unsure: bool = False
    more: dict[str, Any] | None = None
    labels: list[msgspec.Raw] = []


def records(dataset: Dataset, path: Path) -> Iterator[dict[str, Any]]:
    """Each image, in the order of the table, with its labels; columns of users under ``more``.

    Parameters
    ----------
    dataset
        What is written.
    path
        The file, for errors.

    Raises
    ------
    FormatError
        If a number is NaN or infinite.
    """
    refuse_bad_boxes(dataset.labels[dataset.labels["kind"].isin(PLACED_KINDS)], path)
    labels = dataset.labels
    rows = _with_more(labels, LABEL_DTYPES, ("geometry", "attributes"), path)
    for column in ("geometry", "attributes"):
        for row, value in zip(rows, plain_column(labels[column], path), strict=True):
            if value:
                row[column] = value
    images = _with_more(dataset.images, IMAGE_DTYPES, (), path)
    of_image: dict[str, list[dict[str, Any]]] = {}
    for key, label_id, row in zip(labels["image"], labels.index, rows, strict=True):
        del row["image"]
        of_image.setdefault(key, []).append({"label_id": label_id} | row)
    for key, image in zip(dataset.images.index.tolist(), images, strict=True):
        yield {"image": key} | image | {"labels": of_image.get(key, [])}


def _with_more(
    frame: pd.DataFrame, known: dict[str, Any], apart: tuple[str, ...], path: Path
) -> list[dict[str, Any]]:
    texts = {column: frame[column].astype(object) for column in ("kind", "label", "status")
             if column in frame}  # fmt: skip
    rows = present(frame.assign(**texts), (column for column in known if column not in apart))
    own = [column for column in frame.columns if column not in known]
    for row, values in zip(rows, present(frame, own), strict=True):
        if values:
            try:
                row["more"] = plain(values)
                msgspec.json.encode(row["more"])
            except (ValueError, TypeError) as error:
                raise FormatError(
                    path, f"columns {', '.join(map(repr, values))}", f"{error}; drop the column"
                ) from error
    return rows


class Records:
    """Images and labels as they are read.

    Parameters
    ----------
    name
        The format's name, as in ``import:NAME``.
    path
        The file, for errors.
    problems
        What takes bad parts.
    """

    def __init__(self, name: str, path: Path, problems: Problems) -> None:
        self._source = f"import:{name}"
        self._path, self._problems = path, problems
        self._images: dict[str, dict[str, Any]] = {}
        self._labels: list[dict[str, Any]] = []
        self._image = msgspec.json.Decoder(_Image)
        self._label = msgspec.json.Decoder(_Label)

    def add(self, data: bytes | msgspec.Raw, where: str) -> str | None:
        """Take in an image; its key, or None if it is bad."""
        try:
            found = self._image.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._problems.add(*_place(where, error))
            return None
        if not found.image or found.image in self._images:
            what = f"the image {found.image!r} stands twice" if found.image else "names no image"
            self._problems.add(where, f"{what}; mend it")
            return None
        values = msgspec.structs.asdict(found)
        del values["labels"], values["image"]
        self._images[found.image] = values | (values.pop("more") or {})
        for number, part in enumerate(found.labels):
            self._add_label(found.image, part, f"{where}{'.' if where else ''}labels[{number}]")
        return found.image

    def _add_label(self, key: str, part: msgspec.Raw, where: str) -> None:
        try:
            found = self._label.decode(part)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._problems.add(*_place(where, error))
            return
        box = (found.x, found.y, found.width, found.height)
        kind = found.kind or ("tag" if found.x is None else "box")
        if kind in PLACED_KINDS and not _is_box(box):
            self._problems.add(
                where, f"{box} is no x, y, width, height in pixels of a {kind}; mend it"
            )
        elif found.score is not None and not 0 <= found.score <= 1:
            self._problems.add(where, f"score {found.score} is outside 0 … 1; mend it")
        elif kind in ("tag", *PLACED_KINDS) and not found.label:
            self._problems.add(where, "has no label; give its class")
        else:
            values = msgspec.structs.asdict(found)
            values["source"] = found.source or ("human" if found.label_id else self._source)
            more = values.pop("more") or {}
            self._labels.append(more | values | {"image": key, "kind": kind})

    def dataset(self, saved: Any) -> Dataset:
        """All of it, with the scheme that our writer put aside, if it did."""
        labels = pd.DataFrame(self._labels, columns=self._columns(self._labels, LABEL_DTYPES))
        labels["label_id"] = label_ids([row.get("label_id") for row in self._labels])
        for column in ("geometry", "attributes", "label"):
            values = [row.get(column) for row in self._labels]
            labels[column] = pd.Series(values, dtype=object)
        for column in BOX:
            labels[column] = labels[column].astype("float64")
        rows = list(self._images.values())
        images = pd.DataFrame(
            rows,
            index=pd.Index(list(self._images), dtype="string"),
            columns=self._columns(rows, IMAGE_DTYPES),
        )
        images["seconds"] = images["seconds"].astype("float64").fillna(0.0)
        images["path"] = images["path"].astype("string").fillna(images.index.to_series())
        schema = infer_schema(labels)
        try:
            schema = Schema.from_dict(saved).extended(schema) if saved else schema
        except (SchemaError, TypeError, KeyError, AttributeError) as error:
            raise FormatError(self._path, "schema", f"{error}; mend or remove it") from error
        return self._problems.finish(Dataset(labels, images, schema))

    @staticmethod
    def _columns(rows: list[dict[str, Any]], known: dict[str, Any]) -> list[str]:
        more = dict.fromkeys(name for row in rows for name in row)
        return [*known, *(name for name in more if name not in known and name != "label_id")]


def _is_box(box: tuple[float | None, ...]) -> bool:
    numbers = [value for value in box if value is not None and math.isfinite(value)]
    return len(numbers) == 4 and numbers[2] >= 0 and numbers[3] >= 0


def _place(where: str, error: Exception) -> tuple[str, str]:
    if isinstance(error, msgspec.ValidationError):
        text, _, place = str(error).partition(" - at `$")
        place = place.removeprefix(".").removesuffix("`")
        return joined(where, place), f"{text[:1].lower()}{text[1:]}; mend it"
    return where, f"is not JSON ({error}); mend or remove it"

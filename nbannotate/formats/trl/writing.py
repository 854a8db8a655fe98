"""What TRL's data sets of prompts and answers share: JSON Lines, splits, and a file beside them.

TRL's trainers take every column for theirs, so what is ours goes into ``nbannotate.json`` in the
folder, or ``NAME.nbannotate.json`` beside a single file. An item is in one split with all its rows.

Source: huggingface.co/docs/trl, "Dataset formats and types".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from nbannotate.core.answers import ANSWERS, PROMPT, Rating
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.registry import WriteReport
from nbannotate.core.tables import IMAGE_DTYPES
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
    present,
)
from nbannotate.formats.shared.files import new_folder, write_atomic
from nbannotate.formats.shared.json_files import encoded
from nbannotate.formats.shared.side import SIDE_FILE, refuse_other_export, write_side
from nbannotate.formats.shared.tables import (
    Split,
    plain,
    plain_column,
    split_names,
)

Words = str | list[dict[str, Any]]
"""A text, or messages."""

T = TypeVar("T")

FILES = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Line:
    """A row of TRL's on its way into a file.

    Parameters
    ----------
    item
        The key of its item.
    row
        What TRL reads.
    own
        What our reader needs to know of it, as JSON.
    """

    item: str
    row: dict[str, Any]
    own: list[Any]


class Items:
    """Prompts and answers on their way out, all texts or all messages.

    Parameters
    ----------
    images
        The items.
    path
        What is written, for errors.
    """

    def __init__(self, images: pd.DataFrame, path: Path) -> None:
        self._path = path
        for column in (PROMPT, ANSWERS):
            if column not in images:
                raise FormatError(
                    path, "", f"the images table has no column {column!r}; add one with the "
                    f"{column} of each item"
                )  # fmt: skip
        self._prompts = dict(zip(images.index, images[PROMPT], strict=True))
        self._answers = dict(zip(images.index, images[ANSWERS], strict=True))
        self._chat = any(
            _is_chat(words)
            for key in images.index
            for words in (self._prompts[key], *self._list(key))
        )

    def prompt(self, key: str) -> dict[str, Words]:
        """The prompt as a column; none if it stands in the answers."""
        words = self._prompts[key]
        if words is None or (not isinstance(words, list) and pd.isna(words)):
            return {}
        return {PROMPT: self._words(words, key, "user")}

    def answers(self, key: str) -> list[Words]:
        """The answers."""
        return [self._words(words, key, "assistant") for words in self._list(key)]

    def steps(self, key: str) -> list[str]:
        """The steps of the first answer: its lines, or a list of them."""
        [first, *_] = self._list(key) or [""]
        found = first.splitlines() if isinstance(first, str) else first
        if not all(isinstance(step, str) for step in found):
            raise self.bad(key, "its answer is no text of one line a step, and no list of texts")
        return list(found)

    def said(self, key: str, label_id: str, parse: Callable[[Any], T], geometry: Any) -> T:
        """What a label says of the item, parsed; `FormatError` if that cannot be."""
        try:
            return parse(geometry)
        except ValueError as error:
            raise self.bad(key, f"label {label_id!r}: {error}") from error

    def is_good(self, label_id: str, rating: Rating, threshold: float | None) -> bool:
        """Whether a rating is a good one; `FormatError` if a number needs a threshold."""
        if isinstance(rating.value, bool):
            return rating.value
        if threshold is None:
            why = f"rates with the number {rating.value:g}; give threshold=…, from which on"
            raise FormatError(self._path, f"label {label_id!r}", f"{why} it is good")
        return rating.value >= threshold

    def bad(self, key: str, why: str) -> FormatError:
        """The error about an item that cannot be written."""
        return FormatError(self._path, f"image {key!r}", f"{why}; mend the item or leave it out")

    def _list(self, key: str) -> list[Any]:
        found = self._answers[key]
        return list(found) if isinstance(found, (list, tuple, np.ndarray)) else []

    def _words(self, words: Any, key: str, role: str) -> Words:
        if isinstance(words, str):
            return [{"role": role, "content": words}] if self._chat else words
        try:
            messages: Any = plain(list(words))
        except (TypeError, ValueError) as error:
            raise self.bad(key, f"{words!r:.60} is no text and no list of messages") from error
        if not _is_chat(messages):
            raise self.bad(key, f"{words!r:.60} is no list of dicts with role and content")
        return list(messages)


def _is_chat(words: Any) -> bool:
    return (
        isinstance(words, (list, tuple))
        and bool(words)
        and all(
            isinstance(message, dict) and isinstance(message.get("role"), str) for message in words
        )
    )


def items_of(
    dataset: Dataset, kinds: Sequence[str], path: Path, *, criterion: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The items that are written and the labels of the kinds on them, of one criterion.

    Raises
    ------
    FormatError
        If there are several criteria and none is asked for.
    """
    labels = dataset.labels[dataset.labels["kind"].isin(list(kinds))]
    names = labels["label"].astype(object).where(labels["label"].notna(), None)
    found = list(dict.fromkeys(names))
    if criterion is not None or len(found) > 1:
        if criterion not in found:
            known = ", ".join(map(repr, found)) or "none"
            raise FormatError(path, "", f"say which criterion with criterion=…; there are {known}")
        labels = labels[[name == criterion for name in names]]
    return dataset.images[dataset.images.index.isin(labels["image"].unique())], labels


def write_lines(
    dataset: Dataset,
    images: pd.DataFrame,
    labels: pd.DataFrame,
    lines: list[Line],
    path: Path,
    name: str,
    *,
    split: Split,
    seed: int,
    by: str | None,
    extras: bool,
    overwrite: bool,
    lost: dict[str, int],
    notes: Iterable[str] = (),
) -> WriteReport:
    """Write the rows: one file, or one for each split in a folder.

    Parameters
    ----------
    dataset
        All there is.
    images, labels
        The items and labels that are written.
    lines
        The rows.
    path
        A name that ends in .jsonl, or a folder.
    name
        The format's.
    split, seed, by, extras, overwrite
        As in the writers.
    lost, notes
        Of the report.
    """
    kept = (*LABEL_EXTRAS, "attributes", "source")
    kinds = labels["kind"].astype(object).unique().tolist()
    lost = losses(
        dataset, images, labels, "TRL", kinds=kinds,
        label_columns=kept if extras else (), image_columns=IMAGE_EXTRAS if extras else ("split",),
    ) | lost  # fmt: skip
    own = images.columns.difference([*IMAGE_DTYPES, PROMPT, ANSWERS], sort=False).tolist()
    for column in (PROMPT, ANSWERS, *(own if extras else ())):
        lost.pop(f"images' column {column!r}", None)
    lost.pop("images not reviewed", None)
    lost.pop("labels on images not reviewed", None)
    rest = len(dataset.labels) - len(labels)
    if rest:
        lost["labels of other kinds or criteria"] = rest
    side: dict[str, Any] = {}
    if extras:
        side = {"labels": _labels(labels, path), "items": _items(images, own, path)}
    if path.suffix.lower() == ".jsonl":
        if split is not None:
            raise FormatError(path, "", "one file has no splits; give the name of a folder")
        write_atomic(path, [encoded(line.row, path) + b"\n" for line in lines])
        side["lines"] = {path.name: [line.own for line in lines]}
        if extras:
            content = {"version": 1, "format": name, "schema": dataset.schema.to_dict()} | side
            write_atomic(beside(path), json.dumps(content).encode())
    else:
        refuse_other_export(path, name)
        splits = split_names(dataset, images, split, seed=seed, by=by, path=path)
        of = dict(zip(images.index, splits if splits is not None else ["train"] * len(images),
                      strict=True))  # fmt: skip
        files = {f"{FILES[part]}.jsonl": [line for line in lines if of[line.item] == part]
                 for part in SPLITS if part == "train" or part in of.values()}  # fmt: skip
        owned = [f"{file}.jsonl" for file in FILES.values()]
        with new_folder(path, owned, SIDE_FILE, overwrite=overwrite) as out:
            for file, part in files.items():
                (out / file).write_bytes(b"".join(encoded(i.row, path) + b"\n" for i in part))
            side["lines"] = {file: [line.own for line in part] for file, part in files.items()}
            write_side(out, name, dataset.schema, keys={}, names={}, **(side if extras else {}))
    return WriteReport(path, len(images), len(labels), lost, tuple(notes))


def _labels(labels: pd.DataFrame, path: Path) -> dict[str, Any]:
    names = labels["label"].astype(object).where(labels["label"].notna(), None)
    rows = zip(labels.index, labels["image"], names, label_extras(labels),
               plain_column(labels["geometry"], path), plain_column(labels["attributes"], path),
               strict=True)  # fmt: skip
    return {
        str(label_id): {"image": key, "label": name, "geometry": shape, "attributes": more} | own
        for label_id, key, name, own, shape, more in rows
    }


def _items(images: pd.DataFrame, own: list[str], path: Path) -> dict[str, Any]:
    rows = zip(images.index, image_extras(images), present(images, own), strict=True)
    try:
        found = {str(key): row | ({"more": plain(more)} if more else {}) for key, row, more in rows}
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FormatError(
            path, f"columns {', '.join(own)}", f"{error}; drop the column, or give extras=False"
        ) from error
    return found


def beside(path: Path) -> Path:
    """The file that has what is ours of a single file."""
    return path.with_name(f"{path.stem}.{SIDE_FILE}")

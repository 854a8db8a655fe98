"""TRL's unpaired preference data: a prompt, an answer, and whether it is good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from nbannotate.core.answers import rating_of
from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.one_file import attributes_of
from nbannotate.formats.shared.tables import OnError, Problems, Split, count_lost
from nbannotate.formats.trl.reading import Coming, has_columns, put
from nbannotate.formats.trl.writing import Items, Line, Words, items_of, write_lines

_NAME = "trl_unpaired"


class _Row(msgspec.Struct):
    completion: Words
    label: bool
    prompt: Words | None = None


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    threshold: float | None = None,
    criterion: str | None = None,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    extras: bool = True,
    overwrite: bool = False,
) -> WriteReport:
    """Write rated answers for TRL's KTO and other trainers.

    Parameters
    ----------
    dataset
        What to write: labels of the kind ``rating`` of whole answers (see
        `nbannotate.core.answers`), each a row.
    path
        A name that ends in .jsonl, or a folder for ``train.jsonl`` and those of other splits.
    threshold
        From which number on an answer is good; needed if ratings are numbers.
    criterion
        Which ratings to write if there are several criteria.
    split
        Fractions of train, val and test, by item. None: the splits in ``dataset.images``.
    seed, by
        As in `Dataset.split`.
    extras
        Whether who, when, ids and the scheme go into ``nbannotate.json`` beside it.
    overwrite
        Whether to replace an earlier export in the folder.

    Raises
    ------
    FormatError
        If an item has no such answer, a threshold is needed, or the criterion is not clear.
    """
    path = Path(path)
    images, labels = items_of(dataset, ("rating",), path, criterion=criterion)
    items, lines, lost = Items(images, path), [], dict[str, int]()
    numbers = steps = 0
    for label_id, key, shape in zip(labels.index, labels["image"], labels["geometry"], strict=True):
        answers = items.answers(key)
        rating = items.said(key, label_id, rating_of, shape)
        if rating.step is not None:
            steps += 1
            continue
        if rating.answer >= len(answers):
            raise items.bad(key, f"has {len(answers)} answers, and no number {rating.answer}")
        good = items.is_good(label_id, rating, threshold)
        numbers += not isinstance(rating.value, bool)
        row = items.prompt(key) | {"completion": answers[rating.answer], "label": good}
        lines.append(Line(key, row, [key, str(label_id)]))
    count_lost(lost, "ratings of steps", steps)
    if not extras:
        count_lost(lost, "ratings as numbers (written as good or not)", numbers)
    good_ones = sum(line.row["label"] for line in lines)
    return write_lines(
        dataset, images, labels, lines, path, _NAME, split=split, seed=seed, by=by,
        extras=extras, overwrite=overwrite, lost=lost,
        notes=[f"{good_ones} answers are good, {len(lines) - good_ones} are not"],
    )  # fmt: skip


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read rated answers.

    Each row is an item with one answer and its rating, unless our own writer put aside which rows
    are of one item. Other columns are columns of the images.

    Parameters
    ----------
    path
        The file, or a folder of them.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.

    Raises
    ------
    FormatError
        Naming the file, the line and the mend.
    """
    path = Path(path)
    coming = Coming(path, _NAME, Problems(path, on_error))
    with blamed(path):
        for found in coming.found(_Row):
            row: _Row = found.row
            own = _known(coming, found.own)
            key = found.key if own is None else own["image"]
            shape: dict[str, Any] = {"answer": 0} if own is None else dict(own["geometry"])
            answers = coming.item(key, found, row.prompt)
            put(answers, shape.get("answer", 0), row.completion)
            # A number stays one; whether the answer is good may have been changed since.
            if own is None or isinstance(shape["value"], bool):
                shape["value"] = row.label
            own = own or {}
            coming.rows.add(key, "rating", own.get("label"), geometry=shape,
                            attributes=attributes_of(own), own=own)  # fmt: skip
        return coming.dataset()


def _known(coming: Coming, own: list[Any] | None) -> dict[str, Any] | None:
    """What our writer put aside of a row's label, if it is whole."""
    if own is None or len(own) != 2 or not isinstance(own[1], str):
        return None
    label = coming.label(own[1])
    try:
        rating_of(label.get("geometry"))
    except ValueError:
        return None
    return label if label.get("image") == own[0] and isinstance(own[0], str) else None


def sniff(path: Path) -> bool:
    """Whether the first row has an answer and its label."""
    return has_columns(path, ("completion", "label"))


FORMAT = Format(
    name=_NAME,
    kinds=("rating",),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="ratings other than good or not; other kinds of labels",
)

"""TRL's preference data: a prompt, the answer that was chosen, and one that was rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from nbannotate.core.answers import pairs_of, ranks_of
from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.one_file import attributes_of
from nbannotate.formats.shared.tables import OnError, Problems, Split, count_lost
from nbannotate.formats.trl.reading import Coming, has_columns, put
from nbannotate.formats.trl.writing import Items, Line, Words, items_of, write_lines

_NAME = "trl_preference"


class _Row(msgspec.Struct):
    chosen: Words
    rejected: Words
    prompt: Words | None = None


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    criterion: str | None = None,
    most: int | None = None,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    extras: bool = True,
    overwrite: bool = False,
) -> WriteReport:
    """Write preference pairs for TRL's DPO, reward and other trainers.

    Parameters
    ----------
    dataset
        What to write: labels of the kind ``choice`` on items with ``prompt`` and ``answers`` (see
        `nbannotate.core.answers`). Each pair of a better and a worse answer is a row; ties are
        none, and are counted.
    path
        A name that ends in .jsonl, or a folder for ``train.jsonl`` and those of other splits.
    criterion
        Which choices to write if there are several criteria.
    most
        How many pairs of one ranking are written, those the widest apart first; None: all.
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
        If an item has no answers, ranks are none of its answers, or the criterion is not clear.
    """
    path = Path(path)
    images, labels = items_of(dataset, ("choice",), path, criterion=criterion)
    items, lines, lost = Items(images, path), [], dict[str, int]()
    for label_id, key, shape in zip(labels.index, labels["image"], labels["geometry"], strict=True):
        answers = items.answers(key)
        ranks = items.said(key, label_id, ranks_of, shape)
        if len(ranks) != len(answers):
            raise items.bad(key, f"has {len(answers)} answers, and {len(ranks)} ranks")
        pairs = pairs_of(ranks)
        tied = len(ranks) * (len(ranks) - 1) // 2 - len(pairs)
        count_lost(lost, "pairs of answers that are tied", tied)
        if most is not None:
            count_lost(lost, "pairs over the most of a ranking", max(0, len(pairs) - most))
        for better, worse in pairs[:most]:
            row = items.prompt(key) | {"chosen": answers[better], "rejected": answers[worse]}
            lines.append(Line(key, row, [key, str(label_id), better, worse]))
    return write_lines(
        dataset, images, labels, lines, path, _NAME, split=split, seed=seed, by=by,
        extras=extras, overwrite=overwrite, lost=lost, notes=[f"{len(lines)} pairs"],
    )  # fmt: skip


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read preference pairs.

    Each row is an item with two answers, the chosen one first, and one choice, unless our own
    writer put aside which rows are of one ranking. Other columns are columns of the images.

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
        added: set[str] = set()
        for found in coming.found(_Row):
            row: _Row = found.row
            if found.own is not None and _known(coming, found.own):
                key, label_id, better, worse = found.own
                answers = coming.item(key, found, row.prompt)
                put(answers, better, row.chosen)
                put(answers, worse, row.rejected)
                own: dict[str, Any] = coming.label(label_id)
                if label_id not in added:
                    added.add(label_id)
                    coming.rows.add(key, "choice", own.get("label"), geometry=own["geometry"],
                                    attributes=attributes_of(own), own=own)  # fmt: skip
                continue
            answers = coming.item(found.key, found, row.prompt)
            answers += [row.chosen, row.rejected]
            coming.rows.add(found.key, "choice", None, geometry={"ranks": [1, 2]})
        return coming.dataset()


def _known(coming: Coming, own: list[Any]) -> bool:
    """Whether what our writer said of a row is whole, and says what the row does."""
    if len(own) != 4 or not all(isinstance(value, str) for value in own[:2]):
        return False
    try:
        ranks = ranks_of(coming.label(own[1]).get("geometry"))
        return (own[2], own[3]) in pairs_of(ranks) and coming.label(own[1])["image"] == own[0]
    except (ValueError, TypeError, KeyError):
        return False


def sniff(path: Path) -> bool:
    """Whether the first row has a chosen and a rejected answer."""
    return has_columns(path, ("chosen", "rejected"))


FORMAT = Format(
    name=_NAME,
    kinds=("choice",),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="ties; how far answers are apart; other kinds of labels",
)

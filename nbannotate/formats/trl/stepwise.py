"""TRL's stepwise supervision: a prompt, the steps of an answer, and whether each is right."""

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
from nbannotate.formats.trl.reading import Coming, has_columns
from nbannotate.formats.trl.writing import Items, Line, items_of, write_lines

_NAME = "trl_stepwise"


class _Row(msgspec.Struct):
    completions: list[str]
    labels: list[bool]
    prompt: str | None = None


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
    """Write rated steps for TRL's process reward models.

    Parameters
    ----------
    dataset
        What to write: labels of the kind ``rating`` of steps (see `nbannotate.core.answers`). The
        first of an item's answers is a list of steps, or a text with one a line. Each item and
        annotator is a row, with the steps up to the first that is not rated.
    path
        A name that ends in .jsonl, or a folder for ``train.jsonl`` and those of other splits.
    threshold
        From which number on a step is right; needed if ratings are numbers.
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
        If an item has no such step, a threshold is needed, or the criterion is not clear.
    """
    path = Path(path)
    images, labels = items_of(dataset, ("rating",), path, criterion=criterion)
    items, lines, lost = Items(images, path), [], dict[str, int]()
    whole = 0
    rated: dict[tuple[str, Any], dict[int, tuple[str, bool]]] = {}
    for label_id, key, shape, who in zip(
        labels.index, labels["image"], labels["geometry"],
        labels["annotator"].astype(object).where(labels["annotator"].notna(), None), strict=True,
    ):  # fmt: skip
        rating = items.said(key, label_id, rating_of, shape)
        if rating.step is None or rating.answer:
            whole += 1
            continue
        right = items.is_good(label_id, rating, threshold)
        if rating.step >= len(items.steps(key)):
            raise items.bad(key, f"has {len(items.steps(key))} steps, and no number {rating.step}")
        steps = rated.setdefault((key, who), {})
        count_lost(lost, "steps that are rated twice", rating.step in steps)
        steps[rating.step] = (str(label_id), right)
    count_lost(lost, "ratings other than of the first answer's steps", whole)
    for (key, _), found in rated.items():
        count = next(step for step in range(len(found) + 1) if step not in found)
        count_lost(lost, "rated steps after one that is not", len(found) - count)
        if count:
            row = items.prompt(key) | {
                "completions": items.steps(key)[:count],
                "labels": [found[step][1] for step in range(count)],
            }
            count_lost(lost, "steps that are not rated", len(items.steps(key)) - count)
            lines.append(Line(key, row, [key, *(found[step][0] for step in range(count))]))
    return write_lines(
        dataset, images, labels, lines, path, _NAME, split=split, seed=seed, by=by,
        extras=extras, overwrite=overwrite, lost=lost,
    )  # fmt: skip


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read rated steps.

    Each row is an item whose one answer is a list of steps, with a rating of each. Other columns
    are columns of the images.

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
            if len(row.completions) != len(row.labels):
                why = f"has {len(row.completions)} completions and {len(row.labels)} labels"
                coming.problems.add(found.where, f"{why}; give one for each", found.file)
                continue
            ours = _known(coming, found.own, len(row.labels))
            key = str(found.own[0]) if found.own and ours is not None else found.key
            answers = coming.item(key, found, row.prompt)
            if not answers or len(answers[0]) < len(row.completions):
                answers[:] = [row.completions]
            for step, right in enumerate(row.labels):
                own = {} if ours is None else ours[step]
                shape = dict(own["geometry"]) if own else {"answer": 0, "step": step}
                if not own or isinstance(shape["value"], bool):
                    shape["value"] = right
                coming.rows.add(key, "rating", own.get("label"), geometry=shape,
                                attributes=attributes_of(own), own=own)  # fmt: skip
        return coming.dataset()


def _known(coming: Coming, own: list[Any] | None, count: int) -> list[dict[str, Any]] | None:
    """What our writer put aside of a row's labels, if it is whole."""
    if own is None or len(own) != count + 1 or not all(isinstance(value, str) for value in own):
        return None
    labels = [coming.label(label_id) for label_id in own[1:]]
    try:
        steps = [rating_of(label.get("geometry")).step for label in labels]
    except ValueError:
        return None
    same = all(label.get("image") == own[0] for label in labels)
    return labels if same and steps == list(range(count)) else None


def sniff(path: Path) -> bool:
    """Whether the first row has steps and their labels."""
    return has_columns(path, ("completions", "labels"), without=("image",))


FORMAT = Format(
    name=_NAME,
    kinds=("rating",),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="ratings other than right or wrong, and those after one that lacks; other kinds",
)

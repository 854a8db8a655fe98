"""Images divided into train, val and test: stable, by group, and stratified where asked.

Without strata an image's split depends on a hash of its group alone, so that it keeps it when
others come or go. Strata follow K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the stratification of
multi-label data" (ECML PKDD 2011): the rarest class is dealt out first, each time to the split
that lacks it most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.disjoint import DisjointSets
from nbannotate.errors import LabelError

SPLITS = ("train", "val", "test")

Fractions = Mapping[str, float]


def fractions_of(values: Sequence[float]) -> dict[str, float]:
    """The fraction of each split that is not empty; `LabelError` if they do not sum up to 1."""
    numbers = tuple(float(value) for value in values)
    if not 1 <= len(numbers) <= 3 or abs(sum(numbers) - 1) > 1e-6 or min(numbers) < 0:
        raise LabelError(
            f"split fractions {tuple(values)} are not 1 to 3 parts of 1; try (.8, .1, .1)"
        )
    named = zip(SPLITS, numbers, strict=False)
    return {name: number for name, number in named if number > 0}


def grouped(images: pd.DataFrame, by: Any) -> pd.Series[str]:
    """The group of each image: images that share any of the columns' values are in one.

    Parameters
    ----------
    images
        The images table.
    by
        None: each image is its own group. Name of a column, or a Series by image key, or a list
        of those; where one has no value for an image it joins it with none.

    Raises
    ------
    LabelError
        If there is no such column, or a Series knows none of the images.
    """
    keys = images.index.to_series().astype("string")
    if by is None:
        return keys
    parts = by if isinstance(by, list | tuple) else [by]
    columns = [_column(images, part) for part in parts]
    if len(columns) == 1:
        alone: pd.Series[str] = columns[0].fillna(keys)
        return alone
    sets = DisjointSets(len(keys))
    for column in columns:
        places: dict[str, int] = {}
        for place, value in enumerate(column.tolist()):
            if pd.notna(value):
                sets.join(place, places.setdefault(value, place))
    # A group is known by the first of its images by name, whatever the order of the table.
    names: dict[int, str] = {}
    firsts = sets.firsts()
    for first, key in zip(firsts, keys.tolist(), strict=True):
        names[first] = min(key, names.get(first, key))
    return pd.Series([names[first] for first in firsts], keys.index, dtype="string")


def _column(images: pd.DataFrame, part: Any) -> pd.Series[str]:
    if isinstance(part, pd.Series):
        given = part.reindex(images.index)
        if len(images) and given.isna().all():
            raise LabelError(
                "by= has a Series that knows none of the images; its index is to be their keys"
            )
        return given.astype("string")
    if part not in images:
        raise LabelError(
            f"by={part!r} is no column of the images; there are {', '.join(images.columns)}"
        )
    found: pd.Series[str] = images[part].astype("string")
    return found


def split_by_hash(groups: Iterable[str], fractions: Fractions, seed: int) -> dict[str, str]:
    """The split of each group, by a hash of its name; one that would be empty gets the nearest."""
    places = {group: _place(seed, group) for group in groups}
    names: dict[str, str] = {}
    for group, place in places.items():
        edge = 0.0
        names[group] = list(fractions)[-1]
        for name, fraction in fractions.items():
            edge += fraction
            if place < edge:
                names[group] = name
                break
    for name in fractions:
        sizes = {w: sum(1 for n in names.values() if n == w) for w in fractions}
        fullest = max(fractions, key=lambda w: sizes[w])
        if sizes[name] == 0 and sizes[fullest] > 1:
            # The group nearest to the next split moves, so that the choice is stable too.
            moved = max((g for g in names if names[g] == fullest), key=lambda g: places[g])
            names[moved] = name
    return names


def split_stratified(
    groups: Sequence[str],
    counts: NDArray[np.int64],
    fractions: Fractions,
    seed: int,
    given: Mapping[str, str],
) -> dict[str, str]:
    """The split of each group, such that each class is divided as the fractions are.

    Parameters
    ----------
    groups
        Their names, each once.
    counts
        How many images of each group bear each class, shape (groups, classes). A last column
        should count its images.
    fractions
        Of each split.
    seed
        Decides between groups and splits that are equally good.
    given
        Splits that some groups have already, and keep.
    """
    splits = list(fractions)
    share = np.array([fractions[name] for name in splits])
    wanted = share[:, None] * counts.sum(axis=0, dtype=np.float64)  # (splits, classes)
    found = {group: given[group] for group in groups if given.get(group) in fractions}
    left = counts.astype(np.int64).copy()
    for place, group in enumerate(groups):
        if group in found:
            wanted[splits.index(found[group])] -= counts[place]
            left[place] = 0
    order = np.argsort([_place(seed, group) for group in groups], kind="stable")
    members = [order[counts[order, column] > 0] for column in range(counts.shape[1])]
    remaining = left.sum(axis=0)
    while (remaining > 0).any():
        rarest = int(np.where(remaining > 0, remaining, np.iinfo(np.int64).max).argmin())
        # The largest groups first: the small ones then even out what they leave uneven.
        rows = [row for row in members[rarest] if left[row, rarest] > 0]
        for row in sorted(rows, key=lambda row: -int(left[row, rarest])):
            group = groups[row]
            lacks = zip(wanted[:, rarest], wanted[:, -1], strict=True)
            ties = [(*lack, _place(seed, f"{splits[n]} {group}")) for n, lack in enumerate(lacks)]
            best = ties.index(max(ties))
            found[group] = splits[best]
            wanted[best] -= counts[row]
            remaining -= left[row]
            left[row] = 0
    return found


def classes_of(
    images: pd.Index[str], labels: pd.DataFrame, strata: pd.Series[Any] | None
) -> NDArray[np.int64]:
    """Which image bears which class, tag or value of a column; shape (images, classes + 1).

    The last column is 1 for every image, and images without any label have one of their own.
    """
    if strata is None:
        rows = images.get_indexer(pd.Index(labels["image"]))
        kinds = labels["kind"].astype(object) + "\0" + labels["label"].astype(object).fillna("")
        codes, names = pd.factorize(kinds.to_numpy(dtype=object), sort=True)
    else:
        rows = np.arange(len(images))
        codes, names = pd.factorize(strata.astype("string").fillna("").to_numpy(object), sort=True)
    counts = np.zeros((len(images), len(names) + 2), dtype=np.int64)
    counts[rows, codes] = 1
    counts[:, -2] = counts[:, :-2].sum(axis=1) == 0
    counts[:, -1] = 1
    return counts


def _place(seed: int, group: str) -> float:
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64

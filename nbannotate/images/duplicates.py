"""Images that show nearly the same, found by a perceptual hash.

A picture is made small and gray; which of its 64 lowest frequencies (discrete cosine transform)
are above their median is a hash that scaling, compression and brightness hardly change (C. Zauner,
"Implementation and benchmarking of perceptual image hash functions", 2010). Pictures whose hashes
differ in few bits are compared once more by their small copies, so that plain areas of any gray do
not pass for each other.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from nbannotate.core.dataset import Dataset
from nbannotate.core.disjoint import DisjointSets
from nbannotate.errors import ImageError
from nbannotate.images.decoding import MAX_PIXELS, check_pixels, decode, open_header
from nbannotate.images.sources import Images, ImageSource, open_source

DISTANCE = 6
"""Bits of 64 in which the hashes of near-duplicates may differ."""

_SIDE, _LOW = 32, 8
_BANDS = 8  # parts of a hash: two that differ in fewer bits than this have one part in common
_LEAST_CORRELATION = 0.95
_PLAIN = 2.0  # gray levels: under this standard deviation a picture is plain
_ALIKE = 8.0  # gray levels that two plain pictures may differ in

_Print = tuple[int, NDArray[np.float32]]


def near_duplicates(
    images: Images | Dataset, *, distance: int = DISTANCE, executor: Executor | None = None
) -> pd.Series[str]:
    """Which images show nearly the same, to be kept on one side of a split.

    Parameters
    ----------
    images
        Anything that an annotator takes, or a dataset, whose images table has the paths.
    distance
        Bits of 64 in which the hashes of two near-duplicates may differ, from 0 to 7. Chains are
        followed: frames of one slow shot are one group, though its ends differ more.
    executor
        Where the pictures are read and hashed; None: on threads of this process.

    Returns
    -------
    By image key the name of its group, which is the first of its images; NA where an image has
    no near-duplicate. Images that cannot be read are named in a warning, and have none.

    Examples
    --------
    >>> dataset.split(by=nba.near_duplicates(dataset))  # doctest: +SKIP
    """
    if not 0 <= distance < _BANDS:
        raise ImageError(f"distance={distance} is not from 0 to {_BANDS - 1} bits")
    source = _source(images)
    keys = list(source.keys)
    read = partial(_print_of, source)
    if executor is None:
        with ThreadPoolExecutor() as threads:
            prints = list(threads.map(read, keys))
    else:
        prints = list(executor.map(read, keys))
    good = [place for place, found in enumerate(prints) if not isinstance(found, str)]
    bad = [found for found in prints if isinstance(found, str)]
    if bad:
        warnings.warn(f"{len(bad)} images cannot be compared; the first: {bad[0]}", stacklevel=2)
    names = _groups([print_ for print_ in prints if not isinstance(print_, str)], distance)
    found = pd.Series(pd.NA, index=pd.Index(keys, name="image"), dtype="string")
    for place, first in names.items():
        found.iloc[good[place]] = keys[good[first]]
    return found


def _source(images: Images | Dataset) -> ImageSource:
    if not isinstance(images, Dataset):
        return open_source(images)
    paths = images.images["path"].fillna(images.images.index.to_series())
    return open_source({str(key): str(path) for key, path in paths.items()})


def _print_of(source: ImageSource, key: str) -> _Print | str:
    """The hash and the small copy of an image; or why it has none."""
    try:
        raw = source.load(key)
        header = open_header(raw, key)
        check_pixels(*header.size, key, MAX_PIXELS)
        header.draft("L", (_SIDE * 2, _SIDE * 2))  # a JPEG is decoded small
        small = decode(header, raw, key).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except ImageError as error:
        return str(error)
    pixels = np.asarray(small, dtype=np.float32)
    low = (_COSINES @ pixels @ _COSINES.T)[:_LOW, :_LOW].ravel()
    # The first is the mean brightness. Of a plain picture the others are rounding errors.
    bits = (low[1:] > np.median(low[1:])) & (pixels.std() >= _PLAIN)
    number = int.from_bytes(np.packbits(np.append(bits, False)).tobytes())
    return number, pixels.reshape(_LOW * 2, 2, _LOW * 2, 2).mean(axis=(1, 3)).ravel()


def _cosines() -> NDArray[np.float32]:
    """The matrix of the discrete cosine transform (type II) of 32 values."""
    place = np.arange(_SIDE)
    return np.cos(np.pi * (2 * place[None, :] + 1) * place[:, None] / (2 * _SIDE)).astype(
        np.float32
    )


_COSINES = _cosines()


def _groups(prints: list[_Print], distance: int) -> dict[int, int]:
    """The first of its group for each place that has near-duplicates."""
    sets = DisjointSets(len(prints))
    small = np.array([copy for _, copy in prints]).reshape(len(prints), (_LOW * 2) ** 2)
    hashes = np.array([number for number, _ in prints], dtype=np.uint64)
    for one, others in _candidates(hashes, distance):
        for other in others[_are_alike(small[one], small[others])].tolist():
            sets.join(one, other)
    firsts = sets.firsts()
    sizes = Counter(firsts)
    return {place: first for place, first in enumerate(firsts) if sizes[first] > 1}


def _candidates(
    hashes: NDArray[np.uint64], distance: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Places, each with later ones whose hashes are as near."""
    for band in range(_BANDS):
        part = (hashes >> np.uint64(8 * band)) & np.uint64(0xFF)
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=np.uint64(0x100)))
        for bucket in np.split(order, starts[1:]):
            for place in range(len(bucket) - 1):
                one, others = int(bucket[place]), bucket[place + 1 :]
                near = np.bitwise_count(hashes[others] ^ hashes[one]) <= distance
                if near.any():
                    yield one, others[near]


def _are_alike(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether small copies show the same, but for brightness and contrast."""
    centered, rest = one - one.mean(), others - others.mean(axis=1, keepdims=True)
    spread, spreads = centered.std(), rest.std(axis=1)
    if spread < _PLAIN:
        is_near = np.abs(others.mean(axis=1) - one.mean()) < _ALIKE
        return np.asarray((spreads < _PLAIN) & is_near, dtype=np.bool_)
    correlation = (rest @ centered) / (len(one) * spread * np.maximum(spreads, 1e-6))
    return np.asarray(correlation >= _LEAST_CORRELATION, dtype=np.bool_)

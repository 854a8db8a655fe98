"""Images of a store found again among files that were renamed, moved or changed, by their content.

Nothing here reads files or a store: `match` says what goes where, `Reconciliation` what came of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import pandas as pd

from nbannotate.errors import ImageError

_SHOWN = 3
_SORTS = (
    "moved",
    "changed",
    "missing",
    "set_aside",
    "ambiguous",
    "occupied",
    "unreadable",
    "recorded",
)


class Known(NamedTuple):
    """What a store knows of an image's file.

    Parameters
    ----------
    path
        Where it was when something was last said of it.
    width, height
        Of the upright image in pixels.
    bytes, hash
        Its content, as `nbannotate.images.identity` has it; None if that was never recorded.
    is_idle
        Whether nothing is said of it that could be lost: no label, nor status, nor note.
    """

    path: str | None
    width: int | None
    height: int | None
    bytes: int | None
    hash: str | None
    is_idle: bool


@dataclass(frozen=True)
class Matches:
    """What is to be done with the images of a store.

    Parameters
    ----------
    moves
        Old key to new key of all rows that go elsewhere, those of which nothing is said too.
    moved, set_aside, occupied, ambiguous, changed, missing
        As in `Reconciliation`.
    """

    moves: Mapping[str, str]
    moved: Mapping[str, str]
    set_aside: Mapping[str, str]
    occupied: Mapping[str, str]
    ambiguous: Mapping[str, tuple[str, ...]]
    changed: tuple[str, ...]
    missing: tuple[str, ...]


def match(
    known: Mapping[str, Known],
    contents: Mapping[str, str | None],
    has: Callable[[str], bool],
    path: Callable[[str], str | None],
    choose: Mapping[str, str],
) -> Matches:
    """Find the images of a store by their content.

    Parameters
    ----------
    known
        The images of the store.
    contents
        Hash of images of the source as they are now; None where it is none that is looked for.
        Of those that are left out it is not known.
    has
        Whether the source has an image of this key.
    path
        Where an image of the source is.
    choose
        Which place of several an image is to go to.
    """
    places: dict[str, list[str]] = defaultdict(list)
    for key, content in contents.items():
        if content is not None:
            places[content].append(key)
    lost: dict[str, list[str]] = defaultdict(list)  # by content, those that are not at their place
    missing: set[str] = set()
    for key, one in known.items():
        is_here = has(key) and (one.hash is None or contents.get(key, one.hash) == one.hash)
        if one.is_idle or is_here:
            continue
        if one.hash is not None:
            lost[one.hash].append(key)
        else:
            missing.add(key)
    adrift = {key for keys in lost.values() for key in keys}
    moved: dict[str, str] = {}
    occupied: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    for content, keys in lost.items():
        found = places.get(content, [])
        free = [key for key in found if key not in known or known[key].is_idle or key in adrift]
        pairs = _pairs(keys, free, known, path, choose)
        moved |= pairs
        taken = set(pairs.values())
        left = tuple(place for place in free if place not in taken)
        for key in keys:
            if key in pairs:
                continue
            if left:
                ambiguous[key] = left
            elif found and not has(key):
                occupied[key] = found[0]
    _refuse_unfit(choose, moved)
    set_aside: dict[str, str] = {}
    while kept := [
        key
        for key, place in moved.items()
        if place in known
        and not known[place].is_idle
        and place not in moved
        and place not in set_aside
    ]:
        for key in kept:
            place = moved[key]
            if place in adrift and place not in occupied and place not in ambiguous:
                set_aside[place] = _aside(place, known, has)
            else:
                occupied[key] = moved.pop(key)
    stay = adrift - moved.keys() - set_aside.keys()
    missing |= {k for k in stay - occupied.keys() - ambiguous.keys() if not has(k)}
    missing |= set_aside.keys()
    return Matches(
        {**moved, **set_aside, **_displaced(moved, set_aside, known)},
        moved,
        set_aside,
        occupied,
        ambiguous,
        tuple(key for key in known if key in stay and has(key)),
        tuple(key for key in known if key in missing),
    )


def _pairs(
    keys: Sequence[str],
    places: Sequence[str],
    known: Mapping[str, Known],
    path: Callable[[str], str | None],
    choose: Mapping[str, str],
) -> dict[str, str]:
    """Which of several images of equal content went to which of several places, if it is plain."""
    pairs: dict[str, str] = {}
    left = set(places)
    for key in choose.keys() & set(keys):
        if choose[key] in left:
            pairs[key] = choose[key]
            left.remove(choose[key])
    traits: list[tuple[Callable[[str], object], Callable[[str], object]]] = [
        (lambda key: known[key].path, path),  # the same file, of a folder opened further up or down
        (_name, _name),  # moved to another folder, and copied under another name
        (lambda key: "", lambda place: ""),  # the only one that is left
    ]
    for old, new in traits:
        by_trait: dict[object, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for key in keys:
            if key not in pairs:
                by_trait[old(key)][0].append(key)
        for place in places:
            if place in left:
                by_trait[new(place)][1].append(place)
        for trait, (olds, news) in by_trait.items():
            if trait is not None and len(olds) == len(news) == 1:
                pairs[olds[0]] = news[0]
                left.remove(news[0])
    return pairs


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _aside(key: str, known: Mapping[str, Known], has: Callable[[str], bool]) -> str:
    """A key for an image whose file is nowhere, while another has got its name."""
    names = (f"missing{'' if number == 1 else f'-{number}'}/{key}" for number in count(1))
    return next(name for name in names if name not in known and not has(name))


def _displaced(
    moved: Mapping[str, str], set_aside: Mapping[str, str], known: Mapping[str, Known]
) -> dict[str, str]:
    """Where rows of which nothing is said go, to make way: to the key that became free."""
    back = {place: key for key, place in moved.items()}
    found = {}
    for place in back:
        if place in known and place not in moved and place not in set_aside:
            free = place
            while free in back:
                free = back[free]
            found[place] = free
    return found


def _refuse_unfit(choose: Mapping[str, str], moved: Mapping[str, str]) -> None:
    for key, place in choose.items():
        if moved.get(key) != place:
            raise ImageError(
                f"choose: {key!r} cannot go to {place!r}; reconcile(dry_run=True).ambiguous lists "
                "the images that are to be chosen for, and their places"
            )


@dataclass(frozen=True, repr=False)
class Reconciliation:
    """What became of the images of a store; of a dry run, what would become of them.

    Parameters
    ----------
    source
        The images that they were compared with, in words.
    moved
        Old key to new key of images that were found again by their content.
    set_aside
        Old key to new key of images that are missing and whose name another has got: what is said
        of them is kept apart from it.
    changed
        Keys whose file has other content than was recorded.
    missing
        Keys that are not in the source, and whose content is not either.
    ambiguous
        Keys whose content several images of the source have, and these.
    occupied
        Keys whose content is at a key that has labels of its own, and that key. Nothing was
        moved there.
    unreadable
        Keys of images that could not be read, and why.
    recorded
        Keys whose content was not known before, and was recorded.
    same
        Number of images that are as they were.
    accepted
        Whether the new content of those that have changed was recorded.
    dry_run
        Whether nothing was changed.
    batch
        Its number in the history; None if nothing was changed.
    """

    source: str
    moved: Mapping[str, str] = field(default_factory=dict)
    set_aside: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ambiguous: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    occupied: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    recorded: tuple[str, ...] = ()
    same: int = 0
    accepted: bool = False
    dry_run: bool = False
    batch: int | None = None

    @property
    def ok(self) -> bool:
        """Whether each image of the store is in the source under its name, and as it was."""
        left = (self.missing, self.ambiguous, self.occupied, self.unreadable)
        done = not self.dry_run or not self.moved
        return done and not any(left) and (self.accepted or not self.changed)

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are of each sort."""
        return {name: len(keys) for name, keys in self._sorts()} | {"same": self.same}

    @property
    def table(self) -> pd.DataFrame:
        """One row an image: image, what became of it, and where it is or why it is not known."""
        rows = [
            (key, name, _words(keys[key]) if isinstance(keys, Mapping) else None)
            for name, keys in self._sorts()
            for key in keys
        ]
        frame = pd.DataFrame(rows, columns=["image", "what", "to"], dtype="string")
        return frame.set_index("image")

    def __repr__(self) -> str:
        start = "dry run: " if self.dry_run else ""
        lines = [f"{start}{self.source}: {self.same:,} images as they were"]
        for name, keys in self._sorts():
            if keys:
                shown = [_shown(key, keys) for key in list(keys)[:_SHOWN]]
                more = ", …" if len(keys) > _SHOWN else ""
                mend = self._mends().get(name)
                mend = f"; {mend}" if mend else ""
                words = name.replace("_", " ")
                lines.append(f"  {words} {len(keys):,}: {', '.join(shown)}{more}{mend}")
        return "\n".join(lines)

    def _sorts(self) -> list[tuple[str, Mapping[str, Any] | tuple[str, ...]]]:
        return [(name, getattr(self, name)) for name in _SORTS]

    def _mends(self) -> dict[str, str]:
        mends = {
            "set_aside": "another file has the name by now",
            "ambiguous": "choose={old: new} says which it is",
            "occupied": "there are labels of its own, and nothing was moved",
        }
        if not self.accepted:
            mends["changed"] = "accept_changed=True records what they are now"
        return mends


def _shown(key: str, keys: Mapping[str, Any] | tuple[str, ...]) -> str:
    if not isinstance(keys, Mapping):
        return key
    return f"{key} → {_words(keys[key])}"


def _words(to: str | tuple[str, ...]) -> str:
    if isinstance(to, str):
        return to
    shown = [*to[:_SHOWN], *([f"{len(to) - _SHOWN} more"] if len(to) > _SHOWN else [])]
    return " or ".join(shown)

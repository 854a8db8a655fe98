"""Rows of several stores joined into those of one; `nbannotate.store.merging` says by which rules.

A label's edits are a chain. A store whose chain begins with the whole of another's went on from a
copy of it; two chains that part are two labels.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from nbannotate.core.edits import Row
from nbannotate.core.replay import CONTENT, IMAGE_STATE
from nbannotate.store.parts import EMPTY_IMAGE, Part
from nbannotate.store.schemes import Remembered, Schemes

_RANK = ("todo", "skipped", "flagged", "done")
_APART = ("label_id", "image", "updated")
_OPS = ("create", "update", "delete", "image")


@dataclass
class _Batch:
    """A batch of the store, or one that comes to it."""

    number: int  # in the store that it was read from, then here
    time: int = 0  # sorts it: microseconds, never before that which it builds on
    is_applied: bool = False
    reverses: _Batch | None = None
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class _Event:
    """One edit as it is compared: what it did, whatever the label's id."""

    key: str
    batch: _Batch
    store: str


@dataclass(frozen=True)
class _View:
    """An image as one store has it, and the edits that made it so."""

    store: str
    edits: frozenset[str]
    row: Row


class Joining:
    """The rows of a store while others come to it.

    Parameters
    ----------
    target
        The store.
    remembered
        What became of the classes of stores that came to it before.
    """

    def __init__(self, target: Part, remembered: Remembered) -> None:
        self.labels = {key: dict(row) for key, row in target.labels.items()}
        self.images = {key: dict(row) for key, row in target.images.items()}
        self.schemes = Schemes(target.schema, remembered, target.meta.get("schema") or {})
        self.conflicts: list[str] = []
        self._changed: set[str] = set()
        self._chains: dict[str, list[_Event]] = defaultdict(list)
        self._by_first: dict[str, list[str]] = defaultdict(list)
        self._image_events: dict[tuple[str, str], _Event] = {}
        self._views: dict[str, list[_View]] = defaultdict(list)
        self._sizes: dict[str, tuple[tuple[int | None, int | None], str]] = {}
        self._hashes: dict[str, tuple[str | None, str]] = {}
        self._disputed: set[str] = set()  # images of which another store has edits that are new
        self._batches: list[_Batch] = []
        self._latest = 0
        self._last = max((row["batch"] for row in target.history), default=0)
        self._take(target)
        for batch in self._batches:
            batch.is_applied = True  # to the tables; the history may lack it
        self._batches = [batch for batch in self._batches if batch.number > self._last]
        self._disputed.clear()

    def add(self, part: Part) -> None:
        """Take in another store."""
        self._take(part, self.schemes.take(part))

    def finish(self) -> list[Row]:
        """Apply all that is new; returns the rows that the history gets, in order."""
        history: list[Row] = []
        for batch in sorted(self._batches, key=lambda batch: (not batch.is_applied, batch.time)):
            self._last += 1
            batch.number = self._last
            for row in batch.rows:
                history.append({**row, "batch": batch.number})
                history[-1]["reverses"] = batch.reverses.number if batch.reverses else None
                if not batch.is_applied:
                    self._apply(history[-1])
        closing = [row for image in sorted(self._disputed) for row in self._settle(image)]
        closing += self._moved_labels()
        for row in closing:
            self._apply(row)
        self._report_rival_tags()
        return history + closing

    # Which edits are new

    def _take(self, part: Part, ids: dict[int, int] | None = None) -> None:
        rows = [_with_classes(row, ids) for row in part.edits if row["op"] in _OPS]
        keys = _keys(rows)
        chains: dict[str, list[str]] = defaultdict(list)
        images: dict[str, set[str]] = defaultdict(set)
        for row, key in zip(rows, keys, strict=True):
            if row["op"] == "image":
                images[row["image"]].add(key)
            else:
                chains[row["label_id"]].append(key)
        places: dict[str, tuple[str, int]] = {}
        taken: set[str] = set()
        for label_id, chain in chains.items():
            place, known = self._place(label_id, chain, taken)
            places[label_id] = (place, known)
            taken.add(place)
            others = self._chains.get(label_id)
            if others and known == 0:
                self.conflicts.append(
                    f"{part.name}: the label {label_id!r} is not the one that {others[-1].store} "
                    f"has by that id; both are kept, this one as {place!r}"
                )
        for label_id, chain in chains.items():
            if places[label_id][1] == 0:
                self._by_first[chain[0]].append(places[label_id][0])
        for image, edits in images.items():
            view = _View(part.name, frozenset(edits), part.images.get(image, EMPTY_IMAGE))
            self._views[image].append(view)
        self._report_pictures(part)
        self._take_batches(part.name, rows, keys, places)
        self._latest = max([self._latest, *(row["at"] for row in rows)])

    def _place(self, label_id: str, chain: list[str], taken: set[str]) -> tuple[str, int]:
        """The id that a label of a store has here, and how many of its edits are known.

        The same at each merge, so that what got an id of its own is found there again.
        """
        place = label_id
        if place not in self._chains:
            # It may have got its id in a merge, and be here by the one that it had before.
            origins = self._by_first.get(chain[0], [])
            own = (o for o in origins if any(_own_id(o, key) == label_id for key in chain))
            place = next(own, label_id)
        while True:
            known = [event.key for event in self._chains.get(place, ())]
            common = _common(known, chain)
            if place not in taken and common in (len(known), len(chain)):
                return place, common
            place = _own_id(place, chain[min(common, len(chain) - 1)])

    def _take_batches(
        self, store: str, rows: list[Row], keys: list[str], places: dict[str, tuple[str, int]]
    ) -> None:
        batches: dict[int, _Batch] = {}
        edits: Counter[str] = Counter()
        time = 0
        pairs = zip(rows, keys, strict=True)
        for number, group in groupby(pairs, key=lambda pair: int(pair[0]["batch"])):
            batch = _Batch(number)
            for row, key in group:
                batch.reverses = batches.get(row["reverses"] or 0)
                if row["op"] == "image":
                    event = self._image_events.get((row["image"], key))
                    previous = None
                else:
                    place, known = places[row["label_id"]]
                    chain, edit = self._chains[place], edits[row["label_id"]]
                    event = chain[edit] if edit < known else None
                    previous = chain[edit - 1] if edit else None
                    edits[row["label_id"]] += 1
                    row = _with_id(row, place)
                # A clock may have gone back, or the store may itself have come of a merge.
                times = [found.batch.time for found in (event, previous) if found]
                time = max(time, row["at"], *times)
                if event is not None:
                    batches.setdefault(number, event.batch)
                    continue
                event = _Event(key, batch, store)
                if row["op"] == "image":
                    self._image_events[row["image"], key] = event
                    self._disputed.add(row["image"])
                else:
                    chain.append(event)
                batch.rows.append(row)
            if batch.rows:
                batch.time = time
                batches[number] = batch
                self._batches.append(batch)

    # What they come to

    def _apply(self, row: Row) -> None:
        at, after = row["at"], row["after"] or {}
        image = self.images.setdefault(row["image"], {**EMPTY_IMAGE, "image": row["image"]})
        if image["hash"] is not None and row["facts"]:  # what was recorded first stays
            row["facts"] = {k: v for k, v in row["facts"].items() if k not in CONTENT} or None
        image.update(row["facts"] or {}, annotator=row["annotator"], updated=at)
        image["seconds"] += row["seconds"] or 0.0
        if row["op"] == "image":
            # Between the edits of one person there may now be those of another.
            row["before"] = {name: image[name] for name in after}
            image.update(after)
            return
        label_id = row["label_id"]
        self._changed.add(label_id)
        if row["op"] == "delete":
            self.labels.pop(label_id, None)
        else:
            self.labels.setdefault(label_id, {"label_id": label_id}).update(after, updated=at)

    def _settle(self, image: str) -> Iterator[Row]:
        """The edit that makes of the last edit of an image what all stores say of it."""
        views = self._views[image]
        # A copy that went on has all edits of the other, and so the last word.
        last = [
            view
            for place, view in enumerate(views)
            if not any(view.edits < other.edits for other in views)
            and not any(view.edits == other.edits for other in views[:place])
        ]
        wanted = _joined_state([view.row for view in last])
        self._report_views(image, last, wanted)
        row = self.images[image]
        after = {name: value for name, value in wanted.items() if row[name] != value}
        if after:
            yield self._closing("image", image, None, None, after)

    def _moved_labels(self) -> Iterator[Row]:
        """The edits that take labels out of classes that have left the scheme."""
        for label_id in sorted(self._changed & self.labels.keys()):
            row = self.labels[label_id]
            now = self.schemes.moved.get(row["class_id"])
            if now is not None:
                before, after = {"class_id": row["class_id"]}, {"class_id": now}
                yield self._closing("update", row["image"], label_id, before, after)

    def _closing(
        self, op: str, image: str, label_id: str | None, before: Row | None, after: Row
    ) -> Row:
        """A row of the last batch of the history, which is of no annotator."""
        return {
            "batch": self._last + 1,
            "reverses": None,
            "at": self._latest + 1,
            "annotator": None,
            "seconds": 0.0,
            "op": op,
            "label_id": label_id,
            "image": image,
            "before": before,
            "after": after,
            "facts": None,
        }

    def _report_views(self, image: str, views: Sequence[_View], wanted: Row) -> None:
        said: dict[str, list[str]] = defaultdict(list)
        for view in views:
            if view.row["status"] != "todo":
                said[view.row["status"]].append(view.store)
        if len(said) > 1:
            listed = "; ".join(f"{what} in {', '.join(who)}" for what, who in said.items())
            self.conflicts.append(f"image {image!r}: {listed}; it is {wanted['status']}")
        splits = sorted({view.row["split"] for view in views if view.row["split"] is not None})
        if len(splits) > 1:
            self.conflicts.append(
                f"image {image!r}: is in the splits {', '.join(splits)}; it is in {wanted['split']}"
            )

    def _report_pictures(self, part: Part) -> None:
        for image, row in part.images.items():
            size = (row["width"], row["height"])
            known, store = self._sizes.setdefault(image, (size, part.name))
            if None in known:
                self._sizes[image] = (size, part.name)
            elif None not in size and size != known:
                self.conflicts.append(
                    f"image {image!r}: has {size[0]} × {size[1]} pixels in {part.name} and "
                    f"{known[0]} × {known[1]} in {store}; these are two pictures, and the places "
                    "of labels may be wrong"
                )
                continue
            content, store = self._hashes.setdefault(image, (row["hash"], part.name))
            if content is None:
                self._hashes[image] = (row["hash"], part.name)
            elif row["hash"] not in (None, content):
                self.conflicts.append(
                    f"image {image!r}: its file in {part.name} has other content than in {store}; "
                    "these may be two pictures, and the places of labels wrong"
                )

    def _report_rival_tags(self) -> None:
        schema = self.schemes.schema
        single = {c.id: g.name for g in schema.tags if not g.multiple for c in g.choices}
        tags: dict[tuple[str, str], set[int]] = defaultdict(set)
        news: set[tuple[str, str]] = set()
        for label_id, row in self.labels.items():
            if row["kind"] == "tag" and row["class_id"] in single:
                place = (single[row["class_id"]], row["image"])
                tags[place].add(row["class_id"])
                if label_id in self._changed:
                    news.add(place)
        counts = Counter(place[0] for place in news if len(tags[place]) > 1)
        for group, count in sorted(counts.items()):
            self.conflicts.append(
                f"tag group {group!r}: {count} images bear several of its tags, of which it "
                "allows one; all are kept, each with its annotator"
            )


def _with_classes(row: Row, ids: dict[int, int] | None) -> Row:
    """The row with the class ids of the store that it comes to."""
    row = {"facts": None, **row}
    for side in ("before", "after"):
        value = row[side]
        if ids is not None and value and value.get("class_id") is not None:
            row[side] = {**value, "class_id": ids[value["class_id"]]}
    return row


def _with_id(row: Row, label_id: str) -> Row:
    if row["label_id"] == label_id:
        return row
    row = {**row, "label_id": label_id}
    for side in ("before", "after"):
        if row[side] and "label_id" in row[side]:
            row[side] = {**row[side], "label_id": label_id}
    return row


def _keys(rows: Iterable[Row]) -> list[str]:
    """What tells each edit from all others of its label or image."""
    keys, times = [], Counter[tuple[str, str]]()
    for row in rows:
        # What was before follows from the edits before it. Names are left out, which stores may
        # have of their own, and times tell edits apart that do the same.
        after = {k: v for k, v in (row["after"] or {}).items() if k not in _APART}
        key = json.dumps([row["op"], row["at"], row["annotator"], after], sort_keys=True)
        if row["op"] == "image":
            times[row["image"], key] += 1  # one batch may do the same twice
            key += f" {times[row['image'], key]}"
        keys.append(key)
    return keys


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many keys both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _own_id(label_id: str, key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{label_id}\n{key}"))


def _joined_state(rows: Sequence[Row]) -> Row:
    """What several people say of one image, as one."""
    states = [{name: row[name] for name in IMAGE_STATE} for row in rows]
    if len(states) == 1:
        return states[0]
    pairs = zip((row["updated"] or 0 for row in rows), map(_sorted_json, states), strict=True)
    states = [json.loads(text) for _, text in sorted(pairs)]
    notes = [line for state in states for line in (state["note"] or "").splitlines() if line]
    splits = [state["split"] for state in states if state["split"] is not None]
    return {
        "status": max((state["status"] for state in states), key=_RANK.index),
        "note": "\n".join(dict.fromkeys(notes)) or None,
        "unsure": any(state["unsure"] for state in states),
        "split": splits[-1] if splits else None,
    }


def _sorted_json(value: Row) -> str:
    return json.dumps(value, sort_keys=True)

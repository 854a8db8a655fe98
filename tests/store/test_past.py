"""The history replayed: the tables exactly, at every moment, whoever did what in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import hypothesis.stateful as sf
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st

from nbannotate.core.changes import Changer
from nbannotate.core.edits import inverted
from nbannotate.core.moves import reconciling
from nbannotate.core.replay import replay
from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError, LabelError, StoreError
from nbannotate.store import open_store, tables

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun", "rain"], attributes={"occluded": bool})
IMAGES = ["a.jpg", "b.jpg"]
SECOND = 1_000_000  # microseconds


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "labels.db") as store:
        store.schema = SCHEMA
        yield store


def changer(store, annotator):
    return Changer(
        store.schema,
        labels_of=lambda image: store.labels_of([image])[image],
        label=store.label,
        image=lambda image: store.images_of([image]).get(image),
        size=lambda image: (100, 100),
        has_image=lambda image: True,
        annotator=annotator,
        clock=store.now,
    )


def commit(store, *changes, annotator="ana", seconds=None, facts=None):
    edits = changer(store, annotator).edits(changes, seconds)
    return store.apply(edits, annotator=annotator, seconds=seconds, facts=facts)


def box(label_id, image="a.jpg", x=10, label="cat", **more):
    place = {"x": x, "y": 0, "width": 9, "height": 9}
    return {"op": "create", "label_id": label_id, "image": image, "label": label, **place, **more}


def rows(store, table):
    with store._database.reading() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def assert_tables_are_replayed(store):
    labels, images = replay(rows(store, tables.history))
    assert {row["label_id"]: row for row in rows(store, tables.labels)} == labels
    assert {row["image"]: row for row in rows(store, tables.images)} == images
    for row in labels.values():
        assert tuple(sorted(row)) == tuple(sorted(tables.LABEL_FIELDS))
    for row in images.values():
        assert tuple(sorted(row)) == tuple(sorted(tables.IMAGE_FIELDS))


def assert_same_dataset(found, wanted):
    pd.testing.assert_frame_equal(found.labels, wanted.labels)
    pd.testing.assert_frame_equal(found.images, wanted.images)
    assert found.schema == wanted.schema


# Every column


def test_every_column_is_in_the_history(store):
    size, content = {"width": 640, "height": 480}, {"bytes": 12345, "hash": "sha256:ab"}
    facts = {"a.jpg": {"path": "/photos/a.jpg", **size, **content}}
    rings = [[[1.5, 2.0], [3.0, 4.0], [1.0, 9.0]]]
    more = {"kind": "polygon", "geometry": rings, "text": "hi", "score": 0.25, "frame": 3}
    commit(store, box("i", track=7, source="model:m", **more), seconds=2.5, facts=facts)
    commit(store, {"op": "image", "image": "a.jpg", "changes": {"status": "done", "split": "val"}})
    commit(store, box("j", "b.jpg"), box("k"), annotator="ben", seconds=0.1)
    changes = {"note": "blurred", "unsure": True}
    commit(store, {"op": "image", "image": "b.jpg", "changes": changes}, annotator=None, seconds=1)

    label, image = store.label("i"), store.images_of(IMAGES)
    assert {name for name, value in label.items() if value is None} == set()
    filled = {name for row in image.values() for name, value in row.items() if value is not None}
    assert filled == set(tables.IMAGE_FIELDS)
    assert_tables_are_replayed(store)
    assert_same_dataset(store.at(store.history.index[-1]), store.dataset)


def test_facts_are_in_the_history_once_and_again_when_they_change(store):
    small, large = ({"a.jpg": {"path": "a.jpg", "width": w, "height": 9}} for w in (10, 20))
    for name, facts in (("i", small), ("j", small), ("k", large), ("l", None)):
        commit(store, box(name), facts=facts)

    found = [row["facts"] for row in rows(store, tables.history)]
    assert found == [small["a.jpg"], None, {"width": 20}, None]
    assert [store.at(seq).images.loc["a.jpg", "width"] for seq in (1, 2, 3, 4)] == [10, 10, 20, 20]


def test_an_undo_takes_no_fact_back(store):
    facts = {"a.jpg": {"path": "a.jpg", "width": 10, "height": 9}}
    number = commit(store, box("i"), facts=facts)
    store.apply(inverted(store.batch(number)), annotator="ana", reverses=number)

    assert store.images.loc["a.jpg", "width"] == 10
    assert_tables_are_replayed(store)


# Moments


def test_the_store_at_each_edit_is_what_it_was_then(store):
    seen = {0: store.dataset}
    for step in (
        [box("i")],
        [
            box("j", "b.jpg", label="dog"),
            {"op": "image", "image": "b.jpg", "changes": {"note": "n"}},
        ],
        [{"op": "update", "label_id": "i", "changes": {"x": 20, "attributes": {"occluded": True}}}],
        [{"op": "delete", "label_id": "j"}],
    ):
        commit(store, *step, seconds=1.5)
        seen[store.history.index[-1]] = store.dataset

    assert list(seen) == [0, 1, 3, 4, 5]
    for seq, dataset in seen.items():
        assert_same_dataset(store.at(seq), dataset)
        assert_same_dataset(store.at(int(seq)), dataset)
    assert_same_dataset(store.at(10**9), store.dataset)


def test_the_scheme_is_that_of_the_moment(store):
    commit(store, box("i"), box("j", label="dog"))
    seen = {int(store.history.index[-1]): store.dataset}
    for edit in (
        lambda: store.schema.rename("cat", "lynx"),
        lambda: store.schema.remove("dog", move_to="lynx"),
        lambda: store.schema.add("bird"),
    ):
        edit()
        seen[int(store.history.index[-1])] = store.dataset

    assert len(seen) == 4
    for seq, dataset in seen.items():
        assert_same_dataset(store.at(seq), dataset)
    at = store.history["at"]
    for seq, dataset in seen.items():
        assert store.at(at.loc[seq]).schema == dataset.schema
    removal = store.history.index[store.history["op"] == "schema"][1]
    assert_same_dataset(store.at(int(removal)), seen[int(removal) + 1])  # all of it


def test_a_time_is_a_moment_too(store, monkeypatch):
    times = iter([100 * SECOND, 100 * SECOND + 1, 200 * SECOND, 200 * SECOND + 1])
    monkeypatch.setattr("nbannotate.store.store.time.time_ns", lambda: next(times) * 1000)
    commit(store, box("i"))  # asks for the time twice: of the label, then of the batch
    commit(store, box("j"))
    first, second = store.history["at"]

    def labels(when):
        return store.at(when).labels.index.tolist()

    assert labels(first) == ["i"]
    assert labels(first - pd.Timedelta(1, "us")) == []
    assert labels(second - pd.Timedelta(1, "us")) == ["i"]
    assert labels(second.to_pydatetime()) == ["i", "j"]
    assert labels("1970-01-01T00:03:00Z") == ["i"]
    assert labels("1970-01-01 01:03+01:00") == ["i"]
    assert labels(datetime(1970, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))) == ["i"]
    assert labels(datetime(2100, 1, 1, tzinfo=UTC)) == ["i", "j"]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (-1, "-1 is no number of an edit"),
        (True, "True is no number of an edit"),
        (1.5, "1.5 is no time; give the number of an edit"),
        (None, "None is no time"),
        ("yesterday evening", "'yesterday evening' is no time"),
        (pd.NaT, "NaT is no time"),
        ("2026-01-31T12:00", r"'2026-01-31T12:00' has no time zone; add one, such as '\+00:00'"),
        (datetime(2026, 1, 31), "has no time zone"),
        (np.float64(3), "is no time"),
    ],
)
def test_what_is_no_moment_is_refused(store, when, words):
    with pytest.raises(StoreError, match=words):
        store.at(when)


# Histories that cannot be played


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"op": "fold"}, r"row 2 of the history \(op 'fold', image 'a.jpg'\) is of a newer nba"),
        ({"op": "create"}, "row 2 .* makes the label 'i', which is there already; restore a copy"),
        ({"label_id": "gone"}, "row 2 .* changes the label 'gone', which is not there"),
        ({"op": "delete", "label_id": "gone"}, "row 2 .* changes the label 'gone'"),
    ],
)
def test_a_row_that_cannot_be_played_is_named(store, change, words):
    commit(store, box("i"))
    commit(store, {"op": "update", "label_id": "i", "changes": {"x": 20}})
    history = rows(store, tables.history)
    history[1] |= change

    with pytest.raises(StoreError, match=words):
        replay(history)


# Stores made before facts were in the history


def test_a_store_made_before_opens_and_replays(tmp_path):
    path = tmp_path / "labels.db"
    facts = {"a.jpg": {"path": "/a.jpg", "width": 640, "height": 480}, "b.jpg": {"path": "/b.jpg"}}
    with open_store(path) as store:
        store.schema = SCHEMA
        commit(store, box("i"), box("j", "b.jpg"), seconds=2.0, facts=facts)
        commit(store, box("k"), seconds=1.0, facts=facts)
        before = store.dataset
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for statement in (
            "DROP INDEX history_by_annotator",
            "ALTER TABLE history DROP COLUMN facts",
            "DROP TABLE tallies",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()

    for _ in range(2):  # what is missing is built once
        with open_store(path) as store:
            assert_same_dataset(store.dataset, before)
            assert_same_dataset(store.at(store.history.index[-1]), before)
            assert_tables_are_replayed(store)
            assert (store.counts(), store.seconds()) == ({1: len(before.labels)}, 3.0)
            with store._database.reading() as connection:
                indexes = sa.inspect(connection).get_indexes("history")
            assert "history_by_annotator" in {index["name"] for index in indexes}
            commit(store, box(f"new {store.last_batch()}"), facts=facts)
            before = store.dataset


# Any history


class History(sf.RuleBasedStateMachine):
    """Two annotators edit, undo, redo and reopen in any order."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = self.open()
        self.store.schema = SCHEMA
        self.seen = {0: self.store.dataset}

    def open(self):
        return open_store(self.folder / "labels.db")

    who = st.sampled_from(["ana", "ben"])
    ids = st.sampled_from("ijk")
    image = st.sampled_from(IMAGES)
    seconds = st.one_of(st.none(), st.floats(0, 1e3))

    def do(self, who, seconds, *changes, width=None):
        facts = {key: {"path": f"/{key}", "width": width} for key in IMAGES} if width else None
        try:
            number = commit(self.store, *changes, annotator=who, seconds=seconds, facts=facts)
        except LabelError:
            return
        if number is not None:  # else it was so already
            self.note()

    def note(self):
        self.seen[self.store.history.index.max()] = self.store.dataset

    @sf.rule(
        who=who, seconds=seconds, i=ids, image=image, x=st.floats(0, 50), tag=st.booleans(),
        width=st.sampled_from([None, 100, 200]),
    )  # fmt: skip
    def create(self, who, seconds, i, image, x, tag, width):
        change = box(i, image, x)
        if tag:
            change = {"op": "create", "label_id": i, "image": image, "kind": "tag", "label": "sun"}
        self.do(who, seconds, change, width=width)

    @sf.rule(who=who, seconds=seconds, i=ids, x=st.floats(0, 50), on=st.booleans())
    def update(self, who, seconds, i, x, on):
        changes = {"x": x, "attributes": {"occluded": on}, "text": "é" if on else None}
        self.do(who, seconds, {"op": "update", "label_id": i, "changes": changes})

    @sf.rule(who=who, i=ids, j=ids)
    def delete(self, who, i, j):
        gone = [{"op": "delete", "label_id": name} for name in dict.fromkeys([i, j])]
        self.do(who, None, *gone)

    @sf.rule(
        who=who, seconds=seconds, image=image, status=st.sampled_from(["todo", "done", "flagged"]),
        note=st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=4)),
        unsure=st.booleans(),
    )  # fmt: skip
    def change_image(self, who, seconds, image, status, note, unsure):
        changes = {"status": status, "note": note, "unsure": unsure}
        self.do(who, seconds, {"op": "image", "image": image, "changes": changes})

    @sf.rule(
        who=who, n_bytes=st.integers(0, 2),
        moves=st.sampled_from([{"a.jpg": "b.jpg", "b.jpg": "a.jpg"}, {"a.jpg": "c.jpg"},
                               {"b.jpg": "a.jpg"}, {"c.jpg": "b.jpg"}, {}]),
    )  # fmt: skip
    def rename(self, who, n_bytes, moves):
        known = {key: one._asdict() for key, one in self.store.known_images().items()}
        if not known or moves.keys() - known.keys():
            return
        first = next(iter(known))
        facts = {moves.get(first, first): {"bytes": n_bytes}}
        try:
            self.store.apply([reconciling(moves, facts, known)], annotator=who)
        except ConflictError:  # it would come to where another is
            return
        self.note()

    @sf.rule(who=who, redo=st.booleans())
    def reverse(self, who, redo):
        stack = self.store.undo_stack(who)
        number = stack.to_redo if redo else stack.to_undo
        if number is None:
            return
        try:
            self.store.apply(inverted(self.store.batch(number)), annotator=who, reverses=number)
        except ConflictError:  # the other has changed it since
            return
        self.note()

    @sf.rule()
    def reopen(self):
        self.store.close()
        self.store = self.open()

    @sf.invariant()
    def the_tables_are_the_replayed_history(self):
        assert_tables_are_replayed(self.store)

    @sf.invariant()
    def sums_are_those_of_the_tables(self):
        labels, images = self.store.labels, self.store.images
        counted = labels["label"].value_counts()
        named = {self.store.schema.by_id(key).name: n for key, n in self.store.counts().items()}
        assert named == counted[counted > 0].to_dict()
        assert self.store.seconds() == pytest.approx(images["seconds"].sum())

    def teardown(self):
        try:
            for seq, dataset in self.seen.items():
                assert_same_dataset(self.store.at(seq), dataset)
        finally:
            self.store.close()
            shutil.rmtree(self.folder)


TestAnyHistory = History.TestCase
TestAnyHistory.settings = settings(deadline=None, max_examples=15, stateful_step_count=15)

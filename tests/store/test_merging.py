"""Merging: every label once, with its annotator, its times and its history, whatever the order."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import closing
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.edits import Edit
from nbannotate.core.replay import FACTS
from nbannotate.core.schema import Schema
from nbannotate.errors import LabelError, StoreError
from nbannotate.project import Project
from nbannotate.store import merge, open_store, read_parts
from nbannotate.store.meta import write_meta

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun", "rain"], attributes={"occluded": bool})
IMAGES = ("a.jpg", "b.jpg", "c.jpg")


class Source:
    """Images that are never read."""

    keys = IMAGES

    def has(self, image):
        return image in self.keys

    def path(self, image):
        return f"/photos/{image}"

    def load(self, image):
        raise AssertionError("not needed")


def opened(store, annotator, schema=SCHEMA):
    project = Project(Source(), store, schema, annotator=annotator)
    for image in IMAGES:
        project.note_size(image, 640, 480)
    return project


@pytest.fixture
def made(tmp_path):
    """Makes a store of one annotator from changes, each of them a step."""

    def make(name, *steps, schema=SCHEMA, annotator=None, seconds=2.0, copy_of=None):
        path = tmp_path / f"{name}.db"
        if copy_of is not None:
            shutil.copy(copy_of, path)
        with open_store(path) as store:
            project = opened(store, annotator or name, schema)
            for step in steps:
                if step in ("undo", "redo"):
                    getattr(project, step)()
                else:
                    project.commit([step] if isinstance(step, dict) else step, seconds=seconds)
        return path

    return make


def box(label_id=None, image="a.jpg", label="cat", x=1, **more):
    place = {"x": x, "y": 2, "width": 30, "height": 40}
    return {"op": "create", "image": image, "label": label, "label_id": label_id, **place, **more}


def tag(label_id, label, image="a.jpg"):
    return {"op": "create", "image": image, "kind": "tag", "label": label, "label_id": label_id}


def move(label_id, x):
    return {"op": "update", "label_id": label_id, "changes": {"x": x}}


def delete(label_id):
    return {"op": "delete", "label_id": label_id}


def mark(image="a.jpg", **changes):
    return {"op": "image", "image": image, "changes": changes}


def tables_of(path):
    with open_store(path) as store:
        return store.labels, store.images, store.history, store.schema


def assert_same(one, other):
    for left, right in zip(one[:3], other[:3], strict=True):
        pd.testing.assert_frame_equal(
            left.sort_index(), right.sort_index(), check_categorical=False
        )
    assert one[3] == other[3]


def rows_of(path):
    """The rows of a store with class names for ids, read without pandas, so that it is quick."""
    [part] = read_parts([path])
    assert not part.unwritten
    names = {c.id: c.name for c in (*part.schema.classes, *part.schema.tag_choices)}

    def named(row):
        if row is not None and "class_id" in row:
            return {**row, "class_id": names.get(row["class_id"])}
        return row

    history = [
        {**row, "before": named(row["before"]), "after": named(row["after"])}
        for row in part.history
    ]
    return {key: named(row) for key, row in part.labels.items()}, part.images, history


def contents(path):
    """What a merged store holds, whatever the numbers of its batches and classes."""
    labels, images, history = rows_of(path)
    names = ("at", "annotator", "op", "label_id", "image", "after", "seconds")
    return labels, images, sorted(repr([row[name] for name in names]) for row in history)


def assert_replays(path):
    """The history comes to the tables, and its batches are numbered in order."""
    found, states, history = rows_of(path)
    labels, images = {}, {}
    for row in history:
        image = images.setdefault(
            row["image"],
            {"status": "todo", "note": None, "unsure": False, "split": None, "seconds": 0.0},
        )
        image |= {"annotator": row["annotator"], "updated": row["at"]}
        image["seconds"] += row["seconds"] or 0.0
        if row["op"] == "image":
            assert row["before"] == {key: image[key] for key in row["after"]}
            image |= row["after"]
        elif row["op"] == "delete":
            del labels[row["label_id"]]
        elif row["op"] == "create":
            assert row["label_id"] not in labels
            labels[row["label_id"]] = {**row["after"], "updated": row["at"]}
        else:
            label = labels[row["label_id"]]
            assert row["before"] == {key: label[key] for key in row["before"]}
            label |= {**row["after"], "updated": row["at"]}
    assert found == labels
    known = ("image", *FACTS)  # without an edit
    assert images == {
        key: {name: value for name, value in row.items() if name not in known}
        for key, row in states.items()
    }
    with open_store(path) as store:
        assert store.check().ok, store.check()
    numbers = list(dict.fromkeys(row["batch"] for row in history))
    assert numbers == list(range(1, len(numbers) + 1))


def same(found, wanted):
    if wanted is None or (isinstance(wanted, float) and pd.isna(wanted)) or wanted is pd.NA:
        return not isinstance(found, (dict, list)) and pd.isna(found)
    return found == wanted


# What comes over


def test_labels_come_with_annotator_times_seconds_attributes_and_history(made, tmp_path):
    ana = made("ana", box("i", attributes={"occluded": True}), mark(status="done"))
    ben = made("ben", box("j", "b.jpg", "dog"), move("j", 5), "undo", seconds=7.5)

    report = merge([ana, ben], tmp_path / "all.db")

    labels, images, history, schema = tables_of(tmp_path / "all.db")
    for path in (ana, ben):
        theirs = tables_of(path)
        pd.testing.assert_frame_equal(labels.loc[theirs[0].index], theirs[0])
        pd.testing.assert_frame_equal(images.loc[theirs[1].index], theirs[1])
    assert schema == SCHEMA
    assert history["annotator"].tolist() == ["ana", "ana", "ben", "ben", "ben"]
    assert history["at"].is_monotonic_increasing
    assert history["batch"].tolist() == [1, 2, 3, 4, 5]
    assert history["reverses"].tolist() == [pd.NA, pd.NA, pd.NA, pd.NA, 4]
    assert history["seconds"].sum() == images["seconds"].sum() == 2.0 * 2 + 7.5 * 2
    assert (report.stores, report.labels, report.images, report.edits) == (2, 2, 2, 5)
    assert report.annotators == {"ana": 1, "ben": 1} and report.conflicts == ()
    assert_replays(tmp_path / "all.db")


def test_edits_of_several_are_in_order_of_time(made, tmp_path):
    ana = made("ana", box("i"))
    ben = made("ben", box("j"))
    with open_store(ana) as store:
        opened(store, "ana").commit([move("i", 9)])

    merge([ana, ben], tmp_path / "all.db")

    history = tables_of(tmp_path / "all.db")[2]
    assert history["label_id"].tolist() == ["i", "j", "i"]
    assert history["at"].is_monotonic_increasing


def test_a_merged_store_goes_on_with_undo_where_each_left_off(made, tmp_path):
    merge([made("ana", box("i"), move("i", 5)), made("ben", box("j"))], tmp_path / "all.db")

    with open_store(tmp_path / "all.db") as store:
        project = opened(store, "ana")
        project.undo()
        assert project.labels.loc["i", "x"] == 1
        project.undo()
        assert project.labels.index.tolist() == ["j"] and not project.can_undo
        assert project.counts == {1: 1}


def test_thirty_annotators_give_every_label_once_with_its_annotator(tmp_path):
    wanted = {}
    paths = [tmp_path / f"{n:02}.db" for n in range(30)]
    for number, path in enumerate(paths):
        who = f"student {number:02}"
        edits = []
        for at in range(1000):
            label_id = f"{number}-{at}"
            image = f"{at % 200:03}.jpg"
            wanted[label_id] = (who, image)
            row = {
                "label_id": label_id, "image": image, "kind": "box", "class_id": 1 + at % 2,
                "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0, "geometry": None,
                "attributes": {}, "text": None, "score": None, "frame": None, "track": None,
                "source": "human", "annotator": who, "seconds": 0.5, "created": at,
            }  # fmt: skip
            edits.append(Edit("create", image, label_id, after=row))
        with open_store(path) as store:
            # Half of the class lists its classes the other way round.
            store.schema = SCHEMA if number % 2 else Schema(classes=["dog", "cat"])
            for start in range(0, 1000, 250):
                store.apply(edits[start : start + 250], annotator=who, seconds=100.0)
    before = [path.read_bytes() for path in paths]

    start = time.perf_counter()
    report = merge(paths, tmp_path / "all.db")
    seconds = time.perf_counter() - start

    with open_store(tmp_path / "all.db") as store:
        labels, history = store.labels, store.history
        assert store.seconds() == pytest.approx(30 * 4 * 100.0)
    found = dict(
        zip(labels.index, zip(labels["annotator"], labels["image"], strict=True), strict=True)
    )
    assert found == wanted
    assert history["label_id"].is_unique and len(history) == 30_000
    first = labels[labels["annotator"] == "student 00"]["label"].value_counts().to_dict()
    assert {name: n for name, n in first.items() if n} == {"dog": 500, "cat": 500}
    assert (labels.loc["0-0", "label"], labels.loc["1-0", "label"]) == ("dog", "cat")
    assert report.labels == 30_000 and report.conflicts == ()
    assert report.annotators == {f"student {n:02}": 1000 for n in range(30)}
    assert [path.read_bytes() for path in paths] == before
    assert seconds < 60  # 5 s on an idle machine


# Copies


def test_what_is_merged_again_adds_nothing(made, tmp_path):
    ana = made("ana", box("i"), move("i", 3), mark(status="done", note="dark"))
    ben = made("ben", box("j"), tag("t", "sun"), mark(status="skipped", note="wet"), delete("j"))
    to = tmp_path / "all.db"
    merge([ana, ben, ana], to)
    before = tables_of(to)

    report = merge([ben, ana], to)

    assert_same(tables_of(to), before)
    assert (report.labels, report.images, report.edits) == (0, 0, 0)
    assert not report.annotators and not report.conflicts


def test_a_copy_that_went_on_brings_what_is_new(made, tmp_path):
    monday = made("ana", box("i"), box("j"), mark(status="flagged", note="later"))
    friday = made(
        "friday", move("i", 9), delete("j"), mark(status="done", note=None), box("k"),
        annotator="ana", copy_of=monday,
    )  # fmt: skip

    for to, sources in (("one.db", [friday, monday]), ("two.db", [monday])):
        merge(sources, tmp_path / to)
    report = merge([friday], tmp_path / "two.db")

    for to in ("one.db", "two.db"):
        assert_same(tables_of(tmp_path / to), tables_of(friday))
        assert_replays(tmp_path / to)
    assert (report.labels, report.edits, report.conflicts) == (1, 4, ())


def test_copies_that_went_on_differently_keep_both_labels(made, tmp_path):
    base = made("base", box("i"), annotator="ana")
    ana = made("ana", move("i", 5), copy_of=base)
    ben = made("ben", move("i", 7), copy_of=base)
    to = tmp_path / "all.db"

    report = merge([ana, ben], to)
    [sentence] = report.conflicts

    labels = tables_of(to)[0]
    assert sorted(labels["x"]) == [5, 7] and "i" in labels.index
    [other] = set(labels.index) - {"i"}
    assert "label 'i'" in sentence and other in sentence and "ben.db" in sentence
    assert_replays(to)
    assert merge([ben, ana], to).edits == 0
    again = made("ben2", move("i", 8), annotator="ben", copy_of=ben)
    assert merge([again], to).labels == 0
    assert sorted(tables_of(to)[0]["x"]) == [5, 8]


def test_a_label_that_one_copy_deletes_and_the_other_changes_is_kept(made, tmp_path):
    base = made("base", box("i"), annotator="ana")
    ana = made("ana", delete("i"), copy_of=base)
    ben = made("ben", move("i", 7), copy_of=base)

    report = merge([ana, ben], tmp_path / "all.db")

    assert tables_of(tmp_path / "all.db")[0]["x"].tolist() == [7]
    assert len(report.conflicts) == 1
    assert_replays(tmp_path / "all.db")


def test_two_labels_of_one_id_are_both_kept_also_when_they_go_through_other_merges(made, tmp_path):
    ana, ben = made("ana", box("i", x=5)), made("ben", box("i", "b.jpg", x=7))
    merge([ana, ben], tmp_path / "both.db")

    for number, sources in enumerate([["both.db", ben, ana], [ben, "both.db"], [ben, ana]]):
        to = tmp_path / f"{number}.db"
        merge([tmp_path / source for source in sources], to)
        found = tables_of(to)[0]
        assert sorted(zip(found["annotator"], found["x"], strict=True)) == [("ana", 5), ("ben", 7)]
        assert len(tables_of(to)[2]) == 2
        assert merge([tmp_path / "both.db"], to).edits == 0


def test_a_label_that_got_its_id_in_a_merge_is_known_by_the_one_it_had_before(made, tmp_path):
    ana, ben = made("ana", box("i", x=5)), made("ben", box("i", "b.jpg", x=7))
    merge([ana, ben], tmp_path / "both.db")

    merge([ben], tmp_path / "all.db")
    report = merge([tmp_path / "both.db"], tmp_path / "all.db")

    assert sorted(tables_of(tmp_path / "all.db")[0]["x"]) == [5, 7]
    assert (report.labels, report.edits, report.annotators) == (1, 1, {"ana": 1})


def test_edits_of_a_clock_that_went_back_stay_in_their_order(made, tmp_path):
    ana, ben = made("ana", box("i"), move("i", 5)), made("ben", box("j"))
    with open_store(ana) as store, store._database.writing() as connection:
        for statement in (
            "UPDATE history SET at = 1 WHERE batch = 2",
            "UPDATE labels SET updated = 1",
            "UPDATE images SET updated = 1",
        ):
            connection.exec_driver_sql(statement)

    merge([ben, ana], tmp_path / "all.db")

    _, _, history, _ = tables_of(tmp_path / "all.db")
    assert history["op"].tolist()[:2] == ["create", "update"]
    assert history["label_id"].tolist() == ["i", "i", "j"]
    assert_replays(tmp_path / "all.db")


# Images


def test_an_image_that_is_marked_the_same_twice_in_one_step_keeps_each_edit(made, tmp_path):
    steps = [mark(status="done"), mark(status="todo"), mark(status="done")]

    merge([made("ana", steps)], tmp_path / "all.db")

    history = tables_of(tmp_path / "all.db")[2]
    assert [after["status"] for after in history["after"]] == ["done", "todo", "done"]
    assert set(history["annotator"]) == {"ana"} and set(history["batch"]) == {1}


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ({"status": "done"}, {"status": "skipped"}, {"status": "done"}),
        ({"status": "skipped"}, {"status": "done"}, {"status": "done"}),
        ({"status": "flagged"}, {"status": "skipped"}, {"status": "flagged"}),
        ({"note": "dark"}, {"note": "wet\ndark"}, {"note": "dark\nwet"}),
        ({"unsure": True}, {"status": "done"}, {"status": "done", "unsure": True}),
        ({"split": "train"}, {"note": "x"}, {"split": "train", "note": "x"}),
        ({"split": "train"}, {"split": "val"}, {"split": "val"}),
    ],
)
def test_an_image_of_two_people_has_what_both_say_of_it(made, tmp_path, one, other, wanted):
    ana, ben = made("ana", mark(**one)), made("ben", mark(**other))
    to = tmp_path / "all.db"

    report = merge([ben, ana], to)

    row = tables_of(to)[1].loc["a.jpg"]
    state = {"status": "todo", "note": None, "unsure": False, "split": None, **wanted}
    for name, value in state.items():
        assert same(row[name], value), name
    assert row["seconds"] == 4.0
    assert_replays(to)
    differ = any(name in one and name in other for name in ("status", "split"))
    assert len(report.conflicts) == differ
    assert all("'a.jpg'" in sentence for sentence in report.conflicts)
    assert merge([ana, ben], to).edits == 0


def test_an_image_of_different_sizes_is_reported(made, tmp_path):
    ana = made("ana", box("i"))
    with open_store(tmp_path / "ben.db") as store:
        project = opened(store, "ben")
        project.note_size("a.jpg", 100, 80)
        project.commit([box("j")])

    report = merge([ana, tmp_path / "ben.db"], tmp_path / "all.db")

    assert len(report.conflicts) == 1 and "100 × 80" in report.conflicts[0]


def test_rival_tags_of_two_people_are_kept_and_counted(made, tmp_path):
    ana, ben = made("ana", tag("t", "sun")), made("ben", tag("u", "rain"))

    report = merge([ana, ben], tmp_path / "all.db")

    assert sorted(tables_of(tmp_path / "all.db")[0]["label"]) == ["rain", "sun"]
    assert report.conflicts[0].startswith("tag group 'tag': 1 images bear several")


# Schemes


def test_classes_are_the_same_by_name_also_in_the_history(made, tmp_path):
    theirs = Schema(
        classes=[{"name": "bird", "key": "q"}, "dog", {"name": "cat", "color": "#000000"}],
        attributes={"occluded": ["part", "full"], "speed": (0, 9)},
    )
    mine = Schema(classes=[{"name": "cat", "key": "q"}, "dog"], attributes={"occluded": bool})
    ana = made("ana", box("i"), schema=mine)
    ben = made(
        "ben", box("j", label="bird"), box("k", label="dog", attributes={"occluded": "part"}),
        {"op": "update", "label_id": "j", "changes": {"label": "cat"}}, schema=theirs,
    )  # fmt: skip

    report = merge([ana, ben], tmp_path / "all.db")

    labels, _, history, schema = tables_of(tmp_path / "all.db")
    assert [(c.id, c.name, c.key) for c in schema.classes] == [
        (1, "cat", "q"), (2, "dog", None), (3, "bird", None),
    ]  # fmt: skip
    assert labels["label"].to_dict() == {"i": "cat", "j": "cat", "k": "dog"}
    assert history.iloc[1]["after"]["label"] == "bird"
    assert (history.iloc[3]["before"], history.iloc[3]["after"]) == (
        {"label": "bird"},
        {"label": "cat"},
    )
    assert [a.name for a in schema.attributes] == ["occluded", "speed"]
    assert labels.loc["k", "attributes"] == {"occluded": "part"}
    [sentence] = report.conflicts
    assert "ben.db: attribute 'occluded' has another type, choices" in sentence
    assert_replays(tmp_path / "all.db")


def test_a_class_renamed_in_the_merged_store_is_found_again(made, tmp_path):
    ana = made("ana", box("i"))
    merge([ana], tmp_path / "all.db")
    with open_store(tmp_path / "all.db") as store:
        store.schema = Schema(classes={1: "feline", 2: "dog"}, tags=SCHEMA.tags)
    with open_store(ana) as store:
        opened(store, "ana").commit([box("j")])

    report = merge([ana], tmp_path / "all.db")

    labels, _, _, schema = tables_of(tmp_path / "all.db")
    assert labels["label"].to_dict() == {"i": "feline", "j": "feline"}
    assert [c.name for c in schema.classes] == ["feline", "dog"]
    assert (report.labels, report.edits) == (1, 1)


def test_labels_of_a_class_that_left_the_merged_store_go_where_it_went(made, tmp_path):
    ana, to = made("ana", box("i")), tmp_path / "all.db"
    merge([ana], to)
    with open_store(to) as store:
        move_class = Edit("update", "a.jpg", "i", {"class_id": 1}, {"class_id": 2})
        store.apply([move_class], annotator="teacher")
        scheme = {**Schema(classes={2: "dog"}, tags=SCHEMA.tags).to_dict(), "given": [1, 2, 3, 4]}
        scheme["departed"] = [{"role": "class", "name": "cat", "to": 2, "id": 1}]
        with store._database.writing() as connection:
            write_meta(connection, "schema", scheme)
    with open_store(ana) as store:
        opened(store, "ana").commit([box("j")])

    report = merge([ana], to)

    labels, _, history, schema = tables_of(to)
    assert labels["label"].to_dict() == {"i": "dog", "j": "dog"}
    assert [c.name for c in schema.classes] == ["dog"]
    assert (report.labels, report.edits, report.conflicts) == (1, 2, ())
    assert history["annotator"].fillna("").tolist() == ["ana", "teacher", "ana", ""]
    assert merge([ana], to).edits == 0
    assert_replays(to)


# The sources


def test_the_sources_and_their_folder_are_not_changed(made, tmp_path):
    folder = tmp_path / "handed in"
    folder.mkdir()
    closed = shutil.move(made("ana", box("i")), folder / "ana.db")
    with open_store(tmp_path / "ben.db") as store:
        opened(store, "ben").commit([box("j")])
        # Handed in while it was open: its edits are in the log beside it.
        for end in ("", "-wal"):
            shutil.copy(f"{tmp_path / 'ben.db'}{end}", folder)
    before = {file: file.read_bytes() for file in folder.iterdir()}

    merge([closed, folder / "ben.db"], tmp_path / "all.db")

    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    assert sorted(tables_of(tmp_path / "all.db")[0].index) == ["i", "j"]


def test_a_store_that_is_open_elsewhere_is_read_as_it_is(made, tmp_path):
    with open_store(tmp_path / "ana.db") as store:
        project = opened(store, "ana")
        project.commit([box("i")])
        merge([tmp_path / "ana.db"], tmp_path / "all.db")
        project.commit([box("j")])
        assert merge([tmp_path / "ana.db"], tmp_path / "all.db").labels == 1


def test_what_a_damaged_history_lacks_comes_from_the_tables(made, tmp_path):
    ana = made("ana", box("i"), box("j"), mark(status="done", note="x"), box("k"))
    with open_store(ana) as store, store._database.writing() as connection:
        for statement in (
            "DELETE FROM history WHERE label_id = 'i' OR op = 'image'",
            "UPDATE labels SET x = 9 WHERE label_id = 'j'",
            "DELETE FROM labels WHERE label_id = 'k'",
        ):
            connection.exec_driver_sql(statement)
    to = tmp_path / "all.db"

    merge([ana], to)

    labels, images, _, _ = tables_of(to)
    assert labels["x"].to_dict() == {"i": 1, "j": 9}
    assert images.loc["a.jpg", ["status", "note", "seconds"]].tolist() == ["done", "x", 8.0]
    assert_replays(to)
    assert merge([ana], to).edits == 0


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing.db", None, "missing.db: there is no such file"),
        ("empty.db", b"", "empty.db: is empty and so no nbannotate store"),
        ("text.db", b"no store" * 1000, "text.db: is no nbannotate store"),
    ],
)
def test_what_is_no_store_is_refused_and_nothing_is_made(made, tmp_path, name, content, why):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ana = made("ana", box("i"))
    before = sorted(tmp_path.iterdir())

    with pytest.raises(StoreError, match=why):
        merge([ana, tmp_path / name], tmp_path / "all.db")

    assert sorted(tmp_path.iterdir()) == before


def test_another_programs_database_and_a_newer_store_are_refused(made, tmp_path):
    import sqlite3

    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    newer = made("newer", box("i"))
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
        connection.commit()

    with pytest.raises(StoreError, match=r"other\.db: is the database of another program"):
        merge([tmp_path / "other.db"], tmp_path / "all.db")
    with pytest.raises(StoreError, match=r"newer\.db: written by a newer nbannotate"):
        merge([newer], tmp_path / "all.db")


def test_a_store_is_not_merged_into_itself(made, tmp_path):
    ana = made("ana", box("i"))

    with pytest.raises(StoreError, match=r"ana\.db: would be merged into itself"):
        merge([tmp_path / "x" / ".." / "ana.db"], ana)


def test_a_merge_that_fails_half_way_adds_nothing(made, tmp_path):
    to = made("all", box("i"))
    with open_store(to) as store, store._database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON history BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    before = tables_of(to)

    with pytest.raises(StoreError, match="no"):
        merge([made("ben", box("j", label="dog"))], to)

    assert_same(tables_of(to), before)


# Any stores

LABEL_IDS = st.sampled_from("ij")
STEP = st.one_of(
    st.builds(box, LABEL_IDS, st.sampled_from(["a.jpg", "b.jpg"]), st.sampled_from(["cat", "dog"])),
    st.builds(move, LABEL_IDS, st.integers(2, 4)),
    st.builds(delete, LABEL_IDS),
    st.builds(mark, status=st.sampled_from(["todo", "done", "skipped", "flagged"])),
    st.builds(mark, note=st.sampled_from([None, "x", "y", "x\ny"])),
    st.builds(mark, unsure=st.booleans()),
    st.sampled_from(["undo", "redo"]),
)
# Of each store: the one that it is a copy of, if any, who goes on, and what they do.
STORES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["ana", "ben"]), st.lists(STEP, max_size=5)),
    min_size=1,
    max_size=4,
)


def make_stores(folder, stores):
    paths = []
    clock = count(1_000_000)
    for number, (base, who, steps) in enumerate(stores):
        path = folder / f"{number}.db"
        if base < len(paths):
            shutil.copy(paths[base], path)
        schema = SCHEMA if number % 2 else Schema(classes=["dog", "cat"])
        with open_store(path) as store:
            # Numbers for times, so that edits of two stores may fall on one microsecond.
            store.now = lambda store=store: max(next(clock) // 2, store._last_at + 1)
            project = opened(store, who, schema)
            for step in steps:
                try:
                    if isinstance(step, str):
                        getattr(project, step)()
                    else:
                        project.commit([step], seconds=1.0)
                except LabelError:
                    continue
        paths.append(path)
    return paths


@given(STORES, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_any_stores_merge_to_the_same_in_any_order_and_only_once(stores, random):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_stores(folder, stores)
        one, other, steps = folder / "one.db", folder / "other.db", folder / "steps.db"
        shuffled = random.sample(paths, len(paths))

        merge(paths, one)
        merge(shuffled, other)
        for path in shuffled:
            merge([path], steps)

        assert contents(one) == contents(other)
        for to in (one, other, steps):
            assert_replays(to)
            before = rows_of(to)
            assert merge(shuffled, to).edits == 0
            assert rows_of(to) == before
        # Each label of each store is there once: as it is, or as a copy of it went on.
        merged = Counter(map(content, rows_of(one)[0].values()))
        assert set(merged.values()) <= {1}
        chains = [chain for path in paths for chain in chains_of(path).values()]
        for path in paths:
            labels = rows_of(path)[0]
            for label_id, chain in chains_of(path).items():
                went_on = any(len(c) > len(chain) and c[: len(chain)] == chain for c in chains)
                assert label_id not in labels or went_on or content(labels[label_id]) in merged


def content(row):
    """A label without its id."""
    return repr(sorted((name, value) for name, value in row.items() if name != "label_id"))


def chains_of(path):
    """The edits of each label, by its id."""
    found = defaultdict(list)
    for row in rows_of(path)[2]:
        if row["op"] != "image":
            found[row["label_id"]].append((row["op"], row["at"], row["annotator"], row["after"]))
    return found


def test_a_redo_of_what_was_deleted_goes_over_too(made, tmp_path):
    ana = made("ana", box("i"), delete("i"), "undo")

    merge([ana], tmp_path / "all.db")

    assert_same(tables_of(tmp_path / "all.db"), tables_of(ana))

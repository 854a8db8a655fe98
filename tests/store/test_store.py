"""The store: all of a batch or none of it, on disk when acknowledged, the same when reopened."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.changes import Changer
from nbannotate.core.edits import Edit, inverted
from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError, LabelError, SchemaError, StoreError
from nbannotate.store import open_store

from .conftest import SCHEMA

NAMES = ["NA", "null", "001", "no", "<img src=x onerror=alert(1)>", "😀", "עברית", "trailing "]


def create(label_id, image="a.jpg", class_id=1, **more):
    row = {
        "label_id": label_id, "image": image, "kind": "box", "class_id": class_id,
        "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0, "geometry": None, "attributes": {},
        "text": None, "score": None, "frame": None, "track": None, "source": "human",
        "annotator": "ana", "seconds": 1.5, "created": 0, **more,
    }  # fmt: skip
    return Edit("create", image, label_id, after=row)


def update(label_id, before, after, image="a.jpg"):
    return Edit("update", image, label_id, before=before, after=after)


def status(after, before="todo", image="a.jpg"):
    return Edit("image", image, before={"status": before}, after={"status": after})


def everything(store):
    return store.labels, store.images, store.history


def assert_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(one, other)


# Reopening


def test_reopening_restores_everything(address, store):
    full = {
        "geometry": [[[1.5, 2.0], [3.0, 4.0]]], "attributes": {"occluded": True}, "text": "hi",
        "score": 0.25, "frame": 3, "track": 7, "source": "model:m",
        "created": 1_700_000_000_000_001,
    }  # fmt: skip
    facts = {"a.jpg": {"path": "/photos/a.jpg", "width": 640, "height": 480}}
    store.apply([create("i", **full)], annotator="ana", seconds=2.0, facts=facts)
    store.apply([update("i", {"x": 1.0}, {"x": 5.5}), status("done")], annotator="ben", seconds=3)
    store.apply([create("j", "b.jpg")], annotator="ana", message=("browser", 4))
    store.apply([inverted([create("j", "b.jpg")])[0]], annotator="ana", reverses=3)
    before, store_id = everything(store), store.id
    store.close()

    with open_store(address) as again:
        assert_same(everything(again), before)
        assert (again.id, again.schema) == (store_id, SCHEMA)
        assert again.annotators == ["ana", "ben"]
        assert again.acknowledged("browser") == 4
        assert again.undo_stack("ana").done == [1]
        assert again.undo_stack("ana").undone == [4]
        assert again.undo_stack("ben").done == [2]
        assert (again.counts(), again.seconds(), again.last_batch()) == ({1: 1}, 5.0, 4)
        row = again.labels.loc["i"]
    assert (row["x"], row["label"], row["score"], row["track"]) == (5.5, "cat", 0.25, 7)
    assert (row["geometry"], row["attributes"]) == (full["geometry"], full["attributes"])
    assert row["created"].value // 1000 == full["created"]


def test_a_reopened_store_goes_on_counting(address, store):
    store.apply([create("i")])
    store.close()

    with open_store(address) as again:
        assert again.apply([create("j")]) == 2
        assert again.history.index.tolist() == [1, 2]


def test_an_image_that_is_done_and_empty_is_kept(address, store):
    store.apply([status("done")], annotator="ana")
    store.close()

    with open_store(address) as again:
        assert again.images.loc["a.jpg", "status"] == "done"
        assert again.dataset.images.index.tolist() == ["a.jpg"]
        assert again.labels.empty


@pytest.mark.parametrize("name", NAMES)
def test_names_are_texts_wherever_they_are_kept(address, name):
    with open_store(address) as store:
        store.schema = Schema(classes=[name])
        store.apply([create(name, f"{name}.jpg", text=name)], annotator=name)

    with open_store(address) as again:
        row = again.labels.loc[name]
        assert (row["label"], row["image"], row["text"]) == (name, f"{name}.jpg", name)
        assert again.annotators == [name]
        assert again.history.iloc[0]["after"]["label"] == name
        assert again.schema.classes[0].name == name


def test_a_store_in_memory_is_one_of_its_own():
    with open_store(None) as one, open_store(None) as other:
        one.apply([create("i")])
        assert other.last_batch() == 0
        assert one.id != other.id


# All or nothing


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (create("i"), ConflictError),
        (update("gone", {"x": 1.0}, {"x": 2.0}), ConflictError),
        (Edit("delete", "a.jpg", "gone", before={}), ConflictError),
        (create("j", kind=None), StoreError),
        (create("j", text="cut \ud83d"), UnicodeEncodeError),
        (create("j", geometry=[float("nan")]), StoreError),
    ],
)
def test_an_edit_that_fails_leaves_nothing_of_its_batch(store, bad, error):
    store.apply([create("i")])
    before = everything(store)

    with pytest.raises(error):
        store.apply([create("k", "b.jpg"), status("done"), bad], message=("browser", 1))

    assert_same(everything(store), before)
    assert store.acknowledged("browser") == 0
    assert store.apply([create("k", "b.jpg")], message=("browser", 1)) == 2


def test_an_error_while_the_history_is_written_takes_the_labels_back(path, store):
    with store._database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON history BEGIN SELECT RAISE(FAIL, 'no'); END"
        )

    with pytest.raises(StoreError, match="no"):
        store.apply([create("i")])

    assert store.labels.empty and store.images.empty


def test_a_number_of_a_message_is_taken_once(store):
    assert store.apply([create("i")], message=("browser", 1)) == 1
    assert store.apply([create("j")], message=("browser", 1)) is None
    assert store.apply([create("k")], message=("other", 1)) == 2

    assert store.labels.index.tolist() == ["i", "k"]
    assert store.acknowledged("browser") == store.acknowledged("other") == 1


def test_a_message_that_changes_nothing_is_acknowledged(store):
    assert store.apply([], message=("browser", 3)) is None

    assert store.acknowledged("browser") == 3
    assert store.last_batch() == 0


def test_nothing_to_change_is_no_batch(store):
    assert store.apply([]) is None
    assert store.history.empty


def test_the_time_of_a_batch_counts_once(store):
    store.apply([create("i"), create("j", "b.jpg"), status("done")], seconds=6.0)

    assert store.history["seconds"].sum() == store.images["seconds"].sum() == 6.0
    assert store.seconds() == 6.0


# Others on the same store


@pytest.mark.parametrize(
    "edit",
    [
        update("i", {"x": 1.0}, {"x": 9.0}),
        Edit("delete", "a.jpg", "i", before={"x": 1.0}),
        Edit("image", "a.jpg", before={"status": "todo"}, after={"status": "skipped"}),
    ],
    ids=["update", "delete", "image"],
)
def test_what_another_has_changed_since_is_not_overwritten(store, edit):
    store.apply([create("i")])
    store.apply([update("i", {"x": 1.0}, {"x": 2.0}), status("done")], annotator="ben")
    before = everything(store)

    with pytest.raises(ConflictError, match=r"someone has changed its (x|status) since"):
        store.apply([edit], annotator="ana")

    assert_same(everything(store), before)


def test_what_another_has_changed_elsewhere_in_a_label_stays(store):
    store.apply([create("i")])
    store.apply([update("i", {"class_id": 1}, {"class_id": 2})], annotator="ben")

    store.apply([update("i", {"x": 1.0}, {"x": 9.0})], annotator="ana")

    assert store.labels.loc["i", ["label", "x"]].tolist() == ["dog", 9.0]


def test_two_stores_on_one_database_see_each_other(address, store):
    with open_store(address) as other:
        store.apply([create("i")])
        assert other.labels.index.tolist() == ["i"]

        assert other.apply([create("j")]) == 2
        assert [batch.number for batch in store.batches_after(1)] == [2]
        assert store.history["at"].is_monotonic_increasing


def test_a_class_that_another_adds_gets_no_second_meaning(address, store):
    with open_store(address) as other:
        other.extend_schema(Schema(classes=["bird"]))
        store.extend_schema(Schema(classes=["fish"]))

        names = {c.id: c.name for c in other.schema.classes}
        assert list(names.values()) == ["cat", "dog", "bird", "fish"]
        other.apply([create("i", class_id=store.schema.find("fish").id)])
        assert store.labels["label"].tolist() == ["fish"]


def test_a_scheme_without_a_class_that_was_in_it_is_refused(store):
    with pytest.raises(SchemaError, match=r"would lose 'dog' \(id 2\)"):
        store.schema = Schema(classes=["cat"])

    assert store.schema == SCHEMA


def test_a_rename_touches_no_label(store):
    store.apply([create("i")])

    renamed = SCHEMA.to_dict()
    renamed["classes"][0]["name"] = "kitten"
    store.schema = Schema.from_dict(renamed)

    assert store.labels.loc["i", "label"] == "kitten"
    assert store.history.iloc[0]["after"]["label"] == "kitten"


def test_threads_that_write_at_once_lose_nothing(address, store):
    failed = []

    def work(target, name):
        try:
            for number in range(20):
                target.apply([create(f"{name}-{number}", f"{name}.jpg")], annotator=name)
        except Exception as error:
            failed.append(error)

    with open_store(address) as other:  # two connections, as two kernels have
        threads = [
            threading.Thread(target=work, args=(target, f"{kind}{number}"))
            for kind, target in (("own", store), ("other", other))
            for number in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failed == []
    history = store.history
    assert len(store.labels) == len(history) == 120
    assert sorted(history["batch"]) == list(range(1, 121))
    assert history["at"].is_unique and history["at"].is_monotonic_increasing


def test_one_message_sent_to_two_threads_takes_effect_once(store):
    results = []
    start = threading.Barrier(4)

    def send(number):
        start.wait()
        results.append(store.apply([create(f"i{number}")], message=("browser", 1)))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, results)) == ["1", "None", "None", "None"]
    assert len(store.labels) == 1


# Time


def test_a_clock_that_goes_backwards_keeps_the_order(address, store, monkeypatch):
    times = iter([5_000_000, 4_000_000, 5_000_000, 1_000_000, 1_000_000])
    monkeypatch.setattr("nbannotate.store.store.time.time_ns", lambda: next(times))

    for label_id in "ij":
        store.apply([create(label_id, created=store.now())])
    store.close()
    with open_store(address) as again:
        again.apply([create("k", created=10_000)])

        at = again.history["at"]
        assert at.is_monotonic_increasing and at.is_unique
        assert again.labels.index.tolist() == ["i", "j", "k"]


# On disk


def test_what_is_acknowledged_is_synced_to_the_disk(path, store):
    with store._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_closing_leaves_one_file(path, store):
    store.apply([create("i")])
    store.close()

    assert [file.name for file in path.parent.iterdir()] == ["labels.db"]


WRITER = """
import sys
from nbannotate.store import open_store
from tests.store.test_store import SCHEMA, create

store = open_store(sys.argv[1])
store.schema = SCHEMA
for number in range(int(sys.argv[2])):
    store.apply([create(f"i{number}")], message=("browser", number + 1))
print("applied", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("count", [1, 30])
def test_a_killed_process_loses_nothing_that_was_acknowledged(path, count):
    command = [sys.executable, "-c", WRITER, str(path), str(count)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], **pipes) as writer:
        try:
            assert writer.stdout.readline() == "applied\n"
        finally:
            writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL

    with open_store(path) as store:
        assert len(store.labels) == len(store.history) == count
        assert store.acknowledged("browser") == count
        assert store.apply([create("more")]) == count + 1


# What cannot be opened


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(path, store):
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
        connection.execute("DROP TABLE clients")
        connection.commit()

    with pytest.raises(StoreError, match=r"newer nbannotate \(store version 99.*pip install -U"):
        open_store(path)

    with closing(sqlite3.connect(path)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "clients" not in names


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path):
    path.write_text("image,label\n" * 100)

    with pytest.raises(StoreError, match="is no nbannotate store"):
        open_store(path)

    assert path.read_text() == "image,label\n" * 100


def test_the_database_of_another_program_is_refused(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE labels (name TEXT)")
        connection.commit()

    with pytest.raises(StoreError, match="database of another program"):
        open_store(path)

    with closing(sqlite3.connect(path)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert names == {"labels"}


def test_a_damaged_store_is_refused_in_words(path, store):
    store.apply([create(f"i{number}") for number in range(200)])
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)

    with pytest.raises(StoreError, match="is damaged"), open_store(path) as again:
        again.history  # noqa: B018


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"its folder does not exist; make it first: .*nowhere"):
        open_store(tmp_path / "nowhere" / "labels.db")


def test_a_folder_given_for_a_file_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is a folder"):
        open_store(tmp_path)


@contextmanager
def as_a_user_without_rights():
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)  # root may write whatever the permissions say
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder():
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_file_that_may_not_be_written_is_refused_in_words(folder):
    path = folder / "labels.db"
    open_store(path).close()
    path.chmod(0o444)
    folder.chmod(0o555)

    with (
        as_a_user_without_rights(),
        pytest.raises(StoreError, match="cannot be written; change its permissions"),
    ):
        open_store(path)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_folder_that_may_not_be_written_is_refused_in_words(folder):
    folder.chmod(0o555)

    with as_a_user_without_rights(), pytest.raises(StoreError, match="cannot be opened"):
        open_store(folder / "labels.db")


def test_a_store_that_another_program_keeps_busy_says_so(path, store, monkeypatch):
    with store._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreError, match="close the program that writes to it"):
            store.apply([create("i")])

        other.execute("ROLLBACK")
    assert store.apply([create("i")]) == 1


# Any history

STEPS = st.lists(
    st.one_of(
        st.builds(
            lambda i, image, x: {
                "op": "create", "label_id": i, "image": image, "label": "cat",
                "x": x, "y": 0, "width": 9, "height": 9,
            },
            st.sampled_from("ijkl"), st.sampled_from(["a.jpg", "b.jpg"]), st.floats(0, 50),
        ),
        st.builds(
            lambda i, image, name: {
                "op": "create", "label_id": i, "image": image, "kind": "tag", "label": name,
            },
            st.sampled_from("mn"), st.sampled_from(["a.jpg", "b.jpg"]),
            st.sampled_from(["sun", "rain"]),
        ),
        st.builds(
            lambda i, x, on: {
                "op": "update", "label_id": i, "changes": {"x": x, "attributes": {"occluded": on}},
            },
            st.sampled_from("ijkl"), st.floats(0, 50), st.sampled_from([True, False, None]),
        ),
        st.builds(lambda i: {"op": "delete", "label_id": i}, st.sampled_from("ijklmn")),
        st.builds(
            lambda image, status, note: {
                "op": "image", "image": image, "changes": {"status": status, "note": note},
            },
            st.sampled_from(["a.jpg", "b.jpg"]), st.sampled_from(["todo", "done", "flagged"]),
            st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=5)),
        ),
        st.just("undo"),
        st.just("redo"),
    ),
    max_size=12,
)  # fmt: skip


def do(store, step):
    if isinstance(step, str):
        stack = store.undo_stack("ana")
        number = stack.to_undo if step == "undo" else stack.to_redo
        if number is not None:
            store.apply(inverted(store.batch(number)), annotator="ana", reverses=number)
        return
    changer = Changer(
        store.schema,
        labels_of=lambda image: store.labels_of([image])[image],
        label=store.label,
        image=lambda image: store.images_of([image]).get(image),
        size=lambda image: (100, 100),
        has_image=lambda image: True,
        annotator="ana",
        clock=store.now,
    )
    try:
        edits = changer.edits([step])
    except LabelError:
        return
    store.apply(edits, annotator="ana")


def replayed(store):
    """Labels and images as the history alone has them."""
    labels, images = {}, {}
    for batch in store.batches_after(0):
        for edit in batch.edits:
            if edit.op == "image":
                images[edit.image] = {**images.get(edit.image, {}), **edit.after}
            elif edit.op == "create":
                labels[edit.label_id] = dict(edit.after)
            elif edit.op == "update":
                labels[edit.label_id].update(edit.after)
            elif edit.op == "delete":
                del labels[edit.label_id]
    return {i: without_time(row) for i, row in labels.items()}, images


def without_time(row):
    return {key: value for key, value in row.items() if key != "updated"}


def kept(store):
    rows = [row for rows in store.labels_of(["a.jpg", "b.jpg"]).values() for row in rows]
    return {row["label_id"]: without_time(row) for row in rows}


@given(STEPS)
@settings(deadline=None)
def test_the_history_replays_to_the_tables(steps):
    with open_store(None) as store:
        store.schema = SCHEMA
        for step in steps:
            do(store, step)

        labels, images = replayed(store)
        assert kept(store) == labels
        for image, fields in images.items():
            row = store.images_of([image])[image]
            assert {name: row[name] for name in fields} == fields
        counts = store.labels["label"].astype(str).value_counts().to_dict()
        named = {store.schema.by_id(number).name: n for number, n in store.counts().items()}
        assert {name: n for name, n in counts.items() if n} == named


@given(STEPS)
@settings(deadline=None)
def test_undoing_everything_empties_the_store_and_redoing_gives_it_back(steps):
    with open_store(None) as store:
        store.schema = SCHEMA
        for step in steps:
            do(store, step)
        labels, statuses = kept(store), store.statuses()

        depth = len(store.undo_stack("ana").done)
        for _ in range(depth):
            do(store, "undo")
        assert kept(store) == {}
        assert set(store.statuses().values()) <= {"todo"}

        for _ in range(depth):
            do(store, "redo")
        assert kept(store) == labels
        assert store.statuses() == statuses


# Reading parts


def test_labels_of_an_image_come_in_the_order_in_which_they_were_made(store):
    store.apply([create("z", created=1), create("a", created=2), create("b", "b.jpg", created=3)])

    found = store.labels_of(["b.jpg", "a.jpg", "none.jpg"])

    assert {k: [row["label_id"] for row in rows] for k, rows in found.items()} == {
        "b.jpg": ["b"],
        "a.jpg": ["z", "a"],
        "none.jpg": [],
    }


def test_more_images_can_be_asked_for_than_a_statement_holds(store):
    store.apply([create(f"i{n}", f"{n}.jpg") for n in range(1200)])

    keys = [f"{n}.jpg" for n in range(1200)]
    assert all(len(rows) == 1 for rows in store.labels_of(keys).values())
    assert len(store.images_of(keys)) == 1200


def test_images_are_found_by_class_and_doubt(store):
    unsure = Edit("image", "c.jpg", before={"unsure": False}, after={"unsure": True})
    store.apply([create("i"), create("j", "b.jpg", class_id=2), unsure])

    assert store.images_with(1) == {"a.jpg"}
    assert store.unsure_images() == {"c.jpg"}
    assert store.statuses() == dict.fromkeys(["a.jpg", "b.jpg", "c.jpg"], "todo")


def test_undo_looks_at_the_last_steps_of_one_annotator(store, monkeypatch):
    monkeypatch.setattr("nbannotate.store.journal.UNDO_DEPTH", 3)
    for number in range(5):
        store.apply([create(f"i{number}")], annotator="ana")
    store.apply([create("x")], annotator="ben")
    store.apply([create("y")])

    assert store.undo_stack("ana").done == [3, 4, 5]
    assert store.undo_stack("ben").done == [6]
    assert store.undo_stack(None).done == [7]


def test_questions_that_are_asked_at_each_step_use_an_index(path, store):
    queries = [
        "SELECT * FROM labels WHERE image IN ('a', 'b')",
        "SELECT max(batch) FROM history",
        "SELECT batch, at FROM history ORDER BY seq DESC LIMIT 1",
        "SELECT * FROM history WHERE batch > 5 ORDER BY batch, seq",
        "SELECT image FROM labels WHERE class_id = 1",
    ]
    with store._database.reading() as connection:
        for query in queries:
            plan = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {query}")).fetchall()
            words = " ".join(row.detail for row in plan)
            assert "USING" in words or "LIMIT 1" in query, (query, words)
            assert "TEMP B-TREE" not in words, (query, words)

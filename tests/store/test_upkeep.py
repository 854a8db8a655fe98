"""Looking after a store: what `check` finds, copies that are whole, and copies put back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings

from nbannotate.core.schema import Schema
from nbannotate.errors import StoreError
from nbannotate.store import open_store, restore

from .test_store import (
    SCHEMA,
    STEPS,
    assert_same,
    create,
    do,
    everything,
    status,
    update,
)


@pytest.fixture
def store(path):
    with open_store(path) as store:
        store.schema = SCHEMA
        yield store


def fill(store, count=3):
    for number in range(count):
        store.apply([create(f"i{number}", f"{number}.jpg")], annotator="ana", seconds=1.5)
    store.apply([update("i0", {"x": 1.0}, {"x": 5.5}, "0.jpg"), status("done", image="0.jpg")])


def sql(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def names(folder):
    return sorted(file.name for file in folder.iterdir())


# Checking


def test_a_store_that_is_in_order_says_so(store):
    fill(store)

    report = store.check()

    assert report.ok and report.problems == ()
    assert (report.labels, report.images, report.edits) == (3, 3, 5)
    assert repr(report).endswith("labels.db: in order (3 labels, 3 images, 5 edits)")


@given(STEPS)
@settings(deadline=None, max_examples=40)
def test_whatever_was_done_the_tables_are_as_the_history_has_them(steps):
    with open_store(None) as store:
        store.schema = SCHEMA
        for step in steps:
            do(store, step)
        assert store.check().problems == ()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE labels SET x = 2, y = 9 WHERE label_id = 'i1'",
         "label 'i1' of '1.jpg': the history has another x, y"),
        ("UPDATE images SET status = 'skipped' WHERE image = '0.jpg'",
         "image '0.jpg': the history has another status"),
        ("UPDATE images SET seconds = 7 WHERE image = '1.jpg'", "another seconds"),
        ("DELETE FROM labels WHERE label_id = 'i1'",
         "label 'i1' of '1.jpg' is in the history, not in the labels"),
        ("DELETE FROM images WHERE image = '2.jpg'",
         "image '2.jpg' is in the history, not in the images"),
        ("DELETE FROM history WHERE label_id = 'i1'",
         "label 'i1' of '1.jpg' is not in the history"),
        ("DELETE FROM history WHERE seq = 1", "changes the label 'i0', which is not there"),
        ("UPDATE history SET at = 1 WHERE seq = 2", "edit 2 of the history is earlier"),
        ("UPDATE labels SET class_id = 77 WHERE label_id = 'i1'", "has the class 77"),
        ("DROP INDEX labels_by_image", "the index labels_by_image on labels is missing"),
        ("DROP TABLE clients", "the table clients is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(path, store, statement, problem):
    fill(store)
    sql(path, statement)

    report = store.check()

    assert not report.ok
    assert any(problem in line for line in report.problems), report
    assert f"problems: {len(report.problems)}" in repr(report)


def test_damage_of_the_file_is_found_and_the_mend_is_named(path, store):
    fill(store, 300)
    store.close()
    damage(path, pages=range(40, 44))

    with open_store(path) as again:
        report = again.check()

    assert any("damaged" in problem for problem in report.problems)
    assert all("salvage" in problem for problem in report.problems if "damaged" in problem)


def test_many_problems_of_a_kind_are_counted_not_listed(path, store):
    fill(store, 50)
    sql(path, "DELETE FROM labels")

    assert store.check().problems[-1] == "and 40 more of this kind"


def damage(path, pages):
    """Flip all bits of some pages, numbered from 1."""
    data = bytearray(path.read_bytes())
    for page in pages:
        part = slice(4096 * (page - 1), 4096 * page)
        data[part] = bytes(byte ^ 0xFF for byte in data[part])
    path.write_bytes(data)


# Backups


def test_a_backup_is_the_store_in_one_file(path, store, tmp_path):
    fill(store)

    copy = store.backup(tmp_path / "copy.db")
    store.apply([create("later")])

    assert names(tmp_path) == ["copy.db", "labels.db", "labels.db-shm", "labels.db-wal"]
    store.apply([], message=("browser", 1))
    with open_store(copy) as again:
        assert again.id == store.id
        assert len(again.labels) == 3 and len(again.history) == 5
        assert again.check().ok


def test_a_store_in_memory_is_backed_up_to_a_file(tmp_path):
    with open_store(None) as store:
        store.schema = SCHEMA
        fill(store)
        store.backup(tmp_path / "copy.db")
        with open_store(tmp_path / "copy.db") as copy:
            assert_same(everything(copy), everything(store))


def test_a_backup_while_others_write_is_of_one_moment(store, tmp_path):
    ended, failed = threading.Event(), []

    def work():
        number = 0
        while not ended.is_set():
            try:
                store.apply([create(f"w{number}"), create(f"v{number}")], annotator="ana")
            except Exception as error:
                failed.append(error)
            number += 1

    writer = threading.Thread(target=work)
    writer.start()
    try:
        copies = [store.backup(tmp_path / f"{number}.db") for number in range(5)]
    finally:
        ended.set()
        writer.join()

    assert failed == []
    for copy in copies:
        with open_store(copy) as again:
            report = again.check()
            assert report.ok and report.edits % 2 == 0, report


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_backup_takes_the_place_of_nothing(store, tmp_path, suffix):
    there = tmp_path / f"copy.db{suffix}"
    there.write_text("mine")

    with pytest.raises(StoreError, match=rf"copy.db{suffix}: is there already; give another path"):
        store.backup(tmp_path / "copy.db")

    assert there.read_text() == "mine"


def test_a_file_that_comes_while_a_backup_is_made_stays(store, tmp_path, monkeypatch):
    copy_to = store._database.copy_to

    def copy(target):
        copy_to(target)
        (tmp_path / "copy.db").write_text("mine")

    monkeypatch.setattr(store._database, "copy_to", copy)
    with pytest.raises(StoreError, match=r"copy.db: is there already"):
        store.backup(tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_backup_that_fails_leaves_nothing(store, tmp_path, monkeypatch):
    fill(store)

    def fail(target):
        target.execute("CREATE TABLE half (x)")
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store._database, "copy_to", fail)
    with pytest.raises(StoreError, match=r"copy.db: the disk is full; make room"):
        store.backup(tmp_path / "copy.db")

    assert [name for name in names(tmp_path) if not name.startswith("labels.db")] == []


def test_a_copy_that_is_not_in_order_gets_no_name(path, store, tmp_path):
    fill(store, 300)
    store.close()
    damage(path, pages=[40])

    with open_store(path) as again, pytest.raises(StoreError, match="not in order"):
        again.backup(tmp_path / "copy.db")

    assert names(tmp_path) == ["labels.db"]


def test_a_backup_into_a_folder_that_is_not_there_says_so(store, tmp_path):
    with pytest.raises(StoreError, match="its folder does not exist; make it first"):
        store.backup(tmp_path / "nowhere" / "copy.db")


# Putting a backup back


def test_a_backup_takes_the_place_of_a_damaged_store_which_is_kept(path, store, tmp_path):
    fill(store)
    before = everything(store)
    copy = store.backup(tmp_path / "copy.db")
    store.close()
    path.write_bytes(b"rubbish" * 1000)

    kept = restore(copy, path)

    assert kept == tmp_path / "labels.db.old-1"
    assert kept.read_bytes() == b"rubbish" * 1000
    with open_store(path) as again:
        assert_same(everything(again), before)
    path.write_bytes(b"again")
    assert restore(copy, path) == tmp_path / "labels.db.old-2"
    assert kept.read_bytes() == b"rubbish" * 1000


def test_a_backup_takes_the_place_of_a_missing_store(path, store, tmp_path):
    fill(store)
    copy = store.backup(tmp_path / "copy.db")
    store.close()
    path.unlink()

    assert restore(copy, path) is None

    with open_store(path) as again:
        assert len(again.labels) == 3
    assert copy.exists()


def test_the_log_of_the_former_store_is_not_written_into_the_restored_one(path, store, tmp_path):
    fill(store)
    copy = store.backup(tmp_path / "copy.db")
    store.apply([create("later")])
    log = (tmp_path / "labels.db-wal").read_bytes()
    store.close()
    (tmp_path / "labels.db-wal").write_bytes(log)  # as a process that was killed leaves it

    restore(copy, path)

    assert (tmp_path / "labels.db.old-1-wal").read_bytes() == log
    with open_store(path) as again:
        assert len(again.labels) == 3 and again.check().ok


def test_a_store_that_is_open_here_is_not_replaced(path, store, tmp_path):
    fill(store)
    copy = store.backup(tmp_path / "copy.db")

    with pytest.raises(StoreError, match="is open in this program; close its stores"):
        restore(copy, path)

    assert store.apply([create("later")]) == 5


HOLDER = """
import sys
from nbannotate.store import open_store
store = open_store(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses it by itself")
def test_a_store_that_another_program_has_open_is_not_replaced(path, store, tmp_path):
    copy = store.backup(tmp_path / "copy.db")
    store.close()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], **pipes) as holder:
        assert holder.stdout.readline() == "open\n"

        with pytest.raises(StoreError, match="another program has it open"):
            restore(copy, path)

        holder.stdin.close()
    assert [name for name in names(tmp_path) if "old" in name] == []
    assert restore(copy, path) is not None


def test_a_backup_that_is_damaged_is_not_put_back(path, store, tmp_path):
    fill(store, 300)
    copy = store.backup(tmp_path / "copy.db")
    store.close()
    before = path.read_bytes()
    damage(copy, pages=[20])

    with pytest.raises(StoreError, match=r"copy.db: .*(not in order|damaged)"):
        restore(copy, path)

    assert path.read_bytes() == before
    assert names(tmp_path) == ["copy.db", "labels.db"]


def test_what_is_no_backup_is_not_put_back(path, store, tmp_path):
    store.close()
    other = tmp_path / "other.db"
    sql(other, "CREATE TABLE meta (key TEXT, value TEXT)")

    with pytest.raises(StoreError, match="is no nbannotate store"):
        restore(other, path)
    with pytest.raises(StoreError, match="there is no such backup"):
        restore(tmp_path / "none.db", path)
    with pytest.raises(StoreError, match="is the store itself"):
        restore(path, path)
    sql(other, "INSERT INTO meta VALUES ('id', '\"x\"'), ('version', '99')")
    with pytest.raises(StoreError, match="newer nbannotate"):
        restore(other, path)


def test_the_scheme_comes_with_a_backup(store, tmp_path):
    store.extend_schema(Schema(classes=["bird"]))
    with open_store(store.backup(tmp_path / "copy.db")) as copy:
        assert copy.schema == store.schema

"""Faults of the disk: one clear error each, nothing acknowledged lost, and saving goes on after."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nbannotate.errors import StoreError
from nbannotate.store import open_store
from nbannotate.store.sqlite import SqliteFile
from nbannotate.store.store import Store

from .test_store import SCHEMA, as_a_user_without_rights, create, folder  # noqa: F401

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(path):
    with open_store(path) as store:
        store.schema = SCHEMA
        store.apply([create("first")], message=("browser", 1))
        yield store


def ids_in(path):
    with open_store(path) as store:
        assert store.check().ok
        return sorted(store.labels.index)


def saves_again(store, path, *, there=("first",)):
    """The same store object saves, and what it saves is in the file at the path."""
    assert store.apply([create("again")], message=("browser", 9)) is not None
    assert store.acknowledged("browser") == 9
    with open_store(path) as other:
        assert sorted(other.labels.index) == sorted([*there, "again"])
    assert store.check().ok


# The file is removed, moved or replaced


@pytest.mark.parametrize("beside", [True, False], ids=["with its log", "alone"])
def test_nothing_is_acknowledged_while_the_file_is_moved_away(path, store, tmp_path, beside):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = [path, *(Path(f"{path}{suffix}") for suffix in ("-wal", "-shm") if beside)]
    for file in moved:
        file.rename(elsewhere / file.name)

    for _ in range(2):
        with pytest.raises(StoreError, match="was removed or moved while in use; put it back"):
            store.apply([create("lost")], message=("browser", 2))
    assert store.acknowledged("browser") == 1
    assert not path.exists()

    for file in moved:
        (elsewhere / file.name).rename(file)
    saves_again(store, path)


def test_a_removed_store_can_be_saved_from_the_program_that_has_it_open(path, store, tmp_path):
    path.unlink()

    with pytest.raises(StoreError, match=r"can be saved elsewhere with store.backup\(path\)"):
        store.apply([create("lost")])
    store.backup(tmp_path / "saved.db")

    assert ids_in(tmp_path / "saved.db") == ["first"]
    (tmp_path / "saved.db").rename(path)
    saves_again(store, path)


def test_a_file_that_is_removed_while_it_is_written_acknowledges_nothing(path, store):
    with (
        pytest.raises(StoreError, match="while it was written"),
        store._database.writing() as connection,
    ):
        connection.exec_driver_sql("INSERT INTO clients VALUES ('browser2', 1)")
        path.unlink()


def test_work_goes_on_in_a_copy_of_the_store_that_takes_its_place(path, store, tmp_path):
    copy = store.backup(tmp_path / "copy.db")
    store.apply([create("newer")])
    log = os.stat(f"{path}-wal").st_ino  # noqa: PTH116

    copy.replace(path)  # the log of the former file is left beside it

    saves_again(store, path)
    assert any("another copy of this store" in note for note in store.notes)
    assert [file.name for file in tmp_path.iterdir() if file.stat().st_ino == log] == [
        "labels.db.old-1-wal"
    ]


@pytest.mark.parametrize("what", ["other store", "rubbish", "empty"])
def test_a_file_that_is_not_the_store_is_left_alone(path, store, tmp_path, what):
    other = tmp_path / "other.db"
    if what == "other store":
        open_store(other).close()
    else:
        other.write_bytes(b"rubbish" * 1000 if what == "rubbish" else b"")
    before = other.read_bytes()
    path.rename(tmp_path / "kept.db")
    other.rename(path)

    words = "was emptied" if what == "empty" else "not this store was put in its place; put it back"
    for _ in range(2):
        with pytest.raises(StoreError, match=words):
            store.apply([create("lost")])
    assert path.read_bytes() == before
    assert sorted(store.labels.index) == ["first"], "what is open can still be seen"

    (tmp_path / "kept.db").replace(path)
    saves_again(store, path)


def test_a_log_that_is_removed_loses_nothing(path, store):
    Path(f"{path}-wal").unlink()

    saves_again(store, path)

    store.close()
    assert ids_in(path) == ["again", "first"]


def test_a_folder_that_is_gone_is_named_and_saving_goes_on_when_it_is_back(tmp_path):
    drive, away = tmp_path / "drive", tmp_path / "away"
    drive.mkdir()
    path = drive / "labels.db"
    with open_store(path) as store:
        store.schema = SCHEMA
        store.apply([create("first")])
        drive.rename(away)

        with pytest.raises(StoreError, match=r"its folder .*drive is gone; bring it .*back"):
            store.apply([create("lost")])

        away.rename(drive)
        saves_again(store, path)


# The file is damaged


def test_bytes_that_are_torn_in_use_are_an_error_and_a_restored_file_saves_on(
    path, store, tmp_path
):
    copy = store.backup(tmp_path / "copy.db")
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("rb+") as file:  # every page but the first
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with store._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA shrink_memory")

    for _ in range(2):
        with pytest.raises(StoreError, match="is damaged; put a backup in its place"):
            store.apply([create("lost")])

    copy.replace(path)
    saves_again(store, path)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_truncated_file_is_refused_in_words(path, store, size):
    for number in range(100):
        store.apply([create(f"i{number}")])
    store.close()
    os.truncate(path, size)

    words = {0: "is empty; put a backup in its place", 100: "is (damaged|no nbannotate store)"}
    with pytest.raises(StoreError, match=words.get(size, "is damaged; put a backup")):
        open_store(path)
    assert path.stat().st_size == size


def test_a_file_that_is_emptied_in_use_acknowledges_nothing(path, store):
    os.truncate(path, 0)

    with pytest.raises(StoreError, match="was emptied by another program"):
        store.apply([create("lost")])


def test_a_log_without_its_store_is_not_thrown_away(path, store, tmp_path):
    log = Path(f"{path}-wal").read_bytes()
    store.close()
    path.rename(tmp_path / "moved.db")
    Path(f"{path}-wal").write_bytes(log)

    with pytest.raises(StoreError, match=r"is not there, but labels.db-wal is, with labels of it"):
        open_store(path)

    assert Path(f"{path}-wal").read_bytes() == log


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_torn_write_at_the_end_leaves_whole_batches(path, store, tmp_path, cut):
    for number in range(20):
        store.apply([create(f"a{number}"), create(f"b{number}")])
    torn = tmp_path / "torn.db"
    shutil.copy(path, torn)
    shutil.copy(f"{path}-wal", f"{torn}-wal")
    os.truncate(f"{torn}-wal", Path(f"{torn}-wal").stat().st_size - cut)

    with open_store(torn) as again:
        assert again.check().ok
        assert again.last_batch() == 20  # of 21: the last was cut
        assert len(again.labels) == 39


# The disk is full


def test_a_full_disk_says_so_and_saving_goes_on_when_there_is_room(path, store):
    def limit(pages):
        with store._database.reading() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    limit(1)  # SQLite makes it the size that the file has
    saved = ["first"]
    with pytest.raises(StoreError, match="the disk is full; make room, then try again"):
        for number in range(1000):
            store.apply([create(f"i{number}")], message=("browser", number + 2))
            saved.append(f"i{number}")
    assert store.acknowledged("browser") == len(saved)
    with open_store(path) as other:
        assert sorted(other.labels.index) == sorted(saved)

    limit(1_000_000)
    assert store.apply([create("again")], message=("browser", len(saved) + 1)) == len(saved) + 1
    assert ids_in(path) == sorted([*saved, "again"])


ON_A_FULL_DISK = """
import sys
from pathlib import Path
from nbannotate.errors import StoreError
from nbannotate.store import open_store
from tests.store.test_store import SCHEMA, create

folder = Path(sys.argv[1])
(folder / "ballast").write_bytes(bytes(2_000_000))
store = open_store(folder / "labels.db")
store.schema = SCHEMA
saved = []

def fill():
    for number in range(len(saved), 10_000):
        store.apply([create(f"i{number}")], message=("browser", number + 1))
        saved.append(f"i{number}")

for _ in range(2):
    try:
        fill()
    except StoreError as error:
        print(error)
    assert store.acknowledged("browser") == len(saved)
first = len(saved)
(folder / "ballast").unlink()
try:
    fill()
except StoreError as error:
    print(error)
assert len(saved) > first + 10, "saving goes on by itself"
store.close()
with open_store(folder / "labels.db") as again:
    assert sorted(again.labels.index) == sorted(saved)
    assert again.check().ok
print("whole", len(saved))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's own mounts")
def test_a_file_system_that_is_full_loses_nothing_that_was_acknowledged(tmp_path):
    mount = f"mount -t tmpfs -o size=4m tmpfs {tmp_path} && exec "
    run = in_own_mounts(mount + f"{sys.executable} -c '{ON_A_FULL_DISK}' {tmp_path}")

    assert run.returncode == 0, run.stderr
    *errors, last = run.stdout.splitlines()
    assert last.startswith("whole")
    assert len(errors) == 3
    assert all("disk is full" in line or "is full" in line for line in errors), errors


def in_own_mounts(script):
    """Run a shell script that may mount what it likes, seen by nobody else."""
    ways = [
        ["unshare", "--user", "--map-root-user", "--mount"],
        ["sudo", "--non-interactive", "unshare", "--mount"],  # where users may not do the former
    ]
    there = [way for way in ways if shutil.which(way[0])]
    works = (w for w in there if not subprocess.run([*w, "true"], check=False).returncode)
    command = [*next(works), "sh", "-c", script]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


WITH_A_LIMIT = """
import resource, signal, sys
from nbannotate.errors import StoreError
from nbannotate.store import open_store
from tests.store.test_store import SCHEMA, create

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1])
store.schema = SCHEMA
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
saved = []
try:
    for number in range(1000):
        store.apply([create(f"i{number}")], message=("browser", number + 1))
        saved.append(number)
except StoreError as error:
    print(error)
assert saved and store.acknowledged("browser") == len(saved)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert store.apply([create("again")], message=("browser", len(saved) + 1)) == len(saved) + 1
assert store.check().ok
assert len(store.labels) == len(saved) + 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_write_that_the_system_refuses_is_an_error_once(path):
    command = [sys.executable, "-c", WITH_A_LIMIT, str(path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert "the disk failed or is full; check it, then try again" in run.stdout
    assert len(run.stdout.splitlines()) == 1


# What may not be written

OPENER = """
import sys
from nbannotate.errors import StoreError
from nbannotate.store import open_store

folder = sys.argv[1]
try:
    open_store(folder + "/labels.db")
except StoreError as error:
    print(error)
try:
    open_store(folder + "/new.db")
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's own mounts")
def test_a_read_only_file_system_says_so(path, store):
    store.close()
    mount = f"mount --bind {path.parent} {path.parent} && mount -o remount,ro,bind {path.parent}"
    run = in_own_mounts(f"{mount} && exec {sys.executable} -c '{OPENER}' {path.parent}")

    assert run.returncode == 0, run.stderr
    old, new = run.stdout.splitlines()
    assert "labels.db: cannot be written; change its permissions or its drive's" in old
    assert "new.db: cannot be opened; check that the folder exists and may be written" in new


def test_a_store_that_is_read_only_for_a_while_goes_on_after(path, store):
    with store._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="cannot be written; change its permissions"):
        store.apply([create("lost")])

    saves_again(store, path)  # by a connection made anew


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_permissions_that_are_taken_and_given_back(folder):  # noqa: F811
    folder.chmod(0o777)
    path = folder / "labels.db"
    with as_a_user_without_rights(), open_store(path) as store:
        store.schema = SCHEMA
        store.apply([create("first")])
        path.chmod(0o444)
        store._database._is_unsound = True  # a drive that failed: it has to be opened anew

        with pytest.raises(StoreError, match="cannot be written; change its permissions"):
            store.apply([create("lost")])

        path.chmod(0o644)
        saves_again(store, path)


# Where write-ahead logging does not work


def on_a_drive_without_shared_memory(path):
    return Store(SqliteFile(path, str(path), vfs="unix-dotfile"))


@pytest.mark.skipif(sys.platform == "win32", reason="a VFS of POSIX")
@pytest.mark.parametrize("was_local", [False, True], ids=["new", "made in WAL mode"])
def test_a_rollback_journal_is_used_where_shared_memory_does_not_work(path, was_local):
    if was_local:
        with open_store(path) as store:
            store.schema = SCHEMA
            store.apply([create("first")])

    with on_a_drive_without_shared_memory(path) as store:
        if not was_local:
            store.schema = SCHEMA
            store.apply([create("first")])
        (note,) = store.notes
        assert "write-ahead logging does not work" in note and str(path) in note
        with store._database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3  # EXTRA
            assert connection.exec_driver_sql("PRAGMA locking_mode").scalar() == "normal"
        with on_a_drive_without_shared_memory(path) as other:
            other.apply([create("second")])
        assert sorted(store.labels.index) == ["first", "second"]

        path.rename(f"{path}.away")
        with pytest.raises(StoreError, match="put it back"):
            store.apply([create("lost")])
        Path(f"{path}.away").rename(path)
        store.apply([create("third")])
        assert len(store.notes) == 1 and store.check().ok


def test_where_it_works_nothing_is_said(store):
    assert store.notes == []


KILLED = """
import sys
from pathlib import Path
from nbannotate.store.sqlite import SqliteFile
from nbannotate.store.store import Store
from tests.store.test_store import SCHEMA, create

store = Store(SqliteFile(Path(sys.argv[1]), sys.argv[1], vfs="unix-none"))
store.schema = SCHEMA
for number in range(10):
    store.apply([create(f"i{number}")], message=("browser", number + 1))
with store._database.writing() as connection:
    connection.exec_driver_sql("UPDATE labels SET x = 99")
    connection.exec_driver_sql("PRAGMA cache_spill = 1")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_with_a_rollback_journal_too_a_killed_process_loses_nothing(path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, **pipes) as writer:
        try:
            assert writer.stdout.readline() == "writing\n"
        finally:
            writer.send_signal(signal.SIGKILL)

    with Store(SqliteFile(path, str(path), vfs="unix-none")) as store:
        assert len(store.labels) == 10 and store.check().ok
        assert store.acknowledged("browser") == 10


# After a failure


def test_a_failed_transaction_leaves_the_store_ready(store):
    for bad in (create("first"), create("bad", kind=None), create("bad", geometry=[float("nan")])):
        with pytest.raises(Exception, match=r".+"):
            store.apply([bad])
        assert not store._database._is_unsound

    assert store.apply([create("next")]) == 2
    assert store.check().ok

"""Hearing of others' commits: soon, from other connections and other processes, until closed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nbannotate.core.schema import Schema
from nbannotate.errors import StoreError
from nbannotate.store import open_store

from .test_store import create

SOON = 1.0  # seconds
LONG = 20.0  # what a loaded machine may take


class Ear:
    """A callback that can be waited for."""

    def __init__(self):
        self.calls = 0
        self.threads = set()
        self.condition = threading.Condition()

    def __call__(self):
        with self.condition:
            self.calls += 1
            self.threads.add(threading.current_thread())
            self.condition.notify_all()

    def hears(self, calls=1, seconds=LONG):
        with self.condition:
            return self.condition.wait_for(lambda: self.calls >= calls, seconds)


@pytest.fixture
def other(address, store):
    with open_store(address) as other:
        yield other


@pytest.fixture
def ear():
    return Ear()


def watchers():
    return [t for t in threading.enumerate() if t.name.startswith("nbannotate watches")]


def test_a_commit_of_another_store_is_heard_within_a_second(store, other, ear):
    store.watch(ear)
    delays = []
    for number in range(3):
        start, calls = time.monotonic(), ear.calls
        other.apply([create(f"i{number}")])
        assert ear.hears(calls + 1)
        delays.append(time.monotonic() - start)

    assert min(delays) < SOON, delays  # a loaded machine may be late now and then, not always
    assert threading.current_thread() not in ear.threads


def test_a_commit_of_another_process_is_heard(address, store, ear):
    store.watch(ear)
    code = (
        "import sys; from nbannotate.store import open_store; "
        "from tests.store.test_store import create; open_store(sys.argv[1]).apply([create('i')])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(address)], cwd=Path(__file__).parents[2], check=True
    )

    assert ear.hears()
    assert store.labels.index.tolist() == ["i"]


def test_what_is_heard_is_there_to_read(store, other):
    counts, enough = [], threading.Event()

    def read():
        counts.append(store.last_batch())
        if counts[-1] == 30:
            enough.set()

    store.watch(read)
    for number in range(30):
        other.apply([create(f"i{number}")])

    assert enough.wait(LONG), counts
    assert counts == sorted(counts)


def test_a_changed_scheme_is_heard(store, other, ear):
    store.watch(ear)

    other.extend_schema(Schema(classes=["bird"]))

    assert ear.hears()


def test_reading_and_opening_are_no_changes(address, store, other, ear):
    heard = Ear()
    store.watch(ear)
    open_store(address).close()
    other.labels, other.apply([])
    other.watch(heard)

    # What was heard of them would be heard before this.
    other.apply([create("i")])
    assert ear.hears() and heard.hears()
    other.apply([create("j")])
    assert ear.hears(2) and heard.hears(2)
    assert ear.calls == 2


def test_who_has_ended_hears_no_more_and_the_others_do(store, other, ear):
    ended = Ear()
    end = store.watch(ended)
    store.watch(ear)
    end()
    end()

    other.apply([create("i")])

    assert ear.hears()
    assert ended.calls == 0


def test_the_thread_ends_with_the_last_one_who_listens_and_with_the_store(store, ear):
    end = store.watch(ear)
    [thread] = watchers()
    store.watch(ear)
    assert watchers() == [thread]
    end()
    assert not thread.stop.is_set()
    store.close()

    assert not thread.is_alive()
    assert watchers() == []


def test_it_can_begin_anew_after_it_has_ended(store, other, ear):
    store.watch(ear)()
    store.watch(ear)

    other.apply([create("i")])

    assert ear.hears()


def test_a_callback_that_raises_is_called_again(store, other, ear, caplog):
    def fail():
        ear()
        raise RuntimeError("no")

    store.watch(fail)
    for number in (1, 2):
        other.apply([create(f"i{number}")])
        assert ear.hears(number)
    store.close()

    assert "a callback of Store.watch raised" in caplog.text


def test_a_callback_may_close_its_store(store, other):
    closed = threading.Event()

    def close():
        store.close()
        closed.set()

    store.watch(close)
    [thread] = watchers()
    other.apply([create("i")])

    assert closed.wait(LONG)
    thread.join(LONG)
    assert not thread.is_alive()


def test_closing_while_a_callback_waits_for_the_closer_does_not_hang(store, other):
    lock, entered = threading.Lock(), threading.Event()

    def wait_for_the_lock():
        entered.set()
        with lock:
            pass

    store.watch(wait_for_the_lock)
    [thread] = watchers()
    with lock:
        other.apply([create("i")])
        assert entered.wait(LONG)
        store.close()
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_store_in_memory_has_no_others(ear):
    with open_store(None) as store:
        end = store.watch(ear)
        store.apply([create("i")])
        assert watchers() == []
        end()


# SQLite's file


def test_closing_a_store_that_was_watched_leaves_one_file(path, store, ear):
    store.watch(ear)
    store.apply([create("i")])
    store.close()

    assert [file.name for file in path.parent.iterdir()] == ["labels.db"]


def test_watching_keeps_no_log_from_being_written_back(path, store, ear):
    store.watch(ear)
    store.apply([create("i")])
    assert ear.hears()

    with store._database.reading() as connection:
        connection.exec_driver_sql("COMMIT")  # a checkpoint is not for transactions
        busy, log, done = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.exec_driver_sql("BEGIN")
    assert (busy, log, done) == (0, 0, 0)


def test_a_file_that_cannot_be_found_is_said_at_once(path, store, ear):
    path.rename(path.with_name("elsewhere.db"))

    with pytest.raises(StoreError, match=r"labels\.db: cannot be watched .*No such file"):
        store.watch(ear)
    assert watchers() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files in their place")
def test_a_file_that_another_was_put_in_place_of_is_watched(path, store, ear, caplog):
    with open_store(path.with_name("new.db")) as new:
        new.apply([create("i")])
    store.watch(ear)
    path.with_name("new.db").replace(path)
    assert ear.hears()
    assert "another file was put in its place" in caplog.text

    calls = ear.calls
    with open_store(path) as other:
        other.apply([create("j")])
    assert ear.hears(calls + 1)

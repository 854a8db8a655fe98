"""Processes on one database that are killed, or that all write at once: nothing is lost."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time

import pytest
import sqlalchemy as sa

from nbannotate.store import open_store, tables

from .conftest import SCHEMA
from .labelling import CLIENT, IMAGES, commit, label_on, start, steps
from .test_store import create, replayed, without_time

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and fork")

LONGEST = 0.15  # seconds


def acknowledged_before_the_kill(address, chance):
    """Start a run, kill it at a random moment, and give the last step that it told of."""
    process, pipe = start(label_on, address)
    if chance.random() < 0.8:  # else it may be while the store is opened
        assert pipe.poll(60)  # a step is acknowledged
    time.sleep(chance.uniform(0, LONGEST))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    last = 0
    try:
        while True:
            last = pipe.recv()
    except (EOFError, OSError):  # the last message may be half there
        pipe.close()
    return last


def as_scripted(count):
    """Labels and notes after so many steps."""
    labels, notes = {}, {}
    for edit in itertools.chain.from_iterable(itertools.islice(steps(), count)):
        if edit.op == "image":
            notes[edit.image] = edit.after["note"]
        elif edit.op == "delete":
            del labels[edit.label_id]
        else:
            labels[edit.label_id] = {**labels.get(edit.label_id, {}), **edit.after}
    return labels, notes


def assert_whole(address, acknowledged):
    """All that was acknowledged is there, at most one step more, and each step is whole."""
    with open_store(address) as store:
        done = store.acknowledged(CLIENT)
        # The last one may be committed and its process be dead before it could say so.
        assert acknowledged <= done <= acknowledged + 1
        labels, notes = as_scripted(done)
        rows = itertools.chain.from_iterable(store.labels_of(IMAGES).values())
        assert {row["label_id"]: without_time(row) for row in rows} == labels
        images = store.images_of(IMAGES)
        assert {image: row["note"] for image, row in images.items()} == notes
        assert store.seconds() == done
        assert [batch.number for batch in store.batches_after(0)] == list(range(1, done + 1))
        assert replayed(store) == (labels, {image: {"note": note} for image, note in notes.items()})
        if store._database._engine.dialect.name == "sqlite":
            with store._database.reading() as connection:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        return done


def kill_and_look(address, trials):
    chance = random.Random()
    open_store(address).close()
    done, runs_at_work = 0, 0
    for _ in range(trials):
        last = acknowledged_before_the_kill(address, chance)
        runs_at_work += last > 0
        done = assert_whole(address, max(last, done))
    assert runs_at_work > trials / 4
    assert done >= runs_at_work


def test_killed_runs_lose_nothing_that_was_acknowledged(address):
    kill_and_look(address, 10)


@pytest.mark.soak
def test_two_hundred_killed_runs_lose_nothing_that_was_acknowledged(address):
    kill_and_look(address, 200)


def test_processes_that_write_at_once_lose_nothing_and_number_without_gaps(address):
    with open_store(address) as store:
        store.schema = SCHEMA
        runs = [start(commit, address, f"p{number}", 50) for number in range(8)]
        for _, pipe in runs:
            pipe.send("go")
        # Who follows the batches, as a project does, sees all of them once, in their order.
        seen = []
        while len(seen) < 400 and any(process.is_alive() for process, _ in runs):
            seen += [batch.number for batch in store.batches_after(seen[-1] if seen else 0)]
        seen += [batch.number for batch in store.batches_after(seen[-1] if seen else 0)]

        numbers = [pipe.recv() for _, pipe in runs]
        for process, _ in runs:
            process.join()
        assert [process.exitcode for process, _ in runs] == [0] * 8
        assert seen == list(range(1, 401))
        assert all(own == sorted(own) for own in numbers)
        assert sorted(itertools.chain.from_iterable(numbers)) == seen
        wanted = {f"p{process}-{number}" for process in range(8) for number in range(50)}
        assert set(store.labels.index) == wanted
        history = store.history
        assert history["batch"].tolist() == seen
        assert history["at"].is_monotonic_increasing and history["at"].is_unique


def test_who_reads_sees_one_state_of_all_tables(address):
    with open_store(address) as store, open_store(address) as other:
        store.schema = SCHEMA
        other.apply([create("i")])
        with store._database.reading() as connection:
            labels = connection.execute(sa.select(tables.labels)).all()
            other.apply([create("j")])  # a reader keeps no writer waiting
            history = connection.execute(sa.select(tables.history)).all()
        assert len(labels) == len(history) == 1
        assert len(store.labels) == len(store.history) == 2


def test_many_who_open_an_empty_database_at_once_make_one_store(address):
    ids, start_line = [], threading.Barrier(6)

    def work():
        start_line.wait()
        with open_store(address) as store:
            ids.append(store.id)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ids) == 6 and len(set(ids)) == 1

"""A class on one store: each image is labelled by as many as it should, and no edit is lost."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from nbannotate.store import open_store

from . import team
from .labelling import start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork")


def label_together(address, people, images, how, seconds):
    """Have so many label so many images; returns what each was told is saved, and the time."""
    with open_store(address) as store:
        team.join(store, "setup", ["00000.jpg"], **how)
    names = [f"annotator {number:02}" for number in range(people)]
    workers = [start(team.work, address, name, images, how) for name in names]
    begin = time.monotonic()
    for _, pipe in workers:
        pipe.send("go")
    with ThreadPoolExecutor(people) as threads:
        told = list(threads.map(lambda worker: team.told(worker[1], seconds), workers))
    taken = time.monotonic() - begin
    for process, pipe in workers:
        pipe.send("bye")
        process.join(60)
    assert [process.exitcode for process, _ in workers] == [0] * people
    return dict(zip(names, told, strict=True)), taken


def assert_shared_out(address, told, images, hands):
    """Each image has as many annotators as it should; all that was told of is there."""
    with open_store(address) as store:
        labels = store.labels
        assert {
            (row.Index, row.image, row.annotator)
            for row in labels[["image", "annotator"]].itertuples()
        } == {(label, image, name) for name, items in told.items() for label, image in items}
        annotators = labels.groupby("image", observed=True)["annotator"].nunique()
        assert Counter(annotators) == {hands: images}
        assert len(labels) == images * hands
        assert set(store.images["status"]) == {"done"}
        assert len(store.images) == images
        assert store.check().ok
        with store._database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM leases").scalar() == 0


def run(address, people, images, hands, capsys, seconds=300.0):
    told, taken = label_together(address, people, images, {"overlap": hands}, seconds)
    assert_shared_out(address, told, images, hands)
    commits = 2 * images * hands
    with capsys.disabled():
        print(
            f"\n{people} processes, {images} images, overlap {hands}: {commits} commits in "
            f"{taken:.1f} s, {commits / taken:.0f} a second"
        )


@pytest.mark.parametrize("hands", [1, 2])
def test_a_team_labels_each_image_as_often_as_it_should(address, hands, capsys):
    run(address, 5, 60, hands, capsys)


@pytest.mark.soak
def test_a_class_of_thirty_on_one_server(kind, address, capsys):
    people, images = (8, 800) if kind == "sqlite" else (30, 3000)
    run(address, people, images, 2, capsys, seconds=1500.0)


def test_what_someone_had_in_hand_who_is_gone_is_labelled_by_others(address):
    images = [f"{number}.jpg" for number in range(4)]
    with open_store(address) as gone, open_store(address) as store:
        team.join(store, "setup", images, overlap=1)
        store.leases("setup").offer(images)
        assert gone.leases("ana", seconds=1.0).take(4) == images
        ben = store.leases("ben")
        found, end = [], time.monotonic() + 30
        while len(found) < 4 and time.monotonic() < end:
            found += ben.take(4 - len(found))
            threading.Event().wait(0.05)  # a poll: nothing tells that time has passed

    assert found == images

"""Scripted labelling in processes of their own, which a test may kill at any moment."""

from __future__ import annotations

import itertools
import multiprocessing
import random
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from nbannotate.core.edits import Edit, Row
from nbannotate.store import open_store

from .test_store import create

CLIENT = "browser"
IMAGES = [f"{number}.jpg" for number in range(10)]


def steps() -> Iterator[list[Edit]]:
    """The batches of a labelling run, the same each time: each changes a label and its image."""
    chance = random.Random(5)
    labels: dict[str, Row] = {}
    notes: dict[str, str | None] = dict.fromkeys(IMAGES)
    for number in itertools.count(1):
        image = chance.choice(IMAGES)
        here = [label_id for label_id, row in labels.items() if row["image"] == image]
        old = chance.choice(here) if here else None
        edits = []
        if old is not None and chance.random() < 0.3:
            edits.append(Edit("delete", image, old, before=labels.pop(old)))
        elif old is not None:
            x = float(number)
            before = {"x": labels[old]["x"]}
            edits.append(Edit("update", image, old, before, {"x": x}))
            labels[old] = {**labels[old], "x": x}
        if old is None or chance.random() < 0.5:
            edit = create(f"i{number}", image, created=number)
            labels[f"i{number}"] = {**edit.after}
            edits.append(edit)
        # The label's change alone would be half of the step.
        note = f"step {number}"
        edits.append(Edit("image", image, None, {"note": notes[image]}, {"note": note}))
        notes[image] = note
        yield edits


def label_on(address: Path | str, pipe: Connection) -> None:
    """Go on with the run where the store has it, and tell of each step that is acknowledged."""
    pipe.send("started")
    store = open_store(address)
    done = store.acknowledged(CLIENT)
    for number, edits in enumerate(itertools.islice(steps(), done, None), done + 1):
        store.apply(edits, annotator="ana", seconds=1.0, message=(CLIENT, number))
        pipe.send(number)


def commit(address: Path | str, pipe: Connection, name: str, count: int) -> None:
    """Make so many labels, beside other processes that do the same, each by its own name."""
    with open_store(address) as store:
        pipe.send("started")
        pipe.recv()
        numbers = [
            store.apply([create(f"{name}-{number}", f"{name}.jpg")], annotator=name)
            for number in range(count)
        ]
    pipe.send(numbers)


def start(target, address, *arguments):
    """Run one of them in a process of its own: the process, and our end of its pipe."""
    # A server that has everything imported: a process is then a fork away.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(address, theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    assert ours.poll(60) and ours.recv() == "started"
    return process, ours

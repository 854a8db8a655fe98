"""Annotators in processes of their own who label what is handed out to them, as widgets do."""

from __future__ import annotations

import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from nbannotate.core.schema import Schema
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.store import open_store

SCHEMA = Schema(classes=["cat", "dog"])
AHEAD = 4


def join(store, annotator, images, **how):
    """A project of this annotator."""
    picture = np.zeros((80, 100), np.uint8)
    source = open_source(dict.fromkeys(images, picture))
    return Project(source, store, SCHEMA, annotator=annotator, **how)


def work(
    address: Path | str, pipe: Connection, annotator: str, count: int, how: dict[str, int]
) -> None:
    """Label until nothing is left; tells of each label that is acknowledged, and its image."""
    images = [f"{number:05}.jpg" for number in range(count)]
    chance = random.Random(annotator)
    pipe.send("started")
    pipe.recv()
    with open_store(address) as store:
        project = join(store, annotator, images, **how)
        in_hand = list(project.share.begin(images))
        while in_hand := in_hand + project.share.more(AHEAD - len(in_hand)):
            image = in_hand.pop(0)
            x, y = chance.uniform(0, 60), chance.uniform(0, 40)
            place = {"x": x, "y": y, "width": 20.0, "height": 20.0}
            change = {"op": "create", "image": image, "kind": "box", "label": "cat", **place}
            event = project.commit([change], seconds=0.5)
            pipe.send((event.edits[0].label_id, image))
            project.commit([{"op": "image", "image": image, "changes": {"status": "done"}}])
    pipe.send(None)
    pipe.recv()  # that all has been read


def told(pipe: Connection, seconds: float) -> list[tuple[str, str]]:
    """All that a worker tells, until it ends."""
    found = []
    end = time.monotonic() + seconds
    while pipe.poll(max(0.0, end - time.monotonic())):
        item = pipe.recv()
        if item is None:
            return found
        found.append(item)
    raise TimeoutError(f"a worker is silent after {len(found)} labels")

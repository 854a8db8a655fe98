"""What a store of a million labels costs beside one of a thousand, and beside pandas' own reading.

Method
------
Two stores on disk, alike but for their size: 10 labels an image, one batch of history a label, as
if drawn one by one. They are filled by bulk insert. Gestures, steps to another image and openings
are timed in this process, by turns on both, at random images; the median counts. The table of
labels is read in fresh processes by turns, each timed and its peak memory asked of the system, by
``store.labels`` and by ``pandas.read_sql`` of the same columns.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from nbannotate.core.edits import Row
from nbannotate.core.replay import replay
from nbannotate.core.schema import Schema
from nbannotate.store import open_store, tables

SIZES = {"1,000 labels": 1_000, "1,000,000 labels": 1_000_000}
PER_IMAGE = 10
TURNS = 60
OPENINGS = 15
READINGS = 3
CHUNK = 50_000
SCHEMA = Schema(classes=["cat", "dog", "bird"], tags=["sun"], attributes={"occluded": bool})
TAG = SCHEMA.find("sun", "tag").id
EPOCH = 1_700_000_000_000_000  # microseconds
WIDTH, HEIGHT = 1600, 1200  # pixels

READ = {
    "store.labels": """
from nbannotate.store import open_store
store = open_store(path)
begun = time.perf_counter()
frame = store.labels
""",
    "pandas.read_sql": """
import sqlite3, pandas
connection = sqlite3.connect(path)
begun = time.perf_counter()
frame = pandas.read_sql("SELECT {columns} FROM labels", connection)
""",
}
TIMED = """
import resource, sys, time
path = sys.argv[1]
{code}
took = time.perf_counter() - begun
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, len(frame))
"""


def dumps(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def image_key(number: int) -> str:
    return f"{number // 1000:03}/photo {number:06}.jpg"


def work_on(image: str, number: int) -> Iterator[Row]:
    """History of an image: its labels drawn one by one, then done; boxes, polygons and a tag."""
    chance = random.Random(number)
    at = EPOCH + number * 60_000_000
    about = {"annotator": f"annotator {number % 3}", "seconds": 2.5, "image": image}
    first = {"path": f"/photos/{image}", "width": WIDTH, "height": HEIGHT}
    for place in range(PER_IMAGE):
        at += 3_000_000
        kind = "tag" if place == 0 else "polygon" if place == 1 and number % 5 == 0 else "box"
        side = chance.uniform(5, 100)
        x, y = chance.uniform(0, WIDTH - side), chance.uniform(0, HEIGHT - side)
        row: Row = {
            "label_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "kind": kind,
            "class_id": TAG if kind == "tag" else 1 + place % 3,
            **dict.fromkeys(("x", "y", "width", "height")),
            "geometry": [[[x, y], [x + side, y], [x, y + side]]] if kind == "polygon" else None,
            "attributes": {"occluded": True} if place == 5 and number % 2 else {},
            **dict.fromkeys(("text", "score", "frame", "track")),
            "source": "human",
            "created": at,
            **about,
        }
        if kind != "tag":
            row |= {"x": x, "y": y, "width": side, "height": side}
        yield {
            **about,
            "at": at,
            "op": "create",
            "label_id": row["label_id"],
            "before": None,
            "after": row,
            "facts": None if place else first,
        }
    yield {
        **about,
        "at": at + 1,
        "op": "image",
        "label_id": None,
        "before": {"status": "todo"},
        "after": {"status": "done"},
        "facts": None,
    }


def fill(path: Path, count: int) -> None:
    """Make a store of so many labels, the tables by replaying the history."""
    with open_store(path) as store:
        store.schema = SCHEMA
    engine = sa.create_engine(f"sqlite:///{path}", json_serializer=dumps)
    seq = itertools.count(1)
    with engine.begin() as connection:
        for start in range(0, count, CHUNK):
            numbers = range(start // PER_IMAGE, min(start + CHUNK, count) // PER_IMAGE)
            history = [row for n in numbers for row in work_on(image_key(n), n)]
            for row in history:
                row["seq"] = row["batch"] = next(seq)
            for table, rows in zip((tables.labels, tables.images), replay(history), strict=True):
                connection.execute(sa.insert(table), list(rows.values()))
            connection.execute(sa.insert(tables.history), history)
    engine.dispose()

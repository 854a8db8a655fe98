"""What a store of a million labels costs beside one of a thousand, and beside pandas' own reading.

Method
------
Two stores on disk, alike but for their size: 10 labels an image, each drawn as a step of its own,
then the image done; filled by bulk insert. In this process each step is done by turns at both
sizes, with images at random but where the next one is asked for; the median counts. What an
opening costs is that of a store and of a project on its images, which are listed already. The
table of labels is read in fresh processes by turns, each timed and its peak memory asked of the
system, by ``store.labels`` and by ``pandas.read_sql`` of the same columns.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from PIL import Image

from benchmarks.report import Table, Verdict, tell
from nbannotate.core.collector import collector_off
from nbannotate.core.edits import Row
from nbannotate.core.replay import replay
from nbannotate.core.schema import Schema
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.store import open_store, tables

ROOT = Path(__file__).parents[1]
SIZES = {"1,000,000 labels": 1_000_000, "1,000 labels": 1_000}
PER_IMAGE = 10
RING = 5  # images whose labels are read for a step
TURNS = 100
WARM = 5  # turns that are not counted
READINGS = 3
ANNOTATOR = "annotator 0"
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
    about = {"annotator": ANNOTATOR, "seconds": 2.5, "image": image}
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


@collector_off()
def fill(path: Path, count: int) -> None:
    """Make a store of so many labels, the tables by replaying the history."""
    with open_store(path) as store:
        store.schema = SCHEMA
    engine = sa.create_engine(f"sqlite:///{path}", json_serializer=dumps)
    filled = (tables.labels, tables.images, tables.history)
    indexes = [index for table in filled for index in table.indexes]
    seq = itertools.count(1)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous = OFF")
        connection.exec_driver_sql("PRAGMA journal_mode = OFF")
        connection.exec_driver_sql("PRAGMA cache_size = -500000")  # 500 MB
        connection.exec_driver_sql("BEGIN")
        for index in indexes:  # made once at the end: ten times as fast
            index.drop(connection)
        for start in range(0, count, CHUNK):
            numbers = range(start // PER_IMAGE, min(start + CHUNK, count) // PER_IMAGE)
            history = [row for n in numbers for row in work_on(image_key(n), n)]
            for row in history:
                row["seq"] = row["batch"] = next(seq)
            for table, rows in zip(filled, replay(history), strict=False):
                connection.execute(sa.insert(table), list(rows.values()))
            connection.execute(sa.insert(tables.history), history)
        for index in indexes:
            index.create(connection)
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


class Bench:
    """A store of some size, opened, with a project on as many images as it has.

    Parameters
    ----------
    path
        The store.
    count
        How many labels it has.
    """

    def __init__(self, path: Path, count: int) -> None:
        picture = Image.new("RGB", (WIDTH, HEIGHT))
        self.path = path
        self.keys = [image_key(number) for number in range(count // PER_IMAGE)]
        self.source = open_source(dict.fromkeys(self.keys, picture))
        self.chance = random.Random(count)
        self.place = 0
        self.project = self.open()

    def open(self) -> Project:
        return Project(self.source, open_store(self.path), SCHEMA, annotator=ANNOTATOR)

    def close(self) -> None:
        self.project.store.close()

    def look(self, place: int) -> None:
        """What the widget asks for when it goes to an image and fills the ring behind it."""
        project = self.project
        ring = self.keys[place : place + RING]
        project.refresh()
        project.store.labels_of(ring)
        project.store.images_of(ring)
        project.status(ring[0]), project.progress, project.counts
        project.can_undo, project.can_redo  # noqa: B018

    def to_next(self) -> None:
        self.place = (self.place + 1) % (len(self.keys) - RING)
        self.look(self.place)

    def to_any(self) -> None:
        self.place = self.chance.randrange(len(self.keys) - RING)
        self.look(self.place)

    def draw(self) -> None:
        image = self.keys[self.chance.randrange(len(self.keys))]
        box = {"x": 10, "y": 10, "width": 50, "height": 50}
        self.project.commit([{"op": "create", "image": image, "label": "cat", **box}], seconds=1.0)

    def undo(self) -> None:
        self.project.undo()

    def reopen(self) -> None:
        self.open().store.close()


STEPS: dict[str, tuple[Callable[[Bench], None], float]] = {
    "open a store": (Bench.reopen, 2.0),
    "go to the next image": (Bench.to_next, 1.5),
    "go to any image": (Bench.to_any, 1.5),
    "commit a gesture": (Bench.draw, 1.5),
    "undo it": (Bench.undo, 1.5),
}


def steps(folder: Path, turns: int) -> Table:
    """Time each step at both sizes by turns."""
    table = Table("store on disk, ms", list(SIZES))
    benches = {name: Bench(folder / f"{count}.db", count) for name, count in SIZES.items()}
    for name, bench in benches.items():
        table.samples("count progress for the first time", name).add(
            timed(lambda b=bench: b.project.progress)
        )
    for row, (step, _) in STEPS.items():
        for turn in range(turns + WARM):
            for name, bench in benches.items():
                took = timed(lambda s=step, b=bench: s(b))
                if turn >= WARM:
                    table.samples(row, name).add(took)
    for bench in benches.values():
        bench.close()
    return table


def timed(step: Callable[[], object]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    step()
    return (time.perf_counter() - begun) * 1000


def readings(path: Path, count: int, rounds: int) -> tuple[Table, Table]:
    """Time and peak memory of the whole table of labels."""
    took = Table(f"{count:,} labels as a DataFrame, s", list(READ))
    peak = Table("peak memory of that process, GB", list(READ))
    columns = ", ".join(tables.LABEL_FIELDS)
    for _ in range(rounds):
        for name, code in READ.items():
            script = TIMED.format(code=code.format(columns=columns))
            command = [sys.executable, "-c", script, str(path)]
            run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            seconds, memory, rows = run.stdout.split()
            if int(rows) < count:
                raise RuntimeError(f"{name} read {rows} of {count} labels")
            took.samples("time", name).add(float(seconds))
            peak.samples("memory", name).add(float(memory))
    return took, peak


def judge(table: Table, took: Table, peak: Table) -> list[Verdict]:
    """The targets for scale."""
    small = list(SIZES)[1]
    return [
        Verdict(f"{row}: times as long as with {small}", table.ratio(row, small), limit)
        for row, (_, limit) in STEPS.items()
    ] + [
        Verdict(
            "store.labels: times as long as pandas.read_sql",
            took.ratio("time", "pandas.read_sql"),
            2.0,
        ),
        Verdict("store.labels: peak memory, GB", peak.median("memory"), 1.5),
    ]


def main(*, turns: int = TURNS, rounds: int = READINGS) -> bool:
    """Measure everything; whether every target was met."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled = {}
        for count in SIZES.values():
            started = time.monotonic()
            fill(folder / f"{count}.db", count)
            filled[count] = round(time.monotonic() - started, 1)
        largest = max(SIZES.values())
        took, peak = readings(folder / f"{largest}.db", largest, rounds)
        table = steps(folder, turns)
    verdicts = judge(table, took, peak)
    spent = round(time.monotonic() - begun)
    tell("store", [table, took, peak], verdicts, seconds=spent, filled=filled)
    return all(verdict.passed for verdict in verdicts)

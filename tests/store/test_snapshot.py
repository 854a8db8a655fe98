"""A snapshot: partitioned Parquet that reads back as the tables are."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.dataset as pds
import pytest

from nbannotate.core.schema import Schema
from nbannotate.core.tables import images_table, labels_table
from nbannotate.errors import StoreError
from nbannotate.store import open_store, snapshot
from tests.store.test_past import SCHEMA, box, commit


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "labels.db") as store:
        store.schema = SCHEMA
        yield store


def fill(store):
    rings = [[[1.5, 2.0], [3.0, 4.0], [1.0, 9.0]]]
    facts = {"é b.jpg": {"path": "/é b.jpg", "width": 640, "height": 480}}
    sun = {"op": "create", "label_id": "t", "image": "é b.jpg", "kind": "tag", "label": "sun"}
    answer = {"op": "create", "label_id": "w", "image": "a.jpg", "kind": "text", "text": "NA"}
    commit(store, box("i", attributes={"occluded": True}, frame=3), seconds=1.5)
    commit(store, sun, box("k", "é b.jpg", label="dog"), annotator=None, facts=facts)
    commit(store, answer, box("p", kind="polygon", geometry=rings, score=0.5, track=9))
    changes = {"status": "done", "unsure": True, "note": "null"}
    commit(store, {"op": "image", "image": "a.jpg", "changes": changes}, annotator="ben")
    commit(store, {"op": "delete", "label_id": "k"})


def parsed(column):
    return [None if pd.isna(text) else json.loads(text) for text in column]


def read(folder):
    """The labels, images and scheme, by pandas alone."""
    schema = Schema.from_dict(json.loads((folder / "schema.json").read_text("utf-8")))
    labels = pd.read_parquet(folder / "labels").sort_values("created", ignore_index=True)
    for name in ("geometry", "attributes"):
        labels[name] = pd.Series(parsed(labels[name]), dtype=object)
    labels = labels_table(labels, schema)
    return labels, images_table(pd.read_parquet(folder / "images")), schema


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
def test_a_snapshot_reads_back_as_the_tables(store, tmp_path, filled):
    if filled:
        fill(store)
    folder = store.snapshot(tmp_path / "snapshot")

    labels, images, schema = read(folder)
    pd.testing.assert_frame_equal(labels, store.labels)
    pd.testing.assert_frame_equal(images, store.images)
    assert schema == store.schema
    assert len(labels) == (4 if filled else 0)


def test_the_history_is_in_it_whole(store, tmp_path):
    fill(store)
    history = pd.read_parquet(store.snapshot(tmp_path / "snapshot") / "history")

    wanted = store.history
    assert history["seq"].tolist() == wanted.index.tolist()
    assert history["at"].tolist() == wanted["at"].tolist()
    for name in ("annotator", "op", "label_id", "image", "seconds", "batch", "reverses"):
        assert history[name].astype(object).where(history[name].notna(), None).tolist() == (
            wanted[name].astype(object).where(wanted[name].notna(), None).tolist()
        )
    ids = {c.name: c.id for c in (*SCHEMA.classes, *SCHEMA.tag_choices)} | {None: None}
    for name in ("before", "after"):
        for found, row in zip(parsed(history[name]), wanted[name], strict=True):
            if row is not None and "label" in row:
                found["label"] = {v: k for k, v in ids.items()}[found.pop("class_id")]
            assert found == row


def test_labels_are_parted_by_kind_and_large_kinds_into_files(store, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "_ROWS", 2)
    commit(store, *(box(f"i{number}") for number in range(5)))
    fill(store)
    folder = store.snapshot(tmp_path / "snapshot")

    kinds = {path.name for path in (folder / "labels").iterdir()}
    assert kinds == {"kind=box", "kind=tag", "kind=polygon", "kind=text"}
    files = sorted(path.name for path in (folder / "labels" / "kind=box").iterdir())
    assert files == ["part-0.parquet", "part-1.parquet", "part-2.parquet"]
    boxes = pds.dataset(folder / "labels", partitioning="hive")
    assert boxes.count_rows(filter=pds.field("kind") == "box") == 6


def test_a_folder_that_is_there_is_left_alone(store, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")

    with pytest.raises(StoreError, match="mine: is there already; remove it or give another"):
        store.snapshot(tmp_path / "mine")

    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"


def test_a_snapshot_that_fails_leaves_nothing(store, tmp_path, monkeypatch):
    fill(store)
    target = tmp_path / "out"
    target.mkdir()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot.pds, "write_dataset", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.snapshot(target / "snapshot")
    assert list(target.iterdir()) == []

    with pytest.raises(StoreError, match="its folder must exist"):
        store.snapshot(tmp_path / "nowhere" / "snapshot")

"""Stores whose images have other names by now: merged, salvaged, undone."""

from __future__ import annotations

import shutil

import pytest

from nbannotate.core.moves import reconciling
from nbannotate.core.schema import Schema
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.store import merge, open_store, salvage

SCHEMA = Schema(classes=["cat"])


def box(label_id, image):
    place = {"x": 1, "y": 2, "width": 3, "height": 4}
    return {"op": "create", "label_id": label_id, "image": image, "label": "cat", **place}


def done(image):
    return {"op": "image", "image": image, "changes": {"status": "done"}}


class Worker:
    """Someone who labels photos, which are named as told, in a store of their own."""

    def __init__(self, folder, name, photos):
        self.store = folder / f"{name}.db"
        self.photos = folder / f"photos of {name}"
        self.photos.mkdir()
        self.name = name
        for key, content in photos.items():
            picture = f"P5 20 20 255 {content:400}".encode()
            (self.photos / key).write_bytes(picture)

    def label(self, *changes):
        with open_store(self.store) as store:
            self._project(store).commit(changes)

    def reconcile(self, **names):
        for old, new in names.items():
            (self.photos / f"{old}.png").rename(self.photos / f"{new}.png")
        with open_store(self.store) as store:
            return self._project(store).reconcile()

    def _project(self, store):
        project = Project(open_source(self.photos), store, SCHEMA, annotator=self.name)
        for key in project.source.keys:
            project.size(key)  # no image of ours can be shown, yet all have content
            project.note_size(key, 20, 20)
        return project


def places(path):
    with open_store(path) as store:
        assert store.check().ok, store.check()
        statuses = store.images["status"]
        return store.labels["image"].to_dict(), statuses[statuses != "todo"].to_dict()


def test_nothing_yet():
    assert pytest and shutil and reconciling and merge and salvage and places

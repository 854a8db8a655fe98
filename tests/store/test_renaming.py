"""Images under other names in a store: replayed, salvaged, merged, and in stores made before."""

from __future__ import annotations

import shutil
from itertools import permutations

import pandas as pd
import pytest
import sqlalchemy as sa

from nbannotate.core.edits import Edit
from nbannotate.core.moves import reconciling
from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError
from nbannotate.images import identify, open_source
from nbannotate.project import Project
from nbannotate.store import merge, open_store, salvage, tables

from .test_past import assert_tables_are_replayed
from .test_salvage import pages_of
from .test_upkeep import damage

SCHEMA = Schema(classes=["cat", "dog"])
PHOTOS = {"a": b"A", "b": b"B", "c": b"C"}


def box(label_id, image):
    place = {"x": 1, "y": 2, "width": 3, "height": 4}
    return {"op": "create", "label_id": label_id, "image": image, "label": "cat", **place}


def done(image):
    return {"op": "image", "image": image, "changes": {"status": "done"}}


def opened(store, photos, annotator="ana"):
    project = Project(open_source(photos), store, SCHEMA, annotator=annotator)
    for image, content in photos.items():
        project.note_identity(image, identify(content, image))
    return project


def places(path):
    """The image of each label, and which images are done."""
    with open_store(path) as store:
        report = store.check()
        assert report.ok, report
        done = store.images["status"] == "done"
        return store.labels["image"].to_dict(), set(store.images.index[done])


# On SQLite and PostgreSQL


def test_moves_are_in_the_history_and_undone(store):
    project = opened(store, PHOTOS)
    project.commit([box("i", "a"), box("j", "b"), done("c")], seconds=2.0)
    renamed = opened(store, {"b": b"A", "a": b"B", "d": b"C"})
    before = store.dataset

    found = renamed.reconcile()
    assert found.moved == {"a": "b", "b": "a", "c": "d"}
    assert store.labels["image"].to_dict() == {"i": "b", "j": "a"}
    assert_tables_are_replayed(store)
    row = store.history.iloc[-1]
    assert (row["op"], row["annotator"], row["batch"]) == ("reconcile", "ana", found.batch)
    assert row["after"]["moves"] == found.moved
    assert row["image"] is pd.NA

    renamed.undo()
    assert store.labels["image"].equals(before.labels["image"])
    assert_tables_are_replayed(store)
    assert store.at(int(row.name)).labels["image"].to_dict() == {"i": "b", "j": "a"}


def test_what_does_not_fit_the_store_any_more_is_refused(store):
    opened(store, PHOTOS).commit([box("i", "a"), box("j", "b")])
    known = {key: one._asdict() for key, one in store.known_images().items()}
    for moves, facts, words in (
        ({"a": "b"}, {}, "someone has labelled the image 'b' since"),
        ({"gone": "x"}, {}, "someone has moved the image 'gone' since"),
        ({}, {"a": {"bytes": 7}}, "someone has recorded the image 'a' since"),
    ):
        edit = reconciling(moves, facts, {**known, "a": {**known["a"], "bytes": 99}})
        with pytest.raises(ConflictError, match=words):
            store.apply([edit])
    assert store.last_batch() == 1
    assert_tables_are_replayed(store)


def test_where_others_have_the_files_keeps_nobody_from_an_undo(store):
    opened(store, PHOTOS).commit([box("i", "a")])
    project = opened(store, {"x": b"A"})
    project.reconcile()
    edits = [Edit("image", "x", before={"note": None}, after={"note": "n"})]
    store.apply(edits, annotator="ben", facts={"x": {"path": "/ben/x", "width": 9, "height": 9}})

    project.undo()
    assert store.labels["image"].to_dict() == {"i": "a"}
    assert_tables_are_replayed(store)


def test_what_is_known_of_images_is_read_in_chunks(store, monkeypatch):
    monkeypatch.setattr("nbannotate.store.moving._CHUNK", 2)
    project = opened(store, {**PHOTOS, "d": b"D", "e": b"E"})
    project.commit([box("i", "a"), done("b"), done("c"), done("d")])
    project.commit([box("j", "e")])
    project.undo()  # nothing is said of that one any more

    chunks = list(store.contents())
    assert [[key for key, *_ in rows] for rows in chunks] == [["a", "b"], ["c", "d"]]
    assert chunks[0][0] == ("a", *identify(b"A", "a"))
    assert store.moves_since(0) == {}


def test_a_store_made_before_gets_the_columns_and_then_the_contents(address):
    with open_store(address) as store:
        opened(store, PHOTOS).commit([box("i", "a"), box("j", "b")])
        with store._database.writing() as connection:
            for name in ("bytes", "hash"):
                connection.exec_driver_sql(f"ALTER TABLE images DROP COLUMN {name}")
            connection.execute(sa.update(tables.history).values(facts=None))

    for _ in range(2):  # once is enough
        with open_store(address) as store:
            assert store.images["hash"].isna().all()
            assert store.images["bytes"].isna().all()
    with open_store(address) as store:
        project = opened(store, PHOTOS)
        project.commit([done("a")])
        assert store.images["hash"].notna().to_dict() == {"a": True, "b": False}
        assert project.reconcile().recorded == ("b",)
        assert store.images["hash"].notna().all()
        assert opened(store, {"x": b"A", "y": b"B"}).reconcile().moved == {"a": "x", "b": "y"}


# Salvaged


def test_a_damaged_store_made_before_is_salvaged_with_its_images(path, tmp_path):
    with open_store(path) as store:
        opened(store, PHOTOS).commit([box("i", "a"), done("b")])
        with store._database.writing() as connection:
            for name in ("bytes", "hash"):
                connection.exec_driver_sql(f"ALTER TABLE images DROP COLUMN {name}")
            connection.execute(sa.delete(tables.history))
    salvage(path, tmp_path / "new.db")

    with open_store(tmp_path / "new.db") as store:
        assert store.images["status"].to_dict() == {"a": "todo", "b": "done"}
        assert store.images["hash"].isna().all()


def test_a_damaged_store_keeps_the_names_that_images_have(path, tmp_path):
    with open_store(path) as store:
        for number in range(400):
            photo = {f"{number}": f"{number}".encode()}
            opened(store, photo).commit([box(f"i{number}", f"{number}")])
        names = {f"new {number}": f"{number}".encode() for number in range(400)}
        assert len(opened(store, names).reconcile().moved) == 400
        assert store.check().ok
    salvage(path, tmp_path / "whole.db")
    assert places(tmp_path / "whole.db")[0] == {f"i{n}": f"new {n}" for n in range(400)}

    damage(path, pages_of(path, "history")[-1:])
    salvage(path, tmp_path / "new.db")
    with open_store(tmp_path / "new.db") as store:
        assert store.labels["image"].to_dict() == {f"i{n}": f"new {n}" for n in range(400)}


def test_an_edit_of_names_that_damage_has_got_into_is_left_out(path, tmp_path):
    with open_store(path) as store:
        opened(store, PHOTOS).commit([box("i", "a")])
        opened(store, {"x": b"A"}).reconcile()
        broken = {"moves": {"a": 7}, "facts": {}}
        with store._database.writing() as connection:
            update = sa.update(tables.history).where(tables.history.c.op == "reconcile")
            connection.execute(update.values(after=broken))
    report = salvage(path, tmp_path / "new.db")

    assert not report.ok
    assert places(tmp_path / "new.db")[0] == {"i": "x"}  # as the labels have it


# Merged


@pytest.fixture
def stores(tmp_path):
    """Ana's store; Ben's copy of it, who went on; Eva's, who had Ana's photos and a new store."""
    ana, ben, eva = (tmp_path / f"{name}.db" for name in ("ana", "ben", "eva"))
    with open_store(ana) as store:
        opened(store, PHOTOS).commit([box("i", "a"), done("a")])
        opened(store, PHOTOS).commit([box("j", "b")])
    shutil.copy(ana, ben)
    with open_store(ben) as store:
        opened(store, PHOTOS, "ben").commit([box("ben's", "a"), done("b")])
    with open_store(eva) as store:
        opened(store, PHOTOS, "eva").commit([box("eva's", "a")])
    with open_store(ana) as store:
        renamed = opened(store, {"new a": b"A", "b": b"B"})
        assert renamed.reconcile().moved == {"a": "new a"}
        renamed.commit([box("later", "new a")])
    return ana, ben, eva


TOGETHER = {"i": "new a", "j": "b", "ben's": "new a", "eva's": "new a", "later": "new a"}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_labels_of_all_come_under_the_last_name_of_an_image(stores, tmp_path, order):
    merge([stores[number] for number in order], tmp_path / "all.db")

    assert places(tmp_path / "all.db") == (TOGETHER, {"new a", "b"})
    assert merge(stores, tmp_path / "all.db").edits == 0


@pytest.mark.parametrize("target", range(3))
def test_a_store_that_others_come_to_follows_their_moves(stores, tmp_path, target):
    [to] = [stores[target]]
    merge([path for path in stores if path != to], to)

    assert places(to) == (TOGETHER, {"new a", "b"})
    assert merge([path for path in stores if path != to], to).edits == 0
    assert places(to) == (TOGETHER, {"new a", "b"})


def test_a_store_that_was_merged_before_follows_when_it_is_merged_again(stores, tmp_path):
    ana, ben, _ = stores
    merge([ben], tmp_path / "all.db")
    assert places(tmp_path / "all.db")[0] == {"i": "a", "j": "b", "ben's": "a"}

    merge([ana], tmp_path / "all.db")
    wanted = {key: image for key, image in TOGETHER.items() if key != "eva's"}
    assert places(tmp_path / "all.db") == (wanted, {"new a", "b"})


def test_moves_that_were_undone_move_nothing(stores, tmp_path):
    _, ben, _ = stores
    with open_store(ben) as store:
        renamed = opened(store, {"other": b"B", "a": b"A"}, "ben")
        renamed.reconcile()
        renamed.undo()
    merge([stores[0], ben], tmp_path / "all.db")

    assert places(tmp_path / "all.db")[0]["j"] == "b"


def test_images_of_equal_name_and_other_content_are_not_taken_for_one(stores, tmp_path):
    other = tmp_path / "other.db"
    with open_store(other) as store:
        opened(store, {"a": b"Z"}, "zoe").commit([box("zoe's", "a")])
    report = merge([stores[0], stores[2], other], tmp_path / "all.db")

    assert places(tmp_path / "all.db")[0]["zoe's"] == "a"
    assert not report.conflicts
    report = merge([other, stores[1]], tmp_path / "again.db")
    assert any("'a': its file in" in sentence for sentence in report.conflicts)
    with open_store(tmp_path / "again.db") as store:
        assert store.check().ok


def test_an_edit_knows_its_images():
    edit = reconciling({"a": "b", "b": "a"}, {"c": {"bytes": 1}}, {"c": {"bytes": None}})

    assert edit.images == ("a", "b", "c")
    assert edit.inverse().inverse() == edit
    assert edit.inverse().after == {"moves": {"b": "a", "a": "b"}, "facts": {"c": {"bytes": None}}}
    assert Edit("schema", "").images == ()
    assert Edit("image", "a").images == ("a",)

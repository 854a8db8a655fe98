"""What can be read of a damaged store comes into a new one, and what cannot is told."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.edits import Edit
from nbannotate.errors import StoreError
from nbannotate.store import open_store, salvage

from .test_store import SCHEMA, assert_same, create, everything, status, update
from .test_upkeep import damage, names, sql

COUNT = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A closed store with labels, updates, deletions and statuses on many pages."""
    path = tmp_path_factory.mktemp("whole") / "labels.db"
    with open_store(path) as store:
        store.schema = SCHEMA
        for number in range(COUNT):
            image = f"{number // 4}.jpg"
            facts = {image: {"path": f"/photos/{image}", "width": 640, "height": 480}}
            new = create(f"i{number}", image, text="é" * (number % 30))
            store.apply([new], annotator="ana", seconds=1.5, message=("b", number), facts=facts)
        for number in range(0, COUNT, 3):
            edit = update(f"i{number}", {"x": 1.0}, {"x": 7.0 + number}, f"{number // 4}.jpg")
            store.apply([edit], annotator="ben")
        for number in range(0, COUNT, 7):
            row = store.label(f"i{number}")
            store.apply([Edit("delete", row["image"], row["label_id"], before=row)])
        store.apply([status("done", image=f"{number}.jpg") for number in range(9)], seconds=4.0)
    return path


@pytest.fixture
def path(whole, tmp_path):
    return Path(shutil.copy(whole, tmp_path / "labels.db"))


def pages_of(path, name):
    """Numbers of the leaf pages of a table or index."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
        return [row[0] for row in connection.execute(query, [name])]


def rows_of(store):
    return {row["label_id"]: row for row in store._database.rows(store_labels())}


def store_labels():
    from nbannotate.store import tables

    return tables.labels.select()


def same_labels(one, other):
    """Labels that differ in nothing but when they were last changed."""
    return {k: v for k, v in one.items() if k != "updated"} == {
        k: v for k, v in other.items() if k != "updated"
    }


def test_a_store_that_is_in_order_comes_out_the_same(whole, path, tmp_path):
    report = salvage(path, tmp_path / "new.db")

    assert report.ok, report
    assert path.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == ["labels.db", "new.db"]
    with open_store(whole) as old, open_store(tmp_path / "new.db") as new:
        assert_same(everything(new), everything(old))
        assert (new.id, new.schema) == (old.id, old.schema)
        assert new.acknowledged("b") == old.acknowledged("b") == COUNT - 1
        assert new.check().ok
        assert report.labels == len(new.labels) and report.edits == len(new.history)


@pytest.mark.parametrize("name", ["labels", "images", "labels_by_image", "history_by_batch"])
def test_the_history_alone_brings_all_labels_back(whole, path, tmp_path, name):
    damage(path, pages_of(path, name))

    report = salvage(path, tmp_path / "new.db")

    assert report.ok == (name not in ("labels", "images"))
    with open_store(whole) as old, open_store(tmp_path / "new.db") as new:
        assert rows_of(new) == rows_of(old)
        assert new.statuses() == old.statuses()
        assert new.seconds() == pytest.approx(old.seconds())
        assert new.check().ok


def test_without_their_history_labels_are_as_the_tables_have_them(whole, path, tmp_path):
    damage(path, pages_of(path, "history"))

    report = salvage(path, tmp_path / "new.db")

    assert any("edits of the history" in line for line in report.problems), report
    assert any("'salvage'" in line for line in report.problems), report
    with open_store(whole) as old, open_store(tmp_path / "new.db") as new:
        found, wanted = rows_of(new), rows_of(old)
        assert sorted(found) == sorted(wanted)
        assert all(same_labels(found[key], wanted[key]) for key in wanted)
        assert new.statuses() == old.statuses()
        assert new.seconds() == pytest.approx(old.seconds())
        assert new.images["width"].tolist() == old.images["width"].tolist()
        assert set(new.history["annotator"]) == {"salvage"}
        assert new.check().ok


@pytest.mark.parametrize("places", [[0], [0.5], [1], [0.2, 0.8]], ids=str)
def test_with_some_of_the_history_lost_nothing_of_the_labels_is(
    whole, path, tmp_path, places, monkeypatch
):
    monkeypatch.setattr("nbannotate.store.damaged._MOST_MISSED", 0)  # what lies between counts
    pages = pages_of(path, "history")
    damage(path, [pages[round(place * (len(pages) - 1))] for place in places])

    report = salvage(path, tmp_path / "new.db")

    assert not report.ok
    with open_store(whole) as old, open_store(tmp_path / "new.db") as new:
        found, wanted = rows_of(new), rows_of(old)
        assert sorted(found) == sorted(wanted)
        assert all(same_labels(found[key], wanted[key]) for key in wanted)
        kept = new.history["annotator"].astype(str).ne("salvage")
        assert kept.sum() > len(old.history) * 0.8, "the pages around it are read"
        assert new.check().ok
        assert new.apply([create("more")]) == new.last_batch()


def test_a_file_that_has_lost_its_beginning_is_read(whole, path, tmp_path):
    with path.open("rb+") as file:
        file.write(bytes(4096))

    salvage(path, tmp_path / "new.db")

    with open_store(whole) as old, open_store(tmp_path / "new.db") as new:
        assert rows_of(new) == rows_of(old)
        assert new.id == old.id


def test_a_file_that_was_cut_gives_what_is_left(whole, path, tmp_path):
    os.truncate(path, path.stat().st_size * 2 // 3)

    report = salvage(path, tmp_path / "new.db")

    assert not report.ok
    with open_store(whole) as old, open_store(tmp_path / "new.db") as new:
        found, wanted = rows_of(new), rows_of(old)
        assert len(set(found) & set(wanted)) > len(wanted) // 3
        assert new.check().ok


def test_what_is_in_the_log_only_is_read_too(tmp_path):
    with open_store(tmp_path / "live.db") as store:
        store.schema = SCHEMA
        store.apply([create("i"), create("j")])
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"live.db{suffix}", tmp_path / f"labels.db{suffix}")

    assert salvage(tmp_path / "labels.db", tmp_path / "new.db").ok
    with open_store(tmp_path / "new.db") as new:
        assert sorted(new.labels.index) == ["i", "j"]


@pytest.mark.parametrize("table", ["history", "labels"])
def test_a_number_of_a_row_that_cannot_be_ends_nothing(path, tmp_path, table):
    pages = pages_of(path, table)
    sql(
        path,
        f"UPDATE {table} SET rowid = {2**63 - 1} WHERE rowid = (SELECT max(rowid) FROM {table})",
    )
    damage(path, [pages[len(pages) // 2]])

    salvage(path, tmp_path / "new.db")

    with open_store(tmp_path / "new.db") as new:
        assert len(new.labels) == COUNT - len(range(0, COUNT, 7))
        assert new.apply([create("more")]) == new.last_batch()
        assert new.check().ok


def test_a_lost_scheme_gives_classes_that_can_be_renamed(path, tmp_path):
    sql(path, "DELETE FROM meta WHERE key IN ('schema', 'id')")

    report = salvage(path, tmp_path / "new.db")

    assert "the names of class 1, which are called so now" in report.problems
    assert any(line.startswith("the id of the store") for line in report.problems)
    with open_store(tmp_path / "new.db") as new:
        assert set(new.labels["label"]) == {"class 1"}
        assert new.check().ok


def test_a_label_that_differs_from_its_history_is_told(path, tmp_path):
    sql(path, "UPDATE labels SET x = 99 WHERE label_id = 'i1'")

    report = salvage(path, tmp_path / "new.db")

    assert any("label 'i1' of '0.jpg'" in line for line in report.problems)
    with open_store(tmp_path / "new.db") as new:
        assert new.labels.loc["i1", "x"] == 1.0


@pytest.mark.parametrize("content", [b"", b"rubbish" * 5000])
def test_what_is_no_store_gives_none(tmp_path, content):
    path = tmp_path / "labels.db"
    path.write_bytes(content)

    with pytest.raises(StoreError, match="nothing of a store can be read in it; restore a backup"):
        salvage(path, tmp_path / "new.db")

    assert names(tmp_path) == ["labels.db"]
    assert path.read_bytes() == content


def test_a_store_that_is_open_or_missing_or_a_place_that_is_taken_is_refused(path, tmp_path):
    with open_store(path), pytest.raises(StoreError, match="is open in this program"):
        salvage(path, tmp_path / "new.db")
    with pytest.raises(StoreError, match="is there already; give another path"):
        salvage(path, path)
    with pytest.raises(StoreError, match="there is no such file"):
        salvage(tmp_path / "none.db", tmp_path / "new.db")


def test_a_damaged_layout_whose_text_is_no_text_is_read(whole, tmp_path):
    content = bytearray(whole.read_bytes())
    start = content.find(b"CREATE TABLE meta")
    for place in range(start, start + 40, 3):
        damaged = bytes([*content[:place], content[place] ^ 128, *content[place + 1 :]])
        (tmp_path / "labels.db").write_bytes(damaged)
        salvage(tmp_path / "labels.db", tmp_path / f"{place}.db")
        with open_store(tmp_path / f"{place}.db") as new:
            assert len(new.labels) > 0


@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_whatever_bytes_are_flipped_the_new_store_is_in_order(whole, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flipped")
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.sampled_from([1, 50, 4096, 20_000]))
        part = content[start : start + length]
        flip = data.draw(st.integers(1, 255))
        content[start : start + length] = bytes(byte ^ flip for byte in part)
    (folder / "labels.db").write_bytes(content)

    try:
        salvage(folder / "labels.db", folder / "new.db")
    except StoreError as error:
        assert "nothing of a store can be read" in str(error)
        return
    with open_store(folder / "new.db") as new:
        assert new.check().problems == ()
        assert len(new.labels) == new.check().labels

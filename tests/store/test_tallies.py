"""Sums that are kept are those of the tables, and made anew where they are of another batch."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from nbannotate.core.edits import Edit, inverted
from nbannotate.store import open_store, tables
from tests.store.test_past import SCHEMA, box, commit


@pytest.fixture
def store(path):
    with open_store(path) as store:
        store.schema = SCHEMA
        yield store


def kept(store):
    with store._database.reading() as connection:
        rows = connection.execute(sa.select(tables.tallies))
        return {row.name: row.value for row in rows}


def test_sums_are_kept_with_each_batch(store):
    commit(store, box("i"), box("j", label="dog"), seconds=2.0)
    commit(store, {"op": "update", "label_id": "i", "changes": {"label": "dog"}}, seconds=0.5)
    number = commit(store, {"op": "delete", "label_id": "j"}, seconds=1.0)

    assert kept(store) == {"batch": 3, "seconds": 3.5, "class 1": 0, "class 2": 1}
    assert (store.counts(), store.seconds()) == ({2: 1}, 3.5)
    store.apply(inverted(store.batch(number)), annotator="ana", reverses=number)
    assert store.counts() == {2: 2}


def test_a_batch_that_is_refused_leaves_the_sums(store):
    commit(store, box("i"), seconds=2.0)
    before = kept(store)

    with pytest.raises(Exception, match="is gone"):
        store.apply([Edit("delete", "a.jpg", "gone", before={})], seconds=9)

    assert kept(store) == before


@pytest.mark.parametrize("then", ["nothing", "a commit", "an opening"])
def test_a_batch_that_came_in_by_another_way_is_counted(path, store, then):
    commit(store, box("i"), seconds=2.0)
    row = {**store.label("i"), "label_id": "j", "class_id": 2}
    edit = {"at": 1, "op": "create", "label_id": "j", "image": "a.jpg", "after": row, "batch": 2}
    with store._database.writing() as connection:
        connection.execute(sa.insert(tables.labels), row)
        connection.execute(sa.insert(tables.history), edit)
        connection.execute(sa.update(tables.images).values(seconds=5.0))

    wanted = {1: 1, 2: 1}
    if then == "a commit":
        commit(store, box("k", label="dog"), seconds=1.0)
        wanted[2] += 1
    if then == "an opening":
        open_store(path).close()
    assert store.counts() == wanted
    assert store.seconds() == (6.0 if then == "a commit" else 5.0)
    assert (kept(store)["batch"] == store.last_batch()) is (then != "nothing")


def test_the_last_batches_are_found_however_large_they_are(store):
    commit(store, *(box(f"i{number}") for number in range(50)))
    commit(store, box("x"), annotator="ben")
    number = commit(store, box("j"))
    store.apply(inverted(store.batch(number)), annotator="ana", reverses=number)

    stack = store.undo_stack("ana")
    assert (stack.done, stack.undone) == ([1], [4])
    assert (store.undo_stack("ben").done, store.undo_stack("eve").done) == ([2], [])


def test_what_is_asked_at_an_opening_reads_no_whole_table(store):
    commit(store, box("i"))
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith(("SELECT", "WITH")):
            plan = connection.connection.driver_connection.execute(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            plans.extend(f"{row[3]}  IN  {statement}" for row in plan.fetchall())

    engine = store._database._engine
    sa.event.listen(engine, "before_cursor_execute", explain)
    store.counts(), store.seconds(), store.last_batch(), store.acknowledged("browser")
    store.undo_stack("ana"), store.undo_stack(None), store.batches_after(1)
    commit(store, box("j"))

    assert len(plans) > 10
    read = [plan for plan in plans if re.match("(SCAN|SEARCH) (labels|images|history) ", plan)]
    # What has no condition in its plan goes through the table: allowed for its last row only.
    through = [plan for plan in read if not re.match(r"[^()]*\([a-z_]+[=<>]", plan)]
    assert [p for p in through if "WHERE" in p or not re.search("max|LIMIT", p)] == []
    assert len(read) > len(through) > 0

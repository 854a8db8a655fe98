"""Edits of the scheme in a store: one batch with its labels, counted before, taken back whole."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core import schema_edits as plans
from nbannotate.core.edits import inverted
from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError, NbannotateError, SchemaError, StaleSchemaError
from nbannotate.store import open_store, salvage
from tests.store.test_store import STEPS, create, do, everything, kept, replayed, status

SCHEMA = Schema(classes=["cat", "dog", "cow"], tags=["sun", "rain"], attributes={"occluded": bool})


@pytest.fixture
def store(address):
    with open_store(address) as store:
        store.schema = SCHEMA
        yield store


@pytest.fixture
def labelled(store):
    """Two cats and a dog on one image that is done, a cat on another, and a tag on each."""
    store.apply(
        [
            *(create(i) for i in "ij"),
            create("k", class_id=2, attributes={"occluded": True}),
            create("l", "b.jpg"),
            *(create(f"{i}{image}", image, n, kind="tag") for i, image, n in TAGS),
            status("done"),
        ]
    )
    return store


TAGS = [("m", "a.jpg", 4), ("n", "a.jpg", 5), ("o", "b.jpg", 5)]


def classes(store):
    return store.labels.query("kind == 'box'")["label"].astype(str).to_dict()


def undo(store, number):
    return store.apply(inverted(store.batch(number)), reverses=number)


def state(store):
    """All that an undo brings back."""
    labels, images, _ = everything(store)
    images = images.drop(columns=["updated", "seconds"])
    labels = labels.drop(columns="updated").sort_index()  # all were made at the same moment
    return labels, images, store.schema_record.to_dict(), store.counts()


def assert_same_state(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        else:
            assert one == other


EDITS = {
    "add": lambda schema, **o: schema.add("bird", **o),
    "rename": lambda schema, **o: schema.rename("cat", "kitten", **o),
    "merge": lambda schema, **o: schema.merge(["cat", "dog"], into="pet", **o),
    "merge tags": lambda schema, **o: schema.merge(["sun", "rain"], into="weather", **o),
    "split": lambda schema, **o: schema.split("cat", into=["lion", "tiger"], **o),
    "retire": lambda schema, **o: schema.retire("cat", **o),
    "remove": lambda schema, **o: schema.remove("cat", move_to="dog", **o),
    "remove unused": lambda schema, **o: schema.remove("cow", **o),
    "reorder": lambda schema, **o: schema.reorder(["dog", "cat"], **o),
    "recolor": lambda schema, **o: schema.recolor("dog", "#123456", **o),
    "rekey": lambda schema, **o: schema.rekey("dog", "d", **o),
    "add attribute": lambda schema, **o: schema.add_attribute("far", default=False, **o),
    "rename attribute": lambda schema, **o: schema.rename_attribute("occluded", "hidden", **o),
    "remove attribute": lambda schema, **o: schema.remove_attribute("occluded", **o),
}


# One step


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_dry_run_says_the_same_and_changes_nothing(labelled, edit):
    before, history = state(labelled), labelled.history

    dry = edit(labelled.schema, dry_run=True)

    assert_same_state(state(labelled), before)
    pd.testing.assert_frame_equal(labelled.history, history)
    assert (dry.dry_run, dry.batch) == (True, None)
    made = edit(labelled.schema)
    assert (made.dry_run, made.batch) == (False, 2)
    assert repr(dry) == f"dry run: {made!r}"
    assert dry.schema == made.schema == labelled.schema
    assert dry.edits == made.edits


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_one_undo_takes_all_of_it_back_and_one_redo_does_it_again(path, labelled, edit):
    before = state(labelled)
    batch = edit(labelled.schema).batch
    after = state(labelled)
    assert after[2] != before[2]
    labelled.close()

    with open_store(path) as again:
        undone = undo(again, batch)
        assert_same_state(state(again), before)
        assert [edit.op for edit in again.batch(undone)].index("schema") == 0
    with open_store(path) as again:
        undo(again, undone)
        assert_same_state(state(again), after)


def test_a_merge_gives_labels_the_new_class_in_the_history_too(labelled):
    change = labelled.schema.merge(["cat", "dog"], into="pet")

    assert classes(labelled) == dict.fromkeys("ijkl", "pet")
    assert (change.labels, change.images) == (4, 2)
    assert change.per_class == {"cat": (3, 2), "dog": (1, 1)}
    assert repr(change) == (
        "merge 'cat', 'dog' into 'pet': 4 labels on 2 images ('cat' 3 on 2, 'dog' 1 on 1)"
    )
    rows = labelled.history.query("batch == 2")
    assert rows["op"].tolist() == ["schema", *["update"] * 4]
    assert rows["image"].isna().tolist() == [True, *[False] * 4]
    assert [row["label"] for row in rows["before"].iloc[1:]] == ["cat", "cat", "cat", "dog"]
    assert {row["label"] for row in rows["after"].iloc[1:]} == {"pet"}
    assert [c["name"] for c in rows.iloc[0]["before"]["classes"]] == ["cat", "dog", "cow"]
    assert [c["name"] for c in rows.iloc[0]["after"]["classes"]] == ["pet", "cow"]


def test_tags_that_become_one_are_borne_once(labelled):
    labelled.schema.merge(["sun", "rain"], into="weather")

    tags = labelled.labels.query("kind == 'tag'")
    assert dict(zip(tags["image"], tags["label"], strict=True)) == {
        "a.jpg": "weather", "b.jpg": "weather",
    }  # fmt: skip


def test_a_tag_moves_to_one_that_its_image_bears_already(labelled):
    labelled.schema.remove("sun", move_to="rain")

    tags = labelled.labels.query("kind == 'tag'")
    assert tags.index.tolist() == ["na.jpg", "ob.jpg"]


def test_a_split_opens_the_images_again_that_bear_the_class(labelled):
    labelled.apply([create("p", "c.jpg", 2), status("done", image="c.jpg")])

    change = labelled.schema.split("cat", into=["lion", "tiger"])

    assert labelled.statuses() == {"a.jpg": "todo", "b.jpg": "todo", "c.jpg": "done"}
    assert classes(labelled)["i"] == "cat", "until someone says which it is"
    assert labelled.schema.find("cat").retired
    assert repr(change).endswith("3 labels on 2 images, 1 image to do again")


def test_a_class_with_labels_is_removed_only_with_somewhere_to_go(labelled):
    before = state(labelled)

    with pytest.raises(SchemaError, match=r"remove 'cat': 3 labels bear it; .*move_to"):
        labelled.schema.remove("cat")

    assert_same_state(state(labelled), before)
    assert labelled.schema.remove("cat", dry_run=True).labels == 3
    labelled.schema.remove("cat", move_to="dog")
    assert classes(labelled) == dict.fromkeys("ijkl", "dog")


def test_shapes_and_only_shapes_get_the_default_of_a_new_attribute(labelled):
    change = labelled.schema.add_attribute("far", default=False)

    values = labelled.labels["attributes"].to_dict()
    assert values["i"] == {"far": False}
    assert values["k"] == {"far": False, "occluded": True}
    assert values["ma.jpg"] == {}
    assert change.per_class == {"cat": (3, 2), "dog": (1, 1)}


def test_what_is_so_already_is_no_step(labelled):
    change = labelled.schema.unretire("cat")

    assert (change.batch, labelled.last_batch()) == (None, 1)
    assert repr(change).startswith("nothing to change: unretire 'cat': 3 labels")


def test_whoever_merges_did_no_work_on_the_images(labelled):
    labelled.apply([status("flagged", before="todo", image="b.jpg")], annotator="ben")

    labelled.edit_schema(partial(plans.merge_classes, names=["cat"], into="dog"), annotator="owner")

    assert labelled.images.loc["b.jpg", "annotator"] == "ben"
    assert labelled.at(len(labelled.history)).images.loc["b.jpg", "annotator"] == "ben"
    assert labelled.check().ok
    assert labelled.history.iloc[-1]["annotator"] == "owner"


def test_an_error_on_the_way_takes_the_scheme_back_too(path, labelled):
    with labelled._database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON labels WHEN old.label_id = 'l' "
            "BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    before = state(labelled)

    with pytest.raises(NbannotateError, match="no"):
        labelled.schema.merge(["cat", "dog"], into="pet")

    assert_same_state(state(labelled), before)


# Ids and names


def test_ids_are_not_given_again_not_even_after_an_undo_and_reopening(path, store):
    batch = store.schema.add("bird").batch
    assert store.schema.find("bird").id == 6
    undo(store, batch)
    store.schema.remove("cow")
    store.close()

    with open_store(path) as again:
        again.schema.add("fish")
        again.extend_schema(Schema(classes=["a", "b", "c", "d", "e", "f"]))
        ids = {item.name: item.id for item in again.schema.classes}
    assert ids["fish"] == 7
    assert {ids[name] for name in "abcdef"}.isdisjoint(range(1, 8))


def test_a_store_of_before_knows_its_ids(path, store):
    with store._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE meta SET value = json_remove(value, '$.given') WHERE key = 'schema'"
        )
    store.close()

    with open_store(path) as again:
        assert again.schema == SCHEMA
        again.schema.remove("rain")
        again.schema.add("fish")
        assert again.schema.find("fish").id == 6


def test_a_notebook_that_is_run_again_brings_back_nothing(path, labelled):
    labelled.schema.rename("dog", "hound")
    labelled.schema.merge(["cat"], into="cow")
    labelled.close()

    with open_store(path) as again:
        last = again.last_batch()
        again.extend_schema(SCHEMA)
        assert [item.name for item in again.schema.classes] == ["hound", "cow"]
        assert again.last_batch() == last


def test_a_scheme_that_is_put_or_extended_later_is_in_the_history(store):
    assert store.last_batch() == 0, "the first scheme is where the history begins"

    store.extend_schema(Schema(classes=["bird"]))

    row = store.history.iloc[0]
    assert (row["op"], row["after"]["classes"][-1]["name"]) == ("schema", "bird")


def test_a_scheme_from_a_store_is_a_scheme(store):
    schema = store.schema

    assert schema == SCHEMA
    assert schema.find("cat") == SCHEMA.find("cat")
    assert repr(schema) == repr(SCHEMA)
    assert type(store.dataset.schema) is Schema


# Others on the same store


def test_another_store_on_the_file_sees_the_new_scheme_and_labels(path, labelled):
    with open_store(path) as other:
        assert other.schema == SCHEMA
        labelled.schema.merge(["cat", "dog"], into="pet")

        assert other.schema.classes[0].name == "pet"
        assert classes(other) == dict.fromkeys("ijkl", "pet")
        (batch,) = other.batches_after(1)
        assert batch.edits[0].op == "schema"


def test_a_label_with_a_class_that_has_just_left_is_refused(path, labelled):
    with open_store(path) as other:
        other.schema.merge(["cat"], into="dog")

        with pytest.raises(StaleSchemaError, match="in the scheme no longer"):
            labelled.apply([create("x")])

    assert "x" not in labelled.labels.index


def test_an_undo_that_others_have_built_upon_is_refused_whole(labelled):
    merge = labelled.schema.merge(["cat", "dog"], into="pet")
    pet = labelled.schema.find("pet").id
    labelled.apply([create("x", class_id=pet)], annotator="ben")
    before = state(labelled)

    with pytest.raises(ConflictError, match=r"lose 'pet', which 1 labels bear"):
        undo(labelled, merge.batch)

    assert_same_state(state(labelled), before)


def test_an_undo_that_would_strand_values_of_an_attribute_is_refused(labelled):
    change = labelled.schema.add_attribute("far")
    labelled.apply([create("x", attributes={"far": True})], annotator="ben")

    with pytest.raises(ConflictError, match="lose the attribute 'far'"):
        undo(labelled, change.batch)


def test_an_undo_leaves_what_others_did_to_other_parts_of_the_scheme(labelled):
    rename = labelled.schema.rename("cat", "kitten")
    labelled.schema.rename_attribute("occluded", "hidden")

    undo(labelled, rename.batch)

    assert labelled.schema.find("cat").id == 1
    assert [a.name for a in labelled.schema.attributes] == ["hidden"]
    record = labelled.schema_record
    assert [d.name for d in record.departures] == ["occluded"]
    assert labelled.history.iloc[-1]["after"] == record.to_dict()


def test_an_undo_over_another_change_of_the_same_part_is_refused(labelled):
    rename = labelled.schema.rename("cat", "kitten")
    labelled.schema.rename("dog", "hound")

    with pytest.raises(ConflictError, match="changed the classes of the scheme since"):
        undo(labelled, rename.batch)


# Any history

SCHEMA_STEPS = st.one_of(
    st.tuples(st.just(plans.add_class), st.sampled_from(["bird", "cat", "x"])),
    st.tuples(
        st.just(plans.rename_class), st.sampled_from(["cat", "dog", "x"]),
        st.sampled_from(["cat", "y", "x"]),
    ),
    st.tuples(
        st.just(plans.merge_classes),
        st.lists(st.sampled_from(["cat", "dog", "x"]), min_size=1, max_size=2),
        st.sampled_from(["cat", "dog", "z"]),
    ),
    st.tuples(st.just(plans.merge_classes), st.just(["rain"]), st.just("sun")),
    st.tuples(st.just(plans.split_class), st.just("cat"), st.just(["x", "y"])),
    st.tuples(
        st.just(plans.remove_class), st.sampled_from(["cat", "dog", "x", "rain"]),
    ),
    st.tuples(st.just(plans.add_attribute), st.just("far"), st.just(False)),
    st.tuples(st.just(plans.rename_attribute), st.just("far"), st.just("away")),
    st.tuples(st.just(plans.remove_attribute), st.sampled_from(["far", "away"])),
)  # fmt: skip
ALL_STEPS = st.lists(
    st.one_of(STEPS.map(lambda steps: steps[-1:]), SCHEMA_STEPS, st.just(["reopen"])),
    max_size=14,
)


def run(store, path, step):
    """Take a step; returns the store, opened again if that was the step."""
    if step == ["reopen"]:
        store.close()
        return open_store(path)
    try:
        if isinstance(step, tuple):
            edit, *arguments = step
            store.edit_schema(lambda record: edit(record, *arguments), annotator="ana")
        elif step:
            do(store, step[0])
    except NbannotateError:
        pass  # what the scheme does not allow leaves everything as it is
    return store


def scheme_at(store, batch, now):
    """The scheme as it was after a batch, from the history alone but for the last one."""
    edits = [(b.number, e) for b in store.batches_after(0) for e in b.edits if e.op == "schema"]
    later = [edit.before for number, edit in edits if number > batch]
    return later[0] if later else now


@given(ALL_STEPS)
@settings(deadline=None, max_examples=60)
def test_any_steps_keep_the_tables_equal_to_the_replayed_history(steps):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.db"
        store = open_store(path)
        store.schema = Schema(classes=["cat", "dog"], tags=["sun", "rain"],
                              attributes={"occluded": bool})  # fmt: skip
        schemes, ids = {}, {}
        for step in steps:
            store = run(store, path, step)
            schemes[store.last_batch()] = store.schema_record.to_dict()
            for item in (*store.schema.classes, *store.schema.tag_choices):
                assert ids.setdefault(item.id, item.color) == item.color, "an id was given again"

        with store:
            labels, images = replayed(store)
            assert kept(store) == labels
            for image, fields in images.items():
                row = store.images_of([image])[image]
                assert {name: row[name] for name in fields} == fields
            now = store.schema_record.to_dict()
            for batch, scheme in schemes.items():
                assert scheme_at(store, batch, now) == scheme
            assert store.check().ok, store.check()
            last = max(store.history.index, default=0)
            pd.testing.assert_frame_equal(store.at(last).images, store.images)
            store.dataset.validate()
            names = {a.name for a in store.schema.attributes}
            assert all(names.issuperset(values) for values in store.labels["attributes"])

            for _ in range(len(store.undo_stack("ana").done)):
                do(store, "undo")
            assert kept(store) == {}
            assert store.schema.classes == SCHEMA.classes[:2]


def test_any_large_batch_is_written_in_few_statements(store):
    statements = []
    sa.event.listen(
        store._database._engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    store.apply([create(f"i{n}", f"{n}.jpg") for n in range(3000)])
    made = len(statements)
    store.schema.merge(["cat"], into="dog")

    assert made < 30
    assert len(statements) - made < 40
    assert store.counts() == {2: 3000}


def test_a_damaged_store_that_is_salvaged_keeps_its_scheme_and_the_ids_that_were_given(
    path, labelled, tmp_path
):
    labelled.schema.merge(["cat", "dog"], into="pet")
    labelled.schema.remove("cow")
    labelled.close()

    salvage(path, tmp_path / "new.db")

    with open_store(tmp_path / "new.db") as again:
        assert again.check().ok, again.check()
        assert classes(again) == dict.fromkeys("ijkl", "pet")
        again.schema.add("fish")
        assert again.schema.find("fish").id == 7
        again.extend_schema(SCHEMA)
        assert [item.name for item in again.schema.classes] == ["pet", "fish"]

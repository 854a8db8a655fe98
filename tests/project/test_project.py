"""Scheme, images and store joined: commits, undo, events, and what is derived from them."""

from __future__ import annotations

import logging
import math
import threading
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError, ImageError, LabelError, NbannotateError, StoreError
from nbannotate.images import ImageSource, open_source
from nbannotate.project import Project
from nbannotate.store import open_store

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun", "rain"], attributes={"occluded": bool})
CAT, DOG = (item.id for item in SCHEMA.classes)
PICTURES = {key: np.zeros((80, 100), np.uint8) for key in ("a.jpg", "b.jpg", "c.jpg")}


class CountingReader:
    """Pictures in memory, and which were asked for."""

    def __init__(self, pictures=PICTURES):
        self.pictures = pictures
        self.loaded = []

    def load(self, key):
        self.loaded.append(key)
        if self.pictures.get(key) is None:
            raise ImageError(f"{key} cannot be read")
        return self.pictures[key]

    def path(self, key):
        return f"/photos/{key}"


class Keys(tuple):
    """Image keys that tell how often someone went through all of them."""

    rounds = 0

    def __iter__(self):
        type(self).rounds += 1
        return super().__iter__()


@pytest.fixture
def store():
    with open_store(None) as store:
        yield store


@pytest.fixture
def project(store):
    return Project(open_source(PICTURES), store, SCHEMA, annotator="ana")


def box(label_id=None, image="a.jpg", label="cat", **more):
    place = {"x": 1, "y": 2, "width": 30, "height": 40}
    return {"op": "create", "image": image, "label": label, "label_id": label_id, **place, **more}


def move(label_id, x):
    return {"op": "update", "label_id": label_id, "changes": {"x": x}}


def delete(label_id):
    return {"op": "delete", "label_id": label_id}


def mark(status, image="a.jpg"):
    return {"op": "image", "image": image, "changes": {"status": status}}


def done_of(project):
    progress = project.progress
    return progress.done, progress.skipped, progress.flagged, progress.todo


# Commit, undo, redo


def test_a_commit_is_in_the_tables_and_says_what_it_did(project):
    event = project.commit([box("i"), mark("done")], seconds=4.0)

    assert (event.op, event.batch, event.images) == ("edit", 1, ("a.jpg",))
    assert [edit.op for edit in event.edits] == ["create", "image"]
    assert project.labels.loc["i", "label"] == "cat"
    assert project.labels.loc["i", "annotator"] == "ana"
    assert project.images.loc["a.jpg", "status"] == "done"
    assert project.history["batch"].tolist() == [1, 1]


def test_what_is_so_already_is_no_step(project):
    project.commit([box("i")])

    assert project.commit([move("i", 1)]) is None
    assert project.commit([]) is None
    assert len(project.history) == 1


def test_one_change_that_is_not_allowed_keeps_the_others_out(project):
    with pytest.raises(LabelError):
        project.commit([box("i"), box("j", width=1)])

    assert project.labels.empty and project.history.empty
    assert project.counts == {} and not project.can_undo


def test_undo_and_redo_go_back_and_forth_across_images(project):
    project.commit([box("i")])
    project.commit([box("j", "b.jpg"), mark("done", "b.jpg")])

    event = project.undo()
    assert (event.op, event.images) == ("undo", ("b.jpg",))
    assert project.labels.index.tolist() == ["i"]
    assert project.status("b.jpg") == "todo"
    assert project.undo().images == ("a.jpg",)
    assert project.labels.empty
    assert project.undo() is None

    assert (project.redo().op, project.redo().op) == ("redo", "redo")
    assert project.redo() is None
    assert sorted(project.labels.index) == ["i", "j"]
    assert project.status("b.jpg") == "done"


def test_a_label_that_is_brought_back_is_as_it_was(project):
    project.commit([box("i", attributes={"occluded": True}, text="hi")], seconds=3.0)
    before = project.labels.drop(columns="updated")

    project.commit([delete("i")])
    project.undo()

    pd.testing.assert_frame_equal(project.labels.drop(columns="updated"), before)


def test_undo_works_after_reopening(tmp_path):
    def opened(store):
        return Project(open_source(PICTURES), store, SCHEMA, annotator="ana")

    with open_store(tmp_path / "labels.db") as store:
        project = opened(store)
        project.commit([box("i")])
        project.commit([move("i", 9)])
        project.undo()

    with open_store(tmp_path / "labels.db") as store:
        project = opened(store)
        assert project.can_undo and project.can_redo
        project.redo()
        assert project.labels.loc["i", "x"] == 9

    with open_store(tmp_path / "labels.db") as store:
        project = opened(store)
        project.undo()
        project.undo()
        assert project.labels.empty and not project.can_undo


def test_steps_of_others_are_not_taken_back(store, project):
    ben = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    project.commit([box("i")])
    ben.commit([box("j")])

    project.undo()

    assert project.labels.index.tolist() == ["j"]
    assert not project.can_undo


def test_an_undo_that_would_overwrite_the_work_of_another_is_refused(store, project):
    ben = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    project.commit([box("i")])
    ben.commit([move("i", 9)])

    with pytest.raises(ConflictError, match="someone has changed its x since"):
        project.undo()

    assert project.labels.loc["i", "x"] == 9
    ben.undo()
    project.undo()
    assert project.labels.empty


def test_an_undo_that_is_refused_is_passed_over_until_others_have_made_way_for_it(store, project):
    ben = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    project.commit([mark("done")])
    project.commit([box("i")])
    ben.commit([move("i", 9)])

    with pytest.raises(ConflictError, match="goes on with the one before"):
        project.undo()
    assert project.undo().edits[0].op == "image"
    assert not project.can_undo
    assert project.labels.loc["i", "x"] == 9


# What someone else has changed since it was seen

SEEN = ("class_id", "x", "y", "width", "height", "attributes")


def seen(project, label_id="i"):
    """A label as a browser was told of it."""
    row = project.store.label(label_id)
    return {name: row[name] for name in SEEN}


def test_a_change_of_what_someone_has_changed_since_is_refused_with_both_versions(store, project):
    ben = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    project.commit([box("i")])
    before = seen(project)
    ben.commit([move("i", 9)])

    for change in (move("i", 20), {"op": "update", "label_id": "i", "changes": {"width": 7}}):
        with pytest.raises(ConflictError, match="the place of a label") as caught:
            project.commit([mark("done"), {**change, "seen": before}])
        assert (caught.value.label_id, caught.value.theirs["x"]) == ("i", 9)
    with pytest.raises(ConflictError):
        project.commit([{"op": "delete", "label_id": "i", "seen": before}])
    assert project.labels.loc["i", "x"] == 9
    assert project.status("a.jpg") == "todo"


def test_a_change_of_another_part_than_someone_else_has_changed_is_made(store, project):
    ben = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    project.commit([box("i")])
    before = seen(project)
    ben.commit([move("i", 9)])

    relabel = {"op": "update", "label_id": "i", "changes": {"label": "dog"}, "seen": before}
    project.commit([relabel])
    row = project.labels.loc["i"]
    assert (row["label"], row["x"]) == ("dog", 9)


def test_a_change_of_what_someone_has_deleted_since_is_refused(store, project):
    ben = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    project.commit([box("i")])
    before = seen(project)
    ben.commit([delete("i")])

    with pytest.raises(ConflictError, match="deleted") as caught:
        project.commit([{**move("i", 20), "seen": before}])
    assert (caught.value.label_id, caught.value.theirs) == ("i", None)


# Messages


@pytest.mark.parametrize("change", [box("j"), delete("i"), move("i", 5), mark("done")])
def test_a_message_that_is_sent_again_takes_effect_once(project, change):
    project.commit([box("i")])

    assert project.commit([change], message=("browser", 1)) is not None
    before = project.labels, project.history
    assert project.commit([change], message=("browser", 1)) is None

    pd.testing.assert_frame_equal(project.labels, before[0])
    pd.testing.assert_frame_equal(project.history, before[1])


def test_an_undo_that_is_sent_again_takes_one_step_back(project):
    project.commit([box("i")])
    project.commit([box("j")])

    project.undo(message=("browser", 1))
    assert project.undo(message=("browser", 1)) is None
    assert project.labels.index.tolist() == ["i"]

    project.redo(message=("browser", 2))
    assert project.redo(message=("browser", 2)) is None
    assert len(project.labels) == 2


def test_a_message_that_changes_nothing_is_acknowledged(store, project):
    project.undo(message=("browser", 7))

    assert store.acknowledged("browser") == 7


# Listeners


def test_listeners_hear_of_each_commit_once_it_is_stored(project):
    heard = []
    project.listen(lambda event: heard.append((event.op, len(project.labels))))

    project.commit([box("i")])
    project.undo()
    project.redo()
    project.commit([])

    assert heard == [("edit", 1), ("undo", 0), ("redo", 1)]


def test_a_listener_can_be_ended_also_twice(project):
    heard = []
    end = project.listen(heard.append)
    project.listen(heard.append)

    end()
    end()
    project.commit([box()])

    assert len(heard) == 1


def test_a_listener_that_raises_undoes_nothing_and_stops_no_other(store):
    errors, heard = [], []
    project = Project(open_source(PICTURES), store, SCHEMA, on_error=errors.append)
    mistake = ValueError("mine")

    def wrong(event):
        raise mistake

    project.listen(wrong)
    project.listen(heard.append)

    event = project.commit([box("i")])

    assert heard == [event]
    assert errors == [mistake]
    assert project.labels.index.tolist() == ["i"]
    assert project.undo() is not None and len(heard) == 2


def test_the_error_of_a_listener_is_logged_where_nobody_takes_it(project, caplog):
    project.listen(lambda event: 1 / 0)

    with caplog.at_level(logging.ERROR):
        project.commit([box("i")])

    assert "the commit stands" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_all_listeners_hear_in_the_order_of_the_commits_also_if_one_commits(project):
    first, last = [], []

    def tags(event):
        first.append(event.batch)
        if event.batch == 1:
            project.commit([{"op": "create", "image": "a.jpg", "kind": "tag", "label": "sun"}])

    project.listen(tags)
    project.listen(lambda event: last.append(event.batch))

    project.commit([box("i")])

    assert first == last == [1, 2]


def test_a_store_that_fails_tells_nobody(store, project, monkeypatch):
    heard = []
    project.listen(heard.append)

    def full(*_, **__):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "apply", full)
    with pytest.raises(StoreError):
        project.commit([box("i")])

    assert heard == [] and project.counts == {} and not project.can_undo


# Two projects on one store


def test_projects_on_one_store_hear_of_each_other_when_they_refresh(store, project):
    twin = Project(open_source(PICTURES), store, SCHEMA, annotator="ana")
    heard = []
    project.listen(lambda event: heard.append((event.op, event.batch)))

    twin.commit([box("i"), mark("done")], seconds=6.0)
    twin.undo()
    twin.redo()
    project.refresh()
    project.refresh()

    assert heard == [("other", 1), ("other", 2), ("other", 3)]
    assert project.counts == {CAT: 1}
    assert done_of(project) == done_of(twin) == (1, 0, 0, 2)
    assert project.progress.seconds_per_image == 6.0


def test_one_person_can_undo_in_one_widget_what_was_made_in_another(store, project):
    twin = Project(open_source(PICTURES), store, SCHEMA, annotator="ana")
    project.commit([box("i")])
    twin.commit([box("j")])

    project.undo()
    assert project.labels.index.tolist() == ["i"]
    twin.undo()
    assert project.labels.empty
    project.redo()
    assert project.labels.index.tolist() == ["i"]


def test_a_commit_takes_in_what_others_did_before_it(store, project):
    ben = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    heard = []
    project.listen(lambda event: heard.append((event.op, event.batch)))
    ben.commit([box("j", label="dog")])

    project.commit([box("i")])

    assert heard == [("other", 1), ("edit", 2)]
    assert project.counts == {CAT: 1, DOG: 1}


def test_projects_with_schemes_of_their_own_share_the_stores(store, project):
    other = Project(open_source(PICTURES), store, Schema(classes=["bird", "cat"]))

    assert other.schema == project.schema
    assert other.schema.find("cat").id == CAT
    project.commit([box(label="bird")])
    assert project.labels["label"].tolist() == ["bird"]


def test_threads_that_commit_at_once_lose_nothing(project):
    heard = []
    project.listen(lambda event: heard.append(event.batch))

    def work(image):
        for _ in range(10):
            project.commit([box(image=image)])

    threads = [threading.Thread(target=work, args=(key,)) for key in PICTURES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert heard == list(range(1, 31))
    assert project.counts == {CAT: 30} and len(project.labels) == 30


# What is derived


def test_progress_follows_each_change_of_a_status(project):
    assert math.isnan(project.progress.seconds_per_image)
    assert done_of(project) == (0, 0, 0, 3)

    project.commit([mark("done")], seconds=10.0)
    project.commit([mark("skipped", "b.jpg")], seconds=2.0)
    assert done_of(project) == (1, 1, 0, 1)
    assert project.progress.seconds_left == 6.0

    project.commit([mark("flagged"), mark("done"), mark("flagged")])
    assert done_of(project) == (0, 1, 1, 1)

    project.undo()
    project.undo()
    assert done_of(project) == (1, 0, 0, 2)


def test_statuses_that_are_read_late_count_what_others_did_once(store, project):
    twin = Project(open_source(PICTURES), store, SCHEMA, annotator="ben")
    twin.commit([mark("done"), mark("skipped", "b.jpg")])
    twin.commit([mark("flagged")])

    assert done_of(project) == (0, 1, 1, 1)  # has not heard of them, but the store has them
    project.refresh()
    assert done_of(project) == done_of(twin) == (0, 1, 1, 1)


def test_counts_follow_each_label(project):
    project.commit([box("i"), box("j", label="dog")])
    assert project.counts == {CAT: 1, DOG: 1}

    project.commit([{"op": "update", "label_id": "i", "changes": {"label": "dog"}}])
    assert project.counts == {DOG: 2}

    project.commit([delete("i"), delete("j")])
    assert project.counts == {}


def test_images_outside_the_source_count_for_no_progress(store, project):
    project.commit([mark("done", "a.jpg"), mark("done", "b.jpg")])

    part = Project(open_source(PICTURES).subset(["b.jpg", "c.jpg"]), store, SCHEMA)

    assert done_of(part) == (1, 0, 0, 1)
    assert part.progress.total == 2
    assert list(part.images.index) == ["b.jpg", "c.jpg", "a.jpg"]


STEPS = st.lists(
    st.one_of(
        st.builds(box, st.sampled_from("ijk"), st.sampled_from(["a.jpg", "b.jpg"]),
                  st.sampled_from(["cat", "dog"])),
        st.builds(delete, st.sampled_from("ijk")),
        st.builds(mark, st.sampled_from(["todo", "done", "skipped", "flagged"]),
                  st.sampled_from(["a.jpg", "b.jpg"])),
        st.just("undo"),
        st.just("redo"),
    ),
    max_size=12,
)  # fmt: skip


@given(STEPS)
@settings(deadline=None)
def test_what_is_kept_in_memory_is_what_the_store_says(steps):
    with open_store(None) as store:
        project = Project(open_source(PICTURES), store, SCHEMA, annotator="ana")
        for step in steps:
            if isinstance(step, str):
                getattr(project, step)()
                continue
            try:
                project.commit([step], seconds=1.0)
            except LabelError:
                continue

        fresh = Project(open_source(PICTURES), store, SCHEMA, annotator="ana")
        assert project.counts == fresh.counts
        assert done_of(project) == done_of(fresh)
        assert (project.can_undo, project.can_redo) == (fresh.can_undo, fresh.can_redo)
        assert [project.status(key) for key in PICTURES] == [fresh.status(k) for k in PICTURES]
        pace = project.progress.seconds_per_image
        assert pace == pytest.approx(fresh.progress.seconds_per_image, nan_ok=True)


def test_the_images_table_has_every_image_with_its_path(store):
    source = ImageSource(PICTURES, CountingReader(), "/photos", "pictures")
    project = Project(source, store, SCHEMA)
    project.commit([mark("flagged", "b.jpg")])
    project.note_size("c.jpg", 7, 5)

    images = project.images

    assert list(images.index) == ["a.jpg", "b.jpg", "c.jpg"]
    assert images["status"].tolist() == ["todo", "flagged", "todo"]
    assert images["path"].tolist() == ["/photos/a.jpg", "/photos/b.jpg", "/photos/c.jpg"]
    assert images.loc[["b.jpg", "c.jpg"], ["width", "height"]].to_numpy().tolist() == [
        [100, 80],
        [7, 5],
    ]
    assert pd.isna(images.loc["a.jpg", "width"])


def test_the_dataset_holds_the_images_without_labels_too(project):
    project.commit([box("i"), mark("done", "b.jpg")])

    dataset = project.dataset

    assert len(dataset) == 1 and len(dataset.images) == 3
    assert dataset.schema == SCHEMA


def test_images_are_kept_by_status_class_doubt_and_name(project):
    unsure = {"op": "image", "image": "c.jpg", "changes": {"unsure": True}}
    project.commit([box(), mark("done", "b.jpg"), unsure])

    def kept(*arguments, **more):
        keep = project.keeps(*arguments, **more)
        return [key[0] for key in PICTURES if keep is None or keep(key)]

    assert kept() == ["a", "b", "c"]
    assert (kept("done"), kept("todo"), kept("unsure")) == (["b"], ["a", "c"], ["c"])
    assert (kept(class_id=CAT), kept(text="B.J"), kept("done", text="a")) == (["a"], ["b"], [])


# Sizes


def test_sizes_are_read_when_they_are_needed_and_once(store):
    reader = CountingReader()
    project = Project(ImageSource(PICTURES, reader, "", "pictures"), store, SCHEMA)
    assert project.images["width"].isna().all()
    assert reader.loaded == []

    project.commit([box("i"), box("j"), move("i", 5)])
    project.commit([delete("j")])

    assert reader.loaded == ["a.jpg"]
    assert store.images_of(["a.jpg"])["a.jpg"]["width"] == 100


def test_a_size_that_is_known_is_not_read(store):
    reader = CountingReader()
    project = Project(ImageSource(PICTURES, reader, "", "pictures"), store, SCHEMA)
    project.note_size("a.jpg", 20, 20)

    project.commit([box("i")])

    assert reader.loaded == []
    assert project.labels.loc["i", "width"] == 19


def test_an_image_that_cannot_be_read_can_still_be_marked(store):
    reader = CountingReader(dict.fromkeys(PICTURES))
    project = Project(ImageSource(PICTURES, reader, "", "pictures"), store, SCHEMA)

    project.commit([mark("flagged")])

    assert project.size("a.jpg") is None
    assert project.status("a.jpg") == "flagged"


# Order


def test_a_random_order_is_the_same_for_one_store(tmp_path):
    keys = {f"{n:03}.jpg": PICTURES["a.jpg"] for n in range(50)}
    orders = []
    for name in ("one.db", "one.db", "other.db"):
        with open_store(tmp_path / name) as store:
            orders.append(Project(open_source(keys), store, SCHEMA).arranged("random"))

    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == list(keys)


def test_an_order_may_be_a_function_that_leaves_some_out(project):
    assert list(project.arranged("sequential")) == ["a.jpg", "b.jpg", "c.jpg"]
    assert project.arranged(lambda keys: reversed(keys[:2])) == ["b.jpg", "a.jpg"]


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (lambda keys: ["z.jpg"], "gave 'z.jpg', which is no key"),
        (lambda keys: [*keys, "b.jpg"], "gave 'b.jpg' more than once"),
        ("sideways", "order 'sideways' is unknown"),
    ],
)
def test_an_order_that_cannot_be_walked_is_refused(project, order, why):
    with pytest.raises(NbannotateError, match=why):
        project.arranged(order)


# A hundred thousand images


def test_a_hundred_thousand_images_open_and_commit_without_going_through_them(store):
    keys = [f"{n:06}.jpg" for n in range(100_000)]
    source = ImageSource(keys, CountingReader(dict.fromkeys(keys, PICTURES["a.jpg"])), "", "many")
    source.keys = Keys(keys)
    Keys.rounds = 0

    start = time.perf_counter()
    project = Project(source, store, SCHEMA)
    opened = time.perf_counter() - start
    project.commit([box(image="050000.jpg"), mark("done", "050000.jpg")])
    project.undo()

    assert Keys.rounds == 0
    assert done_of(project) == (0, 0, 0, 100_000)
    assert opened < 2


def test_the_table_of_a_hundred_thousand_images_is_made_at_once(store):
    keys = [f"{n:06}.jpg" for n in range(100_000)]
    project = Project(ImageSource(keys, CountingReader({}), "", "many"), store, SCHEMA)
    for key in keys:
        project.note_size(key, 10, 20)

    start = time.perf_counter()
    images = project.images

    assert time.perf_counter() - start < 10
    assert (images["width"].eq(10) & images["status"].eq("todo")).all()

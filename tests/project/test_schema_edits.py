"""Edits of the scheme through a project: events, undo, others on the same store, late gestures."""

from __future__ import annotations

import copy
import pickle

import pytest

from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError, SchemaError
from nbannotate.images import ImageSource, open_source
from nbannotate.project import Project
from nbannotate.store import Store, open_store

from .test_project import PICTURES, SCHEMA, CountingReader, box, delete, mark, move

CAT, DOG, SUN, RAIN = 1, 2, 3, 4


@pytest.fixture
def store():
    with open_store(None) as store:
        yield store


def project_on(store, annotator="ana"):
    project = Project(open_source(PICTURES), store, SCHEMA, annotator=annotator)
    project.heard = []
    project.listen(project.heard.append)
    return project


@pytest.fixture
def project(store):
    return project_on(store)


def names(project):
    return [item.name for item in project.schema.classes]


def labels(project):
    return project.labels["label"].astype(str).to_dict()


def test_an_edit_of_the_scheme_is_one_step_among_the_others(project):
    project.commit([box("i"), box("j", "b.jpg", "dog"), mark("done")])
    change = project.schema.merge(["cat", "dog"], into="pet")
    project.commit([box("k", label="pet")])
    pet = project.schema.find("pet").id
    assert project.counts == {pet: 3}

    project.undo()
    event = project.undo()

    assert (event.op, event.changes_schema, set(event.images)) == ("undo", True, {"a.jpg", "b.jpg"})
    assert (names(project), labels(project)) == (["cat", "dog"], {"i": "cat", "j": "dog"})
    assert project.counts == {CAT: 1, DOG: 1}

    project.redo()
    project.redo()
    assert labels(project) == dict.fromkeys("ijk", "pet")
    assert project.counts == {pet: 3}
    assert change.batch == 2


def test_a_dry_run_is_no_step(project):
    project.commit([box("i")])
    project.heard.clear()

    assert project.schema.rename("cat", "kitten", dry_run=True).labels == 1

    assert (names(project), project.heard) == (["cat", "dog"], [])


def test_listeners_hear_of_it(project):
    project.schema.rename("cat", "kitten")

    (event,) = project.heard
    assert (event.op, event.batch, event.images) == ("edit", 1, ())
    assert event.changes_schema


def test_a_split_opens_images_again_also_in_the_progress(project):
    project.commit([box("i"), mark("done")])
    assert project.progress.done == 1

    project.schema.split("cat", into=["lion", "tiger"])
    assert (project.progress.done, project.status("a.jpg")) == (0, "todo")

    project.undo()
    assert (project.progress.done, project.status("a.jpg")) == (1, "done")


def test_an_undo_of_a_merge_reads_no_picture(store):
    reader = CountingReader()
    project = Project(open_source(PICTURES), store, SCHEMA, annotator="ana")
    project.commit([box("i")])
    project.schema.merge(["cat"], into="dog")
    again = Project(ImageSource(PICTURES, reader, "", "photos"), store, SCHEMA, annotator="ana")
    again.undo()

    assert reader.loaded == []
    assert labels(again) == {"i": "cat"}


def test_it_can_be_undone_after_reopening(tmp_path):
    with open_store(tmp_path / "labels.db") as store:
        project = project_on(store)
        project.commit([box("i")])
        project.schema.remove("cat", move_to="dog")

    with open_store(tmp_path / "labels.db") as store:
        again = project_on(store)
        assert names(again) == ["dog"], "a notebook that is run again does not bring the cat back"
        again.undo()
        assert (names(again), labels(again)) == (["cat", "dog"], {"i": "cat"})
        again.redo()
        assert (names(again), labels(again)) == (["dog"], {"i": "dog"})


def test_another_project_hears_of_it_when_it_refreshes(tmp_path):
    with open_store(tmp_path / "l.db") as one, open_store(tmp_path / "l.db") as other:
        ana, ben = project_on(one), project_on(other, "ben")
        ana.commit([box("i")])
        ana.schema.merge(["cat"], into="dog")

        ben.refresh()

        assert [event.changes_schema for event in ben.heard] == [False, True]
        assert ben.heard[-1].op == "other"
        assert (names(ben), ben.counts) == (["dog"], {DOG: 1})
        assert not ben.can_undo


# Gestures of a browser that has not heard yet


def test_a_box_of_a_class_that_was_merged_gets_the_one_it_went_into(project):
    project.schema.merge(["cat", "dog"], into="pet")

    project.commit([box("i", label=None, class_id=CAT)], message=("browser", 1))

    assert labels(project) == {"i": "pet"}


def test_a_relabelling_to_a_class_that_was_removed_goes_where_its_labels_went(project):
    project.commit([box("i", label="dog")])
    project.schema.add("cow")
    project.schema.remove("cat", move_to="cow")

    change = {"op": "update", "label_id": "i", "changes": {"class_id": CAT}}
    project.commit([change], message=("browser", 1))

    assert labels(project) == {"i": "cow"}


def test_a_class_that_went_nowhere_is_refused_by_name(project):
    project.schema.remove("cat")

    with pytest.raises(SchemaError, match="'cat' was removed from the scheme; choose another"):
        project.commit([box("i", label=None, class_id=CAT)], message=("browser", 1))


def test_values_of_an_attribute_that_was_renamed_or_removed_keep_no_box_out(project):
    late = box("i", attributes={"occluded": True})
    project.schema.rename_attribute("occluded", "hidden")
    project.commit([late], message=("browser", 1))
    project.schema.remove_attribute("hidden")
    project.commit([{**late, "label_id": "j"}], message=("browser", 2))

    assert project.labels["attributes"].to_dict() == {"i": {}, "j": {}}
    created = project.history.query("op == 'create'")["after"]
    assert [row["attributes"] for row in created] == [{"hidden": True}, {}]
    with pytest.raises(SchemaError, match="no attribute 'occluded'"):
        project.commit([{**late, "label_id": "k"}])  # from Python it is a mistake


def test_a_merge_in_the_midst_of_a_commit_does_not_lose_it(project, store, monkeypatch):
    apply = Store.apply

    def merge_first(self, edits, **more):
        monkeypatch.setattr(Store, "apply", apply)
        self.schema.merge(["cat"], into="dog")
        return self.apply(edits, **more)

    monkeypatch.setattr(Store, "apply", merge_first)
    project.commit([box("i", label=None, class_id=CAT)], message=("browser", 1))

    assert labels(project) == {"i": "dog"}
    assert project.counts == {DOG: 1}


def test_what_a_browser_saw_before_a_merge_is_no_conflict(project):
    project.commit([box("i", attributes={"occluded": True})])
    seen = {"class_id": CAT, "attributes": {"occluded": True}}
    project.schema.merge(["cat", "dog"], into="pet")
    project.schema.rename_attribute("occluded", "hidden")

    changes = {"class_id": DOG, "attributes": {"occluded": False}}
    change = {"op": "update", "label_id": "i", "changes": changes, "seen": seen}
    project.commit([change], message=("browser", 1))

    assert project.labels.loc["i", "attributes"] == {"hidden": False}
    assert labels(project) == {"i": "pet"}


# Steps of others


def test_a_step_is_taken_back_under_the_scheme_that_another_has_changed(store, project):
    ben = project_on(store, "ben")
    ben.commit([box("i", label="dog")])
    ben.commit([{"op": "update", "label_id": "i", "changes": {"label": "cat"}}])
    ben.commit([{"op": "update", "label_id": "i", "changes": {"label": "dog"}}])
    project.schema.merge(["cat"], into="dog")
    project.schema.add("bird")
    ben.undo()

    assert labels(ben) == {"i": "dog"}, "what was the cat is a dog now"
    ben.undo()
    ben.undo()
    assert labels(ben) == {}
    ben.redo()
    assert labels(ben) == {"i": "dog"}
    assert ben.counts == {DOG: 1}


def test_a_redo_with_a_class_that_is_gone_is_refused(store, project):
    ben = project_on(store, "ben")
    ben.commit([box("i")])
    ben.undo()
    project.schema.remove("cat")

    with pytest.raises(ConflictError, match="'cat' was removed"):
        ben.redo()
    assert labels(ben) == {}


def test_a_merge_is_not_taken_back_over_the_labels_of_another(store, project):
    project.commit([box("i")])
    project.schema.merge(["cat", "dog"], into="pet")
    project_on(store, "ben").commit([box("j", label="pet")])

    with pytest.raises(ConflictError, match="lose 'pet', which 1 labels bear"):
        project.undo()
    assert labels(project) == {"i": "pet", "j": "pet"}


# A scheme that edits


def test_a_copy_of_the_scheme_is_a_scheme_alone(project):
    for copied in (copy.deepcopy(project.schema), pickle.loads(pickle.dumps(project.schema))):
        assert type(copied) is Schema
        assert copied == project.schema
    assert type(project.dataset.schema) is Schema
    pickle.dumps(project.dataset)


def test_an_edit_is_of_the_scheme_as_it_is_now(project):
    schema = project.schema
    schema.rename("cat", "kitten")

    schema.add("bird")

    assert names(project) == ["kitten", "dog", "bird"]
    assert [item.name for item in schema.classes] == ["cat", "dog"]


def test_labels_may_be_moved_and_deleted_after_their_class_was_retired(project):
    project.commit([box("i"), box("j")])
    project.schema.retire("cat")

    project.commit([move("i", 5), delete("j")])

    assert project.labels.loc["i", ["label", "x"]].tolist() == ["cat", 5.0]

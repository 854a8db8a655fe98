"""Images that were renamed, moved, changed or copied: labels are where their content is."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError, ImageError
from nbannotate.images import identify, open_source
from nbannotate.project import Project
from nbannotate.project.reconciling import find_renamed
from nbannotate.store import open_store

SCHEMA = Schema(classes=["cat"])


@pytest.fixture
def store():
    with open_store(None) as store:
        yield store


def opened(store, files, annotator="ana", **options):
    """A project on files that are given by their content, a short text."""
    content = {key: text.encode() if isinstance(text, str) else text for key, text in files.items()}
    return Project(open_source(content, **options), store, SCHEMA, annotator=annotator)


def box(image, label_id=None):
    place = {"x": 1, "y": 2, "width": 30, "height": 40}
    label_id = label_id or f"on {image}"
    return {"op": "create", "image": image, "label": "cat", "label_id": label_id, **place}


def mark(image, status="done"):
    return {"op": "image", "image": image, "changes": {"status": status}}


def labelled(store, files, *images):
    """A project on files, of which those named, or all, have a label."""
    project = opened(store, files)
    for image in images or files:
        project.size(image)  # which reads it
        project.note_identity(image, identify(project.source.load(image), image))
        project.commit([box(image)])
    return project


def places(store):
    report = store.check()
    assert report.ok, report
    return {
        label_id.removeprefix("on "): image for label_id, image in store.labels["image"].items()
    }


# What is recorded


def test_the_first_edit_of_an_image_records_its_content(store):
    project = labelled(store, {"a.jpg": "abc"})

    row = project.images.loc["a.jpg"]
    assert row["bytes"] == 3
    assert row["hash"].startswith("sha256:ba7816bf8f01cfea")  # as sha256sum has it
    assert store.at(1).images.loc["a.jpg", "hash"] == row["hash"]
    assert store.check().ok


def test_content_that_was_not_known_at_an_edit_is_recorded_with_the_next(store):
    pictures = {"a.png": np.zeros((8, 8), np.uint8)}
    project = Project(open_source(pictures), store, SCHEMA)
    project.commit([box("a.png")])
    assert project.images["hash"].isna().all()

    project.note_identity("a.png", identify(pictures["a.png"], "a.png"))
    project.commit([mark("a.png")])
    assert project.images.loc["a.png", "hash"].startswith("sha256-pixels:")
    assert store.check().ok


def test_other_content_is_not_recorded_by_an_edit(store):
    labelled(store, {"a.jpg": "abc"})
    before = store.images.loc["a.jpg", "hash"]

    project = opened(store, {"a.jpg": "other"})
    project.note_identity("a.jpg", identify(b"other", "a.jpg"))
    project.commit([mark("a.jpg")])

    assert project.has_changed("a.jpg")
    assert store.images.loc["a.jpg", "hash"] == before


# Found again


@pytest.mark.parametrize(
    "after",
    [
        {"b": "A", "a": "B", "c": "C"},  # a swap
        {"b": "A", "c": "B", "a": "C"},  # a cycle
        {"b": "A", "c": "B", "d": "C"},  # each by one, as after renumbering
        {"deep/a": "A", "deep/b": "B", "c": "C"},
        {"x": "A", "y": "B", "z": "C", "new": "D"},
    ],
)
def test_labels_follow_files_that_were_renamed(store, after):
    before = {"a": "A", "b": "B", "c": "C"}
    labelled(store, before)

    project = opened(store, after)
    said = project.reconcile(dry_run=True)
    assert (said.dry_run, said.batch) == (True, None)
    assert places(store) == {key: key for key in before}
    found = project.reconcile()

    wanted = {key: next(k for k, text in after.items() if text == before[key]) for key in before}
    assert places(store) == wanted
    assert found.moved == said.moved == {k: new for k, new in wanted.items() if k != new}
    assert not (found.changed or found.missing or found.ambiguous or found.occupied)
    assert found.ok
    assert project.reconcile().batch is None


def test_all_that_is_said_of_an_image_goes_with_it(store):
    project = labelled(store, {"a.jpg": "abc"})
    project.commit([{"op": "image", "image": "a.jpg", "changes": {"note": "blurred"}}], seconds=4)
    project.commit([mark("a.jpg", "flagged")])
    before = store.images.loc["a.jpg"]

    ben = opened(store, {"b.jpg": "abc"}, "ben")
    assert (ben.status("b.jpg"), ben.progress.flagged) == ("todo", 0)
    ben.reconcile()

    assert store.images.index.tolist() == ["b.jpg"]
    assert store.images.loc["b.jpg"].drop("updated").equals(before.drop("updated"))
    assert before["annotator"] == "ana"  # to move it is no work on it
    assert (ben.status("b.jpg"), ben.progress.flagged) == ("flagged", 1)


def test_the_path_is_that_of_the_new_file(tmp_path, store):
    (tmp_path / "a.jpg").write_bytes(b"abc")
    project = Project(open_source(tmp_path), store, SCHEMA)
    project.size("a.jpg")
    project.note_identity("a.jpg", identify(b"abc", "a.jpg"))
    project.commit([box("a.jpg")])
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.jpg").rename(tmp_path / "sub" / "b.jpg")

    found = project.reconcile()  # though the project still lists the old name

    assert found.moved == {"a.jpg": "sub/b.jpg"}
    assert store.images["path"].to_dict() == {"sub/b.jpg": str(tmp_path / "sub" / "b.jpg")}


def test_one_undo_takes_it_back_and_redo_does_it_again(store):
    labelled(store, {"a": "A", "b": "B", "c": "C"})
    before = store.dataset
    project = opened(store, {"b": "A", "c": "B", "a": "X"})
    found = project.reconcile(accept_changed=True)
    after = store.dataset
    assert (found.moved, found.set_aside) == ({"a": "b", "b": "c"}, {"c": "missing/c"})

    for dataset, step in ((before, project.undo), (after, project.redo)):
        event = step()
        assert set(event.images) >= {"a", "b", "c"}
        columns = ["image", "x", "label"]
        assert store.labels[columns].equals(dataset.labels[columns])
        wanted = dataset.images.drop(columns="updated").sort_index()
        assert store.images.drop(columns="updated").sort_index().equals(wanted)
        assert store.check().ok
    moment = int(store.history.index[-3])
    assert store.history.loc[moment, "op"] == "reconcile"
    assert store.at(moment).labels["image"].equals(after.labels["image"])
    assert store.at(moment - 1).labels["image"].equals(before.labels["image"])


def test_others_are_told_and_undo_what_they_did_before(store):
    ana = labelled(store, {"a": "A", "b": "B"})
    ana.status("a")
    events = []
    ana.listen(events.append)

    opened(store, {"b": "A", "a": "B"}, "ben").reconcile()
    ana.refresh()
    assert [(event.op, set(event.images)) for event in events] == [("other", {"a", "b"})]

    ana.undo()  # of the box on what was b, and is a by now
    assert places(store) == {"a": "b"}
    ana.redo()
    assert places(store) == {"a": "b", "b": "a"}


def test_what_others_have_labelled_meanwhile_is_not_lost(store, monkeypatch):
    labelled(store, {"a": "A"})
    ben = opened(store, {"b": "A"}, "ben")
    known = store.known_images

    def late():
        found = known()
        monkeypatch.undo()
        ben.commit([box("b")])
        return found

    monkeypatch.setattr(store, "known_images", late)
    found = ben.reconcile()

    assert places(store) == {"a": "a", "b": "b"}
    assert (found.moved, found.occupied) == ({}, {"a": "b"})


def test_who_cannot_make_it_in_three_tries_is_told(store, monkeypatch):
    labelled(store, {"a": "A"})
    ben = opened(store, {"b": "A"}, "ben")
    known = store.known_images()
    ben.commit([box("b")])
    monkeypatch.setattr(store, "known_images", lambda: known)

    with pytest.raises(ConflictError, match="someone has labelled the image 'b' since"):
        ben.reconcile()
    assert places(store) == {"a": "a", "b": "b"}


# Changed, missing, ambiguous, occupied


def test_a_changed_file_is_reported_until_its_content_is_accepted(store):
    labelled(store, {"a.png": "abc", "b.png": "efg"})
    project = opened(store, {"a.png": "xyz", "b.png": "longer"})

    found = project.reconcile()
    assert (found.changed, found.batch, found.ok) == (("a.png", "b.png"), None, False)
    assert project.reconcile(accept_changed=True, dry_run=True).batch is None
    project.reconcile(accept_changed=True)

    assert store.images["bytes"].to_dict() == {"a.png": 3, "b.png": 6}
    assert project.reconcile().ok
    assert places(store) == {"a.png": "a.png", "b.png": "b.png"}
    project.undo()
    assert project.reconcile().changed == ("a.png", "b.png")


def test_the_size_of_an_accepted_picture_is_its_own(store):
    small, large = np.zeros((40, 50), np.uint8), np.ones((80, 90, 3), np.uint8)
    labelled(store, {"a.png": small})

    opened(store, {"a.png": large}).reconcile(accept_changed=True)

    row = store.images.loc["a.png"]
    assert (row["width"], row["height"], row["bytes"]) == (90, 80, 80 * 90 * 3)


def test_without_verify_files_that_kept_name_and_size_are_not_read(store):
    labelled(store, {"a": "A", "b": "B", "c": "C"})
    project = opened(store, {"a": "X", "b": "BB", "new": "C"})
    loaded = []
    load = project.source._reader.load
    project.source._reader.load = lambda key: loaded.append(key) or load(key)

    found = project.reconcile(verify=False, dry_run=True)
    assert (found.moved, found.changed, loaded) == ({"c": "new"}, ("b",), ["new"])
    assert project.reconcile().changed == ("a", "b")


def test_only_files_of_a_size_that_is_looked_for_are_read(store):
    labelled(store, {"a": "AAA"})
    project = opened(store, {"b": "AAA", "c": "CCC", "d": "DDDD", "e": "E"})
    loaded = []
    load = project.source._reader.load
    project.source._reader.load = lambda key: loaded.append(key) or load(key)

    assert project.reconcile().moved == {"a": "b"}
    assert sorted(loaded) == ["b", "c"]


def test_a_copy_of_a_file_that_is_there_takes_nothing_from_it(store):
    labelled(store, {"a": "A"})

    found = opened(store, {"a": "A", "copy": "A"}).reconcile()
    assert found.ok and found.counts["same"] == 1 and places(store) == {"a": "a"}


def test_of_several_copies_the_user_chooses(store):
    labelled(store, {"a": "A"})
    project = opened(store, {"b": "A", "c": "A"})

    found = project.reconcile()
    assert (found.ambiguous, found.batch) == ({"a": ("b", "c")}, None)
    for wrong in ({"a": "d"}, {"x": "b"}):
        with pytest.raises(ImageError, match="cannot go to"):
            project.reconcile(choose=wrong)
    assert project.reconcile(choose={"a": "c"}).moved == {"a": "c"}
    assert places(store) == {"a": "c"}


def test_of_several_copies_the_one_of_the_same_name_is_meant(store):
    labelled(store, {"in/a": "A", "in/b": "A"})
    project = opened(store, {"out/b": "A", "out/a": "A", "out/c": "A"})

    assert project.reconcile().moved == {"in/a": "out/a", "in/b": "out/b"}


def test_a_folder_that_is_opened_further_up_is_found_by_its_paths(tmp_path, store):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file in ("a.jpg", "b.jpg"):
            (tmp_path / name / file).write_bytes(b"the same in all of them")
    project = Project(open_source(tmp_path / "one"), store, SCHEMA)
    for key in project.source.keys:
        project.note_identity(key, identify(project.source.load(key), key))
        project.commit([box(key)])

    found = Project(open_source(tmp_path), store, SCHEMA).reconcile()
    assert found.moved == {"a.jpg": "one/a.jpg", "b.jpg": "one/b.jpg"}


def test_nothing_is_moved_to_where_labels_are(store):
    labelled(store, {"a": "A"})
    opened(store, {"b": "A"}).commit([box("b")])

    project = opened(store, {"b": "A"})
    found = project.reconcile()
    assert (found.moved, found.occupied) == ({}, {"a": "b"})
    assert places(store) == {"a": "a", "b": "b"}
    assert "b has" not in repr(found) and "a → b" in repr(found)

    project.commit([{"op": "delete", "label_id": "on b"}])  # the user makes way
    assert project.reconcile().moved == {"a": "b"}
    assert places(store) == {"a": "b"}
    project.undo()
    assert places(store) == {"a": "a"}


def test_a_status_is_not_overwritten_either(store):
    labelled(store, {"a": "A"})
    opened(store, {"b": "A"}).commit([mark("b", "skipped")])

    assert opened(store, {"b": "A"}).reconcile().occupied == {"a": "b"}
    assert opened(store, {"b": "A"}).status("b") == "skipped"


def test_who_waits_for_a_place_that_stays_taken_stays_too(store):
    labelled(store, {"a": "A", "b": "B", "c": "C"})
    files = {"b": "A", "c": "B", "d": "C", "e": "C"}

    project = opened(store, files)
    found = project.reconcile(accept_changed=True)
    assert (found.moved, found.occupied) == ({}, {"a": "b", "b": "c"})
    assert (found.ambiguous, found.batch) == ({"c": ("d", "e")}, None)
    assert found.changed == ("b", "c")  # but not accepted: these are pictures of others' labels
    assert project.reconcile(choose={"c": "d"}).moved == {"a": "b", "b": "c", "c": "d"}
    assert places(store) == {"a": "b", "b": "c", "c": "d"}


def test_labels_of_a_deleted_file_make_way_for_those_of_the_file_that_got_its_name(store):
    labelled(store, {"1": "A", "2": "B", "3": "C"})
    project = opened(store, {"1": "B", "2": "C"})  # the first is deleted, and the rest renumbered

    found = project.reconcile()
    assert found.moved == {"2": "1", "3": "2"}
    assert (found.missing, found.set_aside) == (("1",), {"1": "missing/1"})
    assert places(store) == {"1": "missing/1", "2": "1", "3": "2"}
    assert store.images["path"].isna().all()
    assert "set aside 1: 1 → missing/1" in repr(found)

    assert project.reconcile().missing == ("missing/1",)
    assert opened(store, {"1": "B", "2": "C", "0": "A"}).reconcile().moved == {"missing/1": "0"}


def test_labels_that_are_set_aside_get_keys_of_their_own(store):
    labelled(store, {"a": "A", "b": "B"})
    opened(store, {"b": "A"}).reconcile()
    labelled(store, {"c": "C"})
    assert opened(store, {"b": "C"}).reconcile().set_aside == {"b": "missing-2/b"}
    assert places(store) == {"a": "missing-2/b", "b": "missing/b", "c": "b"}


def test_images_that_are_not_there_are_missing_and_keep_all(store):
    labelled(store, {"a": "A", "b": "B", "c": "C"})

    found = opened(store, {"a": "A"}).reconcile()
    assert (found.missing, found.batch) == (("b", "c"), None)
    assert places(store) == {"a": "a", "b": "b", "c": "c"}
    assert found.table.loc["b", "what"] == "missing"
    assert "missing 2: b, c" in repr(found)


def test_images_that_indexes_leave_out_are_not_missing(store):
    labelled(store, {"a": "A", "b": "B"})

    assert opened(store, {"a": "A", "b": "B"}, indexes=[0]).reconcile().ok


def test_a_file_that_cannot_be_read_is_said_and_left_alone(tmp_path, store):
    (tmp_path / "a.jpg").write_bytes(b"abc")
    project = Project(open_source({"a": tmp_path / "a.jpg"}), store, SCHEMA)
    project.note_identity("a", identify(b"abc", "a"))
    project.commit([box("a")])
    (tmp_path / "a.jpg").unlink()

    found = project.reconcile(accept_changed=True)
    assert list(found.unreadable) == ["a"]
    assert "there is no file" in found.unreadable["a"]
    assert not (found.changed or found.missing) and found.batch is None


def test_content_that_was_never_recorded_is_recorded(store):
    project = opened(store, {"a": np.zeros((80, 90), np.uint8), "b": "B"})
    project.commit([box("a")])
    assert store.images["hash"].isna().all()

    found = project.reconcile()
    assert found.recorded == ("a",)
    assert store.images["hash"].notna().all()
    assert store.images.loc["a", "annotator"] == "ana"
    assert project.reconcile().batch is None


# In the background


def find(store, files, **options):
    return find_renamed(store, opened(store, files, **options).source, threading.Event())


def test_a_renamed_image_is_found_in_the_background(store):
    labelled(store, {"a": "A", "b": "B"})

    assert find(store, {"c": "A", "b": "B"}) == ("a", "c")


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ({"a": "A", "b": "B"}, {}),
        ({"a": "A"}, {}),  # some of the images
        ({"a": "A", "b": "B"}, {"indexes": [1]}),
        ({"a": "A", "b": "X", "new": "Y"}, {}),  # changed: said when it is shown
        ({"x": "X", "y": "Y"}, {}),  # other images
        ({"a": "A", "copy": "A", "b": "B"}, {}),
    ],
)
def test_nothing_is_said_where_nothing_was_renamed(store, files, options):
    labelled(store, {"a": "A", "b": "B"})

    assert find(store, files, **options) is None


def test_an_image_that_has_labels_of_its_own_is_no_renamed_one(store):
    labelled(store, {"a": "A", "b": "A"})

    assert find(store, {"b": "A"}) is None


def test_an_image_of_which_nothing_is_said_is_not_looked_for(store):
    project = labelled(store, {"a": "A"})
    project.undo()

    assert find(store, {"b": "A"}) is None
    assert opened(store, {"b": "A"}).reconcile().counts["moved"] == 0


def test_the_search_ends_when_it_is_to(store):
    labelled(store, {"a": "A"})
    stop = threading.Event()
    stop.set()

    assert find_renamed(store, opened(store, {"b": "A"}).source, stop) is None


# Whatever happens to files

NAMES = st.sampled_from(["a", "b", "c", "d", "x/a", "x/b"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rename"), NAMES, NAMES),
        st.tuples(st.just("copy"), NAMES, NAMES),
        st.tuples(st.just("swap"), NAMES, NAMES),
        st.tuples(st.just("change"), NAMES, st.sampled_from(["same size", "longer"])),
        st.tuples(st.just("delete"), NAMES, NAMES),
    ),
    max_size=8,
)


def carry_out(steps, files):
    files = dict(files)
    for number, (step, one, other) in enumerate(steps):
        if one not in files:
            continue
        if step == "rename":
            files[other] = files.pop(one)
        elif step == "copy":
            files[other] = files[one]
        elif step == "swap" and other in files:
            files[one], files[other] = files[other], files[one]
        elif step == "change":
            files[one] = f"{number:03}" + ("" if other == "same size" else " longer")
        elif step == "delete":
            del files[one]
    return files or {"other": "file"}


@settings(deadline=None, max_examples=150)
@given(
    files=st.dictionaries(NAMES, st.sampled_from(["one", "two", "six", "seven"]), min_size=1),
    labels=st.sets(NAMES),
    steps=STEPS,
    later=st.sets(NAMES, max_size=2),
    more=STEPS,
)
def test_labels_are_never_lost_and_always_on_a_file_of_their_content(
    files, labels, steps, later, more
):
    with open_store(None) as store:
        labels = sorted(labels & files.keys())
        if labels:
            labelled(store, files, *labels)
        content = {key: files[key] for key in labels}
        for changes, others in ((steps, later), (more, ())):
            files = carry_out(changes, files)
            for key in sorted(others & files.keys()) if others else ():  # before anybody reconciles
                label_id = f"later {key}"
                project = opened(store, files)
                project.note_identity(key, identify(files[key].encode(), key))
                project.commit([box(key, label_id)])
                if store.images.loc[key, "hash"] == identify(files[key].encode(), key).hash:
                    content[label_id] = files[key]
            check_reconciled(store, files, content)


def check_reconciled(store, files, content):
    before = places(store)
    project = opened(store, files)
    found = project.reconcile()
    after = places(store)
    assert after.keys() == before.keys()
    apart = {*found.changed, *found.missing, *found.ambiguous, *found.occupied}
    for label, image in after.items():
        if before[label] in found.set_aside:
            assert image == found.set_aside[before[label]] and image not in files
        elif image != before[label]:
            assert found.moved[before[label]] == image
            assert label not in content or files[image] == content[label]
        elif label in content:
            assert files.get(image) == content[label] or image in apart
    again = project.reconcile()
    assert again.batch is None and again.counts["moved"] == 0
    if found.batch is not None:
        project.undo()
        assert places(store) == before
        project.redo()
        assert places(store) == after

"""Several annotators of one store: shares of the work, and work that is blind to the others'."""

from __future__ import annotations

import getpass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.moves import reconciling
from nbannotate.core.schema import Schema
from nbannotate.errors import ConflictError, LabelError, NbannotateError, StoreError
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.store import merge, open_store

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun", "rain"])
CAT, DOG = (item.id for item in SCHEMA.classes)
IMAGES = [f"{number}.jpg" for number in range(6)]
PICTURES = {key: np.zeros((80, 100), np.uint8) for key in IMAGES}


@pytest.fixture
def store():
    with open_store(None) as store:
        yield store


def project(store, annotator="ana", *, images=IMAGES, **how):
    source = open_source({key: PICTURES[key] for key in images})
    found = Project(source, store, SCHEMA, annotator=annotator, **how)
    found.walk = list(found.share.begin(found.arranged("sequential")))
    return found


def box(image, label_id=None, **more):
    place = {"x": 10, "y": 10, "width": 20, "height": 20}
    change = {"op": "create", "image": image, "kind": "box", "class_id": CAT, **place, **more}
    return change if label_id is None else {**change, "label_id": label_id}


def state(image, **changes):
    return {"op": "image", "image": image, "changes": changes}


def finish(project, image, status="done"):
    return project.commit([box(image), state(image, status=status)], seconds=2.0)


# Shares


def test_without_an_assignment_all_work_on_all(store):
    ana, ben = project(store), project(store, "ben")
    finish(ana, IMAGES[0])
    ben.refresh()

    assert ana.walk == ben.walk == IMAGES
    assert ben.status(IMAGES[0]) == "done"
    assert ana.share.more(5) == []


def test_shared_images_come_to_one_annotator_each_who_sees_all_labels(store):
    ana, ben = project(store, assign="shared"), project(store, "ben", assign="shared")
    assert ana.walk == []
    assert ana.share.more(1) == IMAGES[:4]  # and some to spare
    assert ben.share.more(1) == IMAGES[4:]
    finish(ben, IMAGES[4])

    assert ana.share.more(1) == []
    ana.refresh()
    assert ana.status(IMAGES[4]) == "done"
    assert len(ana.labels) == 1
    assert ana.progress.total == len(IMAGES)


def test_one_who_comes_again_goes_on_with_what_was_theirs(store):
    ana = project(store, assign="shared")
    ana.share.more(1)
    finish(ana, IMAGES[1])
    finish(ana, IMAGES[0])

    assert project(store, assign="shared").walk == [*IMAGES[1::-1], *IMAGES[2:4]]


def test_more_comes_only_when_too_few_are_to_do(store):
    ana = project(store, overlap=1)
    ana.share.more(2)
    finish(ana, IMAGES[0])

    assert ana.share.more(2) == []
    for image in IMAGES[1:4]:
        finish(ana, image)
    assert ana.share.more(2) == IMAGES[5:]


def test_what_is_undone_is_to_do_again_and_in_hand(store):
    ana = project(store, overlap=2)
    ana.share.more(1)
    finish(ana, IMAGES[0])
    ana.undo()

    assert ana.status(IMAGES[0]) == "todo"
    assert IMAGES[0] in store.leases("ana").held()


def test_what_is_given_back_comes_to_others(store):
    ana, ben = project(store, overlap=1), project(store, "ben", overlap=1)
    ana.share.more(6)
    assert ben.share.more(1) == []
    ana.share.release()
    ben.share._asked_in_vain -= 60  # seconds

    assert ben.share.more(1) == IMAGES[:4]


def test_an_image_that_one_cannot_show_is_left_to_others(store):
    project(store, overlap=1)
    ben = project(store, "ben", images=IMAGES[3:], overlap=1)

    assert ben.share.more(1) == IMAGES[3:]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"overlap": 2}, {"overlap": 3}),
        ({"assign": "all"}, {"assign": "shared"}),
        ({"assign": "shared"}, {"overlap": 2}),
    ],
)
def test_another_assignment_than_the_stores_is_refused(store, first, second):
    project(store, **first)

    with pytest.raises(StoreError, match=r"or change it for all with nba\.open\(\.\.\.\)\.assign"):
        project(store, "ben", **second)


def test_who_names_no_overlap_takes_the_stores(store):
    project(store, overlap=2)

    assert project(store, "ben", assign="shared").share.assignment.overlap == 2


def test_an_assignment_may_be_changed_for_all(store):
    ana = project(store, overlap=1)
    ana.share.more(1)
    finish(ana, IMAGES[0])
    store.assign(overlap=2)

    ben = project(store, "ben", overlap=2)
    assert ben.share.more(1) == IMAGES[1:5]  # what was done stays so


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"assign": "some"}, "assign='some' is unknown"),
        ({"overlap": 0}, "overlap=0 is no number"),
        ({"overlap": True}, "overlap=True is no number"),
        ({"overlap": 1.5}, "overlap=1.5 is no number"),
        ({"assign": "all", "overlap": 2}, "leave overlap out"),
    ],
)
def test_an_assignment_that_cannot_be_is_refused(store, how, problem):
    with pytest.raises(NbannotateError, match=problem):
        project(store, **how)


def test_who_gives_no_name_is_anonymous_and_undoes_their_own(store):
    nobody = project(store, nba.ANONYMOUS)
    finish(nobody, IMAGES[0])
    finish(project(store), IMAGES[1])
    nobody.undo()

    assert nobody.annotator is None
    assert store.labels["annotator"].tolist() == ["ana"]
    assert project(store, nba.ANONYMOUS).can_redo
    assert store.check().ok


def test_a_pseudonym_is_the_same_again_and_no_name_of_the_user(store, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    one, again = project(store, nba.PSEUDONYM, overlap=2), project(store, nba.PSEUDONYM)

    assert one.annotator == again.annotator
    assert one.annotator.count("-") == 2
    assert project(store, None).annotator == getpass.getuser() != one.annotator


@pytest.mark.parametrize("how", [{"assign": "shared"}, {"overlap": 2}, {"assign": "all"}])
def test_work_is_given_out_by_name(store, how):
    with pytest.raises(StoreError, match=r"by name; use annotator=nbannotate\.PSEUDONYM"):
        project(store, nba.ANONYMOUS, **how)


# Blind to each other


@pytest.fixture(params=[{"overlap": 2}, {"assign": "all"}], ids=str)
def pair(request, store):
    return project(store, **request.param), project(store, "ben", **request.param)


def test_each_sees_their_own_work_alone(store, pair):
    ana, ben = pair
    finish(ana, IMAGES[0])
    event = ben.commit([box(IMAGES[0], "bens"), state(IMAGES[0], note="hm", unsure=True)])
    ana.refresh()

    assert [list(one.labels["annotator"]) for one in pair] == [["ana"], ["ben"]]
    assert [one.status(IMAGES[0]) for one in pair] == ["done", "todo"]
    assert ana.reader.label("bens") is None
    assert ana.reader.images_of([IMAGES[0]])[IMAGES[0]]["note"] is None
    assert list(ben.images.loc[IMAGES[0], ["status", "note", "unsure"]]) == ["todo", "hm", True]
    assert list(ana.images.loc[IMAGES[0], ["status", "seconds"]]) == ["done", 2.0]
    assert set(ana.history["annotator"]) == {"ana"}
    assert ana.counts == ben.counts == {CAT: 1}
    assert [one.progress.done for one in pair] == [1, 0]
    assert [edit.image for edit in event.edits] == [IMAGES[0]] * 2
    assert ben.keeps("unsure")(IMAGES[0])
    assert not ana.keeps("unsure")(IMAGES[0])
    assert ben.reader.images_with(CAT) == ana.reader.images_with(CAT) == {IMAGES[0]}
    assert len(store.labels) == 2
    assert store.check().ok


def test_a_label_of_another_cannot_be_changed(pair):
    ana, ben = pair
    ana.commit([box(IMAGES[0], "anas")])

    with pytest.raises(LabelError, match="there is no label 'anas'"):
        ben.commit([{"op": "delete", "label_id": "anas"}])


def test_a_single_tag_of_each_is_none_of_the_others(pair):
    for one, tag in zip(pair, ("sun", "rain"), strict=True):
        one.commit([{"op": "create", "image": IMAGES[0], "kind": "tag", "label": tag}])

    assert [list(one.labels["label"]) for one in pair] == [["sun"], ["rain"]]


def test_nobody_hears_of_what_they_do_not_see(pair):
    ana, ben = pair
    heard = []
    ben.listen(heard.append)
    finish(ana, IMAGES[0])
    ben.refresh()
    assert heard == []

    ana.schema.rename("cat", "lynx")
    ben.refresh()
    assert [event.changes_schema for event in heard] == [True]


def test_a_reviewer_sees_all_and_what_they_change_is_seen(store, pair):
    ana, ben = pair
    ana.commit([box(IMAGES[0], "anas")])
    ben.commit([box(IMAGES[0], "bens")])
    heard = []
    ana.listen(heard.append)
    reviewer = project(store, "rita")
    assert len(reviewer.labels) == 2

    for label_id in ("anas", "bens"):
        reviewer.commit([{"op": "update", "label_id": label_id, "changes": {"class_id": DOG}}])
    reviewer.commit([state(IMAGES[0], status="done")])
    ana.refresh()

    assert [[edit.label_id for edit in event.edits] for event in heard] == [["anas"]]
    assert ana.counts == {DOG: 1}
    assert ana.status(IMAGES[0]) == "todo"


def test_what_is_said_of_an_image_can_be_changed_and_undone(pair):
    ana, _ = pair
    image = IMAGES[0]

    def now():
        return [ana.reader.images_of([image])[image][name] for name in ("status", "note", "unsure")]

    ana.commit([state(image, status="flagged", note="blurred")])
    ana.commit([state(image, unsure=True), state(image, status="done")])
    assert now() == ["done", "blurred", True]
    assert ana.commit([state(image, status="done")]) is None
    ana.undo()
    assert now() == ["flagged", "blurred", False]
    ana.undo()
    assert now() == ["todo", None, False]
    assert (ana.status(image), ana.progress.done) == ("todo", 0)
    ana.redo()
    ana.redo()
    assert now() == ["done", "blurred", True]
    assert ana.store.check().ok


def test_a_verdict_is_no_label_that_people_can_touch(pair):
    ana, _ = pair
    event = ana.commit([state(IMAGES[0], status="done")])
    verdict = event.edits[0].label_id

    for change in (
        {"op": "delete", "label_id": verdict},
        {"op": "update", "label_id": verdict, "changes": {"text": "todo"}},
        box(IMAGES[1], "verdict-1"),
    ):
        with pytest.raises(LabelError):
            ana.commit([change])
    assert ana.labels.empty
    assert ana.store.labels.empty


def test_what_is_left_shrinks_as_others_finish(store):
    ana, ben, cem = (project(store, name, overlap=2) for name in ("ana", "ben", "cem"))
    assert cem.progress.total == 6
    finish(ana, IMAGES[0])
    finish(ben, IMAGES[0])
    finish(ben, IMAGES[1], "skipped")
    cem.refresh()
    assert cem.progress.total == 5
    assert project(store, "dan", overlap=2).progress.total == 5
    finish(cem, IMAGES[0])  # all the same
    assert (cem.progress.done, cem.progress.total) == (1, 6)
    cem.undo()
    assert (cem.progress.done, cem.progress.total) == (0, 5)
    ben.undo()
    ben.undo()
    cem.refresh()
    assert cem.progress.total == 6
    assert ana.progress.total == 6  # with the one that is done


@pytest.mark.parametrize(
    ("overlap", "said", "status"),
    [
        (2, ["done"], "todo"),
        (2, ["done", "flagged"], "done"),
        (2, ["skipped", "flagged", "flagged"], "flagged"),
        (2, ["skipped", "skipped"], "todo"),
        (None, ["todo", "skipped"], "todo"),
        (None, ["done"], "done"),
    ],
)
def test_the_store_has_one_status_of_all(store, tmp_path, overlap, said, status):
    how = {"assign": "all"} if overlap is None else {"overlap": overlap}
    moment = []
    for annotator, one in enumerate(said):
        finish(project(store, f"annotator {annotator}", **how), IMAGES[0], one)
        moment.append(store.history.index[-1])
    reviewer = project(store, "rita")

    assert store.images.loc[IMAGES[0], "status"] == status
    assert store.statuses().get(IMAGES[0], "todo") == status
    assert reviewer.status(IMAGES[0]) == store.status_of(IMAGES[0]) == status
    assert store.dataset.images.loc[IMAGES[0], "status"] == status
    assert store.summary().images[status] == 1
    assert store.at(int(moment[-1])).images.loc[IMAGES[0], "status"] == status
    assert len(store.at(int(moment[-1])).labels) == len(said)
    assert store.summary().classes == {"cat": len(said), "dog": 0}
    import pandas as pd

    folder = store.snapshot(tmp_path / "snapshot")
    assert list(pd.read_parquet(folder / "images")["status"]) == [status]
    assert len(pd.read_parquet(folder / "labels")) == len(said)


def test_the_projects_of_those_who_see_all_follow(store):
    reviewer = project(store, "rita")
    assert reviewer.progress.done == 0
    for name in ("ana", "ben"):
        finish(project(store, name, overlap=2), IMAGES[0])
        reviewer.refresh()

    assert (reviewer.status(IMAGES[0]), reviewer.progress.done) == ("done", 1)


def test_stores_of_blind_annotators_are_merged_with_what_each_said(tmp_path):
    for name in ("ana", "ben"):
        with open_store(tmp_path / f"{name}.db") as store:
            finish(project(store, name, assign="all"), IMAGES[0])
    report = merge([tmp_path / "ana.db", tmp_path / "ben.db"], tmp_path / "all.db")

    assert (report.labels, report.conflicts) == (2, ())
    with open_store(tmp_path / "all.db") as both:
        assert both.check().ok
        assert sorted(both.labels["annotator"]) == ["ana", "ben"]
        assert both.images.loc[IMAGES[0], "status"] == "done"
        assert both.blind("ben").statuses() == {IMAGES[0]: "done"}


def test_what_each_said_goes_with_an_image_that_is_renamed(store):
    old, new = IMAGES[0], IMAGES[5]
    ana = project(store, images=[old, *IMAGES[1:5]], overlap=2)
    ana.share.more(1)
    finish(ana, old)
    first = ana.reader.verdict_of(old)["label_id"]
    store.apply([reconciling({old: new}, {}, {})], annotator="rita")
    ana = project(store, overlap=2)

    assert ana.walk[0] == new
    assert [ana.status(image) for image in (old, new)] == ["todo", "done"]
    ana.commit([state(new, status="flagged")])
    assert ana.reader.verdict_of(new)["label_id"] == first
    ana.commit([state(old, status="done")])  # another image by now
    assert ana.reader.statuses() == {new: "flagged", old: "done"}
    assert store.check().ok


def test_an_image_that_is_renamed_keeps_its_place_in_the_queue(store):
    old, new = IMAGES[1], IMAGES[5]
    ana = project(store, images=IMAGES[:5], overlap=1)
    ana.share.more(1)  # has it in hand
    ana.commit([box(old)])
    store.leases("ben").offer(IMAGES)  # the new name too
    store.apply([reconciling({old: new}, {}, {})], annotator="rita")

    assert store.leases("ben").take(9) == [new, IMAGES[4]]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ana", "ben", "cem"]),
        st.sampled_from(["box", "delete", "undo", "redo", "note", "more", "done", "skipped",
                         "flagged", "todo", "reopen"]),
        st.sampled_from(IMAGES),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, how=st.sampled_from([{"overlap": 2}, {"assign": "all"}, {"assign": "shared"}]))
def test_whatever_they_do_tables_and_projects_are_as_the_history_has_them(steps, how):
    with open_store(None) as store:
        people = {name: project(store, name, **how) for name in ("ana", "ben", "cem")}
        for name, what, image in steps:
            one = people[name]
            own = [row["label_id"] for row in one.reader.labels_of([image])[image]]
            if what == "box":
                one.commit([box(image)])
            elif what == "delete" and own:
                one.commit([{"op": "delete", "label_id": own[0]}])
            elif what in ("undo", "redo"):
                try:
                    getattr(one, what)()
                except ConflictError:
                    assert not one.share.is_blind
            elif what == "note":
                one.commit([state(image, note=f"{name} {len(store.history)}")])
            elif what == "more":
                one.share.more(2)
            elif what == "reopen":
                people[name] = project(store, name, **how)
            elif what in ("done", "skipped", "flagged", "todo"):
                one.commit([state(image, status=what)])
        assert store.check().ok
        for name, one in people.items():
            one.refresh()
            fresh = project(store, name, **how)
            assert one.progress.__dict__ == pytest.approx(fresh.progress.__dict__, nan_ok=True)
            assert one.counts == fresh.counts
            assert {i: one.status(i) for i in IMAGES} == {i: fresh.status(i) for i in IMAGES}

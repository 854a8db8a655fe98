"""Images that are not what they were: recorded by the way, told once, and set right by a call."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import nbannotate as nba
from nbannotate.images import identify

from .conftest import Browser, box

RENAMED = "ann.reconcile() brings the labels"
CHANGED = "has changed since it was labelled"


def gray(value):
    return np.full((80, 100), value, np.uint8)


PICTURES = {f"{number}.png": gray(number) for number in range(5)}


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.005)


@pytest.fixture
def store(tmp_path):
    with nba.open(tmp_path / "labels.db") as store:
        yield store


def known(annotator, *images):
    until(lambda: all(image in annotator._project._identities for image in images))


@pytest.fixture
def labelled(annotator, store):
    """All pictures have a box, and their content is recorded."""
    one = annotator(images=PICTURES, store=store)
    for image in PICTURES:
        one.goto(image)
        known(one, image)
        one.add(image, label="cat", box=(10, 20, 30, 15))
    one.close()
    return store


def searched(annotator):
    """Wait until the search for renamed images has ended."""
    recognition = annotator._controller._recognition
    until(lambda: recognition._search is not None and not recognition._search.is_alive())


def said(annotator):
    return [problem.text for problem in annotator.errors]


def test_a_gesture_records_what_was_shown(annotator):
    one = annotator(images=PICTURES)
    known(one, "0.png")
    Browser(one).edit(box("0.png", "L"))

    assert tuple(one.images.loc["0.png", ["bytes", "hash"]]) == identify(gray(0), "0.png")
    assert one.store.check().ok


def test_a_gesture_waits_for_no_content(annotator, monkeypatch):
    go_on = threading.Event()
    real = identify

    def slow(raw, key):
        assert go_on.wait(20)
        return real(raw, key)

    monkeypatch.setattr("nbannotate.images.ahead.identify", slow)
    one = annotator(images=PICTURES)
    browser = Browser(one)
    browser.edit(box("0.png", "L"))
    assert browser.acked and one.images["hash"].isna().all()

    go_on.set()
    known(one, "0.png")
    browser.edit({"op": "image", "image": "0.png", "changes": {"status": "done"}})
    assert one.images["hash"].notna().sum() == 1


def test_renamed_images_are_told_once_and_set_right(annotator, labelled):
    images = {"new.png": gray(0), **{k: v for k, v in PICTURES.items() if k != "0.png"}}
    one = annotator(images=images, store=labelled)
    browser = Browser(one)
    until(lambda: RENAMED in browser.notice)

    assert browser.notice.startswith("'0.png' is 'new.png' now")
    assert len(browser.slots["new.png"]["labels"]) == 0
    one.next()
    assert len(said(one)) == 1

    found = one.reconcile()
    assert found.moved == {"0.png": "new.png"}
    until(lambda: len(browser.slots["new.png"]["labels"]) == 1)
    one.undo()
    assert (len(browser.slots["new.png"]["labels"]), one.current) == (0, "1.png")
    one.redo()
    assert one.labels["image"].tolist().count("new.png") == 1
    assert len(said(one)) == 1


def test_other_widgets_show_labels_that_were_moved(annotator, labelled):
    images = {"new.png": gray(0)}
    one, two = (annotator(images=images, store=labelled) for _ in range(2))
    one.reconcile()

    until(lambda: len(Browser(two).slots["new.png"]["labels"]) == 1)


@pytest.mark.parametrize(
    "options",
    [
        {"images": PICTURES},
        {"images": PICTURES, "indexes": [1, 2]},
        {"images": {"1.png": gray(1)}},
        {"images": {"other.png": gray(99)}},
        {"images": {**PICTURES, "copy.png": gray(0)}},
    ],
    ids=["all", "indexes", "some", "others", "a copy"],
)
def test_nothing_is_said_of_images_that_were_not_renamed(annotator, labelled, options):
    one = annotator(store=labelled, **options)
    searched(one)

    assert said(one) == []


def test_a_changed_image_is_told_when_it_is_shown(annotator, labelled):
    one = annotator(images={**PICTURES, "2.png": gray(77)}, store=labelled)
    browser = Browser(one)
    known(one, *PICTURES)
    until(lambda: "2.png" in one._controller._recognition._changed)
    assert said(one) == []

    one.goto("2.png")
    assert "'2.png'" in browser.notice and CHANGED in browser.notice
    one.next()
    one.previous()
    assert len(said(one)) == 1

    assert one.reconcile(accept_changed=True).changed == ("2.png",)
    assert one.reconcile().ok
    assert annotator(images={"2.png": gray(77)}, store=labelled).reconcile().counts["changed"] == 0


def test_a_changed_image_that_is_shown_first_is_told(annotator, labelled):
    one = annotator(images={**PICTURES, "0.png": gray(77)}, store=labelled)

    until(lambda: CHANGED in Browser(one).notice)


def test_a_broken_store_in_the_background_is_quiet(annotator, store, monkeypatch):
    def broken():
        raise nba.StoreError("gone")

    monkeypatch.setattr(store, "contents", broken)
    one = annotator(store=store)
    searched(one)

    assert said(one) == []


def test_a_closed_widget_ends_the_search(annotator, labelled, monkeypatch):
    monkeypatch.setattr("nbannotate.project.reconciling._PAUSE", 60)
    one = annotator(images={"new.png": gray(0)}, store=labelled)
    until(lambda: one._controller._recognition._search is not None)
    one.close()
    searched(one)

    assert said(one) == []

"""Edits of the scheme while annotators are open: what their browsers are told, and still send."""

from __future__ import annotations

import pytest

from nbannotate.errors import NbannotateError
from nbannotate.widgets.keys import KeyConflict
from tests.widgets.conftest import Browser, box


def offered(browser):
    return [item["name"] for item in browser.layer.config["schema"]["classes"]]


def test_the_browser_gets_the_new_scheme_and_labels_at_once(annotator):
    ann = annotator()
    browser = Browser(ann)
    browser.edit(box("0.png", "i"))

    change = ann.schema.merge(["cat", "dog"], into="pet")

    assert (change.labels, change.dry_run) == (1, False)
    assert offered(browser) == ["pet"]
    (label,) = browser.slots["0.png"]["labels"]
    assert label["class_id"] == ann.schema.find("pet").id
    assert browser.layer.view["counts"] == {str(label["class_id"]): 1}


def test_scheme_and_labels_are_told_in_one_message(annotator, monkeypatch):
    ann = annotator()
    browser = Browser(ann)
    browser.edit(box("0.png", "i"))
    sent = []
    monkeypatch.setattr(browser.layer, "send_state", lambda names: sent.append(set(names)))

    ann.schema.merge(["cat"], into="dog")

    # Pictures that are sent ahead may come between.
    (names,) = [names for names in sent if "config" in names]
    assert any(name.startswith("slot_") for name in names)


def test_a_dry_run_tells_the_browser_nothing(annotator):
    ann = annotator()
    browser = Browser(ann)
    config = browser.layer.config

    assert repr(ann.schema.rename("cat", "kitten", dry_run=True)).startswith("dry run: rename")

    assert browser.layer.config is config


def test_undo_in_the_browser_takes_the_scheme_back_and_stays_where_it_is(annotator):
    ann = annotator()
    browser = Browser(ann)
    browser.edit(box("0.png", "i"))
    ann.schema.merge(["cat", "dog"], into="pet")
    ann.schema.rename("pet", "animal")
    ann.goto("2.png")

    browser.send({"op": "undo"})
    browser.send({"op": "undo"})

    assert offered(browser) == ["cat", "dog"]
    assert browser.current == "2.png"
    assert ann.labels["label"].tolist() == ["cat"]
    assert browser.notice == ""


def test_another_annotator_follows_when_it_refreshes(annotator, tmp_path):
    one = annotator(store=tmp_path / "labels.db")
    other = annotator(store=tmp_path / "labels.db", annotator="ben")
    browser = Browser(other)
    one.add("0.png", label="cat", box=(1, 2, 30, 40))
    one.schema.split("cat", into=["lion", "tiger"])

    other._controller.refresh()

    assert offered(browser) == ["cat", "lion", "tiger", "dog"]
    assert browser.layer.config["schema"]["classes"][0]["retired"]
    assert len(browser.slots["0.png"]["labels"]) == 1


def test_a_box_in_flight_with_a_class_that_was_merged_is_kept(annotator):
    ann = annotator()
    browser = Browser(ann)
    ann.schema.merge(["cat", "dog"], into="pet")

    number = browser.edit(box("0.png", "i", class_id=2))

    assert browser.acked == number
    assert ann.labels["label"].tolist() == ["pet"]
    assert browser.notice == ""


def test_a_box_in_flight_with_a_class_that_is_gone_is_refused_in_words(annotator):
    ann = annotator()
    browser = Browser(ann)
    ann.schema.remove("cat")

    browser.edit(box("0.png", "i"))

    assert "'cat' was removed from the scheme; choose another" in browser.notice
    assert ann.labels.empty


def test_a_filter_by_a_class_goes_where_the_class_went(annotator):
    ann = annotator()
    browser = Browser(ann)
    ann.add("1.png", label="cat", box=(1, 2, 30, 40))
    ann.add("2.png", label="dog", box=(1, 2, 30, 40))
    ann.filter(label="cat")
    assert browser.layer.view["total"] == 1

    ann.schema.merge(["cat", "dog"], into="pet")
    assert browser.layer.view["filter"]["class_id"] == ann.schema.find("pet").id
    assert browser.layer.view["total"] == 2

    ann.delete(ann.labels.index[0])
    ann.delete(ann.labels.index[0])
    ann.schema.remove("pet")
    assert browser.layer.view["filter"]["class_id"] is None
    assert browser.layer.view["total"] == 5


def test_a_key_that_is_an_actions_is_refused_and_changes_nothing(annotator):
    ann = annotator(keys={"done": "d"})
    browser = Browser(ann)

    with pytest.raises(NbannotateError, match="'d' is given to both"):
        ann.schema.rekey("cat", "d")

    assert ann.schema.find("cat").key is None
    ann.schema.rekey("cat", "m")
    assert browser.layer.config["schema"]["classes"][0]["hotkey"] == "m"
    with pytest.warns(KeyConflict, match="'copy_previous' has none") as warned:
        ann.schema.rekey("cat", "c")
    assert len(warned) == 1


def test_a_key_that_another_gave_and_that_is_an_actions_here_is_reported(annotator, tmp_path):
    one = annotator(store=tmp_path / "labels.db")
    other = annotator(store=tmp_path / "labels.db", annotator="ben", keys={"done": "d"})
    browser = Browser(other)
    one.schema.rekey("cat", "d")

    other._controller.refresh()
    other.goto(2)

    assert "'d' is given to both" in browser.notice
    assert browser.current == "2.png"


def test_callbacks_hear_of_it(annotator):
    ann = annotator()
    heard = []
    ann.on_change(heard.append)

    ann.schema.add("bird")

    assert [(event.op, event.changes_schema, event.images) for event in heard] == [
        ("edit", True, ())
    ]

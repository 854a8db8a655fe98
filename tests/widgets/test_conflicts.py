"""A gesture on what someone else has changed since the browser saw it is refused, not lost."""

from __future__ import annotations

import pytest

from .conftest import Browser, box

SIDES = ("x", "y", "width", "height")


@pytest.fixture
def two(annotator, tmp_path):
    """Two annotators on one store, the browser of the first, and a box that it has seen."""
    ana = annotator(store=tmp_path / "labels.db", annotator="ana")
    ben = annotator(store=tmp_path / "labels.db", annotator="ben")
    browser = Browser(ana)
    browser.edit(box("0.png", "L"))
    return ana, ben, browser


def move(browser, x, seen):
    return browser.edit(
        {"op": "update", "label_id": "L", "changes": {"x": float(x)}, "seen": dict(seen)}
    )


def seen_by(browser):
    return browser.slots["0.png"]["labels"][0]


def test_a_gesture_on_what_someone_has_changed_is_answered_with_both_versions(two):
    ana, ben, browser = two
    seen = seen_by(browser)
    ben.update("L", box=(40, 20, 30, 15))
    seq = move(browser, 60, seen)

    assert browser.acked == seq
    [found] = browser.layer.conflicts
    assert (found["client"], found["seq"], found["label_id"]) == (browser.client, seq, "L")
    assert found["theirs"]["x"] == 40
    assert ana.labels.loc["L", "x"] == 40
    move(browser, 60, found["theirs"])  # the user insists
    assert ana.labels.loc["L", "x"] == 60
    assert len(browser.layer.conflicts) == 1


def test_ones_own_gestures_never_conflict_whatever_they_were_expected_to_come_to(two):
    ana, _, browser = two
    seen = seen_by(browser)
    move(browser, 60, seen)
    move(browser, 5, {**seen, "x": 60.5})  # the kernel may have made 60.25 of it

    assert browser.layer.conflicts == []
    assert ana.labels.loc["L", "x"] == 5


def test_a_change_by_python_is_someone_elses_to_the_browser_until_it_is_told(two):
    ana, _, browser = two
    seen = seen_by(browser)
    ana.update("L", box=(40, 20, 30, 15))
    move(browser, 60, seen)

    assert len(browser.layer.conflicts) == 1
    assert ana.labels.loc["L", "x"] == 40
    move(browser, 60, seen_by(browser))
    assert ana.labels.loc["L", "x"] == 60


def test_a_gesture_on_what_someone_has_deleted(two):
    ana, ben, browser = two
    seen = seen_by(browser)
    ben.delete("L")
    move(browser, 60, seen)

    [found] = browser.layer.conflicts
    assert (found["label_id"], found["theirs"]) == ("L", None)
    assert ana.labels.empty


def test_a_widget_does_not_show_all_again_when_it_hears_of_its_own_gesture(two, monkeypatch):
    ana, ben, browser = two
    controller = ana._controller
    controller._hear()  # of all that was before
    shown = []
    monkeypatch.setattr(controller.screen, "show", lambda *_, **__: shown.append(1))
    browser.edit(box("0.png", "M"))
    told = len(shown)
    controller._hear()
    assert len(shown) == told
    monkeypatch.undo()

    ben.update("L", box=(40, 20, 30, 15))
    controller._hear()
    assert {label["x"] for label in browser.slots["0.png"]["labels"]} == {10, 40}

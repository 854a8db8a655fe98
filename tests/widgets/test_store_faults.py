"""While the store fails, edits stay with the browser; when it can again, each is saved once.

The browser sends what is not acknowledged again by itself: see ``tests/browser/test_queue.py``.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from nbannotate.errors import StoreError
from nbannotate.store import open_store

from .conftest import Browser, box


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.db"


@pytest.fixture
def ann(annotator, path):
    return annotator(store=path)


def test_what_is_to_be_known_of_a_store_is_said_once(annotator, path):
    with open_store(path) as store:
        store._database.notes.append("it is on a network drive")
        with pytest.warns(UserWarning, match="network drive"):
            ann = annotator(store=store)
        browser = Browser(ann)
        ann.next()
        assert browser.layer.view["notice"] is None
        store._database.notes.append("another copy was put in its place")
        ann.next()
        told = browser.layer.view["notice"]
        assert told["text"] == "another copy was put in its place"
        ann.next()
        assert browser.layer.view["notice"] == told


def edit(*changes):
    return {"op": "edit", "changes": list(changes), "seconds": 1.5, "goto": None}


def trouble(browser):
    return browser.layer.view["trouble"]


def test_edits_stay_with_the_browser_while_the_file_is_away_and_are_saved_once(ann, path):
    browser = Browser(ann)
    browser.edit(box("0.png", "a"))
    away = path.with_name("away.db")
    path.rename(away)

    kept = [box("0.png", "b"), box("1.png", "c")]
    first = browser.edit(kept[0])
    browser.edit(kept[1])
    again = [{"seq": first + n, "message": edit(change)} for n, change in enumerate(kept)]
    batch = {"type": "messages", "client": browser.client, "messages": again, "again": True}
    browser.raw(batch)
    assert browser.acked == first - 1
    assert "was removed or moved while in use; put it back" in trouble(browser)
    assert len(ann.errors) == 1, "told once, not at each try"

    away.rename(path)
    browser.raw(batch)
    browser.raw(batch)
    assert browser.acked == first + 1
    assert trouble(browser) is None
    assert sorted(ann.labels.index) == ["a", "b", "c"]
    assert len(ann.history) == 3
    assert {label["label_id"] for label in browser.slots["0.png"]["labels"]} == {"a", "b"}


def test_an_edit_that_was_saved_without_an_answer_is_shown_and_not_saved_twice(ann, path):
    browser = Browser(ann)
    away = path.with_name("away.db")

    def move(connection):  # before the look at the path that follows the commit
        if connection.get_execution_options().get("aim") == "write":
            path.rename(away)

    engine = ann._controller.project.store._database._engine
    sa.event.listen(engine, "commit", move)
    seq = browser.edit(box("0.png", "a"))
    sa.event.remove(engine, "commit", move)
    assert browser.acked == seq - 1
    assert "while it was written" in trouble(browser)
    away.rename(path)

    browser.send(edit(box("0.png", "a")), seq=seq, again=True)

    assert browser.acked == seq
    assert trouble(browser) is None
    assert len(ann.history) == 1
    assert [label["label_id"] for label in browser.slots["0.png"]["labels"]] == ["a"]
    ann.undo()
    assert ann.labels.empty


def test_a_page_that_is_new_while_the_store_cannot_be_read_keeps_its_edits(ann, path):
    browser = Browser(ann)
    database = ann._controller.project.store._database
    database._is_unsound = True
    away = path.with_name("away.db")
    path.rename(away)

    seq = browser.edit(box("0.png", "a"))

    assert browser.acked == 0
    assert "put it back" in trouble(browser)
    away.rename(path)
    browser.send(edit(box("0.png", "a")), seq=seq, again=True)
    assert browser.acked == seq
    assert trouble(browser) is None
    assert ann.labels.index.tolist() == ["a"]


def test_going_on_is_told_while_the_store_cannot_be_read_and_labels_come_after(ann, path):
    ann.add("4.png", label="cat", box=(1, 2, 30, 40), label_id="a")
    browser = Browser(ann)
    browser.send({"op": "goto", "position": 1})
    database = ann._controller.project.store._database
    database._is_unsound = True
    away = path.with_name("away.db")
    path.rename(away)

    browser.send({"op": "goto", "position": 4})

    assert browser.layer.view["position"] == 4
    assert "put it back" in trouble(browser)
    away.rename(path)
    browser.send({"op": "goto", "position": 4})
    assert trouble(browser) is None
    assert [label["label_id"] for label in browser.slots["4.png"]["labels"]] == ["a"]


def test_an_edit_from_python_raises_and_can_be_made_again(ann, path):
    away = path.with_name("away.db")
    path.rename(away)
    with pytest.raises(StoreError, match="put it back, and saving goes on"):
        ann.add("0.png", label="cat", box=(1, 2, 30, 40))

    away.rename(path)
    ann.add("0.png", label="cat", box=(1, 2, 30, 40))
    assert len(ann.labels) == len(ann.history) == 1

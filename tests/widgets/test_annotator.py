"""What people call, without a browser; each call shows at once, by the same path as a gesture."""

from __future__ import annotations

import io
import threading

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import nbannotate as nba
from nbannotate.widgets.messages import Look

from .conftest import Browser, box


def test_a_call_from_python_takes_the_path_of_a_gesture_and_shows_at_once(annotator):
    ann = annotator()
    browser = Browser(ann)
    label_id = ann.add("0.png", label="cat", box=(10, 20, 30, 15))
    (shown,) = browser.slots["0.png"]["labels"]
    assert (shown["label_id"], shown["width"]) == (label_id, 30)
    ann.update(label_id, box=(0, 0, 5, 5), label="dog")
    assert browser.slots["0.png"]["labels"][0]["class_id"] == ann.schema.find("dog").id
    ann.delete(label_id)
    assert browser.slots["0.png"]["labels"] == []
    assert ann.history["op"].tolist() == ["create", "update", "delete"]


def test_a_gesture_is_in_the_dataframe(annotator):
    ann = annotator()
    Browser(ann).edit(box("0.png", "a"))
    assert ann.labels.loc["a", ["image", "label", "x"]].tolist() == ["0.png", "cat", 10.0]


def test_reviewed_empty_image_survives_navigation(annotator):
    ann = annotator()
    ann.goto("2.png")
    ann.submit()
    assert ann.current == "3.png"
    ann.previous()
    assert ann.images.loc["2.png", "status"] == "done"
    assert ann.labels.empty


def test_tag_annotator_keeps_one_tag_or_several(annotator):
    one = annotator(kind=nba.TagAnnotator, classes=["a", "b"])
    one.add("0.png", label="a")
    one.add("0.png", label="b")
    assert one.labels["label"].tolist() == ["b"]
    several = annotator(kind=nba.TagAnnotator, classes=["a", "b"], multiple=True)
    several.add("0.png", label="a")
    several.add("0.png", label="b")
    assert several.labels["label"].tolist() == ["a", "b"]


def test_a_tag_that_is_there_already_is_given_back(annotator):
    ann = annotator(kind=nba.TagAnnotator, classes=["a", "b"])
    assert ann.add("0.png", label="a") == ann.add("0.png", label="a")


def test_undo_goes_back_to_the_image_it_changes(annotator):
    ann = annotator()
    ann.add("0.png", label="cat", box=(1, 1, 9, 9))
    ann.goto("4.png")
    ann.undo()
    assert ann.current == "0.png"
    assert ann.labels.empty
    ann.redo()
    assert len(ann.labels) == 1


def test_opening_a_store_again_goes_on_where_the_work_was_left(annotator, tmp_path):
    store = tmp_path / "labels.db"
    first = annotator(store=store)
    first.add("0.png", label="cat", box=(1, 1, 9, 9))
    first.submit()
    first.submit()
    first.close()
    again = annotator(store=store)
    assert again.current == "2.png"
    assert len(again.labels) == 1
    again.undo()
    assert again.current == "1.png"
    assert again.images.loc["1.png", "status"] == "todo"


def test_filters_show_some_and_goto_a_hidden_image_shows_all(annotator):
    ann = annotator()
    ann.submit()
    ann.filter("done")
    assert Browser(ann).layer.view["total"] == 1
    ann.filter(text="3")
    assert ann.current == "3.png"
    ann.add("4.png", label="dog", box=(1, 1, 9, 9))
    ann.filter(label="dog")
    assert ann.current == "4.png"
    ann.goto("1.png")
    assert (ann.current, Browser(ann).layer.view["total"]) == ("1.png", 5)
    ann.filter("flagged")
    assert ann.current is None
    with pytest.raises(nba.LabelError, match="widen the filter"):
        ann.submit()
    with pytest.raises(nba.LabelError, match="use one of all"):
        ann.filter("gone")


def test_goto_counts_from_both_ends_and_refuses_what_is_not_there(annotator):
    ann = annotator()
    ann.goto(-1)
    assert ann.current == "4.png"
    for bad in (5, -6, "5.png"):
        with pytest.raises(nba.ImageError):
            ann.goto(bad)
    assert ann.current == "4.png"


def test_next_todo_skips_what_is_done_and_says_when_nothing_is_left(annotator):
    ann = annotator(n=3)
    browser = Browser(ann)
    ann.goto(1)
    ann.submit()
    ann.goto(0)
    browser.send({"op": "todo"})
    assert browser.current == "2.png"
    for place in (0, 2):
        ann.goto(place)
        ann.skip()
    browser.send({"op": "todo"})
    assert browser.notice == "No image is to do any more"


def test_submit_callbacks_take_the_key_or_nothing(annotator):
    ann = annotator()
    calls = []

    @ann.on_submit
    def with_key(image):
        calls.append(image)

    @ann.on_submit
    def without():
        calls.append(None)

    ann.submit()
    ann.skip()
    assert calls == ["0.png", None]


def test_a_callback_that_fails_is_told_and_loses_nothing(annotator):
    ann = annotator()
    told = []

    @ann.on_change
    def broken(event):
        raise ZeroDivisionError("in my own code")

    ann.on_change(lambda event: told.append(event.op))
    browser = Browser(ann)
    browser.edit(box("0.png", "a"))
    assert len(ann.labels) == 1
    assert told == ["edit"]
    assert browser.acked == 1
    assert browser.notice == "ZeroDivisionError: in my own code"
    assert ann.errors[0].about.edits[0].label_id == "a"


def test_a_change_that_is_refused_is_told_and_kept_in_errors(annotator):
    ann = annotator()
    browser = Browser(ann)
    browser.edit(box("0.png", "a", width=1.0))
    browser.edit(box("0.png", "b"))
    assert ann.labels.index.tolist() == ["b"]
    assert browser.acked == 2
    assert "draw it larger" in browser.notice
    assert ann.errors[0].about["changes"][0]["label_id"] == "a"


def test_view_only_changes_nothing_but_looks_at_everything(annotator):
    ann = annotator(view_only=True)
    browser = Browser(ann)
    browser.edit(box("0.png", "a"))
    browser.send({"op": "goto", "position": 2})
    assert ann.labels.empty
    assert browser.current == "2.png"
    assert "viewing only" in browser.notice


def test_the_ring_holds_the_next_images_and_the_one_before(annotator):
    ann = annotator(n=12)
    browser = Browser(ann)
    ann.goto(5)
    wait_for(lambda: set(browser.slots) == {f"{i}.png" for i in range(4, 10)})
    ann.goto(6)
    wait_for(lambda: set(browser.slots) == {f"{i}.png" for i in range(5, 11)})


@pytest.mark.parametrize("ahead", [0, 1, 10, 99])
def test_the_ring_can_be_smaller_and_larger(annotator, ahead):
    ann = annotator(n=40, ahead=ahead)
    ann.goto(20)
    wait_for(lambda: len(Browser(ann).slots) == min(ahead, 10) + 2)


def wait_for(condition):
    done = threading.Event()
    for _ in range(1000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("waited in vain")


def test_pictures_come_in_the_background_with_their_sizes(annotator):
    ann = annotator()
    browser = Browser(ann)
    wait_for(lambda: [bool(slot["paint"]) for slot in browser.slots.values()] == [True] * 5)
    assert {(s["width"], s["height"]) for s in browser.slots.values()} == {(100, 80)}
    assert len({slot["paint"] for slot in browser.slots.values()}) == 5


def test_a_broken_image_has_its_error_and_can_be_tried_again(annotator, tmp_path):
    for name in ("a", "b"):
        Image.new("RGB", (30, 20)).save(tmp_path / f"{name}.png")
    (tmp_path / "a.png").write_bytes(b"nonsense")
    ann = annotator(images=tmp_path)
    browser = Browser(ann)
    wait_for(lambda: "b.png" in browser.slots and browser.slots["b.png"]["paint"])
    assert "a.png" in browser.slots["a.png"]["error"]
    ann.submit()
    assert ann.images.loc["a.png", "status"] == "done"
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    browser.raw({"type": "retry", "image": "a.png"})
    assert browser.slots["a.png"]["error"] is None
    assert browser.slots["a.png"]["width"] == 30


def test_a_part_in_sight_is_rendered_sharply(annotator):
    ann = annotator(images={"big": np.zeros((3000, 3000, 3), np.uint8)})
    browser = Browser(ann)
    browser.raw({"type": "look", "image": "big", "box": [10, 20, 300, 200], "size": [300, 200]})
    wait_for(lambda: browser.layer.crisp)
    assert browser.layer.crisp["box"] == [10, 20, 300, 200]
    assert Image.open(io.BytesIO(browser.layer.crisp_picture)).size == (300, 200)
    assert Look("big", (0, 0, 1, 1), (1, 1)).image == "big"


def test_indexes_and_order_choose_the_images(annotator):
    ann = annotator(indexes=[3, 1])
    assert [ann.current, Browser(ann).layer.view["total"]] == ["3.png", 2]
    ann = annotator(order=lambda keys: sorted(keys, reverse=True))
    assert ann.current == "4.png"


def test_the_users_own_table_gets_the_labels_beside_its_columns(annotator, tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    table = pd.DataFrame({"path": [str(tmp_path / "a.png")], "patient": ["p1"]})
    ann = annotator(images=table)
    ann.add(str(ann.current), label="cat", box=(1, 1, 9, 9))
    joined = ann.dataset.join(table, on="path")
    assert joined[["patient", "label"]].to_numpy().tolist() == [["p1", "cat"]]


def test_select_asks_the_browser_and_is_known(annotator):
    ann = annotator()
    label_id = ann.add("3.png", label="cat", box=(1, 1, 9, 9))
    ann.select(label_id)
    browser = Browser(ann)
    assert (ann.current, browser.layer.view["select"]) == ("3.png", label_id)
    browser.raw({"type": "select", "label_id": None})
    assert ann.selected is None


def test_schema_and_its_parts_at_once_are_refused(annotator):
    with pytest.raises(nba.NbannotateError, match="not both"):
        annotator(schema=nba.Schema(["a"]), classes=["b"])


def test_a_box_of_three_numbers_is_refused(annotator):
    with pytest.raises(nba.LabelError, match="give x, y, width, height"):
        annotator().add("0.png", label="cat", box=(1, 2, 3))


def test_the_summary_without_a_kernel_says_what_was_done(annotator):
    ann = annotator()
    ann.submit()
    text = ann._repr_mimebundle_()["text/plain"]
    assert text == "Annotator: 5 images, 1 done, 0 labels in memory. Run the cell to go on."


def test_threads_may_call_at_once(annotator):
    ann = annotator()

    def work(name):
        for step in range(20):
            ann.add(f"{step % 5}.png", label=name, box=(step, step, 10, 10))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("cat", "dog")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ann.labels["label"].astype(str).value_counts().to_dict() == {"cat": 20, "dog": 20}

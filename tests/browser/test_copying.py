"""Copying shapes with keys: beside themselves, onto another image, from the image before."""

from __future__ import annotations

import pytest

from .fake import Widget, attribute, box, slot, three_boxes

pytestmark = pytest.mark.browser

SIDES = ("x", "y", "width", "height")


@pytest.fixture
def widget(bare_page):
    return three_boxes(bare_page)


def test_duplicate_makes_a_copy_beside_and_selects_it(widget):
    widget.click((30, 30))
    widget.press("Control+d")

    [change] = widget.changes
    assert (change["op"], change["class_id"]) == ("create", 1)
    assert [change[side] for side in SIDES] == [26, 26, 50, 40]  # 12 pixels of the screen away
    assert change["label_id"] not in ("big", "small", "beside")
    assert widget.selected == change["label_id"]


def test_a_copy_has_the_attributes_of_the_shape(bare_page):
    labels = [box("L", 2, 20, 20, 50, 40, attributes={"occluded": True})]
    widget = Widget(bare_page, labels, attributes=[attribute("occluded", "bool")])
    widget.press("Tab", "Control+d")

    assert widget.changes[0]["attributes"] == {"occluded": True}


def test_paste_onto_another_image_is_at_the_same_place(widget):
    widget.click((30, 30))
    widget.press("Control+c", "ArrowRight", "Control+v")

    [change] = widget.changes
    assert change["image"] == "b.jpg"
    assert [change[side] for side in SIDES] == [20, 20, 50, 40]


def test_copy_without_a_selection_copies_all_as_one_step(widget):
    widget.press("Control+c", "ArrowRight", "Control+v")

    assert [message["op"] for message in widget.messages] == ["goto", "edit"]
    assert [(c["image"], c["class_id"]) for c in widget.changes] == [
        ("b.jpg", 1),
        ("b.jpg", 2),
        ("b.jpg", 1),
    ]
    assert widget.said == "3 shapes added"


def test_copy_of_nothing_keeps_what_was_copied(widget):
    widget.press("Control+c", "ArrowRight", "Control+c", "Control+v")

    assert len(widget.changes) == 3


def test_paste_into_a_smaller_picture_is_cut_at_its_edge(bare_page):
    small = slot(1, [], width=100, height=80, shown=[100, 80])
    labels = [box("L", 1, 100, 100, 200, 50)]
    widget = Widget(bare_page, labels, traits={"slot_1": small})
    widget.press("Control+c", "ArrowRight", "Control+v")

    [change] = widget.changes
    assert [change[side] for side in SIDES] == [0, 30, 100, 50]


def test_the_shapes_of_the_image_before_are_copied_onto_an_untouched_one(widget):
    widget.press("ArrowRight", "c")

    assert [(c["image"], c["x"], c["class_id"]) for c in widget.changes] == [
        ("b.jpg", 100, 1),
        ("b.jpg", 160, 2),
        ("b.jpg", 20, 1),
    ]


@pytest.mark.parametrize(
    "touched",
    [slot(1, [], status="done"), slot(1, [box("L", 1, 1, 1, 9, 9)]), slot(1, [], status="skipped")],
    ids=["empty and done", "labelled", "skipped"],
)
def test_the_shapes_of_the_image_before_are_not_copied_onto_one_that_was_worked_on(
    bare_page, touched
):
    labels = [box("big", 1, 100, 100, 200, 150)]
    widget = Widget(bare_page, labels, traits={"slot_1": touched})
    widget.press("ArrowRight", "c")

    assert widget.changes == []
    assert "Not copied" in widget.said

"""An edit of the scheme is in every open widget at once, and its undo as well."""

from __future__ import annotations

import pytest

from .annotating import boxes, draw, picture, press, stored, wait_drawn, wait_kernel, wait_saved

pytestmark = pytest.mark.browser

CELL = """
import numpy as np
import nbannotate as nba
gray = {f"{i}.png": np.full((300, 400), 128, np.uint8) for i in range(3)}
ann = nba.BoxAnnotator(gray, classes=["car", "van", "bike"], height=400)
ann
"""


@pytest.fixture
def one(notebook):
    made = notebook([CELL])
    picture(made)
    draw(made, 50, 40, 150, 120)
    press(made, "2")
    draw(made, 200, 100, 300, 200)
    wait_saved(made)
    return made


def names(one):
    return one.page.locator(".nba-palette .nba-pick").all_inner_texts()


def wait_class(one, name):
    one.page.locator(".nba-palette .nba-pick").filter(has_text=name).wait_for()


def test_classes_are_merged_renamed_and_brought_back_by_the_undo_key(one):
    change = one.execute("ann.schema.merge(['car', 'van'], into='vehicle')")
    assert "2 labels on 1 image" in change
    wait_class(one, "vehicle")
    assert not any("van" in text for text in names(one))
    assert one.execute("ann.labels.label.tolist()") == "['vehicle', 'vehicle']"

    one.execute("ann.schema.rename('bike', '<b>bicycle</b>')")
    wait_class(one, "<b>bicycle</b>")
    press(one, "Control+z")
    wait_class(one, "bike")
    one.page.keyboard.press("Control+z")  # the picture still has the keys
    wait_class(one, "van")
    wait_kernel(one, "sorted(ann.labels.label)", ["car", "van"])
    assert boxes(stored(one)) == [(50, 40, 100, 80), (200, 100, 100, 100)]


def test_a_box_that_is_drawn_with_a_class_that_is_merged_meanwhile_gets_the_class_it_went_into(one):
    press(one, "1")
    with one.busy(holding="ann._project.lock"):
        draw(one, 20, 150, 120, 250)
        wait_drawn(one, 20, 150, 120, 250)
        one.execute_nowait("ann.schema.merge(['car', 'van'], into='bike')")
    wait_saved(one)

    wait_kernel(one, "ann.labels.label.unique().tolist()", ["bike"])
    assert len(stored(one)) == 3

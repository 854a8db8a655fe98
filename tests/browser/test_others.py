"""What others commit to the same store, in other kernels or other cells, is there by itself."""

from __future__ import annotations

import numpy as np
import pytest

import nbannotate as nba
from nbannotate.images import open_source
from nbannotate.project import Project

from .annotating import (
    boxes,
    drag,
    draw,
    picture,
    press,
    stored,
    wait_chip,
    wait_drawn,
    wait_saved,
)

pytestmark = pytest.mark.browser

CELL = """
import numpy as np
import nbannotate as nba
gray = {f"{i}.png": np.full((300, 400), 128, np.uint8) for i in range(3)}
ann = nba.BoxAnnotator(gray, classes=["cat", "dog"], annotator="ana", height=400)
ann
"""


@pytest.fixture
def one(notebook):
    made = notebook([CELL])
    picture(made)
    return made


@pytest.fixture
def ben(one):
    """Someone else, in a process of their own: the test's."""
    gray = {f"{i}.png": np.full((300, 400), 128, np.uint8) for i in range(3)}
    with nba.open(one.folder / "labels.db") as store:
        yield Project(open_source(gray), store, nba.Schema(["cat", "dog"]), annotator="ben")


def box(label_id, x, y, width, height, label="cat"):
    place = {"x": x, "y": y, "width": width, "height": height}
    return {"op": "create", "label_id": label_id, "image": "0.png", "label": label, **place}


def test_what_another_kernel_commits_is_shown_and_in_the_labels(one, ben):
    ben.commit([box("L", 50, 40, 100, 80)])
    wait_drawn(one, 50, 40, 150, 120)
    ben.commit([{"op": "update", "label_id": "L", "changes": {"x": 200.0}}])
    wait_drawn(one, 200, 40, 300, 120)

    assert one.execute("ann.labels.annotator.tolist()") == "['ben']"
    ben.commit([{"op": "image", "image": "0.png", "changes": {"status": "done"}}])
    one.page.locator(".nba-bottom .nba-badge").get_by_text("done").wait_for()


def test_two_annotators_in_one_kernel_see_each_other_at_once(notebook):
    again = "two = nba.BoxAnnotator(gray, classes=['cat'], annotator='eva', height=400)\ntwo"
    one = notebook([CELL, again], viewport=(1280, 1500))
    picture(one, view=1)
    draw(one, 50, 40, 150, 120)
    wait_drawn(one, 50, 40, 150, 120, view=1)
    draw(one, 200, 100, 300, 200, view=1)
    wait_drawn(one, 200, 100, 300, 200)

    wait_saved(one, view=1)
    assert boxes(stored(one)) == [(50, 40, 100, 80), (200, 100, 100, 100)]


def test_a_box_that_two_have_moved_is_the_users_choice(one, ben):
    ben.commit([box("L", 50, 40, 100, 80)])
    wait_drawn(one, 50, 40, 150, 120)
    with one.busy(holding="ann._project.lock"):
        ben.commit([{"op": "update", "label_id": "L", "changes": {"x": 250.0, "y": 200.0}}])
        press(one, "v")
        shown = picture(one)
        drag(one, shown.screen(60, 40), shown.screen(160, 60))  # by its edge, 100 right and 20 down
        one.page.mouse.up()
        wait_chip(one, "saving")
    card = one.page.locator(".nba-conflict")
    card.wait_for()
    one.screenshot("conflict")
    assert "cat · 250, 200 · 100 × 80 px" in card.inner_text()
    assert boxes(stored(one)) == [(250, 200, 100, 80)]

    card.get_by_text("Keep mine").click()
    wait_saved(one)
    [place] = boxes(stored(one))
    assert place == pytest.approx((150, 60, 100, 80), abs=1)
    assert card.is_hidden()

"""Work that is handed out to several annotators, in a real notebook."""

from __future__ import annotations

import numpy as np
import pytest

import nbannotate as nba
from nbannotate.images import open_source
from nbannotate.project import Project

from .annotating import draw, picture, press, wait_drawn, wait_saved, wait_shown

pytestmark = pytest.mark.browser

CELL = """
import numpy as np
import nbannotate as nba
gray = {f"{i:02}.png": np.full((300, 400), 128, np.uint8) for i in range(12)}
ann = nba.BoxAnnotator(gray, classes=["cat", "dog"], annotator="ana", height=400, overlap=2)
ann
"""
IMAGES = [f"{number:02}.png" for number in range(12)]


@pytest.fixture
def one(notebook):
    made = notebook([CELL])
    picture(made)
    return made


def join(store, name):
    gray = {image: np.full((300, 400), 128, np.uint8) for image in IMAGES}
    made = Project(open_source(gray), store, nba.Schema(["cat", "dog"]), annotator=name, overlap=2)
    made.share.begin(IMAGES)
    return made


def label(project, image):
    place = {"x": 200, "y": 100, "width": 100, "height": 100}
    project.commit(
        [
            {"op": "create", "image": image, "label": "dog", **place},
            {"op": "image", "image": image, "changes": {"status": "done"}},
        ]
    )


def test_images_come_as_they_are_done_until_none_is_left(one):
    page = one.page
    with nba.open(one.folder / "labels.db") as store:
        ben = join(store, "ben")
        for image in ben.share.more(100)[:3]:
            label(ben, image)
        page.locator(".nba-place").get_by_text("Image 1", exact=True).wait_for()
        for image in IMAGES[:-1]:
            wait_shown(one, image)
            press(one, "Enter")
        wait_shown(one, IMAGES[-1])
        draw(one, 50, 40, 150, 120)
        wait_drawn(one, 50, 40, 150, 120)
        press(one, "Enter")
        page.get_by_text("No more images are left to hand out now").first.wait_for()
        page.get_by_text("all done").wait_for()
        wait_saved(one)

        assert one.execute("ann.labels.annotator.tolist()") == "['ana']"
        assert one.execute("sorted(set(ann.images.status))") == "['done']"
        statuses = store.images["status"]
        assert [statuses[image] for image in IMAGES] == ["done"] * 3 + ["todo"] * 9
        assert sorted(store.labels["annotator"]) == ["ana", "ben", "ben", "ben"]
        assert store.check().ok


def test_what_is_undone_in_the_browser_is_to_do_again(one):
    press(one, "Enter")
    wait_shown(one, IMAGES[1])
    press(one, "Control+z")
    wait_shown(one, IMAGES[0])
    one.page.locator(".nba-bottom .nba-badge").get_by_text("to do").wait_for()
    wait_saved(one)

    assert one.execute("ann.progress.done") == "0"


def test_one_for_whom_nothing_is_left_is_told_and_gets_what_comes_back(notebook):
    before = """
import numpy as np
import nbannotate as nba
gray = {f"{i:02}.png": np.full((300, 400), 128, np.uint8) for i in range(12)}
store = nba.open("labels.db")
store.assign(overlap=1)
store.leases("ben").offer(list(gray))
len(store.leases("ben").take(12))
"""
    one = notebook([before, CELL.replace("overlap=2", "assign='shared'")])
    card = one.page.locator(".nba-card")
    card.get_by_text("Nothing left for you").wait_for()
    one.execute("store.leases('ben').release()")
    again = card.get_by_role("button", name="Look whether there are images again")
    one.page.wait_for_function(
        """() => {
          document.querySelector('.nba-card:not([hidden]) button')?.click();
          return document.querySelector('.nba-place')?.textContent === 'Image 1';
        }""",
        polling=500,
    )

    assert again.count() == 0
    assert picture(one).image == IMAGES[0]

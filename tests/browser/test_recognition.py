"""Photos that were renamed or changed on disk: told in the widget, set right by a call."""

from __future__ import annotations

import shutil

import pytest

from .annotating import (
    boxes,
    draw,
    opened,
    stored,
    wait_drawn,
    wait_kernel,
    wait_saved,
    wait_shown,
)

pytestmark = pytest.mark.browser

START = """
from pathlib import Path
from nbannotate.demo import photos
import nbannotate as nba
if not Path("photos").exists():
    photos("photos")
"""
OPEN = """
ann = nba.BoxAnnotator("photos", classes=["cat"], height=400)
ann
"""


def toast(one, text):
    """Wait for the sentence, and give all of it."""
    found = one.page.locator(".nba-toast.nba-on", has_text=text)
    found.wait_for()
    return found.inner_text()


def test_a_renamed_photo_is_told_and_gets_its_labels_back(notebook):
    label = """
ann = nba.BoxAnnotator("photos", classes=["cat"])
ann.add("astronaut.jpg", label="cat", box=(50, 40, 200, 160))
ann.close()
Path("photos/astronaut.jpg").rename("photos/a person.jpg")
"""
    one = notebook([START + label + OPEN])
    wait_shown(one, "a person.jpg")
    said = toast(one, "reconcile")
    one.screenshot("renamed")
    assert said.startswith("'astronaut.jpg' is 'a person.jpg' now: ann.reconcile()")

    assert "moved 1: astronaut.jpg → a person.jpg" in one.execute("ann.reconcile()")
    wait_drawn(one, 50, 40, 250, 200)
    one.execute("ann.undo(); ann.redo()")
    wait_drawn(one, 50, 40, 250, 200)
    assert stored(one)["image"].tolist() == ["a person.jpg"]


def test_a_drawn_box_records_the_photo_and_a_changed_one_is_told(notebook):
    one = notebook([START + OPEN])
    wait_shown(one, "astronaut.jpg")
    wait_kernel(one, "'astronaut.jpg' in ann._project._identities", True)
    draw(one, 50, 40, 150, 120)
    wait_saved(one)
    photos = one.folder / "photos"
    with opened(one) as store:
        recorded = store.images.loc["astronaut.jpg", "bytes"]
    assert recorded == (photos / "astronaut.jpg").stat().st_size

    shutil.copy(photos / "coffee.jpg", photos / "astronaut.jpg")
    one.run_all()
    said = toast(one, "has changed")
    one.screenshot("changed")
    assert said.startswith("'astronaut.jpg' has changed since it was labelled;")
    assert boxes(stored(one)) == [(50, 40, 100, 80)]
    assert "changed 1: astronaut.jpg" in one.execute("ann.reconcile(accept_changed=True)")
    assert one.execute("ann.reconcile().ok") == "True"

"""What a newcomer does first: the quickstart's first widget, and a box drawn on its first photo."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from .annotating import boxes, draw, picture, stored, wait_drawn, wait_saved

pytestmark = pytest.mark.browser

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"


def test_the_first_widget_shows_a_photo_and_a_drag_draws_a_saved_box(notebook):
    cells = nbformat.read(QUICKSTART, as_version=4).cells
    first = next(cell.source for cell in cells if cell.cell_type == "code")
    one = notebook([first])
    shown = picture(one)
    draw(one, 30, 40, 130, 110)
    wait_drawn(one, 30, 40, 130, 110)
    wait_saved(one)

    labels = stored(one, "quickstart.db")
    assert boxes(labels) == [(30, 40, 100, 70)]
    assert labels["image"].tolist() == [shown.image]
    assert labels["label"].tolist() == ["person"]

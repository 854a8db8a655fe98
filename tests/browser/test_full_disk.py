"""A disk that gets full while boxes are drawn: said in the chip, nothing lost, and on it goes."""

from __future__ import annotations

import sys

import pytest

from .annotating import (
    boxes,
    draw,
    opened,
    picture,
    stored,
    wait_chip,
    wait_drawn,
    wait_saved,
)
from .server import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX"),
]

CELL = """
import os, resource
import numpy as np
import nbannotate as nba

def set_room(more):
    # A quota: no file of this process may grow over what the log of the store has, and so much.
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    used = os.path.getsize("labels.db-wal")
    limit = hard if more is None else used + more
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

ann = nba.BoxAnnotator({"a.png": np.full((300, 400), 99, np.uint8)}, classes=["cat"], height=400)
ann
"""


@pytest.fixture
def one(notebook):
    made = notebook([CELL])
    picture(made)
    return made


def test_a_full_disk_is_said_loses_nothing_and_saving_goes_on_when_there_is_room(one):
    draw(one, 10, 10, 60, 60)
    wait_saved(one)
    drawn = [(10, 10, 50, 50)]
    one.execute("set_room(60_000)")
    chip = one.page.locator(".nba-chip")

    def is_in_trouble():
        return chip.get_attribute("data-state") == "trouble"

    for number in range(1, 12):
        x, y = 10 + 60 * (number % 6), 10 + 100 * (number // 6)
        draw(one, x, y, x + 50, y + 50)
        drawn.append((x, y, 50, 50))
        wait_until(
            lambda: is_in_trouble() or len(stored(one)) == len(drawn), "an answer of the store"
        )
        if is_in_trouble():
            break
    assert "full" in wait_chip(one, "trouble") + str(chip.get_attribute("title"))
    assert boxes(stored(one)) == drawn[:-1]
    draw(one, 20, 230, 90, 280)  # the work goes on meanwhile
    drawn.append((20, 230, 70, 50))
    wait_drawn(one, 20, 230, 90, 280)
    assert "full" in one.execute("[str(error) for error in ann.errors]")

    one.execute("set_room(None)")
    wait_saved(one)
    assert boxes(stored(one)) == drawn
    with opened(one) as store:
        assert store.check().ok
        assert len(store.history) == len(drawn)

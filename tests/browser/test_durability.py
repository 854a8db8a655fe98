"""Nothing acknowledged is lost, nothing takes effect twice, whatever goes down meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time

import numpy as np
import pytest
from PIL import Image

from .annotating import (
    READ,
    begin,
    boxes,
    drag,
    draw,
    is_drawn,
    opened,
    press,
    stage,
    stored,
    wait_chip,
    wait_drawn,
    wait_gone,
    wait_ring,
    wait_saved,
    wait_shown,
)
from .notebook import PANEL

pytestmark = pytest.mark.browser

CELL = """
import numpy as np
import nbannotate as nba

gray = np.full((304, 400, 3), 99, np.uint8)
ann = nba.Annotator(
    {f"{name}.png": gray for name in "abcdefgh"},
    classes=["cat", "dog"],
    tags={"scene": {"choices": ["indoor", "outdoor"], "multiple": False}},
)
ann
"""
INDOOR = "3"  # its key
LOCK = "ann._project.lock"  # without it no thread of the kernel takes a message
RESTART = f"""async () => {{ {PANEL}
  await panel.sessionContext.session.kernel.restart();
}}"""
# The widget once more, under the second cell.
SHOW_AGAIN = f"""async () => {{ {PANEL}
  panel.content.widgets[1].model.sharedModel.setSource('ann');
  panel.content.activeCellIndex = 1;
  await window.jupyterapp.commands.execute('notebook:run-cell');
}}"""
# From now on, whether the picture of the first view was ever empty.
WATCH = f"""() => {{
  globalThis.wasEmpty = false;
  const look = () => {{
    const canvas = [...document.querySelectorAll('img.nba-slot')].find(
      (one) => getComputedStyle(one).visibility === 'visible');
    if (!canvas || ({READ})(canvas, 200, 150, 1, 1)[3] !== 255) globalThis.wasEmpty = true;
    setTimeout(look, 0);
  }};
  look();
}}"""


def labelled(one):
    """All labels on disk: image, label and the place of a box, oldest first."""
    labels = stored(one).sort_values("created")
    places = labels[["x", "y", "width", "height"]].round()
    return [
        (image, label, *(() if np.isnan(place[0]) else (int(side) for side in place)))
        for image, label, place in zip(
            labels["image"], labels["label"], places.to_numpy(), strict=True
        )
    ]


def n_edits(one):
    with opened(one) as store:
        return len(store.history)


@contextlib.contextmanager
def refusing(one):
    """The store on disk takes no edits for the block: each is aborted in the database itself."""
    with contextlib.closing(sqlite3.connect(one.folder / "labels.db", timeout=30)) as database:
        database.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON history"
            " BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END"
        )
        database.commit()
        yield
        database.execute("DROP TRIGGER refuse")
        database.commit()


def test_killing_the_kernel_after_an_acknowledged_gesture_loses_nothing(notebook):
    one = notebook([CELL])
    pid = one.kernel_pid()
    draw(one, 40, 30, 140, 90)
    press(one, INDOOR)
    draw(one, 200, 130, 300, 200)
    wait_saved(one)
    os.kill(pid, signal.SIGKILL)

    assert labelled(one) == [
        ("a.png", "cat", 40, 30, 100, 60),
        ("a.png", "indoor"),
        ("a.png", "cat", 200, 130, 100, 70),
    ]


def test_a_reload_in_the_middle_of_a_drag_loses_that_drag_only(notebook):
    one = notebook([CELL])
    draw(one, 40, 30, 140, 90)
    wait_saved(one)
    begin(one, 200, 130, 300, 200)
    one.reload()
    one.page.mouse.up()

    wait_drawn(one, 40, 30, 140, 90)
    assert not is_drawn(one, 200, 130, 300, 200)
    draw(one, 10, 200, 110, 280)
    wait_saved(one)
    assert boxes(stored(one)) == [(40, 30, 100, 60), (10, 200, 100, 80)]
    assert n_edits(one) == 2


def test_a_reload_with_unacknowledged_edits_loses_and_doubles_nothing(notebook):
    one = notebook([CELL])
    with one.busy(holding=LOCK):
        draw(one, 40, 30, 140, 90)
        press(one, INDOOR, "2")
        draw(one, 200, 130, 300, 200)
        wait_chip(one, "saving")
        one.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        one.page.reload()
    one.wait_for_kernel()
    one.wait_for_widgets()
    wait_drawn(one, 40, 30, 140, 90)
    wait_saved(one)
    wanted = [
        ("a.png", "cat", 40, 30, 100, 60),
        ("a.png", "indoor"),
        ("a.png", "dog", 200, 130, 100, 70),
    ]
    assert labelled(one) == wanted

    one.go_offline()
    draw(one, 10, 200, 110, 280)  # what is sent now never arrives
    wait_chip(one, "saving")
    one.wire.mend()
    one.page.context.set_offline(False)
    one.page.reload()
    one.wait_for_kernel()
    one.wait_for_widgets()
    wait_drawn(one, 10, 200, 110, 280)
    wait_saved(one)
    assert labelled(one) == [*wanted, ("a.png", "cat", 10, 200, 100, 80)]
    assert n_edits(one) == 4


@pytest.mark.parametrize(
    "seconds", [0, pytest.param(30, marks=pytest.mark.soak)], ids=["briefly", "30 s"]
)
def test_a_cut_connection_loses_and_doubles_nothing(notebook, seconds):
    one = notebook([CELL])
    draw(one, 40, 30, 140, 90)
    wait_saved(one)
    wait_ring(one)
    one.go_offline()
    end = time.monotonic() + seconds
    draw(one, 200, 130, 300, 200)
    wait_drawn(one, 200, 130, 300, 200)
    press(one, INDOOR)
    undone = 1
    while time.monotonic() < end:  # work goes on all along
        draw(one, 300, 200, 380, 280)
        wait_drawn(one, 300, 200, 380, 280)
        press(one, "Control+z")
        wait_gone(one, 300, 200, 380, 280)
        undone += 1
    draw(one, 10, 200, 110, 280)
    press(one, "Control+z", "ArrowRight", "2")
    wait_shown(one, "b.png")
    draw(one, 50, 60, 150, 160)
    assert "saving" in wait_chip(one, "saving")
    wait_drawn(one, 50, 60, 150, 160)
    one.go_online()
    wait_saved(one)

    wanted = [
        ("a.png", "cat", 40, 30, 100, 60),
        ("a.png", "cat", 200, 130, 100, 70),
        ("a.png", "indoor"),
        ("b.png", "dog", 50, 60, 100, 100),
    ]
    assert labelled(one) == wanted
    assert n_edits(one) == 4 + 2 * undone  # what was undone: made, and taken back
    assert one.execute("ann.current") == "'b.png'"
    press(one, "ArrowLeft")
    wait_drawn(one, 200, 130, 300, 200)
    assert not is_drawn(one, 10, 200, 110, 280)
    draw(one, 300, 20, 380, 60)  # numbers go on where they were
    wait_saved(one)
    assert labelled(one) == [*wanted, ("a.png", "dog", 300, 20, 80, 40)]


def test_labelling_through_the_ring_works_while_a_cell_runs(notebook):
    one = notebook([CELL])
    wait_shown(one, "a.png")
    names = [f"{name}.png" for name in "abcde"]
    wait_ring(one)
    with one.busy(holding=LOCK):
        for place, name in enumerate(names):
            wait_shown(one, name)
            draw(one, 40, 30, 140 + place, 90)
            wait_drawn(one, 40, 30, 140 + place, 90)
            press(one, INDOOR, "Enter")
        wait_chip(one, "saving")
        assert labelled(one) == []
    wait_saved(one)

    assert labelled(one) == [
        row
        for place, name in enumerate(names)
        for row in ((name, "cat", 40, 30, 100 + place, 60), (name, "indoor"))
    ]
    with opened(one) as store:
        assert store.images["status"].to_dict() == dict.fromkeys(names, "done")
    wait_shown(one, "f.png")


def test_two_views_of_a_widget_show_the_same(notebook):
    one = notebook([CELL, "'ann'"], viewport=(1280, 1700))
    wait_shown(one, "a.png")
    one.page.evaluate(WATCH)
    one.page.evaluate(SHOW_AGAIN)
    wait_shown(one, "a.png", view=1)
    draw(one, 40, 30, 140, 90)
    wait_drawn(one, 40, 30, 140, 90, view=1)
    draw(one, 200, 130, 300, 200, view=1)
    wait_drawn(one, 200, 130, 300, 200, view=0)
    wait_saved(one, view=0)
    wait_saved(one, view=1)
    assert not one.page.evaluate("() => globalThis.wasEmpty")  # the first did not flicker

    press(one, "Control+z", "ArrowRight", view=1)
    wait_shown(one, "b.png", view=0)
    draw(one, 50, 60, 150, 160)
    wait_drawn(one, 50, 60, 150, 160, view=1)
    wait_saved(one)
    assert labelled(one) == [
        ("a.png", "cat", 40, 30, 100, 60),
        ("b.png", "cat", 50, 60, 100, 100),
    ]
    assert n_edits(one) == 4


def test_edits_that_the_store_refuses_are_kept_and_saved_when_it_can_again(notebook):
    one = notebook([CELL])
    with refusing(one):
        draw(one, 40, 30, 140, 90)
        said = wait_chip(one, "trouble")
        assert "NOT SAVED" in said
        assert "the disk is gone" in said
        wait_drawn(one, 40, 30, 140, 90)
        press(one, INDOOR, "2")
        draw(one, 200, 130, 300, 200)
        wait_drawn(one, 200, 130, 300, 200)
        assert one.execute("len(ann.labels), 'the disk is gone' in str(ann.errors[0])") == (
            "(0, True)"
        )
        assert labelled(one) == []
    wait_saved(one)

    assert labelled(one) == [
        ("a.png", "cat", 40, 30, 100, 60),
        ("a.png", "indoor"),
        ("a.png", "dog", 200, 130, 100, 70),
    ]
    assert n_edits(one) == 3
    wait_drawn(one, 200, 130, 300, 200)


def test_images_that_cannot_be_read_show_a_card_and_the_work_goes_on(notebook, tmp_path):
    whole = Image.new("RGB", (400, 304), "gray")
    whole.save(tmp_path / "a.png")
    whole.save(tmp_path / "d.png")
    (tmp_path / "b.png").write_bytes(b"no picture at all")
    paths = [str(tmp_path / f"{name}.png") for name in "abcd"]
    whole.save(paths[2])
    one = notebook(
        [
            "import nbannotate as nba, pathlib\n"
            f"ann = nba.BoxAnnotator({paths!r}, classes=['cat'], ahead=0)\n"
            f"pathlib.Path({paths[2]!r}).unlink()\n"
            "ann"
        ]
    )
    card = one.page.locator(".nba-card")
    a, b, c, d = (one.execute(f"ann.images.index[{place}]").strip("'") for place in range(4))
    draw(one, 40, 30, 140, 90)
    press(one, "ArrowRight")
    for name in (b, c):
        card.get_by_text(name).wait_for()
        draw_on_card(one)
        press(one, "ArrowRight")
    wait_shown(one, d)
    assert not card.is_visible()
    draw(one, 200, 130, 300, 200)
    wait_saved(one)
    assert [row[0] for row in labelled(one)] == [a, d]

    press(one, "ArrowLeft")
    card.get_by_text(c).wait_for()
    card.get_by_role("button").click()  # it is still missing
    card.get_by_text(c).wait_for()
    whole.save(paths[2])
    card.get_by_role("button").click()
    wait_shown(one, c)
    assert not card.is_visible()
    draw(one, 50, 60, 150, 160)
    wait_saved(one)
    assert labelled(one) == [
        (a, "cat", 40, 30, 100, 60),
        (d, "cat", 200, 130, 100, 70),
        (c, "cat", 50, 60, 100, 100),
    ]


def draw_on_card(one):
    """A drag on the stage that shows a card; it must make nothing."""
    place = stage(one).bounding_box()
    drag(one, (place["x"] + 10, place["y"] + 10), (place["x"] + 80, place["y"] + 60))
    one.page.mouse.up()


def restart(one):
    """As the menu does."""
    one.page.evaluate(RESTART)


def kill(one):
    """As a system without memory does; the server starts a new one by itself."""
    os.kill(one.kernel_pid(), signal.SIGKILL)
    one.page.locator(".jp-Dialog button.jp-mod-accept").click()


@pytest.mark.parametrize("end", [restart, kill])
def test_a_new_kernel_gets_what_was_unsaved_when_the_cell_runs_again(notebook, end):
    one = notebook([CELL])
    draw(one, 40, 30, 140, 90)
    wait_saved(one)
    with refusing(one):
        draw(one, 200, 130, 300, 200)
        wait_chip(one, "trouble")
        end(one)
        one.wait_for_kernel()
        press(one, INDOOR)  # on a widget that has no kernel any more
        wait_drawn(one, 200, 130, 300, 200)
        assert wait_chip(one, "trouble") == ("NOT SAVED: the kernel has ended; run the cell again")
    one.run_all()
    wait_shown(one, "a.png")
    wait_drawn(one, 40, 30, 140, 90)
    wait_drawn(one, 200, 130, 300, 200)
    wait_saved(one)

    wanted = [
        ("a.png", "cat", 40, 30, 100, 60),
        ("a.png", "cat", 200, 130, 100, 70),
        ("a.png", "indoor"),
    ]
    assert labelled(one) == wanted
    draw(one, 10, 200, 110, 280)
    wait_saved(one)
    assert labelled(one) == [*wanted, ("a.png", "cat", 10, 200, 100, 80)]
    assert n_edits(one) == 4


# Run code in a subshell that ends with it, as front ends do for work that is not to wait.
IN_A_SUBSHELL = f"""async (code) => {{ {PANEL}
  const {{ kernel }} = panel.sessionContext.session;
  const own = kernel.subshellId;
  const {{ content }} = await kernel.requestCreateSubshell({{}}).done;
  kernel.subshellId = content.subshell_id;
  const reply = await kernel.requestExecute({{ code }}).done;
  kernel.subshellId = own;
  await kernel.requestDeleteSubshell({{ subshell_id: content.subshell_id }}).done;
  return reply.content.status;
}}"""


def test_gestures_are_saved_after_a_subshell_that_moved_the_widget_has_ended(notebook):
    one = notebook([CELL])
    draw(one, 40, 30, 140, 90)
    wait_saved(one)
    assert one.page.evaluate(IN_A_SUBSHELL, "ann.goto(5)") == "ok"
    wait_shown(one, "f.png")
    draw(one, 200, 130, 300, 200)
    wait_saved(one)
    assert [row[0] for row in labelled(one)] == ["a.png", "f.png"]

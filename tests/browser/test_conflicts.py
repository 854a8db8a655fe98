"""An edit of what someone else has changed meanwhile is kept, and the user chooses."""

from __future__ import annotations

import pytest

from .fake import Widget, box, slot

pytestmark = pytest.mark.browser

MINE = (220, 110)  # where the box is dragged to, by its edge at 100, 60


@pytest.fixture
def widget(bare_page):
    """A box that the user has moved, and that someone else has moved meanwhile."""
    made = Widget(bare_page, [box("L", 1, 100, 50, 80, 40)])
    made.press("v")
    made.drag((100, 60), MINE)
    return made


def refuse(widget, theirs, text="someone has changed the x of a label"):
    """The kernel's answer to the last message."""
    [sent] = [one for one in widget.sent if one["type"] == "messages"][-1:]
    client, seq = sent["client"], sent["messages"][-1]["seq"]
    found = {"client": client, "seq": seq, "label_id": "L", "text": text, "theirs": theirs}
    labels = [] if theirs is None else [theirs]
    widget.kernel_says(acked={client: seq}, conflicts=[found], slot_0=slot(0, labels))


THEIRS = {**box("L", 2, 10, 10, 80, 40), "image": "a.jpg"}


def card(widget):
    return widget.page.locator(".nba-conflict")


def last_change(widget):
    return widget.messages[-1]["changes"][0]


def test_an_edit_says_what_the_user_saw_of_the_label(widget):
    change = last_change(widget)

    assert change["changes"]["x"] == pytest.approx(220)
    assert [change["seen"][side] for side in ("x", "y", "width", "height")] == [100, 50, 80, 40]
    assert change["seen"]["class_id"] == 1
    widget.press("Delete")
    assert last_change(widget)["seen"]["x"] == pytest.approx(220)  # as it is to be


def test_both_versions_are_shown_and_nothing_waits_for_the_choice(widget):
    refuse(widget, THEIRS)
    text = card(widget).inner_text()

    assert "a.jpg: someone has changed the x" in text
    assert "dog · 10, 10 · 80 × 40 px" in text
    assert "cat · 220, 100 · 80 × 40 px" in text
    assert widget.page.locator(".nba-chip").inner_text() == "saved"
    assert widget.pixel("live", (220, 120)).endswith("ff")  # mine, drawn
    assert widget.pixel("live", (10, 30)).endswith("ff")  # theirs, selected
    widget.press("r")
    widget.drag((300, 20), (340, 60))
    assert widget.messages[-1]["changes"][0]["op"] == "create"


def test_keeping_theirs_sends_nothing(widget):
    refuse(widget, THEIRS)
    before = len(widget.messages)
    card(widget).get_by_text("Keep theirs").click()

    assert card(widget).is_hidden()
    assert len(widget.messages) == before


def test_keeping_mine_sends_it_once_more_for_the_label_as_it_is_now(widget):
    refuse(widget, THEIRS)
    card(widget).get_by_text("Keep mine").click()
    change = last_change(widget)

    assert card(widget).is_hidden()
    assert (change["op"], change["changes"]["x"]) == ("update", pytest.approx(220))
    assert (change["seen"]["x"], change["seen"]["class_id"]) == (10, 2)
    assert widget.page.locator(".nba-chip").inner_text() == "saving…"


def test_keeping_mine_of_what_they_deleted_makes_it_again(widget):
    refuse(widget, None, "someone has deleted a label")
    assert "deleted" in card(widget).locator(".nba-version").first.inner_text()
    card(widget).get_by_text("Keep mine").click()
    change = last_change(widget)

    assert (change["op"], change["label_id"], change["image"]) == ("create", "L", "a.jpg")
    assert (change["kind"], change["class_id"], change["width"]) == ("box", 1, 80)
    assert change["x"] == pytest.approx(220)


def test_what_is_not_chosen_yet_is_still_there_after_a_page_reload(widget):
    refuse(widget, THEIRS)
    page = widget.page
    page.reload()
    again = Widget(page, traits={"slot_0": slot(0, [THEIRS])})

    card(again).wait_for()
    assert "cat · 220, 100" in card(again).inner_text()
    assert again.messages == []  # not sent, for it was refused
    card(again).get_by_text("Keep mine").click()
    assert last_change(again)["changes"]["x"] == pytest.approx(220)


def test_several_conflicts_are_chosen_one_after_the_other(widget):
    refuse(widget, THEIRS)
    widget.drag((10, 20), (60, 20))
    refuse(widget, {**THEIRS, "x": 30})
    assert "1 of 2" in card(widget).inner_text()
    card(widget).get_by_text("Keep theirs").click()

    assert "1 of 2" not in card(widget).inner_text()
    assert "30, 10" in card(widget).inner_text()

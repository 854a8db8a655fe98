"""Selecting and changing shapes with a real mouse and real keys; each change is one message."""

from __future__ import annotations

import pytest

from .fake import KEYS, Widget, attribute, box, slot, three_boxes, view

pytestmark = pytest.mark.browser

NOTHING = "#00000000"
CAT_COLOR, DOG_COLOR = "#e69f00ff", "#56b4e9ff"
WHITE = "#ffffffff"  # of a handle
SIDES = ("x", "y", "width", "height")


@pytest.fixture
def widget(bare_page):
    return three_boxes(bare_page)


def updates(widget):
    """Label and its new place, of each update."""
    return [
        (change["label_id"], *(change["changes"].get(side) for side in SIDES))
        for change in widget.changes
        if change["op"] == "update"
    ]


def test_a_click_selects_and_sends_no_edit(widget):
    widget.click((120, 200))

    assert widget.selected == "big"
    assert widget.said == "cat selected"
    assert widget.messages == []
    assert widget.pixel("live", (100, 100)) == WHITE
    assert widget.pixel("shapes", (100, 175)) == NOTHING  # it is on the sheet above


def test_a_click_on_nothing_deselects(widget):
    widget.click((120, 200))
    widget.click((350, 50))

    assert widget.selected is None
    assert widget.pixel("live", (100, 100)) == NOTHING


def test_of_shapes_in_each_other_the_smallest_is_selected(widget):
    widget.click((180, 170))
    assert widget.selected == "small"
    widget.click((220, 170))
    assert widget.selected == "big"


def test_an_edge_is_selected_before_an_inside(bare_page):
    """So that the big one can be picked where smaller ones cover it."""
    labels = [box("big", 1, 100, 100, 200, 150), box("over", 2, 80, 140, 40, 40)]
    widget = Widget(bare_page, labels)
    widget.press("v")
    widget.click((100, 160))

    assert widget.selected == "big"


def test_while_drawing_ctrl_or_the_right_button_selects(bare_page):
    widget = Widget(bare_page, [box("L", 1, 100, 100, 200, 150)])
    widget.click((150, 150), button="right")
    assert widget.selected == "L"
    widget.press("Escape")
    assert widget.selected is None
    bare_page.keyboard.down("Control")
    widget.click((150, 150))
    bare_page.keyboard.up("Control")

    assert widget.selected == "L"
    assert widget.messages == []


def test_a_drag_moves_a_shape_by_one_message(widget):
    widget.drag((120, 200), (150, 190))

    assert updates(widget) == [("big", 130, 90, 200, 150)]
    assert len(widget.messages) == 1


def test_a_moved_shape_stays_in_the_picture_with_its_size(widget):
    widget.drag((120, 200), (380, 290))
    widget.drag((30, 30), (-20, 30))

    assert updates(widget) == [("big", 200, 150, 200, 150), ("beside", 0, 20, 50, 40)]


def test_a_press_that_hardly_moves_changes_nothing(widget):
    widget.drag((120, 200), (121, 201))

    assert widget.selected == "big"
    assert widget.messages == []


def test_a_shape_dragged_back_to_where_it_was_changes_nothing(widget):
    x, y = widget.screen((120, 200))
    mouse = widget.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 30, y)
    mouse.move(x, y)
    mouse.up()

    assert widget.messages == []


def test_a_shape_in_the_hand_follows_the_mouse(widget):
    mouse = widget.page.mouse
    mouse.move(*widget.screen((120, 200)))
    mouse.down()
    widget.move((150, 200))
    assert widget.pixel("live", (130, 160)) == CAT_COLOR
    assert widget.pixel("live", (100, 160)) == NOTHING
    assert widget.messages == []
    mouse.up()


def test_escape_puts_a_shape_in_the_hand_back(widget):
    mouse = widget.page.mouse
    mouse.move(*widget.screen((120, 200)))
    mouse.down()
    widget.move((150, 200))
    widget.press("Escape")
    mouse.up()

    assert widget.messages == []
    assert widget.pixel("live", (100, 160)) == CAT_COLOR


@pytest.mark.parametrize(
    ("handle", "wanted"),
    [
        ((0, 0), (110, 104, 190, 146)),
        ((0.5, 0), (100, 104, 200, 146)),
        ((1, 0), (100, 104, 210, 146)),
        ((1, 0.5), (100, 100, 210, 150)),
        ((1, 1), (100, 100, 210, 154)),
        ((0.5, 1), (100, 100, 200, 154)),
        ((0, 1), (110, 100, 190, 154)),
        ((0, 0.5), (110, 100, 190, 150)),
    ],
)
def test_each_handle_resizes(bare_page, handle, wanted):
    widget = Widget(bare_page, [box("L", 1, 100, 100, 200, 150)])
    widget.press("v", "Tab")
    x, y = 100 + handle[0] * 200, 100 + handle[1] * 150
    assert widget.pixel("live", (x, y)) == WHITE
    widget.drag((x, y), (x + 10, y + 4))

    assert updates(widget) == [("L", *wanted)]


def test_a_handle_dragged_beyond_the_picture_ends_exactly_at_its_edge(widget):
    widget.click((120, 200))
    widget.drag((300, 250), (460, 302))

    assert updates(widget) == [("big", 100, 100, 300, 200)]


def test_a_handle_dragged_across_turns_the_box_over(widget):
    widget.click((30, 30))
    widget.drag((20, 20), (90, 80))

    assert updates(widget) == [("beside", 70, 60, 20, 20)]


def test_a_box_is_not_resized_to_under_2_pixels(widget):
    widget.click((30, 30))
    widget.drag((70, 40), (21, 40))

    assert widget.messages == []
    assert "Not changed" in widget.said
    assert widget.pixel("live", (70, 30)) == CAT_COLOR


def test_the_cursor_tells_what_a_press_would_do(widget):
    def cursor(point):
        widget.move(point)
        return widget.stage.evaluate("stage => getComputedStyle(stage).cursor")

    assert cursor((120, 200)) == "move"
    assert cursor((380, 20)) == "grab"
    widget.click((120, 200))
    assert cursor((100, 100)) == "nwse-resize"
    assert cursor((300, 175)) == "ew-resize"
    widget.press("r")
    assert cursor((120, 200)) == "crosshair"


def test_arrows_with_alt_nudge_by_a_pixel_and_with_shift_by_10(widget):
    widget.click((30, 30))
    widget.press("Alt+ArrowRight", "Alt+ArrowUp", "Alt+Shift+ArrowLeft", "Alt+Shift+ArrowDown")

    assert [update[:3] for update in updates(widget)] == [
        ("beside", 21, 20),
        ("beside", 21, 19),
        ("beside", 11, 19),
        ("beside", 11, 29),
    ]


def test_a_nudge_ends_at_the_edge(widget):
    widget.click((30, 30))
    widget.press(*["Alt+Shift+ArrowLeft"] * 3)

    assert [update[1] for update in updates(widget)] == [10, 0]


def test_a_digit_relabels_the_selection_and_the_next_shape(widget):
    widget.click((30, 30))
    widget.press("2")
    assert widget.changes == [{"op": "update", "label_id": "beside", "changes": {"class_id": 2}}]
    assert widget.pixel("live", (33, 60)) == DOG_COLOR
    widget.press("2")
    assert len(widget.changes) == 1  # it is a dog already

    widget.press("r")
    widget.drag((300, 20), (350, 60))
    assert widget.changes[-1]["class_id"] == 2


@pytest.mark.parametrize("key", ["Delete", "Backspace"])
def test_delete_deletes_the_selection(widget, key):
    widget.press(key)
    assert widget.messages == []
    widget.click((30, 30))
    widget.press(key, key)

    assert widget.changes == [{"op": "delete", "label_id": "beside"}]
    assert widget.selected is None
    assert widget.pixel("shapes", (20, 40)) == NOTHING
    assert widget.pixel("live", (20, 40)) == NOTHING


def test_tab_goes_round_the_shapes_from_the_last_made(widget):
    seen = []
    for key in ["Tab", "Tab", "Tab", "Tab", "Shift+Tab"]:
        widget.press(key)
        seen.append(widget.selected)

    assert seen == ["beside", "big", "small", "beside", "small"]


def test_tab_leaves_the_picture_when_there_are_no_shapes(bare_page):
    Widget(bare_page).press("Tab")

    assert not bare_page.evaluate("() => document.activeElement.matches('.nba-stage')")


def test_a_draw_tool_deselects_and_tells_the_kernel(widget):
    widget.click((30, 30))
    widget.press("r")

    assert widget.selected is None


def test_hide_hides_all_and_shows_them_again(widget):
    widget.press("h")
    assert widget.pixel("shapes", (20, 40)) == NOTHING
    widget.click((30, 30))
    assert widget.selected is None
    widget.press("h")
    assert widget.pixel("shapes", (20, 40)) == CAT_COLOR


def test_a_shape_that_is_hidden_cannot_be_deleted_unseen(widget):
    widget.click((30, 30))
    widget.press("h", "Delete", "Alt+ArrowUp", "2")

    assert widget.changes == []


def test_a_shape_drawn_while_all_are_hidden_shows_them(widget):
    widget.press("h", "r")
    widget.drag((320, 20), (380, 60))

    assert widget.pixel("shapes", (320, 40)) == CAT_COLOR
    assert widget.pixel("shapes", (20, 40)) == CAT_COLOR


def test_alt_shows_what_is_under_the_shapes_while_it_is_held(widget):
    widget.click((120, 200))
    keyboard = widget.page.keyboard
    keyboard.down("Alt")
    assert widget.pixel("shapes", (20, 40)) == NOTHING
    assert widget.pixel("live", (100, 140)) == NOTHING
    keyboard.up("Alt")

    assert widget.pixel("shapes", (20, 40)) == CAT_COLOR
    assert widget.pixel("live", (100, 140)) == CAT_COLOR


def test_a_class_is_hidden_by_its_eye(widget):
    widget.page.get_by_role("button", name="Hide or show cat").click()
    assert widget.pixel("shapes", (20, 40)) == NOTHING
    assert widget.pixel("shapes", (160, 170)) == DOG_COLOR
    widget.click((30, 30))
    assert widget.selected is None


def test_a_shape_is_deselected_with_its_class_hidden(widget):
    widget.click((30, 30))
    widget.page.get_by_role("button", name="Hide or show cat").click()
    widget.press("Delete")

    assert widget.messages == []


def test_a_shape_that_lacks_what_is_required_holds_the_image(bare_page):
    specs = [attribute("view", "choice", choices=["front"], required=True, hotkey="w")]
    widget = Widget(bare_page, [box("L", 1, 20, 20, 50, 40)], attributes=specs)
    widget.press("Enter")
    assert widget.messages == []
    assert widget.selected == "L"
    assert "view" in widget.said

    widget.press("w", "Enter")
    assert widget.changes[-1] == {
        "op": "image",
        "image": "a.jpg",
        "changes": {"status": "done"},
    }


def test_what_another_view_changes_is_shown_and_a_selection_that_is_gone_is_none(widget):
    widget.click((30, 30))
    widget.kernel_says(slot_0=slot(0, [box("new", 2, 200, 20, 50, 40)]))

    assert widget.pixel("live", (20, 40)) == NOTHING
    assert widget.pixel("shapes", (200, 40)) == DOG_COLOR
    widget.press("Delete")
    assert widget.messages == []


def test_python_can_select(widget):
    widget.kernel_says(view=view(select="beside"))

    assert widget.pixel("live", (20, 20)) == WHITE


def test_undo_of_what_is_on_its_way_shows_at_once(widget):
    widget.drag((30, 30), (60, 30))
    widget.press("Escape", KEYS["undo"].replace("Ctrl", "Control"))

    assert widget.pixel("shapes", (20, 40)) == CAT_COLOR
    assert widget.pixel("shapes", (50 + 1, 50)) != CAT_COLOR

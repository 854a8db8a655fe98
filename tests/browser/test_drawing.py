"""Drawing with a real mouse: one gesture is one message, in pixels of the picture."""

from __future__ import annotations

import pytest

from .fake import HEIGHT, PICTURE, SCALE, Widget, box, slot, view

pytestmark = pytest.mark.browser

CAT_COLOR = "#e69f00ff"
NOTHING = "#00000000"


def drawn(widget):
    """Places of the boxes that were made."""
    return [
        tuple(change[side] for side in ("x", "y", "width", "height"))
        for change in widget.changes
        if change["op"] == "create"
    ]


def test_a_drag_is_one_message_that_makes_a_box(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))

    [message] = widget.messages
    assert message["op"] == "edit"
    assert (message["image"], message["position"]) == ("a.jpg", 0)
    assert message["seconds"] >= 0
    [change] = message["changes"]
    assert len(change.pop("label_id")) == 36
    assert change == {
        "op": "create",
        "image": "a.jpg",
        "kind": "box",
        "class_id": 1,
        "x": 50,
        "y": 40,
        "width": 100,
        "height": 80,
    }


def test_each_box_has_an_id_of_its_own(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    widget.drag((50, 40), (150, 120))

    one, other = (change["label_id"] for change in widget.changes)
    assert one != other


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((50, 40), (150, 120)),
        ((150, 120), (50, 40)),
        ((150, 40), (50, 120)),
        ((50, 120), (150, 40)),
    ],
)
def test_a_drag_goes_in_any_direction(bare_page, start, end):
    widget = Widget(bare_page)
    widget.drag(start, end)

    assert drawn(widget) == [(50, 40, 100, 80)]


def test_two_clicks_make_a_box(bare_page):
    widget = Widget(bare_page)
    widget.click((50, 40))
    assert widget.messages == []
    widget.move((100, 70))
    assert widget.pixel("live", (75, 40)) == CAT_COLOR  # the box so far
    widget.click((150, 120))

    assert drawn(widget) == [(50, 40, 100, 80)]


def test_a_press_that_moves_by_4_pixels_of_the_screen_is_a_click(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (52, 40))
    assert widget.messages == []
    widget.drag((150, 120), (148, 120))

    assert drawn(widget) == [(50, 40, 98, 80)]


@pytest.mark.parametrize(
    "order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 0, 1]], ids=["round", "mixed", "opposite"]
)
def test_four_extreme_clicks_in_any_order_make_a_box(bare_page, order):
    points = [(100, 30), (160, 80), (110, 140), (40, 90)]
    widget = Widget(bare_page)
    widget.press("e")
    for place in order[:3]:
        widget.click(points[place])
    assert widget.messages == []
    assert widget.said == "1 more extreme points"
    widget.click(points[order[3]])

    assert drawn(widget) == [(40, 30, 120, 110)]


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ((50, 40), (460, 120), (50, 40, 350, 80)),  # beyond the right edge
        ((50, 40), (150, 303), (50, 40, 100, 260)),
        ((-40, -3), (150, 120), (0, 0, 150, 120)),  # begun outside
        ((-40, -3), (460, 303), (0, 0, 400, 300)),
    ],
)
def test_a_drag_beyond_the_picture_ends_exactly_at_its_edge(bare_page, start, end, wanted):
    widget = Widget(bare_page)
    widget.drag(start, end)

    assert drawn(widget) == [wanted]


def test_a_drag_may_leave_the_widget(bare_page):
    widget = Widget(bare_page)
    bare_page.mouse.move(*widget.screen((50, 40)))
    bare_page.mouse.down()
    bare_page.mouse.move(*widget.screen((300, 120)))
    bare_page.mouse.move(1275, 890)  # under the widget, at the right
    bare_page.mouse.up()

    assert drawn(widget) == [(50, 40, 350, 260)]


@pytest.mark.parametrize(
    ("start", "end"), [((50, 40), (51, 120)), ((50, 40), (150, 41)), ((-40, 40), (-5, 120))]
)
def test_a_box_under_2_pixels_is_refused_with_a_word(bare_page, start, end):
    widget = Widget(bare_page)
    widget.drag(start, end)

    assert widget.messages == []
    assert "Too small" in widget.said
    assert "2 px" in bare_page.locator(".nba-toast.nba-on").inner_text()


def test_a_box_of_2_pixels_is_kept(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (52, 60))

    assert drawn(widget) == [(50, 40, 2, 20)]


def test_escape_cancels_a_drag(bare_page):
    widget = Widget(bare_page)
    bare_page.mouse.move(*widget.screen((50, 40)))
    bare_page.mouse.down()
    widget.move((150, 120))
    assert widget.pixel("live", (100, 40)) == CAT_COLOR
    widget.press("Escape")
    assert widget.pixel("live", (100, 40)) == NOTHING
    bare_page.mouse.up()

    assert widget.messages == []
    widget.drag((60, 60), (100, 100))
    assert drawn(widget) == [(60, 60, 40, 40)]


@pytest.mark.parametrize("keys", [["r"], ["e"]])
def test_escape_cancels_clicks(bare_page, keys):
    widget = Widget(bare_page)
    widget.press(*keys)
    widget.click((50, 40))
    widget.press("Escape")
    widget.press("r")
    widget.click((60, 60))
    widget.click((100, 100))

    assert drawn(widget) == [(60, 60, 40, 40)]


def test_a_shape_begun_is_not_carried_to_the_next_image(bare_page):
    widget = Widget(bare_page)
    widget.click((50, 40))
    widget.press("ArrowRight")
    widget.click((60, 60))
    widget.click((100, 100))

    assert drawn(widget) == [(60, 60, 40, 40)]
    assert widget.changes[0]["image"] == "b.jpg"


def test_a_draw_tool_does_not_grab_the_boxes_under_it(bare_page):
    widget = Widget(bare_page, [box("L", 2, 50, 40, 100, 80)])
    widget.drag((60, 50), (100, 90))
    widget.drag((50, 40), (20, 20))

    assert drawn(widget) == [(60, 50, 40, 40), (20, 20, 30, 20)]


def test_label_and_tool_stay(bare_page):
    widget = Widget(bare_page)
    widget.press("2")
    widget.drag((10, 10), (50, 50))
    widget.press("ArrowRight")
    widget.drag((10, 10), (60, 60))

    assert [(c["class_id"], c["image"]) for c in widget.changes] == [(2, "a.jpg"), (2, "b.jpg")]


def test_a_new_box_is_selected_where_the_scheme_has_attributes_to_set(bare_page):
    widget = Widget(bare_page, select_new=True)
    widget.drag((10, 10), (50, 50))

    assert widget.selected == widget.changes[0]["label_id"]


@pytest.mark.parametrize("steps", [["+", "+"], ["Shift+Z"], ["-", "-", "-"]])
def test_boxes_are_in_pixels_of_the_picture_at_any_zoom(bare_page, steps):
    widget = Widget(bare_page)
    widget.press(*steps)
    widget.drag((150, 100), (250, 180))

    # A pixel of the screen is the most that a mouse can be off.
    fault = PICTURE[0] / widget.picture()[2]
    assert drawn(widget)[0] == pytest.approx((150, 100, 100, 80), abs=fault)


@pytest.mark.parametrize("ratio", [1.5, 2])
def test_boxes_are_in_pixels_of_the_picture_on_any_screen(chromium, modules_url, ratio):
    size = {"width": 1280, "height": 900}
    with chromium.new_context(viewport=size, device_scale_factor=ratio) as context:
        page = context.new_page()
        page.goto(modules_url)
        widget = Widget(page)
        widget.drag((50, 40), (150, 120))

        assert drawn(widget) == [pytest.approx((50, 40, 100, 80), abs=0.01)]
        assert widget.pixel("shapes", (50, 80)) == CAT_COLOR
        sheet = page.locator("canvas.nba-shapes")
        assert sheet.evaluate("sheet => sheet.height") == HEIGHT * ratio


def test_the_outline_is_painted_where_the_box_is(bare_page):
    widget = Widget(bare_page, [box("L", 1, 50, 40, 100, 80)])

    for point in [(50, 80), (150, 80), (100, 120), (100, 40)]:
        assert widget.pixel("shapes", point) == CAT_COLOR
    assert widget.pixel("shapes", (100, 80)) != NOTHING  # filled, thinly
    assert widget.pixel("shapes", (100, 80))[-2:] == "1a"
    assert widget.pixel("shapes", (48, 80)) == NOTHING
    casing = widget.pixel("shapes", (50 - 1.5 / SCALE, 80))
    assert casing[:7] == "#000000"
    assert casing != NOTHING


def test_the_outline_stays_2_pixels_wide_at_any_zoom(bare_page):
    widget = Widget(bare_page, [box("L", 1, 100, 80, 200, 140)])
    for key in ("z", "+", "-"):
        widget.press(key)
        x, y = widget.screen((100, 150))
        across = [widget.image((round(x) + step, y)) for step in range(-6, 6)]
        lines = [widget.pixel("shapes", point) == CAT_COLOR for point in across]
        assert 1 <= sum(lines) <= 3, key


def test_a_box_is_shown_before_the_kernel_has_answered(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))

    assert widget.pixel("shapes", (50, 80)) == CAT_COLOR
    assert bare_page.locator(".nba-count").first.inner_text() == "1"
    assert bare_page.locator(".nba-chip").inner_text() == "saving…"


def test_shapes_wait_for_their_picture(bare_page):
    """They would stand on the picture of another image, or on none."""
    late = slot(0, [box("L", 1, 50, 40, 100, 80)])
    widget = Widget(bare_page, traits={"slot_0": {**late, "paint": 0}})
    sheet = bare_page.locator("canvas.nba-shapes")
    blank = "sheet => !sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height)"
    blank += ".data.some(Boolean)"
    assert sheet.evaluate(blank)
    assert bare_page.locator(".nba-loading").is_visible()

    bare_page.evaluate("() => holdPictures()")
    widget.kernel_says(slot_0=late)
    assert sheet.evaluate(blank)
    bare_page.evaluate("() => held[0]()")
    bare_page.locator(".nba-loading").wait_for(state="hidden")
    assert widget.pixel("shapes", (50, 80)) == CAT_COLOR


def test_a_picture_that_comes_late_does_not_replace_a_later_one(bare_page):
    """Decoding takes what it takes; the user may have gone on twice meanwhile."""
    widget = Widget(bare_page)
    bare_page.evaluate("() => holdPictures()")
    widget.kernel_says(slot_0=slot(0, [], shown=[40, 30], paint=8))
    widget.kernel_says(slot_0=slot(0, [], shown=[80, 60], paint=9))
    bare_page.evaluate("async () => { for (const load of [...held].reverse()) await load(); }")

    shown = "() => document.querySelector('img.nba-slot').naturalWidth"
    assert bare_page.evaluate(shown) == 80
    assert bare_page.locator(".nba-loading").is_hidden()


def test_a_picture_that_the_browser_cannot_decode_says_so(bare_page):
    widget = Widget(bare_page)
    bare_page.evaluate(
        """(slot) => fake.model.says({
          slot_0: slot, picture_0: new DataView(new TextEncoder().encode("no picture").buffer),
        })""",
        slot(0, [box("L", 1, 50, 40, 100, 80)], paint=9),
    )
    card = bare_page.locator(".nba-card")
    card.wait_for()
    assert "cannot decode" in card.inner_text()

    widget.kernel_says(slot_0=slot(0, [], paint=10))
    card.wait_for(state="hidden")
    widget.drag((200, 150), (250, 190))
    assert len(widget.changes) == 1


def test_no_picture_stays_in_the_state_that_a_notebook_may_save(bare_page):
    Widget(bare_page)
    kept = bare_page.evaluate(
        """() => Object.entries(fake.model.traits)
          .filter(([name, value]) => name.startsWith("picture_") && value?.byteLength)"""
    )

    assert kept == []


def test_nothing_is_drawn_where_there_is_no_class(bare_page):
    widget = Widget(bare_page, classes=[])
    widget.drag((50, 40), (150, 120))

    assert widget.messages == []
    assert "classes=" in widget.said


def test_view_only_sends_no_edit(bare_page):
    widget = Widget(bare_page, [box("L", 1, 50, 40, 100, 80)], view_only=True)
    widget.drag((200, 40), (300, 120))
    widget.drag((100, 80), (200, 180))
    widget.press("r")
    widget.drag((200, 40), (300, 120))
    widget.press("Tab", "2", "Delete", "Alt+ArrowLeft", "Control+d", "Control+c", "Control+v")
    widget.press("c", "Enter", "Space", "f", "u", "Control+z", "Control+y")

    assert widget.messages == []
    assert bare_page.locator(".nba-note").count() == 0


def test_view_only_still_goes_from_image_to_image(bare_page):
    widget = Widget(bare_page, view_only=True)
    widget.press("ArrowRight")

    assert [(m["op"], m["position"]) for m in widget.messages] == [("goto", 1)]


def test_an_image_that_cannot_be_shown_says_why_and_takes_no_shapes(bare_page):
    broken = slot(0, [], error="a.jpg: truncated; copy it again", paint=0)
    widget = Widget(bare_page, traits={"slot_0": broken})
    card = bare_page.locator(".nba-card")
    left, top, width, height = widget.stage.bounding_box().values()
    bare_page.mouse.move(left + 20, top + 20)
    bare_page.mouse.down()
    bare_page.mouse.move(left + width / 2, top + height - 20)
    bare_page.mouse.up()

    assert "truncated; copy it again" in card.inner_text()
    assert widget.messages == []
    card.get_by_role("button").click()
    assert {"type": "retry", "image": "a.jpg"} in widget.sent


def test_a_filter_that_fits_no_image_says_so(bare_page):
    widget = Widget(bare_page, traits={"view": view(total=0), "slot_0": {}})

    assert "No image fits the filter" in bare_page.locator(".nba-card").inner_text()
    bare_page.get_by_role("button", name="Show all images").click()
    assert widget.messages[-1]["filter"] == {"status": "all", "class_id": None, "text": ""}

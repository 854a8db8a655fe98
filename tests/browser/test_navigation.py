"""Zoom and pan, and from image to image: at once, whatever the kernel is doing."""

from __future__ import annotations

import pytest

from .fake import PICTURE, SCALE, Widget, box, slot, view

pytestmark = pytest.mark.browser

CAT_COLOR = "#e69f00ff"


@pytest.fixture
def widget(bare_page):
    return Widget(bare_page, [box("L", 1, 50, 40, 100, 80)])


def zoom(widget):
    """Pixels of the screen for one of the picture."""
    return widget.picture()[2] / PICTURE[0]


def place(widget):
    """Where the picture's top left corner is on the screen."""
    return widget.picture()[:2]


def shifted(widget, before):
    return tuple(now - then for now, then in zip(place(widget), before, strict=True))


def near(*values):
    return pytest.approx(values, abs=0.01)


def test_the_whole_picture_is_shown_in_the_middle_at_first(widget):
    left, top, width, height = widget.picture()
    stage = widget.stage.bounding_box()

    assert zoom(widget) == pytest.approx(SCALE)
    assert left - stage["x"] == pytest.approx(stage["x"] + stage["width"] - left - width, abs=1)
    assert top - stage["y"] == pytest.approx(8, abs=0.01)
    assert top + height == pytest.approx(stage["y"] + stage["height"] - 8, abs=0.01)


@pytest.mark.parametrize("delta", [-200, 200])
def test_the_wheel_zooms_and_keeps_the_point_under_the_cursor(widget, delta):
    at = widget.screen((150, 100))
    widget.page.mouse.move(*at)
    widget.page.mouse.wheel(0, delta)
    widget.page.wait_for_function(
        "() => !document.querySelector('.nba-zoom').textContent.startsWith('200 ')"
    )

    assert (zoom(widget) > SCALE) == (delta < 0)
    assert widget.image(at) == near(150, 100)
    assert widget.pixel("shapes", (50, 100)) == CAT_COLOR  # shapes go with the picture


def test_without_the_focus_the_wheel_scrolls_the_notebook(widget):
    widget.page.evaluate("() => { document.body.style.height = '5000px'; }")
    widget.stage.blur()
    widget.move((150, 100))
    widget.page.mouse.wheel(0, 100)
    widget.page.wait_for_function("() => scrollY > 0")

    assert zoom(widget) == pytest.approx(SCALE)


def test_with_ctrl_the_wheel_zooms_without_the_focus_too(widget):
    widget.stage.blur()
    widget.move((150, 100))
    widget.page.keyboard.down("Control")
    widget.page.mouse.wheel(0, -100)
    widget.page.keyboard.up("Control")
    widget.page.wait_for_function(
        "() => document.querySelector('.nba-zoom').textContent !== '200 %'"
    )

    assert widget.page.evaluate("() => visualViewport.scale") == 1


def test_zoom_has_bounds(widget):
    widget.press(*["+"] * 30)
    assert zoom(widget) == pytest.approx(64)
    widget.press(*["-"] * 60)
    assert zoom(widget) == pytest.approx(0.25)


def test_keys_zoom_to_100_percent_and_back(widget):
    widget.press("Shift+Z")
    assert zoom(widget) == pytest.approx(1)
    assert widget.page.locator(".nba-zoom").inner_text() == "100 %"
    widget.press("z")
    assert zoom(widget) == pytest.approx(SCALE)


def test_a_double_click_fits_and_makes_no_box(widget):
    widget.press("+", "+")
    widget.page.mouse.dblclick(*widget.screen((200, 150)))

    assert zoom(widget) == pytest.approx(SCALE)
    assert widget.messages == []
    assert "Too small" not in widget.said
    widget.drag((200, 200), (250, 250))  # nothing is left in the hand
    assert [change["x"] for change in widget.changes] == [200]


def test_space_and_a_drag_pan_and_do_not_skip(widget):
    before = place(widget)
    widget.page.keyboard.down("Space")
    widget.drag((150, 100), (180, 80))
    widget.page.keyboard.up("Space")

    assert shifted(widget, before) == near(60, -40)
    assert widget.messages == []
    assert widget.pixel("shapes", (50, 80)) == CAT_COLOR


def test_space_alone_skips(widget):
    widget.press("Space")

    assert [change["changes"] for change in widget.changes] == [{"status": "skipped"}]


def test_space_does_not_end_a_box_begun_with_a_click(widget):
    widget.click((50, 40))
    widget.page.keyboard.down("Space")
    widget.drag((150, 100), (180, 80))
    widget.page.keyboard.up("Space")
    widget.click((150, 120))

    assert [[c["x"], c["y"], c["width"], c["height"]] for c in widget.changes] == [
        pytest.approx([50, 40, 100, 80], abs=0.01)
    ]


@pytest.mark.parametrize("tool", ["r", "v"])
def test_the_middle_button_pans(widget, tool):
    widget.press(tool)
    before = place(widget)
    widget.drag((60, 50), (90, 60), button="middle")

    assert shifted(widget, before) == near(60, 20)
    assert widget.messages == []


def test_a_drag_on_no_shape_pans_with_the_select_tool(widget):
    widget.press("v")
    before = place(widget)
    widget.drag((250, 200), (240, 210))

    assert shifted(widget, before) == near(-20, 20)
    assert widget.messages == []


def test_a_part_of_the_picture_stays_in_sight(widget):
    widget.press("v")
    for _ in range(5):
        widget.page.keyboard.down("Space")
        widget.page.mouse.move(100, 100)
        widget.page.mouse.down()
        widget.page.mouse.move(900, 500)
        widget.page.mouse.up()
        widget.page.keyboard.up("Space")
    stage = widget.stage.bounding_box()
    left, top, *_ = widget.picture()

    assert stage["x"] + stage["width"] - left == pytest.approx(40)
    assert stage["y"] + stage["height"] - top == pytest.approx(40)


def test_a_drawn_box_is_in_the_right_place_after_panning_and_zooming(widget):
    widget.press("Shift+Z")
    widget.page.keyboard.down("Space")
    widget.drag((150, 100), (170, 130))
    widget.page.keyboard.up("Space")
    widget.drag((200, 100), (260, 160))

    assert [[c["x"], c["y"], c["width"], c["height"]] for c in widget.changes] == [
        pytest.approx([200, 100, 60, 60], abs=1)
    ]


def fingers(session, kind, *points):
    session.send(
        "Input.dispatchTouchEvent",
        {
            "type": kind,
            "touchPoints": [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)],
        },
    )


def test_two_fingers_zoom_and_pan_and_draw_nothing(widget):
    session = widget.page.context.new_cdp_session(widget.page)
    one, other = widget.screen((150, 150)), widget.screen((250, 150))
    fingers(session, "touchStart", one)
    fingers(session, "touchStart", one, other)
    for step in range(1, 6):
        fingers(
            session,
            "touchMove",
            (one[0] - 10 * step, one[1] + 4 * step),
            (other[0] + 10 * step, other[1] + 4 * step),
        )
    fingers(session, "touchEnd")

    assert zoom(widget) == pytest.approx(SCALE * 300 / 200, rel=0.01)
    middle = ((one[0] + other[0]) / 2, one[1] + 20)
    assert widget.image(middle) == pytest.approx((200, 150), abs=1)
    assert widget.messages == []
    assert widget.said == ""  # not even a box that was too small


def test_one_finger_draws(widget):
    session = widget.page.context.new_cdp_session(widget.page)
    fingers(session, "touchStart", widget.screen((200, 150)))
    fingers(session, "touchMove", widget.screen((220, 160)))
    fingers(session, "touchMove", widget.screen((250, 190)))
    fingers(session, "touchEnd")

    assert [[c["x"], c["y"], c["width"], c["height"]] for c in widget.changes] == [
        pytest.approx([200, 150, 50, 40], abs=0.5)
    ]


def test_the_next_image_is_shown_at_once_with_its_shapes_and_fitted(bare_page):
    widget = Widget(
        bare_page,
        [box("L", 1, 50, 40, 100, 80)],
        traits={"slot_1": slot(1, [box("M", 1, 200, 100, 100, 80)])},
    )
    widget.press("+", "ArrowRight")
    shown = bare_page.evaluate(
        """() => [...document.querySelectorAll('img.nba-slot')]
          .map((canvas) => getComputedStyle(canvas).visibility)"""
    )

    assert shown == ["hidden", "visible", "hidden"]
    assert zoom(widget) == pytest.approx(SCALE)
    assert widget.pixel("shapes", (200, 140)) == CAT_COLOR
    assert widget.pixel("shapes", (50, 80)) == "#00000000"
    assert bare_page.locator(".nba-place").inner_text() == "2 of 3"
    assert bare_page.locator(".nba-name").inner_text() == "b.jpg"


def test_an_image_that_is_not_in_the_ring_is_waited_for(bare_page):
    widget = Widget(bare_page, traits={"view": view(total=9)})
    widget.press(*["ArrowRight"] * 3)
    loading = bare_page.locator(".nba-loading")
    assert loading.is_visible()
    widget.press("2", "Delete", "Enter")  # nothing is there to be changed
    assert widget.changes == []

    fourth = {**slot(2, []), "image": "d.jpg", "position": 3, "paint": 9}
    widget.kernel_says(slot_0=fourth, view=view(total=9, position=3))
    loading.wait_for(state="hidden")
    assert bare_page.locator(".nba-name").inner_text() == "d.jpg"


def test_a_narrower_page_folds_the_palette_under_the_picture_and_fits_again(widget):
    widget.page.evaluate("() => { fake.cell.style.width = '500px'; }")
    widget.page.locator(".nba-layer.nba-narrow").wait_for()
    palette = widget.page.locator(".nba-palette").bounding_box()
    stage = widget.stage.bounding_box()

    assert palette["y"] >= stage["y"] + stage["height"]
    left, _, width, _ = widget.picture()
    assert left >= stage["x"]
    assert left + width <= stage["x"] + stage["width"]
    widget.drag((200, 150), (250, 190))
    assert [c["x"] for c in widget.changes] == [pytest.approx(200, abs=1)]


def test_the_image_before_stays_until_the_picture_of_the_next_has_come(bare_page):
    """It is on the page and takes some milliseconds; an empty stage between would flicker."""
    widget = Widget(bare_page, traits={"view": view(total=9)})
    bare_page.evaluate("() => holdPictures()")
    fifth = {**slot(2, []), "image": "e.jpg", "position": 4, "paint": 9}
    bare_page.evaluate(
        """async (traits) => {
          const name = () => document.querySelector(".nba-name").textContent;
          await fake.says(traits);
          await Promise.resolve();
          globalThis.during = [name(), document.querySelector(".nba-loading").hidden];
          await held[0]();
          globalThis.after = [name(), document.querySelector(".nba-loading").hidden];
        }""",
        {"slot_0": fifth, "view": view(total=9, position=4)},
    )

    assert bare_page.evaluate("() => [during, after]") == [["a.jpg", True], ["e.jpg", True]]
    widget.kernel_says(slot_0=slot(0, [], paint=10), view=view(total=9))
    bare_page.locator(".nba-loading").wait_for()  # it is never loaded: the wait ends
    assert bare_page.locator(".nba-name").inner_text() == "a.jpg"

"""keys.js: which key an event means, and which keys reach the widget."""

from __future__ import annotations

import pytest

from .fake import Widget, attribute, box, call_each, named, slot

pytestmark = pytest.mark.browser

# code, key and modifiers of the event; what it means
EVENTS = {
    "digit": ("Digit2", "2", "", "2"),
    "digit on AZERTY": ("Digit2", "é", "", "2"),
    "digit on AZERTY with Shift": ("Digit2", "2", "shift", "2"),
    "digit with Ctrl": ("Digit1", "1", "ctrl", "Ctrl+1"),
    "Shift and a digit is a symbol": ("Digit1", "!", "shift", "!"),
    "slash on a German keyboard": ("Digit7", "/", "shift", "/"),
    "slash on AZERTY": ("Period", "/", "shift", "/"),
    "numpad": ("Numpad4", "4", "", "4"),
    "numpad without NumLock": ("Numpad4", "ArrowLeft", "", "ArrowLeft"),
    "numpad plus": ("NumpadAdd", "+", "", "+"),
    "letter": ("KeyR", "r", "", "r"),
    "letter by what is printed, not by place": ("KeyQ", "a", "", "a"),
    "letter with CapsLock": ("KeyR", "R", "", "r"),
    "letter with Shift": ("KeyZ", "Z", "shift", "Shift+z"),
    "letter with Ctrl": ("KeyZ", "z", "ctrl", "Ctrl+z"),
    "letter with Command": ("KeyZ", "z", "meta", "Ctrl+z"),
    "letter with Ctrl and Shift": ("KeyZ", "Z", "ctrl shift", "Ctrl+Shift+z"),
    "letter that is not Latin": ("KeyF", "Ф", "shift", "Shift+ф"),
    "question mark": ("Slash", "?", "shift", "?"),
    "plus": ("Equal", "+", "shift", "+"),
    "named key": ("ArrowRight", "ArrowRight", "", "ArrowRight"),
    "named key with Shift": ("ArrowRight", "ArrowRight", "shift", "Shift+ArrowRight"),
    "named key with Alt": ("ArrowUp", "ArrowUp", "alt", "Alt+ArrowUp"),
    "space": ("Space", " ", "", "Space"),
    "Enter of the numpad": ("NumpadEnter", "Enter", "", "Enter"),
}
PRINTED = {
    "r": "R",
    "1": "1",
    "?": "?",
    "+": "+",
    "-": "-",
    "Ctrl+z": "Ctrl+Z",
    "Ctrl+Shift+z": "Ctrl+Shift+Z",
    "Ctrl++": "Ctrl++",
    "ArrowRight": "→",
    "Shift+ArrowLeft": "Shift+←",
    "Delete": "Del",
    "Escape": "Esc",
    "Space": "Space",
    "Enter": "Enter",
}


def test_events_mean_the_keys_that_people_mean(bare_page):
    found = bare_page.evaluate(
        """async (events) => {
          const { keyOf } = await import('/browser/keys.js');
          return events.map(([code, key, modifiers]) => {
            const held = modifiers.split(' ').map((name) => [`${name}Key`, true]);
            const options = { code, key, ...Object.fromEntries(held) };
            return keyOf(new KeyboardEvent('keydown', options));
          });
        }""",
        [event[:3] for event in EVENTS.values()],
    )

    assert dict(zip(EVENTS, found, strict=True)) == {n: event[3] for n, event in EVENTS.items()}


def test_keys_are_printed_as_they_stand_on_keyboards(bare_page):
    found = call_each(bare_page, "keys.js", "printed", [[key] for key in PRINTED])

    assert dict(zip(PRINTED, found, strict=True)) == PRINTED


def outside_hears(widget):
    """Have the page listen as a notebook does; returns what tells the keys it heard."""
    widget.page.evaluate(
        """() => {
          globalThis.heard = [];
          document.addEventListener('keydown', (event) => heard.push(event.key));
        }"""
    )
    return lambda: widget.page.evaluate("() => heard")


def test_no_key_reaches_the_notebook(bare_page):
    widget = Widget(bare_page, [box("L", 1, 10, 10, 50, 50)])
    heard = outside_hears(widget)

    for focused in (".nba-stage", ".nba-find", ".nba-pick >> nth=0", ".nba-button >> nth=0"):
        bare_page.locator(focused).focus()
        widget.press("a", "b", "x", "d", "0", "Enter", "Shift+Enter", "Space", "Alt+ArrowUp", "Tab")
        bare_page.locator(focused).focus()
        widget.press("Escape")
        assert heard() == []


def test_what_takes_the_focus_bears_the_mark_that_keeps_shortcuts_off(bare_page):
    widget = Widget(bare_page, attributes=[attribute("speed", "number")])
    focusable = bare_page.locator(".nba-layer :is(button, input, select, [tabindex]):visible")

    for element in [widget.stage, *focusable.all()]:
        if element.is_enabled():
            element.focus()
            assert element.get_attribute("data-lm-suppress-shortcuts") == "true"


def test_escape_gives_the_keys_back_to_the_notebook(bare_page):
    widget = Widget(bare_page)
    heard = outside_hears(widget)

    widget.press("Escape", "b")
    assert heard() == ["b"]
    assert bare_page.evaluate("() => document.activeElement === fake.cell")


def test_a_text_field_keeps_its_keys(bare_page):
    widget = Widget(bare_page, [box("L", 1, 10, 10, 50, 50)])
    widget.press("v", "Tab")
    find = bare_page.locator(".nba-find")
    find.focus()
    bare_page.keyboard.type("r2 h")
    widget.press("Backspace", "ArrowLeft", "Control+z")

    assert widget.messages == []
    assert widget.selected == "L"
    assert widget.pixel("live", (10, 30)) != "#00000000"  # still selected, and shown
    widget.press("Escape")
    assert widget.stage.evaluate("stage => stage === document.activeElement")


def test_the_keys_of_classes_are_by_place_on_azerty(bare_page):
    """The top row of AZERTY sends é for the key of 2."""
    widget = Widget(bare_page)
    widget.stage.dispatch_event(
        "keydown", {"key": "é", "code": "Digit2", "bubbles": True, "cancelable": True}
    )

    assert widget.said == "Next shape: dog"


def test_a_key_can_be_given_to_another_action(bare_page):
    widget = Widget(bare_page, keys={"next": "j"})
    widget.press("ArrowRight", "j")

    assert [message["op"] for message in widget.messages] == ["goto"]


def test_a_letter_of_a_class_picks_it(bare_page):
    widget = Widget(
        bare_page, classes=[named(1, "cat", "#E69F00"), named(2, "dog", "#56B4E9", "d")]
    )
    widget.press("d")
    widget.drag((10, 10), (60, 60))

    assert [change["class_id"] for change in widget.changes] == [2]


@pytest.mark.parametrize(
    ("spec", "before", "keys", "wanted"),
    [
        (attribute("occluded", "bool", hotkey="o"), {}, ["o", "o"], [True, False]),
        (
            attribute("view", "choice", choices=["front", "side"], hotkey="w"),
            {},
            ["w", "w", "w"],
            ["front", "side", "front"],
        ),
    ],
)
def test_the_key_of_an_attribute_steps_through_its_values(bare_page, spec, before, keys, wanted):
    labels = [box("L", 1, 10, 10, 50, 50, attributes=before)]
    widget = Widget(bare_page, labels, attributes=[spec])
    widget.press("Tab", *keys)

    assert [change["changes"]["attributes"] for change in widget.changes] == [
        {spec["name"]: value} for value in wanted
    ]
    assert widget.said == f"{spec['name']}: {str(wanted[-1]).lower()}"


def test_the_key_of_a_number_goes_to_its_field_and_enter_sets_it(bare_page):
    speed = attribute("speed", "number", min=0, max=100, hotkey="s")
    widget = Widget(bare_page, [box("L", 1, 10, 10, 50, 50)], attributes=[speed])
    widget.press("Tab", "s")
    bare_page.keyboard.type("30")
    widget.press("Enter")
    assert widget.changes == [
        {"op": "update", "label_id": "L", "changes": {"attributes": {"speed": 30}}}
    ]

    bare_page.keyboard.type("0")
    widget.press("Enter")
    assert len(widget.changes) == 1  # 300 is over 100
    assert "speed" in widget.said


def test_a_checkbox_is_ticked_by_space(bare_page):
    labels = [box("L", 1, 10, 10, 50, 50)]
    widget = Widget(bare_page, labels, attributes=[attribute("occluded", "bool")])
    widget.press("Tab")
    bare_page.locator(".nba-fields input").focus()
    widget.press("Space")

    assert [change["changes"] for change in widget.changes] == [{"attributes": {"occluded": True}}]


def test_a_button_is_pressed_by_space_and_enter(bare_page):
    widget = Widget(bare_page)
    bare_page.get_by_role("button", name="Zoom in").focus()
    widget.press("Space", "Enter")

    assert bare_page.locator(".nba-zoom").inner_text() == "313 %"  # 200 * 1.25 * 1.25
    assert widget.messages == []


def test_after_a_click_on_a_button_the_keys_are_the_pictures_again(bare_page):
    widget = Widget(bare_page)
    bare_page.get_by_role("button", name="dog").first.click()
    widget.press("Enter")
    bare_page.get_by_role("button", name="Skip, and next").click()
    widget.press("Space")

    assert [change["changes"]["status"] for change in widget.changes] == [
        "done",
        "skipped",
        "skipped",
    ]


def test_keys_do_nothing_to_what_the_help_covers(bare_page):
    widget = Widget(bare_page, [box("L", 1, 10, 10, 50, 50)])
    widget.press("Tab", "?", "Delete", "Enter", "Space", "Control+z", "2")

    assert widget.messages == []
    widget.press("?", "Delete")
    assert [change["op"] for change in widget.changes] == ["delete"]


def test_keys_of_images(bare_page):
    widget = Widget(bare_page)
    widget.press("ArrowRight", "ArrowLeft", "Shift+ArrowRight", "Enter", "Space")
    messages = widget.messages

    assert [(m["op"], m.get("position"), m.get("goto")) for m in messages] == [
        ("goto", 1, None),
        ("goto", 0, None),
        ("todo", None, None),
        ("edit", 0, 1),
        ("edit", 1, 2),
    ]
    assert widget.changes == [
        {"op": "image", "image": "a.jpg", "changes": {"status": "done"}},
        {"op": "image", "image": "b.jpg", "changes": {"status": "skipped"}},
    ]


def test_the_first_and_the_last_image_are_ends(bare_page):
    widget = Widget(bare_page)
    widget.press("ArrowLeft")
    assert widget.messages == []
    assert widget.said == "This is the first image"
    widget.press("ArrowRight", "ArrowRight", "ArrowRight")
    assert [message["position"] for message in widget.messages] == [1, 2]
    assert widget.said == "This is the last image"


def test_undo_and_redo_are_asked_of_the_kernel(bare_page):
    widget = Widget(bare_page)
    widget.press("Control+z", "Control+Shift+z", "Control+y")

    assert [message["op"] for message in widget.messages] == ["undo", "redo", "redo"]


def test_flag_asks_for_a_note(bare_page):
    widget = Widget(bare_page)
    widget.press("f")
    bare_page.keyboard.type("too dark ?")
    widget.press("Enter")
    widget.press("u")

    assert widget.changes == [
        {"op": "image", "image": "a.jpg", "changes": {"note": "too dark ?", "status": "flagged"}},
        {"op": "image", "image": "a.jpg", "changes": {"unsure": True}},
    ]


def test_search_picks_a_label_by_typing(bare_page):
    widget = Widget(bare_page)
    widget.press("/")
    bare_page.keyboard.type("do")
    widget.press("Enter")

    assert widget.said == "Next shape: dog"
    assert widget.stage.evaluate("stage => stage === document.activeElement")


def test_help_shows_all_keys_and_closes(bare_page):
    widget = Widget(bare_page, keys={"next": "j", "help": "?"})
    widget.press("?")

    text = bare_page.locator(".nba-help").inner_text()
    assert "J\nnext image" in text
    assert "1\ncat" in text
    widget.press("Escape")
    assert bare_page.locator(".nba-help").count() == 0


def tags(multiple):
    return [
        {
            "name": "weather",
            "multiple": multiple,
            "choices": [named(3, "sun", "#F0E442", "1"), named(4, "rain", "#0072B2", "2")],
        }
    ]


def test_a_key_tags_the_image_and_goes_on(bare_page):
    widget = Widget(bare_page, classes=[], tags=tags(multiple=False), shapes=False)
    widget.press("2")

    [message] = widget.messages
    assert message["goto"] == 1
    assert [change.get("class_id") for change in message["changes"]] == [4, None]
    assert message["changes"][1] == {
        "op": "image",
        "image": "a.jpg",
        "changes": {"status": "done"},
    }


def test_a_key_puts_one_of_several_tags_on_and_off_and_stays(bare_page):
    rain = box("T", 4, 0, 0, 0, 0, kind="tag")
    widget = Widget(
        bare_page,
        classes=[],
        tags=tags(multiple=True),
        shapes=False,
        traits={"slot_0": slot(0, [rain])},
    )
    widget.press("1", "2")

    assert [message.get("goto") for message in widget.messages] == [None, None]
    assert [(c["op"], c.get("class_id"), c.get("label_id")) for c in widget.changes][1:] == [
        ("delete", None, "T")
    ]
    assert widget.changes[0]["class_id"] == 3

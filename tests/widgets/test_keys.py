"""Which key does what."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbannotate.core.schema import Schema
from nbannotate.errors import NbannotateError
from nbannotate.widgets import keys
from nbannotate.widgets.keys import DEFAULTS, KeyConflict, assign, normal


def test_digits_go_to_classes_then_tags_in_order():
    schema = Schema([f"c{i}" for i in range(9)], tags=["day", "night"])
    _, hotkeys = assign(schema)
    assert [hotkeys.get(c.id) for c in schema.classes] == list("123456789")
    assert [hotkeys.get(c.id) for c in schema.tag_choices] == ["0", None]


def test_letters_of_the_scheme_are_kept_and_leave_their_digit_to_the_next():
    schema = Schema([{"name": "cat", "key": "k"}, "dog"])
    _, hotkeys = assign(schema)
    assert [hotkeys[c.id] for c in schema.classes] == ["k", "1"]


def test_a_letter_of_the_scheme_wins_over_a_default_with_a_word():
    with pytest.warns(KeyConflict, match="'copy_previous' has none"):
        actions, hotkeys = assign(Schema([{"name": "cat", "key": "C"}]))
    assert "copy_previous" not in actions
    assert hotkeys == {1: "c"}


def test_two_of_the_users_own_keys_that_meet_are_refused():
    with pytest.raises(NbannotateError, match="given to both the action 'box' and the label 'cat'"):
        assign(Schema([{"name": "cat", "key": "b"}]), {"box": "b"})


def test_every_action_can_be_remapped_or_go_without():
    wanted = {action: f"Ctrl+F{number}" for number, action in enumerate(DEFAULTS, 1)}
    actions, _ = assign(Schema(["cat"]), wanted)
    assert actions == wanted
    actions, _ = assign(Schema(["cat"]), {"skip": None})
    assert "skip" not in actions


def test_an_unknown_action_is_refused_with_the_list():
    with pytest.raises(NbannotateError, match="no action 'jump'; there are next, previous"):
        assign(Schema(["cat"]), {"jump": "j"})


def test_without_shapes_their_actions_have_no_keys():
    actions, _ = assign(Schema(tags=["day"]), shapes=False)
    assert "box" not in actions and "done" in actions


def test_attributes_get_a_free_letter_of_their_name():
    schema = Schema(["cat"], attributes={"truncated": bool, "tight": bool})
    _, hotkeys = assign(schema)
    assert (hotkeys["truncated"], hotkeys["tight"]) == ("t", "i")


@pytest.mark.parametrize(
    ("given_key", "written"),
    [
        ("X", "x"),
        ("ctrl+S", "Ctrl+s"),
        ("Shift+Ctrl+z", "Ctrl+Shift+z"),
        (" ", "Space"),
        ("+", "+"),
        ("Ctrl++", "Ctrl++"),
        ("F2", "F2"),
        ("ArrowUp", "ArrowUp"),
    ],
)
def test_keys_are_written_as_the_browser_writes_them(given_key, written):
    assert normal(given_key) == written


@pytest.mark.parametrize("bad", ["", "xy", "Hyper+x", "Escape", "Tab", "Ctrl+", "x+y", "Shift+2"])
def test_what_is_no_key_or_not_free_is_refused(bad):
    with pytest.raises(NbannotateError, match="key"):
        normal(bad)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6),
            st.none() | st.characters(categories=["L", "N", "P"]),
        ),
        max_size=15,
        unique_by=lambda item: item[0],
    )
)
def test_no_key_ever_does_two_things(items):
    try:
        schema = Schema([{"name": name, "key": key} for name, key in items])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KeyConflict)
            actions, hotkeys = assign(schema)
    except NbannotateError:
        return
    everything = [*actions.values(), *hotkeys.values()]
    assert len(everything) == len(set(everything))


def test_the_browser_knows_every_action_and_the_help_lists_it():
    folder = Path(keys.__file__).parent / "browser"
    known = (folder / "keys.js").read_text()
    told = (folder / "overlays.js").read_text()
    for action in DEFAULTS:
        assert re.search(rf"^\s+{action}: \(\) =>", known, re.MULTILINE), action
        assert f'["{action}",' in told, action

"""Nothing that a front end sends breaks the kernel's state."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.schema import Schema
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.widgets import messages
from nbannotate.widgets.layer import SLOTS, Layer
from nbannotate.widgets.messages import MessageError

from .conftest import Browser, box

BROWSER = Path(messages.__file__).parent / "browser"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
FIELD_NAMES = """op changes seconds goto position filter status class_id text type client messages
    again label_id image box size kind x"""
OP_NAMES = """edit undo redo goto todo filter none create update delete image messages select
    look"""
FIELDS = st.sampled_from(FIELD_NAMES.split())
OPS = st.sampled_from(OP_NAMES.split())
HOSTILE = st.recursive(
    JSON | OPS | st.sampled_from(["0.png", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(FIELDS, inner, max_size=6)
        | st.builds(lambda op, d: {**d, "op": op, "type": op}, OPS, st.dictionaries(FIELDS, inner))
    ),
    max_leaves=20,
)


@given(HOSTILE)
def test_what_is_no_message_is_refused_by_name(content):
    for read in (messages.received, messages.parse):
        try:
            read(content)
        except MessageError as error:
            assert str(error)


@settings(deadline=None, max_examples=40)
@given(st.lists(HOSTILE, min_size=1, max_size=6))
def test_a_hostile_front_end_leaves_the_labels_as_they_are(hostile):
    store = nba.open(None)
    source = open_source([np.zeros((20, 20), np.uint8)])
    # Another annotator's label: undo, which anyone may send, does not reach it.
    other = Project(source, store, Schema(["cat"]), annotator="other")
    place = {"x": 1, "y": 1, "width": 8, "height": 8}
    other.commit([{**box("image-0001", "kept"), **place}])
    ann = nba.Annotator(source, classes=["cat"], tags=["day"], store=store, ahead=0)
    try:
        browser = Browser(ann)
        for content in hostile:
            browser.raw(content)
            browser.send(content)
            browser.edit(content if isinstance(content, dict) else {"op": content})
        browser.edit(box("image-0001", "after", x=0.0, y=0.0, width=9.0, height=9.0))
        labels = ann.labels
        assert labels.loc["kept", ["x", "y", "width", "height"]].tolist() == [1, 1, 8, 8]
        assert labels.loc["after", "width"] == 9
        ann.dataset.validate()
    finally:
        ann.close()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"op": "goto", "position": 3.0}, messages.Goto(3)),
        ({"op": "undo"}, messages.Reverse("undo")),
        ({"op": "todo"}, messages.NextTodo()),
        ({"op": "none"}, messages.Nothing()),
        (
            {"op": "filter", "filter": {"status": "done", "class_id": None, "text": "a"}},
            messages.SetFilter(messages.Filter("done", None, "a")),
        ),
        (
            {"op": "edit", "changes": [{"op": "delete"}], "seconds": -1},
            messages.Edit(({"op": "delete"},), 0.0, None),
        ),
    ],
)
def test_messages_are_read(content, expected):
    assert messages.parse(content) == expected


@pytest.mark.parametrize(
    "content",
    [
        {"op": "goto", "position": True},
        {"op": "goto", "position": 1.5},
        {"op": "goto", "position": float("inf")},
        {"op": "edit", "changes": "all"},
        {"op": "filter", "filter": {"status": "gone"}},
        {"op": "drop tables"},
        {},
        None,
    ],
)
def test_bad_messages_are_refused(content):
    with pytest.raises(MessageError):
        messages.parse(content)


def typedef(name):
    """Names of the fields of a type in types.js."""
    text = (BROWSER / "types.js").read_text()
    start = re.search(rf"@typedef \{{object\}} {name}\b", text).start()
    end = text.find("@typedef", start + 1)
    return set(re.findall(r"@property \{.*?\} \[?(\w+)", text[start : end if end > 0 else None]))


def test_the_traits_hold_what_the_browser_is_promised(annotator):
    ann = annotator(attributes={"occluded": bool})
    ann.add("0.png", label="cat", box=(1, 1, 9, 9))
    layer = Browser(ann).layer
    slot = Browser(ann).slots["0.png"]
    assert set(layer.view) == typedef("View")
    assert set(layer.config) == typedef("Config")
    assert set(slot) == typedef("Slot")
    assert set(slot["labels"][0]) == typedef("Label")
    assert set(layer.config["schema"]["attributes"][0]) - {"key"} == typedef("Attribute")
    assert set(layer.config["schema"]["classes"][0]) == typedef("LabelClass")
    assert set(layer.view["progress"]) == typedef("Progress")
    for trait in (layer.view, layer.config, slot):
        json.dumps(trait, allow_nan=False)


def test_the_browser_knows_the_store_and_the_view_when_it_starts(annotator, monkeypatch):
    # It may start before any later update: its queue would be kept under no store's name.
    first = []
    opened = Layer.open
    monkeypatch.setattr(
        Layer, "open", lambda layer: (first.append((layer.config, layer.view)), opened(layer))
    )
    ann = annotator()
    ((config, view),) = first
    assert config["store_id"] == ann.store.id
    assert set(config) == typedef("Config")
    assert set(view) == typedef("View")


def test_both_sides_have_the_same_number_of_slots():
    text = (BROWSER / "session.js").read_text()
    assert int(re.search(r"SLOTS = (\d+)", text)[1]) == SLOTS
    slots = [name for name in Layer.class_trait_names(sync=True) if name.startswith("slot_")]
    assert len(slots) == SLOTS


def test_names_from_data_stay_texts():
    config = messages.config(Schema(["<img src=x onerror=alert(1)>"]), hotkeys={}, keys={})
    assert config["schema"]["classes"][0]["name"] == "<img src=x onerror=alert(1)>"

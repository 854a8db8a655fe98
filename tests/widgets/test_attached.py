"""The user's own ipywidgets as fields of the selected shape."""

from __future__ import annotations

import ipywidgets
import pytest

import nbannotate as nba

from .conftest import Browser


@pytest.fixture
def two(annotator):
    """An annotator with an attached slider, and two labels."""
    ann = annotator()
    slider = ipywidgets.IntSlider(value=2, min=0, max=5)
    ann.attach(slider, "quality")
    first = ann.add("0.png", label="cat", box=(1, 1, 9, 9))
    second = ann.add("0.png", label="dog", box=(1, 1, 9, 9), attributes={"quality": 5})
    return ann, slider, first, second


def test_the_widget_shows_the_selected_shape_and_sets_it(two):
    ann, slider, first, second = two
    assert slider.disabled
    Browser(ann).raw({"type": "select", "label_id": second})
    assert (slider.value, slider.disabled) == (5, False)
    slider.value = 3
    assert ann.labels.loc[second, "attributes"] == {"quality": 3.0}
    Browser(ann).raw({"type": "select", "label_id": first})
    assert slider.value == 2, "its own first value where the shape has none"
    assert ann.labels.loc[first, "attributes"] == {}


def test_the_attribute_gets_the_widgets_type(annotator):
    ann = annotator()
    ann.attach(ipywidgets.Checkbox(), "occluded")
    ann.attach(ipywidgets.Dropdown(options=["front", "side"]), "view")
    ann.attach(ipywidgets.FloatSlider(min=0, max=1), "share")
    ann.attach(ipywidgets.Text(), "plate")
    found = {a.name: (a.type, a.choices, a.max) for a in ann.schema.attributes}
    assert found == {
        "occluded": ("bool", (), None),
        "view": ("choice", ("front", "side"), None),
        "share": ("number", (), 1.0),
        "plate": ("text", (), None),
    }
    told = Browser(ann).layer.config["schema"]["attributes"]
    assert all(attribute["attached"] for attribute in told)


def test_what_has_no_value_is_refused(annotator):
    with pytest.raises(nba.SchemaError, match="is no attribute"):
        annotator().attach(ipywidgets.Label(), "x") or annotator().attach(ipywidgets.HBox(), "y")


def test_undo_shows_in_the_widget(two):
    ann, slider, _, second = two
    ann.select(second)
    slider.value = 1
    ann.undo()
    assert slider.value == 5

"""The user's own ipywidgets as fields of the selected shape's attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets

from nbannotate.core.attributes import Attribute
from nbannotate.core.edits import Row
from nbannotate.core.schema import Schema
from nbannotate.errors import SchemaError


class Attached:
    """Widgets under the picture that show and set attributes of the selected shape.

    Parameters
    ----------
    changed
        Called with name and value when the user sets one.
    """

    def __init__(self, changed: Callable[[str, Any], object]) -> None:
        self._changed = changed
        self._widgets: dict[str, ipywidgets.Widget] = {}
        self._blank: dict[str, Any] = {}
        self._is_showing = False
        self._shown: Row | None = None
        self.box = ipywidgets.HBox()
        self.box.add_class("nba-attached")

    @property
    def names(self) -> list[str]:
        """Attributes that have a widget here."""
        return list(self._widgets)

    def add(self, widget: ipywidgets.Widget, name: str, schema: Schema) -> Attribute:
        """Take in a widget; returns its attribute, the scheme's own if it has one."""
        attribute = next((a for a in schema.attributes if a.name == name), None)
        attribute = attribute or _attribute_of(widget, name)
        self._widgets[name] = widget
        self._blank[name] = widget.value
        widget.observe(lambda change: self._on_value(name, change["new"]), "value")
        caption = ipywidgets.Label(name)
        fields = [*self.box.children, ipywidgets.HBox([caption, widget])]
        self.box.children = fields
        self.show(self._shown)
        return attribute

    def show(self, row: Row | None) -> None:
        """Show the attributes of a label; None: there is none to set them of."""
        self._shown = row
        self._is_showing = True
        try:
            for name, widget in self._widgets.items():
                value = None if row is None else row["attributes"].get(name)
                wanted = self._blank[name] if value is None else value
                if widget.value != wanted:
                    widget.value = wanted
                if hasattr(widget, "disabled") and widget.disabled != (row is None):
                    widget.disabled = row is None
        finally:
            self._is_showing = False

    def _on_value(self, name: str, value: Any) -> None:
        if not self._is_showing:
            self._changed(name, value)


def _attribute_of(widget: ipywidgets.Widget, name: str) -> Attribute:
    value = getattr(widget, "value", None)
    options = getattr(widget, "options", None)
    if options:
        choices = [item[1] if isinstance(item, tuple) else item for item in options]
        if all(isinstance(choice, str) for choice in choices):
            return Attribute(name, "choice", choices=tuple(choices))
    if isinstance(value, bool):
        return Attribute(name, "bool")
    if isinstance(value, int | float):
        low, high = getattr(widget, "min", None), getattr(widget, "max", None)
        return Attribute(name, "number", min=low, max=high, step=getattr(widget, "step", None))
    if isinstance(value, str):
        return Attribute(name, "text")
    raise SchemaError(
        f"attach {name!r}: a {type(widget).__name__} with the value {value!r} is no attribute; "
        "attach a checkbox, slider, number, dropdown of texts, or text field"
    )

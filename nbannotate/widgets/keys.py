"""Which key does what: the defaults, the user's own, and what happens where they meet."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping

from nbannotate.core.schema import Schema
from nbannotate.errors import NbannotateError

DEFAULTS = {
    "next": "ArrowRight",
    "previous": "ArrowLeft",
    "next_todo": "Shift+ArrowRight",
    "done": "Enter",
    "skip": "Space",
    "box": "r",
    "extreme": "e",
    "select": "v",
    "delete": "Delete",
    "undo": "Ctrl+z",
    "redo": "Ctrl+Shift+z",
    "copy": "Ctrl+c",
    "paste": "Ctrl+v",
    "duplicate": "Ctrl+d",
    "copy_previous": "c",
    "hide": "h",
    "flag": "f",
    "unsure": "u",
    "fit": "z",
    "actual_size": "Shift+z",
    "zoom_in": "+",
    "zoom_out": "-",
    "search": "/",
    "help": "?",
}
"""Key of each action, as ``keyOf`` in ``browser/keys.js`` writes it."""

_SHAPE_ACTIONS = {"box", "extreme", "select", "delete", "copy", "paste", "duplicate"}
_SHAPE_ACTIONS |= {"copy_previous", "hide"}
_RESERVED = "acxpokb"  # letters that the tools to come are known by
_FIXED = {"Escape", "Tab", "Shift+Tab"}
_MODIFIERS = ("Ctrl", "Alt", "Shift")
_NAMED = re.compile(r"F\d{1,2}|[A-Z][A-Za-z]+")


class KeyConflict(UserWarning):
    """A class or attribute has a key that an action has by default; the action goes without."""


def assign(
    schema: Schema, keys: Mapping[str, str | None] | None = None, *, shapes: bool = True
) -> tuple[dict[str, str], dict[int | str, str]]:
    """The keys of all actions, classes and attributes.

    Classes and tags get the digits 1 to 9 and 0 by their order, or the letter that the scheme
    gives them. Attributes get the letter that the scheme gives them, else one of their name that is
    free. A letter of the scheme wins over the default of an action, with a `KeyConflict`.

    Parameters
    ----------
    schema
        The scheme.
    keys
        Keys of actions that differ from the defaults; None for no key.
    shapes
        Whether shapes are drawn; their actions have no keys otherwise.

    Returns
    -------
    Keys by action, and keys by id of class or tag and by name of attribute.

    Raises
    ------
    NbannotateError
        If an action is unknown or two things are given the same key.
    """
    given = {action: key and normal(key) for action, key in (keys or {}).items()}
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise NbannotateError(
            f"keys: there is no action {unknown[0]!r}; there are {', '.join(DEFAULTS)}"
        )
    taken: dict[str, str] = {}
    for action, key in given.items():
        if key:
            _take(taken, key, f"the action {action!r}")
    hotkeys: dict[int | str, str] = {}
    for owner, letter, words in _letters(schema):
        key = normal(letter)
        _take(taken, key, words)
        hotkeys[owner] = key
    actions: dict[str, str] = {}
    for action, default in DEFAULTS.items():
        if action in _SHAPE_ACTIONS and not shapes:
            continue
        key = given.get(action, default)
        if action not in given and key in taken:
            warnings.warn(
                f"key {default!r} is that of {taken[key]}, so the action {action!r} has none; "
                f"give it another: keys={{{action!r}: …}}",
                KeyConflict,
                stacklevel=3,
            )
        elif key:
            actions[action] = key
            taken.setdefault(key, f"the action {action!r}")
    _fill_digits(schema, hotkeys, taken)
    if shapes:
        _fill_attributes(schema, hotkeys, taken)
    return actions, hotkeys


def normal(key: str) -> str:
    """A key as the browser writes it: ``ctrl+S`` is ``Ctrl+s``.

    Raises
    ------
    NbannotateError
        If it is no key.
    """
    if key in (" ", "Space", "space"):
        return "Space"
    *modifiers, last = key.split("+") if len(key) > 1 and not key.endswith("++") else [key]
    if key.endswith("++"):
        *modifiers, last = [*key[:-2].split("+"), "+"]
    found = {m.capitalize() for m in modifiers}
    named = len(last) == 1 or _NAMED.fullmatch(last)
    # With Shift another symbol is typed, which is a key of its own; digits go by their place.
    shifted = "Shift" in found and len(last) == 1 and not last.isalpha()
    if not named or found - set(_MODIFIERS) or last.isspace() or shifted:
        raise NbannotateError(
            f"key {key!r} is none; write it like 'x', 'Ctrl+s', 'Shift+ArrowLeft', 'Enter' or 'F2'"
        )
    ordered = [m for m in _MODIFIERS if m in found]
    whole = "+".join([*ordered, last.lower() if len(last) == 1 else last])
    if whole in _FIXED:
        raise NbannotateError(f"key {key!r} always does the same; choose another")
    return whole


def _letters(schema: Schema) -> Iterator[tuple[int | str, str, str]]:
    for item in (*schema.classes, *schema.tag_choices):
        if item.key is not None and not item.retired:
            yield item.id, item.key, f"the label {item.name!r}"
    for attribute in schema.attributes:
        if attribute.key is not None:
            yield attribute.name, attribute.key, f"the attribute {attribute.name!r}"


def _take(taken: dict[str, str], key: str, words: str) -> None:
    if key in taken:
        raise NbannotateError(
            f"key {key!r} is given to both {taken[key]} and {words}; choose another for one of them"
        )
    taken[key] = words


def _fill_digits(schema: Schema, hotkeys: dict[int | str, str], taken: dict[str, str]) -> None:
    digits = iter([digit for digit in "1234567890" if digit not in taken])
    for item in (*schema.classes, *schema.tag_choices):
        if item.retired or item.id in hotkeys:
            continue
        digit = next(digits, None)
        if digit is None:
            return
        hotkeys[item.id] = digit
        taken[digit] = f"the label {item.name!r}"


def _fill_attributes(schema: Schema, hotkeys: dict[int | str, str], taken: dict[str, str]) -> None:
    for attribute in schema.attributes:
        if attribute.name in hotkeys:
            continue
        letters = dict.fromkeys(c for c in attribute.name.lower() if c.isascii() and c.isalpha())
        free = next((c for c in letters if c not in taken and c not in _RESERVED), None)
        if free is not None:
            hotkeys[attribute.name] = free
            taken[free] = f"the attribute {attribute.name!r}"

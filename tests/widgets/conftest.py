"""An annotator without a browser, and the browser's end of its messages."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nbannotate as nba


@pytest.fixture
def annotator() -> Iterator[Callable[..., nba.Annotator]]:
    """A factory of annotators on `n` gray pictures of 100 by 80 pixels; closed with the test."""
    made: list[nba.Annotator] = []

    def make(n: int = 5, kind: type[nba.Annotator] = nba.Annotator, **options: Any) -> Any:
        pictures = {f"{i}.png": np.full((80, 100), 40 + i, np.uint8) for i in range(n)}
        options.setdefault("store", None)
        if kind is nba.Annotator and "schema" not in options:
            options.setdefault("classes", ["cat", "dog"])
            options.setdefault("tags", ["day", "night"])
        made.append(kind(options.pop("images", pictures), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Browser:
    """The browser's end of an annotator's layer: sends messages, reads traits."""

    def __init__(self, annotator: nba.Annotator) -> None:
        self.layer = annotator._controller.screen.layer
        self.client = str(uuid.uuid4())
        self.numbers = itertools.count(1)

    def send(self, *messages: Any, seq: int | None = None, again: bool = False) -> int:
        """Send messages as one batch; the number of the last."""
        items = [
            {"seq": next(self.numbers) if seq is None else seq, "message": message}
            for message in messages
        ]
        self.raw({"type": "messages", "client": self.client, "messages": items, "again": again})
        return items[-1]["seq"]

    def raw(self, content: Any) -> None:
        """Send anything."""
        self.layer._handle_custom_msg(content, [])

    def edit(self, *changes: dict[str, Any], goto: int | None = None) -> int:
        return self.send({"op": "edit", "changes": list(changes), "seconds": 1.5, "goto": goto})

    @property
    def acked(self) -> int:
        return self.layer.acked.get(self.client, 0)

    @property
    def notice(self) -> str:
        return (self.layer.view["notice"] or {"text": ""})["text"]

    @property
    def slots(self) -> dict[str, dict[str, Any]]:
        """What the stages show, by image."""
        slots = [getattr(self.layer, f"slot_{number}") for number in range(12)]
        return {slot["image"]: slot for slot in slots if slot}

    @property
    def current(self) -> str | None:
        position = self.layer.view["position"]
        return next((i for i, slot in self.slots.items() if slot["position"] == position), None)


def box(image: str, label_id: str, class_id: int = 1, **more: Any) -> dict[str, Any]:
    """A change that creates a box."""
    place = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 15.0}
    start = {"op": "create", "label_id": label_id, "image": image, "kind": "box"}
    return {**start, "class_id": class_id, **place, **more}

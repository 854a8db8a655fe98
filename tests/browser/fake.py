"""The whole view in a bare page, with a fake model: what a kernel would say, and what it is told.

The page gets the modules joined into one, as a notebook does: that is also several times faster.
Points and boxes are in pixels of the picture; where they are on the screen is asked of the canvas
that bears the picture, so that shapes are tested against what the user sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from nbannotate.widgets import bundle
from nbannotate.widgets.keys import DEFAULTS as KEYS

SCRIPT, STYLE = bundle.script(), bundle.style()
PICTURE = (400, 300)
HEIGHT = 616  # of the stage: a picture of 300 rows and its margins of 8 fit at exactly 2 times
SCALE = 2

Point = tuple[float, float]


def named(number: int, name: str, color: str, hotkey: str | None = None) -> dict[str, Any]:
    """A class or a tag, as the kernel sends it."""
    return {"id": number, "name": name, "color": color, "hotkey": hotkey, "retired": False}


CAT, DOG = named(1, "cat", "#E69F00", "1"), named(2, "dog", "#56B4E9", "2")


def attribute(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """An attribute, as the kernel sends it."""
    rest = dict.fromkeys(["min", "max", "step", "default", "hotkey"])
    return {"name": name, "type": kind, "choices": [], "required": False, **rest, **more}


def config(**more: Any) -> dict[str, Any]:
    """The trait `config`: two classes, no tags."""
    return {
        "schema": {
            "classes": more.pop("classes", [CAT, DOG]),
            "tags": more.pop("tags", []),
            "attributes": more.pop("attributes", []),
        },
        "shapes": True,
        "view_only": False,
        "auto_advance": True,
        "handed_out": False,
        "select_new": False,
        "keys": KEYS,
        "store_id": "store",
        "smallest_side": 2,
        "height": HEIGHT,
        "title": "",
        **more,
    }


def box(label_id: str, class_id: int, *place: float, **more: Any) -> dict[str, Any]:
    """A label of kind box on a.jpg, as the kernel sends it."""
    sides = dict(zip(["x", "y", "width", "height"], place, strict=True))
    rest = {"image": "a.jpg", "kind": "box", "class_id": class_id, "attributes": {}}
    return {"label_id": label_id, **rest, **sides, **more}


def slot(position: int, labels: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """An image of the ring: a.jpg, b.jpg or c.jpg, shown at half its size."""
    image = f"{'abc'[position]}.jpg"
    width, height = PICTURE
    return {
        "image": image,
        "position": position,
        "width": width,
        "height": height,
        "shown": [width // 2, height // 2],
        "paint": position + 1,
        "error": None,
        "status": "todo",
        "note": None,
        "unsure": False,
        "labels": [{**label, "image": image} for label in labels],
        **more,
    }


def view(**more: Any) -> dict[str, Any]:
    """The trait `view`: the first of three images, nothing done."""
    progress = {"done": 0, "skipped": 0, "flagged": 0, "total": 3, "seconds_per_image": None}
    return {
        "position": 0,
        "total": 3,
        "filter": {"status": "all", "class_id": None, "text": ""},
        "progress": progress,
        "counts": {},
        "can_undo": False,
        "can_redo": False,
        "trouble": None,
        "notice": None,
        "select": None,
        **more,
    }


class Widget:
    """The view, mounted in a page; its hands and eyes.

    Parameters
    ----------
    page
        An empty one.
    labels
        Those of a.jpg.
    traits
        Traits to replace.
    settings
        Parts of `config` to replace.
    """

    def __init__(
        self,
        page: Page,
        labels: list[dict[str, Any]] | None = None,
        traits: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.page = page
        self.traits = {
            "config": config(**settings),
            "view": view(),
            "acked": {},
            "resend": 0,
            "slot_0": slot(0, labels or []),
            "slot_1": slot(1, []),
            "slot_2": slot(2, []),
            **(traits or {}),
        }
        page.add_style_tag(content=STYLE)
        if not page.evaluate("() => 'mount' in globalThis"):
            page.add_script_tag(path=Path(__file__).parent / "fake.js")
        page.evaluate("([script, traits]) => mount(script, traits)", [SCRIPT, self.traits])
        if self.traits["slot_0"].get("paint"):
            page.locator("img.nba-slot").first.wait_for()
        self.stage = page.locator(".nba-stage")
        self.stage.focus()

    @property
    def sent(self) -> list[dict[str, Any]]:
        """All that the kernel was told."""
        found: list[dict[str, Any]] = self.page.evaluate("() => fake.model.sent")
        return found

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The numbered messages, each when it was sent first."""
        sent = [content for content in self.sent if content["type"] == "messages"]
        return [one["message"] for some in sent if not some["again"] for one in some["messages"]]

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The changes in all edits, in order, without what was seen."""
        edits = [message for message in self.messages if message["op"] == "edit"]
        changes = [change for edit in edits for change in edit["changes"]]
        return [{name: change[name] for name in change if name != "seen"} for change in changes]

    @property
    def selected(self) -> str | None:
        """The label that the kernel was last told is selected."""
        told = [content["label_id"] for content in self.sent if content["type"] == "select"]
        return told[-1] if told else None

    @property
    def said(self) -> str | None:
        """What a screen reader was told last."""
        return self.page.locator(".nba-spoken").text_content()

    def kernel_says(self, **traits: Any) -> None:
        """Set traits as one update of the kernel does."""
        self.page.evaluate("(traits) => fake.says(traits)", traits)

    def picture(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the picture on the page."""
        found = self.page.evaluate(
            """() => {
              const shown = [...fake.cell.querySelectorAll('img.nba-slot')].filter(
                (canvas) => getComputedStyle(canvas).visibility === 'visible');
              if (shown.length !== 1) throw new Error(`${shown.length} pictures are shown`);
              const { left, top, width, height } = shown[0].getBoundingClientRect();
              return [left, top, width, height];
            }"""
        )
        return tuple(found)

    def screen(self, point: Point) -> Point:
        """Where a point of the picture is on the page."""
        left, top, width, height = self.picture()
        return left + point[0] * width / PICTURE[0], top + point[1] * height / PICTURE[1]

    def image(self, point: Point) -> Point:
        """Which point of the picture is at a point of the page."""
        left, top, width, height = self.picture()
        return (point[0] - left) * PICTURE[0] / width, (point[1] - top) * PICTURE[1] / height

    def move(self, point: Point) -> None:
        """Move the mouse to a point of the picture."""
        self.page.mouse.move(*self.screen(point))

    def click(self, point: Point, **options: Any) -> None:
        """Click on a point of the picture."""
        self.page.mouse.click(*self.screen(point), **options)

    def drag(self, start: Point, end: Point, **options: Any) -> None:
        """Drag the mouse from one point of the picture to another."""
        here, there = self.screen(start), self.screen(end)
        self.page.mouse.move(*here)
        self.page.mouse.down(**options)
        self.page.mouse.move(*there, steps=2)
        self.page.mouse.up(**options)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def pixel(self, sheet: str, point: Point) -> str:
        """Colour of a sheet, "shapes" or "live", over a point of the picture, as #rrggbbaa."""
        found: str = self.page.evaluate(
            """([name, x, y]) => {
              const sheet = document.querySelector(`canvas.nba-${name}`);
              const { left, top, width } = sheet.getBoundingClientRect();
              const ratio = sheet.width / width;
              const at = [Math.floor((x - left) * ratio), Math.floor((y - top) * ratio)];
              const bytes = sheet.getContext('2d').getImageData(...at, 1, 1).data;
              return '#' + [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
            }""",
            [sheet, *self.screen(point)],
        )
        return found


def call_each(page: Page, module: str, function: str, arguments: list[list[Any]]) -> list[Any]:
    """What a function of one of our modules returns for each list of arguments."""
    found: list[Any] = page.evaluate(
        """async ([module, name, calls]) => {
          const functions = await import(`/browser/${module}`);
          return calls.map((given) => functions[name](...given));
        }""",
        [module, function, arguments],
    )
    return found


def three_boxes(page: Page) -> Widget:
    """A widget with a box, a smaller one in it and another beside it; the select tool."""
    boxes = [
        box("big", 1, 100, 100, 200, 150),
        box("small", 2, 160, 150, 40, 40),
        box("beside", 1, 20, 20, 50, 40),
    ]
    widget = Widget(page, boxes)
    widget.press("v")
    return widget

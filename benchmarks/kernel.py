"""The kernel's side: puts one contender at a time on the page, all in the same place."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import ipywidgets

import nbannotate as nba
from benchmarks.photos import HEIGHT, WIDTH
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.store import open_store

CLASSES = ["cat", "dog", "bird"]
CLEAR = 100  # pixels from the corner where drags begin, free of boxes
COLORS = ("#e69f00", "#56b4e9", "#009e73")

Box = tuple[int, int, int, int]


def boxes(count: int) -> list[Box]:
    """Boxes all over the picture, the same at each call: x, y, width, height in pixels."""
    chance = random.Random(0)
    made: list[Box] = []
    while len(made) < count:
        width, height = chance.randint(8, 40), chance.randint(8, 40)
        x, y = chance.randint(0, WIDTH - width), chance.randint(0, HEIGHT - height)
        if x >= CLEAR or y >= CLEAR:
            made.append((x, y, width, height))
    return made


class Stand:
    """A place on the page, for one contender at a time."""

    def __init__(self, photos: Path) -> None:
        self.folder = photos
        self.paths = sorted(photos.glob("*.jpg"))
        self.root = ipywidgets.VBox([])
        self.root.add_class("bench-stand")
        self.widget: Any = None
        self._former: Any = None

    def clear(self) -> None:
        """Take the widget off the page; it is closed when the next one has come and gone.

        Not at once: a page paints nothing on any canvas any more after ipycanvas was told to paint
        on one that is closed before the page came to it.
        """
        self.root.children = ()
        if self._former is not None:
            self._former.close()
        self._former, self.widget = self.widget, None

    def put(self, widget: Any) -> None:
        self.widget = widget
        self.root.children = (widget,)

    def ours(self, count: int, *, jump: int = 0) -> None:
        """With `jump`, only every so manieth image is left to do."""
        self.clear()
        store = open_store(Path(tempfile.mkdtemp(dir=".")) / "labels.db")
        schema = nba.Schema(CLASSES)
        project = Project(open_source(self.folder), store, schema)
        first = self.paths[0].name
        places = [
            {"op": "create", "image": first, "kind": "box", "label": CLASSES[i % len(CLASSES)]}
            | dict(zip(("x", "y", "width", "height"), map(float, box), strict=True))
            for i, box in enumerate(boxes(count))
        ]
        done = [
            {"op": "image", "image": path.name, "changes": {"status": "done"}}
            for place, path in enumerate(self.paths)
            if jump and place % jump
        ]
        for changes in (places, done):
            if changes:
                project.commit(changes)
        self.put(nba.BoxAnnotator(self.folder, schema=schema, store=store))

    def ipycanvas(self, count: int) -> None:
        """A rubber band drawn by the kernel, as a user of ipycanvas writes it."""
        import ipycanvas

        self.clear()
        canvas = ipycanvas.MultiCanvas(3, width=WIDTH, height=HEIGHT)
        band = canvas[2]
        band.stroke_style, band.line_width = COLORS[0], 2
        start: list[tuple[float, float]] = []

        def down(x: float, y: float) -> None:
            start[:] = [(x, y)]

        def move(x: float, y: float) -> None:
            if not start:
                return
            left, top = start[0]
            with ipycanvas.hold_canvas():
                band.clear()
                band.stroke_rect(left, top, x - left, y - top)

        def up(_x: float, _y: float) -> None:
            start.clear()

        canvas.on_mouse_down(down)
        canvas.on_mouse_move(move)
        canvas.on_mouse_up(up)
        self.put(canvas)
        picture = ipywidgets.Image(value=self.paths[0].read_bytes(), format="jpeg")
        with ipycanvas.hold_canvas():
            canvas[0].draw_image(picture, 0, 0, WIDTH, HEIGHT)
            canvas[1].stroke_style = COLORS[1]
            if count:
                canvas[1].stroke_rects(*map(list, zip(*boxes(count), strict=True)))

    def bbox(self, count: int, *, jump: int = 1) -> None:
        """With `jump`, it goes from the second picture on to every so manieth, as `ours` does."""
        from jupyter_bbox_widget import BBoxWidget

        self.clear()
        names = ("x", "y", "width", "height")
        made = [
            dict(zip(names, box, strict=True)) | {"label": CLASSES[i % len(CLASSES)]}
            for i, box in enumerate(boxes(count))
        ]
        widget = BBoxWidget(image=str(self.paths[0]), classes=CLASSES, bboxes=made)
        place = 0

        @widget.on_submit
        def submit() -> None:
            nonlocal place
            place = (place // jump + 1) * jump if place else 1
            with widget.hold_sync():
                widget.image = str(self.paths[place])
                widget.bboxes = []

        self.put(widget)

    def qsl(self, count: int) -> None:
        import qsl

        self.clear()
        items: list[dict[str, Any]] = [{"target": str(path)} for path in self.paths]
        if count:
            made = [
                {
                    "pt1": {"x": x / WIDTH, "y": y / HEIGHT},
                    "pt2": {"x": (x + width) / WIDTH, "y": (y + height) / HEIGHT},
                    "labels": {"class": [CLASSES[i % len(CLASSES)]]},
                }
                for i, (x, y, width, height) in enumerate(boxes(count))
            ]
            # Labels of its own would send it to the first image without any.
            items[0]["defaults"] = {
                "image": {},
                "polygons": [],
                "masks": [],
                "boxes": made,
                "dimensions": {"width": WIDTH, "height": HEIGHT},
            }
        options = [{"name": name} for name in CLASSES]
        config = {"image": [], "regions": [{"name": "class", "options": options}]}
        widget = qsl.MediaLabeler(items=items, config=config, maxViewHeight=HEIGHT)
        self.put(widget)

    def labels(self) -> int:
        """How many labels are in our store."""
        return len(self.widget.store.labels)

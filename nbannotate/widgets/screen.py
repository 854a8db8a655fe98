"""What the browser shows: the gesture layer, told what is so, with pictures ahead of time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbannotate.core.walk import Walk
from nbannotate.errors import ImageError, StoreError
from nbannotate.images import Identity, Pictures
from nbannotate.project import Project
from nbannotate.widgets import messages
from nbannotate.widgets.layer import SLOTS, Layer
from nbannotate.widgets.messages import Look
from nbannotate.widgets.origin import Origin
from nbannotate.widgets.overlay import Overlay
from nbannotate.widgets.stage import Ring, Stage

if TYPE_CHECKING:
    from ipycanvas import Canvas

_RENDERED_AHEAD = 3  # times the images that the ring has ahead
_PATIENCE = 0.1  # seconds that all waits for the picture that is looked at
_FRAMES = 0.05  # seconds that the browser has for a picture before it gets the next


class Screen:
    """The widgets of an annotator, and what they are told.

    Parameters
    ----------
    project
        The labels. Its lock is held while anything is told or painted.
    walk
        The images in their order, and which is shown.
    ahead
        How many of the next images the browser has before they are shown.
    config, view
        What the browser is told first; see `Layer` and `show`.
    receive
        Called with each message of the browser.
    report
        Called with an error of the background, and what it was about.
    on_read
        Called with the key and content of each image that was read, on a thread of its own.
    on_idle
        Called in the background when the browser has all pictures that it is to have.
    """

    def __init__(
        self,
        project: Project,
        walk: Walk,
        *,
        ahead: int,
        config: Mapping[str, Any],
        view: Mapping[str, Any],
        receive: Callable[[Any], object],
        report: Callable[[Exception, Any], object],
        on_read: Callable[[str, Identity], object],
        on_idle: Callable[[], object],
    ) -> None:
        self.walk = walk
        self.origin = Origin()
        """Whence the browser is to be told, on whatever thread."""
        self.pictures = Pictures(project.source, on_read=on_read)
        # With all that the browser starts from: it may start before it is told any more.
        self.layer = Layer(receive, config=dict(config), view=self._view(view))
        self._project = project
        self._report = report
        self._on_idle = on_idle
        self._ahead = min(max(ahead, 0), SLOTS - 2)
        self._ring = Ring(self._ahead + 2)
        self._slots: dict[int, dict[str, Any]] = {}
        self._ended = threading.Event()
        self._feeder = ThreadPoolExecutor(1, thread_name_prefix="nbannotate-feeder")
        self._images: list[str] = []
        self._look: Look | None = None
        self.root = ipywidgets.GridBox([self.layer])
        self.root.add_class("nba-root")
        self._overlay = Overlay(self._add, report)

    def show(self, view: Mapping[str, Any], touched: Iterable[str] = (), **traits: object) -> None:
        """Tell the browser which images it has, and what is on them.

        Parameters
        ----------
        view
            What ``View`` in ``browser/types.js`` asks for beyond position and total.
        touched
            Images whose labels or status are others than when they were last told.
        **traits
            Other traits of the layer, told in the same message.
        """
        self.origin.run(self._show, view, set(touched), traits)

    @property
    def canvas(self) -> Canvas:
        """The canvas over the picture; see `Overlay`."""
        self.origin.run(self._show_overlay, wanted=True)
        return self._overlay.canvas

    def on_show(self, painter: Callable[[str], object]) -> None:
        """Have the callback paint over each image that is shown."""
        self.origin.run(self._overlay.on_show, painter)
        self.origin.run(self._show_overlay, wanted=True)

    def retry(self, image: str) -> None:
        """Read an image again that could not be shown."""
        self.origin.run(self._retry, image)

    def _show(
        self, view: Mapping[str, Any], touched: set[str], traits: Mapping[str, object]
    ) -> None:
        with self._project.lock:
            places = self.walk.around(self._ahead)
            images = [self.walk.shown[place] for place in places]
            stages = self._ring.want(images)
            # The one that is looked at goes first, alone.
            is_awaited = bool(stages) and stages[0].is_waiting
            has_come = is_awaited and self.pictures.bring(images[0], _PATIENCE)
            # The others come with their pictures: what is looked at waits for nothing else.
            try:
                self._load(stages[:1] + [one for one in stages[1:] if not one.is_waiting], touched)
            except StoreError as error:  # tells all else; reads them when it is next called
                view = {**view, "trouble": view["trouble"] or str(error)}
            if has_come:
                self._take(stages[0])
            with self.layer.hold_sync():
                for name, value in traits.items():
                    setattr(self.layer, name, value)
                for stage in self._ring.stages:
                    self._tell(stage)
                self.layer.view = self._view(view)
            self._show_overlay()
            is_same = images == self._images and not any(stage.is_waiting for stage in stages)
            if is_same or not images:
                return
            self._images = images
            self._feeder.submit(self.origin.run, self._bring_missing, images)

    def _retry(self, image: str) -> None:
        with self._project.lock:
            stage = self._ring.stage_of(image)
            if stage is not None and stage.error is not None:
                stage.assign(image)
                self._bring(stage, retry=True)

    def look(self, wanted: Look) -> None:
        """Render a part of the image more sharply, in the background."""
        self._look = wanted
        self._feeder.submit(self.origin.run, self._bring_crisp)

    def close(self) -> None:
        """End the threads and the widgets."""
        self._ended.set()
        self._feeder.shutdown(wait=False, cancel_futures=True)
        self.pictures.close()
        self.layer.close()
        self.root.close()

    def _view(self, view: Mapping[str, Any]) -> dict[str, Any]:
        return {**view, "position": self.walk.position, "total": len(self.walk)}

    def _coming(self, images: list[str]) -> list[str]:
        """The images of the ring, and those that it will want next."""
        last = self.walk.position + self._ahead
        return [*images, *self.walk.shown[last + 1 : last + 1 + _RENDERED_AHEAD * self._ahead]]

    def _load(self, stages: list[Stage], touched: set[str]) -> None:
        """Read the labels of the images that are new in the ring or have changed."""
        wanted = [
            stage.image
            for stage in stages
            if stage.image is not None
            and (stage.image in touched or self._slot(stage).get("image") != stage.image)
        ]
        if not wanted:
            return
        reader = self._project.reader
        labels, rows = reader.labels_of(wanted), reader.images_of(wanted)
        for stage in stages:
            if stage.image in labels:
                row = rows.get(stage.image, {})
                self._slots[stage.number] = {
                    "image": stage.image,
                    "status": row.get("status", "todo"),
                    "note": row.get("note"),
                    "unsure": bool(row.get("unsure", False)),
                    "labels": [messages.label(label) for label in labels[stage.image]],
                }

    def _slot(self, stage: Stage) -> dict[str, Any]:
        return self._slots.get(stage.number, {})

    def _tell(self, stage: Stage) -> None:
        """Set the stage's trait."""
        place = None if stage.image is None else self.walk.place(stage.image)
        # One that waits has no labels yet, perhaps those of its former image.
        if place is None or self._slot(stage).get("image") != stage.image:
            self._slots.pop(stage.number, None)
            self.layer.set_slot(stage.number, {}, b"")
            return
        width, height = stage.size
        self.layer.set_slot(
            stage.number,
            {
                **self._slot(stage),
                "position": place,
                "width": width,
                "height": height,
                "shown": list(stage.shown),
                "paint": stage.paint_number,
                "error": stage.error,
            },
            stage.data or b"",
        )

    def _take(self, stage: Stage, *, retry: bool = False) -> None:
        """Give a stage its picture, or the reason why there is none."""
        assert stage.image is not None
        try:
            picture = self.pictures.get(stage.image, retry=retry)
        except ImageError as error:
            stage.fail(str(error))
            return
        self._project.note_size(stage.image, picture.width, picture.height)
        stage.take(picture)

    def _bring(self, stage: Stage, *, retry: bool = False) -> None:
        """Show a stage's image, or why it cannot be shown."""
        self._take(stage, retry=retry)
        self._load([stage], set())
        with self.layer.hold_sync():
            self._tell(stage)
        self._show_overlay()

    def _show_overlay(self, *, wanted: bool = False) -> None:
        """Have the overlay painted for the image that is shown, once its picture is there."""
        with self._project.lock:
            image = self.walk.current
            stage = None if image is None else self._ring.stage_of(image)
            if stage is None or stage.data is None or not (wanted or self._overlay.is_used):
                return
            self._overlay.show(str(image), stage.size, stage.shown)
            self.layer.overlay = self._overlay.image

    def _add(self, widget: ipywidgets.Widget) -> None:
        self.root.children = (*self.root.children, widget)

    def _bring_missing(self, images: list[str]) -> None:
        """Bring, in the background, what the ring lacks; ends when it wants other images."""
        try:
            self._bring_waiting(images[0])
            # What was told last is still on its way out of this process, and goes first.
            self._ended.wait(_FRAMES)
            if images is self._images:
                self.pictures.want(self._coming(images))
            for image in images[1:]:
                if images is not self._images:
                    return
                if self._bring_waiting(image):
                    self._ended.wait(_FRAMES)
            self._on_idle()
        except Exception as error:
            self._report(error, images)

    def _bring_waiting(self, image: str) -> bool:
        """Bring an image if it is still waited for; whether it was."""
        stage = self._ring.stage_of(image)
        if stage is None or not stage.is_waiting:
            return False
        with suppress(ImageError):  # told below, from what `pictures` keeps of it
            self.pictures.get(image)  # waits here, not with the lock held
        with self._project.lock:
            stage = self._ring.stage_of(image)
            if stage is None or not stage.is_waiting:
                return False
            self._bring(stage)
            return True

    def _bring_crisp(self) -> None:
        wanted, self._look = self._look, None
        if wanted is None:  # a later one was asked for, and is done
            return
        try:
            data = self.pictures.crop(wanted.image, wanted.box, wanted.size)
            with self._project.lock:
                if self.walk.current != wanted.image:
                    return
                with self.layer.hold_sync():
                    self.layer.crisp = {"image": wanted.image, "box": list(wanted.box)}
                    self.layer.crisp_picture = data
        except Exception as error:
            self._report(error, wanted)

"""The annotators: widgets that show images one by one and keep what is said about them.

A gesture's way: ``browser/gestures.js`` → ``browser/queue.js`` → `inbox` → `Annotator` →
`nbannotate.project` → store; and back over `screen`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets
import pandas as pd

from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.walk import Walk
from nbannotate.errors import LabelError, NbannotateError
from nbannotate.images import Images, Indexes, open_source
from nbannotate.project import Event, Order, Progress, Project
from nbannotate.store import Store, open_store
from nbannotate.widgets import keys as keymap
from nbannotate.widgets import messages
from nbannotate.widgets.attached import Attached
from nbannotate.widgets.inbox import Inbox, Stamp
from nbannotate.widgets.messages import Filter
from nbannotate.widgets.screen import Screen

_ERRORS_KEPT = 1000


@dataclass(frozen=True)
class Problem:
    """Something that went wrong while the user worked.

    Parameters
    ----------
    at
        When.
    text
        What, in words.
    error
        The exception.
    about
        The message or the event that it came from, so that nothing in it is lost.
    """

    at: pd.Timestamp
    text: str
    error: Exception
    about: Any

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.text}"


class Annotator(ipywidgets.VBox):  # type: ignore[misc]
    """Shows images one by one to draw boxes, set tags and attributes; an ordinary ipywidget.

    Parameters
    ----------
    images
        A folder, a pattern, a zip archive, a URL, a list or dict of paths, PIL images, arrays or
        bytes, or a DataFrame with a path column; see `nbannotate.images.open_source`.
    schema
        What labels may be; or give the three parts of it.
    classes, tags, attributes
        See `nbannotate.Schema`.
    store
        Where labels are kept: the path of a file, made where there is none; None: memory only;
        or an open store.
    indexes
        Only some of the images: positions, keys, a slice or booleans.
    order
        ``"sequential"``, ``"random"``, or a callable that takes the keys and gives them back in
        its order.
    annotator
        Who labels; None: the name of the user of this machine.
    view_only
        Whether labels are only looked at.
    auto_advance
        Whether the choice of a tag goes on to the next image, where there is one question only.
    keys
        Keys of actions that differ from the defaults, such as ``{"done": "d"}``; ``?`` in the
        widget shows all.
    ahead
        How many of the next images are painted in the browser before they are shown.
    height
        Of the picture on the page, in CSS pixels; None: by the width of the cell.

    Raises
    ------
    ImageError
        If there are no images.
    SchemaError
        If the scheme contradicts itself.
    StoreError
        If the store cannot be opened.

    Examples
    --------
    >>> import numpy as np
    >>> import nbannotate as nba
    >>> ann = nba.Annotator(
    ...     [np.zeros((40, 60), np.uint8)], classes=["cat"], tags=["day", "night"], store=None
    ... )
    >>> label_id = ann.add("image-0001", label="cat", box=(5, 5, 20, 10))
    >>> ann.labels.loc[label_id, ["label", "width"]].tolist()
    ['cat', 20.0]
    """

    def __init__(
        self,
        images: Images,
        schema: Schema | None = None,
        *,
        classes: Any = (),
        tags: Any = (),
        attributes: Any = (),
        store: str | Path | Store | None = "labels.db",
        indexes: Indexes | None = None,
        order: Order = "sequential",
        annotator: str | None = None,
        view_only: bool = False,
        auto_advance: bool = True,
        keys: Mapping[str, str | None] | None = None,
        ahead: int = 4,
        height: int | None = None,
    ) -> None:
        if schema is None:
            schema = Schema(classes, tags, attributes)
        elif classes or tags or attributes:
            raise NbannotateError(
                "give either schema= or classes=, tags= and attributes=, not both"
            )
        source = open_source(images, indexes=indexes)
        opened = store if isinstance(store, Store) else open_store(store)
        self._project = Project(source, opened, schema, annotator=annotator)
        self._view_only = view_only
        self._keys = keys
        self._options: dict[str, Any] = {
            "shapes": bool(self._project.schema.classes),
            "view_only": view_only,
            "auto_advance": auto_advance,
            "height": height,
            "store_id": opened.id,
            "title": source.describe(),
        }
        self._filter = Filter()
        self._problems: list[Problem] = []
        self._notice: dict[str, Any] | None = None
        self._asked: str | None = None
        self._selected: str | None = None
        self._touched: set[str] = set()
        self._events: list[Event] = []
        self._on_change: list[Callable[[Event], object]] = []
        self._on_submit: list[Callable[..., object]] = []
        self._inbox = Inbox(opened.acknowledged, self._take, self._report)
        walk = Walk(self._project.arranged(order))
        if not view_only and not self._is_todo(str(walk.current)):
            walk.go(walk.next_where(self._is_todo) or 0)  # where the work was left
        self._screen = Screen(
            self._project, walk, ahead=ahead, receive=self._receive, report=self._report
        )
        self._attached = Attached(self._set_attribute)
        self._configure()
        self._project.listen(self._listen)
        super().__init__([self._screen.root])
        self.add_class("nba-annotator")
        self._show()

    # --- what was labelled ---

    @property
    def labels(self) -> pd.DataFrame:
        """The labels of all images, a copy; columns as in the documentation of `Dataset`."""
        return self._project.labels

    @property
    def images(self) -> pd.DataFrame:
        """All images with their status, size and note, a copy."""
        return self._project.images

    @property
    def history(self) -> pd.DataFrame:
        """Every edit ever made, a copy."""
        return self._project.history

    @property
    def schema(self) -> Schema:
        """What labels may be."""
        return self._project.schema

    @property
    def dataset(self) -> Dataset:
        """Labels, images and scheme together, to be written or split."""
        return self._project.dataset

    @property
    def store(self) -> Store:
        """Where the labels are kept."""
        return self._project.store

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        return self._project.progress

    @property
    def errors(self) -> list[Problem]:
        """What went wrong while the user worked, newest first."""
        return self._problems[::-1]

    # --- going about ---

    @property
    def current(self) -> str | None:
        """Key of the image that is shown; None if the filter leaves none."""
        return self._walk.current

    @property
    def selected(self) -> str | None:
        """Id of the shape that is selected in the browser; None if none is."""
        return self._selected

    def next(self) -> None:
        """Go to the next image."""
        self._go(self._walk.position + 1)

    def previous(self) -> None:
        """Go to the image before."""
        self._go(self._walk.position - 1)

    def goto(self, image: int | str) -> None:
        """Go to an image.

        Parameters
        ----------
        image
            Its key, or its place among the images shown, from 0; negative: from the end.

        Raises
        ------
        ImageError
            If there is no such image.
        """
        if isinstance(image, str):
            self._project.source.position(image)
            if self._walk.place(image) is None:
                self.filter()
            self._go(self._walk.place(image) or 0)
        else:
            total = len(self._walk)
            if not -total <= image < total:
                raise LabelError(f"there is no image {image}; {total} are shown, from 0")
            self._go(image % total)

    def submit(self) -> None:
        """The image that is shown is done; go to the next."""
        self._finish("done")

    def skip(self) -> None:
        """Skip the image that is shown; go to the next."""
        self._finish("skipped")

    def flag(self, note: str | None = None) -> None:
        """Flag the image that is shown, with a note that says why."""
        self._edit([self._status_change("flagged", note=note)])

    def filter(self, status: str = "all", label: str | None = None, text: str = "") -> None:
        """Show only some of the images.

        Parameters
        ----------
        status
            ``"todo"``, ``"done"``, ``"skipped"``, ``"flagged"``, ``"unsure"`` or ``"all"``.
        label
            Only images that bear this class or tag.
        text
            Only images whose key contains this.
        """
        if status not in messages.FILTERS:
            raise LabelError(f"status {status!r} is unknown; use {', '.join(messages.FILTERS)}")
        class_id = None if label is None else self.schema.named(label).id
        with self._changing():
            self._set_filter(Filter(status, class_id, text))

    def select(self, label_id: str | None) -> None:
        """Select a shape in the browser; goes to its image."""
        with self._changing():
            row = None if label_id is None else self.store.label(label_id)
            if label_id is not None and row is None:
                raise LabelError(f"there is no label {label_id!r}")
            if row is not None and self._walk.place(row["image"]) is not None:
                self._walk.go(self._walk.place(row["image"]) or 0)
            self._asked = self._selected = label_id

    # --- labelling from Python, on the same path as a gesture ---

    def add(
        self,
        image: str,
        kind: str | None = None,
        label: str | None = None,
        box: Sequence[float] | None = None,
        **more: Any,
    ) -> str:
        """Add a label.

        Parameters
        ----------
        image
            Key of the image.
        kind
            As in the labels table; None: ``"box"`` with a box, else ``"tag"``.
        label
            Name of the class or tag.
        box
            x, y, width, height in pixels of the upright image.
        **more
            Other columns: ``attributes``, ``text``, ``score``, ``source``.

        Returns
        -------
        Its label_id. Of a tag that the image bears already, that one's.

        Raises
        ------
        LabelError, SchemaError
            If the scheme does not allow it or the box is not in the image.
        StoreError
            If it cannot be saved.
        """
        kind = kind or ("tag" if box is None else "box")
        change = {"op": "create", "image": image, "kind": kind, "label": label}
        event = self._edit([{**change, **_placed(box), **more}])
        if event is None:
            tag = self.schema.find(str(label), "tag").id
            rows = self.store.labels_of([image])[image]
            return next(str(row["label_id"]) for row in rows if row["class_id"] == tag)
        return str(event.edits[-1].label_id)

    def update(self, label_id: str, *, box: Sequence[float] | None = None, **changes: Any) -> None:
        """Change a label.

        Parameters
        ----------
        label_id
            The label.
        box
            x, y, width, height in pixels of the upright image.
        **changes
            Columns: ``label``, ``attributes`` (those named are changed), ``text``, ``x`` …
        """
        both = {**_placed(box), **changes}
        self._edit([{"op": "update", "label_id": label_id, "changes": both}])

    def delete(self, label_id: str) -> None:
        """Delete a label."""
        self._edit([{"op": "delete", "label_id": label_id}])

    def undo(self) -> None:
        """Take the last step back, whichever image it was on."""
        with self._changing():
            self._reverse(self._project.undo())

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        with self._changing():
            self._reverse(self._project.redo())

    # --- taking part ---

    def on_change(self, callback: Callable[[Event], object]) -> Callable[[Event], object]:
        """Call back after each edit that was saved, with the `Event`; also as a decorator."""
        self._on_change.append(callback)
        return callback

    def on_submit(self, callback: Callable[..., object]) -> Callable[..., object]:
        """Call back after an image is done; also as a decorator.

        Parameters
        ----------
        callback
            Takes the key of the image, or nothing.
        """
        self._on_submit.append(callback)
        return callback

    def attach(self, widget: ipywidgets.Widget, name: str) -> None:
        """Make an ipywidget the field of an attribute of the selected shape.

        Parameters
        ----------
        widget
            Anything with a ``value``: a checkbox, slider, dropdown, text …
        name
            Of the attribute. One that the scheme lacks is added, of the widget's type.

        Raises
        ------
        SchemaError
            If the widget has no value, or one that no attribute can have.
        """
        with self._changing():
            attribute = self._attached.add(widget, name, self.schema)
            if attribute not in self.schema.attributes:
                self._project.schema = self.schema.with_attribute(attribute)
            self._configure()
            self.children = (self._screen.root, self._attached.box)

    def close(self) -> None:
        """End the widget. Everything saved stays in the store."""
        self._screen.close()
        super().close()

    def __repr__(self) -> str:
        done, total = self.progress.done, self.progress.total
        name = type(self).__name__
        return (
            f"{name}: {total} images, {done} done, {sum(self._project.counts.values())} labels in "
            f"{self.store.name}. Run the cell to go on."
        )

    # --- inside ---

    @property
    def _walk(self) -> Walk:
        return self._screen.walk

    def _is_todo(self, image: str) -> bool:
        return self._project.status(image) == "todo"

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock; at the end, tell the browser, then those who wait for events."""
        with self._project.lock:
            try:
                yield
            finally:
                self._show()
            while self._events:
                self._call(self._events.pop(0))

    def _edit(self, changes: Sequence[Mapping[str, Any]]) -> Event | None:
        with self._changing():
            return self._project.commit(changes)

    def _finish(self, status: str) -> None:
        if self.current is None:
            return
        with self._changing():
            self._project.commit([self._status_change(status)])
            self._walk.go(self._walk.position + 1)

    def _status_change(self, status: str, **more: Any) -> dict[str, Any]:
        if self.current is None:
            raise LabelError("no image is shown; widen the filter with ann.filter()")
        return {"op": "image", "image": self.current, "changes": {"status": status, **more}}

    def _go(self, position: int) -> None:
        with self._changing():
            self._walk.go(position)

    def _set_filter(self, wanted: Filter) -> None:
        self._filter = wanted
        self._walk.keep(
            self._project.keeps(wanted.status, class_id=wanted.class_id, text=wanted.text)
        )

    def _reverse(self, event: Event | None) -> None:
        place = None if event is None else self._walk.place(event.images[0])
        if place is not None:
            self._walk.go(place)

    def _receive(self, content: Any) -> None:
        with self._changing():
            try:
                message = messages.received(content)
                if isinstance(message, messages.Batch):
                    self._inbox.receive(message)
                elif isinstance(message, messages.Select):
                    self._selected = message.label_id
                else:
                    self._screen.retry(message.image)
            except Exception as error:  # an error here would vanish in the kernel's log
                self._report(error, content)

    def _take(self, message: messages.Message, stamp: Stamp) -> None:
        project, walk = self._project, self._walk
        if isinstance(message, messages.Edit | messages.Reverse) and self._view_only:
            raise LabelError("this widget is for viewing only; make one without view_only=True")
        match message:
            case messages.Edit(changes, seconds, goto):
                project.commit(changes, seconds=seconds, message=stamp)
                if goto is not None:
                    walk.go(goto)
            case messages.Reverse("undo"):
                self._reverse(project.undo(message=stamp))
            case messages.Reverse():
                self._reverse(project.redo(message=stamp))
            case messages.Goto(position):
                walk.go(position)
            case messages.NextTodo():
                place = walk.next_where(self._is_todo)
                if place is None:
                    self._say("No image is to do any more")
                else:
                    walk.go(place)
            case messages.SetFilter(wanted):
                self._set_filter(wanted)
            case messages.Nothing():
                pass

    def _listen(self, event: Event) -> None:
        self._touched.update(event.images)
        self._events.append(event)

    def _call(self, event: Event) -> None:
        for on_change in list(self._on_change):
            self._guarded(partial(on_change, event), event)
        if event.op != "edit":
            return
        done = [e.image for e in event.edits if e.op == "image" and _is_done(e.after)]
        for image in done:
            for on_submit in list(self._on_submit):
                self._guarded(partial(_submitted, on_submit, image), event)

    def _guarded(self, call: Callable[[], object], about: Any) -> None:
        try:
            call()
        except Exception as error:
            self._report(error, about)
            self._show()

    def _report(self, error: Exception, about: Any) -> None:
        ours = isinstance(error, NbannotateError)
        text = str(error) if ours else f"{type(error).__name__}: {error}"
        self._problems.append(Problem(pd.Timestamp.now().floor("ms"), text, error, about))
        del self._problems[:-_ERRORS_KEPT]
        self._say(text)

    def _say(self, text: str) -> None:
        self._notice = {"number": time.time_ns(), "text": text}

    def _set_attribute(self, name: str, value: Any) -> None:
        if self._selected is not None and not self._view_only:
            self.update(self._selected, attributes={name: value})

    def _configure(self) -> None:
        shapes = self._options["shapes"]
        actions, hotkeys = keymap.assign(self.schema, self._keys, shapes=shapes)
        self._screen.layer.config = messages.config(
            self.schema,
            hotkeys=hotkeys,
            keys=actions,
            attached=self._attached.names,
            select_new=bool(self.schema.attributes),
            **self._options,
        )

    def _show(self) -> None:
        project = self._project
        view = {
            "filter": messages.filter_dict(self._filter),
            "progress": messages.progress(project.progress),
            "counts": {str(key): count for key, count in project.counts.items()},
            "can_undo": project.can_undo,
            "can_redo": project.can_redo,
            "trouble": self._inbox.trouble,
            "notice": self._notice,
            "select": self._asked,
        }
        touched, self._touched = self._touched, set()
        self._screen.show(view, touched, acked=self._inbox.acked, resend=self._inbox.resend)
        row = None if self._selected is None else self.store.label(self._selected)
        self._attached.show(row)


class BoxAnnotator(Annotator):
    """Draws boxes.

    Parameters
    ----------
    images
        See `Annotator`.
    classes
        Names; or dicts with ``name``, ``id``, ``color``, ``key``; or a dict from ids to names.
    attributes
        A dict from names to types: ``bool``, ``str``, ``(low, high)``, a list of choices.
    **options
        See `Annotator`.
    """

    def __init__(
        self, images: Images, classes: Any = (), *, attributes: Any = (), **options: Any
    ) -> None:
        super().__init__(images, classes=classes, attributes=attributes, **options)


class TagAnnotator(Annotator):
    """Sets tags of whole images, one key press each.

    Parameters
    ----------
    images
        See `Annotator`.
    classes
        The tags: names, or dicts with ``name``, ``id``, ``color``, ``key``.
    multiple
        Whether an image may bear several.
    **options
        See `Annotator`.
    """

    def __init__(
        self, images: Images, classes: Any = (), *, multiple: bool = False, **options: Any
    ) -> None:
        tags = {"tag": {"choices": classes, "multiple": multiple}} if classes else ()
        super().__init__(images, tags=tags, **options)


def _placed(box: Sequence[float] | None) -> dict[str, float]:
    if box is None:
        return {}
    values = [float(value) for value in box]
    if len(values) != 4:
        raise LabelError(f"box {tuple(box)} has {len(values)} numbers; give x, y, width, height")
    return dict(zip(("x", "y", "width", "height"), values, strict=True))


def _is_done(after: Mapping[str, Any] | None) -> bool:
    return after is not None and after.get("status") == "done"


def _submitted(callback: Callable[..., object], image: str) -> None:
    try:
        inspect.signature(callback).bind(image)
    except TypeError:
        callback()
    else:
        callback(image)

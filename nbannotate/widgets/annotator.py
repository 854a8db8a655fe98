"""The annotator: a widget that shows images one by one and keeps what is said about them.

What it does is in `nbannotate.widgets.controller`; this is what people call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import pandas as pd

from nbannotate.core.dataset import Dataset
from nbannotate.core.live_schema import LiveSchema
from nbannotate.core.people import Naming
from nbannotate.core.reconciliation import Reconciliation
from nbannotate.core.schema import Schema
from nbannotate.core.walk import Walk
from nbannotate.errors import ImageError, LabelError, NbannotateError
from nbannotate.images import Images, Indexes, open_source
from nbannotate.project import Event, Order, Progress, Project
from nbannotate.store import Store, open_store
from nbannotate.widgets.controller import Controller
from nbannotate.widgets.messages import FILTERS, Filter
from nbannotate.widgets.problems import Problem

if TYPE_CHECKING:
    from ipycanvas import Canvas


class Annotator(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
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
        Who labels; None: the name of the user of this machine; `nbannotate.PSEUDONYM`: a lasting
        name that does not tell who bears it; `nbannotate.ANONYMOUS`: none.
    assign
        How several annotators divide the work of one store. ``"shared"``: images are handed out,
        a few at a time; ``"all"``: everyone labels every image; None: all work on all. The first
        who gives it settles it for the store.
    overlap
        How many annotators each image is handed out to. Above 1, and with ``assign="all"``, they
        are blind to each other: each sees their own labels alone. `nbannotate.open` shows all.
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
    >>> ann.labels[["image", "label", "width"]].values.tolist()
    [['image-0001', 'cat', 20.0]]
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
        annotator: str | Naming | None = None,
        assign: str | None = None,
        overlap: int | None = None,
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
        self._project = Project(
            source, opened, schema, annotator=annotator, assign=assign, overlap=overlap
        )
        self._controller = Controller(
            self._project,
            Walk(self._project.share.begin(self._project.arranged(order))),
            ahead=ahead,
            keys=keys,
            view_only=view_only,
            auto_advance=auto_advance,
            height=height,
            title=source.describe(),
        )
        super().__init__([self._controller.screen.root])
        self.add_class("nba-annotator")

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
    def schema(self) -> LiveSchema:
        """What labels may be; its methods edit it: ``ann.schema.rename("car", "vehicle")``."""
        return LiveSchema(self.store.schema_record.schema, self._controller.edit_schema)

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
        return self._controller.problems.all[::-1]

    # --- going about ---

    @property
    def current(self) -> str | None:
        """Key of the image that is shown; None if the filter leaves none."""
        return self._controller.walk.current

    @property
    def selected(self) -> str | None:
        """Id of the shape that is selected in the browser; None if none is."""
        return self._controller.selected

    def next(self) -> None:
        """Go to the next image."""
        self._controller.go(self._controller.walk.position + 1)

    def previous(self) -> None:
        """Go to the image before."""
        self._controller.go(self._controller.walk.position - 1)

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
        controller, walk = self._controller, self._controller.walk
        if isinstance(image, str):
            self._project.source.position(image)
            if walk.place(image) is None:
                self.filter()
            place = walk.place(image)
            if place is None:
                raise ImageError(f"{image!r} is not in the order that was given")
            controller.go(place)
        else:
            total = len(walk)
            if not -total <= image < total:
                raise ImageError(f"there is no image {image}; {total} are shown, from 0")
            controller.go(image % total)

    def submit(self) -> None:
        """The image that is shown is done; go to the next."""
        self._controller.finish("done")

    def skip(self) -> None:
        """Skip the image that is shown; go to the next."""
        self._controller.finish("skipped")

    def flag(self, note: str | None = None) -> None:
        """Flag the image that is shown, with a note that says why."""
        change = self._controller.status_change("flagged", note=note)
        self._controller.edit([change])

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
        if status not in FILTERS:
            raise LabelError(f"status {status!r} is unknown; use one of {', '.join(FILTERS)}")
        class_id = None if label is None else self.schema.named(label).id
        self._controller.filter(Filter(status, class_id, text))

    def select(self, label_id: str | None) -> None:
        """Select a shape in the browser; goes to its image."""
        self._controller.select(label_id)

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
        event = self._controller.edit([{**change, **_placed(box), **more}])
        if event is None:
            tag = self.schema.find(str(label), "tag").id
            rows = self._project.reader.labels_of([image])[image]
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
        self._controller.edit([{"op": "update", "label_id": label_id, "changes": both}])

    def delete(self, label_id: str) -> None:
        """Delete a label."""
        self._controller.edit([{"op": "delete", "label_id": label_id}])

    def undo(self) -> None:
        """Take the last step back, whichever image it was on."""
        self._controller.undo()

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self._controller.redo()

    def reconcile(
        self,
        *,
        dry_run: bool = False,
        accept_changed: bool = False,
        choose: Mapping[str, str] | None = None,
        verify: bool = True,
    ) -> Reconciliation:
        """Bring the labels of images that were renamed or moved to where these are now.

        They are found again by their content, which is recorded with the labels, and moved in one
        step that one undo takes back. No image is moved to where another has labels.

        Parameters
        ----------
        dry_run
            Whether only to say what it would do.
        accept_changed
            Whether to record the content of images that have changed as it is now; their labels
            stay.
        choose
            Which of several images of the same content is meant: old key to new key.
        verify
            Whether to read images that have kept their name and size too. Without, it is much
            faster, and a change that leaves the number of bytes as it was is not seen.

        Returns
        -------
        What was ``moved``, what has ``changed``, what is ``missing`` or ``ambiguous``; its
        ``table`` is a DataFrame.
        """
        return self._controller.reconcile(
            dry_run=dry_run, accept_changed=accept_changed, choose=choose, verify=verify
        )

    # --- taking part ---

    def on_change(self, callback: Callable[[Event], object]) -> Callable[[Event], object]:
        """Call back after each edit that was saved, with the `Event`; also as a decorator."""
        self._controller.on_change.append(callback)
        return callback

    def on_submit(self, callback: Callable[..., object]) -> Callable[..., object]:
        """Call back after an image is done; also as a decorator.

        Parameters
        ----------
        callback
            Takes the key of the image, or nothing.
        """
        self._controller.on_submit.append(callback)
        return callback

    @property
    def canvas(self) -> Canvas:
        """An ipycanvas over the picture and under the shapes, to paint heatmaps or masks on.

        Its unit is a pixel of the upright image; `put_image_data`, which no canvas scales, takes
        pixels of the picture as it is shown, and that has at most 4 megapixels. It is empty again
        when another image is shown; `on_show` paints on each.

        Examples
        --------
        >>> @ann.on_show                                                       # doctest: +SKIP
        ... def outline(image):
        ...     ann.canvas.stroke_rect(*expected[image])
        """
        return self._controller.screen.canvas

    def on_show(self, callback: Callable[[str], object]) -> Callable[[str], object]:
        """Call back with the key of each image that is shown, to paint on `canvas`.

        Also for the one that is shown now, and again after the page was reloaded. As a decorator,
        too. An error of the callback is shown in the widget.
        """
        self._controller.screen.on_show(callback)
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
        controller = self._controller
        with controller.changing():
            attribute = controller.attached.add(widget, name, self.schema)
            if attribute not in self.schema.attributes:
                self._project.schema = self.schema.with_attribute(attribute)
            controller.configure()
            self.children = (controller.screen.root, controller.attached.box)

    def close(self) -> None:
        """End the widget. Everything saved stays in the store."""
        if hasattr(self, "_controller"):  # else it was refused; ipywidgets closes what it drops
            self._controller.close()
        super().close()

    def __repr__(self) -> str:
        done, total = self.progress.done, self.progress.total
        name = type(self).__name__
        return (
            f"{name}: {total} images, {done} done, {sum(self._project.counts.values())} labels in "
            f"{self.store.name}. Run the cell to go on."
        )


def _placed(box: Sequence[float] | None) -> dict[str, float]:
    if box is None:
        return {}
    values = [float(value) for value in box]
    if len(values) != 4:
        raise LabelError(f"box {tuple(box)} has {len(values)} numbers; give x, y, width, height")
    return dict(zip(("x", "y", "width", "height"), values, strict=True))

"""A scheme, images and a store joined into one thing that can be edited: the only way in.

A gesture's message and a Python call both end in `Project.commit`: checked against the scheme,
committed to the store, then told to everyone who listens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nbannotate.core.changes import Change, Changer
from nbannotate.core.dataset import Dataset
from nbannotate.core.edits import Batch, Edit, Row, inverted
from nbannotate.core.events import Event, Listeners, Op
from nbannotate.core.live_schema import LiveSchema
from nbannotate.core.moves import followed
from nbannotate.core.people import Naming
from nbannotate.core.reconciliation import Reconciliation
from nbannotate.core.schema import Schema
from nbannotate.core.schema_edits import Planner, SchemaChange
from nbannotate.core.tables import images_table
from nbannotate.core.walk import Keep
from nbannotate.errors import (
    ConflictError,
    ImageError,
    RightsError,
    SchemaError,
    StaleSchemaError,
)
from nbannotate.images import Identity, Images, ImageSource, identify, open_source, size
from nbannotate.project import reconciling
from nbannotate.project.order import Order, arranged
from nbannotate.project.progress import Progress, Standing
from nbannotate.project.share import Share
from nbannotate.store import BlindReader, Store, annotator_name, open_store

_TRIES = 3
"""How often a commit is tried again while others edit the scheme."""


class Project:
    """Images, their labels and the scheme, edited in steps that can be undone.

    Parameters
    ----------
    source
        The images.
    store
        Where labels live.
    schema
        What labels may be. A store that has a scheme keeps it, ids above all, and gets what is
        new in this one.
    annotator
        Who edits; None: the name of the user of this machine; `PSEUDONYM`: a lasting name that
        does not tell who bears it; `ANONYMOUS`: none.
    assign, overlap
        How the work is given to annotators; see `nbannotate.store.Store.assign`. None: all work
        on all.
    on_error
        Told of each error that a listener raises. None: it goes to the log, which a notebook
        shows.

    Notes
    -----
    Safe to use from several threads: everything that changes state takes one lock.
    """

    def __init__(
        self,
        source: ImageSource,
        store: Store,
        schema: Schema,
        *,
        annotator: str | Naming | None = None,
        assign: str | None = None,
        overlap: int | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        self.source = source
        self.store = store
        self.annotator = annotator_name(annotator, store.id)
        self.lock = threading.RLock()
        store.extend_schema(schema)
        self.share = Share(store, source, self.annotator, assign, overlap)
        self.reader = self.share.reader
        """What the annotator sees of the store."""
        self._listeners = Listeners(on_error)
        self._sizes: dict[str, tuple[int, int]] = {}
        self._identities: dict[str, Identity] = {}
        self._seen = store.last_batch()
        self._undo = store.undo_stack(self.annotator)
        self._has_passed_over = False
        self._standing = Standing(source, self.reader, self.annotator, self.share.assignment)

    @property
    def schema(self) -> LiveSchema:
        """The scheme of the store, with what edits it."""
        return LiveSchema(self.store.schema_record.schema, self.edit_schema)

    @schema.setter
    def schema(self, schema: Schema) -> None:
        self.store.schema = schema

    def edit_schema(self, planner: Planner, *, dry_run: bool = False) -> SchemaChange:
        """Make an edit of the scheme as one step, labels included, then tell the listeners.

        Parameters
        ----------
        planner
            One of the edits in `nbannotate.core.schema_edits`, given the scheme as it is.
        dry_run
            Whether only to say what it would do.

        Raises
        ------
        SchemaError
            If the scheme or labels stand against it; nothing is then changed.
        """
        with self.lock:
            change = self.store.edit_schema(planner, annotator=self.annotator, dry_run=dry_run)
            if change.batch is not None:
                self._tell("edit", Batch(change.batch, self.annotator, None, 0.0, change.edits))
            return change

    @property
    def labels(self) -> pd.DataFrame:
        """All labels that the annotator sees, a copy."""
        return self.reader.labels

    @property
    def images(self) -> pd.DataFrame:
        """All images of the source and the store, those of the source first, a copy."""
        touched = self.reader.images
        keys: pd.Index[str] = pd.Index(list(self.source.keys), dtype="string", name="image")
        rest = touched.index.difference(keys, sort=False)
        frame = touched.reindex(keys.append(rest))
        fresh = ~frame.index.isin(touched.index)
        frame.loc[fresh, "status"] = "todo"
        paths = pd.Series([self.source.path(k) for k in keys], index=keys, dtype="string")
        frame["path"] = paths.reindex(frame.index).fillna(frame["path"])  # where they are now
        sizes = pd.DataFrame.from_dict(
            dict(self._sizes), orient="index", columns=["width", "height"], dtype="Int64"
        ).reindex(frame.index)
        for side in ("width", "height"):
            frame[side] = sizes[side].fillna(frame[side])
        return images_table(frame)

    @property
    def history(self) -> pd.DataFrame:
        """Every edit that the annotator sees, a copy."""
        return self.reader.history

    @property
    def dataset(self) -> Dataset:
        """Labels, images and scheme together."""
        with self.lock:
            return Dataset(self.labels, self.images, self.store.schema_record.schema)

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        with self.lock:
            return self._standing.progress

    @property
    def counts(self) -> dict[int, int]:
        """How many labels each class and tag has, by id."""
        return self._standing.counts

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return self._undo.to_undo is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return self._undo.to_redo is not None

    def status(self, image: str) -> str:
        """Status of an image."""
        with self.lock:
            return self._standing.status(image)

    def note_size(self, image: str, width: int, height: int) -> None:
        """Remember the size of an upright image in pixels."""
        self._sizes[image] = (width, height)

    def size(self, image: str) -> tuple[int, int] | None:
        """Width and height of the upright image in pixels; None if it cannot be read."""
        if image not in self._sizes:
            try:
                raw = self.source.load(image)
                self.note_size(image, *size(raw, image))
            except ImageError:
                return None
            if isinstance(raw, bytes):  # that it was read took longer; pixels were there already
                self.note_identity(image, identify(raw, image))
        return self._sizes[image]

    def note_identity(self, image: str, identity: Identity) -> None:
        """Remember the content of an image, which its next edit records if none is yet."""
        self._identities[image] = identity

    def has_changed(self, image: str) -> bool:
        """Whether the content of an image, as it was noted, is other than was recorded."""
        noted = self._identities.get(image)
        row = self.store.images_of([image]).get(image, {})
        recorded = row.get("hash")
        return noted is not None and recorded is not None and recorded != noted.hash

    def reconcile(
        self,
        *,
        dry_run: bool = False,
        accept_changed: bool = False,
        choose: Mapping[str, str] | None = None,
        verify: bool = True,
    ) -> Reconciliation:
        """Bring the labels of images that were renamed or moved to where these are now.

        They are found again by the content that was recorded of them, and moved in one step with
        all that is said of them. No image is moved to where another has labels.

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

        Raises
        ------
        ImageError
            If there are no images any more, or `choose` does not fit.
        ConflictError
            If others keep moving the same images.
        StoreError
            If the store cannot take it. In any case nothing is then changed.
        """

        def commit(edit: Edit) -> int | None:
            with self.lock:
                event = self._apply("edit", [edit])
                return None if event is None else event.batch

        return reconciling.reconcile(
            self.store,
            self.source,
            commit,
            dry_run=dry_run,
            accept_changed=accept_changed,
            choose=choose,
            verify=verify,
        )

    def commit(
        self,
        changes: Iterable[Change],
        *,
        seconds: float | None = None,
        message: tuple[str, int] | None = None,
    ) -> Event | None:
        """Check the changes, commit them as one step, then tell the listeners.

        Parameters
        ----------
        changes
            As in `nbannotate.core.changes`.
        seconds
            Active time spent on them.
        message
            Client and number of the message that asks for them.

        Returns
        -------
        None if nothing changed.

        Raises
        ------
        LabelError, SchemaError
            If a change is not allowed; none of them is then made.
        ConflictError
            If someone else has changed the same since it was read; none of them is then made.
        StoreError
            If the store cannot take them; none of them is then made.
        """
        with self.lock:
            # What is asked for again would be refused: its label is there, or gone, already.
            if message is not None and message[1] <= self.store.acknowledged(message[0]):
                self.refresh()  # it may have been saved by a commit that did not return
                return None
            changes = list(changes)
            for _ in range(_TRIES):
                with suppress(StaleSchemaError):
                    return self._commit(changes, seconds, message)
            return self._commit(changes, seconds, message)

    def undo(self, *, message: tuple[str, int] | None = None) -> Event | None:
        """Take back the last step that is not taken back; None if there is none.

        `ConflictError` if someone else has changed the same since; that step is then passed over.
        """
        with self.lock:
            self.refresh()
            return self._reverse("undo", self._undo.to_undo, message)

    def redo(self, *, message: tuple[str, int] | None = None) -> Event | None:
        """Do the step again that was taken back last; None if there is none."""
        with self.lock:
            self.refresh()
            return self._reverse("redo", self._undo.to_redo, message)

    @property
    def has_news(self) -> bool:
        """Whether other projects have committed what `refresh` would take in."""
        with self.lock:
            return self.store.last_batch() > self._seen

    def refresh(self) -> None:
        """Take in what other projects have committed to the store, and tell the listeners."""
        with self.lock:
            self._listeners.tell(*self._others())

    def listen(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call `callback` with each `Event` once it is committed; returns what ends that."""
        return self._listeners.add(callback)

    def keeps(
        self, status: str = "all", *, class_id: int | None = None, text: str = ""
    ) -> Keep | None:
        """What tells whether an image fits all conditions now; None where all images do.

        Parameters
        ----------
        status
            A status, ``unsure`` or ``all``.
        class_id
            A class or tag of which the image bears a label; None for any.
        text
            A part of its key, whatever the case.
        """
        tests: list[Keep] = []
        if status == "unsure":
            tests.append(self.reader.unsure_images().__contains__)
        elif status != "all":
            tests.append(lambda image: self.status(image) == status)
        if class_id is not None:
            tests.append(self.reader.images_with(class_id).__contains__)
        if text:
            part = text.casefold()
            tests.append(lambda image: part in image.casefold())
        return (lambda image: all(test(image) for test in tests)) if tests else None

    def arranged(self, order: Order) -> Sequence[str]:
        """The image keys in the order asked for; see `nbannotate.project.order`."""
        return arranged(self.source, order, self.store.id)

    def _commit(
        self, changes: Sequence[Change], seconds: float | None, message: tuple[str, int] | None
    ) -> Event | None:
        record = self.store.schema_record
        if message is not None:  # a browser may not have heard yet of an edit of the scheme
            changes = [record.followed_change(change) for change in changes]
        edits = self._changer(record.schema).edits(changes, seconds)
        return self._apply("edit", edits, seconds=seconds, message=message)

    def _changer(self, schema: Schema) -> Changer:
        def labels_of(image: str) -> list[Row]:
            return self.reader.labels_of([image])[image]

        return Changer(
            schema,
            labels_of=labels_of,
            label=self.reader.label,
            image=lambda image: self.reader.images_of([image]).get(image),
            size=self.size,
            has_image=self.source.has,
            annotator=self.annotator,
            clock=self.store.now,
            verdict_of=self.reader.verdict_of if isinstance(self.reader, BlindReader) else None,
        )

    def _reverse(
        self, op: Literal["undo", "redo"], batch: int | None, message: tuple[str, int] | None
    ) -> Event | None:
        edits = [] if batch is None else inverted(self.store.batch(batch))
        try:
            if batch is not None and not any(edit.is_wide for edit in edits):
                record, moves = self.store.schema_record, self.store.moves_since(batch)
                edits = [followed(record.followed_edit(edit), moves) for edit in edits]
            return self._apply(op, edits, reverses=batch, message=message)
        except (ConflictError, RightsError, SchemaError) as error:
            assert batch is not None
            self._undo.drop(batch)  # else it would stand before all others
            self._has_passed_over = True
            raise ConflictError(
                f"{error}. That step is left as it is; {op} goes on with the one before"
            ) from error

    def _apply(
        self,
        op: Literal["edit", "undo", "redo"],
        edits: list[Edit],
        *,
        seconds: float | None = None,
        reverses: int | None = None,
        message: tuple[str, int] | None = None,
    ) -> Event | None:
        # Such an edit may touch every image; to read their sizes would take for ever.
        is_wide = any(edit.is_wide for edit in edits)
        images = {} if is_wide else dict.fromkeys(edit.image for edit in edits)
        number = self.store.apply(
            edits,
            annotator=self.annotator,
            seconds=seconds,
            reverses=reverses,
            message=message,
            facts={image: self._facts(image) for image in images},
            leases=self.share.leases,
        )
        if number is None:
            return None
        return self._tell(op, Batch(number, self.annotator, reverses, seconds or 0.0, tuple(edits)))

    def _tell(self, op: Op, batch: Batch) -> Event:
        """Take in a batch of our own, and those of others before it, and tell the listeners."""
        others = self._others(batch.number)
        event = self._take_in(op, batch)
        self._listeners.tell(*others, event)
        return event

    def _others(self, before: int | None = None) -> list[Event]:
        """Take in the batches that others have committed, those before a number of our own."""
        end = self.store.last_batch() + 1 if before is None else before
        if end == self._seen + 1:
            return []
        batches = self.store.batches_after(self._seen)
        if self._has_passed_over:  # what others did may have made way for it
            self._has_passed_over = False
            self._undo = self.store.undo_stack(self.annotator)
        events = [self._take_in("other", batch) for batch in batches if batch.number < end]
        return [event for event in events if event.edits]

    def _take_in(self, op: Op, batch: Batch) -> Event:
        is_own = batch.annotator == self.annotator
        if is_own:
            self._undo.push(batch.number, batch.reverses)
        elif self.share.is_blind:
            seen = tuple(edit for edit in batch.edits if self._sees(edit))
            self._standing.take_in_others(batch.edits)
            batch = replace(batch, edits=seen)
        self._standing.take_in(batch)
        if is_own or not self.share.is_blind:
            self.share.take_in(batch.edits)
        self._seen = batch.number
        return Event(op, batch.number, batch.edits)

    def _sees(self, edit: Edit) -> bool:
        """Whether an annotator who is blind to others sees what another has done."""
        row = edit.before if edit.op == "delete" else edit.after
        if edit.op == "update":
            row = self.reader.label(str(edit.label_id))
        is_own = row is not None and row.get("annotator") == self.annotator
        return edit.is_wide or (edit.op != "image" and is_own)

    def _facts(self, image: str) -> Row:
        found = self.size(image)
        facts: Row = {"path": self.source.path(image) if self.source.has(image) else None}
        if image in self._identities:
            facts |= self._identities[image]._asdict()
        return facts if found is None else {**facts, "width": found[0], "height": found[1]}


def reconcile(
    images: Images,
    store: str | Path | Store | None = "labels.db",
    *,
    annotator: str | Naming | None = None,
    **options: Any,
) -> Reconciliation:
    """Bring the labels of images that were renamed or moved to where these are, without a widget.

    Parameters
    ----------
    images
        As for `nbannotate.Annotator`.
    store
        Where labels are kept: a path, or an open store.
    annotator
        Who does it; None: the name of the user of this machine.
    **options
        ``dry_run``, ``accept_changed``, ``choose`` and ``verify``, as for `Project.reconcile`.

    Examples
    --------
    >>> import nbannotate as nba
    >>> nba.reconcile({"a.png": b"", "b.png": b""}, store=None, dry_run=True).counts["moved"]
    0
    """
    source = open_source(images)
    with nullcontext(store) if isinstance(store, Store) else open_store(store) as opened:
        return Project(source, opened, Schema(), annotator=annotator).reconcile(**options)

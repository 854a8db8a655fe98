"""Joins the labels with what the browser shows: does what messages ask for, tells what is so.

A gesture's way: ``browser/gestures.js`` → ``browser/queue.js`` → `inbox` → here →
`nbannotate.project` → store; and back over `screen`. Calls from Python come in here as well.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from nbannotate.core.assignment import image_changes
from nbannotate.core.reconciliation import Reconciliation
from nbannotate.core.schema_edits import Planner, SchemaChange, SchemaPlan
from nbannotate.core.schema_record import SchemaRecord
from nbannotate.core.walk import Walk
from nbannotate.errors import LabelError, NbannotateError, StoreError
from nbannotate.project import Event, Project
from nbannotate.widgets import keys as keymap
from nbannotate.widgets import messages
from nbannotate.widgets.attached import Attached
from nbannotate.widgets.inbox import Inbox, Stamp
from nbannotate.widgets.messages import Filter
from nbannotate.widgets.problems import Problems
from nbannotate.widgets.recognition import Recognition
from nbannotate.widgets.screen import Screen


class Controller:
    """What an annotator does, whoever asks for it.

    Parameters
    ----------
    project
        The labels. Its lock is held while anything changes.
    walk
        The images in their order.
    ahead
        How many of the next images are painted before they are shown.
    keys
        Keys of actions that differ from the defaults.
    view_only
        Whether the browser may change nothing.
    **options
        Further fields of ``Config`` in ``browser/types.js``.
    """

    def __init__(
        self,
        project: Project,
        walk: Walk,
        *,
        ahead: int,
        keys: Mapping[str, str | None] | None,
        view_only: bool,
        **options: Any,
    ) -> None:
        self.project = project
        self.walk = walk
        self.problems = Problems()
        self.selected: str | None = None
        """Id of the label that is selected in the browser."""
        self.on_change: list[Callable[[Event], object]] = []
        self.on_submit: list[Callable[..., object]] = []
        self._keys = keys
        self._view_only = view_only
        self._options = options
        self._filter = Filter()
        self._asked: str | None = None
        self._touched: set[str] = set()
        self._events: list[Event] = []
        self._is_schema_new = False
        self._stamp: Stamp | None = None  # of the message that is being taken
        self._writers: dict[str, str] = {}
        self._notes_told = len(project.store.notes)
        for note in project.store.notes:  # here, for no browser is there yet to say it
            warnings.warn(note, stacklevel=4)
        if not view_only:
            project.store.claim(project.annotator)  # said here, not with the first box
        self._needed = ahead + 1
        self._hand_out()
        if not view_only and walk.current is not None and not self._is_todo(walk.current):
            walk.go(walk.next_where(self._is_todo) or 0)  # where the work was left
        self._inbox = Inbox(project.store.acknowledged, self._take, self.problems.report)
        self.attached = Attached(self._set_attribute)
        self._recognition = Recognition(project, self._look_again)
        self.screen = Screen(
            project,
            walk,
            ahead=ahead,
            config=self._config(),
            view=self._view(),
            receive=self._receive,
            report=self._tell_of,
            on_read=self._recognition.take,
            on_idle=self._recognition.search,
        )
        project.listen(self._listen)
        self._show()
        self._end_watching = project.store.watch(self._hear)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; at the end, tell the browser, then those who wait for events."""
        with self.project.lock:
            try:
                yield
            finally:
                self._hand_out()
                self._show()
            while self._events:
                self._call(self._events.pop(0))

    def edit(self, changes: Sequence[Mapping[str, Any]]) -> Event | None:
        """Make changes as one step; None if nothing changed."""
        with self.changing():
            return self.project.commit(changes)

    def finish(self, status: str) -> None:
        """Give the image that is shown a status and go to the next."""
        with self.changing():
            self.project.commit([self.status_change(status)])
            self.walk.go(self.walk.position + 1)

    def status_change(self, status: str, **more: Any) -> dict[str, Any]:
        """The change that gives the image that is shown a status."""
        if self.walk.current is None:
            raise LabelError("no image is shown; widen the filter with ann.filter()")
        return {"op": "image", "image": self.walk.current, "changes": {"status": status, **more}}

    def go(self, position: int) -> None:
        """Show the image of this place in the walk."""
        with self.changing():
            self.walk.go(position)

    def filter(self, wanted: Filter) -> None:
        """Show only some of the images."""
        with self.changing():
            self._keep(wanted)

    def select(self, label_id: str | None) -> None:
        """Select a label in the browser, on its image."""
        with self.changing():
            row = None if label_id is None else self.project.reader.label(label_id)
            if label_id is not None and row is None:
                raise LabelError(f"there is no label {label_id!r}")
            if row is not None:
                self._show_image(row["image"])
            self._asked = self.selected = label_id

    def undo(self, message: Stamp | None = None) -> None:
        """Take the last step back, and show where that was."""
        with self.changing():
            self._follow(self.project.undo(message=message))

    def redo(self, message: Stamp | None = None) -> None:
        """Do the step again that was taken back last, and show where that was."""
        with self.changing():
            self._follow(self.project.redo(message=message))

    def refresh(self) -> None:
        """Take in, and show, what others have committed to the store."""
        with self.changing():
            self.project.refresh()

    def edit_schema(self, planner: Planner, *, dry_run: bool = False) -> SchemaChange:
        """Make an edit of the scheme; refused where its keys are those of actions."""

        def checked(record: SchemaRecord) -> SchemaPlan:
            plan = planner(record)
            schema = plan.after.schema
            with warnings.catch_warnings():  # it warns when the browser is told
                warnings.simplefilter("ignore", keymap.KeyConflict)
                keymap.assign(schema, self._keys, shapes=bool(schema.classes))
            return plan

        with self.changing():
            return self.project.edit_schema(checked, dry_run=dry_run)

    def reconcile(self, **options: Any) -> Reconciliation:
        """Bring labels to images that were renamed; see `Project.reconcile`."""
        try:
            return self.project.reconcile(**options)  # reads files: not with the lock held
        finally:
            self._look_again()

    def configure(self) -> None:
        """Tell the browser the scheme and the keys, as they are now."""
        self.screen.layer.config = self._config()

    def close(self) -> None:
        """End the threads and the widgets."""
        self._end_watching()
        self._recognition.close()
        self.screen.close()
        with suppress(StoreError):  # what is in hand goes to others in a while, all the same
            self.project.share.release()

    # --- what the browser asks for ---

    def _receive(self, content: Any) -> None:
        with self.changing():
            try:
                message = messages.received(content)
                self.project.share.renew()
                if isinstance(message, messages.Batch):
                    self._inbox.receive(message)
                elif isinstance(message, messages.Select):
                    self.selected = message.label_id
                elif isinstance(message, messages.Look):
                    self.screen.look(message)
                else:
                    self.screen.retry(message.image)
            except Exception as error:  # an error here would vanish in the kernel's log
                self.problems.report(error, content)

    def _take(self, message: messages.Message, stamp: Stamp) -> None:
        self._stamp = stamp
        try:
            self._do(message, stamp)
        finally:
            self._stamp = None

    def _do(self, message: messages.Message, stamp: Stamp) -> None:
        walk = self.walk
        if isinstance(message, messages.Edit | messages.Reverse) and self._view_only:
            raise LabelError("this widget is for viewing only; make one without view_only=True")
        match message:
            case messages.Edit(changes, seconds, goto):
                self.project.refresh()  # to know whose the labels are now
                changes = tuple(self._trusted(change, stamp[0]) for change in changes)
                self.project.commit(changes, seconds=seconds, message=stamp)
                if goto is not None:
                    walk.go(goto)
            case messages.Reverse("undo"):
                self.undo(stamp)
            case messages.Reverse():
                self.redo(stamp)
            case messages.Goto(position):
                walk.go(position)
            case messages.NextTodo():
                place = walk.next_where(self._is_todo)
                if place is None:
                    self.problems.say("No image is to do any more")
                else:
                    walk.go(place)
            case messages.SetFilter(wanted):
                self.filter(wanted)
            case messages.Nothing():
                pass

    def _hand_out(self) -> None:
        """Have images in hand for all that the browser is to have ahead."""
        if not self._view_only:
            try:
                self.walk.extend(self.project.share.more(self._needed))
            except StoreError as error:
                self.problems.report(error, "the handing out of images")

    def _keep(self, wanted: Filter) -> None:
        if wanted.class_id is not None:
            wanted = replace(wanted, class_id=self.project.store.schema_record.now(wanted.class_id))
        self._filter = wanted
        self.walk.keep(
            self.project.keeps(wanted.status, class_id=wanted.class_id, text=wanted.text)
        )

    def _trusted(self, change: Mapping[str, Any], client: str) -> Mapping[str, Any]:
        """The change without what its client has seen, if the label is as that client left it.

        What a client has seen of its own changes may be what it expects them to come to.
        """
        if self._writers.get(str(change.get("label_id"))) != client:
            return change
        return {name: value for name, value in change.items() if name != "seen"}

    def _is_todo(self, image: str) -> bool:
        return self.project.status(image) == "todo"

    def _follow(self, event: Event | None) -> None:
        if event is not None and not event.is_wide:  # that is nowhere, or everywhere
            self._show_image(event.images[0])

    def _show_image(self, image: str) -> None:
        place = self.walk.place(image)
        if place is not None:
            self.walk.go(place)

    def _set_attribute(self, name: str, value: Any) -> None:
        if self.selected is not None and not self._view_only:
            changes = {"attributes": {name: value}}
            self.edit([{"op": "update", "label_id": self.selected, "changes": changes}])

    # --- what is told ---

    def _hear(self) -> None:
        """Someone has committed to the store; called on a thread of its own."""
        try:
            if self.project.has_news:  # else it was this widget
                self.screen.origin.run(self.refresh)
        except Exception as error:  # nobody else would hear of it
            self._tell_of(error, "what others have changed")

    def _look_again(self) -> None:
        with self.changing():
            pass

    def _listen(self, event: Event) -> None:
        self._touched.update(event.images)
        self._is_schema_new |= event.changes_schema
        if any(edit.op == "reconcile" for edit in event.edits):
            self._recognition.forget(event.images)
        for edit in event.edits:
            if self._stamp is not None and event.op != "other":
                self._writers[str(edit.label_id)] = self._stamp[0]
            else:
                self._writers.pop(str(edit.label_id), None)
        self._events.append(event)

    def _tell_of(self, error: Exception, about: Any) -> None:
        with self.project.lock:
            self.problems.report(error, about)
            self._show()

    def _call(self, event: Event) -> None:
        calls: list[Callable[[], object]] = [partial(call, event) for call in self.on_change]
        if event.op == "edit":
            done = [e.image for e in event.edits if image_changes(e).get("status") == "done"]
            calls += [partial(_submitted, call, image) for image in done for call in self.on_submit]
        for call in calls:
            try:
                call()
            except Exception as error:  # the user's own code; the edit is saved
                self._tell_of(error, event)

    def _config(self) -> dict[str, Any]:
        schema = self.project.schema
        shapes = bool(schema.classes)
        actions, hotkeys = keymap.assign(schema, self._keys, shapes=shapes)
        return messages.config(
            schema,
            hotkeys=hotkeys,
            keys=actions,
            attached=self.attached.names,
            shapes=shapes,
            select_new=bool(schema.attributes),
            view_only=self._view_only,
            store_id=self.project.store.id,
            handed_out=self.project.share.leases is not None,
            **self._options,
        )

    def _view(self) -> dict[str, Any]:
        project = self.project
        return {
            "filter": asdict(self._filter),
            "progress": messages.progress(project.progress),
            "counts": {str(key): count for key, count in project.counts.items()},
            "can_undo": project.can_undo,
            "can_redo": project.can_redo,
            "trouble": self._inbox.trouble,
            "notice": self.problems.notice,
            "select": self._asked,
        }

    def _new_config(self) -> dict[str, Any]:
        """The trait that tells of a new scheme; empty where it is the one the browser has."""
        if not self._is_schema_new:
            return {}
        self._is_schema_new = False
        if self._filter.class_id is not None:
            self._keep(self._filter)
        try:
            config = self._config()
        except NbannotateError as error:  # another's edit, with a key that is an action's here
            self.problems.report(error, "the scheme")
            return {}
        return {"config": config}

    def _show(self) -> None:
        notes = self.project.store.notes
        if len(notes) > self._notes_told:  # each is said once
            self._notes_told = len(notes)
            self.problems.say(notes[-1])
        strange = self._recognition.notice(self.walk.current)
        if strange is not None:
            self.problems.report(strange, self.walk.current)
        touched, self._touched = self._touched, set()
        inbox = self._inbox
        config = self._new_config()  # before the view: the filter may follow the scheme
        self.screen.show(
            self._view(),
            touched,
            acked=inbox.acked,
            resend=inbox.resend,
            conflicts=inbox.conflicts,
            **config,
        )
        if self.attached.names:
            selected = self.selected
            self.attached.show(None if selected is None else self.project.reader.label(selected))


def _submitted(callback: Callable[..., object], image: str) -> None:
    try:
        inspect.signature(callback).bind(image)
    except TypeError:
        callback()
    else:
        callback(image)

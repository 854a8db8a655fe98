"""What a commit did, and those who hear of it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nbannotate.core.edits import Edit

Op = Literal["edit", "undo", "redo", "other"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """What a commit did.

    Parameters
    ----------
    op
        ``edit``, ``undo`` or ``redo``; ``other`` if it was made elsewhere, by another project on
        the same store.
    batch
        Its number in the history.
    edits
        The edits in it, in order.
    """

    op: Op
    batch: int
    edits: tuple[Edit, ...]

    @property
    def images(self) -> tuple[str, ...]:
        """Keys of the images it touched, in order."""
        return tuple(dict.fromkeys(key for edit in self.edits for key in edit.images))

    @property
    def is_wide(self) -> bool:
        """Whether it has no place among the images: the scheme, or names of many, changed."""
        return any(edit.is_wide for edit in self.edits)

    @property
    def changes_schema(self) -> bool:
        """Whether it changed the label scheme."""
        return any(edit.op == "schema" for edit in self.edits)


class Listeners:
    """Those who hear of events: all of all of them, in the order of the commits.

    Parameters
    ----------
    on_error
        Told of each error that a listener raises; it keeps no other listener from hearing of the
        event, and takes nothing back. None: it goes to the log, which a notebook shows.
    """

    def __init__(self, on_error: Callable[[Exception], object] | None = None) -> None:
        self._on_error = on_error or _log_error
        self._callbacks: dict[object, Callable[[Event], object]] = {}
        self._untold: deque[Event] = deque()
        self._is_telling = False

    def add(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call `callback` with each event from now on; returns what ends that."""
        token = object()
        self._callbacks[token] = callback

        def end() -> None:
            self._callbacks.pop(token, None)

        return end

    def tell(self, *events: Event) -> None:
        """Tell all listeners of the events."""
        self._untold.extend(events)
        # A listener may commit: of that all hear once all have heard of what made it do so.
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._untold:
                self._tell_one(self._untold.popleft())
        finally:
            self._is_telling = False

    def _tell_one(self, event: Event) -> None:
        for callback in list(self._callbacks.values()):
            try:
                callback(event)
            except Exception as error:
                self._on_error(error)


def _log_error(error: Exception) -> None:
    _log.error("a listener of a commit raised; the commit stands", exc_info=error)

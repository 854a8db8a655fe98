"""Hearing of others' commits: one thread a store, which waits for a signal of its database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from nbannotate.errors import StoreError

RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Signal(Protocol):
    """Tells that a database has changed, over a connection of its own."""

    def changed(self, stop: threading.Event) -> bool:
        """Wait a moment, less if `stop` is set; whether someone has committed since the last call.

        `StoreError` if it cannot tell any more.
        """

    def close(self) -> None:
        """End the connection."""


class Watching:
    """Those who want to hear of commits, and the thread that tells them, while there are any.

    Parameters
    ----------
    open_signal
        Connects to the database; None where nobody else can commit.
    name
        What messages call the database.
    """

    def __init__(self, open_signal: Callable[[], Signal] | None, name: str) -> None:
        self._open_signal = open_signal
        self._name = name
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[[], object]] = {}
        self._thread: _Thread | None = None

    def add(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` soon after each commit from now on; returns what ends that."""
        token = object()
        with self._lock:
            if self._thread is None and self._open_signal is not None:
                self._thread = _Thread(self._open_signal, self._tell, self._name)
                self._thread.start()
            self._callbacks[token] = callback

        def end() -> None:
            with self._lock:
                self._callbacks.pop(token, None)
                if not self._callbacks:
                    self._stop()

        return end

    def close(self) -> None:
        """End all of it, and the connection."""
        with self._lock:
            self._callbacks.clear()
            thread = self._stop()
        if thread is not None and thread is not threading.current_thread():
            # Not for ever: a callback may wait for a lock that who closes the store holds.
            thread.join(2.0)

    def _stop(self) -> _Thread | None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop.set()
        return thread

    def _tell(self) -> None:
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            try:
                callback()
            except Exception as error:
                _log.error("a callback of Store.watch raised", exc_info=error)


class _Thread(threading.Thread):
    def __init__(
        self, open_signal: Callable[[], Signal], tell: Callable[[], None], name: str
    ) -> None:
        super().__init__(name=f"nbannotate watches {name}", daemon=True)
        self.stop = threading.Event()
        self._address = name
        self._open_signal = open_signal
        self._tell = tell
        # Here, not in the thread: a commit right after `add` is heard, and an error is raised.
        self._signal: Signal | None = open_signal()

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                if self._has_news() and not self.stop.is_set():
                    self._tell()
        finally:
            self._close()

    def _has_news(self) -> bool:
        try:
            if self._signal is not None:
                return self._signal.changed(self.stop)
            self._signal = self._open_signal()
            return True  # of what happened while there was no connection nobody will tell
        except StoreError as error:
            if self._signal is not None:
                _log.warning("others' changes are not heard now, trying again: %s", error)
            self._close()
            self.stop.wait(RETRY_SECONDS)
            return False

    def _close(self) -> None:
        if self._signal is not None:
            self._signal.close()
            self._signal = None

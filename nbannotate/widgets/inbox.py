"""Takes each message of the browser once, in the order of its numbers, and says which it has.

The other end is ``browser/queue.js``, which keeps a message until it is acknowledged here and
sends it again until then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbannotate.errors import ConflictError, StoreError
from nbannotate.widgets.messages import Batch, Message, Numbered, conflict, parse

_CLIENTS_KEPT = 32
_CONFLICTS_KEPT = 100

Stamp = tuple[str, int]
"""Client and number of a message."""


class Inbox:
    """The kernel's end of the queue.

    Parameters
    ----------
    acknowledged
        Number of a client's last message that is on disk; 0 for none.
    take
        Does what a message asks for. A `StoreError` leaves the message with the browser, which
        sends it again; a `ConflictError` leaves it to the user to choose; any other error is the
        message's own, and it is not sent again.
    report
        Told of an error and the message that it came from.
    """

    def __init__(
        self,
        acknowledged: Callable[[str], int],
        take: Callable[[Message, Stamp], object],
        report: Callable[[Exception, Any], object],
    ) -> None:
        self._acknowledged = acknowledged
        self._take = take
        self._report = report
        self._last: dict[str, int] = {}
        self.resend = 0
        """Goes up when the browser is to send everything again."""
        self.trouble: str | None = None
        """Why the store takes no edits now; None if it does."""
        self.conflicts: list[dict[str, Any]] = []
        """The last messages that met what someone else has changed. They are acknowledged; the
        browser keeps them until the user has chosen."""

    @property
    def acked(self) -> Mapping[str, int]:
        """Number of the last message of each client that needs no sending again."""
        return dict(self._last)

    def receive(self, batch: Batch) -> None:
        """Take those of the messages that have not been taken."""
        client = batch.client
        last = self._last.pop(client, None)
        try:
            self._last[client] = self._acknowledged(client) if last is None else last
        except StoreError as error:
            self._keep(error, batch)
            return
        while len(self._last) > _CLIENTS_KEPT:
            del self._last[next(iter(self._last))]
        for item in batch.messages:
            if item.seq <= self._last[client]:
                continue
            if not batch.is_all and item.seq != self._last[client] + 1:
                self.resend += 1  # one before it was lost
                return
            if not self._taken(client, item):
                return

    def _taken(self, client: str, item: Numbered) -> bool:
        try:
            self._take(parse(item.content), (client, item.seq))
        except StoreError as error:
            self._keep(error, item.content)
            return False
        except ConflictError as error:
            found = conflict(client, item.seq, error)
            self.conflicts = [*self.conflicts, found][-_CONFLICTS_KEPT:]
        except Exception as error:  # whatever it is, the messages after it must go on
            self._report(error, item.content)
        else:
            self.trouble = None
        self._last[client] = item.seq
        return True

    def _keep(self, error: StoreError, about: Any) -> None:
        """Leave with the browser what the store does not take now."""
        if self.trouble is None:  # told once, not at each try
            self._report(error, about)
        self.trouble = str(error)

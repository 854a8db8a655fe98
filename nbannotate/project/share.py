"""An annotator's share of the work: which images, and what of the store they see."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from nbannotate.core.assignment import Assignment, image_changes
from nbannotate.core.edits import Edit
from nbannotate.errors import StoreError
from nbannotate.images import ImageSource
from nbannotate.store import LEASE_SECONDS, Leases, Reader, Store

_PAUSE = 5.0  # seconds until it is asked again whether others have left something
_SPARE = 3  # images beyond those that are needed, so that not each step asks for one


class Share:
    """What one annotator has of the work of a store.

    Parameters
    ----------
    store
        The store.
    source
        The images that the annotator can show.
    annotator
        Who they are.
    assign, overlap
        As in `Assignment.of`. The first who asks settles it for the store.

    Raises
    ------
    StoreError
        If the store's work is given out in another way.
    """

    def __init__(
        self,
        store: Store,
        source: ImageSource,
        annotator: str | None,
        assign: str | None,
        overlap: int | None,
    ) -> None:
        self.assignment = _settled(store, assign, overlap)
        if self.assignment is not None and annotator is None:
            raise StoreError(
                f"{store.name}: its work is given out by name; use annotator=nbannotate.PSEUDONYM, "
                "which does not tell who bears it"
            )
        is_blind = self.assignment is not None and self.assignment.is_blind
        self.reader: Reader = store.blind(str(annotator)) if is_blind else store
        """What the annotator sees."""
        self.leases: Leases | None = None
        """What the annotator has in hand, where images are handed out."""
        if self.assignment is not None and self.assignment.is_leased:
            self.leases = store.leases(str(annotator))
        self._source = source
        self._annotator = annotator
        self._open: set[str] = set()  # images in hand that are still to do
        self._asked_in_vain = -_PAUSE
        self._renewed = time.monotonic()

    @property
    def is_blind(self) -> bool:
        """Whether the annotator does not see the others' labels."""
        return self.assignment is not None and self.assignment.is_blind

    def begin(self, arranged: Sequence[str]) -> Sequence[str]:
        """The images to walk through: all, or those that were finished and those in hand.

        Parameters
        ----------
        arranged
            All that there are, in the order in which they are to be handed out.
        """
        if self.leases is None:
            return arranged
        self.leases.offer(arranged)
        own = self.reader.finished_by(str(self._annotator))
        finished = [image for image in own if self._source.has(image)]
        held = [image for image in self.leases.held() if self._source.has(image)]
        self._open.update(held)
        return list(dict.fromkeys([*finished, *held]))

    def more(self, needed: int) -> list[str]:
        """Images that were taken in hand because fewer than needed were to do."""
        if self.leases is None or len(self._open) >= needed:
            return []
        if time.monotonic() - self._asked_in_vain < _PAUSE:
            return []
        wanted = needed + _SPARE - len(self._open)
        self._asked_in_vain = time.monotonic()  # also where it fails
        found = self.leases.take(wanted, self._source.has)
        if len(found) == wanted:
            self._asked_in_vain = -_PAUSE
        self._open.update(found)
        return found

    def take_in(self, edits: Iterable[Edit]) -> None:
        """Note what edits of the annotator's own view finish, or open again."""
        for edit in edits:
            status = image_changes(edit).get("status")
            if status == "todo" and self.leases is not None:
                self._open.add(edit.image)
            elif status is not None:
                self._open.discard(edit.image)

    def renew(self) -> None:
        """Keep what is in hand, as a sign of work; cheap to call often."""
        now = time.monotonic()
        if self.leases is not None and now - self._renewed > LEASE_SECONDS / 5:
            self._renewed = now
            self.leases.renew()

    def release(self) -> None:
        """Give back what is in hand and not finished."""
        if self.leases is not None:
            self.leases.release()
            self._open.clear()


def _settled(store: Store, assign: str | None, overlap: int | None) -> Assignment | None:
    wanted = Assignment.of(assign, overlap)
    if wanted is None:
        return None
    there = store.assignment
    if there is None:
        store.assign(assign, overlap)
        return wanted
    if there != wanted and not (overlap is None and there.assign == wanted.assign):
        raise StoreError(
            f"{store.name}: its work is given out with {there}, not {wanted}; leave that out "
            f"here, or change it for all with nba.open(...).assign({_arguments(wanted)})"
        )
    return there


def _arguments(wanted: Assignment) -> str:
    return "'all'" if wanted.assign == "all" else f"overlap={wanted.overlap}"

"""Work handed out: the images that an annotator has in hand, for as long as they are in use.

A lease holds until a moment that work puts off, so that what was given to a notebook that died is
given to others. It is not a part of what was labelled: histories and copies need not have it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import sqlalchemy as sa

from nbannotate.core.assignment import COUNTED, Assignment, image_changes
from nbannotate.core.edits import Edit
from nbannotate.store import tables
from nbannotate.store.database import Database, rows_among
from nbannotate.store.verdicts import IS_VERDICT

LEASE_SECONDS = 15 * 60.0
"""How long an image stays in hand after the last sign of work."""

_PAGE = 1000
_TRIES = 20
_PAUSE = 0.05  # seconds, while others hold the rows of all that is left
_SECOND = 1_000_000

_QUEUE, _LEASES, _LABELS = tables.queue.c, tables.leases.c, tables.labels.c


class Leases:
    """The images that one annotator has in hand.

    Parameters
    ----------
    database
        Of the store.
    annotator
        Who they are.
    assignment
        How many annotators an image is given to.
    seconds
        How long a lease holds.
    """

    def __init__(
        self,
        database: Database,
        annotator: str,
        assignment: Assignment,
        *,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self._database = database
        self._annotator = annotator
        self._assignment = assignment
        self._seconds = seconds
        self._place = -1  # of the last image that was given; those before it are looked at last

    def offer(self, images: Sequence[str]) -> None:
        """Put into the queue, at its end, what is not in it."""
        with self._database.reading() as connection:
            known = set(connection.scalars(sa.select(_QUEUE.image)))
        if known.issuperset(images):
            return
        with self._database.writing() as connection:  # so that no two do it at once
            known = set(connection.scalars(sa.select(_QUEUE.image)))
            last = connection.scalar(sa.select(sa.func.max(_QUEUE.place)))
            news = [image for image in images if image not in known]
            start = 0 if last is None else last + 1
            if news:
                connection.execute(
                    sa.insert(tables.queue),
                    [{"image": image, "place": start + n} for n, image in enumerate(news)],
                )

    def held(self) -> list[str]:
        """The images in hand, in the order of the queue."""
        with self._database.reading() as connection:
            query = sa.select(_LEASES.image).join(
                tables.queue, _QUEUE.image == _LEASES.image, isouter=True
            )
            query = query.where(self._is_mine, _LEASES.until > _now(connection))
            return list(connection.scalars(query.order_by(_QUEUE.place)))

    def take(self, count: int, wanted: Callable[[str], bool] = lambda image: True) -> list[str]:
        """Take the next images of the queue in hand that want an annotator.

        Parameters
        ----------
        count
            How many, at most.
        wanted
            Which of them this annotator can show.

        Returns
        -------
        Those taken; fewer than asked for only where no more are left.
        """
        found: list[str] = []
        for _ in range(_TRIES):
            found += self._take(count - len(found), wanted)
            if len(found) >= count or not self._is_any_left(wanted):
                break
            time.sleep(_PAUSE * random.random())  # others have locked what is left, to look at it
        return found

    def renew(self) -> None:
        """Hold what is in hand for longer."""
        with self._database.leasing() as connection:
            self._renew(connection)

    def release(self) -> None:
        """Give back what is in hand."""
        with self._database.leasing() as connection:
            connection.execute(self._delete())

    def keep(self, connection: sa.Connection, edits: Iterable[Edit]) -> None:
        """Renew what is in hand, as a step of work does, and let go of what it finishes.

        An image that is worked on again after its lease has run out is in hand again, whoever has
        it by now: what people make is kept.
        """
        worked: dict[str, str | None] = {}
        for edit in edits:
            if not edit.is_wide:
                status = image_changes(edit).get("status")
                worked[edit.image] = status or worked.get(edit.image)
        finished = [image for image, status in worked.items() if status not in (None, "todo")]
        for image in finished:
            connection.execute(self._delete().where(_LEASES.image == image))
        self._renew(connection, list(worked))
        going = [image for image in worked if image not in finished]
        held = sa.select(_LEASES.image).where(self._is_mine, _LEASES.image.in_(going))
        lost = set(going).difference(connection.scalars(held))
        open_again = [i for i in lost if worked[i] == "todo" or self._is_open(connection, i)]
        self._insert(connection, open_again, _now(connection))

    def _take(self, count: int, wanted: Callable[[str], bool]) -> list[str]:
        found: list[str] = []
        with self._database.leasing() as connection:
            now = _now(connection)
            for start in dict.fromkeys((self._place, -1)):
                for page in self._pages(connection, now, start, count, is_locking=True):
                    images = [image for image, _ in page if wanted(image)]
                    # Others may have taken them before the lock was had; a new look sees that.
                    is_free = self._is_free(now)
                    free = rows_among(connection, self._query(is_free), _QUEUE.image, images)
                    taken = [row["image"] for row in sorted(free, key=lambda row: row["place"])]
                    taken = taken[: count - len(found)]
                    self._insert(connection, taken, now)
                    found += taken
                    if taken:
                        self._place = dict(page)[taken[-1]]
                    if len(found) >= count:
                        return found
        return found

    def _is_any_left(self, wanted: Callable[[str], bool]) -> bool:
        with self._database.reading() as connection:
            pages = self._pages(connection, _now(connection), -1, _PAGE, is_locking=False)
            return any(wanted(image) for page in pages for image, _ in page)

    def _pages(
        self, connection: sa.Connection, now: int, start: int, size: int, *, is_locking: bool
    ) -> Iterator[list[tuple[str, int]]]:
        """The images after a place that are free, with their places, some at a time."""
        query = self._query(self._is_free(now)).order_by(_QUEUE.place).limit(size)
        if is_locking:
            query = query.with_for_update(of=tables.queue, skip_locked=True)
        while True:
            rows = connection.execute(query.where(_QUEUE.place > start)).all()
            page = [(row.image, row.place) for row in rows]
            if not page:
                return
            yield page
            start = page[-1][1]

    def _query(self, is_free: sa.ColumnElement[bool]) -> sa.Select[tuple[str, int]]:
        status = tables.images.c.status
        is_mine = tables.images.c.image == _QUEUE.image
        query = sa.select(_QUEUE.image, _QUEUE.place).join(tables.images, is_mine, isouter=True)
        return query.where(sa.func.coalesce(status, "todo") == "todo", is_free)

    def _is_open(self, connection: sa.Connection, image: str) -> bool:
        """Whether an image is still to do for this annotator."""
        column = tables.images.c
        query = sa.select(column.status).where(column.image == image)
        if self._assignment.is_blind:
            is_own = sa.and_(IS_VERDICT, _LABELS.annotator == self._annotator)
            query = sa.select(_LABELS.text).where(is_own, _LABELS.image == image)
        return connection.scalar(query) in (None, "todo")

    def _is_free(self, now: int) -> sa.ColumnElement[bool]:
        """Whether an image of the queue wants one more annotator, who may be this one."""
        lease = sa.and_(_LEASES.image == _QUEUE.image, _LEASES.until > now)
        verdict = sa.and_(_LABELS.image == _QUEUE.image, IS_VERDICT)
        is_own = _LABELS.annotator == self._annotator
        hands = sa.select(sa.func.count()).where(lease)
        verdicts = sa.select(sa.func.count()).where(verdict, ~is_own, _LABELS.text.in_(COUNTED))
        said = sa.select(_LABELS.label_id).where(verdict, is_own, _LABELS.text != "todo")
        return sa.and_(
            ~sa.exists(sa.select(_LEASES.image).where(lease, self._is_mine)),
            ~sa.exists(said),
            hands.scalar_subquery() + verdicts.scalar_subquery() < self._assignment.overlap,
        )

    @property
    def _is_mine(self) -> sa.ColumnElement[bool]:
        return _LEASES.annotator == self._annotator

    def _delete(self) -> sa.Delete:
        return sa.delete(tables.leases).where(self._is_mine)

    def _insert(self, connection: sa.Connection, images: Sequence[str], now: int) -> None:
        if images:
            connection.execute(self._delete().where(_LEASES.image.in_(images)))
            until = now + round(self._seconds * _SECOND)
            more = {"annotator": self._annotator, "until": until}
            connection.execute(
                sa.insert(tables.leases), [{"image": image, **more} for image in images]
            )

    def _renew(self, connection: sa.Connection, worked: Sequence[str] = ()) -> None:
        now = _now(connection)
        connection.execute(
            sa.update(tables.leases)
            .where(self._is_mine, sa.or_(_LEASES.until > now, _LEASES.image.in_(worked)))
            .values(until=now + round(self._seconds * _SECOND))
        )


def _now(connection: sa.Connection) -> int:
    """Microseconds since 1970, by the clock that all who share the database have."""
    if connection.dialect.name == "sqlite":
        return time.time_ns() // 1000
    return int(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp()) * 1e6")))

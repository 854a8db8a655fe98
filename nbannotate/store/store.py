"""The store: every edit in one transaction with its history, and tables back as DataFrames."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from nbannotate.core.assignment import Assignment, from_dict
from nbannotate.core.edits import Edit, Row
from nbannotate.core.live_schema import LiveSchema
from nbannotate.core.schema import Schema
from nbannotate.core.schema_edits import Planner, SchemaChange
from nbannotate.core.schema_record import SchemaRecord
from nbannotate.errors import StoreError
from nbannotate.store import tables, tallies, upkeep
from nbannotate.store.blind import BlindReader
from nbannotate.store.database import Database
from nbannotate.store.guard import Guard, Role
from nbannotate.store.journal import Journal
from nbannotate.store.leases import LEASE_SECONDS, Leases
from nbannotate.store.meta import (
    ASSIGNMENT,
    SchemaCell,
    refuse_smaller,
    set_up,
    value_of,
    write_meta,
)
from nbannotate.store.reading import Reader
from nbannotate.store.schema_changes import change_of, news, refuse_gone, refuse_lost
from nbannotate.store.watching import Watching
from nbannotate.store.writing import touch, write

if TYPE_CHECKING:
    from nbannotate.store.merging import MergeReport
    from nbannotate.store.parts import Part

_LAST = (
    sa.select(tables.history.c.batch, tables.history.c.at)
    .order_by(tables.history.c.seq.desc())
    .limit(1)
)


class Store(Journal):
    """Labels, images and their history in one database: SQLite, in memory or not, or PostgreSQL.

    Made by `open_store`. Safe to use from several threads: one lock, one connection.

    Parameters
    ----------
    database
        The database; closed with the store.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database, SchemaCell())
        self.name = database.name
        self._watching = Watching(database.open_signal, database.name)
        self._guard = Guard(database)
        try:
            with database.writing() as connection:
                self._guard.look(connection)
                self.id = set_up(connection, database.name)
                tallies.make(connection)
                last = connection.execute(_LAST).first()
        except BaseException:
            database.close()
            raise
        database.expect(self.id)
        self._last_at = 0 if last is None else last.at

    def __repr__(self) -> str:
        return f"Store({self.name!r})"

    @property
    def notes(self) -> list[str]:
        """What people should know of how the store works here, in sentences."""
        return list(self._database.notes)

    @property
    def role(self) -> Role:
        """What this login may do: ``"owner"``: all; also where the server guards nothing.

        A ``"reviewer"`` changes all labels and images, an ``"annotator"`` its own labels; see
        `nbannotate.store.roles`.
        """
        return self._guard.role

    @property
    def schema(self) -> LiveSchema:
        """The scheme of the labels in the store, as it is now, with what edits it."""
        return LiveSchema(self.schema_record.schema, self.edit_schema)

    @schema.setter
    def schema(self, schema: Schema) -> None:
        with self._database.writing() as connection:
            record = self._schema.read(connection)
            refuse_smaller(record, schema)
            self._put_schema(connection, record, record.with_schema(schema))

    @property
    def schema_record(self) -> SchemaRecord:
        """The scheme as it is now, with what became of classes that left it."""
        with self._database.reading() as connection:
            return self._schema.read(connection)

    def extend_schema(self, schema: Schema) -> None:
        """Add to the store's scheme what this one has and it lacks; see `SchemaRecord.extended`."""
        with self._database.writing() as connection:
            record = self._schema.read(connection)
            self._put_schema(connection, record, record.extended(schema))

    def edit_schema(
        self, planner: Planner, *, annotator: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Make an edit of the scheme, its labels and images as one batch.

        Parameters
        ----------
        planner
            One of the edits in `nbannotate.core.schema_edits`, given the scheme as it is.
        annotator
            Who makes it.
        dry_run
            Whether only to say what it would do.

        Raises
        ------
        SchemaError
            If the scheme or labels stand against it; nothing is then changed.
        RightsError
            If the server guards the store, and this login does not own it.
        """
        if not dry_run:
            self._guard.refuse_all_but_owner("changes its scheme")
        database = self._database
        with database.reading() if dry_run else database.writing() as connection:
            record = self._schema.read(connection)
            change = change_of(connection, record, planner(record), dry_run=dry_run)
            if dry_run or not change.edits:
                return change
            return replace(change, batch=self._write(connection, change.edits, annotator))

    def apply(
        self,
        edits: Sequence[Edit],
        *,
        annotator: str | None = None,
        seconds: float | None = None,
        reverses: int | None = None,
        message: tuple[str, int] | None = None,
        facts: Mapping[str, Row] | None = None,
        leases: Leases | None = None,
    ) -> int | None:
        """Commit the edits as one batch: on disk when this returns, or not at all.

        Parameters
        ----------
        edits
            What to change, in order.
        annotator
            Who changes it.
        seconds
            Active time spent on it.
        reverses
            Number of the batch that this one takes back.
        message
            Client and number of the message that asks for it. A number that this client has had
            already changes nothing.
        facts
            What is known of the images that the edits touch: path, width and height in pixels,
            bytes and hash of the content. Content that was recorded once stays so.
        leases
            The annotator's, where work is handed out: those of images that are finished by this
            end, the others are renewed.

        Returns
        -------
        Number of the batch; None if the message was known, or there was nothing to change.

        Raises
        ------
        ConflictError
            If a label or image is not any more as an edit has it ``before``.
        RightsError
            If a label is another's and this login only an annotator's.
        StoreError
            If the database refuses. In each case nothing of the batch is in it.
        """
        self._guard.claim(annotator)
        with self._database.writing() as connection:
            if message is not None and not self._take(connection, *message):
                return None
            if not edits:
                return None
            self._guard.refuse_others_names(edits, annotator)
            if leases is not None:
                leases.keep(connection, edits)
            return self._write(
                connection, edits, annotator, seconds=seconds, reverses=reverses, facts=facts
            )

    @property
    def assignment(self) -> Assignment | None:
        """How the work is given to annotators; None where all work on all."""
        with self._database.reading() as connection:
            return from_dict(value_of(connection, ASSIGNMENT))

    def assign(self, assign: str | None = "shared", overlap: int | None = None) -> None:
        """Give the work to annotators in another way, from now on and for all of them.

        Labels and what is done stay as they are. Widgets that are open go on as before.

        Parameters
        ----------
        assign
            ``"shared"``, ``"all"``, or None: all work on all.
        overlap
            How many annotators label each image; above 1 they are blind to each other.
        """
        wanted = Assignment.of(assign, overlap)
        with self._database.writing() as connection:
            if from_dict(value_of(connection, ASSIGNMENT)) == wanted:
                return
            self._guard.refuse_all_but_owner("says how the work is given to annotators")
            write_meta(connection, ASSIGNMENT, None if wanted is None else wanted.to_dict())

    def claim(self, annotator: str | None) -> None:
        """Say under whose name this login labels; nothing but where the server guards the store.

        `apply` and `leases` do so by themselves.

        Raises
        ------
        StoreError
            If there is no name, the login has another, or the name is another login's.
        """
        self._guard.claim(annotator)

    def blind(self, annotator: str) -> Reader:
        """What the store holds for an annotator who is not to see the others' work."""
        return BlindReader(self._database, self._schema, annotator)

    def leases(self, annotator: str, *, seconds: float = LEASE_SECONDS) -> Leases:
        """The images that an annotator has in hand, where the work is shared out.

        Parameters
        ----------
        annotator
            Who they are.
        seconds
            How long an image stays in hand after the last sign of work.

        Raises
        ------
        StoreError
            If it is not shared out; `assign` says that it is. Or if the name is not this login's,
            where the server guards the store.
        """
        self._guard.claim(annotator)
        assignment = self.assignment
        if assignment is None or not assignment.is_leased:
            raise StoreError(f"{self.name}: its images are not shared out; see store.assign()")
        return Leases(self._database, annotator, assignment, seconds=seconds)

    def watch(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` within a second of others' commits, until the store is closed.

        Parameters
        ----------
        callback
            Called without arguments, from a thread of its own, once or more often after one or
            several commits in this or another process; commits through this store count too.
            After a lost connection it is called when there is one again. An error that it raises
            goes to the log.

        Returns
        -------
        What ends it; a call that is under way is not waited for.

        Raises
        ------
        StoreError
            If the database cannot be reached.
        """
        return self._watching.add(callback)

    def merge(self, parts: Sequence[Part]) -> MergeReport:
        """Add what other stores hold, as `nbannotate.store.read_parts` has read it.

        See `nbannotate.store.merge` for the rules.
        """
        from nbannotate.store.merging import merge_into  # which opens stores

        self._guard.refuse_all_but_owner("merges others into it")
        return merge_into(self._database, parts)

    def check(self) -> upkeep.Report:
        """Look whether all is in order: the file, the tables against the history, the classes.

        It reads everything: some seconds for a hundred thousand labels.
        """
        return upkeep.check(self._database, lambda connection: self._schema.read(connection).schema)

    def backup(self, path: str | Path) -> Path:
        """Copy the store into a new file while it is in use; see `nbannotate.store.restore`.

        The file has its name once it is whole, looked at and on disk, never before. It also works
        when the store's own file was removed meanwhile.

        Raises
        ------
        StoreError
            If there is a file at the path already, or it cannot be written.
        """
        return upkeep.backup(self._database, path)

    def close(self) -> None:
        """Close the database. Everything acknowledged is on disk before and after."""
        self._watching.close()
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> int:
        """Microseconds since 1970, UTC; each time later than the last, whatever the clock does."""
        with self._database.lock:
            self._last_at = max(time.time_ns() // 1000, self._last_at + 1)
            return self._last_at

    def _write(
        self,
        connection: sa.Connection,
        edits: Sequence[Edit],
        annotator: str | None,
        *,
        seconds: float | None = None,
        reverses: int | None = None,
        facts: Mapping[str, Row] | None = None,
    ) -> int:
        """Write the edits as the next batch; returns its number."""
        last = connection.execute(_LAST).first()
        batch = 1 if last is None else last.batch + 1
        if last is not None:  # another process may have written it, by a faster clock
            self._last_at = max(self._last_at, last.at)
        at = self.now()
        was = self._schema.read(connection)
        of_schema = any(edit.op == "schema" for edit in edits)
        if of_schema:
            self._guard.refuse_all_but_owner("changes its scheme")
            # First, also in an undo: who replays the history then knows what kind of batch it is.
            schemas = [self._schema.change(connection, e) for e in edits if e.op == "schema"]
            edits = [*schemas, *(edit for edit in edits if edit.op != "schema")]
        write(connection, edits, at)
        # An edit of the scheme is no work on an image.
        values: Row = {"updated": at} if of_schema else {"updated": at, "annotator": annotator}
        news = touch(connection, edits, seconds or 0.0, values, facts)
        record = self._schema.read(connection) if of_schema else was
        refuse_gone(record, edits)
        if of_schema:
            refuse_lost(connection, was, record)
        connection.execute(
            sa.insert(tables.history),
            [
                {
                    "batch": batch,
                    "reverses": reverses,
                    "at": at,
                    "annotator": annotator,
                    # Once a batch, so that the sum over the history is the time spent.
                    "seconds": seconds if place == 0 else 0.0,
                    "op": edit.op,
                    "label_id": edit.label_id,
                    "image": edit.image,
                    "before": edit.before,
                    "after": edit.after,
                    "facts": news.pop(edit.image, None),
                }
                for place, edit in enumerate(edits)
            ],
        )
        tallies.keep(connection, edits, seconds or 0.0, batch)
        return batch

    def _put_schema(
        self, connection: sa.Connection, record: SchemaRecord, wanted: SchemaRecord
    ) -> None:
        if wanted == record:
            return
        self._guard.refuse_all_but_owner(f"changes its scheme, {news(record, wanted)}")
        if record == SchemaRecord(Schema()):  # the first scheme is where a history begins
            self._schema.write(connection, wanted)
        else:
            edit = Edit("schema", "", before=record.to_dict(), after=wanted.to_dict())
            self._write(connection, [edit], None)

    def _take(self, connection: sa.Connection, client: str, seq: int) -> bool:
        column = tables.clients.c
        last = connection.scalar(sa.select(column.seq).where(column.client == client))
        if last is None:
            connection.execute(sa.insert(tables.clients), {"client": client, "seq": seq})
            return True
        if seq <= last:
            return False
        connection.execute(sa.update(tables.clients).where(column.client == client), {"seq": seq})
        return True

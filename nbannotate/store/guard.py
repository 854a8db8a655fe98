"""Who uses a store that its server guards: the role of the login, and whose name it bears.

The rules are the server's, in ``roles.sql``; here is what tells people of them. A login bears one
annotator's name in a store, the first that it uses, and no other login may use that.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from nbannotate.core.edits import Edit
from nbannotate.errors import RightsError, StoreError
from nbannotate.store import tables
from nbannotate.store.database import Database

Role = Literal["owner", "reviewer", "annotator"]

# Rights come with the role that is set, as for the server's rules; see `roles.sql` for the rest.
_LOOK = sa.text(
    """
    SELECT session_user::text AS login,
           row_security_active(labels) AS is_guarded,
           array(
               SELECT polname::text FROM pg_policy, unnest(polroles) AS of_policy
               WHERE polrelid = labels AND pg_has_role(of_policy, 'USAGE')
           ) AS policies
    FROM (SELECT to_regclass('labels') AS labels) AS its
    """
)


class Guard:
    """What the server lets this login do.

    Parameters
    ----------
    database
        Of the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._login = ""
        self._annotator: str | None = None  # whose name the login is known to bear
        self.role: Role = "owner"
        """The owner is who may do everything: everyone, where nothing is guarded."""

    def look(self, connection: sa.Connection) -> None:
        """Find the login's role; `StoreError` if it has none in a store that is guarded."""
        if connection.dialect.name != "postgresql":
            return
        found = connection.execute(_LOOK).one()
        self._login = found.login
        if not found.is_guarded:
            return
        if not found.policies:
            raise StoreError(
                f"{self._database.name}: the login {self._login!r} has no role in it; let its "
                f"owner give it one with: {self._init('annotator', self._login)}"
            )
        self.role = "reviewer" if "reviewers_change" in found.policies else "annotator"

    def claim(self, annotator: str | None) -> None:
        """Bear an annotator's name in the store from now on.

        Raises
        ------
        StoreError
            If there is none, the login has another, or the name is another's.
        """
        if self.role == "owner" or (annotator is not None and annotator == self._annotator):
            return
        if annotator is None or not annotator.strip():
            raise StoreError(
                f"{self._database.name}: is guarded by annotators' names, so nobody labels in it "
                "without one; give annotator='your name', or annotator=nba.PSEUDONYM"
            )
        column = tables.members.c
        query = sa.select(column.annotator).where(column.login == self._login)
        bears = self._database.scalar(query)
        if bears is None:
            self._take(annotator)
        elif bears != annotator:
            raise StoreError(
                f"{self._database.name}: the login {self._login!r} labels as {bears!r} here, not "
                f"as {annotator!r}; give annotator={bears!r}, or let the owner of the store change "
                f"the name with: {self._init(self.role, self._login, annotator)}"
            )
        self._annotator = annotator

    def refuse_others_names(self, edits: Sequence[Edit], annotator: str | None) -> None:
        """`RightsError` if one of the edits makes a label that this login may not make."""
        if self.role != "annotator":
            return
        for edit in edits:
            if edit.op == "create" and (edit.after or {}).get("annotator") != annotator:
                raise RightsError(refusal(edit.image, (edit.after or {}).get("annotator")))

    def refuse_all_but_owner(self, what: str) -> None:
        """`RightsError` with the words for what only the owner does, unless it is the owner."""
        if self.role != "owner":
            raise RightsError(
                f"{self._database.name}: only the owner of the store {what}, and the login "
                f"{self._login!r} has the role of {self.role}; ask the owner to do it"
            )

    def _take(self, annotator: str) -> None:
        column, used = tables.members.c, tables.history.c.annotator
        row = {"login": self._login, "annotator": annotator}
        take = insert(tables.members).on_conflict_do_nothing().returning(column.login)
        with self._database.writing() as connection:
            is_used = connection.scalar(sa.select(sa.exists().where(used == annotator)))
            is_free = annotator == self._login or not is_used
            if is_free and connection.scalar(take, row) is not None:
                return
        raise StoreError(
            f"{self._database.name}: the name {annotator!r} is taken, by another login or by "
            "someone who labelled before logins had names; give another annotator=..., or let the "
            "owner of the store hand it over with: "
            f"{self._init(self.role, self._login, annotator)}"
        )

    def _init(self, role: str, login: str, annotator: str | None = None) -> str:
        who = login if annotator is None else f"{login}={annotator}"
        return f"nbannotate store init URL --roles --{role}s {shlex.quote(who)}"


def refusal(image: str, annotator: str | None) -> str:
    """The words for a label that is another's."""
    whose = "nobody" if annotator is None else f"another annotator, {annotator!r}"
    return f"a label of {image!r} belongs to {whose}; ask a reviewer to change it"

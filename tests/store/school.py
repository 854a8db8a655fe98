"""A database that a professor owns, and logins for those who label in it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from nbannotate.core.schema import Schema
from nbannotate.store import open_store
from nbannotate.store.roles import Roles, make_roles

from . import postgresql

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun", "rain"])
PASSWORD = "x"


@dataclass
class School:
    """Logins and roles are the whole server's, so that each school has names of its own.

    Parameters
    ----------
    server
        Where it is.
    number
        What tells its names from those of others.
    """

    server: postgresql.Server
    number: int

    @classmethod
    def make(cls, server: postgresql.Server, number: int) -> School:
        school = cls(server, number)
        for who in ("ana", "ben", "rita", "eve"):
            school.admin(f"CREATE ROLE {school.login(who)} LOGIN PASSWORD '{PASSWORD}'")
        prof = school.login("prof")
        school.admin(f"CREATE ROLE {prof} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        school.admin(f"CREATE DATABASE {school.database} OWNER {prof}")
        return school

    @property
    def database(self) -> str:
        return f"school{self.number}"

    @property
    def prefix(self) -> str:
        return f"school{self.number}"

    def login(self, who: str) -> str:
        return f"{who}{self.number}"

    def address(self, who: str) -> str:
        return self.server.address(self.database, self.login(who), PASSWORD)

    def guard(self, **people: dict[str, str | None]) -> Roles:
        """Give roles, as the professor does: to ana and ben, and to rita, by their first names."""
        if not people:
            people = {"annotators": {"ana": "ana", "ben": "ben"}, "reviewers": {"rita": "rita"}}
        logins = {
            role: {self.login(who): name for who, name in given.items()}
            for role, given in people.items()
        }
        return make_roles(self.address("prof"), prefix=self.prefix, **logins)

    @contextmanager
    def opened(self, who: str):
        with open_store(self.address(who)) as store:
            yield store

    def admin(self, *statements: str) -> list[Any]:
        """What the last statement gives a superuser, outside of the school's database."""
        return _run(self.server.address("postgres"), statements)

    def sql(self, who: str, *statements: str) -> list[Any]:
        """What the last statement gives this person."""
        return _run(self.address(who), statements)


def _run(address: str, statements: tuple[str, ...]) -> list[Any]:
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

"""Roles in a store on PostgreSQL: made by its owner, or as SQL for an administrator to run.

What each role may do stands in ``roles.sql``, which is run as it is there but for the names of the
roles and the people who get them. `nbannotate.store.guard` is the other side: who has which role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from nbannotate.errors import StoreError
from nbannotate.store import tables
from nbannotate.store.meta import set_up
from nbannotate.store.postgres import is_postgres, open_postgres, user_of

PREFIX = "nbannotate"
"""What the names of the roles begin with, if nothing else is asked for."""

People = Mapping[str, str | None]
"""Logins, each with the annotator's name that it is to bear; None: the first that it uses."""

_PREFIX_RULE = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,40}")
_TABLES = ", ".join(table.name for table in tables.metadata.sorted_tables)

_LOOK = sa.text(
    """
    SELECT pg_get_userbyid(relowner) AS owner,
           pg_has_role(relowner, 'USAGE') AS is_owner,
           (SELECT pg_get_userbyid(polroles[1]) FROM pg_policy
            WHERE polrelid = labels.oid AND polname = 'annotators_change') AS role
    FROM pg_class AS labels WHERE oid = 'labels'::regclass
    """
)
_LOGINS = sa.text("SELECT rolname, rolsuper OR rolbypassrls AS is_free FROM pg_roles")
_HAVING = sa.text(
    """
    SELECT people.rolname, members.annotator
    FROM pg_auth_members AS grants
    JOIN pg_roles AS roles ON roles.oid = grants.roleid
    JOIN pg_roles AS people ON people.oid = grants.member
    LEFT JOIN members ON members.login = people.rolname
    WHERE roles.rolname = :role AND NOT grants.admin_option
    ORDER BY people.rolname
    """
)


@dataclass(frozen=True)
class Roles:
    """Who may do what in a store that its server guards.

    Parameters
    ----------
    name
        The store.
    owner
        Login that owns the tables.
    prefix
        What the names of the roles begin with.
    annotators, reviewers
        Logins that have the role, with the name that each bears, if it has one yet.
    """

    name: str
    owner: str
    prefix: str
    annotators: People
    reviewers: People

    def __str__(self) -> str:
        def named(people: People) -> str:
            words = [
                login if name in (None, login) else f"{login} (as {name!r})"
                for login, name in people.items()
            ]
            return ", ".join(words) or "nobody yet"

        return (
            f"{self.name}: the server guards it\n"
            f"  owner, of all and of the scheme: {self.owner}\n"
            f"  {self.prefix}_reviewer, changes all labels: {named(self.reviewers)}\n"
            f"  {self.prefix}_annotator, changes its own labels: {named(self.annotators)}"
        )


def make_roles(
    url: str,
    *,
    annotators: People | None = None,
    reviewers: People | None = None,
    prefix: str | None = None,
) -> Roles:
    """Make the store's tables where there are none, its roles, and give them to people.

    All of it in one transaction; to do it again changes nothing, or adds what is new.

    Parameters
    ----------
    url
        Address of the PostgreSQL database, for the login that owns the tables, or will.
    annotators, reviewers
        Logins that are to have the role, and no other of these two.
    prefix
        What the names of the roles begin with, which all databases of a server share; None: what
        they begin with already, or ``nbannotate``.

    Raises
    ------
    StoreError
        If this login may not do that, or one that is named does not fit. Nothing is then changed.
    """
    people = _people(annotators, reviewers)
    _refuse_unknown(url, prefix)
    database = open_postgres(url)
    name = database.name
    try:
        with database.writing() as connection:
            set_up(connection, name)
            found = connection.execute(_LOOK).one()
            if not found.is_owner:
                raise StoreError(
                    f"{name}: its tables belong to {found.owner}; only that login, or a superuser, "
                    "can give roles in it"
                )
            _refuse_unfit(connection, name, found.owner, people)
            if prefix is None:
                prefix = PREFIX if found.role is None else found.role.removesuffix("_annotator")
            _run(connection, name, _script(prefix, people))
            annotators, reviewers = (
                {who: name for who, name in connection.execute(_HAVING, {"role": role})}
                for role in (f"{prefix}_annotator", f"{prefix}_reviewer")
            )
            return Roles(name, found.owner, prefix, annotators, reviewers)
    finally:
        database.close()


def roles_sql(
    url: str,
    *,
    annotators: People | None = None,
    reviewers: People | None = None,
    prefix: str | None = None,
) -> str:
    """What `make_roles` does, as SQL for psql; nothing is done, and no connection made.

    Parameters
    ----------
    url
        Address of the database. The tables will belong to the user in it.
    annotators, reviewers, prefix
        See `make_roles`.
    """
    people = _people(annotators, reviewers)
    _refuse_unknown(url, prefix)
    owner = user_of(url)
    parts = [
        "-- For psql: psql --set ON_ERROR_STOP=1 --file THIS ADDRESS, as the owner of the store\n"
        "-- with the right to make roles, or as a superuser.",
        "BEGIN;\nSET LOCAL client_min_messages = warning;",
        "-- The tables, where they are not there yet.",
        *([f"SET LOCAL ROLE {_name(owner)};  -- who owns them"] if owner else []),
        *_tables_sql(),
        *(["RESET ROLE;"] if owner else []),
        _script(prefix or PREFIX, people),
        "COMMIT;",
    ]
    return "\n\n".join(parts) + "\n"


def _people(
    annotators: People | None, reviewers: People | None
) -> list[tuple[str, str, str | None]]:
    """Role, login and name of each; `StoreError` if a login or a name is in it twice."""
    given = (("annotator", annotators or {}), ("reviewer", reviewers or {}))
    people = [(role, login, name) for role, who in given for login, name in who.items()]
    for what, every in (
        ("login", [login for _, login, _ in people]),
        ("name", [name for _, _, name in people if name is not None]),
    ):
        for one in every:
            if not one.strip():
                raise StoreError(
                    f"a {what} is empty; write LOGIN or LOGIN=NAME, and commas between"
                )
            if every.count(one) > 1:
                raise StoreError(f"the {what} {one!r} is given twice; give each once, in one role")
    return people


def _refuse_unknown(url: str, prefix: str | None) -> None:
    """`StoreError` if there can be no roles at this address, or none of this name."""
    if not is_postgres(url):
        scheme, is_address, _ = url.partition("://")  # the rest may have a password in it
        shown = f"{scheme}://" if is_address else url
        raise StoreError(f"{shown}: roles need PostgreSQL; a file is guarded by its permissions")
    if prefix is not None and not _PREFIX_RULE.fullmatch(prefix):
        raise StoreError(
            f"the prefix {prefix!r} is no beginning for names of roles; use up to 40 of a-z, 0-9 "
            "and _, a letter first, and not pg_"
        )


def _refuse_unfit(
    connection: sa.Connection, name: str, owner: str, people: Sequence[tuple[str, str, str | None]]
) -> None:
    known = {login: is_free for login, is_free in connection.execute(_LOGINS)}
    for role, login, _ in people:
        if login not in known:
            raise StoreError(
                f"{name}: the server has no login {login!r}; make it with: "
                f"CREATE ROLE {_name(login)} LOGIN PASSWORD '…'"
            )
        if login == owner or known[login]:
            raise StoreError(
                f"{name}: no rule of the server holds {login!r}, who owns the tables or is an "
                f"administrator; give this {role} a login of their own"
            )


def _run(connection: sa.Connection, name: str, script: str) -> None:
    try:
        connection.exec_driver_sql(script, execution_options={"no_parameters": True})
    except sa.exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != "42501":
            raise
        cause = str(error.orig).splitlines()[0]
        raise StoreError(
            f"{name}: this login may not make roles or give them ({cause}); give it CREATEROLE, "
            "or let an administrator run what --sql prints"
        ) from error


def _script(prefix: str, people: Sequence[tuple[str, str, str | None]]) -> str:
    text = files("nbannotate.store").joinpath("roles.sql").read_text("utf-8").strip()
    text = re.sub(rf"\b{PREFIX}_(annotator|reviewer)\b", rf"{prefix}_\1", text)
    return "\n".join([text, *_grants(prefix, people)])


def _grants(prefix: str, people: Sequence[tuple[str, str, str | None]]) -> Iterator[str]:
    for role, login, name in people:
        who = _name(login)
        other = "reviewer" if role == "annotator" else "annotator"
        yield (
            f"\n-- {login if login.isprintable() else repr(login)}\n"
            f"REVOKE ALL ON {_TABLES} FROM {who};\n"
            f"REVOKE ALL ON SEQUENCE history_seq_seq FROM {who};\n"
            f"REVOKE {prefix}_{other} FROM {who};\n"
            f"GRANT {prefix}_{role} TO {who};"
        )
        if name is not None:
            yield (
                f"DELETE FROM members WHERE login = {_text(login)} OR annotator = {_text(name)};\n"
                f"INSERT INTO members (login, annotator) VALUES ({_text(login)}, {_text(name)});"
            )


def _tables_sql() -> Iterator[str]:
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()()
    for table in tables.metadata.sorted_tables:
        made = CreateTable(table, if_not_exists=True).compile(dialect=dialect)
        yield str(made).strip().expandtabs(4).replace(", \n", ",\n") + ";"
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield f"{CreateIndex(index, if_not_exists=True).compile(dialect=dialect)};"
    yield (
        f"INSERT INTO {tables.meta.name} (key, value)\n"
        f"    VALUES ('version', '{tables.VERSION}'), ('id', to_json(gen_random_uuid()::text))\n"
        "    ON CONFLICT (key) DO NOTHING;"
    )


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

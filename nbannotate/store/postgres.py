"""PostgreSQL as a store for many: one writer at a time, and its errors in people's words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from nbannotate.errors import StoreError
from nbannotate.store.database import Database, dumps

if TYPE_CHECKING:
    import psycopg

BUSY_SECONDS = 10.0
IDLE_SECONDS = 60.0
"""How long a writer may do nothing before the server ends it: a laptop may have gone to sleep."""

_CHANNEL = "nbannotate"
_LISTEN_SECONDS = 0.25
_LOCK = 0x6E6261  # "nba"; advisory locks are numbers that all programs of a database share
_DRIVER = "postgresql+psycopg"
_CONNECT = {
    "application_name": "nbannotate",
    "connect_timeout": "10",
    # A connection that a sleeping network has swallowed is found dead within half a minute.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
_SECRETS = ("password", "sslpassword")

Connect = Callable[[], "psycopg.Connection[Any]"]


def is_postgres(address: str) -> bool:
    """Whether it is the address of a PostgreSQL database, not a file's path."""
    return address.partition("://")[0] in ("postgresql", "postgres", _DRIVER) and "://" in address


def open_postgres(url: str) -> Database:
    """The database at an address such as ``postgresql://user:password@host:5432/name``.

    Further options of libpq follow as in ``?sslmode=require&host=/run/postgresql``. The password
    may instead stand in ``~/.pgpass`` or the variable ``PGPASSWORD``. The store is in the schema
    that the server chooses for new tables, most often ``public``.

    Raises
    ------
    StoreError
        If the address cannot be understood or psycopg is missing. No connection is made yet.
    """
    address = _parsed(url)
    name = _without_password(address)
    try:
        import psycopg

        engine = sa.create_engine(
            f"{_DRIVER}://",
            creator=lambda: connect(),
            json_serializer=dumps,
            pool_size=1,
            max_overflow=0,
            # A server that was restarted, or a network that slept, is no error: connect again.
            pool_pre_ping=True,
        )
    except ImportError as error:
        raise StoreError(
            f"{name}: PostgreSQL needs psycopg, which cannot be loaded ({error}); install it "
            "with: pip install 'nbannotate[postgres]'"
        ) from error
    _, options = engine.dialect.create_connect_args(address)
    given: Mapping[str, Any] = {**_CONNECT, **options}

    def connect() -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(**given, client_encoding="UTF8")
        except psycopg.Error as error:
            raise StoreError(f"{name}: {_refused(error)}") from error
        return _checked(connection, name)

    sa.event.listen(engine, "begin", _begin)
    sa.event.listen(engine, "commit", _notify)
    return Database(engine, name, explain, lambda: _Listener(connect, name))


def user_of(url: str) -> str | None:
    """Who logs in at an address; None if it does not say so."""
    return _parsed(url).username


def _parsed(url: str) -> sa.URL:
    try:
        address = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        address = None
    # With an @ in its password, a part of that would be taken for the host, and shown.
    if address is None or "@" in (address.host or ""):
        raise StoreError(  # without the address: its password would be in it
            "the address of the PostgreSQL database cannot be understood; write "
            "postgresql://user:password@host:5432/name, with special characters of the password "
            "as urllib.parse.quote(password, safe='') gives them"
        )
    return address.set(drivername="postgresql")


def _without_password(address: sa.URL) -> str:
    _, user, _, host, port, database, query = address.difference_update_query(_SECRETS)
    shown = sa.URL.create("postgresql", user, None, host, port, database, query)
    # A folder may stand for a host; libpq takes it as it is, and %2F would be hard to read.
    return shown.render_as_string().replace("%2F", "/")


def _checked(connection: psycopg.Connection[Any], name: str) -> psycopg.Connection[Any]:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise StoreError(
            f"{name}: its encoding is {encoding}, which cannot hold all texts; make a database "
            "with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )
    return connection


def _begin(connection: sa.Connection) -> None:
    import psycopg

    driver = connection.connection.driver_connection
    assert driver is not None
    aim = _aim(connection)
    if aim == "read":
        # One snapshot for the whole transaction, so that all its queries see the same state.
        driver.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        driver.read_only = True
        return
    # Each statement sees what is committed: a snapshot would be taken before the lock is held.
    driver.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    driver.read_only = None
    if aim == "lease":  # the rows that it locks are all that must keep others away
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
        return
    # One writer at a time, as in SQLite. Otherwise two could take the same number for their batch,
    # or one with a lower number could commit after one with a higher, and who asks for the
    # batches after a number would never see it. The lock ends with the transaction; who does
    # nothing for long, asleep perhaps, loses it. Locks are the database's, so the key is the
    # schema. Weaker than "local", a commit is acknowledged before it is on disk.
    connection.exec_driver_sql(
        f"""
        SET LOCAL lock_timeout = '{BUSY_SECONDS}s';
        SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s';
        SELECT set_config('synchronous_commit', 'on', true)
            WHERE current_setting('synchronous_commit') = 'off';
        SELECT pg_advisory_xact_lock({_LOCK}, oid::integer)
            FROM pg_namespace WHERE nspname = current_schema();
        """,
        execution_options={"no_parameters": True},  # the driver takes several statements only so
    )


def _aim(connection: sa.Connection) -> str:
    return str(connection.get_execution_options().get("aim", "read"))


def _notify(connection: sa.Connection) -> None:
    if _aim(connection) == "write":
        connection.exec_driver_sql(
            f"SELECT pg_notify('{_CHANNEL}', current_schema()::text) "
            "WHERE txid_current_if_assigned() IS NOT NULL"  # nothing was written, else
        )


class _Listener:
    """A `nbannotate.store.watching.Signal`: what the server says when a writer has committed."""

    def __init__(self, connect: Connect, name: str) -> None:
        import psycopg

        self._name = name
        self._error = psycopg.Error
        try:
            self._connection = connect()
            self._connection.autocommit = True
            row = self._connection.execute("SELECT current_schema()").fetchone()
            self._schema = row and row[0]
            self._connection.execute(f"LISTEN {_CHANNEL}")
        except psycopg.Error as error:
            raise StoreError(f"{name}: {explain(error)}") from error

    def changed(self, stop: threading.Event) -> bool:
        try:
            heard = list(self._connection.notifies(timeout=_LISTEN_SECONDS, stop_after=1))
        except self._error as error:
            raise StoreError(f"{self._name}: {explain(error)}") from error
        return any(notice.payload == self._schema for notice in heard)

    def close(self) -> None:
        self._connection.close()


_BY_STATE = {
    "25006": "may only be read: the server or this user is set to read-only; give the address of "
    "the main server",
    "25P02": "an earlier statement failed",
    "25P03": f"the step took more than {IDLE_SECONDS:g} s and was taken back; do it again",
    "3F000": "has no schema for new tables; make one with: CREATE SCHEMA public",
    "42501": "this user may not do that; let the owner of the database grant it",
    "53100": "the server's disk is full; make room there, then try again",
    "55P03": f"was busy for {BUSY_SECONDS:g} s; find who holds its lock in pg_stat_activity",
}
_NOT_OWN = (
    "the server lets this user write only what is its own, under its own annotator's name; open "
    "the store again, or ask a reviewer"
)
_REFUSALS = (
    ("password", "the server refuses this user or password; check both in the address"),
    ("authentication", "the server refuses this user; check the address"),
    ("pg_hba.conf", "the server lets this user not in from here; add it to its pg_hba.conf"),
    ("role", "the server knows no such user; make it with: CREATE ROLE name LOGIN PASSWORD '…'"),
    ("database", "the server has no such database; make it with: CREATE DATABASE name"),
    ("connection slots", "the server has too many connections; close some notebooks"),
    ("too many", "the server has too many connections; close some notebooks"),
    ("starting up", "the server is starting; try again in a moment"),
    ("shutting down", "the server is stopping; start it again"),
)
_REFUSED = "the server refuses the connection"
_UNREACHABLE = "no server answers there; check that it runs, and the host and port in the address"
_LOST = (
    "the connection to the server was lost; the next step connects again. Look whether the last "
    "step was saved before repeating it"
)


def explain(error: Exception) -> str:
    """What went wrong and the mend, in the words of someone who labels images."""
    orig = getattr(error, "orig", None) or error
    cause = _first_line(orig)
    state = getattr(orig, "sqlstate", None) or ""
    if "NUL" in cause:
        return f"{_nul_place(error)} holds a NUL character (\\x00), which PostgreSQL cannot keep"
    words = _NOT_OWN if "row-level security" in cause else _BY_STATE.get(state)
    if words is None:
        is_lost = getattr(error, "connection_invalidated", False) or state[:2] in ("08", "57")
        words = _LOST if is_lost else None
    return f"{words} ({cause})" if words else cause


def _refused(error: psycopg.Error) -> str:
    import psycopg

    # Where no connection is made the driver gives no state, only the server's or libpq's words.
    _, answered, text = str(error).partition("FATAL:")
    if answered:
        words = next((words for sign, words in _REFUSALS if sign in text), _REFUSED)
    else:
        is_wrong = isinstance(error, psycopg.ProgrammingError)
        words = "the address has a wrong option; mend it" if is_wrong else _UNREACHABLE
    return f"{words} ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    # Further lines are hints for who runs the server.
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _nul_place(error: Exception) -> str:
    params = getattr(error, "params", None)
    for row in params if isinstance(params, list) else [params]:
        if isinstance(row, Mapping):
            for name, value in row.items():
                if isinstance(value, str) and "\0" in value:
                    return f"{name} {value!r}"
    return "a text"

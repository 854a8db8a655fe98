"""PostgreSQL behind the store: the same tables as SQLite's, and its failures in words."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbannotate.core.edits import Edit
from nbannotate.errors import StoreError
from nbannotate.store import open_store, tables
from nbannotate.store import postgres as backend

from . import postgresql
from .conftest import SCHEMA
from .test_store import STEPS, create, do, kept, replayed, status
from .test_watching import LONG, Ear

SECRET = "s3cret-Wört"


@pytest.fixture
def address(database):
    return database()


@pytest.fixture
def own_server():
    """A server of the test's own, to stop and start; without our care it would lose commits."""
    server = postgresql.Server.make(postgresql.find())
    try:
        with (server.data / "postgresql.conf").open("a") as file:
            file.write("synchronous_commit = off\nwal_writer_delay = 10s\n")
        server.start()
        yield server
    finally:
        server.remove()


def sql(address, *statements):
    """What the last statement gives, asked outside of any store."""
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def end_connections(address):
    own = "pid <> pg_backend_pid() AND datname = current_database()"
    sql(address, f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {own}")


# The same as SQLite


@pytest.fixture(scope="module")
def shared(postgres):
    """One store for many examples, emptied before each."""
    sql(postgres.address("postgres"), "CREATE DATABASE shared")
    with open_store(postgres.address("shared")) as store:
        store.schema = SCHEMA
        yield store


def emptied(store):
    with store._database.writing() as connection:
        for table in tables.metadata.sorted_tables:
            if table is not tables.meta:
                connection.execute(sa.delete(table))
        connection.exec_driver_sql("ALTER SEQUENCE history_seq_seq RESTART")
    return store


def everything(store):
    frames = store.labels, store.images.sort_index(), store.history
    return [frame.drop(columns=["at", "created", "updated"], errors="ignore") for frame in frames]


def without_times(rows):
    times = {"created", "updated"}
    return [{key: value for key, value in (row or {}).items() if key not in times} for row in rows]


@given(STEPS)
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
def test_the_same_steps_give_the_same_tables_and_history(shared, steps):
    with open_store(None) as embedded:
        embedded.schema = SCHEMA
        for store in (embedded, emptied(shared)):
            for step in steps:
                do(store, step)

        for one, other in zip(everything(shared), everything(embedded), strict=True):
            for column in {"before", "after"} & set(one.columns):
                assert without_times(one.pop(column)) == without_times(other.pop(column))
            pd.testing.assert_frame_equal(one, other)
        assert kept(shared) == replayed(shared)[0]
        assert shared.counts() == embedded.counts()
        assert shared.undo_stack("ana") == embedded.undo_stack("ana")


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
SHAPE = st.none() | st.lists(VALUES, max_size=3) | st.dictionaries(TEXT, VALUES, max_size=3)
WHOLE = st.none() | st.integers(-(2**63), 2**63 - 1)
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.fixed_dictionaries(
        {
            "geometry": SHAPE, "attributes": st.dictionaries(TEXT, VALUES, max_size=3),
            "text": st.none() | TEXT, "source": TEXT, "annotator": st.none() | TEXT,
            "x": NUMBER, "score": NUMBER, "seconds": NUMBER, "frame": WHOLE, "track": WHOLE,
            "class_id": WHOLE, "created": st.integers(0, 2**62),
        }
    ),
    st.booleans(), TEXT,
)  # fmt: skip
@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
def test_values_come_back_as_they_were_and_as_from_sqlite(shared, values, unsure, note):
    about = {"unsure": unsure, "note": note}
    before = {"unsure": False, "note": None}
    found = []
    with open_store(None) as embedded:
        for store in (embedded, emptied(shared)):
            store.apply([create("i", **values), Edit("image", "a.jpg", None, before, about)])
            row, image = store.label("i"), store.images_of(["a.jpg"])["a.jpg"]
            assert {name: row[name] for name in values} == values
            assert (image["unsure"], image["note"]) == (unsure, note)
            assert store.batch(1)[0].after == create("i", **values).after
            found.append((
                {k: (type(v), v) for k, v in row.items() if k != "updated"},
                {k: (type(v), v) for k, v in image.items() if k != "updated"},
            ))  # fmt: skip
    assert found[0] == found[1]


def test_a_nul_character_is_refused_where_it_stands(store):
    before = store.history

    with pytest.raises(StoreError, match=r"text 'a\\x00b' holds a NUL character"):
        store.apply([status("done"), create("i", text="a\0b")])
    with pytest.raises(StoreError, match="a NUL character"):
        store.labels_of(["\0"])

    pd.testing.assert_frame_equal(store.history, before)
    assert store.apply([create("i", text="ab")]) == 1


# One state for readers, one writer at a time


def test_a_schema_is_a_store_of_its_own(address):
    sql(address, "CREATE SCHEMA one", "CREATE SCHEMA other")
    addresses = [f"{address}&options=-csearch_path%3D{name}" for name in ("one", "other")]
    with open_store(addresses[0]) as one, open_store(addresses[1]) as other:
        listeners = [store._database.open_signal() for store in (one, other)]

        with other._database.writing():  # a writer of one keeps no writer of the other out
            assert one.apply([create("i")]) == 1

        stop = threading.Event()
        assert [listener.changed(stop) for listener in listeners] == [True, False]
        assert other.labels.empty and one.id != other.id
        for listener in listeners:
            listener.close()


def test_a_writer_waits_for_the_other_and_then_says_so(address, store, monkeypatch):
    monkeypatch.setattr(backend, "BUSY_SECONDS", 0.05)
    with open_store(address) as other:
        with (
            other._database.writing(),
            pytest.raises(StoreError, match=r"was busy for .*pg_stat_activity"),
        ):
            store.apply([create("i")])

        assert store.apply([create("i")]) == 1


def test_a_writer_that_does_nothing_keeps_nobody_waiting_for_ever(address, store, monkeypatch):
    with open_store(address) as other:
        asleep, awake = threading.Event(), threading.Event()
        errors = []

        def write():
            try:
                with other._database.writing() as connection:
                    asleep.set()
                    awake.wait(LONG)
                    connection.execute(sa.delete(tables.meta))
            except StoreError as error:
                errors.append(str(error))

        thread = threading.Thread(target=write)
        with monkeypatch.context() as patch:
            patch.setattr(backend, "IDLE_SECONDS", 0.2)
            thread.start()
            assert asleep.wait(LONG)
        assert store.apply([create("i")]) == 1  # it waits until the server has ended the other
        awake.set()
        thread.join(LONG)

        assert len(errors) == 1 and "was taken back; do it again" in errors[0]
        assert store.schema == SCHEMA
        assert other.apply([create("j")]) == 2


# Connections that are lost


def test_a_connection_lost_between_two_steps_is_not_noticed(address, store):
    store.apply([create("i")])
    end_connections(address)

    assert store.apply([create("j")]) == 2
    end_connections(address)
    assert store.labels.index.tolist() == ["i", "j"]


def test_a_connection_lost_within_a_step_takes_the_step_back(address, store):
    with (
        pytest.raises(StoreError, match="connection to the server was lost; the next step"),
        store._database.writing() as connection,
    ):
        connection.execute(sa.insert(tables.clients), {"client": "browser", "seq": 1})
        end_connections(address)
        connection.execute(sa.insert(tables.clients), {"client": "other", "seq": 1})

    assert store.acknowledged("browser") == 0
    assert store.apply([create("i")]) == 1


def test_a_server_that_crashes_has_all_that_it_acknowledged(own_server):
    address = own_server.address("postgres")
    ear = Ear()
    with open_store(address) as store:
        store.schema = SCHEMA
        store.watch(ear)
        for number in range(20):
            store.apply([create(f"i{number}")], message=("browser", number + 1))
        own_server.stop(signal.SIGQUIT)
        with pytest.raises(StoreError, match="no server answers there"):
            store.apply([create("j")])

        heard = ear.calls
        own_server.start()
        assert ear.hears(heard + 1)  # what it may have missed meanwhile is said once
        assert store.acknowledged("browser") == len(store.labels) == 20
        assert store.apply([create("j")]) == 21
        heard = ear.calls
        with open_store(address) as other:
            other.apply([create("k")])
        assert ear.hears(heard + 1)


def test_a_server_that_waits_for_more_than_its_disk_is_left_to_do_so(address):
    for wanted, found in (("off", "on"), ("remote_apply", "remote_apply"), ("local", "local")):
        options = f"{address}&options=-csynchronous_commit%3D{wanted}"
        with open_store(options) as store, store._database.writing() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == found


# What cannot be opened or written


@pytest.fixture
def carol(postgres, database):
    """A user with a password, and the address of a database that is hers."""
    owned = database()
    name = sql(owned, "SELECT current_database()")[0][0]
    user = f"carol_{name}"
    sql(owned, f"CREATE ROLE {user} LOGIN PASSWORD '{SECRET}'")
    sql(owned, f"ALTER DATABASE {name} OWNER TO {user}")
    return lambda password=SECRET, user=user, name=name: postgres.address(name, user, password)


def assert_secret(*texts):
    for text in texts:
        assert SECRET not in text and "s3cret" not in text


def test_a_password_is_in_no_name_message_or_error(carol):
    with open_store(carol()) as store:
        assert_secret(repr(store), store.name, repr(store._database._engine))
        assert store.name.startswith("postgresql://carol_")
        store.apply([create("i")])
        with pytest.raises(StoreError) as info:
            store.apply([create("j", text="\0")])
        assert_secret(str(info.value), repr(info.value.__cause__))


WRONG = f"{SECRET}!"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": WRONG}, "refuses this user or password"),
        ({"user": "nobody_of_that_name", "password": WRONG}, "refuses this user or password"),
        ({"name": "nothing"}, "has no such database; make it with: CREATE DATABASE"),
    ],
)
def test_a_server_that_refuses_says_why(carol, change, message):
    with pytest.raises(StoreError, match=message) as info:
        open_store(carol(**change))

    assert_secret(str(info.value), repr(info.value.__cause__))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"postgresql://u:{SECRET}@127.0.0.1:1/l", r"^postgresql://u@127.0.0.1:1/l: no server"),
        (f"postgresql://u:{SECRET}@/labels?host=/nowhere/database", "no server answers there"),
        (f"postgres://u@127.0.0.1:1/l?password={SECRET}", r"^postgresql://u@127.0.0.1:1/l: no ser"),
        (f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/labels", "no server answers there"),
        (f"postgresql://u:{SECRET}@host:port/labels", "cannot be understood; write postgresql://"),
        (f"postgresql://u:{SECRET}@home@host/labels", "cannot be understood; write postgresql://"),
        (f"postgresql+psycopg2://u:{SECRET}@host/labels", "give a file's path or postgresql://"),
        (f"mysql://u:{SECRET}@host/labels", "mysql:// is no store; give a file's path"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/labels?nosuch=1", "a wrong option.*nosuch"),
    ],
)
def test_an_address_of_nothing_is_said_without_its_password(address, message):
    with pytest.raises(StoreError, match=message) as info:
        open_store(address)

    assert_secret(str(info.value), repr(info.value.__cause__), repr(info.value.__context__))


def test_a_missing_driver_comes_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(StoreError, match=r"install it with: pip install 'nbannotate\[postgres\]'"):
        open_store(f"postgresql://u:{SECRET}@host/labels")


def test_sqlite_needs_no_driver_of_postgresql(tmp_path):
    code = (
        "import sys; from nbannotate.store import open_store; "
        "open_store(sys.argv[1]); print('psycopg' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "labels.db")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == "False\n"


def test_a_database_that_may_only_be_read_is_read_and_says_so(address, store):
    store.apply([create("i")])
    [(name,)] = sql(address, "SELECT current_database()")
    sql(address, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    with open_store(address) as reader:
        assert reader.labels.index.tolist() == ["i"]
        with pytest.raises(StoreError, match="may only be read: the server or this user"):
            reader.apply([create("j")])
        assert reader.last_batch() == 1


def test_a_user_without_rights_is_told_so(carol, address, store, postgres):
    [(name,)] = sql(address, "SELECT current_database()")
    with pytest.raises(StoreError, match="this user may not do that; let the owner"):
        open_store(carol(name=name))


def test_the_encoding_of_the_database_must_hold_all_texts(postgres, database):
    sql(
        postgres.address("postgres"),
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    )

    with pytest.raises(StoreError, match="its encoding is LATIN1, which cannot hold all texts"):
        open_store(postgres.address("latin"))


def test_a_database_without_a_schema_for_new_tables_is_refused(address):
    with pytest.raises(StoreError, match="has no schema for new tables"):
        open_store(f"{address}&options=-csearch_path%3Dnowhere")


def test_tables_of_another_program_are_left_alone(address):
    sql(address, "CREATE TABLE labels (name text)")

    with pytest.raises(StoreError, match="database of another program"):
        open_store(address)

    assert sql(address, "SELECT relname FROM pg_stat_user_tables") == [("labels",)]


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(address, store):
    store.close()
    sql(address, "UPDATE meta SET value = '99' WHERE key = 'version'", "DROP TABLE clients")

    with pytest.raises(StoreError, match=r"newer nbannotate \(store version 99"):
        open_store(address)

    assert "clients" not in str(sql(address, "SELECT relname FROM pg_stat_user_tables"))

"""Fixtures of the store's tests: a store on each kind of database, and a real PostgreSQL server.

A test that takes `address` or `store` runs on SQLite and on PostgreSQL; one that takes `path`, the
file of the database, is about SQLite alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from nbannotate.core.schema import Schema
from nbannotate.store import Store, open_store

from . import postgresql
from .school import School

SCHEMA = Schema(classes=["cat", "dog"], tags=["sun", "rain"], attributes={"occluded": bool})
NUMBERS = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        kinds = ["sqlite"] if "path" in metafunc.fixturenames else ["sqlite", "postgres"]
        metafunc.parametrize("kind", kinds, scope="session")


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgresql.Server]:
    """A running PostgreSQL server, one for all tests."""
    programs = postgresql.find()
    if programs is None:
        pytest.fail(postgresql.MEND)
    server = postgresql.Server.make(programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(postgres: postgresql.Server) -> Callable[[], str]:
    """A factory: `database()` makes an empty PostgreSQL database and gives its address."""

    def make() -> str:
        name = f"labels{next(NUMBERS)}"
        with psycopg.connect(postgres.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres.address(name)

    return make


@pytest.fixture(scope="session")
def make_school(postgres: postgresql.Server) -> Callable[[], School]:
    """A factory: `make_school()` makes a database and people with logins, roles not given yet."""
    return lambda: School.make(postgres, next(NUMBERS))


@pytest.fixture
def school(make_school: Callable[[], School]) -> School:
    """An empty database, and people with logins."""
    return make_school()


@pytest.fixture
def address(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path | str:
    """Where a test's own store can be made, as `open_store` takes it."""
    if kind == "sqlite":
        return tmp_path / "labels.db"
    server: postgresql.Server = request.getfixturevalue("postgres")
    everyone = server.address("postgres")
    name = f"store{next(NUMBERS)}"  # a schema: made and removed faster than a database
    with psycopg.connect(everyone, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{everyone}&options=-csearch_path%3D{name}"


@pytest.fixture
def path(address: Path) -> Path:
    """The file of an SQLite store."""
    return address


@pytest.fixture
def store(address: Path | str) -> Iterator[Store]:
    """An open store with a scheme."""
    with open_store(address) as store:
        store.schema = SCHEMA
        yield store

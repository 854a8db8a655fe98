"""Roles are made by the owner or an administrator, and a login bears one name in a store."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import psycopg
import pytest
import sqlalchemy as sa

from nbannotate.cli import main
from nbannotate.errors import RightsError, StoreError
from nbannotate.store import open_store, tables
from nbannotate.store.roles import make_roles, roles_sql

from .school import SCHEMA
from .test_roles import outcome
from .test_store import create, update


def commit(store, label_id, annotator):
    return store.apply([create(label_id, annotator=annotator)], annotator=annotator)


# Whose name is whose


@pytest.fixture
def guarded(school):
    """A store whose people have roles, but no names yet; someone labelled as old in it before."""
    with school.opened("prof") as store:
        store.schema = SCHEMA
        commit(store, "of-old", "old")
    school.guard(annotators={"ana": None, "ben": None}, reviewers={"rita": None})
    return school


def test_a_login_bears_the_first_name_that_it_uses_and_no_other(guarded):
    with guarded.opened("ana") as store:
        commit(store, "i", "Ana B.")
        with pytest.raises(StoreError, match=r"labels as 'Ana B\.' here, not as 'Eve'; give annot"):
            commit(store, "j", "Eve")
    with guarded.opened("ana") as store, pytest.raises(StoreError, match="not as 'Eve'"):
        commit(store, "j", "Eve")
    with guarded.opened("ana") as store:
        assert commit(store, "j", "Ana B.") == 3


def test_a_name_that_another_login_bears_is_refused_and_its_labels_are_safe(guarded):
    with guarded.opened("ana") as ana, guarded.opened("ben") as ben:
        commit(ana, "i", "quiet-otter-1")
        for use in (
            lambda: ben.apply([update("i", {"x": 1.0}, {"x": 2.0})], annotator="quiet-otter-1"),
            lambda: ben.claim("quiet-otter-1"),
        ):
            with pytest.raises(
                StoreError, match="'quiet-otter-1' is taken, by another login"
            ) as info:
                use()
            assert guarded.login("ana") not in str(info.value)  # whose pseudonym it is

        assert commit(ben, "j", "loud-owl-2") == 3
        assert ana.label("i")["x"] == 1.0


def test_a_name_under_which_someone_has_labelled_before_is_given_by_the_owner_alone(guarded):
    ben = guarded.login("ben")
    with guarded.opened("ben") as store:
        with pytest.raises(StoreError, match=r"'old' is taken, .* --annotators ben\d+=old"):
            commit(store, "i", "old")
        guarded.guard(annotators={"ben": "old"})
        assert commit(store, "i", "old") == 2
        assert store.apply([update("of-old", {"x": 1.0}, {"x": 2.0})], annotator="old") == 3
    insert = "INSERT INTO members (login, annotator) VALUES (session_user, 'old')"
    guarded.sql("prof", f"DELETE FROM members WHERE login = '{ben}'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        guarded.sql("ana", insert)


def test_ones_login_is_a_name_that_is_ones_own_also_if_it_was_used_before(school):
    ana = school.login("ana")
    with school.opened("prof") as store:
        store.schema = SCHEMA
        commit(store, "i", ana)
    school.guard(annotators={"ana": None, "ben": None})

    with school.opened("ben") as store, pytest.raises(StoreError, match="is taken"):
        commit(store, "j", ana)
    with school.opened("ana") as store:
        assert store.apply([update("i", {"x": 1.0}, {"x": 2.0})], annotator=ana) == 2


@pytest.mark.parametrize("annotator", [None, "", " "])
def test_nobody_labels_without_a_name_but_the_owner(guarded, annotator):
    for who in ("ana", "rita"):
        with guarded.opened(who) as store, pytest.raises(StoreError, match="nobody labels in it w"):
            commit(store, "i", annotator)
    with guarded.opened("prof") as store:
        assert commit(store, "i", annotator) == 2


def test_of_two_logins_that_take_a_name_at_once_one_gets_it(guarded):
    with guarded.opened("ana") as ana, guarded.opened("ben") as ben:
        start = threading.Barrier(2)

        def claim(store):
            start.wait(10)
            try:
                store.claim("wanted")
            except StoreError as error:
                return "taken" if "is taken, by another login" in str(error) else str(error)
            return "mine"

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(claim, (ana, ben))) == ["mine", "taken"]


def test_leases_are_in_ones_own_name(guarded):
    with guarded.opened("prof") as store:
        store.assign("shared")
    with guarded.opened("ana") as ana, guarded.opened("ben") as ben:
        ana.leases("Ana").offer(["a.jpg"])
        with pytest.raises(StoreError, match="'Ana' is taken"):
            ben.leases("Ana")


def test_a_commit_asks_no_more_of_a_server_that_guards_the_store_than_of_others(guarded, database):
    found = []
    with guarded.opened("ana") as store, open_store(database()) as free:
        free.schema = SCHEMA
        for one in (store, free):
            commit(one, "i1", "Ana")
            texts = []
            found.append(texts)
            sa.event.listen(
                one._database._engine,
                "before_cursor_execute",
                lambda *about, texts=texts: texts.append(about[2]),
            )
            commit(one, "i2", "Ana")
            one.close()

    assert found[0] == found[1] and len(found[0]) > 5


# Making roles


def test_made_again_they_are_the_same_and_others_get_a_role_too(school):
    first = school.guard(annotators={"ana": None}, reviewers={"rita": "Rita"})
    with school.opened("ana") as store:
        store.claim("Ana")
    names = {who: school.login(who) for who in ("ana", "ben", "rita", "prof")}
    assert (first.owner, first.prefix) == (names["prof"], school.prefix)
    assert (first.annotators, first.reviewers) == ({names["ana"]: None}, {names["rita"]: "Rita"})

    again = make_roles(school.address("prof"), annotators={names["ben"]: None})

    assert again.prefix == school.prefix
    assert again.annotators == {names["ana"]: "Ana", names["ben"]: None}
    assert f"changes its own labels: {names['ana']} (as 'Ana'), {names['ben']}" in str(again)
    with school.opened("ben") as store:
        assert store.role == "annotator"


def test_who_gets_the_other_role_loses_the_first(school):
    school.guard()
    assert school.guard(reviewers={"ana": None}).annotators == {school.login("ben"): "ben"}
    with school.opened("ana") as store:
        assert store.role == "reviewer"
    school.guard(annotators={"ana": None, "rita": None})
    for who in ("ana", "rita"):
        with school.opened(who) as store:
            assert store.role == "annotator"


def test_labels_that_were_there_before_stay_and_so_does_the_history(school):
    with school.opened("prof") as store:
        store.schema = SCHEMA
        commit(store, "i", "prof")
        before = store.history
    school.guard()

    with school.opened("ana") as store:
        assert store.history.equals(before) and store.check().ok
        with pytest.raises(RightsError, match="belongs to another annotator, 'prof'"):
            store.apply([update("i", {"x": 1.0}, {"x": 2.0})], annotator="ana")


def test_each_schema_of_a_database_is_guarded_by_itself(school):
    def path(who, schema):
        return f"{school.address(who)}&options=-csearch_path%3D{schema}"

    ana = school.login("ana")
    school.sql(
        "prof", 'CREATE SCHEMA "One"', f"CREATE SCHEMA hers; GRANT ALL ON SCHEMA hers TO {ana}"
    )
    make_roles(path("prof", '"One"'), annotators={ana: "ana"}, prefix=school.prefix)
    with open_store(path("prof", '"One"')) as store:
        store.schema = SCHEMA

    for schema, role, annotator in (('"One"', "annotator", "ana"), ("hers", "owner", "anyone")):
        with open_store(path("ana", schema)) as store:
            store.extend_schema(SCHEMA)
            assert (store.role, commit(store, "i", annotator)) == (role, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotators": {"nobody_there": None}}, "no login 'nobody_there'; make it with: CREATE R"),
        ({"annotators": {"nba": None}}, "no rule of the server holds 'nba'"),
        ({"reviewers": {"prof": None}}, "no rule of the server holds"),
        ({"annotators": {"ana": None}, "reviewers": {"ana": None}}, r"'ana\d+' is given twice"),
        ({"annotators": {"ana": "A", "ben": "A"}}, "the name 'A' is given twice"),
        ({"annotators": {"": None}}, "a login is empty"),
        ({"annotators": {"ana": ""}}, "a name is empty"),
        ({"prefix": "pg_mine"}, "the prefix 'pg_mine' is no beginning"),
        ({"prefix": 'x"; DROP'}, "is no beginning for names of roles"),
        ({"prefix": "other"}, r"is guarded by the role school\d+_annotator already"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(school, change, message):
    before = school.guard(annotators={"ben": None})
    people = {
        role: {school.login(who) if who in ("ana", "ben", "prof") else who: name
               for who, name in change[role].items()}
        for role in ("annotators", "reviewers") if role in change
    }  # fmt: skip

    with pytest.raises(StoreError, match=message):
        make_roles(school.address("prof"), **people, prefix=change.get("prefix"))

    assert make_roles(school.address("prof")) == before


def test_one_who_may_not_make_roles_is_told_of_the_way(school):
    school.admin(f"ALTER ROLE {school.login('prof')} NOCREATEROLE")

    with pytest.raises(
        StoreError, match=r"may not make roles .*CREATEROLE, or let an administrator"
    ):
        school.guard()

    assert school.sql("prof", "SELECT FROM pg_tables WHERE tablename = 'labels'") == []


def test_others_than_the_owner_make_no_roles(school):
    school.guard()
    for who in ("ana", "rita"):
        with pytest.raises(StoreError, match=rf"belong to {school.login('prof')}; only that login"):
            make_roles(school.address(who), annotators={school.login("eve"): None})
    with pytest.raises(StoreError, match="this user may not do that"):
        make_roles(school.address("eve"))


def test_a_login_without_a_role_is_told_how_it_gets_one(school):
    school.guard()
    eve = school.login("eve")
    for right in (f"CONNECT ON DATABASE {school.database}", "pg_read_all_data"):
        school.admin(f"GRANT {right} TO {eve}")
        with pytest.raises(StoreError, match=rf"'{eve}' has no role in it.*--annotators {eve}"):
            open_store(school.address("eve"))


def test_what_a_newer_version_adds_is_left_to_the_owner(school):
    school.guard()
    for lost in ("TABLE leases", "INDEX labels_by_kind"):
        school.sql("prof", f"DROP {lost}")
        with pytest.raises(StoreError, match=r"older nbannotate.*nbannotate store init URL, with"):
            open_store(school.address("ana"))
        school.guard()
        with school.opened("ana") as store:
            assert store.check().ok
    assert outcome(school, "ana", "DELETE FROM leases") == 0


# As SQL for an administrator


def psql(server, address, script):
    program = server.programs / "psql"
    found = program if program.is_file() else shutil.which("psql")
    return subprocess.run(
        [found, "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--quiet", address],
        input=script, capture_output=True, text=True, check=False,
    )  # fmt: skip


ODD = 'Ann "O\'B", 10% \\ ü'


def test_psql_makes_of_the_sql_what_we_make_of_it(school):
    odd = f"{ODD}{school.number}"
    quoted = odd.replace('"', '""')
    school.admin(f"""CREATE ROLE "{quoted}" LOGIN""")
    people = {"annotators": {school.login("ana"): "ana", odd: odd}, "reviewers": {}}
    script = roles_sql(school.address("prof"), **people, prefix=school.prefix)
    admin = school.server.address(school.database)
    for _ in range(2):
        run = psql(school.server, admin, script)
        assert (run.returncode, run.stderr, run.stdout) == (0, "", "")

    with school.opened("prof") as store:
        assert store.role == "owner"  # although an administrator made the tables
        store.schema = SCHEMA
    with school.opened("ana") as store:
        assert store.role == "annotator" and commit(store, "i", "ana") == 1
        with pytest.raises(RightsError, match="belongs to another annotator"):
            store.apply([create("j", annotator=odd)], annotator="ana")
    rules = "SELECT * FROM pg_policies ORDER BY tablename, policyname"
    of_psql = school.sql("prof", rules)
    assert len(of_psql) > 15
    assert make_roles(school.address("prof")).annotators == people["annotators"]
    assert school.sql("prof", rules) == of_psql


def test_the_owner_may_run_it_too_and_an_error_changes_nothing(school):
    script = roles_sql(school.address("prof"), prefix=school.prefix)
    broken = script.replace("COMMIT;", "SELECT 1/0;\nCOMMIT;")
    assert "division by zero" in psql(school.server, school.address("prof"), broken).stderr
    assert school.sql("prof", "SELECT FROM pg_tables WHERE schemaname = 'public'") == []

    run = psql(school.server, school.address("prof"), script)
    assert (run.returncode, run.stderr) == (0, "")
    with school.opened("prof") as store:
        assert store.check().ok


def test_the_rules_are_a_file_that_psql_takes_as_it_is(school):
    with school.opened("prof"):
        script = files("nbannotate.store").joinpath("roles.sql").read_text("utf-8")
        run = psql(school.server, school.server.address(school.database), f"BEGIN;{script}COMMIT;")
    assert (run.returncode, run.stderr) == (0, "")
    assert make_roles(school.address("prof")).prefix == "nbannotate"


def test_the_guard_covers_each_table_and_what_is_written_in_it(school):
    school.guard()
    found = school.sql("prof", "SELECT relname FROM pg_class WHERE relrowsecurity")
    assert {name for (name,) in found} == set(tables.metadata.tables)
    role = f"{school.prefix}_annotator"
    query = "SELECT column_name FROM information_schema.column_privileges WHERE grantee = '{}' "
    query += "AND table_name = '{}' AND privilege_type = '{}'"
    for table, right, without in (("images", "UPDATE", "image"), ("history", "INSERT", "seq")):
        granted = {name for (name,) in school.sql("prof", query.format(role, table, right))}
        assert granted == {c.name for c in tables.metadata.tables[table].columns} - {without}


# The command


def run(capsys, *arguments):
    code = main(["store", "init", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_makes_store_and_roles_and_says_what_is_next(school, capsys):
    ana, ben, rita = map(school.login, ("ana", "ben", "rita"))
    people = ["--annotators", f"{ana}, {ben}=Ben B.", "--reviewers", rita]
    url, more = school.address("prof"), ["--roles", "--prefix", school.prefix]

    code, out, _ = run(capsys, url, *more)
    assert code == 0 and "nobody yet" in out and "next: give people a role, with --annot" in out
    code, out, _ = run(capsys, url, *more, *people)

    assert code == 0 and "x@" not in out
    assert f"owner, of all and of the scheme: {school.login('prof')}\n" in out
    assert f"{school.prefix}_annotator, changes its own labels: {ana}, {ben} (as 'Ben B.')\n" in out
    assert f"{school.prefix}_reviewer, changes all labels: {rita}\n" in out
    assert "next: each opens it with a login of their own: store='postgresql://LOGIN@" in out
    with school.opened("ben") as store:
        assert (store.role, commit(store, "i", "Ben B.")) == ("annotator", 1)


def test_the_command_prints_the_sql_and_does_nothing(school, capsys):
    people = {school.login("ana"): None}
    url = school.address("prof")
    code, out, _ = run(
        capsys, url, "--roles", "--sql", "--prefix", school.prefix, "--annotators", *people
    )

    assert code == 0 and out == roles_sql(url, annotators=people, prefix=school.prefix)
    assert school.sql("prof", "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["labels.db", "--roles"],
            "labels.db: roles need PostgreSQL; a file is guarded by its per",
        ),
        (["labels.db", "--roles", "--sql"], "labels.db: roles need PostgreSQL"),
        (["mysql://u:s3cret@h/x", "--roles"], "mysql://: roles need PostgreSQL"),
        (["labels.db", "--annotators", "ana"], "--annotators is for --roles; give that too"),
        (["labels.db", "--sql"], "--sql is for --roles"),
        (["postgresql://u:s3cret@home@h/x", "--roles"], "the address .* cannot be understood"),
    ],
)
def test_wrong_use_of_the_command_is_said(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)

    assert (code, out) == (2, "") and re.search(message, err)
    assert "s3cret" not in err and list(tmp_path.iterdir()) == []


def test_without_roles_all_is_as_it_was(database, tmp_path):
    for address in (database(), tmp_path / "labels.db", None):
        with open_store(address) as store:
            store.schema = SCHEMA
            assert store.role == "owner"
            for number, annotator in enumerate((None, "ana", "ben")):
                assert commit(store, f"i{number}", annotator) == number + 1
            assert store.apply([update("i2", {"x": 1.0}, {"x": 2.0})], annotator="ana") == 4

"""Roles on a PostgreSQL server: who may change what, by statements of their own and by our API."""

from __future__ import annotations

import itertools

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbannotate.core.changes import Changer
from nbannotate.core.edits import Edit, inverted
from nbannotate.core.schema import Schema
from nbannotate.errors import RightsError
from nbannotate.store import open_store, read_parts

from .school import SCHEMA
from .test_store import create, status, update
from .test_watching import Ear

NUMBERS = itertools.count()
NOW = "(extract(epoch FROM now()) * 1e6)::bigint"


@pytest.fixture(scope="module")
def filled(make_school):
    """A guarded store with a label of ana, one of ben and one of nobody; it stays as it is."""
    school = make_school()
    with school.opened("prof") as store:
        store.schema = SCHEMA
        store.assign("shared", overlap=2)
        store.leases("prof").offer(["a.jpg", "b.jpg", "c.jpg"])
        store.apply([create("of-nobody", annotator=None)])
    school.guard()
    for who in ("ana", "ben"):
        with school.opened(who) as store:
            store.apply([create(f"of-{who}", annotator=who)], annotator=who, message=(who, 1))
            store.leases(who).take(1)
    school.sql(
        "prof",
        "INSERT INTO leases (image, annotator, until) VALUES ('c.jpg', 'ben', 1)",
        "INSERT INTO tallies (name, value) VALUES ('class 9', 1)",
    )
    return school


# What each may do with statements of their own


def label(who):
    row = f"'new', 'a.jpg', 'box', '{{{{}}}}', 'human', 1, 1, {who}"
    names = "label_id, image, kind, attributes, source, created, updated, annotator"
    return f"INSERT INTO labels ({names}) VALUES ({row})"


def image(who):
    names = "image, status, seconds, unsure, annotator"
    return f"INSERT INTO images ({names}) VALUES ('z', 'todo', 0, false, {who})"


def edit(
    op="image", batch="max(batch) + 1", label="NULL", before="NULL", after="NULL", who="'{me}'"
):
    row = f"{batch}, 1, '{op}', 'a.jpg', {label}, {before}, {after}, {who}"
    names = "batch, at, op, image, label_id, before, after, annotator"
    return f"INSERT INTO history ({names}) SELECT {row} FROM history"


REFUSED, NONE, ONE = "refused", 0, 1
RULES = [
    # statement, and what comes of it for ana, an annotator, and rita, a reviewer
    ("UPDATE labels SET x = 9 WHERE label_id = 'of-ana'", ONE, ONE),
    ("UPDATE labels SET x = 9 WHERE label_id = 'of-ben'", NONE, ONE),
    ("UPDATE labels SET x = 9 WHERE label_id = 'of-nobody'", NONE, ONE),
    ("UPDATE labels SET annotator = 'ana' WHERE label_id = 'of-ben'", NONE, ONE),
    ("UPDATE labels SET annotator = 'ben' WHERE label_id = 'of-ana'", REFUSED, ONE),
    ("UPDATE labels SET annotator = NULL WHERE label_id = 'of-ana'", REFUSED, ONE),
    ("DELETE FROM labels WHERE label_id = 'of-ana'", ONE, ONE),
    ("DELETE FROM labels WHERE label_id = 'of-ben'", NONE, ONE),
    (label("'{me}'"), ONE, ONE),
    (label("'ben'"), REFUSED, ONE),
    (label("NULL"), REFUSED, ONE),
    ("INSERT INTO labels SELECT * FROM labels WHERE label_id = 'of-ben' "
     "ON CONFLICT (label_id) DO UPDATE SET x = 9", REFUSED, ONE),
    ("MERGE INTO labels USING (SELECT 1) AS one ON label_id = 'of-ben' "
     "WHEN MATCHED THEN UPDATE SET x = 9", REFUSED, ONE),
    ("TRUNCATE labels", REFUSED, REFUSED),
    ("UPDATE images SET status = 'done', annotator = '{me}'", ONE, ONE),
    ("UPDATE images SET status = 'done', annotator = 'ben'", REFUSED, REFUSED),
    ("UPDATE images SET image = 'y', annotator = '{me}'", REFUSED, REFUSED),
    ("DELETE FROM images", REFUSED, REFUSED),
    (image("'{me}'"), ONE, ONE),
    (image("'ben'"), REFUSED, REFUSED),
    (edit(), ONE, ONE),
    (edit(who="'ben'"), REFUSED, REFUSED),
    (edit(who="NULL"), REFUSED, REFUSED),
    (edit(batch="max(batch)"), REFUSED, REFUSED),  # into a batch of ben's
    (edit(batch="1"), REFUSED, REFUSED),
    (edit(batch="max(batch) + 2"), REFUSED, REFUSED),
    (edit("schema"), REFUSED, REFUSED),
    (edit("update", label="'of-ana'"), ONE, ONE),
    (edit("update", label="'of-ben'"), REFUSED, ONE),
    (edit("delete", label="'of-ben'", before='\'{{"annotator": "{me}"}}\''), REFUSED, ONE),
    (edit("delete", label="'gone'", before='\'{{"annotator": "ben"}}\''), REFUSED, ONE),
    (edit("create", label="'gone'", after='\'{{"annotator": "ben"}}\''), REFUSED, ONE),
    (edit("create", label="'gone'", after='\'{{"annotator": "{me}"}}\''), ONE, ONE),
    ("INSERT INTO history (seq, batch, at, op, image, annotator) "
     "VALUES (-1, 9, 1, 'image', 'a.jpg', '{me}')", REFUSED, REFUSED),
    ("UPDATE history SET at = 1", REFUSED, REFUSED),
    ("UPDATE history SET at = 1 WHERE annotator = '{me}'", REFUSED, REFUSED),
    ("DELETE FROM history", REFUSED, REFUSED),
    ("TRUNCATE history", REFUSED, REFUSED),
    ("SELECT setval('history_seq_seq', 1)", REFUSED, REFUSED),
    ("UPDATE meta SET value = '{{}}' WHERE key = 'schema'", REFUSED, REFUSED),
    ("UPDATE meta SET value = 'null' WHERE key = 'assignment'", REFUSED, REFUSED),
    ("DELETE FROM meta", REFUSED, REFUSED),
    ("INSERT INTO meta (key, value) VALUES ('more', '1')", REFUSED, REFUSED),
    ("INSERT INTO members (login, annotator) VALUES ('eve', 'eve')", REFUSED, REFUSED),
    ("UPDATE members SET annotator = 'eve'", REFUSED, REFUSED),
    ("DELETE FROM members", REFUSED, REFUSED),
    ("UPDATE clients SET seq = 99 WHERE client = 'ben'", NONE, NONE),
    ("INSERT INTO clients (client, seq) VALUES ('new', 1)", ONE, ONE),
    ("INSERT INTO clients (client, seq, login) VALUES ('new', 1, 'ben')", REFUSED, REFUSED),
    ("DELETE FROM clients", REFUSED, REFUSED),
    ("UPDATE tallies SET value = value + 1 WHERE name = 'class 9'", ONE, ONE),
    ("SELECT image FROM queue WHERE image = 'a.jpg' FOR UPDATE", ONE, ONE),
    ("UPDATE queue SET place = 99 WHERE image = 'a.jpg'", REFUSED, REFUSED),
    ("INSERT INTO queue (image, place) VALUES ('d.jpg', 9)", ONE, ONE),
    ("DELETE FROM queue", REFUSED, REFUSED),
    ("INSERT INTO leases (image, annotator, until) VALUES ('b.jpg', '{me}', 1)", ONE, ONE),
    ("INSERT INTO leases (image, annotator, until) VALUES ('b.jpg', 'eve', 1)", REFUSED, REFUSED),
    ("UPDATE leases SET until = 1 WHERE annotator = 'ana'", ONE, NONE),
    ("UPDATE leases SET until = 1 WHERE annotator = 'ben'", NONE, NONE),
    (f"DELETE FROM leases WHERE annotator = 'ben' AND until > {NOW}", NONE, NONE),
    (f"DELETE FROM leases WHERE annotator = 'ben' AND until < {NOW}", ONE, ONE),
    ("ALTER TABLE labels DISABLE ROW LEVEL SECURITY", REFUSED, REFUSED),
    ("DROP POLICY annotators_change ON labels", REFUSED, REFUSED),
    ("CREATE POLICY more ON labels USING (true)", REFUSED, REFUSED),
    ("CREATE TRIGGER more BEFORE UPDATE ON labels FOR EACH ROW "
     "EXECUTE FUNCTION suppress_redundant_updates_trigger()", REFUSED, REFUSED),
    ("DROP TABLE labels", REFUSED, REFUSED),
    ("LOCK TABLE meta IN ACCESS EXCLUSIVE MODE", REFUSED, REFUSED),
    ("SET row_security = off; UPDATE labels SET x = 9", REFUSED, REFUSED),
    ("SET ROLE {prefix}_annotator; UPDATE labels SET x = 9 WHERE label_id = 'of-ben'",
     NONE, REFUSED),
    ("SET ROLE {prefix}_annotator; UPDATE labels SET x = 9 WHERE label_id = 'of-ana'",
     ONE, REFUSED),
    ("SET ROLE {prefix}_annotator; INSERT INTO members (login, annotator) "
     "VALUES (current_user, 'all of us')", REFUSED, REFUSED),
    ("SET ROLE {prefix}_reviewer", REFUSED, -1),
    ("SET SESSION AUTHORIZATION {ben}", REFUSED, REFUSED),
    ("GRANT UPDATE ON meta TO PUBLIC; DELETE FROM meta", REFUSED, REFUSED),
]  # fmt: skip


def outcome(school, who, statement):
    """How many rows a statement touches, or that the server refuses it; it is taken back."""
    words = {"me": who, "prefix": school.prefix, "ben": school.login("ben")}
    with psycopg.connect(school.address(who)) as connection:
        try:
            cursor = connection.execute(statement.format(**words))
            while cursor.nextset():
                pass
            return cursor.rowcount
        except psycopg.errors.InsufficientPrivilege:
            return REFUSED
        finally:
            connection.rollback()


@pytest.mark.parametrize(("statement", "annotator", "reviewer"), RULES)
def test_each_role_may_do_what_it_is_for_and_no_more(filled, statement, annotator, reviewer):
    assert outcome(filled, "ana", statement) == annotator
    assert outcome(filled, "rita", statement) == reviewer


@pytest.mark.parametrize("table", ["labels", "images", "history", "meta", "queue", "leases"])
def test_all_who_have_a_role_read_all_and_others_nothing(filled, table):
    query = f"SELECT count(*) FROM {table}"
    [owner, *others] = [filled.sql(who, query) for who in ("prof", "ana", "rita")]

    assert owner[0][0] > 0 and all(found == owner for found in others)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        filled.sql("eve", query)


def test_nobody_but_the_owner_sees_which_login_bears_which_name(filled):
    query = "SELECT login, annotator FROM members ORDER BY login"

    assert filled.sql("ana", query) == [(filled.login("ana"), "ana")]
    assert filled.sql("rita", query) == [(filled.login("rita"), "rita")]
    assert len(filled.sql("prof", query)) == 3


def test_the_first_batch_is_the_first(school):
    school.guard()
    for who in ("ana", "rita"):
        assert outcome(school, who, edit(batch="count(*) + 2")) == REFUSED
        assert outcome(school, who, edit(batch="count(*) + 1")) == ONE


def test_rights_that_someone_had_before_are_replaced_by_those_of_the_role(school):
    with school.opened("prof"):
        ana = school.login("ana")
        school.sql(
            "prof",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ana}, PUBLIC",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ana}, PUBLIC",
        )
    assert outcome(school, "ana", "TRUNCATE meta") == -1
    school.guard()

    for statement in ("TRUNCATE meta", "DELETE FROM meta", "SELECT setval('history_seq_seq', 9)"):
        assert outcome(school, "ana", statement) == REFUSED
        assert outcome(school, "eve", statement) == REFUSED


# What each may do by our API


@pytest.fixture
def guarded(school):
    """A guarded store with a scheme, and a label of each of ana and ben."""
    with school.opened("prof") as store:
        store.schema = SCHEMA
    school.guard()
    for who in ("ana", "ben"):
        with school.opened(who) as store:
            store.apply([create(f"of-{who}", annotator=who)], annotator=who)
    return school


def everything(store):
    return store.labels, store.images, store.history, store.counts(), store.seconds()


def assert_unchanged(store, before):
    for found, wanted in zip(everything(store), before, strict=True):
        if isinstance(wanted, pd.DataFrame):
            pd.testing.assert_frame_equal(found, wanted)
        else:
            assert found == wanted
    assert store.check().ok


def test_the_role_is_told(guarded):
    for who, role in (("prof", "owner"), ("rita", "reviewer"), ("ana", "annotator")):
        with guarded.opened(who) as store:
            assert store.role == role


MOVE = update("of-ben", {"x": 1.0}, {"x": 2.0})


@pytest.mark.parametrize(
    "edits",
    [
        [MOVE],
        [Edit("delete", "a.jpg", "of-ben", before=create("of-ben", annotator="ben").after)],
        [create("new", annotator="ben")],
        [create("new", annotator=None)],
        # In the midst of others that are written by one statement.
        [update(f"of-{who}", {"x": 1.0}, {"x": 2.0}) for who in ("ana", "ben")],
        [create("new", annotator="ana"), status("done"), MOVE],
    ],
)
def test_a_step_that_touches_a_label_of_another_is_taken_back_whole(guarded, edits):
    with guarded.opened("ana") as store:
        before = everything(store)

        message = r"a label of 'a.jpg' belongs to (another annotator, 'ben'|nobody); ask a reviewer"
        with pytest.raises(RightsError, match=message):
            store.apply(edits, annotator="ana", seconds=3.0, message=("browser", 1))

        assert_unchanged(store, before)
        assert store.acknowledged("browser") == 0
        assert store.apply([status("done")], annotator="ana", message=("browser", 1)) == 3


def test_many_labels_of_which_one_is_anothers_are_left_as_they_are(guarded):
    with guarded.opened("ana") as store:
        store.apply([create(f"i{n}", annotator="ana") for n in range(300)], annotator="ana")
        before = everything(store)
        ids = [*(f"i{n}" for n in range(300)), "of-ben"]
        rows = {row["label_id"]: row for row in store.labels_of(["a.jpg"])["a.jpg"]}

        for edits in (
            [update(label_id, {"x": 1.0}, {"x": 2.0}) for label_id in ids],
            [Edit("delete", "a.jpg", label_id, before=rows[label_id]) for label_id in ids],
        ):
            with pytest.raises(RightsError, match="belongs to another annotator, 'ben'"):
                store.apply(edits, annotator="ana")
            assert_unchanged(store, before)
            store.apply(edits[:1], annotator="ana")
            number = store.last_batch()
            store.apply(inverted(store.batch(number)), annotator="ana", reverses=number)
            before = everything(store)


def test_a_reviewer_changes_and_deletes_what_others_made_and_takes_it_back(guarded):
    with guarded.opened("rita") as store:
        [row] = [row for row in store.labels_of(["a.jpg"])["a.jpg"] if row["annotator"] == "ben"]
        moved = store.apply([MOVE], annotator="rita")
        deleted = store.apply(
            [Edit("delete", "a.jpg", "of-ben", before={**row, "x": 2.0})], annotator="rita"
        )
        for number in (deleted, moved):
            store.apply(inverted(store.batch(number)), annotator="rita", reverses=number)

        found = store.label("of-ben")
        assert {**found, "updated": 0} == {**row, "updated": 0}
        assert store.history["annotator"].tolist() == ["ana", "ben", *["rita"] * 4]
        assert store.check().ok


def test_only_the_owner_changes_the_scheme_the_assignment_and_merges(guarded, tmp_path):
    with open_store(tmp_path / "more.db") as store:
        store.schema = SCHEMA
        store.apply([create("more")], annotator="ana")
    parts = read_parts([tmp_path / "more.db"])
    calls = {
        "lacks 'tree'": lambda store: store.extend_schema(Schema(classes=["cat", "tree"])),
        "changes its scheme": lambda store: store.schema.rename("cat", "lion"),
        "how the work is given": lambda store: store.assign("all"),
        "merges others": lambda store: store.merge(parts),
    }
    for who in ("ana", "rita"):
        with guarded.opened(who) as store:
            before = everything(store)
            for words, call in calls.items():
                with pytest.raises(RightsError, match=f"only the owner of the store .*{words}"):
                    call(store)
            store.extend_schema(Schema(classes=["dog"]))  # nothing new
            store.assign(None)
            assert store.schema.rename("cat", "lion", dry_run=True).labels == 2
            assert_unchanged(store, before)

    with guarded.opened("prof") as store:
        for call in calls.values():
            call(store)
        assert store.check().ok


def test_a_step_of_the_scheme_is_not_taken_back_by_others(guarded):
    with guarded.opened("prof") as store:
        number = store.schema.rename("cat", "lion").batch
    with guarded.opened("rita") as store, pytest.raises(RightsError, match="changes its scheme"):
        store.apply(inverted(store.batch(number)), annotator="rita", reverses=number)


def test_work_is_handed_out_and_heard_of_as_without_roles(guarded):
    images = [f"{n}.jpg" for n in range(6)]
    with guarded.opened("prof") as store:
        store.assign("shared")
    with guarded.opened("ana") as ana, guarded.opened("ben") as ben, guarded.opened("rita") as rita:
        ear = Ear()
        ben.watch(ear)
        of_ana, of_ben = ana.leases("ana"), ben.leases("ben")
        of_ana.offer(images)
        assert of_ana.take(2) == images[:2] and of_ben.take(2) == images[2:4]
        assert rita.leases("rita").take(9) == images[4:]

        ana.apply([status("done", image="0.jpg")], annotator="ana", leases=of_ana)

        assert ear.hears()
        assert of_ana.held() == ["1.jpg"]
        of_ben.renew()
        of_ben.release()
        assert of_ana.take(9) == images[2:4]


def test_what_is_read_is_the_same_for_all(guarded, tmp_path):
    with guarded.opened("prof") as store:
        before = everything(store)
    for who in ("ana", "rita"):
        with guarded.opened(who) as store:
            assert_unchanged(store, before)
            assert store.blind("ben").labels.index.tolist() == ["of-ben"]
            assert store.at(1).labels.index.tolist() == ["of-ana"]
            assert store.summary().images == {"todo": 1, "done": 0, "skipped": 0, "flagged": 0}
            assert (store.snapshot(tmp_path / who) / "schema.json").is_file()


@pytest.fixture(scope="module")
def three(make_school):
    """One guarded store for many examples, open for each of its people."""
    school = make_school()
    with school.opened("prof") as prof:
        prof.schema = SCHEMA
        school.guard()
        with (
            school.opened("ana") as ana,
            school.opened("ben") as ben,
            school.opened("rita") as rita,
        ):
            yield {"ana": ana, "ben": ben, "rita": rita}


STEP = st.tuples(
    st.sampled_from(["ana", "ben", "rita"]),
    st.lists(
        st.tuples(st.sampled_from(["make", "move", "delete"]), st.integers(0, 5)),
        min_size=1,
        max_size=4,
    ),
)


@given(st.lists(STEP, min_size=1, max_size=8))
@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
def test_whatever_people_try_history_and_labels_stay_one(three, steps):
    rita = three["rita"]
    rita.apply(edits_of(rita, "rita", [("delete", n) for n in range(6)]), annotator="rita")
    whose = {}
    for who, wishes in steps:
        store = three[who]
        edits = edits_of(store, who, wishes)
        before = store.last_batch()
        if who == "rita" or all(whose.get(edit.label_id, who) == who for edit in edits):
            assert store.apply(edits, annotator=who) == (before + 1 if edits else None)
            for edit in edits:
                if edit.op != "update":
                    whose.pop(edit.label_id, None)
                if edit.op == "create":
                    whose[edit.label_id] = who
        else:
            with pytest.raises(RightsError):
                store.apply(edits, annotator=who)
            assert store.last_batch() == before

    assert rita.labels["annotator"].to_dict() == whose
    assert rita.check().ok


def edits_of(store, who, wishes):
    """The edits of what someone wishes to do to labels, as far as they are there."""
    labels = store.labels_of(["a.jpg"])["a.jpg"]
    there = {row["label_id"] for row in labels}
    changes = []
    for wish, number in wishes:
        name = f"i{number}"
        if wish == "make" and name not in there:
            place = {"x": 1, "y": 2, "width": 3, "height": 4}
            changes.append({"op": "create", "label_id": name, "image": "a.jpg", "label": "cat"})
            changes[-1] |= place
            there.add(name)
        elif wish == "move" and name in there:
            x = next(NUMBERS) % 90
            changes.append({"op": "update", "label_id": name, "changes": {"x": x}})
        elif wish == "delete" and name in there:
            changes.append({"op": "delete", "label_id": name})
            there.remove(name)
    changer = Changer(
        store.schema,
        labels_of=lambda image: labels,
        label=store.label,
        image=lambda image: None,
        size=lambda image: (100, 100),
        has_image=lambda image: True,
        annotator=who,
        clock=store.now,
    )
    return changer.edits(changes)

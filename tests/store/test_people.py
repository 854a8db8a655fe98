"""What annotators are called: by their names, by a pseudonym from a secret of their own, or not."""

from __future__ import annotations

import getpass
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import nbannotate as nba
from nbannotate.errors import StoreError
from nbannotate.store import people
from nbannotate.store.people import annotator_name, user_name

from .test_store import create

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """An empty folder for this user's settings."""
    folder = tmp_path / "settings"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("APPDATA", str(folder))
    return folder / "nbannotate"


def test_a_name_is_taken_as_it_is_and_none_is_the_users():
    assert annotator_name("Ana B.", "store") == "Ana B."
    assert annotator_name("pseudonym", "store") == "pseudonym"
    assert annotator_name(None, "store") == getpass.getuser() == user_name()
    assert annotator_name(nba.ANONYMOUS, "store") is None


def test_a_machine_without_users_names_them_all_alike(monkeypatch):
    def fail():
        raise OSError

    monkeypatch.setattr(getpass, "getuser", fail)
    assert annotator_name(None, "store") == "annotator"


def test_a_pseudonym_is_the_same_at_each_opening_and_another_in_another_store():
    name = annotator_name(nba.PSEUDONYM, "one")
    code = (
        "import nbannotate as nba; from nbannotate.store.people import annotator_name; "
        "print(annotator_name(nba.PSEUDONYM, 'one'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert run.stdout.strip() == name == annotator_name(nba.PSEUDONYM, "one")
    assert annotator_name(nba.PSEUDONYM, "other") != name
    assert getpass.getuser() not in name


def test_another_user_has_another(monkeypatch, tmp_path):
    name = annotator_name(nba.PSEUDONYM, "one")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "another"))

    assert annotator_name(nba.PSEUDONYM, "one") != name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_the_secret_is_for_its_user_alone_and_is_all_that_is_kept(settings):
    before = os.umask(0)
    try:
        annotator_name(nba.PSEUDONYM, "one")
    finally:
        os.umask(before)

    [file] = settings.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == 32


def test_of_many_who_begin_at_once_all_get_one_secret(settings, monkeypatch):
    start, reads, read = threading.Barrier(8), [], Path.read_bytes

    def first_read_waits(path):
        if threading.get_ident() not in reads:
            reads.append(threading.get_ident())
            start.wait(10)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", first_read_waits)
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: annotator_name(nba.PSEUDONYM, "one"), range(8)))

    assert len(names) == 1
    assert [file.name for file in settings.iterdir()] == ["pseudonym.key"]


def test_a_secret_that_is_damaged_is_left_and_named(settings):
    annotator_name(nba.PSEUDONYM, "one")
    [file] = settings.iterdir()
    file.write_bytes(b"short")

    with pytest.raises(StoreError, match=r"pseudonym\.key: is not the secret .*remove it and get"):
        annotator_name(nba.PSEUDONYM, "one")
    assert file.read_bytes() == b"short"


def test_a_folder_that_cannot_be_written_is_said_with_the_mend(settings):
    settings.parent.write_text("a file in the way")

    with pytest.raises(StoreError, match=r"cannot be read or kept .*give another annotator="):
        annotator_name(nba.PSEUDONYM, "one")


def test_without_a_setting_it_is_in_the_users_home(monkeypatch, tmp_path):
    for value in ("", "not/absolute"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        monkeypatch.setenv("APPDATA", value)
        monkeypatch.setattr(Path, "home", lambda: tmp_path)
        assert people.settings_folder() == tmp_path / ".config" / "nbannotate"


def test_a_pseudonym_guards_its_labels_on_a_server_that_keeps_it(school):
    with school.opened("prof") as store:
        name = annotator_name(nba.PSEUDONYM, store.id)
    school.guard(annotators={"ana": None, "ben": None})
    with school.opened("ana") as store:
        store.apply([create("i", annotator=name)], annotator=name)

    assert school.sql("ben", "SELECT annotator FROM labels") == [(name,)]
    assert school.sql("ben", "SELECT annotator FROM members") == []
    assert school.sql("prof", "SELECT * FROM members") == [(school.login("ana"), name)]

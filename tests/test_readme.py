"""What the README says is so: its code runs, and its names and links are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nbannotate as nba
from nbannotate import cli
from nbannotate.core import registry
from nbannotate.demo import photos
from nbannotate.widgets.keys import DEFAULTS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def namespace(tmp_path, monkeypatch):
    """The names after all Python blocks of the README ran in a folder with photos."""
    monkeypatch.chdir(tmp_path)
    photos("photos")
    names: dict = {}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", README, re.DOTALL)):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
    return names


def test_the_code_of_the_readme_runs_and_does_what_it_says(namespace):
    ann = namespace["ann"]

    assert ann.errors == []
    assert ann.labels[["image", "label"]].values.tolist() == [["cat.jpg", "cat"]]
    assert Path("labels.db").is_file()
    assert len(nba.read("labels.json").labels) == 1
    assert Path("yolo/data.yaml").is_file()
    with nba.open("labels.db") as store:
        assert len(store.labels) == 1
        assert store.history["op"].value_counts().to_dict() == {"create": 1, "schema": 2}
        assert "plant" in [item.name for item in store.schema.classes]


def test_the_readme_names_the_formats_that_are_there_and_no_others():
    table = README.partition("## Formats")[2].partition("##")[0]
    named = re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|\n)", table)

    assert sorted(named) == sorted(registry.names())
    formats = nba.formats()
    assert formats["reads"].all() and formats["writes"].all()


@pytest.mark.parametrize(
    ("action", "key", "said"),
    [
        ("extreme", "e", "`E`: by four clicks"),
        ("select", "v", "`V` and a click"),
        ("delete", "Delete", "`Delete` removes"),
        ("done", "Enter", "`Enter`, `Space` | image done, image skipped"),
        ("skip", "Space", "`Enter`, `Space` | image done, image skipped"),
        ("next", "ArrowRight", "`→` `←`, `Shift` + `→` | next, previous, next image to do"),
        ("next_todo", "Shift+ArrowRight", "`→` `←`, `Shift` + `→` | next, previous, next image"),
        ("undo", "Ctrl+z", "`Ctrl` + `Z`, `Ctrl` + `Shift` + `Z` | undo, redo"),
        ("redo", "Ctrl+Shift+z", "`Ctrl` + `Z`, `Ctrl` + `Shift` + `Z` | undo, redo"),
        ("fit", "z", "`Z` | zoom, pan, fit"),
        ("help", "?", "`?` shows all"),
    ],
)
def test_the_keys_of_the_readme_are_the_defaults(action, key, said):
    assert DEFAULTS[action] == key
    assert said in README


def test_the_shell_commands_of_the_readme_are_understood(namespace, capsys):
    for name in ("ana.db", "ben.db"):
        nba.open(name).close()
    commands = re.findall(r"^\| `nbannotate ([^`]+)`", README, re.MULTILINE)

    assert len(commands) == 6
    for command in commands:
        assert cli.main(command.split()) == 0, capsys.readouterr().err


def test_the_links_of_the_readme_lead_to_files():
    links = re.findall(r"\]\(([^):]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_commands_of_the_readme_are_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"`make (\w+)`", README)

    assert commands == ["demo", "test"]
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)

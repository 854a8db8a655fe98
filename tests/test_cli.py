"""The command line: what it prints, its exit codes, and what it leaves on disk."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nbannotate as nba
from nbannotate.cli import main
from nbannotate.core.schema import Schema
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.store import open_store

ROOT = Path(__file__).parents[1]
SCHEMA = Schema(classes=["cat", "dog"], tags=["sun", "rain"])


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate("abcd"):
        Image.fromarray(np.full((80, 100, 3), number * 50, np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def made(tmp_path, photos):
    """Makes a store of one annotator with a box on each of the images named, which are done."""

    def make(name, annotator, images, label="cat", seconds=90.0):
        path = tmp_path / name
        with open_store(path) as store:
            project = Project(open_source(photos), store, SCHEMA, annotator=annotator)
            for image in images:
                place = {"x": 1, "y": 2, "width": 30, "height": 40}
                box = {"op": "create", "image": f"{image}.png", "label": label, **place}
                done = {"op": "image", "image": f"{image}.png", "changes": {"status": "done"}}
                project.commit([box, done], seconds=seconds)
        return str(path)

    return make


def python(*arguments, **more):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **more)


def lines_of(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines() if line]


# Starting


def test_help_is_there_without_loading_what_commands_need():
    code = (
        "import sys\nfrom nbannotate.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    print('code', end.code)\n"
        "print('loaded', {'pandas', 'numpy', 'sqlalchemy', 'ipywidgets'} & set(sys.modules))\n"
    )

    run = python("-c", code)

    assert "merge" in run.stdout and "export" in run.stdout
    assert run.stdout.endswith("code 0\nloaded set()\n"), run.stdout + run.stderr


def test_the_module_runs_and_the_script_names_it(tmp_path):
    run = python("-m", "nbannotate", "stats", str(tmp_path / "none.db"))

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"nbannotate: {tmp_path}/none.db: there is no such store; check the path\n"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["nbannotate"].partition(":")
    assert getattr(import_module(module), name) is main


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])

    assert (end.value.code, capsys.readouterr().out) == (0, f"{nba.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [[], ["sing"], ["stats"], ["merge", "a.db"], ["export", "a.db", "out"], ["store"],
     ["export", "a.db", "out", "--format", "coco", "--split", "half"]],
)  # fmt: skip
def test_wrong_use_ends_with_2_and_says_how_it_is_meant(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2
    assert "usage: nbannotate" in capsys.readouterr().err


def test_a_reader_that_has_had_enough_is_no_error(made):
    reader, writer = os.pipe()
    os.close(reader)

    command = [sys.executable, "-m", "nbannotate", "stats", made("a.db", "ana", "ab")]
    with os.fdopen(writer, "w") as out:
        run = subprocess.run(
            command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )

    assert (run.returncode, run.stderr) == (0, "")


# Numbers


def test_stats_tell_images_labels_and_who_made_them(made, capsys):
    path = made("a.db", "ana", "abc")
    made("a.db", "ben", "d", "dog", seconds=30.0)

    assert main(["stats", path]) == 0

    lines = lines_of(capsys)
    assert ["images", "4"] in lines and ["done", "4"] in lines and ["todo", "0"] in lines
    assert ["labels", "4"] in lines and ["cat", "3"] in lines and ["dog", "1"] in lines
    assert ["sun", "0"] in lines
    by_name = {line[0]: line for line in lines}
    assert by_name["ana"][1:4] == ["3", "0:04:30", "40"]
    assert by_name["ben"][1:4] == ["1", "0:00:30", "120"]
    assert by_name["all"][1:4] == ["4", "0:05:00", "48"]
    today = f"{nba.open(path).history['at'].iloc[0]:%Y-%m-%d}"
    assert by_name["ana"][4] == by_name["all"][4] == today


def test_stats_are_aligned_and_without_colour(made, capsys):
    path = made("a.db", "ana with a long name", "abc")
    made("a.db", "עברית", "d")

    main(["stats", path])

    out = capsys.readouterr().out
    head, *rows = out[out.index("annotators") :].splitlines()
    ends = head.index("active") + len("active")
    assert all(row[ends - 7 : ends] in ("0:04:30", "0:01:30", "0:06:00") for row in rows if row)
    assert "\x1b" not in out


def test_stats_as_json_are_the_same_numbers(made, capsys):
    path = made("a.db", "ana", "abc")

    assert main(["stats", path, "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    with open_store(path) as store:
        history = store.history
    assert found["images"] == {"todo": 0, "done": 3, "skipped": 0, "flagged": 0}
    assert (found["classes"], found["tags"]) == ({"cat": 3, "dog": 0}, {"sun": 0, "rain": 0})
    assert found["others"] == 0
    assert found["annotators"] == {"ana": found["total"]}
    work = found["total"]
    assert (work["labels"], work["seconds"], work["labels_per_hour"]) == (3, 270.0, 40.0)
    assert work["first"] == history["at"].iloc[0].isoformat()
    assert work["last"] == history["at"].iloc[-1].isoformat()


def test_stats_of_an_empty_store_are_zeros(tmp_path, capsys):
    open_store(tmp_path / "a.db").close()

    assert main(["stats", str(tmp_path / "a.db")]) == 0

    assert ["images", "0"] in lines_of(capsys)


def test_a_missing_store_is_not_made(tmp_path, capsys):
    for command in (["stats"], ["export", "--format", "coco"]):
        out = [str(tmp_path / "out")] if command[0] == "export" else []
        assert main([command[0], str(tmp_path / "a.db"), *out, *command[1:]]) == 2

    assert "a.db: there is no such store" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# Upkeep


def spoil(path):
    """Make the tables of a store differ from its history."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE labels SET x = 5")
        connection.commit()


def test_check_ends_with_0_where_all_is_in_order_and_with_1_where_not(made, capsys):
    path = made("a.db", "ana", "abc")

    assert main(["check", path]) == 0
    assert "in order (3 labels, 3 images, 6 edits)" in capsys.readouterr().out
    assert main(["check", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    spoil(path)
    assert main(["check", path]) == 1
    assert "problems: " in capsys.readouterr().out
    assert main(["check", path, "--json"]) == 1

    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False and found["problems"] and found["labels"] == 3


def test_backup_and_restore_bring_a_store_back(made, tmp_path, capsys):
    path, copy = made("a.db", "ana", "abc"), str(tmp_path / "copy.db")

    assert main(["backup", path, copy]) == 0
    assert main(["backup", path, copy]) == 2
    Path(path).write_bytes(b"spilt coffee " * 1000)
    assert main(["stats", path]) == 2
    assert main(["restore", copy, path]) == 0

    out, err = capsys.readouterr()
    assert "is a backup of" in out and "what was there is now" in out
    assert err.count("\n") == 2
    assert [file.read_bytes()[:5] for file in tmp_path.glob("a.db.old*")] == [b"spilt"]
    assert main(["check", path]) == 0
    with open_store(path) as store:
        assert len(store.labels) == 3


def test_salvage_makes_a_store_of_a_damaged_one_and_tells_what_is_lost(made, tmp_path, capsys):
    path = made("a.db", "ana", "abc")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM history WHERE batch = 2")
        connection.commit()

    assert main(["salvage", path, str(tmp_path / "new.db"), "--json"]) == 1

    found = json.loads(capsys.readouterr().out)
    assert found["labels"] == 3 and found["problems"]
    assert main(["check", str(tmp_path / "new.db")]) == 0
    assert main(["salvage", path, str(tmp_path / "new.db")]) == 2


def test_a_merged_store_is_in_order(made, tmp_path, capsys):
    ana, ben = made("ana.db", "ana", "ab"), made("ben.db", "ben", "bcd", "dog")
    main(["merge", ana, ben, "--to", str(tmp_path / "all.db")])

    assert main(["check", str(tmp_path / "all.db")]) == 0


# Merging


def test_merge_makes_one_store_and_says_what_it_did(made, tmp_path, capsys):
    ana, ben = made("ana.db", "ana", "ab"), made("ben.db", "ben", "bcd", "dog")
    to = str(tmp_path / "all.db")

    assert main(["merge", ana, ben, "--to", to]) == 0

    lines = lines_of(capsys)
    assert lines[0][1:6] == ["5", "labels,", "4", "images", "and"]
    assert ["ana", "2"] in lines and ["ben", "3"] in lines
    with open_store(to) as store:
        assert sorted(store.labels["annotator"]) == ["ana", "ana", "ben", "ben", "ben"]
    assert main(["merge", ana, "--to", to, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == {
        "stores": 1, "labels": 0, "images": 0, "edits": 0, "annotators": {}, "conflicts": [],
    }  # fmt: skip


def test_merge_prints_conflicts_and_where_there_are_more(made, tmp_path, capsys):
    paths = [made("ana.db", "ana", "a")]
    for number in range(30):
        paths.append(shutil.copy(paths[0], tmp_path / f"{number}.db"))
        with open_store(paths[-1]) as store:
            [(label_id, row)] = store.labels.to_dict("index").items()
            place = {"op": "update", "label_id": label_id, "changes": {"x": row["x"] + 1 + number}}
            Project(open_source(tmp_path / "photos"), store, SCHEMA).commit([place])

    assert main(["merge", *map(str, paths), "--to", str(tmp_path / "all.db")]) == 0

    out = capsys.readouterr().out
    assert "29 conflicts:" in out and "… and 9 more" in out
    assert out.count("both are kept") == 20


def test_merge_of_what_is_no_store_is_one_line_and_makes_nothing(tmp_path, capsys):
    (tmp_path / "a.db").write_text("no store\n" * 1000)

    assert main(["merge", str(tmp_path / "a.db"), "--to", str(tmp_path / "all.db")]) == 2

    err = capsys.readouterr().err
    assert err.startswith("nbannotate: ") and "is no nbannotate store" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "all.db").exists()


# Formats


def test_export_writes_what_training_reads(made, tmp_path, photos, capsys):
    path = made("a.db", "ana", "abcd")
    options = ["--split", ".5,.5", "--seed", "3", "--copy", "copy", "--images", str(photos)]

    assert main(["export", path, str(tmp_path / "yolo"), "--format", "yolo", *options]) == 0

    assert "4 labels on 4 images" in capsys.readouterr().out
    found = nba.read(tmp_path / "yolo")
    with open_store(path) as store:
        wanted = store.dataset.split((0.5, 0.5), seed=3).images["split"].value_counts().to_dict()
    assert found.images["split"].value_counts().to_dict() == wanted
    assert found.labels["label"].tolist() == ["cat"] * 4
    files = list((tmp_path / "yolo").rglob("*.png"))
    assert len(files) == 4 and not any(file.samefile(photos / file.name) for file in files)


def test_export_of_one_file_takes_pictures_along(made, tmp_path, photos, capsys):
    path = made("a.db", "ana", "abcd")
    command = ["export", path, str(tmp_path / "set/labels.json"), "--format", "coco",
               "--copy", "link", "--images", str(photos)]  # fmt: skip

    assert main(command) == 0
    assert "pictures are in" in capsys.readouterr().out
    assert len(list((tmp_path / "set/images").rglob("*.png"))) == 4
    assert main(command) == 2
    assert main([*command, "--overwrite"]) == 0
    found = nba.read(tmp_path / "set/labels.json")
    assert all(Path(where).is_file() for where in found.images["path"])


def test_export_of_all_has_images_to_do_and_overwrites_when_told(made, tmp_path, photos, capsys):
    path = made("a.db", "ana", "ab")
    with open_store(path) as store:
        todo = {"op": "image", "image": "c.png", "changes": {"unsure": True}}
        Project(open_source(photos), store, SCHEMA, annotator="ana").commit([todo])
    command = ["export", path, str(tmp_path / "yolo"), "--format", "yolo", "--copy", "none"]

    assert main(command) == 0
    assert main([*command, "--all"]) == 2
    assert "holds an earlier export" in capsys.readouterr().err
    assert main([*command, "--all", "--overwrite"]) == 0

    assert "2 labels on 3 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--format", "csv", "--split", ".5,.5"], "format csv takes no --split"),
        (["--format", "trl_unpaired", "--copy", "link"], "format trl_unpaired takes no --copy"),
        (["--format", "csv", "--all"], "format csv takes no --all"),
        (["--format", "parquet", "--images", "x"], "format parquet takes no --images"),
        (["--format", "coco", "--seed", "1"], "--seed is for --split"),
        (["--format", "cocoa"], "no format 'cocoa'; there are c"),
        (["--format", "coco", "--split", ".5,.9"], "are not 1 to 3 parts of 1"),
    ],
)
def test_what_a_format_does_not_have_is_refused(made, tmp_path, capsys, options, why):
    path = made("a.db", "ana", "ab")

    assert main(["export", path, str(tmp_path / "out"), *options]) == 2

    err = capsys.readouterr().err
    assert why in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_convert_finds_the_format_and_keeps_all_labels(made, tmp_path, capsys):
    path = made("a.db", "ana", "abc")
    coco, csv = tmp_path / "labels.json", tmp_path / "labels.csv"
    main(["export", path, str(coco), "--format", "coco"])

    assert main(["convert", str(coco), str(csv), "--to", "csv"]) == 0
    assert (
        main(["convert", str(csv), str(tmp_path / "2.json"), "--to", "coco", "--from", "csv"]) == 0
    )

    assert capsys.readouterr().out.count("3 labels on 3 images") == 3
    one, other = nba.read(coco), nba.read(tmp_path / "2.json")
    columns = ["image", "label", "x", "y", "width", "height", "annotator", "seconds"]
    assert one.labels[columns].equals(other.labels[columns])


def test_convert_of_another_format_than_said_is_an_error(made, tmp_path, capsys):
    (tmp_path / "a.json").write_text("{}")

    assert main(["convert", str(tmp_path / "a.json"), str(tmp_path / "b"), "--to", "csv"]) == 2
    assert main(["convert", str(tmp_path / "gone"), str(tmp_path / "b"), "--to", "csv"]) == 2

    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and "a.json" in err[0] and "there is no such file or folder" in err[1]


# Stores and samples


def test_store_init_makes_the_tables_once(tmp_path, capsys):
    path = str(tmp_path / "a.db")

    assert main(["store", "init", path]) == 0
    assert "is a new store" in capsys.readouterr().out
    with open_store(path) as store:
        store.schema = SCHEMA
        identity = store.id
    assert main(["store", "init", path]) == 0

    assert "was a store already" in capsys.readouterr().out
    with open_store(path) as store:
        assert (store.id, store.schema) == (identity, SCHEMA)


def test_store_init_where_it_cannot_be_is_an_error(tmp_path, capsys):
    assert main(["store", "init", str(tmp_path / "no" / "a.db")]) == 2

    assert "its folder does not exist; make it first" in capsys.readouterr().err


def test_demo_writes_the_photos(tmp_path, capsys):
    assert main(["demo", str(tmp_path / "photos")]) == 0

    assert len(list((tmp_path / "photos").glob("*.jpg"))) == 26
    assert "26 photographs in" in capsys.readouterr().out


# Photos that were renamed


def test_reconcile_brings_labels_to_photos_that_were_renamed(made, photos, capsys):
    path = made("labels.db", "ana", "abc")
    (photos / "a.png").rename(photos / "new.png")
    (photos / "b.png").unlink()

    assert main(["reconcile", path, str(photos), "--dry-run"]) == 1
    assert "moved 1: a.png → new.png" in capsys.readouterr().out
    assert main(["reconcile", path, str(photos), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["moved"], found["missing"]) == ({"a.png": "new.png"}, ["b.png"])
    with nba.open(path) as store:
        assert sorted(store.labels["image"]) == ["b.png", "c.png", "new.png"]


def test_reconcile_records_changed_photos_when_told(made, photos, capsys):
    path = made("labels.db", "ana", "ab")
    shutil.copy(photos / "d.png", photos / "a.png")

    assert main(["reconcile", path, str(photos)]) == 1
    assert main(["reconcile", path, str(photos), "--accept-changed"]) == 0
    assert main(["reconcile", path, str(photos), "--quick"]) == 0
    assert "2 images as they were" in capsys.readouterr().out
    assert nba.reconcile(photos, store=path).ok

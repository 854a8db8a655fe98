"""The benchmarks' tables and verdicts on made-up numbers; nothing is measured here."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from PIL import Image

import nbannotate as nba
from benchmarks import __main__, formats, interaction, kernel, photos, report, startup, store
from benchmarks.report import Samples, Table, Verdict
from nbannotate.store import open_store

BBOX = "jupyter-bbox-widget"


def table(title="next image, ms", **rows):
    made = Table(title, ["nbannotate", BBOX])
    for row, (ours, theirs) in rows.items():
        for name, values in (("nbannotate", ours), (BBOX, theirs)):
            cell = made.samples(row.replace("_", " "), name)
            for value in values:
                cell.add(value)
    return made


def filled(*rows, ours, theirs):
    made = Table("", ["nbannotate", BBOX])
    for row in rows:
        made.samples(row, "nbannotate").add(ours)
        made.samples(row, BBOX).add(theirs)
    return made


def test_samples_tell_median_and_p95():
    samples = Samples([float(value) for value in range(101)])
    assert (samples.median, samples.p95) == (50, 95)
    assert str(samples) == "50 (95)"


def test_what_was_not_measured_is_a_dash_and_not_a_number():
    assert (Samples().median, Samples().p95) == (None, None)
    assert str(Samples()) == "–"
    assert str(Samples(note="over 60 s to show")) == "over 60 s to show"


def test_answers_that_did_not_come_are_counted():
    samples = Samples()
    samples.add(None)
    assert str(samples) == "no answer"
    samples.add(3.0)
    assert str(samples) == "3 (3, 1 missed)"


def test_a_table_has_medians_and_ratios_in_line():
    made = table(within=([1, 2, 3], [20, 40, 60]), beyond=([30], []))
    head, rule, within, beyond = str(made).splitlines()
    assert "ours/its" in head
    assert set(rule) == {"-"}
    assert "2 (3)" in within
    assert "40 (60)" in within
    assert within.endswith("0.05×")
    assert "–" in beyond
    assert made.ratio("beyond", BBOX) is None
    assert len(within) == len(head)


@pytest.mark.parametrize(
    ("value", "limit", "passed", "word"),
    [(1, 2, True, "PASS"), (2, 2, True, "PASS"), (3, 2, False, "FAIL"), (None, 2, None, "?")],
)
def test_a_verdict_compares_with_its_limit(value, limit, passed, word):
    verdict = Verdict("frame", value, limit)
    assert verdict.passed is passed
    assert str(verdict).startswith(word)


def judged(*, pixel=0.4, theirs=0.5, frame=5.0, ring=10.0, busy=11.0, far=40.0, next_=50.0, lost=0):
    seen = filled("0 boxes", "1,000 boxes", ours=pixel, theirs=theirs)
    work = filled("10,000 boxes", ours=frame, theirs=1000)
    shown = filled("within the ring", ours=ring, theirs=next_)
    shown.samples("within the ring, kernel busy", "nbannotate").add(busy)
    shown.samples("beyond the ring", "nbannotate").add(far)
    shown.samples("beyond the ring", BBOX).add(next_)
    return interaction.judge(seen, work, shown, Verdict("labels missing", lost, 0))


def failures(verdicts):
    return [verdict.target for verdict in verdicts if not verdict.passed]


def test_interaction_passes_when_every_target_is_met():
    assert failures(judged()) == []


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"pixel": 1.2, "theirs": 2}, "pointer to pixel"),
        ({"pixel": 0.4, "theirs": 0.3}, "pointer to pixel"),
        ({"frame": 17.0}, "10,000 boxes"),
        ({"ring": 17.5}, "within the ring, painted"),
        ({"ring": 16.0, "next_": 31.0, "far": 20}, "against half of"),
        ({"busy": 18.0}, "kernel busy"),
        ({"far": 51.0}, "beyond the ring"),
        ({"lost": 1}, "labels missing"),
    ],
)
def test_interaction_fails_when_one_is_missed(numbers, words):
    missed = failures(judged(**numbers))
    assert missed
    assert all(words in target for target in missed)


def startup_judged(*, ours=1100.0, base=1000.0, small=300.0, large=400.0, modules=()):
    imported = Table("", ["time"])
    for name in startup.IMPORTS:
        imported.samples(name, "time").add(base if "ipywidgets" in name else ours)
    opened = Table("", ["time"])
    opened.samples("10 images", "time").add(small)
    opened.samples("10,000 images", "time").add(large)
    loaded = {name: list(modules) for name in startup.IMPORTS}
    return startup.judge(imported, loaded, opened)


def test_startup_passes_when_every_target_is_met():
    assert failures(startup_judged()) == []


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"ours": 1301.0}, "+ 300"),
        ({"large": 451.0}, "10,000 images"),
        ({"modules": ["ipywidgets"]}, "widget packages"),
    ],
)
def test_startup_fails_when_one_is_missed(numbers, words):
    missed = failures(startup_judged(**numbers))
    assert missed
    assert all(words in target for target in missed)


def store_judged(*, open=1.9, next=1.4, any=1.4, commit=1.4, undo=1.4, read=1.9, peak=1.4):
    steps = Table("", list(store.SIZES))
    for row, times in zip(store.STEPS, (open, next, any, commit, undo), strict=True):
        for name, value in zip(store.SIZES, (times, 1.0), strict=True):
            steps.samples(row, name).add(value)
    took, memory = Table("", list(store.READ)), Table("", list(store.READ))
    took.samples("time", "store.labels").add(read)
    took.samples("time", "pandas.read_sql").add(1.0)
    memory.samples("memory", "store.labels").add(peak)
    return store.judge(steps, took, memory)


def test_store_passes_when_every_target_is_met():
    assert failures(store_judged()) == []


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"open": 2.1}, "open a store"),
        ({"next": 1.6}, "go to the next image"),
        ({"any": 1.6}, "go to any image"),
        ({"commit": 1.6}, "commit a gesture"),
        ({"read": 2.1}, "pandas.read_sql"),
        ({"peak": 1.6}, "peak memory"),
    ],
)
def test_store_fails_when_one_is_missed(numbers, words):
    (missed,) = failures(store_judged(**numbers))
    assert words in missed


def test_a_store_is_filled_as_if_drawn(tmp_path):
    path = tmp_path / "labels.db"
    store.fill(path, 200)

    with open_store(path) as filled:
        then = filled.at(filled.history.index[-1])
        pd.testing.assert_frame_equal(filled.labels, then.labels)
        pd.testing.assert_frame_equal(filled.images, then.images)
        assert (len(filled.labels), len(filled.images)) == (200, 20)
        assert set(filled.images["status"]) == {"done"}
        assert filled.last_batch() == len(filled.history) == 220


def test_steps_are_timed_at_both_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SIZES", {"many": 200, "few": 100})
    for count in (200, 100):
        store.fill(tmp_path / f"{count}.db", count)
    table = store.steps(tmp_path, 2)

    for row in store.STEPS:
        assert all(len(table.rows[row][name].values) == 2 for name in ("many", "few"))
    with open_store(tmp_path / "200.db") as left:
        assert len(left.labels) == 200  # what was drawn is taken back


def test_results_are_printed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "benchmarks" / "results")
    (tmp_path / "benchmarks").mkdir()
    made = table(within=([1.23456], [40]))
    path = report.tell("interaction", [made], [Verdict("frame", 1, 2)], seconds=3)
    told = json.loads(path.read_text())
    assert told["tables"][made.title]["within"]["nbannotate"]["values"] == [1.235]
    assert told["verdicts"] == [{"target": "frame", "value": 1, "limit": 2, "passed": True}]
    assert told["versions"]["nbannotate"]
    assert "PASS  frame" in capsys.readouterr().out


def test_each_photo_bears_its_number(tmp_path):
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    paths = photos.write(tmp_path / "photos", 3)
    third = Image.open(paths[2]).convert("L")
    assert third.size == (photos.WIDTH, photos.HEIGHT)
    middle = photos.SQUARE // 2
    bits = [third.getpixel((bit * photos.SQUARE + middle, middle)) > 127 for bit in range(3)]
    assert bits == [True, True, False]


def test_boxes_leave_the_corner_free_where_drags_begin():
    made = kernel.boxes(1000)
    assert len(made) == 1000
    assert made == kernel.boxes(1000)
    for x, y, width, height in made:
        assert x >= kernel.CLEAR or y >= kernel.CLEAR
        assert x + width <= photos.WIDTH
        assert y + height <= photos.HEIGHT


def test_each_benchmark_can_be_named():
    assert set(__main__.ALL) == {"formats", "interaction", "startup", "store"}


def test_the_synthetic_set_of_formats_is_the_same_in_coco_and_yolo(tmp_path):
    files = formats.synthesise(tmp_path, 200, 3000)
    coco, yolo = (nba.read(files[name], format=name) for name in ("coco", "yolo"))

    assert len(coco.labels) == len(yolo.labels) == 3000
    assert len(coco.images) == len(yolo.images) == 200
    first = coco.labels.iloc[0]
    same = yolo.labels[yolo.labels["image"].str.endswith(first["image"])]
    distance = (same[["x", "y", "width", "height"]] - first[["x", "y", "width", "height"]]).abs()
    assert distance.max(axis=1).min() < 0.01
    assert coco.images.index.isin(coco.labels["image"]).sum() < 200  # some are empty


def test_formats_are_judged_by_the_floor_and_by_the_others():
    took = Table("s", formats.CONTENDERS)
    for name, seconds in {formats.OURS: 1.0, formats.FLOOR: 1.1, "panlabel": 2.5}.items():
        took.samples("COCO to YOLO", name).add(seconds)
        took.samples("COCO to VOC", name).add(seconds if name != "panlabel" else 1.2)
    found = {v.target: v.passed for v in formats.judge(took, Table("MB", formats.CONTENDERS))}

    assert found["COCO to YOLO: times panlabel"] is True
    assert found["COCO to VOC: times panlabel"] is True  # both are at the floor
    assert found["COCO to table: times orjson.loads"] is None

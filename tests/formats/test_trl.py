"""TRL's preference, unpaired and stepwise data: exact rows, round trips, what TRL makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.answers import pairs_of
from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError
from tests.formats.readers import run
from tests.formats.samples import text

many = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = ("trl_preference", "trl_unpaired", "trl_stepwise")


def asked(
    items: list[tuple[Any, list[Any]]], rows: list[tuple[int, str, Any]], **columns: Any
) -> Dataset:
    """Items of prompt and answers, and labels of item, kind and geometry."""
    keys = [f"q{number}" for number in range(len(items))]
    images = pd.DataFrame({"status": "done"}, index=keys)
    images["prompt"] = pd.Series([prompt for prompt, _ in items], index=keys, dtype=object)
    images["answers"] = pd.Series([answers for _, answers in items], index=keys, dtype=object)
    labels = pd.DataFrame(
        [(keys[item], kind) for item, kind, _ in rows], columns=["image", "kind"]
    ).assign(**columns)
    labels["geometry"] = pd.Series([shape for *_, shape in rows], dtype=object)
    if "label" not in labels:
        labels["label"] = None
    return Dataset(labels, images)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


COLOURS = asked(
    [("Which colour?", ["blue", "green", "red"]), ("What size?", ["big", "small"])],
    [(0, "choice", {"ranks": [2, 1, 2]}), (1, "choice", {"ranks": [1, 1]})],
)
STEPS = asked(
    [("2 + 2 + 1?", [["2 + 2 = 4", "4 + 1 = 6", "so 6"]])],
    [(0, "rating", {"answer": 0, "step": 0, "value": True}),
     (0, "rating", {"answer": 0, "step": 1, "value": False})],
)  # fmt: skip


def test_pairs_to_the_letter_and_ties_counted(tmp_path):
    report = COLOURS.to_trl_preference(tmp_path / "a.jsonl")

    assert lines(tmp_path / "a.jsonl") == [
        {"prompt": "Which colour?", "chosen": "green", "rejected": "blue"},
        {"prompt": "Which colour?", "chosen": "green", "rejected": "red"},
    ]
    assert report.lost == {"pairs of answers that are tied": 2} and report.notes == ("2 pairs",)
    ranked = asked([("?", ["a", "b", "c"])], [(0, "choice", {"ranks": [1, 2, 3]})])
    report = ranked.to_trl_preference(tmp_path / "b.jsonl", most=1)
    assert lines(tmp_path / "b.jsonl") == [{"prompt": "?", "chosen": "a", "rejected": "c"}]
    assert report.lost == {"pairs over the most of a ranking": 2}


def test_ratings_to_the_letter_and_their_balance(tmp_path):
    rated = asked(
        [("Hi", ["Hello", "Go"])],
        [(0, "rating", {"answer": 0, "value": True}), (0, "rating", {"answer": 1, "value": 2})],
    )
    with pytest.raises(FormatError, match=r"rates with the number 2; give threshold="):
        rated.to_trl_unpaired(tmp_path / "a.jsonl")
    report = rated.to_trl_unpaired(tmp_path / "a.jsonl", threshold=3)
    assert lines(tmp_path / "a.jsonl") == [
        {"prompt": "Hi", "completion": "Hello", "label": True},
        {"prompt": "Hi", "completion": "Go", "label": False},
    ]
    assert report.notes == ("1 answers are good, 1 are not",)
    back = nba.read(tmp_path / "a.jsonl")
    assert back.labels["geometry"].tolist() == rated.labels["geometry"].tolist()


def test_steps_to_the_letter_as_far_as_they_are_rated(tmp_path):
    report = STEPS.to_trl_stepwise(tmp_path / "a.jsonl")

    assert lines(tmp_path / "a.jsonl") == [
        {"prompt": "2 + 2 + 1?", "completions": ["2 + 2 = 4", "4 + 1 = 6"],
         "labels": [True, False]}
    ]  # fmt: skip
    assert report.lost == {"steps that are not rated": 1}
    text_of_lines = asked([("?", ["one\ntwo"])], [(0, "rating", {"step": 1, "value": True})])
    report = text_of_lines.to_trl_stepwise(tmp_path / "b.jsonl")
    assert report.lost == {"rated steps after one that is not": 1}


@st.composite
def compared(draw: st.DrawFn) -> Dataset:
    """Items with some answers, not all of them tied."""
    answer = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    items = draw(
        st.lists(st.tuples(answer, st.lists(answer, min_size=2, max_size=4)), min_size=1,
                 max_size=4)
    )  # fmt: skip
    rows = []
    for number, (_, answers) in enumerate(items):
        ranks = st.lists(st.integers(1, 4), min_size=len(answers), max_size=len(answers))
        shape = {"ranks": draw(ranks.filter(lambda found: len(set(found)) > 1))}
        rows += [(number, "choice", shape)] * draw(st.integers(1, 2))
    return asked(items, rows, text=draw(st.none() | text), annotator="ana", seconds=1.5)


@st.composite
def rated(draw: st.DrawFn) -> Dataset:
    """Items all of whose answers are rated."""
    answer = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    items = draw(
        st.lists(
            st.tuples(answer, st.lists(answer, min_size=1, max_size=3)), min_size=1, max_size=3
        )
    )
    rows = [
        (number, "rating", {"answer": place, "value": draw(st.booleans())})
        for number, (_, answers) in enumerate(items)
        for place in range(len(answers))
    ]
    return asked(items, rows, annotator="ana")


@st.composite
def stepped(draw: st.DrawFn) -> Dataset:
    """Items all of whose steps are rated."""
    step = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    items = draw(
        st.lists(st.tuples(step, st.lists(step, min_size=1, max_size=4)), min_size=1, max_size=3)
    )
    rows = [
        (number, "rating", {"answer": 0, "step": place, "value": draw(st.booleans())})
        for number, (_, steps) in enumerate(items)
        for place in range(len(steps))
    ]
    return asked([(prompt, [steps]) for prompt, steps in items], rows, annotator="ben")


@many
@given(data=st.data(), name=st.sampled_from(NAMES), folder=st.booleans())
def test_any_items_come_back(tmp_path, data, name, folder):
    dataset = data.draw(dict(zip(NAMES, (compared(), rated(), stepped()), strict=True))[name])
    target = tmp_path / (name if folder else f"{name}.jsonl")
    dataset.images["note"] = "seen"
    dataset.images["topic"] = "maths"

    report = dataset.write(target, format=name, **({"overwrite": True} if folder else {}))

    back = nba.read(target, format=name)
    ties = report.lost.pop("pairs of answers that are tied", 0)
    assert report.lost == {} and (ties == 0 or name == "trl_preference")
    wanted = dataset.images.loc[dataset.images.index.isin(dataset.labels["image"])]
    got = back.images.loc[wanted.index]
    for column in ("prompt", "answers", "note", "topic"):
        assert got[column].tolist() == wanted[column].tolist()
    labels = back.labels.loc[dataset.labels.index]
    pd.testing.assert_frame_equal(labels, dataset.labels)
    assert len(back) == len(dataset) and back.schema == dataset.schema


def test_splits_are_by_item_under_the_names_of_hugging_face(tmp_path):
    items = [(f"q{number}", ["a", "b", "c"]) for number in range(20)]
    dataset = asked(items, [(n, "choice", {"ranks": [1, 2, 3]}) for n in range(20)])
    dataset.to_trl_preference(tmp_path / "out", split=(0.5, 0.25, 0.25))

    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"train.jsonl", "validation.jsonl", "test.jsonl", "nbannotate.json"}
    prompts = [
        {row["prompt"] for row in lines(tmp_path / "out" / name)} for name in sorted(names)[1:]
    ]
    assert sum(map(len, prompts)) == 20 == len(set.union(*prompts))
    back = nba.read(tmp_path / "out")
    assert set(back.images["split"]) == {"train", "val", "test"} and len(back) == 20
    with pytest.raises(FormatError, match="one file has no splits"):
        dataset.to_trl_preference(tmp_path / "a.jsonl", split=(0.5, 0.5))


def test_files_of_others_are_read_with_their_columns(tmp_path):
    rows = [
        {"prompt": "a", "chosen": "b", "rejected": "c", "margin": 0.5, "path": "x"},
        {"chosen": [{"role": "user", "content": "d"}, {"role": "assistant", "content": "e"}],
         "rejected": [{"role": "user", "content": "d"}]},
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = nba.read(tmp_path / "a.jsonl")

    assert read.images["answers"].iloc[0] == ["b", "c"]
    assert read.images[["margin", "row_path"]].iloc[0].tolist() == [0.5, "x"]
    assert read.images["prompt"].iloc[1] is None
    assert read.labels["geometry"].tolist() == [{"ranks": [1, 2]}] * 2
    report = read.to_trl_preference(tmp_path / "b.jsonl", extras=False)
    assert lines(tmp_path / "b.jsonl")[1] == rows[1]
    assert lines(tmp_path / "b.jsonl")[0]["chosen"] == [{"role": "assistant", "content": "b"}]
    assert report.lost["images' column 'margin'"] == 1


def test_a_row_that_was_changed_since_counts(tmp_path):
    rated = asked([("Hi", ["Hello"])], [(0, "rating", {"answer": 0, "value": True})])
    rated.to_trl_unpaired(tmp_path / "a.jsonl")
    text = (tmp_path / "a.jsonl").read_text()
    (tmp_path / "a.jsonl").write_text(text.replace("true", "false").replace("Hello", "Yo"))
    back = nba.read(tmp_path / "a.jsonl")
    assert back.labels["geometry"].tolist() == [{"answer": 0, "value": False}]
    assert back.images["answers"].tolist() == [["Yo"]]
    (tmp_path / "a.jsonl").write_text(text * 2)
    again = nba.read(tmp_path / "a.jsonl")
    assert again.images.index.tolist() == ["a:1", "a:2"]


TRL = """
import json, sys, tempfile
import datasets
from trl.data_utils import is_conversational, unpair_preference_dataset
found = {}
for file in sys.argv[1:]:
    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset("json", data_files=file, cache_dir=cache)["train"]
        unpaired = unpair_preference_dataset(rows) if "chosen" in rows.column_names else None
        found[file] = [rows.column_names, is_conversational(rows[0]),
                       unpaired and [[row["completion"], row["label"]] for row in unpaired]]
print(json.dumps(list(found.values())))
"""


def test_trl_takes_them(tmp_path):
    chat = asked(
        [([{"role": "user", "content": "Hi"}], ["Hello", "Go"])],
        [(0, "choice", {"ranks": [1, 2]})],
    )
    rated = asked([("Hi", ["Hello"])], [(0, "rating", {"answer": 0, "value": True})])
    COLOURS.to_trl_preference(tmp_path / "a")
    chat.to_trl_preference(tmp_path / "b.jsonl")
    rated.to_trl_unpaired(tmp_path / "c.jsonl")
    STEPS.to_trl_stepwise(tmp_path / "d.jsonl")

    found = run(TRL, tmp_path / "a/train.jsonl", *(tmp_path / f"{n}.jsonl" for n in "bcd"),
                environment="trl")  # fmt: skip

    words = [[{"role": "assistant", "content": text}] for text in ("Hello", "Go")]
    pair = ["prompt", "chosen", "rejected"]
    assert found == [
        [pair, False, [["green", True], ["green", True], ["blue", False], ["red", False]]],
        [pair, True, [[words[0], True], [words[1], False]]],
        [["prompt", "completion", "label"], False, None],
        [["prompt", "completions", "labels"], False, None],
    ]


@pytest.mark.parametrize(
    ("name", "row", "why"),
    [
        ("trl_preference", {"chosen": "a"}, "line 2: .*rejected"),
        ("trl_preference", {"chosen": 1, "rejected": "a"}, r"line 2: expected .*\$\.chosen"),
        ("trl_unpaired", {"completion": "a", "label": "yes"}, r"line 2: expected `bool`"),
        ("trl_stepwise", {"completions": ["a"], "labels": []}, "line 2: has 1 completions and 0"),
    ],
)
def test_bad_rows_are_told(tmp_path, name, row, why):
    good = {"chosen": "a", "rejected": "b", "completion": "a", "label": True,
            "completions": ["a"], "labels": [True]}  # fmt: skip
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(row)}\n")
    with pytest.raises(FormatError, match=why):
        nba.read(tmp_path / "a.jsonl", format=name)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(nba.read(tmp_path / "a.jsonl", format=name, on_error="skip").images) == 1


@pytest.mark.parametrize(
    ("dataset", "name", "why"),
    [
        (asked([("?", ["a"])], [(0, "choice", {"ranks": [1, 2]})]), NAMES[0], "1 answers, and 2"),
        (asked([("?", ["a"])], [(0, "choice", {})]), NAMES[0], "is not {'ranks'"),
        (asked([("?", ["a", 5])], [(0, "choice", {"ranks": [1, 2]})]), NAMES[0], "5 is no text"),
        (asked([("?", ["a"])], [(0, "rating", {"answer": 1, "value": True})]), NAMES[1],
         "no number 1"),
        (asked([("?", ["a"])], [(0, "rating", {"step": 1, "value": True})]), NAMES[2],
         "1 steps, and no number 1"),
        (asked([("?", ["a"])], [(0, "rating", {"value": 2}), (0, "rating", {"value": 2})],
               label=["helpful", "harmless"]), NAMES[1], "'helpful', 'harmless'"),
        (Dataset(COLOURS.labels, COLOURS.images.drop(columns="answers")), NAMES[0],
         "no column 'answers'"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_told(tmp_path, dataset, name, why):
    with pytest.raises(FormatError, match=why):
        dataset.write(tmp_path / "a.jsonl", format=name)
    assert not list(tmp_path.iterdir())


def test_pairs_are_those_of_better_and_worse():
    assert pairs_of([1, 3, 2]) == [(0, 1), (0, 2), (2, 1)]
    assert pairs_of([1, 1]) == []

"""Images under other names: all at once, undone exactly, one step after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbannotate.core.edits import Edit
from nbannotate.core.moves import composed, followed, reconciled, reconciling

KEYS = ["a", "b", "c", "d", "e"]


@st.composite
def moves_of(draw, there):
    """Some of the images that are there, to keys that are free by then."""
    old = draw(st.lists(st.sampled_from(sorted(there)), unique=True)) if there else []
    free = sorted({*KEYS, "x", "y"} - (set(there) - set(old)))
    return dict(zip(old, draw(st.permutations(free)), strict=False))


@given(st.data())
def test_moves_and_their_inverse_lead_back(data):
    rows = {key: {"image": key, "note": f"of {key}", "bytes": None} for key in KEYS}
    moves = data.draw(moves_of(KEYS))
    facts = {key: {"bytes": 7} for key in data.draw(st.sets(st.sampled_from(KEYS)))}
    facts = {moves.get(key, key): values for key, values in facts.items()}
    edit = reconciling(moves, facts, rows)

    after = reconciled(rows, edit.after, 1)
    for key, row in rows.items():
        now = moves.get(key, key)
        assert after[now]["note"] == row["note"]
        assert after[now]["bytes"] == facts.get(now, {}).get("bytes")
    back = reconciled(after, edit.inverse().after, 2)
    assert {key: {**row, "updated": 0} for key, row in back.items()} == {
        key: {**row, "updated": 0} for key, row in rows.items()
    }


@given(st.data())
def test_several_steps_are_one(data):
    names = {key: key for key in KEYS}  # first key to last
    steps = []
    for _ in range(data.draw(st.integers(0, 4))):
        step = data.draw(moves_of(names.values()))
        names = {first: step.get(last, last) for first, last in names.items()}
        steps.append(step)

    assert composed(steps) == {first: last for first, last in names.items() if first != last}


def test_what_does_not_fit_is_said():
    rows = {key: {"image": key} for key in "ab"}
    with pytest.raises(ValueError, match="brings two images to 'b'"):
        reconciled(rows, {"moves": {"a": "b"}, "facts": {}}, 1)
    with pytest.raises(ValueError, match="the image 'c', which is not there"):
        reconciled(rows, {"moves": {}, "facts": {"c": {"bytes": 1}}}, 1)


def test_edits_follow_their_image():
    row = {"label_id": "i", "image": "a", "x": 1.0}
    moves = {"a": "b", "b": "a"}

    assert followed(Edit("create", "a", "i", after=row), moves) == Edit(
        "create", "b", "i", after={**row, "image": "b"}
    )
    update = Edit("update", "b", "i", before={"x": 1.0}, after={"x": 2.0})
    assert followed(update, moves).image == "a"
    assert followed(Edit("image", "c", after={"note": "n"}), moves).image == "c"
    assert followed(Edit("schema", "", before={}, after={}), moves).image == ""

"""Edits and their reverse; what undo and redo reverse next, folded from the history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbannotate.core.edits import Edit, UndoStack, inverted

STEPS = st.lists(st.sampled_from(["edit", "undo", "redo"]), max_size=40)

CREATE = Edit("create", "a.jpg", "i", after={"x": 1})
UPDATE = Edit("update", "a.jpg", "i", before={"x": 1}, after={"x": 2})
DELETE = Edit("delete", "a.jpg", "i", before={"x": 2})
IMAGE = Edit("image", "a.jpg", before={"status": "todo"}, after={"status": "done"})


class Journal:
    """The least that can be undone: a list that only edits append to, and all its batches."""

    def __init__(self) -> None:
        self.stack = UndoStack()
        self.batches: list[tuple[int, int | None]] = []
        self.shown: list[int] = []
        self.effects: dict[int, tuple[str, int]] = {}

    def step(self, op: str) -> bool:
        number = len(self.batches) + 1
        reverses = {"edit": None, "undo": self.stack.to_undo, "redo": self.stack.to_redo}[op]
        if op != "edit" and reverses is None:
            return False
        if reverses is None:
            effect = ("add", number)
        else:
            what, item = self.effects[reverses]
            effect = ("drop" if what == "add" else "add", item)
        if effect[0] == "add":
            self.shown.append(effect[1])
        else:
            assert self.shown.pop() == effect[1], "steps are taken back newest first"
        self.effects[number] = effect
        self.batches.append((number, reverses))
        self.stack.push(number, reverses)
        return True


def test_an_update_is_taken_back_by_its_fields_before():
    assert UPDATE.inverse() == Edit("update", "a.jpg", "i", before={"x": 2}, after={"x": 1})
    assert IMAGE.inverse().after == {"status": "todo"}


def test_a_create_is_taken_back_by_a_delete_of_the_same_row():
    assert CREATE.inverse() == Edit("delete", "a.jpg", "i", before={"x": 1})
    assert DELETE.inverse() == Edit("create", "a.jpg", "i", after={"x": 2})


def test_a_batch_is_taken_back_from_its_end():
    assert [edit.op for edit in inverted([CREATE, UPDATE, IMAGE])] == ["image", "update", "delete"]


@pytest.mark.parametrize("edit", [CREATE, UPDATE, DELETE, IMAGE], ids=lambda edit: edit.op)
def test_the_reverse_of_the_reverse_is_the_edit(edit):
    assert edit.inverse().inverse() == edit


def test_nothing_can_be_undone_or_redone_at_the_start():
    assert UndoStack().to_undo is None
    assert UndoStack().to_redo is None


def test_a_new_edit_after_an_undo_ends_what_could_be_redone():
    stack = UndoStack.fold([(1, None), (2, None), (3, 2)])
    assert (stack.to_undo, stack.to_redo) == (1, 3)

    stack.push(4)

    assert (stack.to_undo, stack.to_redo) == (4, None)


def test_a_redo_can_be_undone_again():
    stack = UndoStack.fold([(1, None), (2, 1), (3, 2)])

    assert (stack.to_undo, stack.to_redo) == (3, None)


def test_a_reversal_of_what_is_not_remembered_any_more_is_passed_over():
    stack = UndoStack.fold([(8, 3), (9, None)])

    assert (stack.done, stack.undone) == ([9], [])


@given(STEPS)
def test_undoing_everything_leaves_nothing_and_redoing_gives_it_back(steps):
    journal = Journal()
    for op in steps:
        journal.step(op)
    shown = list(journal.shown)

    undone = 0
    while journal.step("undo"):
        undone += 1
    assert journal.shown == []
    assert undone == len(shown)

    for _ in range(undone):
        assert journal.step("redo")
    assert journal.shown == shown


@given(STEPS)
def test_the_stack_folded_from_the_history_is_the_one_that_was_kept(steps):
    journal = Journal()
    for op in steps:
        journal.step(op)

    assert UndoStack.fold(journal.batches) == journal.stack


@given(STEPS)
def test_undo_then_redo_changes_nothing(steps):
    journal = Journal()
    for op in steps:
        journal.step(op)
    shown = list(journal.shown)

    if journal.step("undo"):
        journal.step("redo")

    assert journal.shown == shown

"""The same messages through replay.js and through the kernel's code give the same state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nbannotate.core.schema import Schema
from nbannotate.images import open_source
from nbannotate.project import Project
from nbannotate.store import open_store

from .fake import call_each

pytestmark = pytest.mark.browser

FILE = json.loads((Path(__file__).parent / "replay_cases.json").read_text("utf-8"))
CASES = FILE["cases"]
IMAGES = {"a.jpg": (400, 300), "b.jpg": (100, 100)}
LABEL_FIELDS = ("label_id", "image", "kind", "class_id", "x", "y", "width", "height", "attributes")


@pytest.fixture
def project():
    schema = Schema(
        classes=["cat", "dog"],
        tags={"weather": ["sun", "rain"], "seen": {"choices": ["sea", "hill"], "multiple": True}},
        attributes={"occluded": False, "speed": (0, 130), "view": ["front", "side"]},
    )
    pictures = {key: np.zeros((height, width), "uint8") for key, (width, height) in IMAGES.items()}
    with open_store(None) as store:
        yield Project(open_source(pictures), store, schema, annotator="ana")


def take(project, messages):
    for message in messages:
        if message["op"] == "edit":
            project.commit(message["changes"])
        elif message["op"] == "undo":
            project.undo()
        else:
            project.redo()


def config_of(project):
    schema = project.schema.to_dict()
    groups = [{"name": name, **group} for name, group in schema["tags"].items()]
    return {"schema": {**schema, "tags": groups}}


def state_of(project):
    """What the kernel would send; see browser/types.js."""
    slots = []
    for position, (image, (width, height)) in enumerate(IMAGES.items()):
        row = project.store.images_of([image]).get(image) or {}
        labels = project.store.labels_of([image])[image]
        slots.append(
            {
                "image": image,
                "position": position,
                "width": width,
                "height": height,
                "status": project.status(image),
                "note": row.get("note"),
                "unsure": bool(row.get("unsure")),
                "labels": [{name: label[name] for name in LABEL_FIELDS} for label in labels],
            }
        )
    progress = project.progress
    return {
        "view": {
            "position": 0,
            "total": len(slots),
            "counts": {str(class_id): count for class_id, count in project.counts.items()},
            "progress": {
                status: getattr(progress, status) for status in ("done", "skipped", "flagged")
            },
            "can_undo": project.can_undo,
            "can_redo": project.can_redo,
        },
        "slots": slots,
    }


def both(page, project, case):
    """The state in the browser with the messages on their way, and once the kernel has them."""
    take(project, case["before"])
    messages = [{"image": "a.jpg", "position": 0, **message} for message in case["messages"]]
    before = state_of(project)
    [shown] = call_each(page, "replay.js", "replay", [[before, messages, config_of(project)]])
    take(project, case["messages"])
    return shown, state_of(project)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_messages_come_to_the_same_in_the_browser_and_in_the_kernel(bare_page, project, case):
    shown, kept = both(bare_page, project, case)

    assert shown["slots"] == kept["slots"]
    assert shown["view"]["progress"] == kept["view"]["progress"]
    counts = {number: count for number, count in shown["view"]["counts"].items() if count}
    assert counts == kept["view"]["counts"]
    check(kept, case["after"])


def check(state, after):
    """That the state is the one written down in the case."""
    for slot in state["slots"]:
        wanted = after["labels"][slot["image"]]
        assert [label["label_id"] for label in slot["labels"]] == list(wanted)
        for label in slot["labels"]:
            assert label | wanted[label["label_id"]] == label
        assert slot | after.get("images", {}).get(slot["image"], {}) == slot
    assert state["view"]["counts"] == after["counts"]
    progress = after.get("progress", {"done": 0, "skipped": 0, "flagged": 0})
    assert state["view"]["progress"] == progress


def test_a_redo_after_the_undo_of_the_kernels_own_past_does_that_again_first(bare_page, project):
    case = FILE["beyond"]
    shown, kept = both(bare_page, project, case)

    for state in (shown, kept):
        assert [label["label_id"] for label in state["slots"][0]["labels"]] == case["labels"]


@pytest.mark.parametrize(
    ("messages", "can_undo", "can_redo"),
    [
        ([], False, False),
        (["edit"], True, False),
        (["edit", "undo"], False, True),
        (["edit", "edit", "undo"], True, True),
        (["edit", "undo", "redo"], True, False),
        (["edit", "undo", "edit"], True, False),
        (["undo"], False, False),
        (["redo"], False, False),
    ],
)
def test_undo_and_redo_are_offered_when_there_is_something_to_reverse(
    bare_page, project, messages, can_undo, can_redo
):
    changes = [
        [{"op": "image", "image": "a.jpg", "changes": {"note": str(number)}}] for number in range(9)
    ]
    messages = [{"op": op, "changes": changes.pop()} for op in messages]
    shown, kept = both(bare_page, project, {"before": [], "messages": messages})

    for state in (shown, kept):
        assert (state["view"]["can_undo"], state["view"]["can_redo"]) == (can_undo, can_redo)


def position_after(page, *messages, position=3):
    view = {"position": position, "total": 10, "counts": {}, "progress": {}}
    state = {"view": view, "slots": []}
    [shown] = call_each(page, "replay.js", "replay", [[state, list(messages), {}]])
    return shown["view"]["position"]


def edit(position, goto=None):
    return {"op": "edit", "changes": [], "position": position} | ({"goto": goto} if goto else {})


def test_the_view_goes_where_the_messages_say(bare_page):
    assert position_after(bare_page, {"op": "goto", "position": 7}) == 7
    assert position_after(bare_page, {"op": "goto", "position": 99}) == 9
    assert position_after(bare_page, edit(3, goto=4)) == 4
    assert position_after(bare_page, edit(3)) == 3
    assert position_after(bare_page, {"op": "todo"}, {"op": "none"}) == 3


def test_undo_and_redo_go_to_the_image_of_what_they_reverse(bare_page):
    away = {"op": "goto", "position": 8}

    assert position_after(bare_page, edit(3, goto=4), away, {"op": "undo"}) == 3
    assert position_after(bare_page, edit(3), away, {"op": "undo"}, away, {"op": "redo"}) == 3


def test_what_the_kernel_has_already_is_not_done_twice(bare_page, project):
    """Its state may come before it says that the message is on disk."""
    messages = next(case["messages"] for case in CASES if case["name"].startswith("boxes"))
    take(project, messages)
    state = state_of(project)

    [shown] = call_each(bare_page, "replay.js", "replay", [[state, messages, config_of(project)]])
    assert shown["slots"] == state["slots"]
    assert shown["view"]["counts"] == state["view"]["counts"]


def test_replay_leaves_the_kernels_state_as_it_was(bare_page, project):
    """A view that is drawn from it twice must not see a change twice."""
    for case in CASES:
        take(project, case["before"])
        before = state_of(project)
        messages = [{"image": "a.jpg", "position": 0, **message} for message in case["messages"]]
        left = bare_page.evaluate(
            """async ([state, messages, config]) => {
              const { replay } = await import('/browser/replay.js');
              const frozen = (value) => {
                if (value && typeof value === 'object') {
                  Object.values(value).forEach(frozen);
                  Object.freeze(value);
                }
                return value;
              };
              replay(frozen(state), frozen(messages), config);
              return state;
            }""",
            [before, messages, config_of(project)],
        )
        assert left == before
        project.undo()

"""Labels with names that are something else to a table, a file or a browser stay what they are."""

from __future__ import annotations

import pytest
from PIL import Image

import nbannotate as nba

from .annotating import draw, opened, press, stored, wait_drawn, wait_saved, wait_shown

pytestmark = pytest.mark.browser

NAMES = ["NA", "null", "001", "no", "<img src=x onerror=alert(1)>", "🦊", "שלום עולם"]
KEYS = [str(1 + place) for place in range(len(NAMES))]
N_INJECTED = "() => document.querySelectorAll('img[src=x], [onerror]').length"


@pytest.fixture
def annotating(notebook, tmp_path):
    """A notebook with two widgets, boxes and tags of these names, that runs no script of a name."""
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (400, 304), "gray").save(photos / "a.png")
    one = notebook(
        [
            "import nbannotate as nba\n"
            f"photos, names = {str(photos)!r}, {NAMES!r}\n"
            "nba.BoxAnnotator(photos, names, store='boxes.db')",
            "nba.TagAnnotator(photos, names, multiple=True, store='tags.db')",
        ],
        viewport=(1280, 1700),
    )
    dialogs = []
    one.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    yield one
    assert one.page.evaluate(N_INJECTED) == 0
    assert dialogs == []


def place(number):
    """Left top and right bottom corner of the box of each class."""
    return 10 + 40 * number, 20 + 20 * number, 60 + 40 * number, 70 + 20 * number


def row(one, name, view):
    """The palette's button of a label."""
    return one.page.locator(".nba-root").nth(view).locator(".nba-pick").filter(has_text=name)


def named(labels):
    return dict(zip(labels["label"], zip(labels["x"], labels["y"], strict=True), strict=True))


def round_trips(dataset, folder):
    """The dataset after each format that bears boxes."""
    dataset.to_csv(folder / "labels.csv")
    yield nba.read_csv(folder / "labels.csv")
    dataset.to_coco(folder / "labels.json")
    yield nba.read_coco(folder / "labels.json")
    dataset.to_yolo(folder / "yolo")
    yield nba.read_yolo(folder / "yolo")


def test_names_are_shown_as_text_drawn_stored_and_written_as_they_are(annotating, tmp_path):
    one = annotating
    wait_shown(one, "a.png", view=0)
    wait_shown(one, "a.png", view=1)
    palettes = one.page.locator(".nba-palette")
    for view in (0, 1):
        assert palettes.nth(view).locator(".nba-class-name").all_inner_texts() == NAMES
        options = one.page.locator(".nba-filter").nth(view).locator("optgroup option")
        assert options.all_text_contents() == NAMES

    for number, (name, key) in enumerate(zip(NAMES, KEYS, strict=True)):
        if number % 2:
            row(one, name, view=0).click()
        else:
            press(one, key)
        toast = one.page.locator(".nba-toast").first
        assert toast.inner_text() == f"Next shape: {name}"
        draw(one, *place(number))
        wait_drawn(one, *place(number))
    wait_saved(one)
    for number, (name, key) in enumerate(zip(NAMES, KEYS, strict=True)):
        if number % 2:
            press(one, key, view=1)
        else:
            row(one, name, view=1).click()
    wait_saved(one, view=1)
    for view in (0, 1):
        assert palettes.nth(view).locator(".nba-count").all_inner_texts() == ["1"] * len(NAMES)
    press(one, "?")
    helped = one.page.locator(".nba-help-row span").all_inner_texts()
    assert [text for text in helped if text in NAMES] == NAMES
    press(one, "Escape", "/")
    assert one.page.locator(".nba-option").all_inner_texts() == NAMES
    press(one, "Escape")

    boxes, tags = stored(one, "boxes.db").sort_values("created"), stored(one, "tags.db")
    assert boxes["label"].tolist() == NAMES
    assert sorted(tags["label"]) == sorted(NAMES)
    assert set(tags["kind"]) == {"tag"}
    with opened(one, "boxes.db") as store:
        assert [item.name for item in store.schema.classes] == NAMES
        for back in round_trips(store.dataset, tmp_path):
            assert [item.name for item in back.schema.classes] == NAMES
            found = named(back.labels)
            assert set(found) == set(NAMES)
            for name, corner in named(boxes).items():
                assert found[name] == pytest.approx(corner, abs=0.01)
    with opened(one, "tags.db") as store:
        store.dataset.to_csv(tmp_path / "tags.csv")
    assert sorted(nba.read_csv(tmp_path / "tags.csv").labels["label"]) == sorted(NAMES)

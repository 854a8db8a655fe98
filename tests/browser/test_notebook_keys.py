"""Nothing pressed over the widget reaches the notebook, and the notebook gets its keys back."""

from __future__ import annotations

import pytest

from .annotating import press, stage, wait_kernel, wait_saved

pytestmark = pytest.mark.browser

CELLS = [
    "before = 1",
    """import ipywidgets, numpy as np, nbannotate as nba
ann = nba.Annotator(
    [np.full((60, 80), 90, np.uint8)] * 3,
    classes=["cat", "dog"], tags={"place": ["in", "out"]},
    attributes={"occluded": bool, "view": ["front", "side"], "plate": str, "age": (0, 9)},
    store=None,
)
ann.attach(ipywidgets.IntSlider(max=5), "quality")
ann.attach(ipywidgets.Dropdown(options=["a", "b"]), "grade")
ann.attach(ipywidgets.Checkbox(), "blurred")
ann.attach(ipywidgets.ToggleButtons(options=["p", "q"]), "side")
ann.select(ann.add("image-0001", label="cat", box=(5, 5, 40, 30)))
ann""",
    "after = 2",
]
# Each of them means something in the notebook's command mode; `d d` deletes the cell.
KEYS = ["a", "b", "x", "c", "v", "z", "m", "y", "h", "d", "d", "0", "0", "Enter", "Shift+Enter"]
FOCUSABLE = """() => {
  const all = document.querySelectorAll(
    '.nba-annotator :is(button, input, select, textarea, [tabindex])');
  return [...all].filter((one) => one.tabIndex >= 0 && !one.disabled && one.offsetParent);
}"""
NAME = "(one) => `${one.tagName} ${one.className} ${one.ariaLabel ?? one.textContent}`"


@pytest.mark.parametrize("front_end", ["lab", "notebook"])
def test_no_key_over_any_part_changes_the_notebook(notebook, front_end):
    one = notebook(CELLS, front_end=front_end)
    page = one.page
    stage(one).click(position={"x": 5, "y": 5})
    page.keyboard.press("Escape")
    parts = page.evaluate_handle(FOCUSABLE)
    count = parts.evaluate("(all) => all.length")
    assert count > 25, "buttons, fields, palette and attached widgets"
    for number in range(count):
        part = parts.evaluate_handle("(all, number) => all[number]", number).as_element()
        if not part.evaluate("(one) => { one.focus(); return document.activeElement === one; }"):
            continue  # pressing the parts before it has switched it off
        for key in KEYS:
            page.keyboard.press(key)
        assert one.cells() == CELLS, part.evaluate(NAME)
        assert page.locator(".jp-Dialog").count() == 0, part.evaluate(NAME)
        while page.locator(".nba-overlay").count():
            page.keyboard.press("Escape")
    wait_saved(one)
    assert one.execute("ann.errors") == "[]"


@pytest.mark.parametrize("front_end", ["lab", "notebook"])
def test_after_escape_twice_the_notebook_has_its_keys_again(notebook, front_end):
    one = notebook(CELLS, front_end=front_end)
    stage(one).click(position={"x": 5, "y": 5})
    press(one, "v", "Tab")
    one.page.keyboard.press("b")
    assert one.cells() == CELLS
    one.page.keyboard.press("Escape")  # the selection
    one.page.keyboard.press("Escape")
    one.page.keyboard.press("b")
    one.page.wait_for_function(
        "(count) => document.querySelectorAll('.jp-Notebook .jp-Cell').length === count",
        arg=len(CELLS) + 1,
    )
    assert one.cells() == [*CELLS[:2], "", CELLS[2]]


def test_arrow_keys_go_through_the_images_and_not_through_the_cells(notebook):
    one = notebook(CELLS)
    stage(one).click(position={"x": 5, "y": 5})
    one.page.keyboard.press("Escape")
    one.page.keyboard.press("ArrowRight")
    wait_kernel(one, "ann.current", "image-0002")
    one.page.keyboard.press("ArrowLeft")
    wait_kernel(one, "ann.current", "image-0001")

"""What the view tells of its work with the kernel: saved or not, errors, after a reload."""

from __future__ import annotations

import time

import pytest

from .fake import Widget, box, config, slot, view

pytestmark = pytest.mark.browser


def chip(widget):
    return widget.page.locator(".nba-chip").inner_text()


def batches(widget):
    """The numbered messages as they were sent."""
    return [content for content in widget.sent if content["type"] == "messages"]


def acknowledge(widget, **more):
    """Say that all that was sent is on disk."""
    batch = batches(widget)[-1]
    widget.kernel_says(acked={batch["client"]: batch["messages"][-1]["seq"]}, **more)


def painted(widget, point):
    return widget.pixel("shapes", point) == "#e69f00ff"


def test_the_chip_says_whether_all_is_saved(bare_page):
    widget = Widget(bare_page)
    assert chip(widget) == "saved"
    widget.drag((50, 40), (150, 120))
    widget.press("Enter")
    assert chip(widget) == "saving…"
    widget.kernel_says(acked={batches(widget)[0]["client"]: 1})
    assert chip(widget) == "saving…"
    acknowledge(widget)
    assert chip(widget) == "saved"


def test_trouble_with_the_store_is_said_until_it_is_mended(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    widget.kernel_says(view=view(trouble="the disk is full"))
    assert chip(widget) == "NOT SAVED: the disk is full"
    assert painted(widget, (50, 80))  # and nothing is lost

    acknowledge(widget, view=view())
    assert chip(widget) == "saved"


def test_what_the_kernel_took_looks_the_same_and_what_it_refused_goes(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    widget.drag((200, 40), (300, 120))
    taken = {**widget.changes[0], "attributes": {}}
    del taken["op"]
    acknowledge(
        widget,
        slot_0=slot(0, [taken]),
        view=view(counts={"1": 1}, notice={"number": 1, "text": "class 'cat' is retired"}),
    )

    assert painted(widget, (50, 80))
    assert not painted(widget, (200, 80))
    assert bare_page.locator(".nba-toast.nba-on").inner_text() == "class 'cat' is retired"
    assert widget.said == "class 'cat' is retired"


def test_an_error_from_before_the_view_was_there_is_not_told_again(bare_page):
    Widget(bare_page, traits={"view": view(notice={"number": 4, "text": "old"})})

    assert bare_page.locator(".nba-toast.nba-on").count() == 0


def test_an_error_of_a_moment_ago_is_told_by_a_view_that_was_not_there_yet(bare_page):
    notice = {"number": time.time_ns(), "text": "the kernel was quicker"}
    Widget(bare_page, traits={"view": view(notice=notice)})

    assert bare_page.locator(".nba-toast.nba-on").inner_text() == "the kernel was quicker"


def test_names_from_data_are_text(bare_page):
    payload = "<img src=x onerror='globalThis.ran = true'>"
    classes = [{"id": 1, "name": payload, "color": "#E69F00", "hotkey": "1", "retired": False}]
    labels = [box("L", 1, 50, 40, 100, 80)]
    widget = Widget(
        bare_page,
        classes=classes,
        traits={"slot_0": {**slot(0, labels), "image": payload}, "view": view(trouble=payload)},
    )
    widget.press("Tab", "1", "?", "Escape", "/")
    widget.kernel_says(view=view(notice={"number": 1, "text": payload}))

    assert payload in bare_page.locator(".nba-layer").inner_text()
    assert bare_page.locator(".nba-layer img:not(.nba-picture)").count() == 0
    assert bare_page.evaluate("() => globalThis.ran") is None


def test_what_a_reload_interrupts_is_shown_and_sent_again(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    widget.press("ArrowRight")
    [first, _] = batches(widget)
    bare_page.reload()

    widget = Widget(bare_page)
    [again] = batches(widget)
    assert (again["client"], again["again"]) == (first["client"], True)
    assert [one["seq"] for one in again["messages"]] == [1, 2]
    assert again["messages"][0]["message"]["changes"] == first["messages"][0]["message"]["changes"]
    assert painted(widget, (50, 80))
    assert chip(widget) == "saving…"
    assert bare_page.locator(".nba-place").inner_text() == "1 of 3"
    widget.kernel_says(acked={again["client"]: 2})
    assert chip(widget) == "saved"


def test_the_kernel_can_ask_for_what_it_missed(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    widget.kernel_says(resend=1)

    [_, again] = batches(widget)
    assert again["again"]
    assert [one["seq"] for one in again["messages"]] == [1]


def test_coming_online_sends_again(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    bare_page.evaluate("() => globalThis.dispatchEvent(new Event('online'))")

    assert [batch["again"] for batch in batches(widget)] == [False, True]


def test_a_widget_whose_kernel_is_gone_keeps_edits_for_the_next_one(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    bare_page.evaluate("() => { fake.model.isDead = true; }")
    widget.drag((200, 40), (300, 120))
    widget.press("v")
    widget.click((250, 80))  # selects, of which a kernel would be told

    assert chip(widget) == "NOT SAVED: the kernel has ended; run the cell again"
    assert painted(widget, (50, 80))
    client = batches(widget)[0]["client"]
    bare_page.evaluate("() => { fake.close(); fake.cell.remove(); }")
    widget = Widget(bare_page)
    [again] = batches(widget)
    assert (again["client"], again["again"]) == (client, True)
    assert [one["seq"] for one in again["messages"]] == [1, 2]


def test_a_restart_of_the_kernel_says_so_at_once(bare_page):
    widget = Widget(bare_page)
    widget.drag((50, 40), (150, 120))
    bare_page.evaluate("() => fake.model.listeners.get('comm_live_update').forEach((f) => f())")

    assert chip(widget) == "NOT SAVED: the kernel has ended; run the cell again"


def test_a_second_view_shows_the_same(bare_page):
    widget = Widget(bare_page, [box("L", 1, 250, 40, 100, 80)])
    bare_page.evaluate("() => fake.again()")
    widget.drag((50, 40), (150, 120))

    counts = bare_page.locator(".nba-palette .nba-count").all_inner_texts()
    assert counts == ["1", "0"] * 2
    assert len(widget.messages) == 1


def test_another_scheme_is_shown_and_the_zoom_stays(bare_page):
    widget = Widget(bare_page, [box("L", 1, 50, 40, 100, 80)])
    widget.press("Shift+Z")
    before = widget.picture()
    cow = {"id": 3, "name": "cow", "color": "#009E73", "hotkey": "1", "retired": False}
    widget.kernel_says(config=config(classes=[cow]))

    assert bare_page.locator(".nba-class-name").all_inner_texts() == ["cow"]
    assert widget.picture() == pytest.approx(before)
    widget.stage.focus()
    widget.drag((100, 100), (150, 150))
    assert widget.changes[-1]["class_id"] == 3


def test_a_closed_view_leaves_nothing_behind(bare_page):
    widget = Widget(bare_page)
    bare_page.evaluate("() => { fake.close(); fake.end(); }")
    widget.kernel_says(view=view(position=1))

    assert bare_page.locator(".nba-layer").count() == 0
    listening = bare_page.evaluate("() => [...fake.model.listeners.values()].flat().length")
    assert listening == 0


def test_an_error_while_the_view_is_built_is_shown_instead_of_nothing(bare_page):
    widget = Widget(bare_page)
    text = bare_page.evaluate(
        """() => {
          const { create, FakeModel } = fake;
          const broken = { ...fake.model.traits.config, keys: null };
          const traits = { ...fake.model.traits, config: broken };
          const el = document.createElement('div');
          document.body.append(el);
          const model = new FakeModel(traits);
          const widget = create();
          widget.initialize({ model });
          try { widget.render({ model, el }); } catch (error) { /* also thrown */ }
          return el.innerText;
        }"""
    )

    assert "nbannotate could not show this widget" in text
    assert "check()" in text
    assert widget.messages == []

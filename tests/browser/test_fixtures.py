"""The browser fixtures themselves, with plain ipywidgets and ipycanvas."""

from __future__ import annotations

import os
import time

import pytest

from .notebook import KernelError

pytestmark = pytest.mark.browser

SLIDER = "import ipywidgets\nslider = ipywidgets.IntSlider(7, description='count')\nslider"
CANVAS = """
from ipycanvas import Canvas
canvas = Canvas(width=60, height=40)
canvas.fill_style = '#ff0000'
canvas.fill_rect(0, 0, 60, 40)
canvas
"""
READOUT = ".widget-readout"
RED = """() => {
  const canvas = document.querySelector('.jp-OutputArea canvas');
  return canvas && Array.from(canvas.getContext('2d').getImageData(30, 20, 1, 1).data).join()
    === '255,0,0,255';
}"""


def wait_for_text(one, selector, text):
    one.page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent === text",
        arg=[selector, text],
    )


@pytest.mark.parametrize("front_end", ["lab", "notebook"])
def test_widgets_show_run_and_survive_a_reload(notebook, front_end):
    one = notebook([SLIDER, CANVAS], front_end=front_end)
    wait_for_text(one, READOUT, "7")
    one.page.wait_for_function(RED)

    one.execute("slider.value = 42")
    wait_for_text(one, READOUT, "42")
    one.reload()

    # 42 is nowhere in the saved notebook: it comes from the kernel.
    wait_for_text(one, READOUT, "42")
    one.page.locator(READOUT).click()
    one.page.keyboard.press("Control+a")
    one.page.keyboard.type("13")
    one.page.keyboard.press("Enter")
    wait_until_kernel_has(one, "slider.value", "13")
    assert one.cells() == [SLIDER, CANVAS]


def wait_until_kernel_has(one, expression, value):
    end = time.monotonic() + 30
    while (found := one.execute(expression)) != value:
        assert time.monotonic() < end, f"{expression} is {found}, not {value}"
        one.page.evaluate("() => new Promise(requestAnimationFrame)")


def test_execute_returns_output_and_raises_what_the_code_raised(notebook):
    one = notebook([])

    assert one.execute("print('hello')\n6 * 7") == "hello\n42"
    with pytest.raises(KernelError, match="ZeroDivisionError"):
        one.execute("1 / 0")
    one.execute_nowait("later = 5")
    assert one.execute("later") == "5"
    assert one.kernel_pid() != os.getpid()
    assert one.execute("import os; os.getcwd()") == repr(str(one.folder))


def test_a_cell_that_fails_fails_the_test_with_its_traceback(notebook):
    with pytest.raises(AssertionError, match="KeyError: 'missing'"):
        notebook(["{}['missing']"])


def test_a_busy_kernel_is_busy_until_the_block_ends(notebook):
    one = notebook([SLIDER])

    with one.busy():
        one.page.wait_for_function("() => document.querySelector('[data-status=busy]')")
        one.execute_nowait("slider.value = 99")
        assert one.page.locator(READOUT).text_content() == "7"
    wait_for_text(one, READOUT, "99")
    one.wait_for_kernel()


def test_busy_ends_by_itself_after_its_seconds(notebook):
    one = notebook([])
    start = time.monotonic()

    with one.busy(0.5):
        one.execute("")

    assert 0.4 < time.monotonic() - start < 10


def test_offline_cuts_open_websockets_and_online_mends_them(notebook):
    one = notebook([SLIDER])

    one.go_offline()
    assert not one.page.evaluate("() => navigator.onLine")
    one.execute("slider.value = 8")
    assert one.page.locator(READOUT).text_content() == "7"
    one.go_online()

    one.execute("slider.value = 9")
    wait_for_text(one, READOUT, "9")


def test_latency_delays_each_round_trip(notebook):
    one = notebook([])
    ask = """async () => {
      const start = performance.now();
      await fetch('/api/status', { cache: 'no-store' });
      return performance.now() - start;
    }"""
    quick = min(one.page.evaluate(ask) for _ in range(5))

    one.set_latency(300)

    assert quick < 250
    assert 300 <= min(one.page.evaluate(ask) for _ in range(3)) < 300 + quick + 200


@pytest.mark.parametrize("front_end", ["lab", "notebook"])
def test_themes(notebook, front_end):
    one = notebook([], front_end=front_end, theme="dark")
    light = "() => document.body.dataset.jpThemeLight"

    assert one.page.evaluate(light) == "false"
    one.set_theme("light")
    assert one.page.evaluate(light) == "true"


def test_the_page_has_the_asked_size_and_sharpness(notebook):
    one = notebook([], viewport=(800, 600), device_scale_factor=2, has_touch=True)
    seen = one.page.evaluate(
        "() => [innerWidth, innerHeight, devicePixelRatio, 'ontouchstart' in window]"
    )

    assert seen == [800, 600, 2, True]
    assert one.screenshot("sharp").read_bytes().startswith(b"\x89PNG")


def test_an_uncaught_error_of_our_code_is_found(notebook):
    one = notebook([])
    one.page.evaluate(
        """() => import(URL.createObjectURL(new Blob(
          ["setTimeout(() => { throw new Error('ours') })"], { type: 'text/javascript' })))"""
    )
    if not one.page_errors:
        one.page.wait_for_event("pageerror")

    assert len(one.our_errors()) == 1
    assert "ours" in one.our_errors()[0]
    one.page_errors.clear()  # else the fixture fails this test


def test_the_bare_page_serves_modules_with_their_type(bare_page):
    seen = bare_page.evaluate(
        """async () => [document.body.children.length, (await fetch('/browser/none.js')).status]"""
    )

    assert seen == [0, 404]

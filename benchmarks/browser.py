"""A JupyterLab in a Chromium, with the benchmark's kernel code and stopwatch loaded."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser import chromium
from tests.browser.conftest import FLAGS
from tests.browser.notebook import Notebook
from tests.browser.server import JupyterServer, Loop, Wire

ROOT = Path(__file__).parents[1]
PAGE = (Path(__file__).parent / "page.js").read_text()
VIEWPORT = (1600, 1500)  # all of each widget is in it

Open = Callable[[str, list[str]], Notebook]


@contextlib.contextmanager
def jupyter() -> Iterator[tuple[JupyterServer, Open]]:
    """A server, and a function that opens a notebook of it by name and cells."""
    path = chromium.find()
    if path is None:
        raise SystemExit(chromium.MEND)
    folder = Path(tempfile.mkdtemp(prefix="nbannotate-bench-"))
    with contextlib.ExitStack() as closing:
        closing.callback(shutil.rmtree, folder, ignore_errors=True)
        server = JupyterServer.start(folder)
        closing.callback(server.stop)
        loop = Loop()
        closing.callback(loop.stop)
        playwright = closing.enter_context(sync_playwright())
        browser: Browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        closing.callback(browser.close)

        def open_notebook(name: str, cells: list[str]) -> Notebook:
            notebook = Notebook(server, Wire(loop, server.port), browser, name)
            closing.callback(notebook.close)
            notebook.open(cells, viewport=VIEWPORT)
            notebook.page.evaluate(PAGE)
            return notebook

        yield server, open_notebook

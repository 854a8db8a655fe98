"""Fixtures that drive a real Chromium on a real Jupyter server: server, notebook, bare page."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from . import chromium as chromium_finder
from .notebook import Notebook
from .server import JupyterServer, Loop, Wire

MODULES = Path(__file__).parents[2] / "nbannotate" / "widgets" / "browser"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def jupyter_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A running Jupyter server: JupyterLab and Notebook 7, one for all tests."""
    server = JupyterServer.start(tmp_path_factory.mktemp("jupyter"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A running headless Chromium, one for all tests."""
    path = chromium_finder.find()
    if path is None:
        pytest.fail(chromium_finder.MEND)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def wires() -> Iterator[Loop]:
    """The loop that carries the pages' connections."""
    loop = Loop()
    yield loop
    loop.stop()


NUMBERS = itertools.count(1)


@pytest.fixture
def notebook(
    jupyter_server: JupyterServer, chromium: Browser, wires: Loop
) -> Iterator[Callable[..., Notebook]]:
    """A factory: `notebook(cells, front_end="lab", ...)` opens a notebook and runs its cells.

    Each has a page, a kernel and a folder of its own; all end with the test. An uncaught error of
    nbannotate's code in a page fails the test.
    """
    opened: list[Notebook] = []

    def open_notebook(cells: list[str], **options: Any) -> Notebook:
        name = f"notebook-{next(NUMBERS)}"
        wire = Wire(wires, jupyter_server.port)
        # Listed before it is ready: what goes wrong on the way is closed too.
        one = Notebook(jupyter_server, wire, chromium, name)
        opened.append(one)
        closing.callback(one.close)
        return one.open(cells, **options)

    with contextlib.ExitStack() as closing:
        yield open_notebook
        errors = [error for one in opened for error in one.our_errors()]
    if errors:
        pytest.fail("Uncaught in the page:\n" + "\n".join(errors), pytrace=False)


class _Handler(SimpleHTTPRequestHandler):
    """An empty page at /, and our modules at /browser/."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".css": "text/css",
        ".html": "text/html",
        ".js": "text/javascript",
        ".json": "application/json",
    }

    def do_GET(self) -> None:
        if self.path == "/":
            body = b'<!doctype html><html lang="en"><meta charset="utf-8"><title>bare</title>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path.startswith("/browser/"):
            self.path = self.path.removeprefix("/browser")
            super().do_GET()
        else:
            # A browser asks for /favicon.ico by itself.
            self.send_response(204)
            self.end_headers()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def modules_url() -> Iterator[str]:
    """The address of a local server of an empty page, with our modules under /browser/."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=MODULES)) as server:
        thread = threading.Thread(target=server.serve_forever, name="modules", daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="session")
def bare_tab(chromium: Browser) -> Iterator[Page]:
    """A page that the tests take in turns: making one each takes longer than most of them."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


@pytest.fixture
def bare_page(bare_tab: Page, modules_url: str) -> Iterator[Page]:
    """An empty page that can `import('/browser/x.js')`; an uncaught error in it fails the test.

    Its document, modules and storage are the test's own. What is set on the page from outside
    would outlive the test: use `chromium` for a page with a size or a clock of its own.
    """
    errors: list[str] = []

    def collect(error: Error) -> None:
        errors.append(error.stack or error.message)

    bare_tab.mouse.move(0, 0)
    bare_tab.goto(modules_url)
    bare_tab.evaluate("() => sessionStorage.clear()")
    bare_tab.on("pageerror", collect)
    yield bare_tab
    bare_tab.remove_listener("pageerror", collect)
    bare_tab.mouse.up()
    if errors:
        pytest.fail("Uncaught in the page:\n" + "\n".join(errors), pytrace=False)

"""A notebook open in a real front end, with the page, the kernel and the wire between them."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_core.utils import ensure_event_loop
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page

from .server import JupyterServer, Wire, wait_until

FrontEnd = Literal["lab", "notebook"]
Theme = Literal["light", "dark"]
T = TypeVar("T")

SCREENSHOTS = Path(__file__).parent / "screenshots"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SECONDS = 60  # the limit of each wait

# Errors that stem from our code: anywidget loads modules from blobs, `bare_page` from /browser/.
OURS = re.compile(r"blob:|/browser/|nbannotate|\[anywidget\]")

# The open notebook's panel, in either front end; undefined while it is not shown.
PANEL = """
const panel = window.jupyterapp
  && Array.from(window.jupyterapp.shell.widgets('main')).find((one) => one.context?.model?.cells);
"""
# Its kernel is connected.
READY = f"""() => {{ {PANEL}
  const session = panel?.sessionContext;
  return session?.isReady && session.session?.kernel?.connectionStatus === 'connected'
    && session.session.kernel.status;
}}"""
# Every output that is a widget is shown as one.
WIDGETS_SHOWN = f"""() => {{ {PANEL}
  if (!panel?.context.isReady) return false;
  for (const cell of panel.content.widgets) {{
    const shown = cell.outputArea?.node.querySelectorAll(':scope > .jp-OutputArea-child');
    for (let i = 0; i < (cell.model.outputs?.length ?? 0); i++) {{
      const data = cell.model.outputs.get(i).data;
      if (!data?.['application/vnd.jupyter.widget-view+json']) continue;
      const output = shown[i]?.querySelector('.jp-OutputArea-output');
      // Until then, and when its model is gone, it holds a line of text.
      if (!output?.querySelector(':scope > .lm-Widget')) return false;
    }}
  }}
  return true;
}}"""
RUN_ALL = f"""async () => {{ {PANEL}
  await window.jupyterapp.commands.execute('notebook:run-all-cells');
  const errors = [];
  for (const cell of panel.context.model.cells) {{
    for (let i = 0; i < (cell.outputs?.length ?? 0); i++) {{
      const output = cell.outputs.get(i).toJSON();
      if (output.output_type === 'error') errors.push(output.traceback.join('\\n'));
    }}
  }}
  return errors;
}}"""
CELLS = f"""() => {{ {PANEL}
  return Array.from(panel.context.model.cells).map((cell) => cell.sharedModel.getSource());
}}"""

# JupyterLab says in a dialog, at some time after the cut, that it has lost its server. Until it is
# dismissed it takes every press; here it is gone before the next event.
DISMISS = """() => {
  globalThis.dismissing = new MutationObserver((changes) => {
    for (const one of changes.flatMap((change) => [...change.addedNodes])) {
      if (one.matches?.('.jp-Dialog')) one.querySelector('.jp-Dialog-button').click();
    }
  });
  globalThis.dismissing.observe(document.body, { childList: true });
}"""
KEEP_DIALOGS = "() => globalThis.dismissing?.disconnect()"


class KernelError(AssertionError):
    """Code that a test ran in the kernel raised; the message is the traceback."""


class Kernel:
    """Runs code in the notebook's own kernel, beside the front end.

    All of the client's work is done in one thread of its own: Playwright's loop runs in the
    test's, and zmq's sockets may not change theirs.
    """

    def __init__(self, connection_file: Path) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="kernel-client")
        self.connecting = self.thread.submit(self._connect, connection_file)

    def execute(self, code: str, seconds: float = SECONDS) -> str:
        """Run `code` to its end; what it printed, and the repr of its last expression."""
        return self._do(lambda: self._execute(code, seconds))

    def execute_nowait(self, code: str) -> str:
        """Send `code` and do not wait; the message's id."""
        return self._do(lambda: self.client.execute(code, allow_stdin=False, stop_on_error=False))

    @property
    def client(self) -> BlockingKernelClient:
        return self.connecting.result()

    def close(self) -> None:
        self._do(self.client.stop_channels)
        self._do(lambda: ensure_event_loop().close())  # the client made it for its thread
        self.thread.shutdown()

    def _do(self, work: Callable[[], T]) -> T:
        return self.thread.submit(work).result()

    def _connect(self, connection_file: Path) -> BlockingKernelClient:
        client = BlockingKernelClient(connection_file=str(connection_file))
        client.load_connection_file()
        # Without heartbeat: a kernel that is still starting has none, and would be called dead.
        client.start_channels(hb=False)
        client.wait_for_ready(timeout=SECONDS)
        return client

    def _execute(self, code: str, seconds: float) -> str:
        message_id = self.client.execute(code, allow_stdin=False, stop_on_error=False)
        end = time.monotonic() + seconds
        texts: list[str] = []
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise KernelError(f"Still running after {seconds:g} s:\n{code}") from None
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                texts.append(content["text"])
            elif kind == "execute_result":
                texts.append(content["data"]["text/plain"])
            elif kind == "error":
                raise KernelError(_plain("\n".join(content["traceback"])))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(texts)


class Notebook:
    """What the `notebook` fixture opens; see its methods."""

    def __init__(
        self,
        server: JupyterServer,
        wire: Wire,
        browser: Browser,
        name: str,
    ) -> None:
        self.server, self.wire, self.browser = server, wire, browser
        self.name = name
        self.folder = server.root / name  # the kernel's working folder
        self.path = f"{name}/notebook.ipynb"
        self.page_errors: list[str] = []  # uncaught ones, of any code in the page
        self.console: list[str] = []  # all that was logged, "type: text"
        self.context: BrowserContext | None = None
        self.kernel: Kernel | None = None

    def open(
        self,
        cells: list[str],
        *,
        front_end: FrontEnd = "lab",
        device_scale_factor: float = 1,
        viewport: tuple[int, int] = (1280, 900),
        theme: Theme = "light",
        has_touch: bool = False,
    ) -> Notebook:
        """Write the notebook, open it in the front end, and run its cells."""
        self.folder.mkdir()
        document = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(document, self.server.root / self.path)
        self.server.request(
            "PUT",
            "/lab/api/settings/@jupyterlab/apputils-extension:themes",
            {"raw": json.dumps({"theme": THEMES[theme]})},
        )

        # The kernel starts while the page loads; the front end finds this session and takes it.
        session = {"path": self.path, "name": self.path, "type": "notebook"}
        self.server.request("POST", "/api/sessions", session | {"kernel": {"name": "python3"}})
        self.kernel = Kernel(self._connection_file())

        width, height = viewport
        self.context = self.browser.new_context(
            device_scale_factor=device_scale_factor,
            viewport={"width": width, "height": height},
            has_touch=has_touch,
            color_scheme=theme,
        )
        self.context.set_default_timeout(SECONDS * 1000)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", self._on_page_error)
        self.page.on("console", self._on_console)
        # A page with unsaved changes asks before it goes.
        self.page.on("dialog", lambda dialog: dialog.accept())
        address = f"lab/workspaces/{self.name}/tree" if front_end == "lab" else "notebooks"
        self.page.goto(f"{self.wire.url}/{address}/{self.path}")
        self.wait_for_kernel()
        if cells:
            self.run_all()
        return self

    # --- the page ---

    def run_all(self) -> None:
        """Run every cell; an AssertionError with the traceback when one fails."""
        errors = self.page.evaluate(RUN_ALL)
        if errors:
            raise KernelError(_plain("\n".join(errors)))
        self.wait_for_widgets()

    def cells(self) -> list[str]:
        """The source of each cell as the front end has it now."""
        sources: list[str] = self.page.evaluate(CELLS)
        return sources

    def reload(self) -> None:
        """Save, and load the page anew; widgets come back from the running kernel."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload()
        self.wait_for_kernel()
        self.wait_for_widgets()

    def wait_for_kernel(self, *, idle: bool = True) -> None:
        """Until the page is connected to the kernel, and by default the kernel idle."""
        test = "=== 'idle'" if idle else ""
        self.page.wait_for_function(f"() => ({READY})() {test}")

    def wait_for_disconnection(self) -> None:
        """Until the front end knows that it has lost its kernel."""
        self.page.wait_for_function(
            f"() => {{ {PANEL}"
            " return panel.sessionContext.session.kernel.connectionStatus !== 'connected' }"
        )

    def wait_for_widgets(self) -> None:
        """Until every output that is a widget is shown as one."""
        self.page.wait_for_function(WIDGETS_SHOWN)

    def set_theme(self, theme: Theme) -> None:
        """Change the front end's theme as its menu does."""
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
            THEMES[theme],
        )
        self.page.wait_for_function(
            "(light) => document.body.dataset.jpThemeLight === light",
            arg=json.dumps(theme == "light"),
        )

    def screenshot(self, name: str) -> Path:
        """Write the page as a PNG file into tests/browser/screenshots, which git ignores."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    # --- the wire ---

    def go_offline(self) -> None:
        """Cut the page from the server, open websockets too, until the front end knows it.

        The kernel runs on.
        """
        self.page.evaluate(DISMISS)
        self.wire.cut()
        # In this order: Chromium's offline mode can keep the end of a websocket from the page.
        self.wait_for_disconnection()
        self.page.context.set_offline(True)

    def go_online(self) -> None:
        """Mend the connection, and wait until the page has found its kernel again."""
        self.wire.mend()
        self.page.context.set_offline(False)
        self.page.evaluate(KEEP_DIALOGS)
        # JupyterLab waits longer after each failed try; a person would click here too.
        self.page.evaluate(
            f"""async () => {{ {PANEL}
              const kernel = panel.sessionContext.session.kernel;
              const limit = () => new Promise((done) => setTimeout(done, 5000));
              // Into an attempt of its own this may leave a socket that nothing comes through.
              for (let answer; !answer;) {{
                await kernel.reconnect();
                const asked = kernel.requestKernelInfo().catch(() => null);
                answer = await Promise.race([asked, limit()]);
              }}
            }}"""
        )
        self.wait_for_kernel(idle=False)

    def set_latency(self, milliseconds: float) -> None:
        """Make each round trip between page and server longer."""
        self.wire.set_latency(milliseconds)

    # --- the kernel ---

    def execute(self, code: str, seconds: float = SECONDS) -> str:
        """Run `code` in the notebook's kernel to its end, around the page.

        Returns what it printed, then the repr of its last expression; raises `KernelError` with
        the traceback.
        """
        assert self.kernel is not None
        return self.kernel.execute(code, seconds)

    def execute_nowait(self, code: str) -> str:
        """Send `code` to the notebook's kernel and do not wait; the message's id."""
        assert self.kernel is not None
        return self.kernel.execute_nowait(code)

    @contextlib.contextmanager
    def busy(self, seconds: float = SECONDS, holding: str = "") -> Iterator[None]:
        """Keep the kernel busy with a cell for the block, or for `seconds` if that is shorter.

        Some kernels answer widgets on another thread beside a cell that sleeps. `holding` is the
        expression of a lock that the cell holds meanwhile, so that none can.
        """
        started, ended = self.folder / ".busy-started", self.folder / ".busy-ended"
        for flag in (started, ended):
            flag.unlink(missing_ok=True)
        self.execute_nowait(
            "import contextlib as _c, pathlib as _p, time as _t\n"
            f"_end = _t.monotonic() + {seconds!r}\n"
            f"with {holding or '_c.nullcontext()'}:\n"
            f"  _p.Path({str(started)!r}).touch()\n"
            f"  while _t.monotonic() < _end and not _p.Path({str(ended)!r}).exists():\n"
            "    _t.sleep(0.01)"
        )
        wait_until(started.exists, "the kernel is busy")
        try:
            yield
        finally:
            ended.touch()
            self.execute("")

    def kernel_pid(self) -> int:
        """The process id of the kernel."""
        return int(self.execute("import os; print(os.getpid())"))

    def close(self) -> None:
        """Close the page and end its kernel; a second time does nothing."""
        with contextlib.ExitStack() as stack:  # last in, first out; each also when another fails
            stack.callback(self.wire.close)
            stack.callback(self._end_sessions)
            if self.kernel is not None:
                stack.callback(self.kernel.close)
            if self.context is not None:
                stack.callback(self.context.close)
            self.kernel = self.context = None

    def our_errors(self) -> list[str]:
        """The page's uncaught errors that stem from nbannotate's code."""
        logged = [line for line in self.console if line.startswith("error: [anywidget]")]
        return [error for error in self.page_errors if OURS.search(error)] + logged

    def _sessions(self) -> list[dict[str, Any]]:
        sessions = self.server.request("GET", "/api/sessions")
        return [session for session in sessions if session["path"] == self.path]

    def _end_sessions(self) -> None:
        for session in self._sessions():
            self.server.request("DELETE", f"/api/sessions/{session['id']}")

    def _connection_file(self) -> Path:
        (session,) = self._sessions()
        return self.server.runtime / f"kernel-{session['kernel']['id']}.json"

    def _on_page_error(self, error: Error) -> None:
        self.page_errors.append(error.stack or error.message)

    def _on_console(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)

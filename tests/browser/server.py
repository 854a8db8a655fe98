"""A real Jupyter server in a process of its own, and a wire to it that can be cut and slowed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

# Nothing that moves by itself, asks or phones home; every cell is in the page, also off screen.
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "checkForUpdates": False,
        "doNotDisturbMode": True,
        "fetchNews": "false",
    },
    "@jupyterlab/notebook-extension:tracker": {
        "windowingMode": "none",
        "recordTiming": False,
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
CONFIG = {
    "ServerApp": {
        "allow_origin": "*",
        "allow_root": True,
        "disable_check_xsrf": True,
        "ip": "127.0.0.1",
        "open_browser": False,
        "port": 0,
    },
    "IdentityProvider": {"token": ""},
    "LabApp": {"expose_app_in_browser": True, "extension_manager": "readonly"},
    "JupyterNotebookApp": {"expose_app_in_browser": True},
    "FileContentsManager": {"delete_to_trash": False},
}


def wait_until(condition: Callable[[], T], what: str, seconds: float = 30) -> T:
    """The first true value of `condition`; an AssertionError that says `what` when none comes."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"Waited {seconds:g} s in vain: {what}")
        time.sleep(0.02)
    return value


@dataclass
class JupyterServer:
    """A running server: JupyterLab at /lab, Notebook 7 at /notebooks."""

    process: subprocess.Popen[bytes]
    url: str
    port: int
    root: Path
    runtime: Path
    log: Path
    environment: dict[str, str] = field(repr=False)

    @classmethod
    def start(cls, folder: Path) -> JupyterServer:
        """Start a server whose every file lies under `folder`, and wait until it answers."""
        places = {name: folder / name for name in ("root", "config", "data", "runtime", "ipython")}
        for place in (*places.values(), folder / "settings"):
            place.mkdir(parents=True)
        (folder / "settings" / "overrides.json").write_text(json.dumps(SETTINGS))
        config = CONFIG | {
            "LabApp": CONFIG["LabApp"] | {"app_settings_dir": str(folder / "settings")},
            "JupyterNotebookApp": CONFIG["JupyterNotebookApp"]
            | {"app_settings_dir": str(folder / "settings")},
        }
        (places["config"] / "jupyter_server_config.json").write_text(json.dumps(config))
        environment = os.environ | {
            "JUPYTER_CONFIG_DIR": str(places["config"]),
            "JUPYTER_DATA_DIR": str(places["data"]),
            "JUPYTER_RUNTIME_DIR": str(places["runtime"]),
            "IPYTHONDIR": str(places["ipython"]),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        log = folder / "server.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", "--no-browser", str(places["root"])],
                env=environment,
                cwd=places["root"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its kernels end with it, also when it must be killed
            )
        info = places["runtime"] / f"jpserver-{process.pid}.json"
        try:
            wait_until(lambda: info.is_file() or process.poll() is not None, "the server is up", 60)
            port = int(json.loads(info.read_text())["port"])
            server = cls(
                process=process,
                url=f"http://127.0.0.1:{port}",
                port=port,
                root=places["root"],
                runtime=places["runtime"],
                log=log,
                environment=environment,
            )
            wait_until(server.answers, "the server answers", 60)
        except (AssertionError, OSError, ValueError):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"The Jupyter server did not start:\n{log.read_text()}") from None
        return server

    def answers(self) -> bool:
        try:
            self.request("GET", "/api/status")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Call the server's REST API; the answer's JSON, or None when it is empty."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
        return json.loads(text) if text else None

    def stop(self) -> None:
        """End the server and its kernels."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Loop:
    """An asyncio loop in a thread, so that wires work while a test waits for something else."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="wires", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class Wire:
    """A TCP proxy on a port of its own: a page talks through it, and it can be cut and slowed.

    Chromium's own offline mode leaves open websockets open; cutting the wire resets them.
    """

    def __init__(self, loop: Loop, target_port: int) -> None:
        self.loop = loop
        self.target_port = target_port
        self.delay = 0.0  # seconds, one way
        self.is_cut = False
        self.writers: set[asyncio.StreamWriter] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.listener = loop.do(self._listen())
        self.port = int(self.listener.sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def set_latency(self, milliseconds: float) -> None:
        """Make each round trip take at least so much longer; half of it on each way."""
        self.delay = milliseconds / 2000

    def cut(self) -> None:
        """Reset every open connection, websockets too, and each new one until `mend`."""
        self.loop.do(self._cut(True))

    def mend(self) -> None:
        self.loop.do(self._cut(False))

    def close(self) -> None:
        self.loop.do(self._close())

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _cut(self, is_cut: bool) -> None:
        self.is_cut = is_cut
        if is_cut:
            for writer in list(self.writers):
                writer.transport.abort()

    async def _close(self) -> None:
        self.listener.close()
        await self._cut(True)
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        ends = {writer}
        try:
            if not self.is_cut:
                far_reader, far_writer = await asyncio.open_connection(
                    "127.0.0.1", self.target_port
                )
                ends.add(far_writer)
                if self.is_cut:  # meanwhile
                    return
                self.writers |= ends
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._carry(reader, far_writer))
                    group.create_task(self._carry(far_reader, writer))
        except* OSError:
            pass  # one end is gone: so is the other, below
        finally:
            for end in ends:
                end.transport.abort()
            self.writers -= ends
            self.tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on in their order, each when it is due, and the end of them too."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def read() -> None:
            while True:
                chunk = await reader.read(65536)
                due.put_nowait((self.loop.loop.time() + self.delay, chunk))
                if not chunk:
                    return

        async def write() -> None:
            while True:
                at, chunk = await due.get()
                if (rest := at - self.loop.loop.time()) > 0:
                    await asyncio.sleep(rest)
                if not chunk:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(chunk)
                await writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            group.create_task(write())

"""Find a Chromium for the browser tests, or install one. As a script: print its path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
MEND = (
    "No Chromium for the browser tests. Install one (Debian, Ubuntu: `apt-get install chromium`; "
    "anywhere: `.venv/bin/playwright install chromium`), or name one: "
    "`export NBANNOTATE_CHROMIUM=/path/to/chrome`."
)


def find() -> Path | None:
    """The Chromium to use, or None: the one named, one on the path, or Playwright's own."""
    named = os.environ.get("NBANNOTATE_CHROMIUM")
    if named:
        if not Path(named).is_file():
            raise FileNotFoundError(f"NBANNOTATE_CHROMIUM: there is no file {named}")
        return Path(named)
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return _playwrights_own()


def install() -> Path | None:
    """Install a Chromium by the ways that work here, and return it; None when none did."""
    apt = [["apt-get", "update"], ["apt-get", "install", "-y", "chromium"]]
    if shutil.which("sudo") and os.name == "posix" and os.geteuid() != 0:
        apt = [["sudo", "-n", *command] for command in apt]
    ways = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if shutil.which("apt-get"):
        ways.append(apt)
    for way in ways:
        if all(_succeeds(command) for command in way) and (found := find()):
            return found
    return None


def _playwrights_own() -> Path | None:
    # In a process of its own: Playwright's sync API may already run in this one.
    script = (
        "from playwright.sync_api import sync_playwright as s\n"
        "with s() as p: print(p.chromium.executable_path)"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    path = Path(asked.stdout.strip() or "/nowhere")
    return path if asked.returncode == 0 and path.is_file() else None


def _succeeds(command: list[str]) -> bool:
    print("+", *command, file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # A way that fails is not an error yet: its last lines say why, and the next way is tried.
    run = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    if run.returncode != 0:
        print(*run.stdout.splitlines()[-3:], sep="\n", file=sys.stderr)
    return run.returncode == 0


if __name__ == "__main__":
    chromium = find() or install()
    if chromium is None:
        raise SystemExit(MEND)
    print(chromium)

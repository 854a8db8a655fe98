"""`check`: why a widget would not show, and the command that mends it. Imports no widget itself."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

REQUIRED = {
    "ipywidgets": (8, 1),
    "anywidget": (0, 9),
    "ipycanvas": (0, 13),
    "pillow": (10, 0),
    "pandas": (2, 2),
}
_EXTENSIONS = {
    "ipywidgets": "@jupyter-widgets/jupyterlab-manager",
    "anywidget": "anywidget",
    "ipycanvas": "ipycanvas",
}
_BROWSER_PARTS = {"ipywidgets": "jupyterlab_widgets"}
"""Packages whose browser part is in a package of another name."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    what
        The thing.
    found
        What was found.
    mend
        The command or step that mends it; empty if it is well.
    """

    what: str
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Report:
    """What `check` found; shown as a table of texts.

    Parameters
    ----------
    front_end
        Where the notebook runs, as far as the kernel can tell.
    findings
        Everything looked at.
    """

    front_end: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing needs mending."""
        return not self.problems

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that need mending."""
        return tuple(finding for finding in self.findings if finding.mend)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        width = max(len(finding.what) for finding in self.findings)
        lines = [
            f"{'✗' if finding.mend else '✓'} {finding.what:{width}}  {finding.found}"
            + (f"\n  {'':{width}}  → {finding.mend}" if finding.mend else "")
            for finding in self.findings
        ]
        if self.ok:
            end = "All is there. If a widget does not show, restart the kernel and reload the page."
        else:
            end = "Mend these, restart the kernel, and reload the page."
        return "\n".join([*lines, end])


def check() -> Report:
    """Look at what nbannotate's widgets need: packages, their browser parts, the front end.

    Returns
    -------
    A report that prints itself and is true if all is well.
    """
    front_end, mend = _front_end()
    findings = [
        Finding("Python", sys.version.split()[0]),
        Finding("front end", front_end, mend),
        *(_package(name, least) for name, least in REQUIRED.items()),
    ]
    if front_end not in ("VS Code", "Google Colab"):  # these bring browser parts of their own
        findings += [_extension(name) for name in _EXTENSIONS]
    findings.append(_own_format_entry())
    return Report(front_end, tuple(findings))


def _front_end() -> tuple[str, str]:
    if "google.colab" in sys.modules:
        return "Google Colab", ""
    try:
        from IPython import get_ipython
    except ImportError:
        return "plain Python", "run it in a notebook: pip install jupyterlab, then jupyter lab"
    shell = get_ipython()
    if shell is None:
        return "plain Python", "run it in a notebook: jupyter lab"
    if not hasattr(shell, "kernel"):
        return "IPython in a terminal", "run it in a notebook: jupyter lab"
    if any(name.startswith("VSCODE_") for name in os.environ):
        return "VS Code", ""
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return "Voilà", ""
    return "Jupyter", ""


def _package(name: str, least: tuple[int, ...]) -> Finding:
    wanted = ".".join(map(str, least))
    command = f'"{sys.executable}" -m pip install --upgrade "{name}>={wanted}"'
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, "is not installed", command)
    if _numbers(found) < least:
        return Finding(name, f"{found} is older than {wanted}", command)
    return Finding(name, found)


def _numbers(text: str) -> tuple[int, ...]:
    parts = []
    for part in text.split(".")[:3]:
        digits = "".join(c for c in part if c.isdigit())
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)


def _extension(name: str) -> Finding:
    """Whether the browser part lies where a Jupyter server of this environment looks for it."""
    what = f"{name} in the browser"
    folders = [Path(path) / "labextensions" for path in _data_folders()]
    for folder in folders:
        manifest = folder / _EXTENSIONS[name] / "package.json"
        if manifest.is_file():
            return Finding(what, str(manifest.parent))
    package = _BROWSER_PARTS.get(name, name)
    return Finding(
        what,
        "its files are missing where Jupyter looks for them",
        f'"{sys.executable}" -m pip install --force-reinstall --no-deps {package}; if JupyterLab '
        "runs in another environment than the kernel, install it there as well",
    )


def _data_folders() -> list[str]:
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:
        return [str(Path(sys.prefix) / "share" / "jupyter")]
    return list(jupyter_path())


def _own_format_entry() -> Finding:
    if any(
        point.value.startswith("nbannotate.") for point in entry_points(group="nbannotate.formats")
    ):
        return Finding("label formats", "registered")
    return Finding(
        "label formats",
        "are not registered: nbannotate runs from files that were not installed",
        f'"{sys.executable}" -m pip install --upgrade nbannotate',
    )

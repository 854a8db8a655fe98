"""How long until work can begin: the import, and the first picture of a small and a large folder.

Method
------
Imports are timed in fresh processes by turns, each by its own clock from before the import to after
it, so that the interpreter's own start is not in it; the median counts. Folders are opened in a
real JupyterLab by turns too, from the moment that the front end is told to run the cell until the
first picture is to be seen in the page; the one of 10,000 images is opened with a store of its own,
as at a first visit, and so is the small one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks import browser, photos
from benchmarks.contenders import OURS
from benchmarks.report import Table, Verdict, tell

ROUNDS = 9
FOLDERS = {"small": 10, "large": 10_000}
OPENINGS = 7
AHEAD = 4  # images

IMPORTS = {
    "import nbannotate": "import nbannotate",
    "import nbannotate; nbannotate.BoxAnnotator": "import nbannotate; nbannotate.BoxAnnotator",
    "import nbannotate; nbannotate.read": "import nbannotate; nbannotate.read, nbannotate.to_coco",
    "import ipywidgets, pandas": "import ipywidgets, pandas",
}
WIDGETS = ("ipywidgets", "anywidget", "ipycanvas", "IPython", "nbannotate.widgets")
TIMED = """
import sys, time
begun = time.perf_counter()
{code}
took = time.perf_counter() - begun
print(took * 1000, *sorted({{"{widgets}"}} & set(sys.modules)) )
"""
SETUP = """
import pathlib, sys, tempfile
import ipywidgets, pandas
import nbannotate as nba
nba.BoxAnnotator
stand, opened = ipywidgets.VBox([]), []
stand.add_class("bench-stand")
stand
"""
CLEAR = """
stand.children = []
# Not the last one: the page may still have to paint on it, and would then paint nothing any more.
if len(opened) > 1:
    opened.pop(0).close()
"""
OPEN = """
annotator = nba.BoxAnnotator(
    "../{name}", classes=["cat", "dog"], store=tempfile.mkdtemp(dir=".") + "/labels.db"
)
opened.append(annotator)
stand.children = [annotator]
"""


def imports(rounds: int) -> tuple[Table, dict[str, list[str]]]:
    """Time each import, and tell which widget packages it loaded."""
    table = Table("import in a fresh process, ms", ["time"])
    loaded: dict[str, list[str]] = {}
    for turn in range(rounds + 1):
        for name, code in IMPORTS.items():
            script = TIMED.format(code=code, widgets='", "'.join(WIDGETS))
            run = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, check=True
            )
            took, *modules = run.stdout.split()
            loaded[name] = modules
            if turn:  # the first fills the disk's cache
                table.samples(name, "time").add(float(took))
    return table, loaded


def folders(openings: int) -> Table:
    """Open each folder and wait for its first picture."""
    table = Table("folder opened to first picture, ms", ["time"])
    with browser.jupyter() as (server, open_notebook):
        for name, count in FOLDERS.items():
            photos.write_same(server.root / name, count)
        notebook = open_notebook("startup", [SETUP])
        page = notebook.page
        for turn in range(openings + 1):
            for name, count in FOLDERS.items():
                notebook.execute(CLEAR)
                page.wait_for_function("!document.querySelector('.bench-stand .nba-layer')")
                arguments: dict[str, Any] = {
                    "code": OPEN.format(name=name),
                    "look": OURS.look,
                }
                took = page.evaluate(RUN, arguments)
                if turn:
                    table.samples(f"{count:,} images", "time").add(took)
                page.wait_for_function(PAINTED, arg=[OURS.look, AHEAD + 1])
    return table


# The page asks the kernel as a cell does, and looks for the picture in each task and frame.
RUN = """
async ({ code, look }) => {
  const panel = Array.from(window.jupyterapp.shell.widgets("main"))
    .find((one) => one.context?.model?.cells);
  const begun = performance.now();
  panel.sessionContext.session.kernel.requestExecute({ code });
  while (!window.stopwatch.has(look, 1, false)) {
    if (performance.now() - begun > 120000) return null;
    await new Promise((done) => setTimeout(done));
  }
  return performance.now() - begun;
}
"""
# The whole ring is painted; all its pictures bear the number 1.
PAINTED = """
([look, count]) => window.stopwatch.count(look, 1) >= count
"""


def judge(table: Table, loaded: dict[str, list[str]], opened: Table) -> list[Verdict]:
    """The targets for starting up."""
    base = table.median("import ipywidgets, pandas")
    limit = None if base is None else base + 300
    full = "import nbannotate; nbannotate.BoxAnnotator"
    small, large = (opened.median(f"{count:,} images") for count in FOLDERS.values())
    reading = "import nbannotate; nbannotate.read"
    return [
        Verdict(
            f"{name}: median ms against import ipywidgets, pandas + 300", table.median(name), limit
        )
        for name in ("import nbannotate", full)
    ] + [
        Verdict("widget packages loaded for reading and writing", float(len(loaded[reading])), 0.0),
        Verdict(
            "10,000 images to first picture: times as long as 10 images",
            None if small is None or large is None else large / small,
            1.5,
        ),
    ]


def main(*, rounds: int = ROUNDS, openings: int = OPENINGS) -> bool:
    """Measure everything; whether every target was met."""
    begun = time.monotonic()
    table, loaded = imports(rounds)
    opened = folders(openings)
    verdicts = judge(table, loaded, opened)
    took = round(time.monotonic() - begun)
    tell("startup", [table, opened], verdicts, seconds=took, loaded=loaded)
    return all(verdict.passed for verdict in verdicts)

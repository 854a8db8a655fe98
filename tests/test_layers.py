"""Each layer imports only those below it, and none below the widgets needs a front end."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nbannotate"
MIDDLE = {"store", "formats", "images", "quality", "assist"}
FRONT_END = {"ipywidgets", "anywidget", "ipycanvas", "IPython"}

BELOW = {
    "errors": set(),
    "core": {"errors"},
    **{layer: {"errors", "core"} for layer in MIDDLE},
    "project": {"errors", "core", *MIDDLE},
    "widgets": {"errors", "core", *MIDDLE, "project"},
}
FREE = {"__init__", "__main__", "cli", "demo", "environment", "export", "report", "training"}
"""What stands beside the layers: it joins them, or is for people only."""


def layer_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = {
    str(file.relative_to(PACKAGE)): file
    for file in sorted(PACKAGE.rglob("*.py"))
    if layer_of(file) not in FREE
}


def imports(source: str, package: str) -> set[str]:
    """Full names of all that a module imports, wherever it does so."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(start if node.level else []), *filter(None, [node.module])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def imports_of(file: Path) -> set[str]:
    package = ".".join(file.relative_to(ROOT).parent.parts)
    return imports(file.read_text("utf-8"), package)


def layers_imported(names: set[str]) -> set[str]:
    parts = [name.split(".") for name in names]
    return {p[1] if len(p) > 1 else "__init__" for p in parts if p[0] == "nbannotate"}


def test_every_module_belongs_to_a_layer():
    assert {layer_of(file) for file in FILES.values()} <= set(BELOW)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_a_module_imports_only_layers_below_its_own(file):
    layer = layer_of(file)

    assert layers_imported(imports_of(file)) - {layer} <= BELOW[layer]


@pytest.mark.parametrize(
    "file",
    [file for file in FILES.values() if layer_of(file) != "widgets"],
    ids=[name for name, file in FILES.items() if layer_of(file) != "widgets"],
)
def test_a_module_below_the_widgets_imports_no_front_end(file):
    assert {name.split(".")[0] for name in imports_of(file)} & FRONT_END == set()


def test_imports_are_found_in_all_their_forms():
    source = (
        "import a.b as c\n"
        "from nbannotate.store import tables\n"
        "from nbannotate import project\n"
        "def late():\n    from .. import widgets\n    from ..widgets.layer import x\n"
        "    from . import near\n"
    )
    assert imports(source, "nbannotate.core") == {
        "a.b",
        "nbannotate.store.tables",
        "nbannotate.project",
        "nbannotate.widgets",
        "nbannotate.widgets.layer.x",
        "nbannotate.core.near",
    }
    assert layers_imported({"nbannotate", "nbannotate.store.tables", "pandas"}) == {
        "__init__",
        "store",
    }


def test_reading_and_storing_start_no_front_end():
    code = (
        "import sys, nbannotate, nbannotate.store, nbannotate.formats, nbannotate.project\n"
        f"print(*({FRONT_END!r} - {{'IPython'}}).intersection(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr

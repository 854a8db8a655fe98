"""The registry of formats and the errors' words."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from nbannotate.core import registry
from nbannotate.core.registry import Format, WriteReport
from nbannotate.errors import FormatError, NbannotateError


@pytest.fixture
def only(monkeypatch):
    """Make one object the only format installed."""

    def install(thing: object) -> None:
        point = SimpleNamespace(name="mine", value="mine:FORMAT", load=lambda: thing)
        monkeypatch.setattr(registry, "entry_points", lambda **_: [point])
        registry.names.cache_clear()
        registry.find.cache_clear()

    yield install
    monkeypatch.undo()
    registry.names.cache_clear()
    registry.find.cache_clear()


def test_a_format_of_another_package_is_found_and_read(only, tmp_path):
    only(Format("mine", ("box",), lambda path, n=1: (path, n), None, lambda path: True))

    assert registry.names() == ("mine",)
    assert registry.read(tmp_path, n=2) == (tmp_path, 2)
    with pytest.raises(NbannotateError, match="can be read but not written"):
        registry.writer("mine")


def test_a_format_that_only_writes_is_not_asked_for_content(only, tmp_path):
    only(Format("mine", ("box",), None, lambda *_: None, lambda path: True))

    with pytest.raises(FormatError, match="looks like none of mine"):
        registry.read(tmp_path)
    with pytest.raises(NbannotateError, match="can be written but not read"):
        registry.reader("mine")


def test_an_entry_point_that_is_no_format_is_named(only):
    only("text")

    with pytest.raises(NbannotateError, match="'mine:FORMAT' for format 'mine' is no nbannotate"):
        registry.find("mine")


def test_reports_say_what_was_left_out_and_noted():
    report = WriteReport(Path("out"), 2, 5, {"tags": 3}, ("train and val are the same",))

    assert str(report) == (
        f"{Path('out')}: 5 labels on 2 images\n  left out: 3 × tags\n  train and val are the same"
    )


def test_format_errors_name_file_and_place_and_travel():
    error = FormatError(Path("a.json"), "annotations[3]", "why; mend")

    assert str(error) == "a.json, annotations[3]: why; mend"
    assert str(FormatError("a.json", "", "why")) == "a.json: why"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.where) == (str(error), "annotations[3]")
    assert isinstance(error, NbannotateError) and isinstance(error, ValueError)

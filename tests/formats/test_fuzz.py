"""Each reader on damaged files: it reads them or says why it does not, soon, and touches nothing.

In ``make test`` a thousand of them, in ``make soak`` a hundred thousand.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import nbannotate.core.registry as registry
from tests.formats.damage import bounded, changes, damaged, mended, read_or_say_why
from tests.formats.seeds import SEEDS

EACH = -(-1000 // len(SEEDS))
SOAK = -(-100_000 // len(SEEDS))


def state(folder: Path) -> dict[str, Any]:
    """All files of the folder: what they hold, or where they lead."""
    return {
        str(file.relative_to(folder)): str(file.readlink()) if file.is_symlink() else
        file.stat().st_size if file.is_file() else None
        for file in sorted(folder.rglob("*"))
    }  # fmt: skip


@pytest.mark.parametrize("count", [EACH, pytest.param(SOAK, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", sorted(SEEDS))
def test_damaged_files_are_read_or_refused(tmp_path, monkeypatch, name, count):
    seeds = []
    for number, seed in enumerate(SEEDS[name]):
        folder = tmp_path / f"seed {number}"
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path, options = seed(folder)
            registry.reader(name)(path, **options)  # it is good as it is
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        seeds.append((path, options, {file: file.read_bytes() for file in files}))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    read = registry.reader(name)

    @settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    @given(
        which=st.integers(0, len(seeds) - 1),
        place=st.integers(0, 10**6),
        changed=changes,
        mend=st.booleans(),
        other=st.sampled_from(registry.names()),
    )
    def check(which, place, changed, mend, other) -> None:
        path, options, files = seeds[which]
        file = list(files)[place % len(files)]
        content = damaged(files[file], changed)
        file.write_bytes(mended(content, files[file]) if mend else content)
        before = state(tmp_path)
        try:
            with bounded():
                for sniffer in {name, other}:
                    registry.find(sniffer).sniff(path)
                read_or_say_why(lambda where, **more: read(where, **options, **more), path)
            assert state(tmp_path) == before
        finally:
            file.write_bytes(files[file])

    check()
    assert not any((tmp_path / "here").iterdir())


def test_links_that_lead_out_are_not_followed_to_pictures(tmp_path):
    """A label file's image that is a link out of the folder is not opened for its size."""
    (tmp_path / "secret.png").write_bytes(b"no picture")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "secret.png")
    (folder / "train.txt").write_text("a.png\t[]\n")
    read = registry.reader("paddleocr")(folder / "train.txt")
    assert read.images["width"].isna().all() and read.images["path"].tolist() == ["a.png"]

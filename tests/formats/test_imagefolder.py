"""Image folders: read by others, and back with names, ids and keys."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_files

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import imagefolder
from tests.formats.samples import HARD_NAMES, rotated, save_image

NAMES = [*HARD_NAMES, "a/b", "..", "../up", "dots...", "CON", "con", ".hidden", "train", "x" * 300]


def tagged(folder: Path) -> Dataset:
    """Two images of each name."""
    keys = [f"{place}/{i}.jpg" for place in ("d", "e") for i in range(len(NAMES))]
    for key in keys:
        save_image(folder / key)
    schema = Schema(tags={"what": [{"id": 7 * i, "name": n} for i, n in enumerate(NAMES)]})
    labels = pd.DataFrame({"image": keys, "kind": "tag", "label": NAMES * 2})
    return Dataset(labels, pd.DataFrame({"status": "done"}, index=keys), schema)


@pytest.mark.parametrize("split", [None, (0.5, 0.5)])
def test_round_trip_restores_names_ids_and_keys(tmp_path, split):
    dataset = tagged(tmp_path / "src")

    report = dataset.write(
        tmp_path / "out", format="imagefolder", root=tmp_path / "src", split=split
    )

    back = registry.read(tmp_path / "out")
    assert back.schema == dataset.schema
    wanted = dataset.labels.set_index("image")["label"].astype(str)
    got = back.labels.set_index("image")["label"].astype(str)
    pd.testing.assert_series_equal(got.sort_index(), wanted.sort_index())
    assert set(back.images["split"].dropna()) == (set() if split is None else {"train", "val"})
    assert (report.images, report.lost) == (2 * len(NAMES), {})
    inside = {file for file in tmp_path.rglob("*.jpg") if not file.is_relative_to(tmp_path / "src")}
    assert all(file.is_relative_to(tmp_path / "out") for file in inside)
    assert len(inside) == 2 * len(NAMES)


def test_scikit_learn_reads_the_folders(tmp_path):
    tagged(tmp_path / "src").write(tmp_path / "out", format="imagefolder", root=tmp_path / "src")

    found = load_files(tmp_path / "out", load_content=False)

    assert len(found.target_names) == len(NAMES)
    assert len(found.filenames) == 2 * len(NAMES)


def test_every_split_has_the_same_folders(tmp_path):
    # Loaders number classes by the folders they see: one missing in val shifts all the others.
    tagged(tmp_path / "src").write(
        tmp_path / "out", format="imagefolder", root=tmp_path / "src", split=(0.9, 0.1)
    )

    train, val = (
        {item.name for item in (tmp_path / "out" / part).iterdir()} for part in ("train", "val")
    )
    assert train == val and len(train) == len(NAMES)


def test_images_with_several_tags_or_none_are_counted(tmp_path):
    for key in ("one.jpg", "two.jpg"):
        save_image(tmp_path / "src" / key)
    labels = pd.DataFrame(
        {"image": ["one.jpg", "two.jpg", "two.jpg"], "kind": "tag", "label": ["a", "a", "b"]}
    )
    dataset = Dataset(labels, ["one.jpg", "two.jpg", "none.jpg"])

    report = dataset.write(tmp_path / "out", format="imagefolder", root=tmp_path / "src")

    assert report.lost == {"images with several tags": 1, "images without a tag": 1}
    assert [file.name for file in (tmp_path / "out").rglob("*.jpg")] == ["one.jpg"]


def test_the_group_must_be_clear(tmp_path):
    schema = Schema(tags={"weather": ["sun"], "place": ["sea"]})
    dataset = Dataset(pd.DataFrame({"image": []}), ["a.jpg"], schema)

    with pytest.raises(FormatError, match=r"group=…; the scheme has 'weather', 'place'"):
        dataset.write(tmp_path / "out", format="imagefolder")


@pytest.mark.parametrize("top", ["", "train/"])
def test_trees_of_others_are_read(tmp_path, top):
    save_image(tmp_path / f"{top}cat/a.jpg", exif=rotated())
    save_image(tmp_path / f"{top}dog/deep/a.png")
    (tmp_path / f"{top}dog/notes.txt").write_text("no image")

    dataset = registry.read(tmp_path)

    rows = dataset.labels.set_index("image")["label"].astype(str).to_dict()
    assert rows == {f"{top}cat/a.jpg": "cat", f"{top}dog/deep/a.png": "dog"}
    assert dataset.images.loc[f"{top}cat/a.jpg", ["width", "height"]].tolist() == [40, 60]
    assert dataset.images["split"].eq("train").fillna(False).all() == bool(top)


def test_a_broken_image_is_named_or_skipped(tmp_path):
    save_image(tmp_path / "cat/a.jpg")
    (tmp_path / "cat/b.jpg").write_bytes(b"no image")

    with pytest.raises(FormatError, match=r"b\.jpg: cannot be read"):
        imagefolder.read(tmp_path)
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(imagefolder.read(tmp_path, on_error="skip")) == 1

"""Near-duplicates: copies that differ in size, quality or light are found, others are not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageFilter
from skimage import data

import nbannotate as nba
from nbannotate.errors import ImageError


def photo(name):
    return Image.fromarray(getattr(data, name)()).convert("RGB")


PHOTOS = {name: photo(name) for name in ("astronaut", "cat", "coffee", "rocket")}


@pytest.fixture
def folder(tmp_path):
    for name, image in PHOTOS.items():
        image.save(tmp_path / f"{name}.png")
    return tmp_path


def groups(found):
    named = found.dropna()
    return {first: sorted(named.index[named == first]) for first in named.unique()}


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((image.width // 2, image.height // 2)),
        lambda image: image.resize((image.width * 2, image.height * 2)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.2),
        lambda image: ImageEnhance.Contrast(image).enhance(0.7),
        lambda image: image.filter(ImageFilter.GaussianBlur(2)),
        lambda image: image.convert("L"),
    ],
    ids=["half", "double", "brighter", "flatter", "blurred", "gray"],
)
def test_a_changed_copy_is_a_near_duplicate(folder, change):
    change(PHOTOS["cat"]).save(folder / "copy.jpg", quality=60)
    found = nba.near_duplicates(folder)

    assert groups(found) == {"cat.png": ["cat.png", "copy.jpg"]}
    assert found.index.name == "image"


def test_a_turned_copy_is_found_upright(folder):
    exif = Image.Exif()
    exif[274] = 6
    PHOTOS["rocket"].transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif)

    assert groups(nba.near_duplicates(folder)) == {"rocket.png": ["rocket.png", "turned.jpg"]}


def test_other_photos_and_plain_pictures_are_not():
    pictures = dict(PHOTOS)
    pictures |= {f"gray {level}": np.full((40, 60), level, np.uint8) for level in (0, 90, 200)}
    pictures["ramp"] = np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))
    pictures["other ramp"] = np.ascontiguousarray(pictures["ramp"][:, ::-1])

    assert groups(nba.near_duplicates(pictures)) == {}
    pictures["gray 91"] = np.full((80, 20), 91, np.uint8)
    assert groups(nba.near_duplicates(pictures)) == {"gray 90": ["gray 90", "gray 91"]}


def test_chains_are_one_group_and_stay_on_one_side():
    frames = {
        f"{shift:02}": PHOTOS["coffee"].crop((shift * 2, 0, 400 + shift * 2, 300))
        for shift in range(12)
    }
    dataset = nba.Dataset(pd.DataFrame({"image": []}), [*frames, "cat"])
    found = nba.near_duplicates({**frames, "cat": PHOTOS["cat"]})
    split = dataset.split((0.5, 0.5), by=found).images["split"]

    assert groups(found) == {"00": sorted(frames)}
    assert split[list(frames)].nunique() == 1


def test_what_cannot_be_read_is_named_and_has_none(folder):
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"1 images cannot be compared; the first: .*broken\.png"):
        found = nba.near_duplicates(folder)

    assert pd.isna(found["broken.png"])
    assert len(found) == 5


def test_a_dataset_and_an_executor_serve_too(folder):
    paths = {path.name: str(path) for path in folder.iterdir()}
    images = pd.DataFrame({"path": paths})
    PHOTOS["cat"].save(folder / "again.jpg")
    images.loc["again"] = str(folder / "again.jpg")
    dataset = nba.Dataset(pd.DataFrame({"image": []}), images)
    with ThreadPoolExecutor(1) as executor:
        found = nba.near_duplicates(dataset, executor=executor)

    assert groups(found) == {"cat.png": ["again", "cat.png"]}


def test_a_distance_that_no_hash_part_would_find_is_refused():
    with pytest.raises(ImageError, match="distance=8 is not from 0 to 7 bits"):
        nba.near_duplicates(PHOTOS, distance=8)

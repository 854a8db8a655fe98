"""The sample photographs of nbannotate.demo."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from nbannotate import demo
from nbannotate.errors import NbannotateError


def test_photos_are_distinct_jpeg_files_of_useful_size(tmp_path):
    folder = demo.photos(tmp_path / "new" / "photos")

    files = sorted(folder.iterdir())
    assert folder == tmp_path / "new" / "photos"
    assert 20 <= len(files) <= 30
    assert len({file.read_bytes() for file in files}) == len(files)
    for file in files:
        with Image.open(file) as picture:
            assert picture.format == "JPEG"
            assert min(picture.size) >= 140, file.name
            assert np.asarray(picture).std() > 5, f"{file.name} shows nothing"


def test_details_lie_inside_their_photograph():
    for name, source in demo.PHOTOS.items():
        if not isinstance(source, str):
            photograph, left, top, right, bottom = source
            width, height = demo._photograph(photograph).size
            assert 0 <= left < right <= width, name
            assert 0 <= top < bottom <= height, name


def test_tag_photos_returns_the_truth_by_image_key(tmp_path):
    truth = demo.tag_photos(tmp_path)

    assert truth.index.name == "image"
    assert sorted(truth.index) == sorted(file.name for file in tmp_path.iterdir())
    assert truth.value_counts().to_dict() == {"brick": 20, "grass": 20, "gravel": 20}
    # Not sorted by tag: the first images of an annotator's queue are of every tag.
    assert set(truth.iloc[:10]) == {"brick", "grass", "gravel"}


def test_tag_photos_can_be_learnt(tmp_path):
    from sklearn.linear_model import LogisticRegression

    truth = demo.tag_photos(tmp_path)
    spectra = []
    for key in truth.index:
        with Image.open(tmp_path / key) as picture:
            spectra.append(np.log1p(np.abs(np.fft.rfft2(np.asarray(picture, float))))[:20, :20])
    features = np.reshape(spectra, (len(truth), -1))
    model = LogisticRegression(max_iter=1000).fit(features[:30], truth.iloc[:30])

    assert model.score(features[30:], truth.iloc[30:]) > 0.8


def test_a_missing_library_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.data", None)

    with pytest.raises(NbannotateError, match=r'pip install "nbannotate\[demo\]"'):
        demo.photos(tmp_path)


def test_the_module_writes_photos_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["demo", str(tmp_path)])

    demo.main()

    assert (tmp_path / "astronaut.jpg").is_file()
    assert str(tmp_path) in capsys.readouterr().out

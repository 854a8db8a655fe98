"""WebDataset: exact round trips, samples as webdataset reads them, nothing unpacked."""

from __future__ import annotations

import gc
import io
import json
import tarfile

import numpy as np
import pytest
import webdataset as wds
from PIL import Image

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError
from nbannotate.formats import webdataset
from nbannotate.formats.shared.files import opened
from tests.formats.samples import assert_same, everything, rotated, save_image


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """With image files, one of them turned by EXIF and one with dots in its name."""
    made = everything()
    for key in made.images.index:
        save_image(tmp_path / "src" / key, exif=rotated() if key == "b.jpg" else b"")
    labels = made.labels.assign(image=made.labels["image"].replace({"c.jpg": "c.v2.jpg"}))
    images = made.images.rename(index={"c.jpg": "c.v2.jpg"})
    save_image(tmp_path / "src/c.v2.jpg")
    images["path"], images["split"] = images.index, None
    return Dataset(labels, images, made.schema)


def test_round_trip_is_exact(tmp_path, dataset):
    report = dataset.to_webdataset(tmp_path / "out", root=tmp_path / "src", only="all")
    back = nba.read(tmp_path / "out")

    assert back.images["path"].str.startswith("tar://").all()
    back.images["path"] = back.images.index
    assert_same(back, dataset)
    assert report.lost == {} and report.notes[0].startswith("1 images converted")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves its files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_what_we_read(tmp_path, dataset):
    images = dataset.images.assign(split=["train", "train", "val", "train", "train"])
    split = Dataset(dataset.labels, images, dataset.schema)
    split.to_webdataset(tmp_path / "out", root=tmp_path / "src", per_shard=1)
    assert sorted(f.name for f in (tmp_path / "out").glob("*.tar")) == [
        "train-000000.tar", "train-000001.tar", "train-000002.tar", "val-000000.tar",
    ]  # fmt: skip
    urls = [str(file) for file in sorted((tmp_path / "out").glob("*.tar"))]
    samples = list(wds.WebDataset(urls, shardshuffle=False, empty_check=False).decode("pil"))
    gc.collect()

    ours = nba.read(tmp_path / "out")
    assert {s["json"]["image"] for s in samples} == set(ours.images.index)
    assert {s["__key__"] for s in samples} >= {"c_v2", "a__1"}
    for sample in samples:
        key = sample["json"]["image"]
        mine = ours.labels[ours.labels["image"].eq(key) & ours.labels["kind"].eq("box")]
        theirs = [x for x in sample["json"]["labels"] if x["kind"] == "box"]
        assert [x["x"] for x in theirs] == mine["x"].tolist()
        picture = sample.get("jpg") or sample["png"]
        assert picture.size == ((40, 60) if key == "b.jpg" else (60, 40))
        if key == "c.v2.jpg":
            assert sample["cls"] == 0


def test_the_images_are_read_from_inside(tmp_path, dataset):
    dataset.to_webdataset(tmp_path / "out", root=tmp_path / "src")
    path = nba.read(tmp_path / "out").images.loc["empty.jpg", "path"]

    assert path.startswith("tar://empty.jpg::")
    with opened(path) as file:
        assert file.read() == (tmp_path / "src/empty.jpg").read_bytes()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def picture() -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(sink, format="PNG")
    return sink.getvalue()


def test_samples_of_others_give_tags_and_texts_and_links_are_left(tmp_path):
    with tarfile.open(tmp_path / "val_0001.tar", "w") as tar:
        link = tarfile.TarInfo("0.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        add(tar, "x/1.png", picture())
        add(tar, "x/1.cls", b"7")
        add(tar, "x/1.txt", "ein Bär".encode())
        add(tar, "x/2.seg.png", picture())
        add(tar, "x/2.json", json.dumps({"caption": "a"}).encode())
    read = nba.read(tmp_path / "val_0001.tar")

    assert read.images.index.tolist() == ["x/1"]
    assert read.images.loc["x/1", ["width", "height", "split"]].tolist() == [6, 4, "val"]
    assert read.labels["kind"].tolist() == ["tag", "text"]
    assert read.labels["label"].tolist()[0] == "7" and read.labels["text"].tolist()[1] == "ein Bär"


def test_bad_files_are_told(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"x" * 2000)
    with pytest.raises(FormatError, match=r"a\.tar.*no whole tar file"):
        webdataset.read(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        add(tar, "1.png", b"no image")
        add(tar, "2.json", b'{"image": "a", "labels": [{"x": 1}]}')
    with pytest.raises(FormatError, match=r"1\.png: cannot be read as an image"):
        webdataset.read(tmp_path / "b.tar")
    with pytest.warns(UserWarning, match="2 left out"):
        assert webdataset.read(tmp_path / "b.tar", on_error="skip").images.index.tolist() == ["a"]
    with pytest.raises(FormatError, match="is no tar file or folder"):
        webdataset.read(tmp_path / "none")

"""Pictures that are made for an export: resized, cropped, copied by workers, sent far away."""

from __future__ import annotations

import io
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nbannotate as nba
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import mask_pixels, mask_rle
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError, NbannotateError
from nbannotate.export import pictures
from nbannotate.export.fitting import fitted_sizes, scaled
from tests.formats.samples import rotated, save_image


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two photos, one stored on its side, with two boxes; and one without a label."""
    save_image(tmp_path / "src/a.png", (60, 40))
    save_image(tmp_path / "src/turned.jpg", (40, 60), exif=rotated())
    save_image(tmp_path / "src/empty.png", (30, 30))
    labels = pd.DataFrame(
        [
            ("a.png", "cat", 6.0, 4.0, 30.0, 20.0),
            ("a.png", "dog", 50.5, 30.0, 20.0, 5.0),  # reaches outside
            ("turned.jpg", "dog", 0.0, 0.0, 60.0, 40.0),
        ],
        columns=["image", "label", "x", "y", "width", "height"],
    )
    labels["kind"], labels["label_id"] = "box", ["one", "two", "three"]
    images = pd.DataFrame(
        {
            "path": [str(tmp_path / "src" / name) for name in ("a.png", "turned.jpg", "empty.png")],
            "status": "done",
            "split": ["train", "val", "train"],
        },
        index=["a.png", "turned.jpg", "empty.png"],
    )
    return Dataset(labels, images, Schema(classes=["cat", "dog"]))


def test_resized_pictures_are_upright_and_their_labels_follow(tmp_path, dataset):
    report = dataset.write(tmp_path / "out", format="yolo", resize=30)

    with Image.open(tmp_path / "out/images/train/a.png") as image:
        assert image.size == (30, 20)
    with Image.open(tmp_path / "out/images/val/turned.jpg") as image:
        assert (image.size, image.getexif().get(274)) == ((30, 20), None)
    back = nba.read(tmp_path / "out").labels.set_index("image")
    assert back.loc["turned.jpg", ["x", "y", "width", "height"]].tolist() == [0, 0, 30, 20]
    assert "2 images made smaller, their labels scaled along" in report.notes
    assert not list(tmp_path.glob(".*")), "the workshop is left behind"


def test_small_pictures_are_not_enlarged_but_copied(tmp_path, dataset):
    dataset.write(tmp_path / "out", format="yolo", resize=(1000, 1000))

    for split, name in (("train", "a.png"), ("train", "empty.png")):
        written = (tmp_path / "out/images" / split / name).read_bytes()
        assert written == (tmp_path / "src" / name).read_bytes()


def test_each_label_becomes_a_tagged_picture(tmp_path, dataset):
    report = dataset.write(tmp_path / "out", format="imagefolder", copy="crop")

    found = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.[pj][np]g"))
    assert [str(path) for path in found] == [
        "train/cat/a-one.png", "train/dog/a-two.png", "val/dog/turned-three.jpg",
    ]  # fmt: skip
    with Image.open(tmp_path / "src/a.png") as whole:
        wanted = np.asarray(whole)[4:24, 6:36]
    with Image.open(tmp_path / "out/train/cat/a-one.png") as crop:
        assert (np.asarray(crop) == wanted).all()
    with Image.open(tmp_path / "out/train/dog/a-two.png") as crop:
        assert crop.size == (10, 5), "of a label that reaches outside, what is inside"
    with Image.open(tmp_path / "out/val/dog/turned-three.jpg") as crop:
        assert crop.size == (60, 40)
    assert report.lost["images without a label that has a place"] == 1


def test_crops_have_a_margin_and_a_size(tmp_path, dataset):
    part = dataset.select(images=["a.png"], labels=["cat"])
    part.write(tmp_path / "out", format="imagefolder", copy="crop", margin=0.1, resize=18)

    [file] = (tmp_path / "out").rglob("*.png")
    with Image.open(file) as crop:
        assert crop.size == (18, 12)  # of 36 × 24


def test_crops_of_one_picture_stay_on_one_side_of_a_split(tmp_path):
    save_image(tmp_path / "src.png", (64, 64))
    keys = [f"{number}.png" for number in range(20)]
    labels = pd.DataFrame({"image": keys * 4, "label": "cat", "kind": "box", "width": 9.0})
    labels["height"], labels["y"], labels["x"] = 9.0, 2.0, np.repeat([1.0, 11.0, 21.0, 31.0], 20)
    images = pd.DataFrame({"path": str(tmp_path / "src.png")}, index=keys)
    Dataset(labels, images, Schema(classes=["cat"])).write(
        tmp_path / "out", format="imagefolder", copy="crop", split=(0.5, 0.5), progress=False
    )

    sides: dict[str, set[str]] = {}
    for file in (tmp_path / "out").rglob("*.png"):
        split = file.relative_to(tmp_path / "out").parts[0]
        sides.setdefault(file.name.partition("-")[0], set()).add(split)
    assert len(sides) == 20 and all(len(splits) == 1 for splits in sides.values())
    assert set.union(*sides.values()) == {"train", "val"}


def _processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, _processes])
def test_any_executor_makes_the_pictures(tmp_path, dataset, pool):
    told: list[tuple[int, int]] = []
    with pool() as executor:
        dataset.write(
            tmp_path / "out",
            format="yolo",
            resize=20,
            executor=executor,
            progress=lambda made, total: told.append((made, total)),
        )

    assert told == [(3, 3)]
    with Image.open(tmp_path / "out/images/train/empty.png") as image:
        assert image.size == (20, 20)


class Ray:
    """What of the module ray is used: a task, and the future of its result."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2)

    def remote(self, function):
        def start(*args):
            def task():
                try:
                    return function(*args)
                except Exception as error:
                    wrapped = RuntimeError("a task failed")
                    wrapped.cause = error
                    raise wrapped from error

            return SimpleNamespace(future=lambda: self.pool.submit(task))

        return SimpleNamespace(remote=start)

    def get(self, reference): ...


def test_dask_clients_and_ray_make_pictures_too(tmp_path, dataset):
    with ThreadPoolExecutor(1) as threads:
        client = SimpleNamespace(get_executor=lambda: threads)
        dataset.write(tmp_path / "a", format="yolo", resize=30, executor=client)
    dataset.write(tmp_path / "b", format="yolo", resize=30, executor=Ray())
    names = [sorted(p.name for p in (tmp_path / n).rglob("*.png")) for n in "ab"]
    assert names[0] == names[1] and len(names[0]) == 2
    with pytest.raises(NbannotateError, match="no Dask client and not the module ray"):
        dataset.write(tmp_path / "c", format="yolo", resize=30, executor=3)
    (tmp_path / "src/a.png").write_bytes((tmp_path / "src/a.png").read_bytes()[:60])
    with pytest.raises(FormatError, match=r"a\.png"):
        dataset.write(tmp_path / "d", format="yolo", resize=30, executor=Ray())


def test_writing_again_goes_on_where_it_was_cut_off(tmp_path, dataset, monkeypatch):
    monkeypatch.setattr(pictures, "_BATCH", 1)
    whole = (tmp_path / "src/turned.jpg").read_bytes()
    (tmp_path / "src/turned.jpg").write_bytes(whole[: len(whole) // 2])

    def write() -> None:
        with ThreadPoolExecutor(1) as executor:
            dataset.write(tmp_path / "out", format="yolo", resize=20, executor=executor)

    with pytest.raises(FormatError, match=r"turned.jpg: cannot be read as an image"):
        write()
    [workshop] = tmp_path.glob(".*")
    made = {file.name: file.stat().st_mtime_ns for file in workshop.iterdir()}
    assert made and not (tmp_path / "out").exists()

    (tmp_path / "src/turned.jpg").write_bytes(whole)
    real, opened = pictures.opened, list[str]()
    monkeypatch.setattr(pictures, "opened", lambda where: (opened.append(where), real(where))[1])
    write()
    assert len(opened) == 3 - len(made)
    assert (tmp_path / "out/data.yaml").is_file() and not workshop.exists()


def test_a_picture_that_changed_since_it_was_labelled_is_refused(tmp_path, dataset):
    images = dataset.images.assign(width=600, height=400)
    with pytest.raises(FormatError, match=r"has 60 × 40 pixels, but the images table says 600 × 4"):
        Dataset(dataset.labels, images, dataset.schema).write(
            tmp_path / "out", format="yolo", resize=20
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "trl_preference", "resize": 20}, "is not about pictures"),
        ({"format": "csv", "copy": "move"}, "copy='move'; use 'link', 'copy', 'crop' or 'none'"),
        ({"format": "yolo", "resize": 0}, "resize=0; give the longest side in pixels"),
        ({"format": "yolo", "resize": 20, "copy": "none"}, "copy='none' takes no pictures"),
        ({"format": "yolo", "copy": "crop", "margin": -1}, "margin=-1; give a fraction"),
    ],
)
def test_what_cannot_be_asked_for_is_said(tmp_path, dataset, options: dict[str, Any], message):
    with pytest.raises(FormatError, match=message):
        dataset.write(tmp_path / "out", **options)


@pytest.mark.parametrize("copy", ["link", "copy"])
@pytest.mark.parametrize(
    ("name", "file"),
    [("coco", "a.json"), ("coco", "set"), ("via", "a.json"), ("label_studio", "a.json"),
     ("createml", "a.json"), ("cvat", "a.xml"), ("csv", "a.csv"), ("parquet", "a.parquet"),
     ("jsonl", "a.jsonl"), ("lvis", "a.json")],
)  # fmt: skip
def test_pictures_go_beside_a_file_of_labels(tmp_path, dataset, name, file, copy):
    report = dataset.write(tmp_path / "out" / file, format=name, copy=copy)

    where = tmp_path / "out" / ("set/images" if file == "set" else "images")
    assert {p.name for p in where.iterdir()} == {"a.png", "turned.png", "empty.png"}
    with Image.open(where / "turned.png") as image:
        assert image.size == (60, 40)  # upright for readers that turn none
    assert (where / "a.png").stat().st_nlink == (2 if copy == "link" else 1)
    assert f"pictures are in {where}" in report.notes
    assert "1 images converted to upright PNG" in report.notes
    back = nba.read(tmp_path / "out" / file, format=name)
    assert set(back.images.index) == {"a.png", "turned.png", "empty.png"}
    assert all(Path(path).is_file() for path in back.images["path"])
    assert back.labels["image"].value_counts().to_dict() == {"a.png": 2, "turned.png": 1}
    assert not [p for p in (tmp_path / "out").rglob(".*")]
    with pytest.raises(FormatError, match=r"is there; give another folder, or overwrite=True"):
        dataset.write(tmp_path / "out" / file, format=name, copy=copy)
    dataset.write(tmp_path / "out" / file, format=name, copy=copy, overwrite=True)


def test_pictures_beside_a_file_are_fitted_and_those_not_reviewed_stay_out(tmp_path, dataset):
    dataset.images["status"] = ["done", "todo", "todo"]
    report = dataset.to_coco(tmp_path / "out/a.json", resize=30)

    assert {p.name for p in (tmp_path / "out/images").iterdir()} == {"a.png", "turned.jpg"}
    with Image.open(tmp_path / "out/images/a.png") as image:
        assert image.size == (30, 20)
    assert report.lost == {"images not reviewed": 1}
    back = nba.read(tmp_path / "out/a.json")
    assert back.labels["width"].tolist() == [15, 10, 30]


def test_a_failed_writer_leaves_no_pictures_and_keys_become_paths(tmp_path, dataset):
    with pytest.raises(FormatError, match=r"ends in \.json"):
        dataset.to_createml(tmp_path / "out/a.txt", copy="copy")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    labels = dataset.labels.drop("one").assign(image="/photos/x:1.png")
    images = dataset.images.iloc[:1].set_axis(["/photos/x:1.png"])
    report = Dataset(labels, images, dataset.schema).to_coco(tmp_path / "a.json", copy="link")
    assert (tmp_path / "images/photos/x_1.png").is_file()
    assert "1 images have another name in it" in report.notes
    assert nba.read(tmp_path / "a.json").images.index.tolist() == ["photos/x_1.png"]


@pytest.fixture
def memory():
    yield fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_a_data_set_is_written_to_where_fsspec_reaches(dataset, memory):
    report = dataset.write("memory://bucket/set", format="yolo", resize=30)

    names = sorted(memory.find("/bucket/set"))
    assert "/bucket/set/data.yaml" in names and "/bucket/set/images/train/a.png" in names
    with Image.open(io.BytesIO(memory.cat_file("/bucket/set/images/train/a.png"))) as image:
        assert image.size == (30, 20)
    assert [path for path in memory.find("/bucket") if "writing" in path] == []
    assert report.labels == 3
    with pytest.raises(FormatError, match="is there already; give overwrite=True"):
        dataset.write("memory://bucket/set", format="yolo")
    dataset.write("memory://bucket/table/table.csv", format="csv", copy="copy")
    names = [path.removeprefix("/bucket/table/") for path in memory.find("/bucket/table")]
    pictures = ["images/a.png", "images/empty.png", "images/turned.png"]
    assert sorted(names) == [*pictures, "table.csv", "table.schema.json"]


def test_an_upload_that_was_cut_off_shows_nothing_and_goes_on(dataset, memory, monkeypatch):
    sent: list[str] = []
    put = MemoryFileSystem.put_file

    state = {"fail": True}

    def failing_once(self: Any, local: str, target: str, **more: Any) -> None:
        if state["fail"] and target.endswith(".txt"):
            raise OSError("no network")
        sent.append(target)
        put(self, local, target, **more)

    monkeypatch.setattr(MemoryFileSystem, "put_file", failing_once)
    with pytest.raises(FormatError, match="cannot be written there"):
        dataset.write("memory://bucket/set", format="yolo")
    assert not memory.exists("/bucket/set")
    before = {path for path in sent if path.endswith((".png", ".jpg"))}

    state["fail"] = False
    sent.clear()
    dataset.write("memory://bucket/set", format="yolo")
    assert before and not before & set(sent), "pictures went twice"
    assert memory.exists("/bucket/set/data.yaml")


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=1, max_size=5),
    st.tuples(st.integers(1, 6000), st.integers(1, 6000)),
)
def test_fitted_pictures_fit_and_keep_their_proportions(sizes, within):
    before = np.array(sizes)
    after = fitted_sizes(before, within)

    assert (after <= np.maximum(within, 1)).all() and (after <= before).all() and (after > 0).all()
    ratio = np.minimum(1, (np.array(within) / before).min(axis=1))
    assert (np.abs(after - np.maximum(before * ratio[:, None], 1)) <= 0.5).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.floats(-3, 3))
def test_every_shape_is_scaled_as_its_picture_is(width, height, turn):
    pixels = np.zeros((80, 80), dtype=bool)
    pixels[10:50, 20:60] = True
    shapes: dict[str, Any] = {
        "polygon": [[[0.0, 0.0], [80.0, 0.0], [40.0, 80.0]]],
        "polyline": [[8.0, 8.0], [16.0, 24.0]],
        "keypoints": [[8.0, 16.0, 2], [0.0, 0.0, 0]],
        "rotated_box": [40.0, 40.0, 20.0, 10.0, turn],
        "mask": mask_rle(pixels),
    }
    labels = pd.DataFrame({"image": "a", "kind": list(shapes), "label": "cat", "x": 8.0, "y": 16.0})
    labels["width"], labels["height"] = 24.0, 32.0
    labels["geometry"] = pd.Series(list(shapes.values()), dtype=object)
    labels["label_id"] = list(shapes)
    images = pd.DataFrame({"width": 80, "height": 80}, index=["a"])
    before = Dataset(labels, images, Schema(classes=["cat"]))
    after = scaled(before, np.array([[80, 80]]), np.array([[width, height]]))

    x, y = width / 80, height / 80
    np.testing.assert_allclose(
        after.labels[["x", "y", "width", "height"]], [[8 * x, 16 * y, 24 * x, 32 * y]] * 5
    )
    got = after.labels["geometry"]
    np.testing.assert_allclose(got["polygon"][0], np.array(shapes["polygon"][0]) * [x, y])
    np.testing.assert_allclose(got["polyline"], np.array(shapes["polyline"]) * [x, y])
    assert got["keypoints"] == [[8 * x, 16 * y, 2], [0, 0, 0]]
    assert got["mask"]["size"] == [height, width]
    share = mask_pixels(got["mask"]).mean()
    assert abs(share - pixels.mean()) < 0.5 * (1 / width + 1 / height) + 0.05
    box = np.array([got["rotated_box"]])
    assert box[0, :2].tolist() == [40 * x, 40 * y]
    if width == height:
        corners = rotated_corners(np.array([shapes["rotated_box"]])) * [x, y]
        np.testing.assert_allclose(rotated_corners(box), corners, atol=1e-9)

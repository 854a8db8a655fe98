from __future__ import annotations

import builtins
import io
import os
import threading
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nbannotate.errors import ImageError
from nbannotate.images.listing import natural_sort
from nbannotate.images.sources import ImageSource, open_source

GRAY = np.zeros((2, 3), np.uint8)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def keys_of(images: object, **more: object) -> list[str]:
    return list(open_source(images, **more).keys)  # type: ignore[arg-type]


def test_folder_gives_images_below_it_in_natural_order(tmp_path):
    touch(tmp_path, "b/file10.jpg", "b/file2.JPG", "a.png", "notes.txt", "jpg", "b/deep/x.tiff")
    source = open_source(tmp_path)
    assert list(source.keys) == ["a.png", "b/deep/x.tiff", "b/file2.JPG", "b/file10.jpg"]
    assert source.root == str(tmp_path)
    assert source.load("b/file2.JPG") == b"b/file2.JPG"
    assert source.path("a.png") == str(tmp_path / "a.png")
    assert source.describe() == f"folder {tmp_path}, 4 images"


def test_hidden_files_and_folders_are_left_out(tmp_path):
    touch(tmp_path, ".cache/a.jpg", ".b.jpg", "c.jpg", "d/.ipynb_checkpoints/c.jpg")
    assert keys_of(str(tmp_path)) == ["c.jpg"]


def test_linked_folders_are_followed_but_never_in_circles(tmp_path):
    touch(tmp_path, "other/far.jpg", "photos/near.jpg")
    (tmp_path / "photos/link").symlink_to(tmp_path / "other")
    (tmp_path / "photos/circle").symlink_to(tmp_path / "photos")
    (tmp_path / "other/back").symlink_to(tmp_path / "other")
    assert keys_of(tmp_path / "photos") == ["link/far.jpg", "near.jpg"]


def test_folder_keeps_working_after_chdir(tmp_path, monkeypatch):
    touch(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path)
    source = open_source("photos")
    monkeypatch.chdir("/")
    assert source.load("a.jpg") == b"photos/a.jpg"


def test_ten_thousand_files_open_without_opening_one(tmp_path, monkeypatch):
    for i in range(10_000):
        os.close(os.open(tmp_path / f"img{i}.jpg", os.O_CREAT | os.O_WRONLY))

    def refuse(*_args, **_more):
        raise AssertionError("a file was opened")

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", refuse)
        patch.setattr(io, "open", refuse)
        patch.setattr(os, "open", refuse)
        source = open_source(tmp_path)
    assert len(source) == 10_000
    assert source.keys[:3] == ("img0.jpg", "img1.jpg", "img2.jpg")
    assert source.position("img9999.jpg") == 9999


@given(st.lists(st.integers(0, 10**30), unique=True))
def test_natural_order_is_the_order_of_the_numbers(numbers):
    names = [f"file{n}.jpg" for n in numbers]
    assert natural_sort(names) == [f"file{n}.jpg" for n in sorted(numbers)]


@given(st.lists(st.text(), unique=True))
def test_natural_order_takes_any_names_and_depends_on_nothing_else(names):
    assert natural_sort(names) == natural_sort(reversed(names))
    assert sorted(natural_sort(names)) == sorted(names)


def test_natural_order_keeps_a_folder_together():
    assert natural_sort(["a b/1.jpg", "a/2.jpg", "a/1.jpg"]) == ["a/1.jpg", "a/2.jpg", "a b/1.jpg"]


def test_empty_folder_says_where_it_looked(tmp_path):
    with pytest.raises(ImageError, match=r"holds no images .*jpg.*Check the path"):
        open_source(tmp_path)


def test_path_that_does_not_exist_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match=r"no file or folder fotos, looked for at .*/fotos"):
        open_source("fotos")


def test_pattern_has_keys_from_its_fixed_part(tmp_path, monkeypatch):
    touch(tmp_path, "photos/a/2.jpg", "photos/b/1.jpg", "photos/b/1.txt", "photos/0.jpg")
    monkeypatch.chdir(tmp_path)
    source = open_source("photos/**/*.jpg")
    assert list(source.keys) == ["0.jpg", "a/2.jpg", "b/1.jpg"]
    assert source.root == str(tmp_path / "photos")
    assert source.load("a/2.jpg") == b"photos/a/2.jpg"
    assert keys_of(str(tmp_path / "photos/*/*")) == ["a/2.jpg", "b/1.jpg"]


def test_pattern_without_match_says_so(tmp_path):
    with pytest.raises(ImageError, match=r"matches .*Check the pattern"):
        open_source(str(tmp_path / "*.jpg"))


def test_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    touch(tmp_path, "shot[1].jpg")
    assert keys_of(str(tmp_path / "shot[1].jpg")) == ["shot[1].jpg"]


def test_list_has_keys_relative_to_the_common_parent(tmp_path):
    touch(tmp_path, "x/a.jpg", "y/z/a.jpg")
    source = open_source([tmp_path / "y/z/a.jpg", str(tmp_path / "x/a.jpg")])
    assert list(source.keys) == ["y/z/a.jpg", "x/a.jpg"]
    assert source.root == str(tmp_path)
    assert source.load("x/a.jpg") == b"x/a.jpg"


def test_mixed_list_keeps_order_and_kinds(tmp_path):
    touch(tmp_path, "a.jpg")
    picture = Image.new("L", (2, 2))
    source = open_source(["memory://m/b.jpg", GRAY, tmp_path / "a.jpg", picture, b"raw"])
    assert list(source.keys) == [
        "memory://m/b.jpg", "image-0002", "a.jpg", "image-0004", "image-0005"
    ]  # fmt: skip
    assert source.load("image-0004") is picture
    assert source.load("image-0005") == b"raw"
    assert source.path("image-0002") is None
    assert source.path("memory://m/b.jpg") == "memory://m/b.jpg"


def test_width_of_numbers_grows_with_the_count():
    assert keys_of([b"x"] * 10_000)[0] == "image-00001"


def test_image_named_twice_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ImageError, match=r"a\.jpg given more than once"):
        open_source([tmp_path / "a.jpg", tmp_path / "b/../a.jpg", tmp_path / "c.jpg"])


@pytest.mark.parametrize("single", [GRAY, Image.new("L", (2, 2)), b"x"])
def test_single_picture_in_memory(single):
    assert keys_of(single) == ["image-0001"]


def test_dict_gives_its_own_keys(tmp_path):
    touch(tmp_path, "a.jpg")
    source = open_source({"one": tmp_path / "a.jpg", "two": GRAY})
    assert list(source.keys) == ["one", "two"]
    assert source.load("one") == b"a.jpg"
    assert source.load("two") is GRAY


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((2, 2), np.float32), "holds float32, pictures are uint8"),
        (np.zeros((2, 2, 2), np.uint8), r"shape \(2, 2, 2\) is not one picture"),
        (np.zeros((0, 2), np.uint8), "not one picture"),
    ],
)
def test_array_that_is_no_picture_is_refused_with_the_mend(array, why):
    with pytest.raises(ImageError, match=f"image-0002: .*{why}"):
        open_source([GRAY, array])


@pytest.mark.parametrize("images", [[], {}, "", 7, [7], None, pd.DataFrame({"path": []})])
def test_what_cannot_be_opened_says_what_can(images):
    with pytest.raises(ImageError, match="Give "):
        open_source(images)


def test_dataframe_opens_its_path_column_relative_to_the_working_folder(tmp_path, monkeypatch):
    touch(tmp_path, "p/a.jpg", "p/b.jpg")
    monkeypatch.chdir(tmp_path)
    source = open_source(pd.DataFrame({"n": [1, 2], "file_name": ["p/b.jpg", "p/a.jpg"]}))
    assert list(source.keys) == ["b.jpg", "a.jpg"]
    assert source.load("a.jpg") == b"p/a.jpg"


def test_dataframe_of_a_dataset_keeps_its_keys(tmp_path):
    touch(tmp_path, "p/a.jpg")
    index = pd.Index(["sub/a.jpg"], name="image")
    table = pd.DataFrame({"path": [str(tmp_path / "p/a.jpg")]}, index=index)
    assert keys_of(table) == ["sub/a.jpg"]


def test_dataframe_without_path_column_lists_its_columns():
    with pytest.raises(ImageError, match=r"it has n, label. Rename"):
        open_source(pd.DataFrame({"n": [1], "label": ["x"]}))


def test_dataframe_with_missing_path_names_the_row():
    with pytest.raises(ImageError, match=r"empty in row 1.*dropna"):
        open_source(pd.DataFrame({"path": ["a.jpg", None]}))


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name in ["b/2.jpg", "b/10.jpg", "../up.jpg", "/abs.jpg", "__MACOSX/b/2.jpg", "x.txt"]:
            target.writestr(name, name)
    return path


def test_zip_is_read_by_member_and_never_unpacked(archive):
    source = open_source(archive)
    assert sorted(source.keys) == ["../up.jpg", "/abs.jpg", "b/10.jpg", "b/2.jpg"]
    assert source.position("b/2.jpg") < source.position("b/10.jpg")
    assert source.load("../up.jpg") == b"../up.jpg"
    assert [p.name for p in archive.parent.iterdir()] == ["photos.zip"]
    assert not (archive.parent.parent / "up.jpg").exists()


def test_path_of_a_zip_member_opens_with_fsspec(archive):
    with fsspec.open(open_source(archive).path("b/2.jpg")) as file:
        assert file.read() == b"b/2.jpg"


def test_zip_can_be_read_from_several_threads(archive):
    source = open_source(archive)
    wrong: list[str] = []

    def read() -> None:
        wrong.extend(k for _ in range(50) for k in source.keys if source.load(k) != k.encode())

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_zip_that_is_cut_off_says_so(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ImageError, match="not a complete zip archive"):
        open_source(tmp_path / "a.zip")


@pytest.fixture
def remote(archive):
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pipe({"/x/2.jpg": b"two", "/x/a/10.png": b"ten", "/x/.h.jpg": b"", "/x/n.txt": b""})
    files.pipe("/z.zip", archive.read_bytes())
    yield "memory://"
    files.store.clear()


def test_remote_folder_file_pattern_and_zip(remote):
    folder = open_source(remote + "x/")
    assert list(folder.keys) == ["2.jpg", "a/10.png"]
    assert folder.load("a/10.png") == b"ten"
    assert folder.path("2.jpg") == "memory://x/2.jpg"
    assert open_source(remote + "x/2.jpg").load("memory://x/2.jpg") == b"two"
    assert keys_of(remote + "x/*/*.png") == ["a/10.png"]
    assert open_source(remote + "z.zip").load("b/2.jpg") == b"b/2.jpg"


def test_remote_errors_name_the_address_and_the_mend(remote):
    with pytest.raises(ImageError, match="memory://none holds no images"):
        open_source(remote + "none")
    with pytest.raises(ImageError, match=r"memory://x/gone.jpg cannot be read.*Check the address"):
        open_source(remote + "x/gone.jpg").load("memory://x/gone.jpg")
    with pytest.raises(ImageError, match=r"cannot be read: .*nosuch"):
        open_source("nosuch://bucket/folder")


def test_web_address_of_a_picture_is_opened_without_asking():
    assert keys_of("https://example.org/a.jpg?w=5") == ["https://example.org/a.jpg?w=5"]


def test_missing_file_is_named_with_the_mend(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    source = open_source(tmp_path)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(ImageError, match=r"a\.jpg: there is no file .*Put it back"):
        source.load("a.jpg")


def test_folder_in_a_list_is_named(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        open_source([tmp_path]).load(tmp_path.name)


def test_unknown_key_suggests_the_nearest(tmp_path):
    touch(tmp_path, "cat-01.jpg")
    with pytest.raises(ImageError, match=r"Did you mean 'cat-01\.jpg'"):
        open_source(tmp_path).load("cat-1.jpg")


def test_keys_lead_nowhere_else(tmp_path):
    touch(tmp_path, "secret.txt", "p/a.jpg")
    with pytest.raises(ImageError, match="not an image of"):
        open_source(tmp_path / "p").load("../secret.txt")


def ten() -> ImageSource:
    return open_source({f"k{i}": GRAY for i in range(10)})


@given(st.lists(st.integers(-10, 9), min_size=1, unique_by=lambda i: i % 10))
def test_subset_by_positions_keeps_the_keys_and_the_order_given(positions):
    assert list(ten().subset(positions).keys) == [f"k{i % 10}" for i in positions]


@given(st.lists(st.booleans(), min_size=10, max_size=10).filter(any))
def test_subset_by_mask_is_the_same_for_lists_arrays_and_series(mask):
    expected = tuple(f"k{i}" for i, wanted in enumerate(mask) if wanted)
    for form in (mask, np.array(mask), pd.Series(mask)):
        assert ten().subset(form).keys == expected


@given(st.slices(10))
def test_subset_by_slice_is_that_of_a_list(which):
    expected = [f"k{i}" for i in range(10)][which]
    if expected:
        assert list(ten().subset(which).keys) == expected
    else:
        with pytest.raises(ImageError, match="selects none"):
            ten().subset(which)


def test_subset_by_key_and_at_opening():
    assert ten().subset(["k3", -1]).keys == ("k3", "k9")
    assert ten().subset("k3").position("k3") == 0
    assert keys_of([b"a", b"b"], indexes=[1]) == ["image-0002"]
    assert not ten().subset([1]).has("k2")


@pytest.mark.parametrize(
    ("indexes", "why"),
    [([10], "no image 10"), ([True], "1 booleans for 10"), (["x"], "not an image"), ([], "none of"),
     ([1, 1], "k1 given more than once"), ([1.5], "neither a position nor a key")],
)  # fmt: skip
def test_subset_that_makes_no_sense_says_why(indexes, why):
    with pytest.raises(ImageError, match=why):
        ten().subset(indexes)

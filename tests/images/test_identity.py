"""What tells the content of an image: stable, the same however it is given, and cheap."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile

import fsspec
import numpy as np
import pytest
from PIL import Image

from nbannotate.errors import ImageError
from nbannotate.images import ImageSource, Pictures, identify, open_source

RNG = np.random.default_rng(5)


def png(seed=0):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_a_file_has_the_hash_that_others_find():
    data = png()

    assert identify(data, "a") == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 4)])
def test_an_array_and_the_pil_image_of_its_pixels_are_the_same(shape):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    found = identify(array, "a")

    assert found.bytes == array.size
    assert found.hash.startswith("sha256-pixels:")
    assert identify(Image.fromarray(array), "a") == found
    assert identify(np.asfortranarray(array), "a") == found
    assert identify(np.repeat(array, 2, axis=0)[::2], "a") == found
    assert identify(array.copy(), "a") == found
    array[-1, -1] += 1
    assert identify(array, "a") != found


def test_the_same_bytes_in_another_shape_are_another_image():
    pixels = np.zeros(24, np.uint8)
    shapes = [(4, 6), (6, 4), (2, 4, 3), (4, 2, 3), (2, 3, 4)]

    assert len({identify(pixels.reshape(shape), "a").hash for shape in shapes}) == len(shapes)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"])
def test_a_pil_image_of_any_mode_has_an_identity(mode):
    image = Image.fromarray(RNG.integers(0, 256, (4, 6), dtype=np.uint8)).convert(mode)
    found = identify(image, "a")

    assert identify(image.copy(), "a") == found
    assert identify(image.transpose(Image.Transpose.ROTATE_180), "a").hash != found.hash
    source = open_source([image])
    assert source.n_bytes(source.keys[0]) == found.bytes


def test_colours_of_a_palette_count():
    image = Image.fromarray(RNG.integers(0, 3, (4, 6), dtype=np.uint8), "L").convert("P")
    other = image.copy()
    other.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())

    assert identify(image, "a") != identify(other, "a")


def test_a_pil_image_that_is_read_late_is_read_by_one_thread_at_a_time(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    image = Image.open(tmp_path / "a.png")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(identify(image, "a"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(found) == {identify(np.asarray(Image.open(tmp_path / "a.png")), "a")}


def test_a_pil_image_whose_file_is_broken_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(png()[:200])
    with Image.open(tmp_path / "a.png") as image, pytest.raises(ImageError, match=r"a\.png"):
        identify(image, "a.png")


# How many bytes, without reading


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(len(name)))
    return tmp_path


def test_the_number_of_bytes_is_known_without_reading(folder, tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.png", "sub/b.png"):
            archive.write(folder / name, name)
            memory.pipe(f"/identity/{name}", (folder / name).read_bytes())
    sources = [
        open_source(given)
        for given in (
            folder,
            f"{folder}/**/*.png",
            [folder / "a.png", str(folder / "sub/b.png")],
            tmp_path / "all.zip",
            "memory://identity",
            "memory://identity/**/*.png",
            [png(), np.zeros((3, 5, 3), np.uint8)],
        )
    ]
    wanted = [[identify(s.load(k), k).bytes for k in s.keys] for s in sources]

    monkeypatch.setattr("pathlib.Path.read_bytes", None)
    monkeypatch.setattr("zipfile.ZipFile.read", None)
    assert [[s.n_bytes(k) for k in s.keys] for s in sources] == wanted
    memory.rm("/identity", recursive=True)


def test_the_number_of_bytes_of_what_is_not_there_is_not_known(folder):
    source = open_source(folder)
    (folder / "a.png").unlink()

    assert source.n_bytes("a.png") is None
    assert open_source(["https://example.org/a.png"]).n_bytes("https://example.org/a.png") is None


# All images, and as they are now


def test_a_source_is_listed_anew_whole(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    source = open_source(folder.name).subset(["a.png"])
    monkeypatch.chdir("/")
    (folder / "a.png").rename(folder / "c.png")

    assert source.keys == ("a.png",)
    assert source.whole.keys == ("a.png", "sub/b.png")
    assert source.anew().keys == ("c.png", "sub/b.png")
    assert source.anew().load("c.png") == png(5)


def test_a_list_is_the_same_anew():
    source = open_source([png(), png(1)]).subset(0)

    assert source.anew() is source.whole
    assert len(source.anew()) == 2


# By the way, as pictures are shown


class Reader:
    def load(self, key):
        if key == "gone":
            raise ImageError("gone: there is no such file")
        return b"broken" if key == "broken" else png(int(key))

    def path(self, key):
        return None

    def n_bytes(self, key):
        return None


def test_the_content_of_pictures_is_known_once_they_are_there():
    found, ready, go_on = {}, threading.Event(), threading.Event()

    def take(key, identity):
        assert go_on.wait(20)
        found[key] = identity
        if len(found) == 3:
            ready.set()

    source = ImageSource(["1", "2", "broken", "gone"], Reader(), "", "test")
    with Pictures(source, on_read=take) as pictures:
        assert pictures.get("1").data == png(1)  # which has not waited for it
        for key in ("broken", "gone"):
            with pytest.raises(ImageError):
                pictures.get(key)
        pictures.get("2")
        assert found == {}
        go_on.set()
        assert ready.wait(20)

    assert found == {
        "1": identify(png(1), "1"),
        "2": identify(png(2), "2"),
        "broken": identify(b"broken", "broken"),  # which may be why it is
    }


def test_an_error_of_who_takes_it_goes_to_the_log(caplog):
    def take(key, identity):
        try:
            raise ValueError("not taken")
        finally:
            taken.set()

    taken = threading.Event()
    with Pictures(ImageSource(["1", "2"], Reader(), "", "test"), on_read=take) as pictures:
        pictures.get("1")
        assert taken.wait(20)
        taken.clear()
        pictures.get("2")
        assert taken.wait(20)

    assert "the content of 1 was not taken in" in caplog.text

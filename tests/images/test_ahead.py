from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from nbannotate.errors import ImageError
from nbannotate.images.ahead import Pictures
from nbannotate.images.sources import ImageSource, open_source


def jpeg(seed: int = 0) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


class Recorder:
    """Reads images from memory, notes which, and waits where it is told to."""

    def __init__(self, items: dict[str, bytes]) -> None:
        self.items = items
        self.loads: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def load(self, key: str) -> bytes:
        self.loads.append(key)
        assert self.gate.wait(20)
        return self.items[key]

    def path(self, key: str) -> None:
        return None


@pytest.fixture
def reader() -> Recorder:
    return Recorder({f"k{i}": jpeg(i) for i in range(8)} | {"bad": b"no image"})


@pytest.fixture
def source(reader: Recorder) -> ImageSource:
    return ImageSource(reader.items, reader, "", "test images")


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.002)


def test_get_renders_once_and_remembers(source, reader):
    with Pictures(source) as pictures:
        assert not pictures.ready("k0")
        first = pictures.get("k0")
        assert pictures.ready("k0")
        assert pictures.get("k0") is first
    assert reader.loads == ["k0"]


def test_wanted_pictures_become_ready_in_order(source, reader):
    with Pictures(source, workers=1) as pictures:
        pictures.want(["k3", "k1", "k2"])
        until(lambda: all(map(pictures.ready, ["k1", "k2", "k3"])))
        assert reader.loads == ["k3", "k1", "k2"]


def test_wanting_others_drops_those_not_begun(source, reader):
    reader.gate.clear()
    with Pictures(source, workers=1) as pictures:
        pictures.want(["k0", "k1", "k2"])
        until(lambda: reader.loads == ["k0"])
        pictures.want(["k5"])
        reader.gate.set()
        until(lambda: pictures.ready("k5"))
        assert reader.loads == ["k0", "k5"]
        assert pictures.ready("k0")


def test_get_waits_for_the_rendering_under_way_instead_of_a_second_one(source, reader):
    reader.gate.clear()
    with Pictures(source) as pictures:
        pictures.want(["k0"])
        until(lambda: reader.loads == ["k0"])
        got = []
        threads = [
            threading.Thread(target=lambda: got.append(pictures.get("k0"))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        reader.gate.set()
        for thread in threads:
            thread.join()
        assert len({id(picture) for picture in got}) == 1
    assert reader.loads == ["k0"]


def test_get_does_not_queue_behind_busy_workers(source, reader):
    reader.gate.clear()
    with Pictures(source, workers=1) as pictures:
        pictures.want(["k0", "k1"])
        until(lambda: reader.loads == ["k0"])
        thread = threading.Thread(target=pictures.get, args=("k7",))
        thread.start()
        until(lambda: reader.loads == ["k0", "k7"])
        reader.gate.set()
        thread.join()


def test_what_is_looked_at_is_read_at_once_where_that_is_quick(source, reader):
    with Pictures(source, workers=1) as pictures:
        assert pictures.bring("k0", 20)  # by a worker: nothing is known yet
        pictures._last_took = 0.0
        pictures._pool.shutdown()
        assert pictures.bring("k1", 0)
        assert not pictures.bring("bad", 0)
        assert "bad" in str(pictures.failure("bad"))


def test_what_takes_long_is_left_to_a_worker(source, reader):
    with Pictures(source, workers=1) as pictures:
        pictures.get("k0")
        pictures._last_took = 60.0
        reader.gate.clear()
        assert not pictures.bring("k1", 0.01)
        reader.gate.set()
        until(lambda: pictures.ready("k1"))


def test_room_is_kept_to_and_the_longest_unused_leaves_first(source, reader):
    with Pictures(source, ahead_bytes=int(3.5 * len(reader.items["k0"]))) as pictures:
        for key in ("k0", "k1", "k2", "k0", "k3"):
            pictures.get(key)
        assert [k for k in source.keys if pictures.ready(k)] == ["k0", "k2", "k3"]


def test_wanted_pictures_never_push_out_the_nearer_ones(source, reader):
    with Pictures(source, workers=1, ahead_bytes=int(2.5 * len(reader.items["k0"]))) as pictures:
        pictures.get("k7")
        pictures.want([f"k{i}" for i in range(7)])
        until(lambda: pictures.ready("k1"))
        until(lambda: "k2" in reader.loads)  # found to be one too many
        until(lambda: pictures._idle == 1)
        assert pictures.ready("k0")
        assert not pictures.ready("k7")
    assert "k4" not in reader.loads


def test_picture_larger_than_the_room_is_shown_all_the_same(source):
    with Pictures(source, ahead_bytes=1) as pictures:
        assert pictures.get("k0").width == 40
        assert pictures.get("k1").width == 40


def test_error_is_remembered_until_a_retry(source, reader):
    with Pictures(source) as pictures:
        for _ in range(2):
            with pytest.raises(ImageError, match=r"^bad: not an image"):
                pictures.get("bad")
        assert reader.loads == ["bad"]
        reader.items["bad"] = jpeg()
        assert pictures.get("bad", retry=True).width == 40
        assert pictures.failure("bad") is None


def test_error_in_the_background_stops_nothing_and_is_told_later(source):
    with Pictures(source, workers=1) as pictures:
        pictures.want(["bad", "k1"])
        until(lambda: pictures.ready("k1"))
        assert "not an image" in str(pictures.failure("bad"))
        with pytest.raises(ImageError, match="bad"):
            pictures.get("bad")


def test_error_of_any_kind_reaches_who_waits(source, reader, monkeypatch):
    monkeypatch.setattr(reader, "load", lambda _: 1 // 0)
    with (
        Pictures(source) as pictures,
        pytest.raises(ImageError, match="k0: cannot be shown: ZeroDivisionError"),
    ):
        pictures.get("k0")


def test_unknown_key_is_an_image_error(source):
    with Pictures(source) as pictures, pytest.raises(ImageError, match="not an image of"):
        pictures.get("nowhere")


def test_options_reach_the_rendering_and_regions_are_crisp(source):
    with Pictures(source, base_pixels=100) as pictures:
        assert pictures.get("k0").scale == 0.25
        assert Image.open(io.BytesIO(pictures.crop("k0", (0, 0, 20, 20), (20, 20)))).size == (
            20,
            20,
        )


def test_closed_pictures_say_so(source):
    pictures = Pictures(source)
    pictures.close()
    pictures.want(["k0"])
    with pytest.raises(ImageError, match="closed"):
        pictures.get("k0")
    pictures.close()


def test_many_threads_at_once_agree(source):
    failures: list[BaseException] = []
    with Pictures(source, ahead_bytes=8_000) as pictures:

        def work(seed: int) -> None:
            order = np.random.default_rng(seed)
            try:
                for i in order.integers(0, 8, 60):
                    pictures.want([f"k{(i + j) % 8}" for j in range(4)])
                    assert pictures.get(f"k{i}").key == f"k{i}"
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failures == []


def test_interpreter_exits_without_rendering_all_that_is_wanted(tmp_path):
    for i in range(300):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg())
    code = (
        "import sys, time, nbannotate.images.ahead as a\n"
        "from nbannotate.images.sources import open_source\n"
        "source = open_source(sys.argv[1])\n"
        "load = source.load\n"
        "source.load = lambda key: (time.sleep(.2), load(key))[1]\n"
        "pictures = a.Pictures(source)\n"
        "pictures.want(source.keys)\n"
        "print(time.time())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert time.time() - float(done.stdout) < 10


def test_real_folder_from_key_to_picture(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    with Pictures(open_source(tmp_path)) as pictures:
        assert pictures.get("a.jpg").data == jpeg()

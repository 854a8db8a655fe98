"""TFRecord: bytes to the letter, another reader's reading, and records of others."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import tfrecord
from nbannotate.formats.tfrecord.codec import decode, encode, framed, records
from tests.formats.samples import assert_alike, everything, save_image, shape_datasets

BOX = ["x", "y", "width", "height"]


def pets() -> Dataset:
    rows = [("a.jpg", "cat", 1.5, 2, 10, 20), ("a.jpg", "it's a dog", 0, 0, 60, 40)]
    labels = pd.DataFrame(rows, columns=["image", "label", *BOX])
    labels["attributes"] = [{"difficult": True}, {}]
    images = pd.DataFrame({"width": 60, "height": 40, "status": "done"}, index=["a.jpg", "no.jpg"])
    return Dataset(labels, images, Schema(["cat", "it's a dog"], attributes={"difficult": bool}))


def arrays(features: dict[str, list]) -> dict:
    return {
        name: list(value) if len(value) and isinstance(value[0], bytes) else np.array(value)
        for name, value in features.items()
    }


def foreign(folder: Path, name: str = "val.record-00000-of-00001", **changed: object) -> Path:
    """Somebody's record, without size and names of classes."""
    save_image(folder / "x.png", (200, 100))
    features = {
        "image/encoded": [(folder / "x.png").read_bytes()], "image/format": [b"png"],
        "image/filename": [b"x.png"],
        "image/object/bbox/xmin": [0.25], "image/object/bbox/xmax": [0.5],
        "image/object/bbox/ymin": [0.5], "image/object/bbox/ymax": [1.0],
        "image/object/class/label": [2], "image/object/is_crowd": [1],
    } | changed  # fmt: skip
    (folder / "x.pbtxt").write_text(
        'item {\n  id: 1\n  name: "a"\n}\nitem { name: "b\\"}", id: 2 display_name: "B" }\n'
    )
    path = folder / name
    path.write_bytes(framed(encode(arrays(features))))
    return path


def test_bytes_are_those_of_the_definition():
    # The checksum of nine digits is in RFC 3720, B.4's CRC-32C: 0xE3069283; here it is masked.
    crc = 0xE3069283
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    found = framed(b"123456789")
    assert found[:8] == struct.pack("<Q", 9) and found[-4:] == struct.pack("<I", masked)
    # features { feature { key: "i" value { int64_list { value: [1, -1] } } } }, by hand
    assert encode({"i": np.array([1, -1])}) == bytes.fromhex(
        "0a16 0a14 0a0169 120f 1a0d 0a0b 01 ffffffffffffffffff01"
    )
    assert encode({"f": np.array([1.0])}) == bytes.fromhex(
        "0a0f 0a0d 0a0166 1208 1206 0a04 0000803f"
    )
    assert encode({"b": [b"xy"]}) == bytes.fromhex("0a0d 0a0b 0a0162 1206 0a04 0a027879")


def test_values_come_back_packed_or_not():
    values = {"b": [b"", b"\xff"], "f": [0.5, -1.0], "i": [0, -(2**63), 2**63 - 1], "n": []}
    found = decode(encode(arrays(values)))
    assert {name: list(value) for name, value in found.items()} == values
    one_by_one = bytes.fromhex("0a13 0a11 0a0166 120c 120a 0d0000803f 0d00000040")
    assert list(decode(one_by_one)["f"]) == [1.0, 2.0]


def test_another_reader_sees_the_same(tmp_path):
    pytest.importorskip("tfrecord")
    from tfrecord.reader import tfrecord_loader

    save_image(tmp_path / "src/a.jpg")
    save_image(tmp_path / "src/no.jpg")
    dataset = Dataset(pets().labels, pets().images.assign(width=None, height=None), pets().schema)
    dataset.to_tfrecord(tmp_path / "t", root=tmp_path / "src")
    assert registry.read(tmp_path / "t").images["width"].tolist() == [60, 60]
    first, second = tfrecord_loader(str(tmp_path / "t/data.tfrecord"), None)

    assert bytes(first["image/encoded"]) == (tmp_path / "src/a.jpg").read_bytes()
    assert bytes(first["image/format"]) == b"jpeg" and bytes(first["image/filename"]) == b"a.jpg"
    assert [first[f"image/{side}"].item() for side in ("width", "height")] == [60, 40]
    for side, wanted in (("xmin", [1.5 / 60, 0]), ("xmax", [11.5 / 60, 1]),
                         ("ymin", [2 / 40, 0]), ("ymax", [22 / 40, 1])):  # fmt: skip
        np.testing.assert_array_equal(
            first[f"image/object/bbox/{side}"], np.array(wanted, dtype=np.float32)
        )
    assert first["image/object/class/label"].tolist() == [1, 2]
    assert first["image/object/difficult"].tolist() == [1, 0]
    assert [bytes(one) for one in first["image/object/class/text"]] == [b"cat", b"it's a dog"]
    assert bytes(second["image/filename"]) == b"no.jpg"
    assert (tmp_path / "t/label_map.pbtxt").read_text() == (
        "item {\n  id: 1\n  name: 'cat'\n}\nitem {\n  id: 2\n  name: 'it\\'s a dog'\n}\n"
    )


def test_nothing_is_lost(tmp_path):
    dataset = everything()
    dataset.images["split"] = pd.Series(pd.NA, dataset.images.index, dtype="string")
    report = dataset.to_tfrecord(tmp_path / "t", copy="none", only="all")

    back = registry.read(tmp_path / "t")
    assert report.lost == {}
    assert back.schema == dataset.schema
    pd.testing.assert_frame_equal(
        back.labels.loc[dataset.labels.index], dataset.labels, check_exact=True
    )
    pd.testing.assert_frame_equal(back.images.loc[dataset.images.index], dataset.images)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dataset=shape_datasets())
def test_any_shapes_come_back(tmp_path, dataset):
    dataset.to_tfrecord(tmp_path / "t", copy="none", overwrite=True)

    assert_alike(registry.read(tmp_path / "t", format="tfrecord"), dataset)


def test_shards_and_splits(tmp_path):
    keys = [f"{n}.jpg" for n in range(5)]
    images = pd.DataFrame(
        {"width": 9, "height": 9, "status": "done", "split": ["train"] * 4 + ["val"]}, index=keys
    )
    Dataset(pd.DataFrame({"image": []}), images).to_tfrecord(
        tmp_path / "t", copy="none", per_shard=3
    )

    names = {item.name for item in (tmp_path / "t").iterdir()}
    assert names == {
        "train.tfrecord-00000-of-00002", "train.tfrecord-00001-of-00002", "val.tfrecord",
        "label_map.pbtxt", "nbannotate.json",
    }  # fmt: skip
    assert registry.read(tmp_path / "t").images["split"].tolist() == images["split"].tolist()


def test_records_of_others_are_read(tmp_path):
    path = foreign(tmp_path)
    for where in (tmp_path, path):
        back = registry.read(where)
        assert back.labels["label"].tolist() == ['b"}']
        assert back.labels[BOX].to_numpy().tolist() == [[50, 50, 50, 50]]
        assert back.labels["attributes"].tolist() == [{"is_crowd": True}]
        assert back.images.loc["x.png", ["width", "height", "split"]].tolist() == [200, 100, "val"]
    back = tfrecord.read(path, images=tmp_path)
    assert Path(back.images["path"].iloc[0]).is_file()


def test_boxes_that_another_tool_changed_win_over_ours(tmp_path):
    pets().to_tfrecord(tmp_path / "t", copy="none")
    file = tmp_path / "t/data.tfrecord"
    first, second = (decode(data) for data in records(file))
    for name in first:
        if name.startswith("image/object/"):
            first[name] = first[name][:1]
    file.write_bytes(framed(encode(arrays(first))) + framed(encode(arrays(second))))

    back = registry.read(tmp_path / "t")
    assert back.labels["label"].tolist() == ["cat"]
    np.testing.assert_allclose(back.labels[BOX], [[1.5, 2, 10, 20]], atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"image/object/bbox/xmin": [0.1, 0.2]}, "not equally long"),
        ({"image/object/bbox/xmin": [0.9]}, "max is less than its min"),
        ({"image/object/bbox/xmin": [float("nan")]}, "not finite"),
        ({"image/object/class/label": [1, 2]}, "has 1 boxes, but classes of 2"),
        ({"image/encoded": [b"x"]}, "its image cannot be read"),
        ({"image/width": [0], "image/height": [5]}, "no size of an image"),
    ],
)
def test_a_bad_record_is_named_or_skipped(tmp_path, changed, why):
    foreign(tmp_path, **changed)

    with pytest.raises(FormatError, match=why) as caught:
        tfrecord.read(tmp_path)
    assert caught.value.where == "record 0"
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(tfrecord.read(tmp_path, on_error="skip")) == 0


def test_damage_is_found_before_memory_is_taken(tmp_path):
    path = foreign(tmp_path)
    content = path.read_bytes()
    whole = struct.pack("<Q", 2**62)
    for data, why in (
        (whole + content[8:], "the checksum of its length is wrong"),
        (framed(b"")[:0] + _length(2**62) + content[12:], "has over 512 MB"),
        (_length(len(content)) + content[12:], "ends within a record"),
        (content[:-9], "ends within a record"),
        (content[:100] + b"\x00\x01" + content[102:], "its checksum is wrong"),
    ):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=why):
            tfrecord.read(path)
    path.write_bytes(content + content[:-9])
    with pytest.warns(UserWarning, match="record 1: the file ends"):
        assert len(tfrecord.read(path, on_error="skip")) == 1


def _length(value: int) -> bytes:
    """A length with its true checksum."""
    data = struct.pack("<Q", value)
    return data + framed(data)[-4:]


def test_without_the_package_the_mend_is_told(tmp_path, monkeypatch):
    path = foreign(tmp_path)
    monkeypatch.setitem(sys.modules, "crc32c", None)
    with pytest.raises(FormatError, match=r"pip install 'nbannotate\[tfrecord\]'"):
        tfrecord.read(path, on_error="skip")
    with pytest.raises(FormatError, match=r"pip install 'nbannotate\[tfrecord\]'"):
        pets().to_tfrecord(tmp_path / "t", copy="none")


def test_a_path_without_records_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no TFRecord file"):
        tfrecord.read(tmp_path)

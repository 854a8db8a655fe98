"""TFRecord files and the tf.train.Example messages in them, without TensorFlow or protobuf.

Source: tensorflow.org, "TFRecord and tf.train.Example", TFRecords format details;
protobuf.dev, "Encoding"; tensorflow/core/example/feature.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nbannotate.errors import FormatError

MOST = 512 * 2**20
"""Bytes of a record; one image with its labels is smaller."""

Value = list[bytes] | NDArray[np.float32] | list[int]


def _masked(data: bytes) -> int:
    """The checksum of the data as it stands in the file."""
    try:
        import crc32c
    except ImportError as error:
        raise FormatError(
            "", "", "TFRecord needs the package crc32c; install it with: "
            "pip install 'nbannotate[tfrecord]'"
        ) from error  # fmt: skip
    crc = crc32c.crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    """The record as it stands in a file."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        [length, struct.pack("<I", _masked(length)), data, struct.pack("<I", _masked(data))]
    )


def records(path: Path) -> Iterator[bytes]:
    """The records of a file.

    Raises
    ------
    FormatError
        If a checksum is wrong, or the file ends within a record.
    """
    with path.open("rb") as file:
        left = path.stat().st_size
        number = 0
        while left:
            where = f"record {number}"
            data = _record(file, left, path, where)
            left -= len(data) + 16
            number += 1
            yield data


def _record(file: BinaryIO, left: int, path: Path, where: str) -> bytes:
    head = file.read(12)
    if len(head) < 12:
        raise FormatError(path, where, "the file ends within a record; copy it anew")
    length, crc = struct.unpack("<QI", head)
    # Nothing is read, and so no memory taken, before the length is known to be true.
    if crc != _masked(head[:8]):
        raise FormatError(
            path, where, "the checksum of its length is wrong: the file is damaged or compressed; "
            "copy it anew, or unpack it"
        )  # fmt: skip
    if length > MOST:
        raise FormatError(path, where, f"has over {MOST >> 20} MB; it is no image with labels")
    if length + 16 > left:
        raise FormatError(path, where, "the file ends within a record; copy it anew")
    data = file.read(length)
    [crc] = struct.unpack("<I", file.read(4))
    if crc != _masked(data):
        raise FormatError(path, where, "its checksum is wrong: it is damaged; copy it anew")
    return data


def encode(features: Mapping[str, Sequence[bytes] | NDArray[Any]]) -> bytes:
    """A tf.train.Example: lists of bytes, arrays of floats or of whole numbers, by name."""
    entries = [
        _field(1, _field(1, name.encode()) + _field(2, _feature(values)))
        for name, values in sorted(features.items())
    ]
    return _field(1, b"".join(entries))


def _feature(values: Sequence[bytes] | NDArray[Any]) -> bytes:
    # An empty list says its kind too: readers look for it.
    if not isinstance(values, np.ndarray):
        return _field(1, b"".join(_field(1, value) for value in values))
    if not len(values):
        return _field(2 if values.dtype.kind == "f" else 3, b"")
    if values.dtype.kind == "f":
        return _field(2, _field(1, values.astype("<f4").tobytes()))
    return _field(3, _field(1, b"".join(map(_varint, values.tolist()))))


def _field(number: int, content: bytes) -> bytes:
    return b"".join([bytes([number << 3 | 2]), _varint(len(content)), content])


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def decode(data: bytes) -> dict[str, Value]:
    """The features of a tf.train.Example by name; `ValueError` if it is none."""
    found: dict[str, Value] = {}
    for features in _messages(data, 1):
        for entry in _messages(features, 1):
            name = next(_messages(entry, 1), b"").decode("utf-8", "replace")
            value: Value = []
            for feature in _messages(entry, 2):
                for number, kind, content in _fields(feature):
                    if kind == 2 and number in _LISTS:
                        value = _LISTS[number](content)
            found[name] = value
    return found


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    return (content for number, kind, content in _fields(data) if number == wanted and kind == 2)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, kind and content of each field."""
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        kind = tag & 7
        start = at
        if kind == 0:
            _, end = _number(data, at)
        elif kind == 2:
            length, start = _number(data, at)
            end = start + length
        elif kind in (1, 5):
            end = at + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"is no tf.train.Example: a field of kind {kind}")
        if end > len(data):
            raise ValueError("is no tf.train.Example: a field is longer than the message")
        yield tag >> 3, kind, data[start:end]
        at = end


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("is no tf.train.Example: it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("is no tf.train.Example: a number is too long")


def _bytes(data: bytes) -> Value:
    return list(_messages(data, 1))


def _floats(data: bytes) -> Value:
    # Packed, as all writers of today do, or one by one.
    content = b"".join(content for number, kind, content in _fields(data)
                       if number == 1 and kind in (2, 5))  # fmt: skip
    if len(content) % 4:
        raise ValueError("is no tf.train.Example: a list of floats ends within one")
    return np.frombuffer(content, dtype="<f4")


def _ints(data: bytes) -> Value:
    found = list[int]()
    for number, kind, content in _fields(data):
        at = 0
        while number == 1 and kind in (0, 2) and at < len(content):
            value, at = _number(content, at)
            value &= 2**64 - 1
            found.append(value - 2**64 if value >= 2**63 else value)
    return found


_LISTS = {1: _bytes, 2: _floats, 3: _ints}

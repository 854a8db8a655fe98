"""Label Studio's run lengths of masks: bits of an RGBA picture, row by row.

A stream of bits: how many values (32 bits), bits of a value less one (5), four sizes of a count
less one (4 each). Then runs: a flag whether one value is repeated, which of the sizes (2), the
count less one, and the value or the values.

Source: thi.ng/umbrella, packages/rle-pack, which Label Studio's front end uses.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nbannotate.core.masks import Pixels, check_pixels

_SIZES = (3, 4, 8, 16)
_VALUE = 8
_CHANNELS = 4
_SET = 128  # of 255; brushes have soft edges


def encode(pixels: Pixels) -> list[int]:
    """The mask as bytes of a picture that is white and opaque where it is set."""
    flat = np.asarray(pixels, dtype=np.bool_).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate([[0], edges, [flat.size]]) * _CHANNELS
    values = flat[bounds[:-1] // _CHANNELS]
    parts = [f"{flat.size * _CHANNELS:032b}{_VALUE - 1:05b}"]
    parts += [f"{size - 1:04b}" for size in _SIZES]
    for value, length in zip(values.tolist(), np.diff(bounds).tolist(), strict=True):
        while length:
            count = min(length, 1 << _SIZES[-1])
            which = next(n for n, size in enumerate(_SIZES) if count <= 1 << size)
            parts.append(f"1{which:02b}{count - 1:0{_SIZES[which]}b}{255 * value:08b}")
            length -= count
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def decode(data: Iterable[int], width: int, height: int) -> Pixels:
    """The mask of a picture of that size, in pixels; `ValueError` says what is wrong.

    A pixel is set where the picture is more opaque than not.
    """
    check_pixels(width, height)
    wanted = width * height * _CHANNELS
    raw = bytes(data)
    bits, end = int.from_bytes(raw, "big"), len(raw) * 8
    at = 0
    text = f"{bits:0{end}b}" if end else ""

    def take(count: int) -> int:
        nonlocal at
        if at + count > end:
            raise ValueError("the mask's rle ends within a run")
        at += count
        return int(text[at - count : at], 2)

    total, value_bits = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    if total != wanted:
        raise ValueError(f"the mask's rle holds {total} values, not those of {width} × {height}")
    values, counts, filled = list[int](), list[int](), 0
    while filled < total:
        repeated = take(1)
        count = min(take(sizes[take(2)]) + 1, total - filled)
        taken = [take(value_bits)] if repeated else [take(value_bits) for _ in range(count)]
        values += taken
        counts += [count] if repeated else [1] * count
        filled += count
    # Only now as many values as the picture has, a byte each.
    opaque = np.repeat(np.array(values, dtype=np.int64) >= _SET, counts)
    return np.asarray(opaque[3::_CHANNELS].reshape(height, width), dtype=np.bool_)

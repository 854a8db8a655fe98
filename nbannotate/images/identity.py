"""What tells the content of an image from that of others: its number of bytes and a hash.

Of a file it is the hash of its bytes, the same that ``sha256sum`` prints; of a picture in memory
that of its pixels. SHA-256 for its speed, which processors have built in, and because others
(Git LFS, Croissant) name files by it. The hash says how it was made, so that another may follow.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nbannotate.images.decoding import pixel_bytes
from nbannotate.images.readers import Raw, memory_bytes

_OF_FILE, _OF_PIXELS = "sha256:", "sha256-pixels:"
_CHANNELS = {"L": "", "RGB": "3", "RGBA": "4"}  # PIL images that have the pixels of an array


class Identity(NamedTuple):
    """What tells the content of an image from that of others.

    Parameters
    ----------
    bytes
        Number of bytes, of a file or of pixels in memory.
    hash
        Algorithm and hash, such as ``sha256:9f86d0…``.
    """

    bytes: int
    hash: str


def identify(raw: Raw, key: str) -> Identity:
    """Say what tells this image's content from that of others.

    Parameters
    ----------
    raw
        Bytes of a file, a PIL image or a uint8 array.
    key
        Names the image in errors.

    Raises
    ------
    ImageError
        If it is a PIL image whose file cannot be read.

    Examples
    --------
    >>> found = identify(b"abc", "a.jpg")
    >>> found.bytes, found.hash[:15]
    (3, 'sha256:ba7816bf')
    """
    if isinstance(raw, bytes):
        return Identity(len(raw), _OF_FILE + hashlib.sha256(raw).hexdigest())
    if isinstance(raw, np.ndarray):
        return Identity(memory_bytes(raw), _OF_PIXELS + _of_array(raw))
    return Identity(memory_bytes(raw), _OF_PIXELS + _of_picture(raw, key))


def _of_array(array: NDArray[Any]) -> str:
    height, width = array.shape[:2]
    channels = "".join(map(str, array.shape[2:]))
    return _hash(f"{height} {width} {channels}", np.ascontiguousarray(array).data)


def _of_picture(image: Image.Image, key: str) -> str:
    pixels = pixel_bytes(image, key)
    palette = image.getpalette("RGBA") if image.mode in ("P", "PA") else None
    mode = _CHANNELS.get(image.mode, image.mode)
    return _hash(f"{image.height} {image.width} {mode}", pixels, bytes(palette or ()))


def _hash(shape: str, *parts: bytes | memoryview) -> str:
    # The shape too: the pixels of 2 × 3 gray ones are those of 3 × 2 or of a single coloured row.
    found = hashlib.sha256(f"{shape}\n".encode())
    for part in parts:
        found.update(part)
    return found.hexdigest()

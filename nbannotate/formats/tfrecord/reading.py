"""The reader of TFRecord files of the TF Object Detection API."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import header_size
from nbannotate.formats.shared.json_files import blamed, check_side, parsed
from nbannotate.formats.shared.reading import read_text
from nbannotate.formats.shared.records import Records
from nbannotate.formats.shared.side import read_side
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems
from nbannotate.formats.tfrecord.codec import Value, decode, records

LABEL_MAP = "label_map.pbtxt"
RECORD = "nbannotate/record"
"""The feature with the image and its labels as we have them: floats there have 32 bits only."""

FLAGS = ("difficult", "truncated", "is_crowd", "group_of", "occluded", "depiction")
_NAME = re.compile(r".*\.(tfrecords?|record)(-\d+-of-\d+)?|.*-\d{3,}-of-\d{3,}", re.IGNORECASE)
_SPLIT = re.compile(r"(?:.*[^a-z])?(train|training|val|valid|validation|test)(?:[^a-z].*)?")
_STRING = r"""'(?:\\.|[^'\\])*+'|"(?:\\.|[^"\\])*+\""""
_ITEM = re.compile(rf"""item\s*\{{((?:[^{{}}'"]|\{{[^{{}}]*\}}|{_STRING})*+)\}}""", re.DOTALL)
_NESTED = re.compile(rf"({_STRING})|\w+\s*\{{[^{{}}]*\}}", re.DOTALL)  # such as key points
_ENTRY = re.compile(r"""(\w+)\s*:\s*(?:(-?\d{1,9})|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""",
                    re.DOTALL)  # fmt: skip
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read TFRecord files of the TF Object Detection API.

    The images stay inside the files. ``difficult``, ``truncated``, ``is_crowd``, ``group_of``,
    ``occluded`` and ``depiction`` become attributes, ``image/class/text`` a tag. Places of files
    of others are as exact as floats of 32 bits: to 0.001 pixels on images of 10,000.

    Parameters
    ----------
    path
        A file, or the folder of shards.
    on_error
        ``"raise"`` at the first bad record, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning. What follows a wrong
        checksum in its file is left out with it.
    images
        Folder in which the images are as files too.

    Raises
    ------
    FormatError
        Naming the file, the record, counted from 0, and the mend.
    """
    path = Path(path)
    files = record_files(path)
    if not files:
        raise FormatError(path, "", "is no TFRecord file or folder of such; check the path")
    problems = Problems(path, on_error)
    folder = files[0].parent
    side = read_side(folder)
    with blamed(path):
        reader = _Reader(path, problems, _label_map(folder), None if images is None
                         else Path(images))  # fmt: skip
        for file in files:
            reader.take(file)
        ours = side.get("schema") if side.get("format") == "tfrecord" else None
        return reader.found.dataset(ours)


def record_files(path: Path) -> list[Path]:
    """The files that `path` leads to, by their names if it is a folder."""
    if path.is_dir():
        return sorted(
            item for item in path.iterdir() if _NAME.fullmatch(item.name) and item.is_file()
        )
    return [path] if path.is_file() else []


def _label_map(folder: Path) -> dict[int, str]:
    """The names of the classes by their numbers."""
    files = [folder / LABEL_MAP, *sorted(folder.glob("*.pbtxt"))]
    file = next((file for file in files if file.is_file()), None)
    named: dict[int, str] = {}
    for item in _ITEM.findall("" if file is None else read_text(file)):
        entries = {
            key: number or one or two
            for key, number, one, two in _ENTRY.findall(_NESTED.sub(r"\1", item))
        }
        number = entries.get("id", "")
        name = entries.get("name") or entries.get("display_name") or ""
        if number.removeprefix("-").isdecimal() and name:
            named[int(number)] = _ESCAPE.sub(_unescaped, name)
    return named


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code, 8)) if code.isdecimal() and code < "8" else _LETTERS.get(code, code)


class _Reader:
    def __init__(
        self, path: Path, problems: Problems, named: dict[int, str], images: Path | None
    ) -> None:
        self.problems, self.named, self.images = problems, named, images
        self.found = Records("tfrecord", path, problems)

    def take(self, file: Path) -> None:
        """Take in a file."""
        match = _SPLIT.fullmatch(file.name.lower())
        split = SPLIT_NAMES.get(match[1]) if match else None
        number = 0
        try:
            for number, data in enumerate(records(file)):
                where = f"{file.name}: record {number}"
                try:
                    self.found.add(self._record(decode(data), where, split), where)
                except ValueError as error:
                    if isinstance(error, FormatError):
                        raise
                    self.problems.add(f"record {number}", f"{error}; mend it", file)
        except FormatError as error:
            if not error.path:
                raise FormatError(file, error.where, error.why) from error  # a missing package
            self.problems.add(error.where, error.why.partition(", or read with")[0], file)

    def _record(self, features: dict[str, Value], where: str, split: str | None) -> bytes:
        """The record as one of ours; `ValueError` if it is none."""
        names = _texts(features.get("image/object/class/text"))
        place = "image/object/bbox/"
        sides = [_list(features.get(place + side)) for side in ("xmin", "ymin", "xmax", "ymax")]
        ours = _ours(features, len(sides[0]))
        name = next(iter(_texts(features.get("image/filename"))), "")
        name = name or next(iter(_texts(features.get("image/source_id"))), "") or where
        path = {} if self.images is None else {"path": str(self.images / name)}
        if ours is not None:
            if ours.get("width") is None:
                width, height = self._size(features, is_needed=False)
                ours |= {"width": width, "height": height} if width else {}
            return msgspec.json.encode(ours | path)
        if len({len(side) for side in sides}) > 1:
            raise ValueError("its lists of xmin, ymin, xmax and ymax are not equally long")
        numbers = _list(features.get("image/object/class/label"))
        if not names:
            names = [self.named.get(int(one), str(int(one))) for one in numbers]
        if len(names) != len(sides[0]):
            raise ValueError(f"has {len(sides[0])} boxes, but classes of {len(names)}")
        size = self._size(features, is_needed=bool(len(sides[0])))
        corners = np.array(sides, dtype=np.float64).T * np.array([*size, *size])
        boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
            raise ValueError("has a box that is not finite, or whose max is less than its min")
        flags = {flag: _list(features.get(f"image/object/{flag}")) for flag in FLAGS}
        labels: list[dict[str, Any]] = [
            {
                "kind": "box", "label": label, "x": x, "y": y, "width": width, "height": height,
                "attributes": {
                    flag: bool(values[row]) for flag, values in flags.items() if row < len(values)
                },
            }
            for row, (label, (x, y, width, height)) in enumerate(
                zip(names, boxes.tolist(), strict=True)
            )
        ]  # fmt: skip
        tags = [tag for tag in _texts(features.get("image/class/text")) if tag]
        labels += [{"kind": "tag", "label": tag} for tag in dict.fromkeys(tags)]
        known = {"width": size[0], "height": size[1]} if size[0] else {}
        image = {"image": name, "split": split, "labels": labels} | known | path
        return msgspec.json.encode(image)

    def _size(self, features: dict[str, Value], *, is_needed: bool) -> tuple[int, int]:
        width, height = (_list(features.get(f"image/{side}")) for side in ("width", "height"))
        encoded = next(iter(_bytes_of(features.get("image/encoded"))), b"")
        if len(width) and len(height):
            size = (int(width[0]), int(height[0]))
        elif encoded:
            try:
                size = header_size(io.BytesIO(encoded))
            except OSError as error:
                raise ValueError(f"its image cannot be read ({error})") from error
        elif is_needed:
            raise ValueError("has neither image/width and image/height nor an image")
        else:
            return 0, 0
        if why := check_side(*size):
            raise ValueError(why)
        return size


def _ours(features: dict[str, Value], boxes: int) -> dict[str, Any] | None:
    """What our writer put aside, if another tool has not changed the number of boxes since."""
    data = next(iter(_bytes_of(features.get(RECORD))), b"")
    try:
        found = parsed(data) if data else None
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("labels"), list):
        return None
    placed = [row for row in found["labels"] if isinstance(row, dict) and row.get("x") is not None]
    return found if len(placed) == boxes else None


def _list(value: Value | None) -> list[Any]:
    if value is None or (len(value) and isinstance(value[0], bytes)):
        return []
    return value.tolist() if isinstance(value, np.ndarray) else list(value)


def _bytes_of(value: Value | None) -> list[bytes]:
    return [] if value is None else [one for one in value if isinstance(one, bytes)]


def _texts(value: Value | None) -> list[str]:
    return [one.decode("utf-8", "replace") for one in _bytes_of(value)]

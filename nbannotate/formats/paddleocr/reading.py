"""The reader of PaddleOCR's lists."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_from_corners
from nbannotate.core.rings import Ring, bounds, is_box_ring
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import upright_size
from nbannotate.formats.shared.json_files import blamed, decode_each
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of, restored
from nbannotate.formats.shared.reading import image_below, read_text
from nbannotate.formats.shared.side import SIDE_FILE, read_side
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems

UNREAD = ("###", "*")
"""What stands for a text that nobody can read."""

CLASS = "text"

LABELS, TEXTS = "Label.txt", "rec_gt"

_OTHERS = frozenset({"fileState.txt", "dict.txt", "requirements.txt", "classes.txt"})


class _Text(msgspec.Struct):
    transcription: str
    points: list[tuple[float, float]]
    difficult: bool | None = None
    key_cls: str | None = None
    nbannotate: Any = None


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read PaddleOCR's lists.

    Texts with a place become boxes if their four points are one, else polygons, of the class
    ``key_cls`` or ``text``; the text ``###`` is none. Texts without a place are of the image.

    Parameters
    ----------
    path
        A list; or a folder with lists, or with ``images/Label.txt``.
    on_error
        ``"raise"`` at the first bad line or text, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: that of the list or the one above.

    Raises
    ------
    FormatError
        Naming the file, the line, the place in it, and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    files = [path] if path.is_file() else lists(path)
    if not files:
        raise FormatError(path, "", f"holds no list such as train.txt or images/{LABELS}")
    folder = path if path.is_dir() else path.parent
    side = next((read_side(p) for p in (folder, folder.parent) if (p / SIDE_FILE).is_file()), {})
    side = side if side.get("format") == "paddleocr" else {}
    with blamed(path):
        coming = Coming(path, "paddleocr", Problems(path, on_error))
        reader = _Reader(coming, side, folder, images)
        for file in files:
            reader.read(file)
        dataset = coming.dataset(saved=side.get("schema"))
        dataset.images["path"] = [reader.paths[key] for key in dataset.images.index]
        return dataset


def lists(folder: Path) -> list[Path]:
    """The lists in the folder: those of splits first, then PPOCRLabel's."""
    found = [file for file in sorted(folder.glob("*.txt")) if file.name not in _OTHERS]
    found += [folder / "images" / LABELS]
    found.sort(key=lambda file: file.name == LABELS)
    return [file for file in found if file.is_file() and _kind(file) is not None]


def _kind(file: Path) -> str | None:
    """Whether a list is of places with texts or of texts; None if it is none."""
    with file.open("rb") as content:
        head = content.read(1 << 16).decode("utf-8-sig", "replace").split("\n")[:20]
    rows = [line.partition("\t") for line in head if line.strip()]
    if not rows or not all(tab and re.search(r"\.\w{1,5}$", name) for name, tab, _ in rows):
        return None
    if all(value.lstrip().startswith("[") for _, _, value in rows) and any(
        '"points"' in value or value.strip() == "[]" for _, _, value in rows
    ):
        return "detection"
    return "recognition"


class _Reader:
    """Lists in, one at a time."""

    def __init__(
        self, coming: Coming, side: dict[str, Any], folder: Path, images: str | Path | None
    ) -> None:
        self.coming, self.problems = coming, coming.problems
        self.paths: dict[str, str] = {}
        self._own = own_of(side.get("images"))
        self._folders = [Path(images)] if images is not None else [folder, folder.parent]
        self._seen: set[str] = set()

    def read(self, file: Path) -> None:
        """Take in a list."""
        kind = _kind(file)
        words = re.split(r"[^a-z]+", file.stem.lower())
        split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)
        fresh: set[str] = set()
        for number, line in self._lines(file):
            where = f"line {number}"
            name, tab, value = line.partition("\t")
            if not tab:
                self.problems.add(where, "has no tab between the image and its texts", file)
                continue
            if file.name == LABELS and name in self._seen:
                continue  # it stands in the list of a split as well
            fresh.add(name)
            key = self._image(name, split, where)
            if key is None:
                continue
            if kind == "recognition":
                self.coming.rows.add(key, "text", None, own={"text": value})
                continue
            try:
                parts = msgspec.json.decode(value, type=list[msgspec.Raw])
            except (msgspec.DecodeError, RecursionError) as error:
                self.problems.add(where, f"holds no JSON list of texts ({error}); mend it", file)
                continue
            found = decode_each(parts, _Text, self.problems, where, file)
            for place, text in enumerate(found):
                if text is not None:
                    self._text(key, text, f"{where}[{place}]", file)
        self._seen |= fresh

    def _lines(self, file: Path) -> Iterator[tuple[int, str]]:
        try:
            text = read_text(file)
        except FormatError as error:
            self.problems.add(error.where, error.why, file)
            return
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            if line.strip():
                yield number, line

    def _image(self, name: str, split: str | None, where: str) -> str | None:
        own = own_of(self._own.get(name))
        file = image_below(name, self._folders)
        file = file or image_below(Path(name).name, [*self._folders, self._folders[0] / "images"])
        size = None
        if file is not None:
            try:
                size = upright_size(str(file))
            except (OSError, ValueError) as error:
                self.problems.add("", f"cannot be read as an image ({error}); mend it", file)
                return None
        key = self.coming.image(name, where, {"split": split} | own, size)
        if key is not None:
            self.paths[key] = str(file) if file is not None else key
        return key

    def _text(self, key: str, text: _Text, where: str, file: Path) -> None:
        own = own_of(text.nbannotate)
        points: Ring = [list(point) for point in text.points]
        if len(points) < 3 or not all(math.isfinite(v) for point in points for v in point):
            why = "are not three or more points of finite numbers; mend them"
            self.problems.add(f"{where}.points", why, file)
            return
        attributes = dict(attributes_of(own) or {})
        if text.difficult:
            attributes["difficult"] = True
        words = text.transcription
        if own.get("text") == words or words not in UNREAD:
            own = own | {"text": words}
        kind, geometry, box = _shape(points, own)
        name = text.key_cls if text.key_cls and text.key_cls.strip() else CLASS
        self.coming.rows.add(key, kind, name, box, geometry, attributes or None, own)


def _shape(points: Ring, own: dict[str, Any]) -> tuple[str, Any, list[float]]:
    box = bounds([points])
    kind = own.get("kind")
    if kind == "rotated_box" and len(points) == 4:
        return kind, rotated_from_corners([points])[0].tolist(), box
    if (kind != "polygon" or "geometry" in own) and is_box_ring(points):
        ours, geometry = restored(own)
        return ours, geometry, box
    return "polygon", points if own.get("ring") else [points], box


def sniff(path: Path) -> bool:
    """Whether the file is a list of images and JSON, or the folder holds lists."""
    if path.is_dir():
        side = read_side(path)
        if side:
            return side.get("format") == "paddleocr"
        return any(_kind(file) == "detection" or file.stem.startswith(TEXTS)
                   for file in lists(path))  # fmt: skip
    return (
        path.suffix.lower() == ".txt"
        and path.name not in _OTHERS
        and (
            _kind(path) == "detection" or (_kind(path) is not None and path.stem.startswith(TEXTS))
        )
    )

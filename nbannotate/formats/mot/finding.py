"""The sequences of a MOT Challenge folder: their files, frames and sizes."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import SUFFIXES
from nbannotate.formats.shared.json_files import check_side
from nbannotate.formats.shared.names import inside
from nbannotate.formats.shared.reading import read_text
from nbannotate.formats.shared.tables import SPLIT_NAMES

RATE = "frame_rate"
"""Column of the images table with frames a second, where they are not the usual ones."""

USUAL_RATE, MOST_RATE = 30, 10_000
MOST_FRAMES = 1_000_000
"""Frames of a sequence, nine hours of video; a length beyond is a slip or an attack."""

FRAMES_FOLDER = "img1"
_MOST_FOLDERS = 10_000
_LAST_DIGITS = re.compile(r"([0-9]{1,9})$")


@dataclass(frozen=True)
class Sequence:
    """A sequence of frames.

    Parameters
    ----------
    root
        Its folder.
    name
        What it is called: the name of the folder, after that of a split if there is one.
    split
        The split that it stands in.
    file
        Its text file; None: it has none of the kind that is read.
    """

    root: Path
    name: str
    split: str | None
    file: Path | None


def find(path: Path, file: str | None) -> list[Sequence]:
    """The sequences that `path` leads to.

    Parameters
    ----------
    path
        A text file, a sequence, a folder of sequences, or of folders of the splits.
    file
        ``"gt"`` or ``"det"``; None: ``"gt"`` if any sequence has it.
    """
    if path.is_file():
        if path.parent.name in ("gt", "det"):
            root = path.parent.parent
            return [Sequence(root, root.resolve().name, None, path)]
        return [Sequence(path.parent, path.stem, None, path)]
    found = list(_folders(path))
    if file is None:
        file = "gt" if any((root / "gt/gt.txt").is_file() for root, _, _ in found) else "det"
    texts = [root / file / f"{file}.txt" for root, _, _ in found]
    return [
        Sequence(root, name, split, text if text.is_file() else None)
        for (root, name, split), text in zip(found, texts, strict=True)
    ]


def _folders(path: Path) -> Iterator[tuple[Path, str, str | None]]:
    """Folder, name and split of each sequence."""
    if is_sequence(path):
        yield path, path.resolve().name, None
        return
    for folder in _inner(path):
        if is_sequence(folder):
            yield folder, folder.name, SPLIT_NAMES.get(path.name.lower())
            continue
        for inner in _inner(folder):
            if is_sequence(inner):
                yield inner, f"{folder.name}/{inner.name}", SPLIT_NAMES.get(folder.name.lower())


def _inner(folder: Path) -> Iterator[Path]:
    return islice((item for item in sorted(folder.iterdir()) if item.is_dir()), _MOST_FOLDERS)


def is_sequence(folder: Path) -> bool:
    """Whether the folder holds the files of a sequence."""
    return any((folder / name).is_file() for name in ("gt/gt.txt", "det/det.txt", "seqinfo.ini"))


@dataclass(frozen=True)
class Info:
    """What ``seqinfo.ini`` says.

    Parameters
    ----------
    folder
        Folder of the frames.
    length
        How many frames there are; 0: it is not said.
    size
        Width and height of the frames in pixels; None: it is not said.
    suffix
        The suffix of their names.
    rate
        Frames a second; 0: it is not said.
    """

    folder: Path
    length: int = 0
    size: tuple[int, int] | None = None
    suffix: str = ".jpg"
    rate: int = 0


def info(root: Path) -> Info:
    """What ``seqinfo.ini`` in the folder of a sequence says, if it is there.

    Raises
    ------
    FormatError
        If a number in it is none or too large, or its folder leads out of the sequence.
    """
    path = root / "seqinfo.ini"
    if not path.is_file():
        return Info(root / FRAMES_FOLDER)
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read_text(path))
        values: dict[str, str] = dict(parser["Sequence"])
    except (configparser.Error, KeyError) as error:
        raise FormatError(
            path, "", f"is no INI file with a section [Sequence] ({error}); write it anew"
        ) from error
    length = _number(values, "seqlength", MOST_FRAMES, path)
    sides = tuple(_number(values, key, 10**9, path) for key in ("imwidth", "imheight"))
    if any(sides) and (why := check_side(*sides)):
        raise FormatError(path, "imWidth", why)
    try:
        folder = inside(root, values.get("imdir", "").strip() or FRAMES_FOLDER, path)
    except ValueError as error:
        raise FormatError(path, "imDir", f"{error}; mend it") from error
    rate = _number(values, "framerate", MOST_RATE, path)
    suffix = values.get("imext", "").strip().lower()
    return Info(
        folder, length, (sides[0], sides[1]) if any(sides) else None,
        suffix if suffix in SUFFIXES else ".jpg", rate,
    )  # fmt: skip


def _number(values: dict[str, str], key: str, most: int, path: Path) -> int:
    text = values.get(key, "").strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise FormatError(path, key, f"{text!r} is no whole number up to {most}; mend it")
    return int(text)


def frames(folder: Path) -> dict[int, Path]:
    """The pictures in the folder, by the numbers in their names, else by their order."""
    if not folder.is_dir():
        return {}
    files = sorted(
        item for item in folder.iterdir() if item.suffix.lower() in SUFFIXES and item.is_file()
    )
    matches = [_LAST_DIGITS.search(item.stem) for item in files]
    numbers = [int(match[1]) for match in matches if match is not None]
    if len(set(numbers)) < len(files):
        numbers = list(range(1, len(files) + 1))
    return dict(zip(numbers, files, strict=True))


def sequence_side(side: dict[str, Any], sequence: Sequence) -> dict[str, Any]:
    """What our writer put aside of the sequence."""
    all_of_them = side.get("sequences")
    own = all_of_them.get(sequence.name) if isinstance(all_of_them, dict) else None
    if own is None and isinstance(all_of_them, dict) and sequence.root.parent.name:
        own = all_of_them.get(f"{sequence.root.resolve().parent.name}/{sequence.name}")
    return own if isinstance(own, dict) else {}

"""Text files of others, and the images that belong to them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import SUFFIXES
from nbannotate.formats.shared.json_files import load
from nbannotate.formats.shared.tables import SPLIT_NAMES


def read_text(path: Path) -> str:
    """The file's text, without the mark at its start; `FormatError` if it is not UTF-8."""
    try:
        return load(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            path, "", f"is not text in UTF-8 ({error.reason}); write it anew"
        ) from error


def walk(folder: Path, suffixes: frozenset[str]) -> Iterator[str]:
    """Files below the folder with one of the suffixes, sorted: paths relative to it."""
    found = []
    for place, _, names in os.walk(folder):
        start = os.path.relpath(place, folder).replace(os.sep, "/")
        for name in names:
            if os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122  a Path each is slow
                found.append(name if start == "." else f"{start}/{name}")
    return iter(sorted(found))


def images_by_stem(folder: Path | None) -> dict[str, str]:
    """Images below the folder: their relative paths by the same without suffix."""
    if folder is None or not folder.is_dir():
        return {}
    return {name.rpartition(".")[0]: name for name in walk(folder, SUFFIXES)}


def listed_splits(folder: Path) -> dict[str, str | None]:
    """The split of each image in the lists train, val and test; None if it is in two of them.

    Parameters
    ----------
    folder
        ``ImageSets``, whose lists may stand in ``Main``: a line an image, without suffix.
    """
    lists = folder / "Main" if (folder / "Main").is_dir() else folder
    splits: dict[str, str | None] = {}
    for file in sorted(lists.glob("*.txt")):
        # Other lists are of one class, or join these.
        name = SPLIT_NAMES.get(file.stem)
        if name is not None:
            for line in read_text(file).splitlines():
                stem = line.strip()
                splits[stem] = name if splits.get(stem, name) == name else None
    return splits


def has_label_files(folder: Path) -> bool:
    """Whether a label file is called like an image, or says that the images are a video's frames.

    Folders of other formats hold images in folders too, as those do whose names are the labels.
    """
    images, others = set[str](), set[str]()
    for _, _, names in os.walk(folder):
        for name in names:
            stem, suffix = os.path.splitext(name.lower())  # noqa: PTH122  a Path each is slow
            if suffix in SUFFIXES:
                images.add(stem)
            elif suffix in (".xml", ".txt", ".json") or name == "seqinfo.ini":
                others.add(stem)
    return "seqinfo" in others or not images.isdisjoint(others)


def image_below(name: str, folders: Iterable[Path]) -> Path | None:
    """The image of that name in the first of the folders that has it and that it does not leave."""
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):  # names too long, or with a zero byte
            file = folder / name
            if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
                return file
    return None

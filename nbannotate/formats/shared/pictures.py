"""The images of an export in flat folders: what each is called there, and which become PNG."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import (
    SUFFIXES,
    Copy,
    convert_to_png,
    needs_png,
    place,
    require_files,
)
from nbannotate.formats.shared.names import distinct, safe_paths
from nbannotate.formats.shared.side import one_line

_READABLE = frozenset(("bmp", "jpg", "jpeg", "mpo", "png", "tif", "tiff", "webp"))


@dataclass(frozen=True)
class Pictures:
    """The images of an export.

    Parameters
    ----------
    names
        The file name of each, with a suffix and without folders; no two have the same stem.
    files
        Where each is; None: they are not placed.
    converted
        Which are written as upright PNG, for readers that turn none and lack its format.
    """

    names: list[str]
    files: list[str] | None
    converted: list[bool]

    @property
    def stems(self) -> list[str]:
        """The names without suffixes."""
        return [name.rpartition(".")[0] for name in self.names]

    @property
    def notes(self) -> list[str]:
        """What a report says of them."""
        count = sum(self.converted)
        return [f"{count} images converted to upright PNG, for all readers to see"] * bool(count)

    def place(self, targets: Iterable[Path], copy: Copy) -> None:
        """Put each image at its target."""
        for file, target, converted in zip(
            self.files or [], targets, self.converted, strict=bool(self.files)
        ):
            if converted:
                convert_to_png(file, target)
            else:
                place(file, target, copy)


def plan_pictures(images: pd.DataFrame, root: Path | None, path: Path, copy: Copy) -> Pictures:
    """The images as they will stand in an export.

    Parameters
    ----------
    images
        Those that are written.
    root
        Folder from which relative image paths start.
    path
        What is written, for errors.
    copy
        ``"none"``: they are named, but need not be there.
    """
    if copy not in ("link", "copy", "none"):
        raise FormatError(path, "", f"copy={copy!r}; use 'link', 'copy' or 'none'")
    files = None if copy == "none" else require_files(images, root, path)
    converted = [False] * len(images)
    if files is not None:
        converted = [needs_png(file, _READABLE, turns=frozenset()) for file in files]
    names = [
        _flat(name, png) for name, png in zip(safe_paths(images.index), converted, strict=True)
    ]
    return Pictures(distinct(names, stems=True), files, converted)


def _flat(name: str, png: bool) -> str:
    # Folders become part of the name: most readers look at one level only.
    name = name.replace("/", "__")
    # A suffix is what readers know an image by.
    if png or f".{name.rpartition('.')[2].lower()}" not in SUFFIXES:
        name = f"{name}.png"
    stem, _, suffix = name.rpartition(".")
    # Lists of images have a stem a line, without spaces at its ends, and # for comments.
    return f"{re.sub('^#', '_', one_line(stem)) or '_'}.{one_line(suffix) or 'png'}"

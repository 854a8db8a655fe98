"""Data sets of a folder with a text file an image: which files there are, and their images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import upright_size, write_many
from nbannotate.formats.shared.json_files import check_side
from nbannotate.formats.shared.reading import images_by_stem, listed_splits, read_text, walk
from nbannotate.formats.shared.side import SIDE_FILE, read_side, texts
from nbannotate.formats.shared.tables import SPLIT_NAMES, Problems

_TEXTS = frozenset({".txt"})


@dataclass(frozen=True)
class Layout:
    """What the folders of a format are called.

    Parameters
    ----------
    labels, images
        Names of the folders of label files, and of images beside them.
    suffix
        The suffix that an image has if it is not there.
    prefix
        What the names of label files begin with that those of images do not.
    """

    labels: tuple[str, ...]
    images: tuple[str, ...]
    suffix: str
    prefix: str = ""


@dataclass(frozen=True)
class Place:
    """A folder of label files.

    Parameters
    ----------
    root
        The folder that it stands in.
    labels
        The folder itself; None: there are images only.
    """

    root: Path
    labels: Path | None


def find(path: Path, layout: Layout) -> list[Place]:
    """The folders of label files that `path` leads to: it, one in it, or one a level deeper."""
    if path.is_file():
        return [Place(path.parent, None)]
    if path.name in layout.labels or _has_texts(path):
        return [Place(path.parent, path)]
    direct = _label_folder(path, layout)
    if direct is not None:
        return [Place(path, direct)]
    folders = sorted(item for item in path.iterdir() if item.is_dir())
    places = [Place(folder, _label_folder(folder, layout)) for folder in folders]
    return [place for place in places if place.labels is not None]


def first_lines(path: Path, layout: Layout) -> list[str]:
    """Lines at the start of a label file, for telling the format; none if there is no such file."""
    if path.is_file():
        files = [path] if path.suffix.lower() == ".txt" else []
    elif path.name in layout.labels:
        files = sorted(path.glob("*.txt"))
    else:
        # A folder of text files alone may be anything.
        found = [place.labels for place in find(path, layout) if place.labels != path]
        files = [file for folder in found if folder for file in sorted(folder.glob("*.txt"))]
    for file in files[:20]:
        with file.open("rb") as content:
            lines = content.read(4096).decode("utf-8-sig", "replace").splitlines()
        if any(line.strip() for line in lines):
            return [line for line in lines if line.strip()][:5]
    return []


def _label_folder(folder: Path, layout: Layout) -> Path | None:
    found = _inner(folder, layout.labels)
    # DOTA's own archives unpack into a folder of the same name.
    return found and (_inner(found, layout.labels) or found)


def _has_texts(folder: Path) -> bool:
    return any(item.suffix == ".txt" and item.is_file() for item in folder.iterdir())


def _inner(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _matched(stems: Iterable[str], pictures: Mapping[str, str]) -> dict[str, str]:
    """The image of each label file: called like it, also where one is in folders of its own."""
    by_name: dict[str, list[str]] = {}
    for stem in pictures:
        by_name.setdefault(stem.rpartition("/")[2], []).append(stem)
    matched = {}
    for stem in stems:
        near = by_name.get(stem.rpartition("/")[2], [])
        if stem in pictures or len(near) == 1:
            matched[stem] = pictures[stem if stem in pictures else near[0]]
    return matched


class Files:
    """The label files and images that `path` leads to.

    Parameters
    ----------
    path
        A label file; a folder of them; a folder that holds such folders.
    layout
        The names of folders.
    problems
        What takes files that cannot be read.
    images
        Folder of the images; None: one of the layout's beside the label files.

    Attributes
    ----------
    table
        The images. An image with a label file is done, one without is to do.
    labels
        Key of the image, file and text of each label file.
    side
        What our writer put into ``nbannotate.json``.
    """

    def __init__(
        self, path: Path, layout: Layout, problems: Problems, images: str | Path | None
    ) -> None:
        if not path.exists():
            raise FormatError(path, "", "there is no such file or folder; check the path")
        places = find(path, layout)
        if not places:
            raise FormatError(
                path,
                "",
                f"leads to no folder {' or '.join(layout.labels)}; give the one that holds it, or "
                "the folder of label files",
            )
        self._layout, self._problems = layout, problems
        self.side = _side(places[0].root)
        self.labels: list[tuple[str, Path, str]] = []
        rows: list[dict[str, Any]] = []
        for place in places:
            folder = None if images is None else Path(images)
            rows += self._place(place, path, len(places) > 1, folder)
        self.table = pd.DataFrame(
            rows, columns=["image", "path", "width", "height", "status", "split"]
        )

    def _place(
        self, place: Place, path: Path, several: bool, images: Path | None
    ) -> list[dict[str, Any]]:
        folder = path.parent if place.labels is None else place.labels
        names = [path.name] if place.labels is None else list(walk(folder, _TEXTS))
        beside = folder.parent if place.labels is None else place.root
        image_folder = images or _inner(beside, self._layout.images) or folder
        pictures = images_by_stem(image_folder)
        files = {self._stem(name): folder / name for name in names}
        matched = _matched(files, pictures)
        if place.labels is not None:  # a single file is asked for alone
            used = set(matched.values())
            matched |= {stem: name for stem, name in pictures.items() if name not in used}
        keys = texts(self.side, "keys")
        own = SPLIT_NAMES.get(place.root.name.lower()) if several else None
        splits = listed_splits(place.root / "ImageSets") or listed_splits(
            place.root.parent / "ImageSets"
        )
        prefix = f"{place.root.name}/" if several and not keys else ""
        rows = []
        for stem in sorted({*files, *matched}):
            picture = matched.get(stem)
            given = f"{prefix}{picture or f'{stem}{self._layout.suffix}'}"
            row = {
                "image": keys.get(f"{place.root.name}/{stem}", given),
                "path": str(image_folder / picture) if picture else None,
                "status": "done" if stem in files else "todo",
                "split": own or splits.get(stem),
            }
            if self._read(row, files.get(stem)):
                rows.append(row)
        return rows

    def _stem(self, name: str) -> str:
        start, slash, last = name.rpartition(".")[0].rpartition("/")
        return f"{start}{slash}{last.removeprefix(self._layout.prefix)}"

    def _read(self, row: dict[str, Any], file: Path | None) -> bool:
        """Read the image's size and the label file; False for a file that cannot be read."""
        if row["path"] is not None:
            try:
                row["width"], row["height"] = upright_size(row["path"])
                why = check_side(row["width"], row["height"])
            except (OSError, ValueError) as error:
                why = f"cannot be read as an image ({error}); mend it"
            if why is not None:
                self._problems.add("", why, Path(row["path"]))
                return False
        else:
            row["path"] = row["image"]
        if file is not None:
            try:
                self.labels.append((row["image"], file, read_text(file)))
            except FormatError as error:
                self._problems.add(error.where, error.why, file)
                return False
        return True


def _side(root: Path) -> dict[str, Any]:
    # The file stands beside the folder of a split, or a level above.
    return read_side(root) if (root / SIDE_FILE).is_file() else read_side(root.parent)


def per_image(text: str, image: NDArray[np.int64], count: int) -> list[str]:
    """The lines of each image's file.

    Parameters
    ----------
    text
        All lines, in the order of their images.
    image
        The number of each line's image.
    count
        How many images there are.
    """
    lines = text.split("\n")
    ends = np.searchsorted(image, np.arange(count), side="right").tolist()
    return [
        "\n".join([*lines[start:end], ""]) if end > start else ""
        for start, end in zip([0, *ends][:-1], ends, strict=True)
    ]


def write_texts(folder: Path, stems: Sequence[str], contents: Iterable[str]) -> None:
    """Write a text file for each image."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = zip(stems, contents, strict=True)
    write_many((f"{folder}/{stem}.txt", content) for stem, content in pairs)

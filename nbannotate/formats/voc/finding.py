"""Where the XML files, images and lists of a Pascal VOC data set are, in all its layouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import SUFFIXES
from nbannotate.formats.shared.reading import images_by_stem, listed_splits, walk
from nbannotate.formats.shared.tables import SPLIT_NAMES
from nbannotate.formats.shared.xml_files import root_tag

ROOT_TAG = "annotation"
_XML = frozenset({".xml"})
_ANNOTATIONS = ("Annotations", "annotations")
_IMAGES = ("JPEGImages", "images", "Images")


@dataclass(frozen=True)
class Place:
    """A folder of XML files, and what belongs to it.

    Parameters
    ----------
    root
        The data set's folder, with ``ImageSets`` and the masks.
    annotations
        The folder of the XML files.
    files
        Paths of the XML files relative to it.
    images
        Paths of images relative to `image_folder`, by the same without suffix.
    image_folder
        Where the images are.
    prefix
        What the keys of its images begin with, if there are several such folders.
    splits
        The split of each file, by its path without suffix.
    """

    root: Path
    annotations: Path
    files: tuple[str, ...]
    images: dict[str, str]
    image_folder: Path
    prefix: str
    splits: dict[str, str | None]


def find(path: Path, images: Path | None) -> list[Place]:
    """The folders of XML files that `path` leads to; images may lie elsewhere, in `images`."""
    if path.is_file():
        root = path.parent.parent if path.parent.name in _ANNOTATIONS else path.parent
        folder = images or _image_folder(root, path.parent)
        near = [f"{path.stem}{suffix}" for suffix in sorted(SUFFIXES)]
        near = [name for name in near if (folder / name).is_file()]
        found = {path.stem: near[0]} if near else {}
        return [Place(root, path.parent, (path.name,), found, folder, "", {})]
    direct = _place(path, images, "")
    if direct is not None:
        return [direct]
    folders = sorted(item for item in path.iterdir() if item.is_dir())
    places = [_place(folder, images, f"{folder.name}/") for folder in folders]
    return [place for place in places if place is not None]


def sniff(path: Path) -> bool:
    """Whether the path is an XML file of VOC, or a folder that leads to such files."""
    try:
        places = find(path, None) if path.is_dir() or path.suffix.lower() == ".xml" else []
    except (FormatError, OSError):
        return False
    return any(
        root_tag(place.annotations / name) == ROOT_TAG
        for place in places
        for name in place.files[:1]
    )


def _place(folder: Path, images: Path | None, prefix: str) -> Place | None:
    annotations = next((folder / name for name in _ANNOTATIONS if (folder / name).is_dir()), folder)
    if annotations is folder:
        files = tuple(sorted(item.name for item in folder.iterdir() if item.suffix in _XML))
    else:
        files = tuple(walk(annotations, _XML))
    if not files and not (folder / "ImageSets").is_dir():
        return None
    image_folder = images or _image_folder(folder, annotations)
    split = SPLIT_NAMES.get(folder.name.lower()) if prefix else None
    stems = [name.rpartition(".")[0] for name in files]
    splits: dict[str, str | None] = dict.fromkeys(stems, split)
    splits = splits if split else listed_splits(folder / "ImageSets")
    found = images_by_stem(image_folder)
    return Place(folder, annotations, files, found, image_folder, prefix, splits)


def _image_folder(root: Path, annotations: Path) -> Path:
    return next((root / name for name in _IMAGES if (root / name).is_dir()), annotations)

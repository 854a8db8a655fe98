"""The reader of Pascal VOC: XML files, lists of images and masks into tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from xml.etree.ElementTree import Element

import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import SUFFIXES, upright_size
from nbannotate.formats.shared.json_files import blamed, check_side
from nbannotate.formats.shared.reading import read_text
from nbannotate.formats.shared.side import read_side, side_schema, texts
from nbannotate.formats.shared.tables import OnError, Problems
from nbannotate.formats.shared.values import settle, typed
from nbannotate.formats.shared.xml_files import parse
from nbannotate.formats.voc import masks
from nbannotate.formats.voc.finding import ROOT_TAG, Place, find
from nbannotate.formats.voc.found import FLAGS, Found, MaskReader

LABEL_MAP = "labelmap.txt"


@collector_off()
def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    images: str | Path | None = None,
    based: Literal[0, 1] | None = None,
    masks: bool = True,
) -> Dataset:
    """Read Pascal VOC.

    ``difficult``, ``truncated``, ``occluded``, ``pose``, actions and other tools' ``attributes``
    become attributes; a part of an object becomes a box whose attribute ``part_of`` is the id of
    that label. An object that has pixels in ``SegmentationObject`` becomes a mask, one with a
    ``polygon`` a polygon. An image is called by its XML file, as VOC's own tools do, not by what
    ``filename`` says in it.

    Parameters
    ----------
    path
        An XML file; a folder with ``Annotations``, with XML files, or with such folders.
    on_error
        ``"raise"`` at the first bad object, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: ``JPEGImages`` or ``images`` there, or beside the files.
    based
        Where corners start: 1, and the last ones are still part of the box, or 0, and they are
        not. None: what our own files say; in others 0 if a corner is 0 anywhere, else 1.
    masks
        Whether to read the masks.

    Raises
    ------
    FormatError
        Naming the file, the object and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    if based not in (0, 1, None):
        raise FormatError(path, "", f"based={based!r}; use 1, 0 or None")
    problems = Problems(path, on_error)
    places = find(path, None if images is None else Path(images))
    if not places:
        raise FormatError(
            path, "", "leads to no XML files; give the folder with Annotations or with the files"
        )
    found = Found(problems)
    with blamed(path):
        table = pd.DataFrame(
            [row for place in places for row in _read_place(place, found, masks, problems)],
            columns=["image", "path", "width", "height", "status", "split"],
        )
        side = read_side(places[0].root)
        real = texts(side, "names")
        listed = [real.get(name, name) for place in places for name in label_map(place.root)]
        labels = found.table(based)
        labels["label"] = [real.get(name, name) for name in labels["label"]]
        schema = side_schema(side, labels["label"])
        if schema is None:
            schema = Schema(_ordered(labels["label"].unique(), listed))
        else:
            _drop_fillers(labels, {attribute.name for attribute in schema.attributes})
        rows = labels["attributes"].tolist()
        attributes = settle(rows, schema.attributes)
        labels["attributes"] = pd.Series(typed(rows, attributes), dtype="object")
        schema = Schema(schema.classes, schema.tags, attributes)
        return problems.finish(Dataset(labels, table, schema))


def _drop_fillers(labels: pd.DataFrame, known: set[str]) -> None:
    """Take out what our writer wrote because readers want it: a 0 for what no label has."""
    for values in labels["attributes"]:
        for flag in FLAGS:
            if flag not in known and values.get(flag) is False:
                del values[flag]


def _ordered(names: Iterable[str], listed: Iterable[str]) -> list[str]:
    """Classes in the order of the label map or of VOC, then of the alphabet."""
    used = set(names)
    known = dict.fromkeys(name for name in listed if name != "background" or name in used)
    if not known:
        known = dict.fromkeys(name for name in masks.NAMES if name in used)
    return [*known, *sorted(used - set(known))]


def label_map(root: Path) -> list[str]:
    """The names in a data set's ``labelmap.txt``; empty if it has none."""
    file = root / LABEL_MAP
    if not file.is_file():
        return []
    lines = [line.strip() for line in read_text(file).splitlines()]
    return [line.split(":")[0] for line in lines if line and line[0] != "#"]


def _read_place(
    place: Place, found: Found, masks: bool, problems: Problems
) -> Iterator[dict[str, Any]]:
    keys = texts(read_side(place.root), "keys")
    reader = MaskReader(place.root, label_map(place.root)) if masks else None
    for name in place.files:
        file, stem = place.annotations / name, name.rpartition(".")[0]
        try:
            root = parse(file, ROOT_TAG)
        except FormatError as error:
            problems.add(error.where, error.why, file)
            continue
        picture = place.images.get(stem)
        called = picture or f"{stem}{_suffix(root)}"
        where = place.image_folder / picture if picture else None
        try:
            width, height = _size(root, where)
        except ValueError as error:
            problems.add("<size>", str(error), file)
            continue
        key = place.prefix + keys.get(called, called)
        rows = found.read_objects(root, key, file)
        if reader is not None:
            reader.read(stem, key, (width, height), rows, found)
        yield {
            "image": key,
            "path": key if where is None else str(where),
            "width": width,
            "height": height,
            "status": "done",
            "split": place.splits.get(stem),
        }


def _suffix(root: Element) -> str:
    suffix = PurePosixPath((root.findtext("filename") or "").strip()).suffix
    return suffix if suffix.lower() in SUFFIXES else ".jpg"


def _size(root: Element, image: Path | None) -> tuple[float, float]:
    """Width and height by the file, else by the image, else NaN; `ValueError` if they are none."""
    texts = [(root.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    width, height = (float(text or 0) for text in texts)
    if width == height == 0:
        if image is None:
            return math.nan, math.nan
        try:
            width, height = upright_size(str(image))
        except OSError as error:
            raise ValueError(f"is missing, and {image} cannot be read ({error})") from error
    why = check_side(width, height)
    if why is not None:
        raise ValueError(why)
    return math.floor(width), math.floor(height)

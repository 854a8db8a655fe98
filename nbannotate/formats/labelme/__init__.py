"""LabelMe: a folder with one JSON file beside each image, as wkentaro's labelme 3 to 5 writes it.

What LabelMe has no key for goes into ``"nbannotate"`` of each shape and file, which LabelMe keeps
when it saves the file anew. ``labels.txt`` lists the classes for ``labelme --labels``; the scheme
with its ids is in ``nbannotate.schema``, which does not end in .json because readers of such
folders take every .json for an image's.

Source: labelme 5.5, labelme/label_file.py, labelme/shape.py and labelme/utils/shape.py.
"""

from __future__ import annotations

import base64
import io
import json
import mmap
import os
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from PIL import ImageOps

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.labelme.reading import SCHEMA_FILE, json_files, read, side_file
from nbannotate.formats.labelme.shapes import is_flag_or_group, native_shapes
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    KEY,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import (
    SUFFIXES,
    Copy,
    new_folder,
    open_image,
    opened,
    place,
    require_files,
    sizes,
    source,
)
from nbannotate.formats.shared.json_files import encoded
from nbannotate.formats.shared.names import distinct, inside, safe_paths
from nbannotate.formats.shared.outgoing import Outgoing
from nbannotate.formats.shared.tables import Only, Split, on_images, reviewed, split_names

_VERSION = "5.5.0"
_KINDS = (*PLACED_KINDS, "tag")
_LABELS_FILE = "labels.txt"
_ORIENTATION = 274


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    embed: bool = False,
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
    overwrite: bool = False,
) -> WriteReport:
    """Write a folder for LabelMe.

    Parameters
    ----------
    dataset
        What to write. Tags become flags of the image, attributes that are yes or no flags of the
        shape, texts its description. A polygon in several parts becomes several shapes with one
        ``group_id``, a rotated box a polygon of its corners.
    path
        The folder.
    split
        Fractions of train, val and test, each in a folder of its own. None: no such folders.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: images beside their files as hard links, else symbolic links, else copies;
        ``"copy"``; ``"none"``: the files say where the images are.
    embed
        Whether the picture goes into its file as ``imageData``, upright.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    extras
        Whether label ids, times, scores and the like go along in keys of our own.
    overwrite
        Whether to replace an earlier export in the folder.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, a number is NaN or infinite, or the folder
        holds other things.
    """
    path, base = Path(path), None if root is None else Path(root)
    if copy not in ("link", "copy", "none"):
        raise FormatError(path, "", f"copy={copy!r}; use 'link', 'copy' or 'none'")
    if path.suffix.lower() == ".json":
        raise FormatError(path, "", "LabelMe takes one file an image; give the name of a folder")
    chosen = dataset.images[reviewed(dataset, _KINDS, only)]
    labels = on_images(dataset, chosen)
    lost = _lost(dataset, chosen, labels, extras)
    size = sizes(chosen, base, path)
    where = require_files(chosen, base, path) if embed or copy != "none" else None
    if split is not None:
        names = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
        chosen = chosen.assign(split=pd.Series(names, index=chosen.index, dtype="string"))
    files = _file_names(chosen, split is not None)
    own = image_extras(chosen)
    columns = [name for name in LABEL_EXTRAS if name != "text"]
    outgoing = Outgoing(labels, chosen.index, path, label_extras(labels, columns))
    flags = [choice.name for choice in dataset.schema.tag_choices]
    count = 0
    with new_folder(path, _earlier(path), SCHEMA_FILE, overwrite=overwrite) as out:
        for row, rows in enumerate(outgoing.per_image(_KINDS)):
            shapes, tags = native_shapes(rows, outgoing, lost, extras=extras)
            count += len(rows)
            target = inside(out, files[row], path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if where is not None and copy != "none":
                place(where[row], target, copy)
            content: dict[str, Any] = {
                "version": _VERSION,
                "flags": {name: name in tags for name in flags},
                "shapes": shapes,
                "imagePath": target.name,
                "imageData": _embedded(where[row]) if embed and where is not None else None,
                "imageHeight": int(size[row, 1]),
                "imageWidth": int(size[row, 0]),
            }
            if copy == "none":
                content["imagePath"] = _seen_from(path / files[row], chosen["path"].iloc[row], base)
            if extras:
                content[KEY] = {"image": str(chosen.index[row]), **own[row]}
                if tags:
                    content[KEY]["tags"] = [tag for same in tags.values() for tag in same]
            text = msgspec.json.format(encoded(content, path), indent=2)
            target.with_suffix(".json").write_bytes(text)
        _write_scheme(out, dataset, files)
    return WriteReport(path, len(chosen), count, lost)


def _earlier(path: Path) -> list[str]:
    """What an earlier export put into the folder."""
    names = side_file(path).get("entries")
    return [inside(path, str(name)).name for name in names] if isinstance(names, list) else []


def _file_names(chosen: pd.DataFrame, divided: bool) -> list[str]:
    """Where each image goes, its folders kept; of its file's suffix comes .json for its labels."""
    names = [
        name if Path(name).suffix.lower() in SUFFIXES else f"{name}.jpg"
        for name in safe_paths(chosen.index)
    ]
    tops = chosen["split"].tolist() if divided else None
    return distinct(
        names if tops is None else [f"{top}/{name}" for top, name in zip(tops, names, strict=True)],
        stems=True,
    )


def _seen_from(target: Path, where: Any, root: Path | None) -> str:
    """The image's path from its label file's folder; its name if it is no file."""
    local = None if pd.isna(where) else source(where, root)
    if local is None or "://" in local or not Path(local).is_file():
        return target.name
    try:
        return Path(os.path.relpath(local, target.parent)).as_posix()
    except ValueError:  # another drive
        return Path(local).as_posix()


def _embedded(where: str) -> str:
    """The picture as LabelMe embeds it: the file's bytes, upright."""
    with opened(where) as file:
        data = file.read()
    with open_image(io.BytesIO(data)) as picture:
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            sink = io.BytesIO()
            ImageOps.exif_transpose(picture).save(sink, format="PNG", exif=b"")
            data = sink.getvalue()
    return base64.b64encode(data).decode("ascii")


def _write_scheme(out: Path, dataset: Dataset, files: list[str]) -> None:
    names = [c.name for c in dataset.schema.classes if len(c.name.splitlines()) == 1]
    (out / _LABELS_FILE).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    entries = {name if "/" in name else Path(name).with_suffix(".json").name for name in files}
    entries |= {name.partition("/")[0] for name in files}
    content = {
        "version": 1,
        "schema": dataset.schema.to_dict(),
        "entries": [_LABELS_FILE, *sorted(entries)],
    }
    (out / SCHEMA_FILE).write_text(json.dumps(content), encoding="utf-8")


def _lost(
    dataset: Dataset, chosen: pd.DataFrame, labels: pd.DataFrame, extras: bool
) -> dict[str, int]:
    if extras:
        kept = (*LABEL_EXTRAS, "attributes", "source")
        return losses(dataset, chosen, labels, "LabelMe", kinds=_KINDS, label_columns=kept,
                      image_columns=IMAGE_EXTRAS)  # fmt: skip
    shapes = labels["kind"].isin(PLACED_KINDS)
    native = [
        {
            name: value
            for name, value in values.items()
            if not (shape and is_flag_or_group(name, value))
        }
        for values, shape in zip(labels["attributes"], shapes, strict=True)
    ]
    rest = labels.assign(
        text=labels["text"].where(~shapes), attributes=pd.Series(native, labels.index, dtype=object)
    )
    return losses(dataset, chosen, rest, "LabelMe", kinds=_KINDS)


def sniff(path: Path) -> bool:
    """Whether the file is a JSON object with shapes and the image's path, or the folder has one."""
    if path.is_dir():
        return (path / SCHEMA_FILE).is_file() or any(map(sniff, islice(json_files(path), 3)))
    if path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
        return start.startswith(b"{") and all(
            content.find(b'"%b"' % key) >= 0 for key in (b"shapes", b"imagePath")
        )


FORMAT = Format(
    name="labelme",
    kinds=_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "texts of images, ratings and choices; other tools see rotated boxes as polygons, and of "
        "attributes those that are yes or no"
    ),
)

"""The reader of LabelMe's files, one or a folder of them."""

from __future__ import annotations

import base64
import io
import math
import os
import posixpath
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from PIL import Image

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_from_corners
from nbannotate.core.masks import mask_rle, put_in, rle_bounds
from nbannotate.core.rings import bounds
from nbannotate.errors import FormatError
from nbannotate.formats.shared.ellipses import ellipse_ring
from nbannotate.formats.shared.extras import IMAGE_EXTRAS
from nbannotate.formats.shared.files import SUFFIXES, open_image, upright_size
from nbannotate.formats.shared.json_files import (
    blamed,
    check_side,
    decode,
    decode_each,
    load,
    put_aside,
)
from nbannotate.formats.shared.pixels import read_png
from nbannotate.formats.shared.rows import Rows, keypoints_bounds, scheme
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems

SCHEMA_FILE = "nbannotate.schema"
_NONE = msgspec.Raw(b"null")


class Shape(msgspec.Struct):
    """An item of ``shapes``."""

    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None
    group_id: int | str | None = None
    description: str | None = None
    flags: dict[str, Any] | None = None
    mask: str | None = None
    direction: float | None = None
    nbannotate: dict[str, Any] | None = None


class File(msgspec.Struct):
    """A whole file."""

    shapes: list[msgspec.Raw]
    imagePath: str  # noqa: N815
    imageData: msgspec.Raw = _NONE  # noqa: N815
    imageHeight: float | None = None  # noqa: N815
    imageWidth: float | None = None  # noqa: N815
    flags: dict[str, Any] | None = None
    nbannotate: dict[str, Any] | None = None


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read LabelMe's JSON: one file, or all in a folder and those below.

    Image keys are the images' paths from the folder. Flags of an image that are set are its tags;
    flags of a shape are attributes that are yes or no. Polygons, and points, of one label with
    one ``group_id`` are one label; other group numbers stay as an attribute ``group_id``. A circle
    becomes a polygon. An image in the folder without a file of its own is to do.

    Parameters
    ----------
    path
        The file or folder.
    on_error
        ``"raise"`` at the first bad file or shape, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: where the files say.

    Raises
    ------
    FormatError
        Naming the file, the shape as ``shapes[3]``, and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    folder = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else list(json_files(path))
    if not files:
        raise FormatError(path, "", "holds no .json file; LabelMe has one for each image")
    with blamed(path):
        reader = _Reader(folder, Problems(path, on_error), images)
        for file in files:
            reader.read(file)
        if path.is_dir():
            reader.add_unlabelled()
        return reader.dataset(path)


def json_files(folder: Path) -> Iterator[Path]:
    """The JSON files of the folder and those below, in order."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".json") and not name.startswith("."):
                yield Path(place) / name


def side_file(folder: Path) -> dict[str, Any]:
    """What our writer put beside the files; empty if it did not."""
    return put_aside(folder / SCHEMA_FILE)


class _Reader:
    """Files in, one at a time; a data set out."""

    def __init__(self, folder: Path, problems: Problems, images: str | Path | None) -> None:
        self.folder = folder
        self.problems = problems
        self.images_folder = None if images is None else Path(images)
        self.rows = Rows("import:labelme")
        self.images: dict[str, dict[str, Any]] = {}
        self.of_key: dict[str, Path] = {}
        self.flags: dict[str, None] = {}

    def read(self, file: Path) -> None:
        """Take in one file, or hand it to the problems."""
        try:
            content = decode(load(file), File, file)
        except FormatError as error:
            self.problems.add(error.where, error.why, file)
            return
        own = content.nbannotate or {}
        if not posixpath.basename(content.imagePath.replace("\\", "/")):
            self.problems.add("imagePath", "names no file; give the image's", file)
            return
        key, where = self._image(file, content.imagePath, own)
        if key in self.of_key:
            why = f"its image {key!r} is that of {self.of_key[key].name} too; remove one of the two"
            self.problems.add("imagePath", why, file)
            return
        size = self._size(file, content, where)
        if size is not None and (bad := check_side(*size)):
            self.problems.add("imageWidth", bad, file)
            return
        self.of_key[key] = file
        row: dict[str, Any] = {name: own.get(name) for name in IMAGE_EXTRAS}
        row |= {"path": where, "status": own.get("status", "done")}
        row["width"], row["height"] = size or (None, None)
        if row["split"] is None and file.is_relative_to(self.folder):
            row["split"] = SPLIT_NAMES.get(file.relative_to(self.folder).parts[0].lower())
        self.images[key] = row
        self._tags(key, content.flags or {}, own.get("tags"))
        self._shapes(key, file, content.shapes, size)

    def _image(self, file: Path, named: str, own: dict[str, Any]) -> tuple[str, str]:
        """The image's key, and where it is."""
        name = named.replace("\\", "/")
        if name.startswith("/") or "://" in name:
            key = where = name
        else:
            inner = file.parent.relative_to(self.folder).as_posix()
            key = posixpath.normpath(f"{inner}/{name}")
            where = str(self.folder / key)
        if self.images_folder is not None:
            where = str(self.images_folder / posixpath.basename(name))
        given = own.get("image")
        return (given if isinstance(given, str) and given else key), where

    def _size(self, file: Path, content: File, where: str) -> tuple[float, float] | None:
        """Width and height: as they stand in the file, else of the picture in it or beside it."""
        if content.imageWidth is not None and content.imageHeight is not None:
            return content.imageWidth, content.imageHeight
        try:
            if bytes(content.imageData) not in (b"", b"null"):
                data = base64.b64decode(msgspec.json.decode(content.imageData, type=str))
                with open_image(io.BytesIO(data)) as picture:
                    return picture.size
            # The picture is looked at only where it lies in the folder that was given.
            base = (self.images_folder or self.folder).resolve()
            if Path(where).resolve().is_relative_to(base) and Path(where).is_file():
                return upright_size(where)
        except (OSError, ValueError, msgspec.MsgspecError, Image.DecompressionBombError):
            pass
        return None

    def _tags(self, key: str, flags: dict[str, Any], ours: Any) -> None:
        known = [tag for tag in ours if isinstance(tag, dict)] if isinstance(ours, list) else []
        for name, is_set in flags.items():
            if not name.strip():
                continue
            self.flags.setdefault(name)
            if is_set is True:
                same = [tag for tag in known if tag.get("label") == name]
                for own in same or [{}]:
                    self.rows.add(key, "tag", name, attributes=own.get("attributes"), own=own)

    def _shapes(
        self, key: str, file: Path, parts: list[msgspec.Raw], size: tuple[float, float] | None
    ) -> None:
        shapes = decode_each(parts, Shape, self.problems, "shapes", file)
        joined = Counter(_join_key(shape) for shape in shapes if shape is not None)
        for number, shape in enumerate(shapes):
            if shape is None:
                continue
            try:
                together = joined[_join_key(shape)] > 1
                self._add(key, shape, size, together=together)
            except (ValueError, TypeError, OverflowError) as error:
                self.problems.add(f"shapes[{number}]", f"{error}; mend it", file)

    def _add(
        self, key: str, shape: Shape, size: tuple[float, float] | None, *, together: bool
    ) -> None:
        if not shape.label.strip():
            raise ValueError("its label is empty; give its class")
        own = shape.nbannotate or {}
        attributes = _attributes(shape, own, together=together)
        values = own | {"text": shape.description or own.get("text")}
        kind, geometry, box = _shape(shape, own, size)
        is_ours = "label_id" in own
        if kind in ("polygon", "keypoints") and ("part" in own if is_ours else together):
            group = own["label_id"] if is_ours else (shape.label, shape.group_id)
            number = own.get("part")
            self.rows.add_part(
                (key, kind, group),
                number if isinstance(number, int) and 0 <= number < 10**4 else None,
                geometry[0], key, kind, shape.label, attributes, values,
                of=own.get("of") if kind == "keypoints" else None,
            )  # fmt: skip
            return
        if kind == "polygon" and own.get("ring"):
            geometry = geometry[0]
        self.rows.add(key, kind, shape.label, box, geometry, attributes, values)

    def add_unlabelled(self) -> None:
        """Images of the folder that no file is about are to do."""
        known = {os.path.realpath(row["path"]) for row in self.images.values()}
        stems = {file.with_suffix("") for file in self.of_key.values()}
        for place, folders, names in os.walk(self.folder):
            folders.sort()
            for name in sorted(names):
                file = Path(place) / name
                if file.suffix.lower() not in SUFFIXES or name.startswith("."):
                    continue
                key = file.relative_to(self.folder).as_posix()
                if (
                    file.with_suffix("") not in stems
                    and os.path.realpath(file) not in known
                    and key not in self.images
                ):
                    self.images[key] = {"path": str(file), "status": "todo"}

    def dataset(self, path: Path) -> Dataset:
        """All that was read."""
        labels = self.rows.table()
        table = pd.DataFrame(
            list(self.images.values()),
            index=pd.Index(list(self.images), dtype="string"),
            columns=["path", "width", "height", *IMAGE_EXTRAS],
        )
        saved = side_file(self.folder).get("schema")
        flags = {"flags": {"choices": list(self.flags), "multiple": True}} if self.flags else {}
        schema = scheme(labels, path, saved=saved, tags=flags)
        return self.problems.finish(Dataset(labels, table, schema))


def _join_key(shape: Shape) -> tuple[Any, ...]:
    """What shapes that are parts of one label have in common; for others a key of their own."""
    kind = shape.shape_type or "polygon"
    if shape.group_id is None or kind not in ("polygon", "point"):
        return (id(shape),)
    return (shape.label, shape.group_id, kind)


def _attributes(shape: Shape, own: dict[str, Any], *, together: bool) -> dict[str, Any]:
    ours = own.get("attributes")
    values = dict(ours) if isinstance(ours, dict) else {}
    values |= shape.flags or {}
    # A number that joins parts has done its work.
    if shape.group_id is not None and not together and "part" not in own:
        values["group_id"] = shape.group_id
    return values


def _shape(
    shape: Shape, own: dict[str, Any], size: tuple[float, float] | None
) -> tuple[str, Any, list[float]]:
    """Kind, geometry and bounding box; `ValueError` says what is wrong with the points."""
    points = [list(point) for point in shape.points]
    kind = shape.shape_type or "polygon"  # labelme 3 and older have no types

    def need(count: int) -> None:
        if len(points) < count:
            raise ValueError(f"a {kind} has {len(points)} points; it needs {count} or more")

    if kind == "rectangle":
        need(2)
        ours = own.get("kind", "box")
        return str(ours), own.get("geometry") if ours != "box" else None, bounds([points])
    if kind == "polygon":
        need(3)
        if own.get("kind") == "rotated_box" and len(points) == 4:
            return "rotated_box", rotated_from_corners([points])[0].tolist(), bounds([points])
        return "polygon", [points], bounds([points])
    if kind == "rotation":  # X-AnyLabeling's
        need(4)
        return "rotated_box", rotated_from_corners([points[:4]])[0].tolist(), bounds([points])
    if kind == "circle":
        need(2)
        (x, y), (edge_x, edge_y) = points[:2]
        radius = math.hypot(edge_x - x, edge_y - y)
        ring = ellipse_ring(x, y, radius, radius, math.atan2(edge_y - y, edge_x - x))
        return "polygon", [ring], bounds([ring])
    if kind in ("line", "linestrip"):
        need(2)
        return "polyline", points, bounds([points])
    if kind in ("point", "points"):
        need(1)
        seen = own.get("visibility")
        visibility = seen if seen in (0, 1, 2) else 2
        keypoints: list[Any] = [[x, y, visibility] for x, y in points]
        return "keypoints", keypoints, keypoints_bounds(keypoints)
    if kind == "mask":
        return _mask(shape, points, size)
    raise ValueError(f"shape_type {kind!r} is unknown; remove the shape or draw it anew")


def _mask(
    shape: Shape, points: list[list[float]], size: tuple[float, float] | None
) -> tuple[str, Any, list[float]]:
    if size is None or shape.mask is None or not points:
        raise ValueError("a mask needs its corner, its pixels, and the size of the image")
    pixels = read_png(base64.b64decode(shape.mask))
    left, top = (int(np.floor(value)) for value in np.min(points, axis=0))
    mask = mask_rle(put_in(pixels, left, top, int(size[0]), int(size[1])))
    return "mask", mask, rle_bounds(mask)

"""The reader of Supervisely's projects, or of one file of one."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import MOST_PIXELS, check_pixels, mask_rle, put_in, rle_bounds
from nbannotate.core.raster import polygon_pixels
from nbannotate.core.rings import Ring, bounds
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import SUFFIXES
from nbannotate.formats.shared.json_files import blamed, decode, decode_each, load, parsed
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of, restored
from nbannotate.formats.shared.pixels import read_png
from nbannotate.formats.shared.reading import walk
from nbannotate.formats.shared.rows import MOST_KEYPOINTS, keypoints_bounds
from nbannotate.formats.shared.side import SIDE_FILE, read_side
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems
from nbannotate.formats.supervisely.tags import TagsIn

META = "meta.json"
Points = list[tuple[float, float]]


class Outline(msgspec.Struct):
    """A polygon's outline and its holes."""

    exterior: Points
    interior: list[Points] = []


class Geometry(msgspec.Struct):
    """Where an object is."""

    points: Outline | Points | None = None
    parts: list[Outline] | None = None
    bitmap: dict[str, Any] | None = None
    nodes: dict[str, Any] | None = None
    angle: float | None = None


class Object(Geometry, kw_only=True):
    """An item of ``objects``."""

    classTitle: str  # noqa: N815
    geometryType: str | None = None  # noqa: N815
    shape: str | None = None
    geometry: Geometry | None = None
    tags: list[Any] = []
    description: str | None = None
    instance: str | None = None
    labelerLogin: str | None = None  # noqa: N815
    createdAt: str | None = None  # noqa: N815
    updatedAt: str | None = None  # noqa: N815
    nbannotate: Any = None


class _Size(msgspec.Struct):
    width: float
    height: float


class File(msgspec.Struct):
    """A whole file."""

    size: _Size
    objects: list[msgspec.Raw]
    description: str | None = None
    tags: list[Any] = []
    nbannotate: Any = None


@dataclass(frozen=True)
class _Found:
    """One file, decoded."""

    file: Path
    key: str
    size: tuple[int, int]
    objects: list[Object | None]


@collector_off()
def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    pixels: bool | None = None,
    images: str | Path | None = None,
) -> Dataset:
    """Read a Supervisely project: its images.

    Tags of images are tags, or texts if they have a free value; those of objects attributes. A
    polygon with holes is a mask. Polygons of one class with one ``instance`` are one label.

    Parameters
    ----------
    path
        The project's folder, one data set in it, or one file of ``ann``.
    on_error
        ``"raise"`` at the first bad file or object, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    pixels
        True: coordinates count whole pixels, as in all that Supervisely's SDK downloads: a point
        is at its pixel's centre, and right and bottom of a rectangle belong to it. False: they are
        edges, as in its labelling tool. None: edges if a number is not whole, or the geometry
        stands in a key of its own as converters of others write it; else whole pixels.
    images
        Folder of the images; None: ``img`` beside ``ann``.

    Raises
    ------
    FormatError
        Naming the file, the place as ``objects[3].points``, and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    folder = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else annotation_files(path)
    if not files:
        raise FormatError(path, "", "holds no ann/IMAGE.json; give the folder with meta.json")
    side, meta = read_side(folder), _meta(folder)
    if side.get("format") == "supervisely" and pixels is None:
        pixels = side.get("pixels") is True
    problems = Problems(path, on_error)
    coming = Coming(path, "supervisely", problems)
    tags = TagsIn(meta)
    with blamed(path):
        paths: dict[str, str] = {}
        found = [_read_file(coming, file, folder, images, tags, paths) for file in files]
        known = [item for item in found if item is not None]
        whole = _are_pixels(known) if pixels is None else pixels
        for item in known:
            _Objects(coming, item, tags, 0.5 * whole).add()
        listed = meta.get("classes")
        classes = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
        names = dict.fromkeys(str(c.get("title", "")) for c in classes)
        saved = side.get("schema") if side.get("format") == "supervisely" else None
        dataset = coming.dataset(
            saved=saved,
            classes=() if saved else [name for name in names if name.strip()],
            tags={} if saved else tags.groups(),
        )
        dataset.images["path"] = [paths[key] for key in dataset.images.index]
        return dataset


def annotation_files(folder: Path) -> list[Path]:
    """The files of all ``ann`` folders."""
    names = walk(folder, frozenset({".json"}))
    return [folder / name for name in names if (folder / name).parent.name == "ann"]


def _meta(folder: Path) -> dict[str, Any]:
    for place in (folder, folder.parent, folder.parent.parent):
        if (place / META).is_file():
            try:
                content = parsed(load(place / META))
            except ValueError as error:
                raise FormatError(place / META, "", f"{error}; mend it") from error
            return content if isinstance(content, dict) else {}
    return {}


def _read_file(
    coming: Coming,
    file: Path,
    folder: Path,
    images: str | Path | None,
    tags: TagsIn,
    paths: dict[str, str],
) -> _Found | None:
    problems = coming.problems
    try:
        content = decode(load(file), File, file)
    except FormatError as error:
        problems.add(error.where, error.why, file)
        return None
    own = own_of(content.nbannotate)
    # Files of older projects are called without their image's suffix.
    name = file.name.removesuffix(".json")
    start = file.parent.parent if file.parent.name == "ann" else file.parent
    beside = Path(images) if images is not None else start / "img"
    where = beside / name
    if not where.is_file() and Path(name).suffix.lower() not in SUFFIXES:
        found = (where.with_name(f"{name}{suffix}") for suffix in sorted(SUFFIXES))
        where = next((other for other in found if other.is_file()), where)
    inner = where.relative_to(folder).as_posix() if where.is_relative_to(folder) else where.name
    is_project = file.parent.name == "ann" and start != folder
    key_name = inner if is_project and images is None else where.name
    own = {"split": SPLIT_NAMES.get(start.name.lower()), "note": content.description or None} | own
    size = (content.size.width, content.size.height)
    key = coming.image(key_name, "", own, size)
    if key is None:
        return None
    paths[key] = str(where) if where.is_file() else key
    _image_tags(coming, file, key, content.tags, own.get("tags"), tags)
    objects = decode_each(content.objects, Object, problems, "objects", file)
    return _Found(file, key, (int(size[0]), int(size[1])), objects)


def _image_tags(
    coming: Coming, file: Path, key: str, listed: list[Any], ours: Any, tags: TagsIn
) -> None:
    kept = [own_of(item) for item in ours] if isinstance(ours, list) else []
    for number, tag in enumerate(listed):
        row = {"name": tag} if isinstance(tag, str) else tag
        if not isinstance(row, dict) or not str(row.get("name", "")).strip():
            why = "has no name; give it one, or remove it"
            coming.problems.add(f"tags[{number}]", why, file)
            continue
        name, value = str(row["name"]), row.get("value")
        kind, label, text = tags.of_image(name, value)
        mine = next((item for item in kept if (item.get("name"), item.get("value")) ==
                     (name, value)), None)  # fmt: skip
        if mine is not None:
            kept.remove(mine)
            kind, label = str(mine.get("kind", kind)), mine.get("label", label)
        values = _who(row) | (mine or {}) | ({} if text is None else {"text": text})
        coming.rows.add(key, kind, label, attributes=attributes_of(values), own=values)


def _who(row: dict[str, Any]) -> dict[str, Any]:
    names = {"annotator": "labelerLogin", "created": "createdAt", "updated": "updatedAt"}
    return {ours: row[theirs] for ours, theirs in names.items() if isinstance(row.get(theirs), str)}


def _are_pixels(found: list[_Found]) -> bool:
    """Whether all numbers are whole, and stand where the SDK writes them."""
    for item in found:
        for shape in item.objects:
            if shape is None or shape.bitmap is not None:
                continue
            if shape.geometry is not None:
                return False
            numbers = _numbers(msgspec.to_builtins(shape.points))
            nodes = shape.nodes.values() if shape.nodes else ()
            numbers += [v for node in nodes for v in _numbers(own_of(node).get("loc"))]
            if not all(float(value).is_integer() for value in numbers):
                return False
    return True


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


class _Objects:
    """The objects of one file, as labels.

    Parameters
    ----------
    coming
        Where they go.
    found
        The file.
    tags
        What its tags mean.
    half
        What is added to a coordinate to have pixels' centres where they are: 0.5 or 0.
    """

    def __init__(self, coming: Coming, found: _Found, tags: TagsIn, half: float) -> None:
        self.coming, self.found, self.tags, self.half = coming, found, tags, half
        self.joined = Counter(_instance(o) for o in found.objects if o is not None)

    def add(self) -> None:
        """Add all."""
        for number, shape in enumerate(self.found.objects):
            if shape is None:
                continue
            try:
                self._add(shape)
            except (ValueError, TypeError, KeyError, OverflowError, zlib.error) as error:
                why = f"{error}; mend or remove the object"
                self.coming.problems.add(f"objects[{number}]", why, self.found.file)

    def _add(self, shape: Object) -> None:
        if not shape.classTitle.strip():
            raise ValueError("its classTitle is empty")
        own = own_of(shape.nbannotate)
        attributes = attributes_of(own) or {}
        for tag in shape.tags:
            row = {"name": tag} if isinstance(tag, str) else tag
            if isinstance(row, dict) and str(row.get("name", "")).strip():
                name = str(row["name"])
                attributes[name] = self.tags.of_object(name, row.get("value"))
        who = {"labelerLogin": shape.labelerLogin, "createdAt": shape.createdAt,
               "updatedAt": shape.updatedAt}  # fmt: skip
        own = own | _who(who) | ({"text": shape.description} if shape.description else {})
        kind, geometry, box = self._shape(shape, own)
        rows, key, name = self.coming.rows, self.found.key, shape.classTitle
        together = _instance(shape)
        if kind == "polygon" and len(geometry) == 1 and self.joined[together] > 1:
            part = own.get("part") if isinstance(own.get("part"), int) else None
            rows.add_part((key, together), part, geometry[0], key, kind, name, attributes, own)
            return
        if kind == "polygon" and own.get("ring") and len(geometry) == 1:
            geometry = geometry[0]
        rows.add(key, kind, name, box, geometry, attributes or None, own)

    def _shape(self, shape: Object, own: dict[str, Any]) -> tuple[str, Any, list[float]]:
        kind = shape.geometryType or shape.shape or _guessed(shape)
        body = shape.geometry or shape
        if kind in ("bitmap", "alpha_mask"):
            mask = self._bitmap(body.bitmap)
            return "mask", mask, rle_bounds(mask)
        if kind == "graph":
            points = self._nodes(body.nodes, own)
            return "keypoints", points, keypoints_bounds(points)
        if kind == "multipolygon":
            return self._polygon(body.parts or [])
        if kind == "oriented_bbox":
            corners = body.points if isinstance(body.points, list) else []
            return self._oriented(corners, body.angle or 0.0, own.get("geometry"))
        if kind not in ("rectangle", "polygon", "line", "point"):
            raise ValueError(f"geometryType {kind!r} is not one that is read")
        outline = body.points if isinstance(body.points, Outline) else Outline([])
        if kind == "polygon":
            return self._polygon([outline])
        line = self._ring(outline.exterior, 2 if kind in ("rectangle", "line") else 1)
        if kind == "line":
            return "polyline", line, bounds([line])
        if kind == "point":
            seen = own.get("visibility")
            known = [[*line[0], seen if seen in (1, 2) else 2]]
            return "keypoints", known, keypoints_bounds(known)
        ours, geometry = restored(own)
        box = self._edges(line[:2])
        # Sides under a pixel are written as one.
        small = own.get("box")
        if isinstance(small, list) and len(small) == 4 and np.allclose(small[:2], box[:2]):
            box = [float(value) for value in small]
        return ours, geometry, box

    def _edges(self, corners: Ring) -> list[float]:
        x, y, width, height = bounds([corners])
        return [x - self.half, y - self.half, width + 2 * self.half, height + 2 * self.half]

    def _ring(self, points: Points, fewest: int) -> Ring:
        if len(points) < fewest:
            raise ValueError(f"it has {len(points)} points and needs {fewest} or more")
        ring = [[x + self.half, y + self.half] for x, y in points]
        if not np.isfinite(ring).all():
            raise ValueError("its points are not all finite numbers")
        return ring

    def _polygon(self, parts: list[Outline]) -> tuple[str, Any, list[float]]:
        rings = [self._ring(part.exterior, 3) for part in parts]
        if not rings:
            raise ValueError("it has no points")
        if not any(part.interior for part in parts):
            return "polygon", rings, bounds(rings)
        width, height = self.found.size
        pixels = np.zeros((0, 0), dtype=np.bool_)
        for number, part in enumerate(parts):
            inside = polygon_pixels([rings[number]], width, height)
            for hole in part.interior:
                inside &= ~polygon_pixels([self._ring(hole, 3)], width, height)
            pixels = inside if number == 0 else pixels | inside
        mask = mask_rle(pixels)
        return "mask", mask, rle_bounds(mask)

    def _bitmap(self, bitmap: dict[str, Any] | None) -> dict[str, Any]:
        if bitmap is None or not isinstance(bitmap.get("data"), str):
            raise ValueError("it has no bitmap with data and origin")
        check_pixels(*self.found.size)
        try:
            data = base64.b64decode(bitmap["data"], validate=True)
        except binascii.Error as error:
            raise ValueError(f"the bitmap's data is not base64 ({error})") from error
        if data[:4] != b"\x89PNG":
            data = zlib.decompressobj().decompress(data, MOST_PIXELS)
        left, top = (int(value) for value in bitmap["origin"])
        return mask_rle(put_in(read_png(data), left, top, *self.found.size))

    def _nodes(self, nodes: dict[str, Any] | None, own: dict[str, Any]) -> list[list[float]]:
        if not nodes:
            raise ValueError("the graph has no nodes")
        of = own.get("of")
        slots = of if isinstance(of, int) and 0 <= of <= MOST_KEYPOINTS else 0
        points: list[list[float]] = [[0.0, 0.0, 0] for _ in range(slots)]
        for name, node in nodes.items():
            [[x, y]] = self._ring([tuple(node["loc"])], 1)
            point = [x, y, 1 if node.get("disabled") else 2]
            if name.isdecimal() and int(name) < slots:
                points[int(name)] = point
            else:
                points.append(point)
        return points

    def _oriented(self, points: Points, angle: float, ours: Any) -> tuple[str, Any, list[float]]:
        x, y, width, height = self._edges(self._ring(points, 2))
        shape = [x + width / 2, y + height / 2, width, height, angle]
        if isinstance(ours, list) and len(ours) == 5 and np.allclose(ours, shape, atol=1):
            shape = [float(value) for value in ours]
        corners = rotated_corners(np.array([shape], dtype=np.float64))[0]
        if not np.isfinite(corners).all():
            raise ValueError("its angle is no finite number")
        return "rotated_box", shape, bounds([corners.tolist()])


def _instance(shape: Object) -> tuple[Any, ...]:
    """What objects that are parts of one label have in common; for others a key of their own."""
    if shape.instance is None:
        return (id(shape),)
    return (shape.classTitle, shape.instance)


def _guessed(shape: Object) -> str:
    """The type of an object that does not say it, as older files do not."""
    if shape.bitmap is not None:
        return "bitmap"
    if shape.nodes is not None:
        return "graph"
    return "multipolygon" if shape.parts is not None else ""


def sniff(path: Path) -> bool:
    """Whether the folder is a project or a data set of one, or the file one of its files."""
    if path.is_dir():
        side = read_side(path)
        if side:
            return side.get("format") == "supervisely"
        return ((path / META).is_file() and bool(annotation_files(path))) or (
            (path / "ann").is_dir() and (path / "img").is_dir()
        )
    if path.suffix.lower() != ".json" or path.name in (META, SIDE_FILE):
        return False
    with path.open("rb") as file:
        head = file.read(1 << 20)
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
        and all(key in head for key in (b'"size"', b'"objects"'))
        and (b'"classTitle"' in head or (b'"description"' in head and b'"tags"' in head))
    )

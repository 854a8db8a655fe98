"""The reader of Supervisely's projects, or of one file of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import SUFFIXES
from nbannotate.formats.shared.json_files import blamed, decode, decode_each, load, parsed
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of
from nbannotate.formats.shared.reading import walk
from nbannotate.formats.shared.side import SIDE_FILE, read_side
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems
from nbannotate.formats.supervisely.objects import Found, Object, Objects, who_of
from nbannotate.formats.supervisely.tags import TagsIn

META = "meta.json"


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
            Objects(coming, item, tags, 0.5 * whole).add()
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
) -> Found | None:
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
    return Found(file, key, (int(size[0]), int(size[1])), objects)


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
        values = who_of(row) | (mine or {}) | ({} if text is None else {"text": text})
        coming.rows.add(key, kind, label, attributes=attributes_of(values), own=values)


def _are_pixels(found: list[Found]) -> bool:
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

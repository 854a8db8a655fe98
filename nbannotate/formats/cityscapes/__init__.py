"""Cityscapes: polygons in JSON, the later ones on top, and pictures of them, an image each.

``gtFine/SPLIT/CITY/NAME_gtFine_polygons.json`` belongs to
``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png``. Beside it are pictures of the same: the class of
each pixel (labelIds), class × 1000 + number for classes with instances (instanceIds), and colours.
A scheme with other classes than Cityscapes' has ids of its own, from 1, all with instances.

Source: github.com/mcordts/cityscapesScripts, README; cityscapes-dataset.com, "Class definitions".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.conversion import outline_of
from nbannotate.core.dataset import Dataset
from nbannotate.core.raster import polygon_pixels
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.rings import Ring, bounds
from nbannotate.errors import FormatError
from nbannotate.formats.cityscapes.classes import (
    COLOURS,
    GROUP,
    INSTANCES,
    OFFICIAL,
    is_group,
    numbers,
)
from nbannotate.formats.shared.extras import IMAGE_EXTRAS, KEY, LABEL_EXTRAS, image_extras, losses
from nbannotate.formats.shared.extras import label_extras as extras_of
from nbannotate.formats.shared.files import Copy, convert_to_png, new_folder, place, sizes
from nbannotate.formats.shared.json_files import blamed, decode, decode_each, load
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of
from nbannotate.formats.shared.outgoing import Label, Outgoing, outline
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.reading import walk
from nbannotate.formats.shared.segments import indexed_png, rgb_png
from nbannotate.formats.shared.side import SIDE_FILE, read_side, refuse_other_export, write_side
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES,
    OnError,
    Only,
    Problems,
    Split,
    on_images,
    reviewed,
    split_names,
)

KINDS = ("box", "polygon", "rotated_box", "mask")
_END = "_polygons.json"
_CITY = "all"


class _Object(msgspec.Struct):
    label: str
    polygon: list[tuple[float, float]]
    deleted: int | bool = 0
    nbannotate: Any = None


class _File(msgspec.Struct):
    objects: list[msgspec.Raw]
    imgHeight: float  # noqa: N815
    imgWidth: float  # noqa: N815
    nbannotate: Any = None


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    only: Only = "reviewed",
    root: str | Path | None = None,
    overwrite: bool = False,
    extras: bool = True,
) -> WriteReport:
    """Write Cityscapes' folders.

    Parameters
    ----------
    dataset
        What to write: polygons; boxes, rotated boxes and masks by their outlines. The attribute
        ``group``, true, makes ``cargroup`` of ``car``.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all is in ``train``.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: no images.
        Images that are no PNG are converted.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    overwrite
        Whether to replace an earlier export in the folder.
    extras
        Whether label ids, shapes, times, scores and the scheme go along in keys of our own.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, or the folder holds other things.
    """
    path, base = Path(path), None if root is None else Path(root)
    refuse_other_export(path, "cityscapes")
    ids = numbers([c.name for c in dataset.schema.classes])
    if len(ids) > 254:
        raise FormatError(path, "", f"{len(ids)} classes do not fit into 8 bits")
    official = ids.keys() <= OFFICIAL.keys()
    colours = COLOURS if official else {ids[c.name]: c.color for c in dataset.schema.classes}
    chosen = dataset.images[reviewed(dataset, KINDS, only)]
    labels = on_images(dataset, chosen)
    lost = losses(
        dataset, chosen, labels, "Cityscapes", kinds=KINDS,
        label_columns=(*LABEL_EXTRAS, "attributes", "source") if extras else (),
        image_columns=IMAGE_EXTRAS if extras else ("split",),
    )  # fmt: skip
    outgoing = Outgoing(labels, chosen.index, path, extras_of(labels) if extras else None)
    size = sizes(chosen, base, path).tolist()
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    pictures = plan_pictures(chosen, base, path, copy)
    own = image_extras(chosen)
    count = boxes = 0
    with new_folder(path, ("gtFine", "leftImg8bit"), SIDE_FILE, overwrite=overwrite) as out:
        for row, found in enumerate(outgoing.per_image(KINDS)):
            folder = f"{'train' if splits is None else splits[row]}/{_CITY}"
            stem = f"{pictures.stems[row]}"
            objects = [part for label in found for part in _objects(label, extras)]
            width, height = size[row]
            content: dict[str, Any] = {"imgHeight": height, "imgWidth": width, "objects": objects}
            if extras:
                content[KEY] = own[row] | {"image": chosen.index[row]}
            target = out / "gtFine" / folder / f"{stem}_gtFine"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.with_name(f"{target.name}{_END}").write_bytes(msgspec.json.encode(content))
            _write_pictures(target, objects, (width, height), ids, official, colours)
            count += len(found)
            boxes += sum(label.kind != "polygon" for label in found)
            if pictures.files is not None:
                image = out / "leftImg8bit" / folder / f"{stem}_leftImg8bit.png"
                source = pictures.files[row]
                if pictures.converted[row] or not source.lower().endswith(".png"):
                    convert_to_png(source, image)
                else:
                    image.parent.mkdir(parents=True, exist_ok=True)
                    place(source, image, copy)
        write_side(out, "cityscapes", dataset.schema, keys={}, names={})
    if boxes and not extras:
        lost["boxes and masks as such (their outlines are written)"] = boxes
    return WriteReport(path, len(chosen), count, lost)


def _objects(label: Label, extras: bool) -> list[dict[str, Any]]:
    """The objects of a label: one for each of its rings."""
    if label.kind == "polygon" and label.geometry:
        parts = outline(label)
    else:
        parts = outline_of(label.kind, label.box, label.geometry)
    whole = label.kind == "polygon" and parts is not None
    if parts is None:
        parts = outline_of("box", label.box, None) or []
    group = label.attributes.get("group") is True and OFFICIAL.get(label.label) in INSTANCES
    objects: list[dict[str, Any]] = []
    for number, ring in enumerate(parts):
        made: dict[str, Any] = {"label": label.label + GROUP * group, "polygon": ring}
        if extras:
            kept = dict(label.own)
            if label.attributes:
                kept["attributes"] = label.attributes
            if len(parts) > 1:
                kept["part"] = number
            if not whole and number == 0:
                kept |= {"kind": label.kind, "geometry": label.geometry, "box": label.box}
            made[KEY] = kept
        objects.append(made)
    return objects


def _write_pictures(
    target: Path,
    objects: list[dict[str, Any]],
    size: tuple[int, int],
    ids: dict[str, int],
    official: bool,
    colours: dict[int, str],
) -> None:
    classes = np.zeros((size[1], size[0]), dtype=np.int64)
    instances = classes.copy()
    seen: dict[int, int] = {}
    parts: dict[Any, int] = {}
    for item in objects:
        name = item["label"]
        base = name.removesuffix(GROUP) if official and is_group(name) else name
        number = ids[base]
        if number < 0:
            continue
        pixels = polygon_pixels([item["polygon"]], *size)
        value = number
        if base == name and (not official or number in INSTANCES):
            own = item.get(KEY, {})
            label_id = own.get("label_id") if "part" in own else None
            nth = parts.get(label_id) if label_id is not None else None
            if nth is None:
                nth = seen.get(number, 0)
                seen[number] = nth + 1
                if label_id is not None:
                    parts[label_id] = nth
            value = number * 1000 + nth
        classes[pixels], instances[pixels] = number, value
    palette = np.zeros(256, dtype=np.int64)
    for number, colour in colours.items():
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
        palette[number] = red + 256 * green + 65536 * blue
    for kind, content in (
        ("labelIds", indexed_png(classes, {})),
        ("instanceIds", indexed_png(np.minimum(instances, 65535), {}, deep=True)),
        ("color", rgb_png(palette[classes])),
    ):
        target.with_name(f"{target.name}_{kind}.png").write_bytes(content)


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read Cityscapes' polygons; the pictures of them are not looked at.

    ``cargroup`` becomes a ``car`` with the attribute ``group``. Objects that are marked as deleted
    are left out.

    Parameters
    ----------
    path
        A JSON file; or a folder of them, such as ``gtFine``, or one that holds it.
    on_error
        ``"raise"`` at the first bad file or object, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: ``leftImg8bit`` beside ``gtFine``.

    Raises
    ------
    FormatError
        Naming the file, the place as ``objects[3].polygon``, and the mend.
    """
    path = Path(path)
    files = [path] if path.is_file() else list(_polygon_files(path))
    if not files:
        raise FormatError(path, "", f"holds no files NAME{_END}; give the folder with gtFine")
    problems = Problems(path, on_error)
    coming = Coming(path, "cityscapes", problems)
    side = read_side(path) if path.is_dir() else {}
    paths: dict[str, str] = {}
    with blamed(path):
        for file in files:
            try:
                content = decode(load(file), _File, file)
            except FormatError as error:
                problems.add(error.where, error.why, file)
                continue
            own = own_of(content.nbannotate)
            name, where = _image(file, path, images)
            own = {"split": _split(file)} | own
            key = coming.image(name, "", own, (content.imgWidth, content.imgHeight))
            if key is None:
                continue
            paths[key] = where or key
            _read_objects(coming, key, file, content.objects)
        saved = side.get("schema") if side.get("format") == "cityscapes" else None
        dataset = coming.dataset(saved=saved)
        dataset.images["path"] = [paths[key] for key in dataset.images.index]
        return dataset


def _polygon_files(path: Path) -> Iterator[Path]:
    for name in walk(path, frozenset({".json"})):
        if name.endswith(_END):
            yield path / name


def _split(file: Path) -> str | None:
    return next((SPLIT_NAMES[p.name] for p in file.parents if p.name in SPLIT_NAMES), None)


def _image(file: Path, path: Path, images: str | Path | None) -> tuple[str, str | None]:
    """What the image of a file is called, and where it is if it is there."""
    stem = file.name.removesuffix(_END)
    for kind in ("_gtFine", "_gtCoarse"):
        stem = stem.removesuffix(kind)
    names = [f"{stem}_leftImg8bit.png", *(f"{stem}.{s}" for s in ("png", "jpg", "jpeg"))]
    top = next((p for p in file.parents if p.name in ("gtFine", "gtCoarse")), None)
    places = [Path(images)] if images is not None else []
    if top is not None:
        inner = file.parent.relative_to(top)
        places = [place / inner for place in places] or [top.parent / "leftImg8bit" / inner]
    for beside in (*places, file.parent):
        for name in names:
            if (beside / name).is_file():
                start = path if path.is_dir() else file.parent
                full = beside / name
                inside = full.is_relative_to(start)
                key = full.relative_to(start).as_posix() if inside else name
                return key, str(full)
    return (f"{file.parent.name}/{names[0]}" if top is not None else names[1]), None


def _read_objects(coming: Coming, key: str, file: Path, parts: list[msgspec.Raw]) -> None:
    problems, restored = coming.problems, set[str]()
    for number, found in enumerate(decode_each(parts, _Object, problems, "objects", file)):
        if found is None or found.deleted:
            continue
        where = f"objects[{number}]"
        ring: Ring = [list(point) for point in found.polygon]
        own = own_of(found.nbannotate)
        if not found.label.strip():
            problems.add(where, "has no label; give its class", file)
        elif len(ring) < 3 or not all(math.isfinite(value) for point in ring for value in point):
            problems.add(f"{where}.polygon", "is no polygon of 3 or more points; mend it", file)
        else:
            _add(coming, key, found.label, ring, own, number, restored)


def _add(
    coming: Coming,
    key: str,
    name: str,
    ring: Ring,
    own: dict[str, Any],
    number: int,
    restored: set[str],
) -> None:
    attributes = attributes_of(own)
    if is_group(name):
        name = name.removesuffix(GROUP)
        attributes = {**(attributes or {}), "group": True}
    if own.get("kind") in KINDS and isinstance(own.get("box"), list):
        coming.rows.add(key, own["kind"], name, own["box"], own.get("geometry"), attributes, own)
        restored.add(str(own.get("label_id")))
    elif "part" in own and str(own.get("label_id")) in restored:
        return  # of a mask that is there as a whole
    elif "part" in own:
        part = (key, str(own.get("label_id")))
        place = own["part"] if isinstance(own["part"], int) else number
        coming.rows.add_part(part, place, ring, key, "polygon", name, attributes, own)
    else:
        shape = ring if own.get("ring") else [ring]
        coming.rows.add(key, "polygon", name, bounds([ring]), shape, attributes, own)


def sniff(path: Path) -> bool:
    """Whether the file is JSON with an image's height and objects, or the folder holds such."""
    if path.is_dir():
        side = read_side(path)
        if side:
            return side.get("format") == "cityscapes"
        return (
            (path / "gtFine").is_dir() or path.name == "gtFine" or any(path.glob(f"*{_END}"))
        ) and next(_polygon_files(path), None) is not None
    if path.suffix.lower() != ".json":
        return False
    with path.open("rb") as file:
        head = file.read(1 << 20)
    return all(key in head for key in (b'"imgHeight"', b'"imgWidth"', b'"objects"'))


FORMAT = Format(
    name="cityscapes",
    kinds=KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="lines, points, tags and texts; other tools see boxes and masks as polygons",
)

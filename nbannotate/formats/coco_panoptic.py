"""COCO panoptic: a PNG an image in which each pixel has the id of its segment, and JSON of these.

Each image's pixels belong to one segment at most. A class is of things, that are counted, or of
stuff: the attribute ``isthing``, false, says that of labels.

Source: cocodataset.org, "Data format", panoptic segmentation; Kirillov et al., Panoptic
Segmentation.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.raster import FILLED
from nbannotate.core.registry import Format, WriteReport
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    KEY,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import Copy, new_folder, sizes
from nbannotate.formats.shared.json_files import blamed, check_side, decode, decode_each, load
from nbannotate.formats.shared.names import distinct, inside
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of
from nbannotate.formats.shared.outgoing import Label, Outgoing
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.segments import COVERED, Painted, masks, paint, read_indices, rgb_png
from nbannotate.formats.shared.side import SIDE_FILE, refuse_other_export, write_side
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

ISTHING = "isthing"


class _Category(msgspec.Struct):
    id: int
    name: str
    isthing: int | bool = 1


class _Image(msgspec.Struct):
    id: Any
    file_name: str
    width: float | None = None
    height: float | None = None
    nbannotate: Any = None


class _Segment(msgspec.Struct):
    id: int
    category_id: int
    iscrowd: int | bool = 0
    nbannotate: Any = None


class _Annotation(msgspec.Struct):
    image_id: Any
    file_name: str
    segments_info: list[msgspec.Raw] = []


class _File(msgspec.Struct):
    categories: list[_Category]
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
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
    stuff: Iterable[str] = (),
) -> WriteReport:
    """Write COCO panoptic: ``annotations/panoptic.json`` and its folder, or such for each split.

    Parameters
    ----------
    dataset
        What to write: masks, polygons, boxes and rotated boxes, as pixels. A later label of the
        table is on top of an earlier one.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``, if there are any.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: no images.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    overwrite
        Whether to replace an earlier export in the folder.
    extras
        Whether label ids, shapes, times, scores and the scheme go along in keys of our own.
    stuff
        Classes that are stuff, beside those whose labels say so.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, or the folder holds other things.
    """
    path, base = Path(path), None if root is None else Path(root)
    refuse_other_export(path, "coco_panoptic")
    chosen = dataset.images[reviewed(dataset, FILLED, only)]
    labels = on_images(dataset, chosen)
    lost = losses(
        dataset, chosen, labels, "COCO panoptic", kinds=FILLED,
        label_columns=(*LABEL_EXTRAS, "attributes", "source") if extras else (),
        image_columns=IMAGE_EXTRAS if extras else ("split",),
    )  # fmt: skip
    outgoing = Outgoing(labels, chosen.index, path, label_extras(labels) if extras else None)
    size = sizes(chosen, base, path).tolist()
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    pictures = plan_pictures(chosen, base, path, copy)
    names = distinct([f"{stem}.png" for stem in pictures.stems])
    not_things = _stuff(dataset, stuff)
    categories = [
        {"id": c.id, "name": c.name, "supercategory": "", "isthing": int(c.name not in not_things),
         "color": list(bytes.fromhex(c.color.removeprefix("#")))}
        for c in dataset.schema.classes
    ]  # fmt: skip
    ids = {c.name: c.id for c in dataset.schema.classes}
    parts: dict[str, list[int]] = {}
    for row in range(len(chosen)):
        parts.setdefault("panoptic" if splits is None else f"panoptic_{splits[row]}", []).append(
            row
        )
    parts = parts or {"panoptic": []}
    own, per_image = image_extras(chosen), list(outgoing.per_image(FILLED))
    count = 0
    with new_folder(path, ("annotations", "images"), SIDE_FILE, overwrite=overwrite) as out:
        for name, rows in parts.items():
            (out / "annotations" / name).mkdir(parents=True)
            images, annotations = [], []
            for row in rows:
                width, height = size[row]
                painted = paint(per_image[row], width, height, path, lost)
                (out / "annotations" / name / names[row]).write_bytes(rgb_png(painted.numbers))
                segments = _segments(painted, ids, extras)
                count += len(segments)
                image: dict[str, Any] = {"id": row + 1, "file_name": pictures.names[row],
                                         "width": width, "height": height}  # fmt: skip
                if extras:
                    image[KEY] = own[row] | {"image": chosen.index[row]}
                images.append(image)
                annotations.append({"image_id": row + 1, "file_name": names[row],
                                    "segments_info": segments})  # fmt: skip
            content = {"images": images, "annotations": annotations, "categories": categories}
            if extras:
                content[KEY] = {"version": 1, "schema": dataset.schema.to_dict()}  # type: ignore[assignment]
            (out / "annotations" / f"{name}.json").write_bytes(msgspec.json.encode(content))
        pictures.place((out / "images" / name for name in pictures.names), copy)
        write_side(out, "coco_panoptic", dataset.schema, keys={}, names={})
    if extras:
        lost.pop(f"labels with {COVERED}", None)  # they have their whole shape aside
    elif other := sum(label.kind != "mask" for found in per_image for label in found):
        lost["outlines of shapes (their pixels are written)"] = other
    return WriteReport(path, len(chosen), count, lost, tuple(pictures.notes))


def _stuff(dataset: Dataset, given: Iterable[str]) -> set[str]:
    said: dict[str, list[bool]] = {}
    for name, values in zip(dataset.labels["label"], dataset.labels["attributes"], strict=True):
        said.setdefault(name, []).append(bool(values) and values.get(ISTHING) is False)
    return {*given, *(name for name, every in said.items() if all(every))}


def _segments(painted: Painted, ids: dict[str, int], extras: bool) -> list[dict[str, Any]]:
    shapes = {number: (mask, box) for number, mask, box in
              masks(painted.numbers, range(1, len(painted.labels) + 1))}  # fmt: skip
    areas = np.bincount(painted.numbers.ravel(), minlength=len(painted.labels) + 1).tolist()
    segments = []
    for number, (label, whole) in enumerate(zip(painted.labels, painted.whole, strict=True), 1):
        segment: dict[str, Any] = {
            "id": number,
            "category_id": ids[label.label],
            "area": areas[number],
            "bbox": [int(side) for side in shapes[number][1]] if number in shapes else [0] * 4,
            "iscrowd": int(label.attributes.get("iscrowd") is True),
        }
        if extras:
            segment[KEY] = _own(label, whole)
        elif number not in shapes:
            continue  # nothing of it is to be seen
        segments.append(segment)
    return segments


def _own(label: Label, whole: bool) -> dict[str, Any]:
    own = dict(label.own)
    if label.attributes:
        own["attributes"] = label.attributes
    if label.kind != "mask" or not whole:
        own |= {"kind": label.kind, "geometry": label.geometry, "box": label.box}
    return own


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read COCO panoptic; each segment becomes a mask.

    Parameters
    ----------
    path
        A JSON file, whose PNGs are in the folder of its name; or a folder of such.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad rows and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.

    Raises
    ------
    FormatError
        Naming the file, the place as ``annotations[3].segments_info[0]``, and the mend.
    """
    path = Path(path)
    files = _files(path)
    if not files:
        raise FormatError(path, "", "is no JSON file and holds none with segments; check the path")
    dataset: Dataset | None = None
    for file in files:
        with blamed(file):
            part = _read_file(file, on_error, images)
        name = SPLIT_NAMES.get(file.stem.rpartition("_")[2].rstrip("0123456789"))
        if name is not None:
            part.images["split"] = part.images["split"].fillna(name)
        dataset = part if dataset is None else dataset.merge(part)
    assert dataset is not None
    return dataset


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted([*path.glob("*.json"), *path.glob("annotations/*.json")])
    return [file for file in found if file.name != SIDE_FILE and sniff(file)]


def _read_file(path: Path, on_error: OnError, folder: str | Path | None) -> Dataset:
    problems = Problems(path, on_error)
    coming = Coming(path, "coco_panoptic", problems)
    content = decode(load(path), _File, path)
    keys: dict[Any, tuple[str, tuple[float, float] | None]] = {}
    for number, image in enumerate(decode_each(content.images, _Image, problems, "images")):
        if image is None:
            continue
        size = None
        if image.width is not None and image.height is not None:
            size = (image.width, image.height)
        key = coming.image(image.file_name, f"images[{number}]", own_of(image.nbannotate), size)
        if key is not None:
            keys[image.id] = (key, size)
    classes = {c.id: c for c in content.categories}
    stuff = {c.id for c in content.categories if not c.isthing}
    rows = decode_each(content.annotations, _Annotation, problems, "annotations")
    for number, row in enumerate(rows):
        if row is None:
            continue
        where = f"annotations[{number}]"
        if row.image_id not in keys:
            problems.add(where, f'image_id {row.image_id!r} is not in "images"; add the image')
            continue
        _read_image(coming, row, where, *keys[row.image_id], classes, stuff)
    saved = own_of(content.nbannotate).get("schema")
    listed = [{"id": c.id, "name": c.name} for c in content.categories]
    if isinstance(saved, dict) and {(c.get("id"), c.get("name")) for c in saved["classes"]} != {
        (c["id"], c["name"]) for c in listed
    }:
        saved = None  # another tool has changed the categories since
    return coming.dataset(saved=saved, classes=() if saved else listed, folder=folder)


def _read_image(
    coming: Coming,
    row: _Annotation,
    where: str,
    key: str,
    size: tuple[float, float] | None,
    classes: dict[int, _Category],
    stuff: set[int],
) -> None:
    problems, path = coming.problems, coming.path
    segments = decode_each(row.segments_info, _Segment, problems, f"{where}.segments_info")
    try:
        numbers, _ = read_indices(inside(path.with_suffix(""), row.file_name, path))
    except FormatError as error:
        problems.add(f"{where}.file_name", str(error))
        return
    height, width = numbers.shape
    if (why := check_side(width, height)) or (size is not None and size != (width, height)):
        problems.add(where, why or f"the PNG has {width} × {height} pixels, the image {size}")
        return
    coming.images[key]["width"], coming.images[key]["height"] = width, height
    found = {number: (mask, box) for number, mask, box in
             masks(numbers, [s.id for s in segments if s is not None])}  # fmt: skip
    for place, segment in enumerate(segments):
        if segment is None:
            continue
        own = own_of(segment.nbannotate)
        if segment.category_id not in classes:
            problems.add(
                f"{where}.segments_info[{place}]",
                f'category_id {segment.category_id} is not in "categories"; add the category',
            )
        elif own.get("kind") in FILLED and isinstance(own.get("box"), list):
            shape = (own["kind"], own["box"], own.get("geometry"))
            _add(coming, key, shape, segment, own, classes, stuff)
        elif segment.id in found:
            mask, box = found[segment.id]
            _add(coming, key, ("mask", box, mask), segment, own, classes, stuff)
        else:
            problems.add(
                f"{where}.segments_info[{place}]",
                f"id {segment.id} has no pixels in {row.file_name!r}; mend or remove it",
            )


def _add(
    coming: Coming,
    key: str,
    shape: tuple[str, Any, Any],
    segment: _Segment,
    own: dict[str, Any],
    classes: dict[int, _Category],
    stuff: set[int],
) -> None:
    attributes = dict(attributes_of(own) or {})
    if segment.iscrowd and not own:
        attributes["iscrowd"] = True
    if segment.category_id in stuff and not own:
        attributes[ISTHING] = False
    kind, box, geometry = shape
    coming.rows.add(
        key, kind, classes[segment.category_id].name, box, geometry, attributes or None, own
    )


def sniff(path: Path) -> bool:
    """Whether the file is COCO's JSON with segments, or the folder holds such files."""
    if path.is_dir():
        return bool(_files(path))
    if path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(
            content.find(b'"%b"' % key) >= 0 for key in (b"images", b"categories", b"segments_info")
        )


FORMAT = Format(
    name="coco_panoptic",
    kinds=FILLED,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=("tags, texts, lines and points; other tools see pixels, each of one label only"),
)

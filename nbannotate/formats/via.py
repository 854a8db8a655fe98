"""VGG Image Annotator 2: its projects and its annotation files, in one JSON file.

VIA has no classes: shapes and files have attributes of any name. A class is the attribute
``label`` of a shape as we write it; of others the reader takes the one that is called like a
class, or the only one. What VIA has no place for is put beside a shape's attributes.

Source: VIA 2.0.12, "JSON file format", and its source code's ``via_import_annotations``.
"""

from __future__ import annotations

import json
import math
import mmap
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners, rotated_from_corners
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.rings import bounds
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.ellipses import as_ellipse, ellipse_ring
from nbannotate.formats.shared.json_files import blamed, decode, load
from nbannotate.formats.shared.one_file import KEY, Coming, dump, going, own_of, restored
from nbannotate.formats.shared.outgoing import Label, outline
from nbannotate.formats.shared.tables import OnError, Only, Problems
from nbannotate.formats.shared.values import as_text, settle, typed

_KINDS = (*PLACED_KINDS, "tag")
_LABEL = "label"
_CLASS_NAMES = ("label", "class", "name", "type", "category", "object", "classname")
_TAGS = "tags"


class _File(msgspec.Struct):
    filename: str
    regions: Any = None
    file_attributes: Any = None
    size: Any = None
    nbannotate: Any = None


@collector_off()
def write(
    dataset: Dataset, path: str | Path, *, only: Only = "reviewed", extras: bool = True
) -> WriteReport:
    """Write a VIA 2 project, which VIA opens with all its classes as choices.

    Parameters
    ----------
    dataset
        What to write. Boxes, polygons, polylines, ellipses and single points are VIA's own; of
        other shapes VIA sees the outline or the bounding box. A polygon in several parts is
        several regions. Tags become choices of the file's attribute ``tags``.
    path
        The file, whose name ends in .json.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    extras
        Whether label ids, times, scores and the scheme go along in keys of our own.

    Raises
    ------
    FormatError
        If the name is another, or a number is NaN or infinite.
    """
    path = Path(path)
    out = going(dataset, path, "VIA", _KINDS, only=only, extras=extras, carries=("attributes",))
    files: dict[str, Any] = {}
    count = 0
    sizes = out.images[["width", "height"]].astype(object)
    sizes = sizes.where(sizes.notna(), None)
    for key, own, size, labels in zip(
        out.images.index.tolist(),
        out.own,
        sizes.to_numpy().tolist(),
        out.outgoing.per_image(_KINDS),
        strict=True,
    ):
        regions: list[dict[str, Any]] = []
        tags: dict[str, bool] = {}
        kept_tags = []
        for label in labels:
            if label.kind == "tag":
                tags[label.label] = True
                kept_tags.append(label.own | {"label": label.label, "attributes": label.attributes})
            else:
                try:
                    regions += _regions(label, out.lost, extras=extras)
                except (ValueError, TypeError, IndexError, KeyError) as error:
                    raise out.outgoing.bad(label, error) from error
        count += len(labels)
        entry: dict[str, Any] = {
            "filename": key,
            "size": -1,  # bytes; VIA makes its keys of it
            "regions": regions,
            "file_attributes": {_TAGS: tags} if dataset.schema.tag_choices else {},
        }
        if extras:
            entry[KEY] = own | {"tags": kept_tags} | ({"size": size} if None not in size else {})
        files[f"{key}-1"] = entry
    project: dict[str, Any] = {
        "_via_settings": {"project": {"name": path.stem}, "core": {"default_filepath": ""}},
        "_via_img_metadata": files,
        "_via_attributes": _described(dataset),
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(files),
    }
    if extras:
        project[KEY] = {"version": 1, "schema": dataset.schema.to_dict()}
    dump(path, project)
    return out.report(path, count)


def _described(dataset: Dataset) -> dict[str, Any]:
    """What VIA asks of each region and file."""

    def choice(names: list[str], kind: str = "dropdown") -> dict[str, Any]:
        return {
            "type": kind, "description": "", "options": dict.fromkeys(names, ""),
            "default_options": {},
        }  # fmt: skip

    schema = dataset.schema
    region: dict[str, Any] = {_LABEL: choice([c.name for c in schema.classes])}
    for attribute in schema.attributes:
        if attribute.type == "bool":
            region[attribute.name] = choice(["true", "false"])
        elif attribute.type == "choice":
            region[attribute.name] = choice(list(attribute.choices))
        else:
            region[attribute.name] = {"type": "text", "description": "", "default_value": ""}
    tags = [c.name for c in schema.tag_choices]
    return {"region": region, "file": {_TAGS: choice(tags, "checkbox")} if tags else {}}


def _regions(label: Label, lost: dict[str, int], *, extras: bool) -> list[dict[str, Any]]:
    """The regions of one label: several if it is a polygon in several parts."""
    named = {name: as_text(value) for name, value in label.attributes.items()}
    shown = {name: text for name, text in named.items() if text is not None}
    attributes = shown | {_LABEL: label.label}
    shapes, own = _shapes(label)
    if not extras:
        if own.get("kind") or len(shapes) > 1:
            why = f"{label.kind} shapes that VIA has no place for (it sees outlines or boxes)"
            lost[why] = lost.get(why, 0) + 1
        return [{"shape_attributes": shape, "region_attributes": attributes} for shape in shapes]
    if label.attributes:
        own["attributes"] = label.attributes
    parts = [own | {"part": n} for n in range(len(shapes))] if len(shapes) > 1 else [own]
    return [
        {"shape_attributes": shape, "region_attributes": attributes, KEY: part}
        for shape, part in zip(shapes, parts, strict=True)
    ]


def _shapes(label: Label) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """VIA's shapes for a label, and what is put aside of it."""
    own, geometry = dict(label.own), label.geometry
    if label.kind == "polygon":
        ellipse = as_ellipse(geometry)
        if ellipse is not None:
            names = ("cx", "cy", "rx", "ry", "theta")
            exact = {"ellipse": True, "geometry": geometry}
            return [{"name": "ellipse"} | dict(zip(names, ellipse, strict=True))], own | exact
        parts = outline(label)
        if parts is not None:
            own |= {name: True for name in ("ring",) if label.own.get(name)}
            return [_points("polygon", part) for part in parts], own
    if label.kind == "polyline" and geometry and len(geometry) > 1:
        return [_points("polyline", geometry)], own
    if label.kind == "rotated_box" and geometry:
        corners = rotated_corners(np.array([geometry], dtype=np.float64))[0].tolist()
        return [_points("polygon", corners)], own | {"kind": label.kind, "geometry": geometry}
    x, y, width, height = label.box
    box = {"name": "rect", "x": x, "y": y, "width": width, "height": height}
    if label.kind == "box":
        return [box], own
    return [box], own | {"kind": label.kind, "geometry": geometry}


def _points(name: str, points: list[list[float]]) -> dict[str, Any]:
    xs, ys = zip(*(point[:2] for point in points), strict=True)
    return {"name": name, "all_points_x": list(xs), "all_points_y": list(ys)}


@collector_off()
def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    images: str | Path | None = None,
    label: str | None = None,
) -> Dataset:
    """Read a project of VIA 2, or the annotations that it exports as JSON.

    Parameters
    ----------
    path
        The file.
    on_error
        ``"raise"`` at the first bad file or region, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.
    label
        The attribute of a region that is its class; None: the one that is called like a class,
        else the only one.

    Raises
    ------
    FormatError
        Naming the image, the region as ``regions[3]``, and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "", "is no file; give VIA's .json")
    problems = Problems(path, on_error)
    coming = Coming(path, "via", problems)
    with blamed(path):
        content = decode(load(path), dict[str, Any], path)
        listed = content.get("_via_img_metadata", content)
        if not isinstance(listed, dict):
            raise FormatError(path, "_via_img_metadata", "is no object with an image each; mend it")
        found: list[tuple[str, str, dict[str, Any], int]] = []
        for name, entry in listed.items():
            try:
                file = msgspec.convert(entry, _File)
            except msgspec.ValidationError as error:
                problems.add(repr(name), f"{error}; mend it")
                continue
            own = own_of(file.nbannotate)
            key = coming.image(file.filename, repr(name), own)
            if key is None:
                continue
            _tags(coming, key, own_of(file.file_attributes), own.get("tags"))
            regions = file.regions or []
            for number, region in enumerate(
                regions.values() if isinstance(regions, dict) else regions
            ):
                if isinstance(region, dict):
                    found.append((key, name, region, number))
                else:
                    problems.add(f"{name!r}.regions[{number}]", "is no object; remove it")
        class_name = label or _class_attribute([region for _, _, region, _ in found])
        _labels(coming, found, class_name)
        saved = own_of(content.get(KEY)).get("schema")
        return coming.dataset(saved=saved, folder=images)


def _class_attribute(regions: list[dict[str, Any]]) -> str | None:
    """The attribute that is the class; None if none is."""
    count = Counter(name for region in regions for name in own_of(region.get("region_attributes")))
    for name in _CLASS_NAMES:
        for given in count:
            if given.strip().lower() == name:
                return given
    return next(iter(count)) if len(count) == 1 else None


def _labels(
    coming: Coming, found: list[tuple[str, str, dict[str, Any], int]], class_name: str | None
) -> None:
    own_attributes = [own_of(own_of(r.get(KEY)).get("attributes")) for _, _, r, _ in found]
    texts = [
        {} if own_of(region.get(KEY)) else _texts(region, class_name) for _, _, region, _ in found
    ]
    values = typed(texts, settle(texts, []))
    for row, (key, name, region, number) in enumerate(found):
        where = f"{name!r}.regions[{number}]"
        own = own_of(region.get(KEY))
        given = own_of(region.get("region_attributes"))
        label = _chosen(given.get(class_name)) if class_name else None
        if not label or not label.strip():
            what = f"has no {class_name!r}" if class_name else "has no attribute that is its class"
            coming.problems.add(where, f"{what}; give it one, or say which is it with label=…")
            continue
        try:
            kind, geometry, box = _shape(own_of(region.get("shape_attributes")), own)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            coming.problems.add(where, f"{error}; mend the shape")
            continue
        attributes: dict[str, Any] = own_attributes[row] or values[row]
        if "part" in own and kind == "polygon":
            part, group = own["part"], (key, str(own.get("label_id")))
            coming.rows.add_part(
                group, part if isinstance(part, int) and 0 <= part < 10**4 else None,
                geometry[0], key, kind, label, attributes, own,
            )  # fmt: skip
            continue
        if kind == "polygon" and own.get("ring"):
            geometry = geometry[0]
        coming.rows.add(key, kind, label, box, geometry, attributes, own)


def _texts(region: dict[str, Any], class_name: str | None) -> dict[str, Any]:
    given = own_of(region.get("region_attributes"))
    return {
        name: text
        for name, value in given.items()
        if name != class_name and name and (text := _chosen(value))
    }


def _chosen(value: Any) -> str | None:
    """The text of an attribute; of boxes that are checked their names."""
    if isinstance(value, dict):
        return ", ".join(str(name) for name, is_set in value.items() if is_set) or None
    return as_text(value)


def _tags(coming: Coming, key: str, given: dict[str, Any], kept: Any) -> None:
    ours = [tag for tag in kept if isinstance(tag, dict)] if isinstance(kept, list) else []
    names = []
    for name, value in given.items():
        if isinstance(value, dict):
            names += [str(tag) for tag, is_set in value.items() if is_set]
        elif name == _TAGS and (text := as_text(value)):
            names.append(text)
    for tag in dict.fromkeys(name for name in names if name.strip()):
        for own in [one for one in ours if one.get("label") == tag] or [{}]:
            values = {**own}
            attributes = own_of(values.pop("attributes", None))
            coming.rows.add(key, "tag", tag, attributes=attributes, own=values)


def _number(shape: dict[str, Any], name: str) -> float:
    value = shape.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} is {json.dumps(value, default=str)}, which is no number")
    return float(value)


def _shape(shape: dict[str, Any], own: dict[str, Any]) -> tuple[str, Any, list[float]]:
    """Kind, geometry and bounding box; `ValueError` says what is wrong."""
    name = shape.get("name")
    kept_kind, kept = restored(own)
    if name == "rect":
        box = [_number(shape, side) for side in ("x", "y", "width", "height")]
        if min(box[2:]) < 0:
            raise ValueError(f"a rect of {box[2]:g} × {box[3]:g} pixels has a negative side")
        return kept_kind, kept, box
    if name in ("circle", "ellipse"):
        x, y = _number(shape, "cx"), _number(shape, "cy")
        if name == "circle":
            radii = [_number(shape, "r")] * 2
            turn = 0.0
        else:
            radii = [_number(shape, "rx"), _number(shape, "ry")]
            turn = _number(shape, "theta") if shape.get("theta") is not None else 0.0
        ring = ellipse_ring(x, y, radii[0], radii[1], turn)
        # Ours come back to the last bit where nobody has changed them.
        exact = own.get("geometry") if own.get("ellipse") else None
        if exact is not None and as_ellipse(exact) == (x, y, *radii, turn):
            return "polygon", exact, bounds(exact if exact[0] and isinstance(
                exact[0][0], list) else [exact])  # fmt: skip
        return "polygon", [ring], bounds([ring])
    if name == "point":
        point = [_number(shape, "cx"), _number(shape, "cy")]
        return "keypoints", [[*point, 2]], [*point, 0.0, 0.0]
    if name in ("polygon", "polyline"):
        points = _all_points(shape, 3 if name == "polygon" else 2)
        if kept_kind == "rotated_box" and len(points) == 4:
            if isinstance(kept, list) and _close(points, kept):
                return "rotated_box", kept, bounds([points])
            return "rotated_box", rotated_from_corners([points])[0].tolist(), bounds([points])
        return str(name), [points] if name == "polygon" else points, bounds([points])
    raise ValueError(f"shape {name!r} is unknown")


def _close(points: list[list[float]], kept: list[float]) -> bool:
    try:
        return bool(np.abs(rotated_corners(np.array([kept], float))[0] - points).max() < 1e-9)
    except (ValueError, IndexError):
        return False


def _all_points(shape: dict[str, Any], least: int) -> list[list[float]]:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise ValueError("all_points_x and all_points_y are not two lists of one length")
    if len(xs) < least:
        raise ValueError(f"a {shape.get('name')} has {len(xs)} points; it needs {least} or more")
    return [[_number({"x": x}, "x"), _number({"y": y}, "y")] for x, y in zip(xs, ys, strict=True)]


def sniff(path: Path) -> bool:
    """Whether the file is a JSON object with VIA's regions."""
    if not path.is_file() or path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start.startswith(b"{"):
            return False
        return content.find(b'"_via_img_metadata"') >= 0 or all(
            content.find(b'"%b"' % key) >= 0 for key in (b"filename", b"regions")
        )


FORMAT = Format(
    name="via",
    kinds=_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "texts of images, ratings and choices; VIA itself sees rotated boxes as polygons, masks "
        "and key points as bounding boxes"
    ),
)

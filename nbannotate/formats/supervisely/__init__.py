"""Supervisely: a project's folder with ``meta.json`` and, for each image, ``ann/IMAGE.json``.

Coordinates are written as Supervisely's SDK counts them, in whole pixels whose centres are at
their numbers, so that an upload gives the same shapes; the SDK itself rounds them down.

Source: developer.supervisely.com, "Supervisely annotation format" and "Coordinate system"; and the
package supervisely 6.74, supervisely/geometry.
"""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.label_class import LabelClass
from nbannotate.core.masks import cut_out, mask_pixels
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    KEY,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import Copy, new_folder, sizes
from nbannotate.formats.shared.json_files import encoded
from nbannotate.formats.shared.outgoing import Label, Outgoing, outline
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.pixels import png_bytes
from nbannotate.formats.shared.side import SIDE_FILE, refuse_other_export, write_side
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES,
    Only,
    Split,
    count_lost,
    on_images,
    reviewed,
    split_names,
)
from nbannotate.formats.supervisely.objects import NATIVE
from nbannotate.formats.supervisely.reading import META, read, sniff
from nbannotate.formats.supervisely.tags import TagsOut

_KINDS = (*PLACED_KINDS, "tag", "text")
_ALL = "ds0"
Shape = dict[str, Any]


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    pixels: bool = True,
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
    overwrite: bool = False,
) -> WriteReport:
    """Write a Supervisely project.

    Parameters
    ----------
    dataset
        What to write. Tags become tags of the image, those of a group with one answer its value;
        texts of images become tags with a free value; attributes tags of objects. A polygon in
        several parts becomes several objects of one ``instance``.
    path
        The folder.
    split
        Fractions of train, val and test, each a data set of the project. None: the splits in
        ``dataset.images``; images without one are in ``ds0``.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: no images.
        Images whose EXIF turns them are converted to PNG.
    pixels
        Whether coordinates count whole pixels, as the SDK does; False: they are edges, as in the
        labelling tool.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    extras
        Whether label ids, scores and the like go along in keys of our own.
    overwrite
        Whether to replace an earlier export in the folder.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, a number is NaN or infinite, or the folder
        holds other things.
    """
    path, base = Path(path), None if root is None else Path(root)
    refuse_other_export(path, "supervisely")
    chosen = dataset.images[reviewed(dataset, _KINDS, only)]
    labels = on_images(dataset, chosen)
    tags = TagsOut(dataset.schema, labels["attributes"])
    native = ("text", *NATIVE)
    kept = (*LABEL_EXTRAS, "attributes", "source") if extras else (*native, "attributes")
    lost = losses(
        dataset, chosen, labels, "Supervisely", kinds=_KINDS, label_columns=kept,
        image_columns=IMAGE_EXTRAS if extras else ("split", "note"),
    )  # fmt: skip
    size = sizes(chosen, base, path).tolist()
    if split is not None:
        splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
        chosen = chosen.assign(split=pd.Series(splits, index=chosen.index, dtype="string"))
    folders = chosen["split"].str.lower().map(SPLIT_NAMES).fillna(_ALL).tolist()
    pictures = plan_pictures(chosen, base, path, copy)
    own = image_extras(chosen)
    outgoing = Outgoing(labels, chosen.index, path, label_extras(labels))
    objects = _Objects(outgoing, tags, lost, extras=extras, half=0.5 * pixels)
    with new_folder(path, (_ALL, *SPLITS, META), SIDE_FILE, overwrite=overwrite) as out:
        for folder in dict.fromkeys(folders):
            for part in ("ann", "img"):
                (out / folder / part).mkdir(parents=True)
        for row, found in enumerate(outgoing.per_image(_KINDS)):
            content = objects.file(found, size[row], own[row])
            if extras:
                content[KEY] |= {"image": str(chosen.index[row])}
            file = out / folders[row] / "ann" / f"{pictures.names[row]}.json"
            file.write_bytes(encoded(content, path))
        pictures.place(
            (out / folder / "img" / name
             for folder, name in zip(folders, pictures.names, strict=True)),
            copy,
        )  # fmt: skip
        (out / META).write_bytes(encoded(objects.meta(dataset), path))
        write_side(out, "supervisely", dataset.schema, keys={}, names={}, pixels=pixels)
    return WriteReport(path, len(chosen), len(outgoing) - objects.left, lost,
                       notes=tuple(pictures.notes))  # fmt: skip


class _Objects:
    """Labels as the objects and tags of a file.

    Parameters
    ----------
    outgoing
        Where they come from.
    tags
        The project's tags.
    lost
        What is left out is counted here.
    extras
        Whether objects get a key of our own.
    half
        How far a pixel's centre is from where it is counted: 0.5 or 0.
    """

    def __init__(
        self, outgoing: Outgoing, tags: TagsOut, lost: dict[str, int], *, extras: bool, half: float
    ) -> None:
        self.outgoing, self.tags, self.lost = outgoing, tags, lost
        self.extras, self.half = extras, half
        self.left = len([kind for kind in outgoing.kinds if kind not in _KINDS])
        self._types: dict[str, set[str]] = {}
        self._nodes: dict[str, int] = {}
        self._texts: dict[str, None] = {}

    def file(self, labels: list[Label], size: list[int], own: dict[str, Any]) -> dict[str, Any]:
        """The content of an image's file."""
        tags: list[dict[str, Any]] = []
        kept: list[dict[str, Any]] = []
        objects: list[Shape] = []
        for label in labels:
            if label.kind == "tag":
                tag = self.tags.of_image(label.label)
            elif label.kind == "text":
                name = label.label if isinstance(label.label, str) and label.label else "text"
                self._texts[name] = None
                tag = {"name": name, "value": label.text or ""}
            else:
                objects += self._shapes(label)
                continue
            more = {"attributes": label.attributes} if label.attributes else {}
            # An empty text and none look the same in a tag.
            text = {"text": label.text} if label.kind == "text" or label.text else {}
            own_tag = {k: v for k, v in label.own.items() if k not in NATIVE}
            kept.append(tag | {"kind": label.kind, "label": label.label} | own_tag | text | more)
            tags.append(tag | _who(label))
            if label.attributes and not self.extras:
                count_lost(self.lost, "labels' attributes", 1)
        content: dict[str, Any] = {
            "description": own.get("note") or "",
            "size": {"width": size[0], "height": size[1]},
            "tags": tags,
            "objects": objects,
        }
        if self.extras:
            content[KEY] = own | ({"tags": kept} if kept else {})
        return content

    def _shapes(self, label: Label) -> list[Shape]:
        try:
            parts = self._parts(label)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise self.outgoing.bad(label, error) from error
        tags, rest = self.tags.of_object(label.attributes)
        if not self.extras:
            count_lost(self.lost, "labels' attributes", bool(rest))
            if label.kind not in ("box", "mask") and parts[0][0] == "rectangle":
                why = f"{label.kind} shapes (their bounding boxes are written)"
                count_lost(self.lost, why, 1)
        self._types.setdefault(label.label, set()).update(kind for kind, _, _ in parts)
        if parts[0][0] == "graph":
            most = self._nodes.get(label.label, 0)
            self._nodes[label.label] = max(most, len(label.geometry))
        shapes = []
        for kind, body, own in parts:
            shape = {
                "classTitle": label.label,
                "description": label.text or "",
                "geometryType": kind,
                "tags": tags,
            } | body | _who(label)  # fmt: skip
            if len(parts) > 1:
                shape["instance"] = label.label_id
            if self.extras:
                more: dict[str, Any] = {"attributes": rest} if rest else {}
                if label.text == "":
                    more["text"] = ""
                shape[KEY] = {k: v for k, v in label.own.items() if k not in NATIVE} | more | own
            shapes.append(shape)
        return shapes

    def _parts(self, label: Label) -> list[tuple[str, Shape, dict[str, Any]]]:
        """Geometry type, keys and what is put aside of each object of the label."""
        kind, geometry = label.kind, label.geometry
        own: dict[str, Any]
        if kind == "polygon" and (rings := outline(label)):
            many = len(rings) > 1
            return [
                ("polygon", self._points(ring), {"part": n} if many else {})
                for n, ring in enumerate(rings)
            ]
        if kind == "polyline" and geometry and len(geometry) > 1:
            return [("line", self._points(geometry), {})]
        if kind == "keypoints" and geometry and any(point[2] > 0 for point in geometry):
            return self._keypoints(geometry)
        if kind == "rotated_box" and geometry:
            x, y, width, height, angle = geometry
            points = self._corners(x - width / 2, y - height / 2, width, height)
            own = {"geometry": geometry} if self._under_a_pixel(width, height) else {}
            return [("oriented_bbox", {"points": points, "angle": angle}, own)]
        if kind == "mask" and geometry:
            left, top, pixels = cut_out(mask_pixels(geometry))
            data = base64.b64encode(zlib.compress(png_bytes(pixels))).decode("ascii")
            return [("bitmap", {"bitmap": {"data": data, "origin": [left, top]}}, {})]
        x, y, width, height = label.box
        corners = self._corners(*label.box)
        own = {} if kind == "box" else {"kind": kind, "geometry": geometry}
        if self._under_a_pixel(*label.box[2:]):
            own["box"] = label.box
        return [("rectangle", {"points": {"exterior": corners, "interior": []}}, own)]

    def _under_a_pixel(self, width: float, height: float) -> bool:
        """Whether a side is too short for its two ends to be pixels."""
        small = min(width, height) < 2 * self.half
        if not self.extras:
            count_lost(self.lost, "sides under a pixel (one pixel is written)", small)
        return small

    def _corners(self, x: float, y: float, width: float, height: float) -> list[list[float]]:
        right, bottom = x + width - 2 * self.half, y + height - 2 * self.half
        return [[x, y], [max(x, right), max(y, bottom)]]

    def _keypoints(self, points: list[list[float]]) -> list[tuple[str, Shape, dict[str, Any]]]:
        if len(points) == 1:
            seen = {} if points[0][2] == 2 else {"visibility": points[0][2]}
            if seen and not self.extras:
                count_lost(self.lost, "keypoints whose visibility is left out", 1)
            return [("point", self._points([points[0][:2]]), seen)]
        nodes = {
            str(number): {"loc": [x - self.half, y - self.half]}
            | ({"disabled": True} if seen == 1 else {})
            for number, (x, y, seen) in enumerate(points)
            if seen > 0
        }
        if len(nodes) < len(points) and not self.extras:
            count_lost(self.lost, "keypoints without a place", len(points) - len(nodes))
        return [("graph", {"nodes": nodes}, {"of": len(points)})]

    def _points(self, ring: list[list[float]]) -> Shape:
        exterior = [[x - self.half, y - self.half] for x, y in ring]
        return {"points": {"exterior": exterior, "interior": []}}

    def meta(self, dataset: Dataset) -> dict[str, Any]:
        """The content of ``meta.json``."""
        classes = []
        for found in dataset.schema.classes:
            types = self._types.get(found.name, {"any"})
            classes.append(
                {
                    "title": found.name,
                    "shape": next(iter(types)) if len(types) == 1 else "any",
                    "color": found.color,
                    "geometry_config": self._template(found),
                    "hotkey": found.key or "",
                }
            )
        tags = self.tags.meta(self._texts)
        return {"classes": classes, "tags": tags, "projectType": "images"}

    def _template(self, found: LabelClass) -> dict[str, Any]:
        """The points that graphs of the class may have, and what joins them."""
        count = self._nodes.get(found.name, 0)
        names = [*found.keypoints, *map(str, range(len(found.keypoints), count))][:count]
        if not names:
            return {}
        nodes = {
            str(number): {"label": name, "loc": [10 * number, 10 * number], "color": found.color}
            for number, name in enumerate(names)
        }
        edges = [
            {"src": str(start), "dst": str(end), "color": found.color}
            for start, end in found.skeleton
            if max(start, end) < count
        ]
        return {"nodes": nodes, "edges": edges}


def _who(label: Label) -> dict[str, Any]:
    """By whom and when the label was made."""
    return {theirs: label.own[ours] for ours, theirs in NATIVE.items() if ours in label.own}


FORMAT = Format(
    name="supervisely",
    kinds=_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="ratings and choices; its SDK rounds coordinates down to whole pixels",
)

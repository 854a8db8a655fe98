"""Hugging Face's image folder with metadata: what ``datasets.load_dataset(folder)`` reads.

Each split is a folder of images with ``metadata.parquet``, whose schema carries the features, or
``metadata.jsonl``, which has no types: there classes are names. ``nbannotate.json`` holds the
scheme and, with extras, what the columns cannot.

Source: huggingface.co/docs/datasets, "Create an image dataset"; datasets 5.2,
packaged_modules/folder_based_builder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import CLASSED_KINDS, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.hf_imagefolder.features import Columns
from nbannotate.formats.hf_imagefolder.reading import FOLDERS, read, sniff
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import Copy, new_folder, sizes
from nbannotate.formats.shared.json_files import encoded
from nbannotate.formats.shared.outgoing import Label, Outgoing, outline
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.side import SIDE_FILE, refuse_other_export, write_side
from nbannotate.formats.shared.tables import (
    Only,
    Split,
    count_lost,
    on_images,
    reviewed,
    split_names,
)

_KINDS = (*CLASSED_KINDS, "text")


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    metadata: Literal["parquet", "jsonl"] = "parquet",
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
    overwrite: bool = False,
) -> WriteReport:
    """Write an image folder for Hugging Face's ``datasets``.

    Its columns are ``file_name``, ``width`` and ``height``; where there are classes ``objects``
    with ``bbox`` (x, y, width, height in pixels), ``categories``, ``area`` and ``id``, and, where
    there are polygons, ``segmentation`` (rings as x1, y1, x2, …); a column for each tag group, of
    a list if an image may bear several; and where there are texts of images ``text``.

    Parameters
    ----------
    dataset
        What to write.
    path
        The folder.
    metadata
        ``"parquet"``, which keeps types and classes, or ``"jsonl"``.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all is in ``train``.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: no images,
        which `datasets` does not read.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    extras
        Whether shapes, who, when and more go into ``nbannotate.json``.
    overwrite
        Whether to replace an earlier export in the folder.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, a number is not finite, a name stands for two
        columns, or the folder holds other things.
    """
    path, base = Path(path), None if root is None else Path(root)
    if metadata not in ("parquet", "jsonl"):
        raise FormatError(path, "", f"metadata={metadata!r}; use 'parquet' or 'jsonl'")
    refuse_other_export(path, "hf_imagefolder")
    chosen = dataset.images[reviewed(dataset, _KINDS, only)]
    labels = on_images(dataset, chosen)
    lost = losses(
        dataset, chosen, labels, "an image folder", kinds=_KINDS,
        label_columns=(*LABEL_EXTRAS, "attributes", "source") if extras else ("text",),
        image_columns=IMAGE_EXTRAS if extras else ("split",),
    )  # fmt: skip
    size = sizes(chosen, base, path).tolist()
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    pictures = plan_pictures(chosen, base, path, copy)
    outgoing = Outgoing(labels, chosen.index, path, label_extras(labels))
    columns = _columns(dataset.schema, labels, path)
    rows = _Rows(columns, metadata == "jsonl", lost, extras)
    content = [
        {"file_name": name, "width": side[0], "height": side[1]} | rows.row(found, key)
        for name, side, found, key in zip(
            pictures.names, size, outgoing.per_image(_KINDS), chosen.index, strict=True
        )
    ]  # fmt: skip
    folders = ["train"] * len(chosen) if splits is None else [FOLDERS[str(s)] for s in splits]
    with new_folder(path, FOLDERS.values(), SIDE_FILE, overwrite=overwrite) as out:
        for folder in dict.fromkeys(folders or ["train"]):
            (out / folder).mkdir()
            part = [row for row, where in zip(content, folders, strict=True) if where == folder]
            file = out / folder / f"metadata.{metadata}"
            if metadata == "parquet":
                pq.write_table(pa.Table.from_pylist(part, schema=columns.arrow()), file)
            else:
                file.write_bytes(b"".join(encoded(row, path) + b"\n" for row in part))
        placed = list(zip(folders, pictures.names, strict=True))
        pictures.place((out / folder / name for folder, name in placed), copy)
        side = {"images": _images(chosen, placed), "labels": rows.own} if extras else {}
        write_side(out, "hf_imagefolder", dataset.schema, keys={}, names={}, **side)
    notes = [*pictures.notes]
    if metadata == "jsonl":
        notes.append("JSON has no types: give datasets features=… where a split has no labels")
    return WriteReport(path, len(chosen), rows.count, lost, tuple(notes))


def _columns(schema: Schema, labels: pd.DataFrame, path: Path) -> Columns:
    kinds = labels["kind"]
    columns = Columns(
        classes=[c.name for c in schema.classes],
        groups={group.name: group for group in schema.tags},
        polygons=bool(kinds.eq("polygon").any()),
        texts=bool(kinds.eq("text").any()),
    )
    names = columns.names()
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(path, f"tag group {twice!r}", "has the name of a column; rename it")
    return columns


def _images(chosen: pd.DataFrame, placed: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        f"{folder}/{name}": {"image": str(key)} | own
        for (folder, name), key, own in zip(placed, chosen.index, image_extras(chosen), strict=True)
    }


class _Rows:
    """Labels of images as the columns of a row.

    Parameters
    ----------
    columns
        What columns there are.
    named
        Whether classes are their names, not their places.
    lost
        What is left out is counted here.
    extras
        Whether what the columns cannot carry is kept in `own`.
    """

    def __init__(self, columns: Columns, named: bool, lost: dict[str, int], extras: bool) -> None:
        self._columns, self._named, self._lost, self._extras = columns, named, lost, extras
        self._classes = {name: place for place, name in enumerate(columns.classes)}
        self._of = {c.name: group for group in columns.groups.values() for c in group.choices}
        self._places = {
            choice.name: place
            for group in columns.groups.values()
            for place, choice in enumerate(group.choices)
        }
        self.own: dict[str, Any] = {}
        self.count = 0

    def row(self, labels: list[Label], image: str) -> dict[str, Any]:
        """The columns of one image."""
        row: dict[str, Any] = {}
        if self._columns.classes:
            row["objects"] = self._objects([o for o in labels if o.kind in PLACED_KINDS])
        for name, group in self._columns.groups.items():
            found = [o for o in labels if o.kind == "tag" and self._of[o.label].name == group.name]
            answers = [o.label if self._named else self._places[o.label] for o in found]
            row[name] = answers if group.multiple else answers[0] if answers else None
            if not group.multiple:
                count_lost(self._lost, f"answers to {name!r} after the first", len(found[1:]))
            self._keep(found if group.multiple else found[:1], image)
        if self._columns.texts:
            found = [o for o in labels if o.kind == "text"]
            row["text"] = found[0].text if found else None
            count_lost(self._lost, "texts after the first one of an image", len(found[1:]))
            self._keep(found[:1], image)
        return row

    def _keep(self, found: list[Label], image: str) -> None:
        self.count += len(found)
        if self._extras:
            self.own |= {label.label_id: self._kept(label) | {"image": image} for label in found}

    def _objects(self, labels: list[Label]) -> dict[str, list[Any]]:
        objects: dict[str, list[Any]] = {
            "bbox": [label.box for label in labels],
            "categories": [
                label.label if self._named else self._classes[label.label] for label in labels
            ],
            "area": [label.box[2] * label.box[3] for label in labels],
            "id": [label.label_id for label in labels],
        }
        if self._columns.polygons:
            objects["segmentation"] = [_segmentation(label) for label in labels]
        self.count += len(labels)
        for label in labels:
            if self._extras:
                self.own[label.label_id] = self._kept(label)
            elif label.kind not in ("box", "polygon"):
                why = f"{label.kind} shapes (their bounding boxes are written)"
                count_lost(self._lost, why, 1)
        return objects

    def _kept(self, label: Label) -> dict[str, Any]:
        kept = {k: v for k, v in label.own.items() if k != "label_id"}
        if label.kind not in ("box", "tag", "text"):
            kept |= {"kind": label.kind, "geometry": label.geometry}
        if label.kind in ("tag", "text"):
            kept |= {"kind": label.kind, "label": label.label}
        if label.attributes:
            kept["attributes"] = label.attributes
        return kept


def _segmentation(label: Label) -> list[list[float]]:
    parts = outline(label) if label.kind == "polygon" else None
    return [[value for point in ring for value in point] for ring in parts or []]


FORMAT = Format(
    name="hf_imagefolder",
    kinds=_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "ratings and choices; datasets itself sees shapes other than polygons as bounding boxes"
    ),
)

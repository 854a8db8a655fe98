"""TFRecord of the TF Object Detection API: each image with its boxes in one record.

Boxes are fractions of the image's sides as floats of 32 bits; numbers of classes count from 1, as
in ``label_map.pbtxt``. The feature ``nbannotate/record`` has the labels as we have them, which
others pass over; ``nbannotate.json`` holds the scheme.

Source: github.com/tensorflow/models, research/object_detection, using_your_own_dataset.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import KINDS, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import needs_png, new_folder, opened, sizes, upright_png
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.records import records
from nbannotate.formats.shared.side import SIDE_FILE, refuse_other_export, write_side
from nbannotate.formats.shared.tables import Only, Split, on_images, reviewed, split_names
from nbannotate.formats.tfrecord.codec import encode, framed
from nbannotate.formats.tfrecord.reading import LABEL_MAP, RECORD, read, record_files

_FORMATS = frozenset({"jpg", "jpeg", "png"})


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Literal["link", "copy", "none"] = "copy",
    only: Only = "reviewed",
    root: str | Path | None = None,
    overwrite: bool = False,
    per_shard: int = 1_000,
) -> WriteReport:
    """Write TFRecord files: ``train.tfrecord``, or ``train.tfrecord-00000-of-00010`` and so on.

    Shapes have their bounding boxes in the lists that others read, tags are
    ``image/class/text``. The attributes ``difficult`` and ``truncated`` are 0 where a label has
    none.

    Parameters
    ----------
    dataset
        What to write: all labels.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all files are called ``data``.
    seed, by
        As in `Dataset.split`.
    copy
        Images are inside the files; ``"none"``: they are left out.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    overwrite
        Whether to replace an earlier export in the folder.
    per_shard
        How many images a file has.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, a number is not finite, the folder holds
        other things, or the package crc32c is missing.
    """
    path = Path(path)
    if per_shard < 1:
        raise FormatError(path, "", f"per_shard={per_shard}; a shard has 1 image or more")
    refuse_other_export(path, "tfrecord")
    chosen = dataset.images[reviewed(dataset, KINDS, only)]
    labels = on_images(dataset, chosen)
    part = Dataset(labels, chosen, dataset.schema)
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    if splits is not None:
        part.images["split"] = pd.Series(splits, index=chosen.index, dtype="string")
    size = sizes(chosen, None if root is None else Path(root), path)
    pictures = plan_pictures(chosen, None if root is None else Path(root), path, copy)
    files = pictures.files or []
    converted = [needs_png(file, _FORMATS, turns=frozenset()) for file in files]
    rows: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for row, record in enumerate(records(part, path)):
        rows.setdefault("data" if splits is None else str(splits[row]), []).append((row, record))
    owned = [file.name for file in record_files(path)] if path.is_dir() else []
    with new_folder(path, [*owned, LABEL_MAP], SIDE_FILE, overwrite=overwrite) as out:
        for name, found in rows.items():
            shards = -(-len(found) // per_shard)
            for number in range(shards):
                end = f"-{number:05}-of-{shards:05}" if shards > 1 else ""
                with (out / f"{name}.tfrecord{end}").open("wb") as file:
                    for row, record in found[number * per_shard : (number + 1) * per_shard]:
                        features = _features(record, size[row].tolist(), dataset.schema)
                        if files:
                            features |= _picture(files[row], is_png=converted[row])
                        file.write(framed(encode(features)))
        (out / LABEL_MAP).write_text(_label_map(dataset.schema), encoding="utf-8", newline="\n")
        write_side(out, "tfrecord", dataset.schema, keys={}, names={})
    lost = losses(
        dataset, chosen, labels, "TFRecord", kinds=KINDS, label_columns=labels.columns,
        image_columns=chosen.columns,
    )  # fmt: skip
    lost = {why: count for why, count in lost.items() if "column" not in why}
    notes = [f"{sum(converted)} images converted to upright PNG"] if any(converted) else []
    return WriteReport(path, len(chosen), len(labels), lost, tuple(notes))


def _features(record: dict[str, Any], size: list[int], schema: Schema) -> dict[str, Any]:
    """The features of an image and its labels."""
    labels = [label for label in record["labels"] if label["kind"] in PLACED_KINDS]
    tags = [label["label"] for label in record["labels"] if label["kind"] == "tag"]
    numbers = {c.name: n for n, c in enumerate(schema.classes, 1)}
    tag_numbers = {c.name: n for n, c in enumerate(schema.tag_choices, 1)}
    name = record["image"].encode()
    width, height = size
    boxes = np.array([[row["x"], row["y"], row["width"], row["height"]] for row in labels])
    boxes = boxes.reshape(-1, 4).astype(np.float64)
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    shares = (corners / np.array([width, height, width, height])).T
    try:
        texts = [row["label"].encode() for row in labels]
        own = msgspec.json.encode(record)
    except UnicodeEncodeError as error:
        raise FormatError("", "", f"a name is not Unicode text ({error}); rename it") from error
    features: dict[str, Any] = {
        "image/height": np.array([height]), "image/width": np.array([width]),
        "image/filename": [name], "image/source_id": [name], RECORD: [own],
        "image/object/class/text": texts,
        "image/object/class/label": _whole(numbers[row["label"]] for row in labels),
    }  # fmt: skip
    for side, share in zip(("xmin", "ymin", "xmax", "ymax"), shares, strict=True):
        features[f"image/object/bbox/{side}"] = share
    for flag in ("difficult", "truncated"):
        features[f"image/object/{flag}"] = _whole(
            (row.get("attributes") or {}).get(flag) is True for row in labels
        )
    if tags:
        features["image/class/text"] = [tag.encode() for tag in tags]
        features["image/class/label"] = _whole(tag_numbers[tag] for tag in tags)
    return features


def _whole(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)


def _picture(where: str, *, is_png: bool) -> dict[str, Any]:
    """The features of the image's own bytes."""
    if is_png:
        content = upright_png(where)
    else:
        with opened(where) as file:
            content = file.read()
    kind = b"png" if content.startswith(b"\x89PNG") else b"jpeg"
    digest = hashlib.sha256(content).hexdigest().encode()
    return {"image/encoded": [content], "image/format": [kind], "image/key/sha256": [digest]}


def _label_map(schema: Schema) -> str:
    return "".join(
        f"item {{\n  id: {number}\n  name: '{_escaped(c.name)}'\n}}\n"
        for number, c in enumerate(schema.classes, 1)
    )


def _escaped(name: str) -> str:
    return "".join(
        f"\\{letter}" if letter in "'\\" else f"\\{ord(letter):03o}" if letter < " " else letter
        for letter in name
    )


def sniff(path: Path) -> bool:
    """Whether the path is or holds a file that is called as TFRecord files are and begins so."""
    files = record_files(path) if path.is_dir() else record_files(path.parent)
    files = [file for file in files if path.is_dir() or file == path]
    if not files:
        return False
    with files[0].open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    return length + 16 <= files[0].stat().st_size


FORMAT = Format(
    name="tfrecord",
    kinds=KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="exact places for other tools: floats of 32 bits (ours are beside them)",
)

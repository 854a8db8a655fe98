"""OpenImages: CSV files of boxes and of labels of whole images, for each split.

A row of ``train-annotations-bbox.csv`` is ImageID, Source, LabelName, Confidence, XMin, XMax, YMin,
YMax, IsOccluded, IsTruncated, IsGroupOf, IsDepiction, IsInside; places are fractions of the
image's sides. ``images/train/ID.jpg`` are the images.

Source: storage.googleapis.com/openimages, "Open Images V7", data formats; the folders are those
that datumaro reads. ``nbannotate.json`` holds the scheme, keys and sizes.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.openimages.reading import CORNERS, FLAGS, META, label_files, read
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, new_folder, sizes
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.side import SIDE_FILE, refuse_other_export, write_side
from nbannotate.formats.shared.tables import (
    Only,
    Split,
    count_lost,
    on_images,
    refuse_bad_boxes,
    reviewed,
    split_names,
)

_KINDS = (*PLACED_KINDS, "tag")
_SUBSETS = {"train": "train", "val": "validation", "test": "test"}
_LABEL = ("ImageID", "Source", "LabelName", "Confidence")
_BOX = (*_LABEL, *CORNERS, *FLAGS.values())
_IMAGE = (
    "ImageID", "Subset", "OriginalURL", "OriginalLandingURL", "License", "AuthorProfileURL",
    "Author", "Title", "OriginalSize", "OriginalMD5", "Thumbnail300KURL", "Rotation",
)  # fmt: skip


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
) -> WriteReport:
    """Write OpenImages' CSV files in ``annotations``, images in ``images``.

    The attributes ``occluded``, ``truncated``, ``group_of``, ``depiction`` and ``inside`` (yes and
    no) have columns; -1 says that one is not known. Labels bear their class's name as the id.
    Labels with a score have it as the confidence and the source ``machine``.

    Parameters
    ----------
    dataset
        What to write: boxes, other shapes as their bounding boxes, and tags.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all images are of ``train``.
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

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, a number is not finite, or the folder holds
        other things.
    """
    path = Path(path)
    refuse_other_export(path, "openimages")
    chosen = dataset.images[reviewed(dataset, _KINDS, only)]
    on_chosen = on_images(dataset, chosen)
    labels = on_chosen[on_chosen["kind"].isin(_KINDS)]
    placed = labels["kind"].ne("tag").to_numpy(bool)
    refuse_bad_boxes(labels[placed], path)
    lost = losses(
        dataset, chosen, on_chosen, "OpenImages", kinds=_KINDS,
        label_columns=("attributes", "score"), image_columns=("split",),
    )  # fmt: skip
    lost.pop("images' column 'rotation'", None)
    outlines = int(labels.loc[placed, "kind"].ne("box").sum())
    count_lost(lost, "outlines of shapes (their bounding boxes are written)", outlines)
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    size = sizes(chosen, None if root is None else Path(root), path)
    pictures = plan_pictures(chosen, None if root is None else Path(root), path, copy)
    ids = pictures.stems
    subsets = ["train"] * len(ids) if splits is None else [_SUBSETS[str(name)] for name in splits]
    image = chosen.index.get_indexer(pd.Index(labels["image"]))
    rows = list(zip(*_columns(labels, placed, image, ids, size, lost), strict=True))
    rotation = chosen["rotation"] if "rotation" in chosen else pd.Series(0, chosen.index)
    turns = rotation.fillna(0).tolist()

    with new_folder(path, ("annotations", "images"), SIDE_FILE, overwrite=overwrite) as out:
        folder = out / "annotations"
        folder.mkdir()
        for subset in dict.fromkeys(subsets) if subsets else ("train",):
            here = [row for row, at in zip(rows, image, strict=True) if subsets[at] == subset]
            boxes = (row for row in here if row[4] != "")
            _put(folder / f"{subset}-annotations-bbox.csv", [_BOX, *boxes])
            tags = [row[:4] for row in here if row[4] == ""]
            if tags:
                name = f"{subset}-annotations-human-imagelabels.csv"
                _put(folder / name, [_LABEL, *tags])
        schema = dataset.schema
        names = dict.fromkeys(c.name for c in (*schema.classes, *schema.tag_choices))
        _put(folder / "class-descriptions-boxable.csv", [(name, name) for name in names])
        listed = [
            (one, subset, *[""] * 9, f"{float(turn):.1f}")
            for one, subset, turn in zip(ids, subsets, turns, strict=True)
        ]
        _put(folder / "image_ids_and_rotation.csv", [_IMAGE, *listed])
        # By it datumaro makes pixels of places where the images are not there.
        sides = zip(ids, size.tolist(), strict=True)
        meta = "".join(f"{shlex.quote(one)} {height} {width}\n" for one, (width, height) in sides)
        (folder / META).write_text(meta, encoding="utf-8", newline="\n")
        pictures.place(
            (out / "images" / s / n for s, n in zip(subsets, pictures.names, strict=True)), copy
        )
        write_side(
            out, "openimages", schema, keys=dict(zip(ids, chosen.index, strict=True)), names={},
            sizes=dict(zip(ids, size.tolist(), strict=True)), split=splits is not None,
        )  # fmt: skip
    return WriteReport(path, len(chosen), len(labels), lost, tuple(pictures.notes))


def _columns(
    labels: pd.DataFrame,
    placed: np.ndarray[Any, np.dtype[np.bool_]],
    image: np.ndarray[Any, np.dtype[np.intp]],
    ids: list[str],
    size: np.ndarray[Any, np.dtype[np.int64]],
    lost: dict[str, int],
) -> list[list[Any]]:
    """The columns of boxes; those of a tag are empty from the fifth on."""
    scores = labels["score"].to_numpy(dtype=np.float64)
    machine = ~np.isnan(scores)
    source = np.where(machine, "machine", np.where(placed, "freeform", "verification"))
    confidence = [f"{score:.12g}" if score == score else "1" for score in scores.tolist()]
    boxes = labels[BOX].to_numpy(dtype=np.float64)
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])[:, [0, 2, 1, 3]]
    share = corners / np.repeat(size[image], 2, axis=1).astype(np.float64)
    columns = [
        [ids[at] for at in image], source.tolist(), labels["label"].astype(object).tolist(),
        confidence,
    ]  # fmt: skip
    for column in share.T.tolist():
        # Six digits, as the set itself has, are a hundredth of a pixel on 10,000 of them.
        columns.append(["" if value != value else f"{value:.12g}" for value in column])
    flags = {name: [-1] * len(labels) for name in FLAGS}
    for row, (values, is_placed) in enumerate(zip(labels["attributes"], placed, strict=True)):
        for name, value in (values or {}).items():
            if is_placed and name in flags and isinstance(value, bool):
                flags[name][row] = int(value)
            elif value is not None:
                count_lost(lost, f"attribute {name!r} without a column of OpenImages", 1)
    return [*columns, *flags.values()]


def _put(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    text = "".join(f"{','.join(_quoted(str(value)) for value in row)}\n" for row in rows)
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except UnicodeEncodeError as error:
        raise FormatError(path, "", f"a name is not Unicode text ({error}); rename it") from error


def _quoted(text: str) -> str:
    # Python's csv leaves a carriage return bare, which readers take for the end of a line.
    if any(letter in text for letter in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def sniff(path: Path) -> bool:
    """Whether the path is or holds a CSV file with the columns ImageID, LabelName, Confidence."""
    if path.is_file() and path.suffix.lower() != ".csv":
        return False
    return bool(label_files(path))


FORMAT = Format(
    name="openimages",
    kinds=("box", "tag"),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "outlines, texts, who and when; attributes other than occluded, truncated, group_of, "
        "depiction and inside"
    ),
)

"""YOLO as ultralytics reads it, for detect, segment, obb and pose: images/, labels/, data.yaml.

``nbannotate.json`` beside data.yaml holds what YOLO cannot: the scheme with its ids, and the
image keys that could not be file names. Ultralytics does not look at it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.geometry import clamp
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.coco.keypoints import slots
from nbannotate.formats.shared.files import (
    Copy,
    convert_to_png,
    new_folder,
    open_image,
    opened,
    place,
    require_files,
    sizes,
    write_many,
)
from nbannotate.formats.shared.names import distinct, inside, safe_paths
from nbannotate.formats.shared.tables import (
    Only,
    Split,
    extra_columns,
    reviewed,
    split_names,
)
from nbannotate.formats.shared.text_folders import per_image
from nbannotate.formats.yolo.reading import SIDE_FILE, find_yaml, read
from nbannotate.formats.yolo.rows import (
    TASKS,
    Task,
    corners,
    outline,
    pose_values,
    ring_values,
    scaled,
)

_SMALLEST_IMAGE = 10  # px; ultralytics drops smaller ones
_READABLE = frozenset(("bmp", "jpg", "jpeg", "mpo", "png", "tif", "tiff", "webp"))
_ORIENTATION = 274
# What YAML wants escaped, though JSON does not; U+0085, U+2028 and U+2029 would end a line.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


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
    task: Task = "detect",
    overwrite: bool = False,
) -> WriteReport:
    """Write a YOLO data set, ready for ``yolo TASK train data=OUT/data.yaml``.

    Classes are numbered from 0 in the scheme's order, whatever their ids. An image without
    labels gets an empty file: a negative example.

    Parameters
    ----------
    dataset
        What to write; shapes that the task does not have are written as their bounding boxes.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all images are in train, and val is the same folder (the report says so).
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: labels
        and data.yaml only.
    only
        ``"reviewed"``: images that are done or have labels, for an image without a label counts
        as background; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    task
        ``"detect"``: boxes; ``"segment"``: polygons, those in several parts joined by lines;
        ``"obb"``: oriented boxes, by their four corners; ``"pose"``: boxes with key points, as
        many for each class. For ``classify`` write the format ``imagefolder``.
    overwrite
        Whether to replace an earlier export in the folder.

    Raises
    ------
    FormatError
        If there is no image to write, one is no file, its size is unknown, or the folder holds
        other things.
    """
    path = Path(path)
    base = None if root is None else Path(root)
    if copy not in ("link", "copy", "none"):
        raise FormatError(path, "", f"copy={copy!r}; use 'link', 'copy' or 'none'")
    chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
    if task not in TASKS:
        raise FormatError(
            path, "", f"task={task!r}; use {', '.join(map(repr, TASKS))}; for 'classify' write "
            "format='imagefolder'"
        )  # fmt: skip
    if chosen.empty:
        raise FormatError(
            path,
            "",
            f"none of the {len(dataset.images)} images is done or has a shape, so there is nothing "
            "to train on; label some, or take all as background with only='all'",
        )
    lost = extra_columns(dataset)
    _count(lost, "images not reviewed", len(dataset.images) - len(chosen))
    size = sizes(chosen, base, path)
    tiny: NDArray[np.bool_] = np.asarray((size < _SMALLEST_IMAGE).any(axis=1), dtype=np.bool_)
    _count(lost, f"images under {_SMALLEST_IMAGE} px, which ultralytics drops", int(tiny.sum()))
    chosen, size = chosen.loc[~tiny], size[~tiny]
    names = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    files = None if copy == "none" else require_files(chosen, base, path)
    converted = [False] * len(chosen) if files is None else [_unreadable(file) for file in files]
    written = _file_names(chosen.index, converted)
    rows = _Rows.of(dataset, chosen.index, size, lost)
    points = max(slots(dataset.schema.classes, rows.labels).values(), default=0)
    if task == "pose" and not points:
        raise FormatError(path, "", "no label has key points; draw some, or choose another task")
    text = _label_texts(rows, task, points, lost)
    folders = ["train"] * len(chosen) if names is None else [str(name) for name in names]

    with new_folder(path, ("images", "labels"), SIDE_FILE, overwrite=overwrite) as out:
        for name in dict.fromkeys(["train", *folders]):
            (out / "images" / name).mkdir(parents=True)
            (out / "labels" / name).mkdir(parents=True)
        stems = [f"{a}/{b.rpartition('.')[0]}" for a, b in zip(folders, written, strict=True)]
        for folder in dict.fromkeys(stem.rpartition("/")[0] for stem in stems):
            inside(out, f"labels/{folder}", path).mkdir(parents=True, exist_ok=True)
        labels = (f"{out}/labels/{stem}.txt" for stem in stems)
        write_many(zip(labels, text, strict=True))
        for row, (folder, name) in enumerate(zip(folders, written, strict=True)):
            if files is not None:
                target = out / "images" / folder / name
                if converted[row]:
                    convert_to_png(files[row], target)
                else:
                    place(files[row], target, copy)
        shape = [points, 3] if task == "pose" else None
        notes = _write_yaml(out / "data.yaml", dataset.schema, set(folders), names is None, shape)
        _write_side_file(out / SIDE_FILE, dataset.schema, folders, written, chosen.index, task)
    if any(converted):
        notes.append(f"{sum(converted)} images converted to upright PNG, for ultralytics to read")
    return WriteReport(path, len(chosen), len(rows.labels), lost, tuple(notes))


def _count(lost: dict[str, int], why: str, count: int) -> None:
    if count:
        lost[why] = lost.get(why, 0) + count


def _unreadable(where: str) -> bool:
    """Whether ultralytics and OpenCV would read the file otherwise than upright, or not at all."""
    if where.rpartition(".")[2].lower() not in _READABLE:
        return True
    with opened(where) as file:
        start = file.read(3)
        if start == b"\xff\xd8\xff":
            return False  # a JPEG: its orientation is applied
        file.seek(0)
        try:
            with open_image(file) as image:
                turned = image.getexif().get(_ORIENTATION, 1) != 1
                return turned or (image.format or "").lower() not in _READABLE
        except OSError as error:
            raise FormatError(
                where, "", f"cannot be read as an image ({error}); leave it out or mend it"
            ) from error


def _file_names(keys: pd.Index[str], converted: list[bool]) -> list[str]:
    # The last "images" of a path becomes "labels", so that none may come below images/train.
    names = safe_paths(keys, avoid=frozenset({"images"}))
    names = [
        # A suffix is what its readers know an image by.
        f"{name}.png" if png or "." not in name.rpartition("/")[2] else name
        for name, png in zip(names, converted, strict=True)
    ]
    return distinct(names, stems=True)


@dataclass(frozen=True)
class _Rows:
    """The labels that are written, in the order of their images.

    Parameters
    ----------
    labels
        A labels table.
    image, number
        Of each label: the place of its image and the number of its class.
    sides
        Of each label: width and height of its image in pixels, shape (n, 2).
    boxes
        Of each label: its box, clamped to the image, shape (n, 4).
    images
        How many images there are.
    """

    labels: pd.DataFrame
    image: NDArray[np.int64]
    number: NDArray[np.int64]
    sides: NDArray[np.float64]
    boxes: NDArray[np.float64]
    images: int

    @classmethod
    def of(
        cls, dataset: Dataset, keys: pd.Index[str], size: NDArray[np.int64], lost: dict[str, int]
    ) -> _Rows:
        """Those that have a place on these images; the others are counted as lost."""
        labels = dataset.labels
        at: NDArray[np.int64] = np.asarray(
            keys.get_indexer(pd.Index(labels["image"])), dtype=np.int64
        )
        placed = labels["kind"].isin(PLACED_KINDS).to_numpy()
        unplaced = labels.loc[(at >= 0) & ~placed, "kind"].astype(object).value_counts()
        for kind, count in unplaced.items():
            _count(lost, f"{kind} labels, for which YOLO has no place", int(count))
        _count(lost, "labels on images left out", int((at < 0).sum()))
        use: NDArray[np.int64] = np.flatnonzero(placed & (at >= 0))
        sides = size[at[use]].astype(np.float64)
        boxes = clamp(labels[BOX].to_numpy()[use], sides[:, 0], sides[:, 1])
        good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        _count(lost, "boxes without area inside their image", int((~good).sum()))
        order: NDArray[np.int64] = np.flatnonzero(good)[np.argsort(at[use][good], kind="stable")]
        kept = labels.iloc[use[order]]
        position = {c.name: place for place, c in enumerate(dataset.schema.classes)}
        number = np.asarray(kept["label"].astype(object).map(position), dtype=np.int64)
        return cls(kept, at[use[order]], number, sides[order], boxes[order], len(keys))


def _label_texts(rows: _Rows, task: Task, points: int, lost: dict[str, int]) -> list[str]:
    """The text of each image's file.

    Eight decimals: half a thousandth of a pixel, even on an image of 100,000.
    """
    if task == "detect":
        outlines = int(rows.labels["kind"].ne("box").sum())
        _count(lost, "outlines of shapes (their bounding boxes are written)", outlines)
        return _box_texts(rows)
    return per_image(_shape_lines(rows, task, points, lost), rows.image, rows.images)


def _box_texts(rows: _Rows) -> list[str]:
    values = np.empty((len(rows.number), 5))
    values[:, 0] = rows.number
    values[:, 1:] = scaled(rows.boxes, rows.sides)
    flat = tuple(values.ravel().tolist())
    ends = np.searchsorted(rows.image, np.arange(rows.images), side="right").tolist()
    line = "%d %.8f %.8f %.8f %.8f\n"
    return [
        line * (end - start) % flat[5 * start : 5 * end]
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def _shape_lines(rows: _Rows, task: Task, points: int, lost: dict[str, int]) -> str:
    lines = []
    found = zip(
        rows.labels["kind"].astype(object).tolist(),
        rows.labels[BOX].to_numpy().tolist(),
        rows.labels["geometry"].tolist(),
        rows.number.tolist(),
        rows.sides.tolist(),
        scaled(rows.boxes, rows.sides).tolist(),
        strict=True,
    )
    for kind, box, geometry, number, (width, height), centred in found:
        if task == "pose":
            exact = kind in ("box", "keypoints")
            shape = geometry if kind == "keypoints" else None
            spots, outside = pose_values(shape, points, width, height)
            _count(lost, "key points outside their image", outside)
            pose = " ".join(
                f"{x:.8f} {y:.8f} {flag}"
                for x, y, flag in zip(spots[::3], spots[1::3], spots[2::3], strict=True)
            )
            lines.append(f"{number} " + " ".join(f"{v:.8f}" for v in centred) + f" {pose}")
        else:
            around = outline if task == "segment" else corners
            ring, exact = around(kind, box, geometry)
            _count(lost, "mask shapes (their outlines are written)", kind == "mask" and exact)
            values, cut = ring_values(ring, width, height)
            _count(lost, "points outside their image (moved to its edge), on labels", int(cut))
            lines.append(f"{number} " + " ".join(f"{value:.8f}" for value in values))
        _count(lost, "outlines of shapes (their bounding boxes are written)", int(not exact))
    return "".join(f"{line}\n" for line in lines)


def quoted(text: str) -> str:
    """The text as a quoted YAML scalar, so that ``no`` and ``null`` stay names."""
    plain = json.dumps(text, ensure_ascii=False)
    return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", plain)


def _write_yaml(
    file: Path, schema: Schema, used: set[str], unsplit: bool, pose: list[int] | None
) -> list[str]:
    notes = []
    first = next((name for name in SPLITS if name in used), "train")
    folder = {name: name if name in used else first for name in ("train", "val")}
    # No `path`: a relative one would start from the working directory.
    lines = [f"train: {quoted('images/' + folder['train'])}"]
    if unsplit:
        notes.append("train and val are the same images: give split=(.8, .1, .1) to divide them")
    elif len({"train", "val"} & used) < 2:
        notes.append(f"too few images for train and val: both are {first}")
    lines += [f"# {note}" for note in notes]
    lines.append(f"val: {quoted('images/' + folder['val'])}")
    if "test" in used:
        lines.append(f"test: {quoted('images/test')}")
    if pose is not None:
        lines.append(f"kpt_shape: {pose}")
    names = [c.name for c in schema.classes]
    if names and names[0].startswith("n0"):
        # ultralytics takes such a first name for an ImageNet code and renames all classes.
        notes.append(f"class {names[0]!r} is called '_{names[0]}' in data.yaml")
        names[0] = f"_{names[0]}"
    lines += ["names:" if names else "names: {}"]
    lines += [f"  {number}: {quoted(name)}" for number, name in enumerate(names)]
    file.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")
    return notes


def _write_side_file(
    file: Path,
    schema: Schema,
    folders: list[str],
    written: list[str],
    keys: pd.Index[str],
    task: Task,
) -> None:
    renamed = {
        f"{folder}/{name}": key
        for folder, name, key in zip(folders, written, keys, strict=True)
        if name != key
    }
    content: dict[str, Any] = {"version": 1, "schema": schema.to_dict(), "keys": renamed}
    if task != "detect":
        content["task"] = task
    file.write_text(json.dumps(content), encoding="utf-8")


def sniff(path: Path) -> bool:
    """Whether the folder or YAML file names classes to train, or has images/, labels/."""
    if path.is_dir():
        return find_yaml(path) is not None or all(
            (path / name).is_dir() for name in ("images", "labels")
        )
    if path.suffix.lower() not in (".yaml", ".yml"):
        return False
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return re.search(r"^names\s*:", text, re.MULTILINE) is not None


FORMAT = Format(
    name="yolo",
    kinds=("box", "polygon", "rotated_box", "keypoints"),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "several kinds at once (task= says which), tags, attributes, texts, scores, who and when; "
        "images not reviewed; "
        "images are read back as files of the folder"
    ),
)

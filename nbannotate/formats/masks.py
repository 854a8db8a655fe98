"""Masks as pictures: an indexed PNG an image, whose pixels are the number of their class.

``images/NAME.jpg`` has ``masks/NAME.png``: 0 is the background, classes count from 1 in the order
of ``classes.txt``, each in its colour. ``instances/NAME.png`` tells the objects of a class apart,
counted from 1 in each image. With splits, each of these folders has one for each split, as
MMSegmentation has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.raster import FILLED
from nbannotate.core.registry import Format, WriteReport
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, new_folder, sizes, upright_size
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.one_file import Coming
from nbannotate.formats.shared.outgoing import Outgoing
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.reading import images_by_stem, read_text
from nbannotate.formats.shared.segments import Indices, indexed_png, masks, paint, read_indices
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_line,
    read_side,
    refuse_other_export,
    side_schema,
    texts,
    write_side,
    written_names,
)
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

CLASSES_FILE = "classes.txt"
_IMAGES = ("images", "img_dir", "imgs", "image")
_MASKS = ("masks", "ann_dir", "mask", "annotations", "SegmentationClass")
_LISTS = (CLASSES_FILE, "labelmap.txt", "label_map.txt", "labels.txt", "class_names.txt")
_IGNORED = 255
_MOST_COLOURS = 65_536


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
    instances: bool = True,
) -> WriteReport:
    """Write indexed PNG masks.

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
    instances
        Whether the objects of a class are told apart in pictures of their own.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, or the folder holds other things.
    """
    path, base = Path(path), None if root is None else Path(root)
    refuse_other_export(path, "masks")
    classes = dataset.schema.classes
    if len(classes) > 65_534:
        raise FormatError(path, "", f"{len(classes)} classes do not fit into 16 bits")
    chosen = dataset.images[reviewed(dataset, FILLED, only)]
    labels = on_images(dataset, chosen)
    lost = losses(
        dataset, chosen, labels, "masks", kinds=FILLED, image_columns=("split",)
    )  # fmt: skip
    outgoing = Outgoing(labels, chosen.index, path)
    size = sizes(chosen, base, path).tolist()
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    pictures = plan_pictures(chosen, base, path, copy)
    # 255 is what trainers pass over.
    numbers = {c.name: n + (n >= _IGNORED) for n, c in enumerate(classes, 1)}
    colours = {numbers[c.name]: c.color for c in classes}
    names = written_names((c.name for c in classes), one_line)
    outlines = objects = merged = 0
    with new_folder(
        path, ("images", "masks", "instances", CLASSES_FILE), SIDE_FILE, overwrite=overwrite
    ) as out:
        for row, found in enumerate(outgoing.per_image(FILLED)):
            width, height = size[row]
            painted = paint(found, width, height, path, lost)
            of_class = np.array([0, *(numbers[label.label] for label in painted.labels)])
            folder = "" if splits is None else f"{splits[row]}/"
            pairs = [("masks", of_class[painted.numbers])]
            pairs += [("instances", painted.numbers)] if instances else []
            for kind, pixels in pairs:
                target = out / kind / f"{folder}{pictures.stems[row]}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(indexed_png(pixels, colours if kind == "masks" else _PALETTE))
            objects += len(painted.labels)
            merged += len(painted.labels) - len({label.label for label in painted.labels})
            outlines += sum(label.kind != "mask" for label in painted.labels)
        where = ["" if splits is None else f"{name}/" for name in
                 (splits if splits is not None else pictures.names)]  # fmt: skip
        placed = [f"{a}{b}" for a, b in zip(where, pictures.names, strict=True)]
        for name in placed:
            (out / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        pictures.place((out / "images" / name for name in placed), copy)
        lines = "".join(f"{numbers[c.name]} {names[c.name]}\n" for c in classes)
        (out / CLASSES_FILE).write_text(f"0 background\n{lines}", encoding="utf-8", newline="\n")
        keys = dict(zip((f"{a}{stem}" for a, stem in zip(where, pictures.stems, strict=True)),
                        chosen.index, strict=True))  # fmt: skip
        write_side(out, "masks", dataset.schema, keys=keys, names=names)
    for why, count in (
        ("outlines of shapes (their pixels are written)", outlines),
        ("objects that join another of their class", 0 if instances else merged),
    ):
        if count:
            lost[why] = count
    return WriteReport(path, len(chosen), objects, lost, tuple(pictures.notes))


# Colours of objects: neighbours look unlike.
_PALETTE = {n: f"#{n * 97 % 256:02x}{(n * 57 + 80) % 256:02x}{(n * 31 + 160) % 256:02x}"
            for n in range(1, 256)}  # fmt: skip


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read masks that are pictures.

    Parameters
    ----------
    path
        A folder with ``masks`` (also ``ann_dir``, ``annotations``), ``images`` beside it, and a
        list of the classes: ``classes.txt`` or ``labelmap.txt`` with a class a line: its name; or
        its number, its name and, for masks in colours, red, green and blue; or as CVAT has it.
        Without a list classes are called by their numbers. 255 is passed over unless listed.
    on_error
        ``"raise"`` at the first bad picture, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the masks.

    Raises
    ------
    FormatError
        Naming the file and the mend.
    """
    path = Path(path)
    problems = Problems(path, on_error)
    folder = _inner(path, _MASKS)
    if folder is None:
        raise FormatError(path, "", f"holds no folder {' or '.join(_MASKS)} of PNG pictures")
    coming = Coming(path, "masks", problems)
    with blamed(path):
        side = read_side(path)
        names, colours = _classes(path)
        real = texts(side, "names")
        names = {number: real.get(name, name) for number, name in names.items() if number}
        keys = texts(side, "keys")
        beside = Path(images) if images is not None else _inner(path, _IMAGES)
        pictures = images_by_stem(beside)
        found = _masks(folder)
        paths: dict[str, str] = {}
        for stem in sorted({*found, *pictures}):
            name = pictures.get(stem, f"{stem}.png")
            split = SPLIT_NAMES.get(stem.partition("/")[0].lower()) if "/" in stem else None
            # In our own exports an image that is not listed is called like its mask.
            own = {"image": keys.get(stem, stem if side else name), "split": split,
                   "status": "done" if stem in found else "todo"}  # fmt: skip
            file = beside / pictures[stem] if beside is not None and stem in pictures else None
            try:
                size = upright_size(str(file)) if file is not None else None
                rows = list(_rows(found.get(stem), folder, size, names, colours))
            except (OSError, ValueError) as error:
                problems.add("", str(error), file if isinstance(error, OSError) else None)
                continue
            if size is None:
                height, width = read_indices(found[stem])[0].shape
                size = (width, height)
            key = coming.image(name, name, own, size)
            if key is None:
                continue
            if file is not None:
                paths[key] = str(file)
            for number, mask, box in rows:
                coming.rows.add(key, "mask", names.get(number, str(number)), box, mask)
        schema = side_schema(side, names.values())
        dataset = coming.dataset(
            saved=None if schema is None else schema.to_dict(),
            classes=names.values() if schema is None else (),
        )
        dataset.images["path"] = [paths.get(key, key) for key in dataset.images.index]
        return dataset


def _masks(folder: Path) -> dict[str, Path]:
    """The masks by their relative paths without suffix."""
    names = images_by_stem(folder).items()
    return {stem: folder / name for stem, name in names if name.lower().endswith(".png")}


def _inner(path: Path, names: tuple[str, ...]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)


def _rows(
    file: Path | None,
    folder: Path,
    size: tuple[int, int] | None,
    names: dict[int, str],
    colours: dict[int, int],
) -> Iterator[tuple[int, Any, list[float]]]:
    """The number of the class, mask and box of each object of an image."""
    if file is None:
        return
    numbers = _numbers(file, colours)
    if size is not None and numbers.shape != size[::-1]:
        raise FormatError(
            file, "", f"has {numbers.shape[1]} × {numbers.shape[0]} pixels, its image "
            f"{size[0]} × {size[1]}; make it of that size",
        )  # fmt: skip
    there = [int(n) for n in np.unique(numbers)
             if n and (n != _IGNORED or n in names)]  # fmt: skip
    objects = folder.parent / "instances" / file.relative_to(folder)
    if not objects.is_file():
        yield from masks(numbers, there)
        return
    apart, _ = read_indices(objects)
    if apart.shape != numbers.shape:
        raise FormatError(objects, "", f"has not the size of {file.name}; make it anew")
    for number in np.unique(apart[np.isin(numbers, there)]).tolist():
        mine = np.where(apart == number, numbers, 0)
        yield from masks(mine, [n for n in np.unique(mine).tolist() if n in there])


def _numbers(file: Path, colours: dict[int, int]) -> Indices:
    numbers, mode = read_indices(file)
    if mode != "RGB":
        return numbers
    values, inverse = np.unique(numbers, return_inverse=True)
    if not colours and (values == (values & 255) * 65793).all():
        return numbers & 255  # a grey picture, saved in colours
    unknown = [value for value in values.tolist() if value not in colours]
    if unknown:
        red, green, blue = unknown[0] & 255, unknown[0] >> 8 & 255, unknown[0] >> 16
        raise FormatError(
            file, "", f"has the colour {red} {green} {blue}, which no class has; list the classes "
            f"in {CLASSES_FILE}, a line each: number name red green blue",
        )  # fmt: skip
    return np.array([colours[value] for value in values.tolist()])[inverse].reshape(numbers.shape)


def _classes(path: Path) -> tuple[dict[int, str], dict[int, int]]:
    """Names by their numbers, and numbers by colours as `read_indices` gives them."""
    file = next((path / name for name in _LISTS if (path / name).is_file()), None)
    names, colours = dict[int, str](), dict[int, int]()
    if file is None:
        return names, colours
    lines = [line for line in read_text(file).split("\n") if line.strip() and line[0] != "#"]
    numbered = all(re.match(r"\d{1,5}\s+\S", line) for line in lines)
    cvat = [re.fullmatch(r"(.*?):(\d+),(\d+),(\d+):[^:]*:[^:]*", line.strip()) for line in lines]
    start = (
        0 if lines and lines[0].partition(":")[0].strip() in ("background", "_background_") else 1
    )
    for place, (line, match) in enumerate(zip(lines[:_MOST_COLOURS], cvat, strict=False), start):
        number, name, rgb = place, line.strip(), None
        if match is not None:
            name, rgb = match[1], match.groups()[1:]
        elif numbered:
            head, _, rest = line.strip().partition(" ") if " " in line else line.partition("\t")
            number, name = int(head), rest.strip()
            coloured = re.fullmatch(r"(.*\S)\s+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})", name)
            if coloured is not None:
                name, rgb = coloured[1], coloured.groups()[1:]
        if number in names or name in names.values():
            raise FormatError(file, "", f"lists {name!r} or {number} twice; remove one line")
        names[number] = name
        if rgb is not None:
            red, green, blue = map(int, rgb)
            colours[red + 256 * green + 65536 * blue] = number
    return names, colours


def sniff(path: Path) -> bool:
    """Whether the path is a folder of images and of PNG pictures of the same names."""
    if not path.is_dir():
        return False
    side = read_side(path)
    if side:
        return side.get("format") == "masks"
    folder, beside = _inner(path, _MASKS), _inner(path, _IMAGES)
    if folder is None or beside is None or folder.name == "SegmentationClass":
        return False
    return not images_by_stem(beside).keys().isdisjoint(_masks(folder))


FORMAT = Format(
    name="masks",
    kinds=FILLED,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "outlines (they become pixels), pixels that two labels share, attributes, tags, texts, "
        "scores, who and when"
    ),
)

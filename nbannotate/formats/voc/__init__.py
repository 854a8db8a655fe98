"""Pascal VOC: a folder with an XML file an image, lists of images, and masks as indexed PNG.

Source: Everingham and Winn, The PASCAL Visual Object Classes Challenge 2012 Development Kit.
Corners of a box are 1-based and name the pixels that it still holds, so that ``xmin = x + 1`` and
``xmax = x + width``. Fractions of a pixel are written as VOC 2012 itself does.

Beyond the kit stand, as other tools have them: ``<polygon>`` (supervision, Roboflow),
``<attributes>`` and ``labelmap.txt`` (CVAT, datumaro). ``nbannotate.json`` holds the scheme, and
the keys and names that files cannot be called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, new_folder, sizes, write_many
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_line,
    refuse_other_export,
    write_lists,
    write_side,
    written_names,
)
from nbannotate.formats.shared.tables import (
    Only,
    Split,
    count_lost,
    on_images,
    refuse_bad_boxes,
    reviewed,
    split_names,
)
from nbannotate.formats.shared.xml_files import content, legal
from nbannotate.formats.voc import masks
from nbannotate.formats.voc.finding import sniff
from nbannotate.formats.voc.objects import Objects
from nbannotate.formats.voc.reading import LABEL_MAP, read

_FOLDERS = ("Annotations", "JPEGImages", "ImageSets", "SegmentationClass", "SegmentationObject")
_HEAD = """\
<annotation>
  <folder>JPEGImages</folder>
  <filename>%s</filename>
  <source>
    <database>nbannotate</database>
    <annotation>%s</annotation>
  </source>
  <size>
    <width>%d</width>
    <height>%d</height>
    <depth>3</depth>
  </size>
  <segmented>%d</segmented>
"""


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
    based: Literal[0, 1] = 1,
    integers: bool = False,
) -> WriteReport:
    """Write a Pascal VOC data set: Annotations, JPEGImages, ImageSets and masks.

    The attributes ``difficult``, ``truncated``, ``occluded`` and ``pose`` go into the elements of
    these names; where a label has no ``difficult`` or ``truncated``, 0 is written, as readers
    want. A box whose attribute ``part_of`` is the id of another label becomes a part of it.

    Parameters
    ----------
    dataset
        What to write. Boxes, polygons of one ring and masks are written as such, other shapes as
        their bounding boxes.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all images are listed in ``trainval.txt``.
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
    based
        1: VOC's own corners. 0: ``xmin = x``, ``xmax = x + width``, as several tools have it.
    integers
        Whether to round to whole pixels, for readers that fail at fractions.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, or the folder holds other things.
    """
    path = Path(path)
    base = None if root is None else Path(root)
    if based not in (0, 1):
        raise FormatError(path, "", f"based={based!r}; use 1, or 0 for corners that start at 0")
    refuse_other_export(path, "voc")
    chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
    on_chosen = on_images(dataset, chosen)
    labels = on_chosen[on_chosen["kind"].isin(PLACED_KINDS)]
    refuse_bad_boxes(labels, path)
    lost = losses(
        dataset, chosen, on_chosen, "Pascal VOC", kinds=PLACED_KINDS,
        label_columns=("attributes",), image_columns=("split",),
    )  # fmt: skip
    size = sizes(chosen, base, path)
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    pictures = plan_pictures(chosen, base, path, copy)
    names = written_names((c.name for c in dataset.schema.classes), lambda n: one_line(legal(n)))
    objects = Objects(labels, chosen.index, names, path, based=based, integers=integers)
    for why, count in objects.lost.items():
        count_lost(lost, why, count)

    with new_folder(path, _FOLDERS, SIDE_FILE, overwrite=overwrite) as out:
        (out / "Annotations").mkdir()
        source = "1-based inclusive corners" if based else "0-based corners"
        stems = pictures.stems

        def whole(image: int, text: str) -> str:
            name, masked = content(pictures.names[image]), image in objects.masks
            return f"{_HEAD % (name, source, *size[image], masked)}{text}</annotation>\n"

        write_many(
            (f"{out}/Annotations/{stems[image]}.xml", whole(image, text))
            for image, text in objects.texts()
        )
        _write_masks(out, objects, stems, size, masks.numbers(list(names)), path, lost)
        listed = ["trainval"] * len(chosen) if splits is None else splits
        write_lists(out / "ImageSets" / "Main", stems, listed)
        if objects.masks:
            write_lists(out / "ImageSets" / "Segmentation", stems, listed, sorted(objects.masks))
        _write_label_map(out / LABEL_MAP, names)
        pictures.place((out / "JPEGImages" / name for name in pictures.names), copy)
        keys = dict(zip(pictures.names, chosen.index, strict=True))
        write_side(out, "voc", dataset.schema, keys=keys, names=names)
    return WriteReport(
        path, len(chosen), objects.count, lost, tuple([*pictures.notes, *objects.notes])
    )


def _write_masks(
    out: Path,
    objects: Objects,
    stems: list[str],
    size: NDArray[np.int64],
    numbers: dict[str, int],
    path: Path,
    lost: dict[str, int],
) -> None:
    for image, found in objects.masks.items():
        width, height = size[image].tolist()
        classes = np.zeros((height, width), dtype=np.uint8)
        instances = np.zeros((height, width), dtype=np.uint8)
        for number, (label_id, name, geometry) in enumerate(found, 1):
            try:
                pixels = mask_pixels(geometry)
                if pixels.shape != classes.shape:
                    raise ValueError(f"its size is not that of the image, {width} × {height}")
            except (ValueError, TypeError, KeyError) as error:
                raise FormatError(
                    path, f"label {label_id!r}", f"mask: {error}; mend or delete the label"
                ) from error
            if number > masks.MOST or numbers[name] > masks.MOST:
                count_lost(lost, "masks beyond 254 of an image or of the classes", 1)
                continue
            count_lost(lost, "masks whose pixels another covers", int(instances[pixels].any()))
            classes[pixels], instances[pixels] = numbers[name], number
        for folder, indices in (("SegmentationClass", classes), ("SegmentationObject", instances)):
            (out / folder).mkdir(exist_ok=True)
            (out / folder / f"{stems[image]}.png").write_bytes(masks.encode(indices))


def _write_label_map(file: Path, names: dict[str, str]) -> None:
    """The list of classes of CVAT and datumaro: name:colour:parts:actions."""
    numbers = masks.numbers(list(names))
    official = dict(zip(masks.NAMES, range(1, 21), strict=True))
    listed = official if numbers.items() <= official.items() else numbers
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    for name, number in listed.items():
        colour = masks.PALETTE[number] if number <= masks.MOST else ()
        written = names.get(name, name).replace(":", "_")
        lines.append(f"{written}:{','.join(map(str, colour))}::")
    file.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")


FORMAT = Format(
    name="voc",
    kinds=("box", "polygon", "mask"),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "tags, texts, scores, who and when; outlines other than polygons of one ring and masks; "
        "pixels that two masks share"
    ),
)

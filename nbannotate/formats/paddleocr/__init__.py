"""PaddleOCR: a line an image, its path, a tab, and the texts in it as JSON; or its one text.

``images/Label.txt`` is where PPOCRLabel looks for it, and names the images as seen from the
folder above, which is the trainer's ``data_dir``. Splits have a list each: ``train.txt``.

Source: github.com/PaddlePaddle/PaddleOCR 2.10, doc/datasets and ppocr/data/imaug/label_ops.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.geometry import rotated_from_corners as rotated_from_corners
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.rings import bounds as bounds
from nbannotate.core.rings import box_ring
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.paddleocr.reading import CLASS, LABELS, TEXTS, UNREAD, read, sniff
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    KEY,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import Copy, new_folder
from nbannotate.formats.shared.files import upright_size as upright_size
from nbannotate.formats.shared.json_files import blamed as blamed
from nbannotate.formats.shared.json_files import decode_each as decode_each
from nbannotate.formats.shared.json_files import encoded
from nbannotate.formats.shared.one_file import Coming as Coming
from nbannotate.formats.shared.one_file import attributes_of as attributes_of
from nbannotate.formats.shared.one_file import own_of as own_of
from nbannotate.formats.shared.one_file import restored as restored
from nbannotate.formats.shared.outgoing import Label, Outgoing, outline
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.reading import image_below as image_below
from nbannotate.formats.shared.reading import read_text as read_text
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_line,
    read_side,
    refuse_other_export,
    write_side,
)
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES as SPLIT_NAMES,
)
from nbannotate.formats.shared.tables import (
    OnError as OnError,
)
from nbannotate.formats.shared.tables import (
    Only,
    Split,
    count_lost,
    on_images,
    reviewed,
    split_names,
)
from nbannotate.formats.shared.tables import (
    Problems as Problems,
)


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    task: Literal["detection", "recognition"] = "detection",
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
    overwrite: bool = False,
) -> WriteReport:
    """Write PaddleOCR's lists, and the images beside them.

    Parameters
    ----------
    dataset
        What to write. For detection: boxes, rotated boxes and polygons, each with its ``text``, or
        ``###`` if it has none; its class is ``key_cls`` unless it is ``text``; the attribute
        ``difficult``. For recognition: images with one text of the whole image.
    path
        The folder.
    task
        ``"detection"`` or ``"recognition"``.
    split
        Fractions of train, val and test, each with a list of its own. None: the splits in
        ``dataset.images``.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: no images.
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
        If an image is no file, a number is NaN or infinite, or the folder holds other things.
    """
    path, base = Path(path), None if root is None else Path(root)
    if task not in ("detection", "recognition"):
        raise FormatError(path, "", f"task={task!r}; use 'detection' or 'recognition'")
    refuse_other_export(path, "paddleocr")
    kinds = PLACED_KINDS if task == "detection" else ("text",)
    chosen = dataset.images[reviewed(dataset, kinds, only)]
    if task == "recognition":
        texts = dataset.labels["image"][dataset.labels["kind"].eq("text")]
        chosen = chosen[chosen.index.isin(texts.unique())]
    labels = on_images(dataset, chosen)
    kept = (*LABEL_EXTRAS, "attributes", "source") if extras else ("text", "attributes")
    lost = losses(
        dataset, chosen, labels, "PaddleOCR", kinds=kinds,
        label_columns=kept, image_columns=IMAGE_EXTRAS if extras else ("split",),
    )  # fmt: skip
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    pictures = plan_pictures(chosen, base, path, copy)
    outgoing = Outgoing(labels, chosen.index, path, label_extras(labels) if extras else None)
    names = [f"images/{name}" for name in pictures.names]
    line = _detections if task == "detection" else _recognition
    count, lines = 0, []
    for name, found in zip(names, outgoing.per_image(kinds), strict=True):
        text, written = line(found, outgoing, lost, extras)
        lines.append(f"{name}\t{text}\n")
        count += written
    with new_folder(path, _earlier(path), SIDE_FILE, overwrite=overwrite) as out:
        (out / "images").mkdir()
        if task == "detection":
            _write(out / "images" / LABELS, lines)
        elif splits is None:
            _write(out / f"{TEXTS}.txt", lines)
        start = "" if task == "detection" else f"{TEXTS}_"
        for split_name in dict.fromkeys([] if splits is None else splits):
            rows = np.flatnonzero(np.asarray(splits) == split_name).tolist()
            _write(out / f"{start}{split_name}.txt", [lines[row] for row in rows])
        pictures.place((out / name for name in names), copy)
        write_side(out, "paddleocr", dataset.schema, keys={}, names={},
                   images=_images(chosen, names) if extras else {})  # fmt: skip
    return WriteReport(path, len(chosen), count, lost, tuple(pictures.notes))


def _earlier(path: Path) -> list[str]:
    lists = [f"{start}{name}.txt" for name in SPLITS for start in ("", f"{TEXTS}_")]
    return ["images", f"{TEXTS}.txt", *lists] if read_side(path) else []


def _write(file: Path, lines: list[str]) -> None:
    file.write_text("".join(lines), encoding="utf-8", newline="\n")


def _images(chosen: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """What is put aside of each image."""
    size = chosen[["width", "height"]].astype(object)
    sizes = size.where(size.notna(), None).to_numpy().tolist()
    return {
        name: {"image": str(key)} | own | ({} if None in size else {"size": size})
        for name, key, own, size in zip(
            names, chosen.index, image_extras(chosen), sizes, strict=True
        )
    }


def _detections(
    labels: list[Label], outgoing: Outgoing, lost: dict[str, int], extras: bool
) -> tuple[str, int]:
    """The texts of an image as JSON, and how many they are."""
    made = [_detection(label, outgoing, lost, extras) for label in labels]
    return encoded(made, outgoing.path).decode(), len(made)


def _detection(
    label: Label, outgoing: Outgoing, lost: dict[str, int], extras: bool
) -> dict[str, Any]:
    own: dict[str, Any] = {k: v for k, v in label.own.items() if k != "text"}
    parts = outline(label) if label.kind == "polygon" else None
    points = box_ring(label.box)
    try:
        if parts is not None and len(parts) == 1:
            points = parts[0]
            own |= {"kind": "polygon"} | ({"ring": True} if label.own.pop("ring", None) else {})
        elif label.kind == "rotated_box" and label.geometry:
            points = rotated_corners(np.array([label.geometry], dtype=np.float64))[0].tolist()
            own["kind"] = label.kind
            if not extras:
                count_lost(lost, "rotated_box shapes (written as polygons)", 1)
        elif label.kind != "box":
            own |= {"kind": label.kind, "geometry": label.geometry}
            if not extras:
                count_lost(lost, f"{label.kind} shapes (their bounding boxes are written)", 1)
    except (ValueError, TypeError) as error:
        raise outgoing.bad(label, error) from error
    attributes = dict(label.attributes)
    made: dict[str, Any] = {
        "transcription": UNREAD[0] if label.text is None else label.text,
        "points": points,
        "difficult": attributes.pop("difficult") if _is_flag(attributes) else False,
    }
    if label.text in UNREAD:
        own["text"] = label.text
        if not extras:
            count_lost(lost, "texts that are the sign for none", 1)
    if label.label != CLASS:
        made["key_cls"] = label.label
    if attributes and not extras:
        count_lost(lost, "labels' attributes other than difficult", 1)
    if extras:
        if _is_flag(label.attributes) and not label.attributes["difficult"]:
            attributes["difficult"] = False
        made[KEY] = own | ({"attributes": attributes} if attributes else {})
    return made


def _is_flag(attributes: dict[str, Any]) -> bool:
    return isinstance(attributes.get("difficult"), bool)


def _recognition(
    labels: list[Label], outgoing: Outgoing, lost: dict[str, int], extras: bool
) -> tuple[str, int]:
    """The text of an image."""
    text = labels[0].text or ""
    line = one_line(text)
    count_lost(lost, "texts after the first one of an image", len(labels) - 1)
    count_lost(lost, "line breaks and tabs of texts", line != text)
    count_lost(lost, "labels' attributes", sum(bool(label.attributes) for label in labels))
    if extras:
        count_lost(lost, "what else is known of labels", sum(len(o.own) > 2 for o in labels))
    return line, 1


FORMAT = Format(
    name="paddleocr",
    kinds=(*PLACED_KINDS, "text"),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "tags, ratings and choices; PaddleOCR itself sees all shapes as polygons and of attributes "
        "difficult"
    ),
)

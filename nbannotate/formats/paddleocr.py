"""PaddleOCR: a line an image, its path, a tab, and the texts in it as JSON; or its one text.

``images/Label.txt`` is where PPOCRLabel looks for it, and names the images as seen from the
folder above, which is the trainer's ``data_dir``. Splits have a list each: ``train.txt``.

Source: github.com/PaddlePaddle/PaddleOCR 2.10, doc/datasets and ppocr/data/imaug/label_ops.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.geometry import rotated_corners, rotated_from_corners
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.rings import Ring, bounds
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    KEY,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import Copy, new_folder, upright_size
from nbannotate.formats.shared.json_files import blamed, decode_each
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of, restored
from nbannotate.formats.shared.outgoing import Label, Outgoing, outline
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.reading import image_below, read_text
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_line,
    read_side,
    refuse_other_export,
    write_side,
)
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES,
    OnError,
    Only,
    Problems,
    Split,
    count_lost,
    on_images,
    reviewed,
    split_names,
)

UNREAD = ("###", "*")
"""What stands for a text that nobody can read."""

_CLASS = "text"
_LABELS, _TEXTS = "Label.txt", "rec_gt"
_OTHERS = frozenset({"fileState.txt", "dict.txt", "requirements.txt", "classes.txt"})


class _Text(msgspec.Struct):
    transcription: str
    points: list[tuple[float, float]]
    difficult: bool | None = None
    key_cls: str | None = None
    nbannotate: Any = None


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
            _write(out / "images" / _LABELS, lines)
        elif splits is None:
            _write(out / f"{_TEXTS}.txt", lines)
        start = "" if task == "detection" else f"{_TEXTS}_"
        for split_name in dict.fromkeys([] if splits is None else splits):
            rows = np.flatnonzero(np.asarray(splits) == split_name).tolist()
            _write(out / f"{start}{split_name}.txt", [lines[row] for row in rows])
        pictures.place((out / name for name in names), copy)
        write_side(out, "paddleocr", dataset.schema, keys={}, names={},
                   images=_images(chosen, names) if extras else {})  # fmt: skip
    return WriteReport(path, len(chosen), count, lost, tuple(pictures.notes))


def _earlier(path: Path) -> list[str]:
    lists = [f"{start}{name}.txt" for name in SPLITS for start in ("", f"{_TEXTS}_")]
    return ["images", f"{_TEXTS}.txt", *lists] if read_side(path) else []


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
    return _json([_detection(label, outgoing, lost, extras) for label in labels], outgoing), len(
        labels
    )


def _json(value: Any, outgoing: Outgoing) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError as error:
        raise FormatError(
            outgoing.path, "", f"a text is not Unicode ({error}); mend the label"
        ) from error


def _detection(
    label: Label, outgoing: Outgoing, lost: dict[str, int], extras: bool
) -> dict[str, Any]:
    own: dict[str, Any] = {k: v for k, v in label.own.items() if k != "text"}
    parts = outline(label) if label.kind == "polygon" else None
    x, y, width, height = label.box
    points: Ring = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
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
    if label.label != _CLASS:
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


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read PaddleOCR's lists.

    Texts with a place become boxes if their four points are one, else polygons, of the class
    ``key_cls`` or ``text``; the text ``###`` is none. Texts without a place are of the image.

    Parameters
    ----------
    path
        A list; or a folder with lists, or with ``images/Label.txt``.
    on_error
        ``"raise"`` at the first bad line or text, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: that of the list or the one above.

    Raises
    ------
    FormatError
        Naming the file, the line, the place in it, and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    files = [path] if path.is_file() else lists(path)
    if not files:
        raise FormatError(path, "", f"holds no list such as train.txt or images/{_LABELS}")
    folder = path if path.is_dir() else path.parent
    side = next((read_side(p) for p in (folder, folder.parent) if (p / SIDE_FILE).is_file()), {})
    side = side if side.get("format") == "paddleocr" else {}
    with blamed(path):
        coming = Coming(path, "paddleocr", Problems(path, on_error))
        reader = _Reader(coming, side, folder, images)
        for file in files:
            reader.read(file)
        dataset = coming.dataset(saved=side.get("schema"))
        dataset.images["path"] = [reader.paths[key] for key in dataset.images.index]
        return dataset


def lists(folder: Path) -> list[Path]:
    """The lists in the folder: those of splits first, then PPOCRLabel's."""
    found = [file for file in sorted(folder.glob("*.txt")) if file.name not in _OTHERS]
    found += [folder / "images" / _LABELS]
    found.sort(key=lambda file: file.name == _LABELS)
    return [file for file in found if file.is_file() and _kind(file) is not None]


def _kind(file: Path) -> str | None:
    """Whether a list is of places with texts or of texts; None if it is none."""
    with file.open("rb") as content:
        head = content.read(1 << 16).decode("utf-8-sig", "replace").split("\n")[:20]
    rows = [line.partition("\t") for line in head if line.strip()]
    if not rows or not all(tab and re.search(r"\.\w{1,5}$", name) for name, tab, _ in rows):
        return None
    if all(value.lstrip().startswith("[") for _, _, value in rows) and any(
        '"points"' in value or value.strip() == "[]" for _, _, value in rows
    ):
        return "detection"
    return "recognition"


class _Reader:
    """Lists in, one at a time."""

    def __init__(
        self, coming: Coming, side: dict[str, Any], folder: Path, images: str | Path | None
    ) -> None:
        self.coming, self.problems = coming, coming.problems
        self.paths: dict[str, str] = {}
        self._own = own_of(side.get("images"))
        self._ours = bool(side)
        self._folders = [Path(images)] if images is not None else [folder, folder.parent]
        self._seen: set[str] = set()

    def read(self, file: Path) -> None:
        """Take in a list."""
        kind = _kind(file)
        words = re.split(r"[^a-z]+", file.stem.lower())
        split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)
        fresh: set[str] = set()
        for number, line in self._lines(file):
            where = f"line {number}"
            name, tab, value = line.partition("\t")
            if not tab:
                self.problems.add(where, "has no tab between the image and its texts", file)
                continue
            if file.name == _LABELS and name in self._seen:
                continue  # it stands in the list of a split as well
            fresh.add(name)
            key = self._image(name, split, where)
            if key is None:
                continue
            if kind == "recognition":
                self.coming.rows.add(key, "text", None, own={"text": value})
                continue
            try:
                parts = msgspec.json.decode(value, type=list[msgspec.Raw])
            except (msgspec.DecodeError, RecursionError) as error:
                self.problems.add(where, f"holds no JSON list of texts ({error}); mend it", file)
                continue
            found = decode_each(parts, _Text, self.problems, where, file)
            for place, text in enumerate(found):
                if text is not None:
                    self._text(key, text, f"{where}[{place}]", file)
        self._seen |= fresh

    def _lines(self, file: Path) -> Iterator[tuple[int, str]]:
        try:
            text = read_text(file)
        except FormatError as error:
            self.problems.add(error.where, error.why, file)
            return
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            if line.strip():
                yield number, line

    def _image(self, name: str, split: str | None, where: str) -> str | None:
        own = own_of(self._own.get(name))
        file = image_below(name, self._folders)
        file = file or image_below(Path(name).name, [*self._folders, self._folders[0] / "images"])
        size = None
        if file is not None:
            try:
                size = upright_size(str(file))
            except (OSError, ValueError) as error:
                self.problems.add("", f"cannot be read as an image ({error}); mend it", file)
                return None
        key = self.coming.image(name, where, {"split": split} | own, size)
        if key is not None:
            self.paths[key] = str(file) if file is not None else key
        return key

    def _text(self, key: str, text: _Text, where: str, file: Path) -> None:
        own = own_of(text.nbannotate)
        points: Ring = [list(point) for point in text.points]
        if len(points) < 3 or not all(math.isfinite(v) for point in points for v in point):
            why = "are not three or more points of finite numbers; mend them"
            self.problems.add(f"{where}.points", why, file)
            return
        attributes = dict(attributes_of(own) or {})
        if text.difficult:
            attributes["difficult"] = True
        words = text.transcription
        if own.get("text") == words or words not in UNREAD:
            own = own | {"text": words}
        kind, geometry, box = _shape(points, own)
        name = text.key_cls if text.key_cls and text.key_cls.strip() else _CLASS
        self.coming.rows.add(key, kind, name, box, geometry, attributes or None, own)


def _shape(points: Ring, own: dict[str, Any]) -> tuple[str, Any, list[float]]:
    box = bounds([points])
    kind = own.get("kind")
    if kind == "rotated_box" and len(points) == 4:
        return kind, rotated_from_corners([points])[0].tolist(), box
    x, y, width, height = box
    upright = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    whole = kind != "polygon" or "geometry" in own
    if whole and len(points) == 4 and np.allclose(points, upright, rtol=0, atol=1e-9):
        ours, geometry = restored(own)
        return ours, geometry, box
    return "polygon", points if own.get("ring") else [points], box


def sniff(path: Path) -> bool:
    """Whether the file is a list of images and JSON, or the folder holds lists."""
    if path.is_dir():
        side = read_side(path)
        if side:
            return side.get("format") == "paddleocr"
        return any(_kind(file) == "detection" or file.stem.startswith(_TEXTS)
                   for file in lists(path))  # fmt: skip
    return (
        path.suffix.lower() == ".txt"
        and path.name not in _OTHERS
        and (
            _kind(path) == "detection" or (_kind(path) is not None and path.stem.startswith(_TEXTS))
        )
    )


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

"""The reader of YOLO detection and segmentation folders: data.yaml, images/ and labels/."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.shared.files import SUFFIXES, upright_size
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.side import read_side
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES,
    OnError,
    Problems,
)
from nbannotate.formats.yolo.rows import TASKS, RowKind, Task, kind_of, plain_boxes

SIDE_FILE = "nbannotate.json"
_NOT_LABELS = {"classes.txt", "labels.txt", "notes.txt", "predefined_classes.txt"}


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise", task: Task | None = None) -> Dataset:
    """Read a YOLO data set.

    Class ids are the numbers in the files, unless our own ``nbannotate.json`` is there. An image
    with an empty label file is done, one without a label file is to do.

    Parameters
    ----------
    path
        ``data.yaml``, or the folder with it, or a folder with ``images`` and ``labels``.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad rows and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    task
        ``"detect"``, ``"segment"``, ``"obb"`` or ``"pose"``. None: what ``nbannotate.json`` says;
        a pose where data.yaml has ``kpt_shape``; else rows of 5 numbers are boxes, of 7 and more
        polygons. An oriented box and a polygon of four points look the same: say which.

    Raises
    ------
    FormatError
        Naming the file, the line and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    problems = Problems(path, on_error)
    if task not in (None, *TASKS):
        raise FormatError(path, "", f"task={task!r}; use {', '.join(map(repr, TASKS))}")
    with blamed(path):
        config = path if path.is_file() else find_yaml(path)
        root = path if path.is_dir() else path.parent
        content = {} if config is None else _load(config)
        names = _names(content, config, root)
        side = read_side(root)
        schema = _schema(names, side, path)
        try:
            row_kind = kind_of(content, task or _task(side))
        except ValueError as error:
            raise FormatError(config or path, "", str(error)) from error
        files, splits = _image_files(_places(content, config, root))
        keys = _keys(files, root, side)
        table = pd.DataFrame({"path": files, "split": splits}, index=keys)
        size, readable = _sizes(files, problems)
        table["width"], table["height"] = size[:, 0], size[:, 1]
        label_files = [_label_file(file) for file in files]
        texts = [_text(file, problems) for file in label_files]
        _name_orphans(label_files, problems)
        table["status"] = ["todo" if text is None else "done" for text in texts]
        if not names:
            schema = _numbered(texts)
            names = {c.id: c.name for c in schema.classes}
        # The files' names may bear a mark that the scheme's do not.
        names = dict(zip(names, (c.name for c in schema.classes), strict=True))
        labels = _labels(files, keys, texts, size, names, row_kind, problems)
        if not readable.all():
            labels = labels[labels["image"].isin(table.index[readable])]
        return problems.finish(Dataset(labels, table[readable], schema))


def find_yaml(folder: Path) -> Path | None:
    """The folder's data.yaml, by its name or as the only YAML file."""
    for name in ("data.yaml", "data.yml", "dataset.yaml"):
        if (folder / name).is_file():
            return folder / name
    found = sorted(folder.glob("*.yaml"))
    if len(found) == 1 and b"names" in found[0].read_bytes():
        return found[0]
    return None


def _load(config: Path) -> dict[str, Any]:
    try:
        # BaseLoader leaves all scalars texts: a class called no, null or 001 keeps its name.
        content = yaml.load(config.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else ""
        raise FormatError(config, where, f"is not YAML in UTF-8: {error}; mend it") from error
    if not isinstance(content, dict):
        raise FormatError(config, "", "has no train, val and names; write them as `key: value`")
    return content


def _names(content: dict[str, Any], config: Path | None, root: Path) -> dict[int, str]:
    listed = content.get("names")
    if isinstance(listed, dict):
        try:
            return {int(number): str(name) for number, name in listed.items()}
        except ValueError as error:
            raise FormatError(config or root, "names", f"{error}; number the classes") from error
    if isinstance(listed, list):
        return dict(enumerate(map(str, listed)))
    for file in (root / "classes.txt", root / "labels" / "classes.txt"):
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            return dict(enumerate(line for line in lines if line.strip()))
    if config is not None:
        raise FormatError(config, "names", "is missing; list the names of the classes")
    return {}


def _task(side: dict[str, Any]) -> Task | None:
    return next((task for task in TASKS if side.get("task") == task), None)


def _schema(names: dict[int, str], side: dict[str, Any], path: Path) -> Schema:
    try:
        schema = Schema.from_dict(side["schema"])
        ours = dict(enumerate(c.name for c in schema.classes))
        # The first name may have a mark against ultralytics' renaming.
        if ours == names or ours == {**names, 0: names.get(0, "").removeprefix("_")}:
            return schema
    except (KeyError, TypeError, AttributeError, SchemaError):
        pass
    try:
        return Schema(classes=names)
    except SchemaError as error:
        raise FormatError(path, "names", str(error)) from error


def _numbered(texts: list[str | None]) -> Schema:
    used = {line.split()[0] for text in texts if text for line in text.splitlines() if line.strip()}
    numbers = sorted({int(token) for token in used if token.isdigit()})
    return Schema(classes={number: str(number) for number in numbers})


def _places(
    content: dict[str, Any], config: Path | None, root: Path
) -> list[tuple[str | None, Path]]:
    """The split and the folder or list of images, in the order of the splits."""
    if config is not None and any(content.get(name) for name in ("train", "val", "test")):
        base = root / str(content.get("path") or "")
        found: list[tuple[str | None, Path]] = []
        for name in ("train", "val", "test"):
            value = content.get(name) or []
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, str):
                    raise FormatError(config, name, f"{item!r} is no path; write it as text")
                # Roboflow's exports lead one folder too high.
                options = [base / item, root / item, root / item.removeprefix("../")]
                there = next((option for option in options if option.exists()), None)
                if there is not None:
                    found.append((name, there))
                elif name == "train":
                    raise FormatError(
                        config, name, f"{item!r} is not there; mend the path or set `path`"
                    )
        return found
    divided = [
        (SPLIT_NAMES[part.name], part)
        for part in sorted((root / "images").glob("*"))
        if part.is_dir() and part.name in SPLIT_NAMES
    ]
    divided += [
        (SPLIT_NAMES[part.parent.name], part)
        for part in sorted(root.glob("*/images"))
        if part.parent.name in SPLIT_NAMES
    ]
    return [*divided] or [(None, root / "images" if (root / "images").is_dir() else root)]


def _image_files(places: list[tuple[str | None, Path]]) -> tuple[list[str], list[str | None]]:
    splits: dict[str, str | None] = {}
    for split, place in places:
        for file in _listing(place):
            # An image in train and val alike is in no split.
            splits[file] = split if splits.get(file, split) == split else None
    return list(splits), list(splits.values())


def _listing(place: Path) -> list[str]:
    """The images of a folder or list. Texts: a Path each takes as long as to read the file."""
    if place.is_file():
        lines = place.read_text(encoding="utf-8-sig").splitlines()
        return [str(place.parent / line.strip()) for line in lines if line.strip()]
    return sorted(
        f"{folder}/{name}"
        for folder, _, names in os.walk(place.as_posix(), followlinks=True)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122
    )


def _keys(files: list[str], root: Path, side: dict[str, Any]) -> list[str]:
    """Our own exports' keys; of others the path from the folder, or the whole path."""
    start = "" if root == Path() else f"{root.as_posix().rstrip('/')}/"
    ours = side.get("keys")
    keys = []
    for file in files:
        key = file.replace(os.sep, "/").removeprefix(start)
        if isinstance(ours, dict) and key.startswith("images/"):
            below = key.removeprefix("images/")
            key = ours.get(below, below.partition("/")[2])
        keys.append(key)
    return keys


def _sizes(files: list[str], problems: Problems) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    size = np.full((len(files), 2), np.nan)
    for row, file in enumerate(files):
        try:
            size[row] = upright_size(file)
        except (OSError, ValueError) as error:
            problems.add("", f"cannot be read as an image ({error}); mend it", Path(file))
    return size, np.isfinite(size).all(axis=1)


def _label_file(image: str) -> str:
    before, found, after = image.replace(os.sep, "/").rpartition("/images/")
    stem, _ = os.path.splitext(f"{before}/labels/{after}" if found else image)  # noqa: PTH122
    return f"{stem}.txt"


def _text(file: str, problems: Problems) -> str | None:
    try:
        with open(file, "rb", buffering=0) as content:  # noqa: PTH123  Path.open is slow
            return content.read().decode("utf-8-sig")
    except OSError:
        return None
    except UnicodeDecodeError as error:
        problems.add("", f"is not text in UTF-8 ({error.reason}); write it anew", Path(file))
        return None


def _name_orphans(files: list[str], problems: Problems) -> None:
    used = set(files)
    for folder in sorted({file.rpartition("/")[0] for file in used}):
        names = sorted(os.listdir(folder or ".")) if Path(folder).is_dir() else []  # noqa: PTH208
        for name in names:
            orphan = f"{folder}/{name}" if folder else name
            if name.endswith(".txt") and name not in _NOT_LABELS and orphan not in used:
                problems.add("", "has no image; put it back or delete the file", Path(orphan))


def _labels(
    files: list[str],
    keys: list[str],
    texts: list[str | None],
    size: NDArray[np.float64],
    by_number: dict[int, str],
    row_kind: RowKind,
    problems: Problems,
) -> pd.DataFrame:
    plain = plain_boxes(texts, by_number) if row_kind.task in (None, "detect") else None
    if plain is not None:
        return _boxes(keys, size, by_number, *plain)
    rows = [
        (image, line, tokens)
        for image, text in enumerate(texts)
        if text
        for line, tokens in enumerate(map(str.split, text.splitlines()), 1)
        if tokens
    ]
    numbers = [_floats(tokens) for _, _, tokens in rows]
    good = np.zeros(len(rows), dtype=bool)
    for row, values in enumerate(numbers):
        why = row_kind.why_bad(values, by_number)
        if why is None:
            good[row] = True
        else:
            image, line, _ = rows[row]
            problems.add(f"line {line}", why, Path(_label_file(files[image])))
    kept = np.flatnonzero(good).tolist()
    used = [numbers[row] for row in kept]
    places = [rows[row][0] for row in kept]
    frame = pd.DataFrame(
        {
            "image": [keys[image] for image in places],
            "label": [by_number[int(values[0])] for values in used],
        }
    )
    boxes = np.array([values[1:5] for values in used], dtype=np.float64).reshape(-1, 4)
    boxes[:, :2] -= boxes[:, 2:] / 2
    boxes *= np.tile(size[places], 2)
    kinds, geometry = ["box"] * len(used), list[Any]([None] * len(used))
    for row in (row for row, values in enumerate(used) if len(values) > 5):
        kinds[row], boxes[row], geometry[row] = row_kind.label(used[row], *size[places[row]])
    frame[BOX] = boxes
    frame["kind"] = kinds
    frame["geometry"] = pd.Series(geometry, dtype=object)
    frame["source"] = "import:yolo"
    return frame


def _boxes(
    keys: list[str],
    size: NDArray[np.float64],
    by_number: dict[int, str],
    image: NDArray[np.int64],
    numbers: NDArray[np.float64],
) -> pd.DataFrame:
    """A table of boxes: the image of each, shape (n,), and the numbers of its row, shape (n, 5)."""
    boxes = numbers[:, 1:]
    boxes[:, :2] -= boxes[:, 2:] / 2
    boxes *= np.tile(size[image], 2)
    frame = pd.DataFrame(boxes, columns=BOX)
    frame["image"] = pd.array(keys, dtype="string").take(image)
    codes = pd.Index(list(by_number)).get_indexer(pd.Index(numbers[:, 0].astype(np.int64)))
    names = pd.Index(list(by_number.values()))
    frame["label"] = pd.Categorical.from_codes(codes, categories=names)
    frame["source"] = pd.array(["import:yolo"], dtype="string").repeat(len(frame))
    return frame


def _floats(tokens: list[str]) -> list[float]:
    try:
        return list(map(float, tokens))
    except ValueError:
        return []

"""The reader of Hugging Face's image folders with metadata."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.rings import bounds, flat_to_rings
from nbannotate.core.tables import IMAGE_DTYPES
from nbannotate.errors import FormatError
from nbannotate.formats.hf_imagefolder.features import CATEGORIES, Meaning, features_of
from nbannotate.formats.shared.files import SUFFIXES, upright_size
from nbannotate.formats.shared.json_files import blamed, load
from nbannotate.formats.shared.names import inside
from nbannotate.formats.shared.one_file import Coming, attributes_of, own_of, restored
from nbannotate.formats.shared.reading import walk
from nbannotate.formats.shared.side import read_side
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems

FOLDERS = {"train": "train", "val": "validation", "test": "test"}
"""What the splits are called."""

_FILES = ("metadata.parquet", "metadata.jsonl")
_TEXTS = ("text", "caption")
_MOST_ROWS = 20_000_000


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read an image folder with metadata.

    ``objects`` with ``bbox`` and ``categories`` or ``category`` are labels; columns of the type
    ``ClassLabel``, or called ``label``, tags; ``text`` and ``caption`` texts; the others become
    columns of the images. Images that no metadata are about are to do.

    Parameters
    ----------
    path
        The folder, or one file called metadata.
    on_error
        ``"raise"`` at the first bad row or box, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.

    Raises
    ------
    FormatError
        Naming the file, the row, and the mend.
    """
    path = Path(path)
    files = [path] if path.is_file() else metadata_files(path)
    if not files:
        raise FormatError(path, "", f"holds no {' or '.join(_FILES)}; give the folder that does")
    folder = path if path.is_dir() else path.parent
    side = read_side(folder)
    side = side if side.get("format") == "hf_imagefolder" else {}
    with blamed(path):
        reader = _Reader(Coming(path, "hf_imagefolder", Problems(path, on_error)), folder, side)
        for file in files:
            reader.read(file)
        return reader.dataset(unlabelled=path.is_dir())


def metadata_files(folder: Path) -> list[Path]:
    """The metadata of the folder, or of those below it."""
    for depth in ("", "*/"):
        found = [file for name in _FILES for file in sorted(folder.glob(f"{depth}{name}"))]
        if found:
            return found
    return []


class _Reader:
    def __init__(self, coming: Coming, folder: Path, side: dict[str, Any]) -> None:
        self.coming, self.folder, self.side = coming, folder, side
        self.problems = coming.problems
        self.meaning = Meaning()
        self.paths: dict[str, str] = {}
        self.more: dict[str, dict[str, Any]] = {}
        self._kept = own_of(side.get("labels"))
        self._own = own_of(side.get("images"))

    def read(self, file: Path) -> None:
        """Take in the metadata of one folder."""
        meaning = Meaning()
        if file.suffix == ".parquet":
            try:
                meaning = Meaning.of(features_of(file))
            except (OSError, pa.ArrowException) as error:
                self.problems.add("", f"is not Parquet ({error}); write it anew", file)
                return
        self.meaning.classes += [n for n in meaning.classes if n not in self.meaning.classes]
        for name, names in meaning.groups.items():
            known = self.meaning.groups.setdefault(name, [])
            known += [tag for tag in names if tag not in known]
        self.meaning.several |= meaning.several
        for number, row in self._rows(file):
            self._row(file, f"row {number}", row, meaning)

    def _rows(self, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        if file.suffix == ".parquet":
            try:
                table = pq.ParquetFile(file)
                if table.metadata.num_rows > _MOST_ROWS:
                    raise FormatError(file, "", f"has over {_MOST_ROWS} rows; split it")
                number = 0
                for batch in table.iter_batches(10_000):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
            except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
                self.problems.add("", f"is damaged ({error}); write it anew", file)
            return
        for number, line in enumerate(load(file).split(b"\n"), 1):
            if line.strip():
                try:
                    yield number, msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    self.problems.add(f"row {number}", f"is no JSON object ({error})", file)

    def _row(self, file: Path, where: str, row: dict[str, Any], meaning: Meaning) -> None:
        name = row.get("file_name")
        if not isinstance(name, str) or not name:
            self.problems.add(where, "has no file_name; give that of its image", file)
            return
        try:
            image = inside(file.parent, name)
        except (FormatError, ValueError, OSError):
            self.problems.add(where, f"the file_name {name!r:.80} leads out of the folder", file)
            return
        shown = image.relative_to(self.folder).as_posix()
        own = own_of(self._own.get(shown))
        split = next((SPLIT_NAMES[p] for p in Path(shown).parts[:-1] if p in SPLIT_NAMES), None)
        size = self._size(image, row)
        key = self.coming.image(shown, where, {"split": split} | own, size)
        if key is None:
            return
        there = image.is_file()
        self.paths[key] = str(image) if there else key
        rest: dict[str, Any] = {}
        for column, value in row.items():
            if column in ("file_name", "width", "height"):
                continue
            if isinstance(value, dict) and "bbox" in value:
                self._objects(key, file, f"{where}, {column}", value, meaning.classes)
            elif column in meaning.groups or column == "label":
                self._tags(key, file, where, column, value, meaning.groups.get(column, []))
            elif column in self._ours:
                self._tags(key, file, where, column, value, [])
            elif column in _TEXTS and isinstance(value, (str, type(None))):
                if value is not None:
                    self._add(key, "text", None, {"text": value})
            elif value is not None:
                rest[f"row_{column}" if column in IMAGE_DTYPES else column] = value
        self.more[key] = rest

    @cached_property
    def _ours(self) -> set[str]:
        """Tag groups of the scheme that our writer put aside."""
        tags = own_of(own_of(self.side.get("schema")).get("tags"))
        return set(tags)

    def _size(self, image: Path, row: dict[str, Any]) -> tuple[float, float] | None:
        width, height = row.get("width"), row.get("height")
        if isinstance(width, (int, float)) and isinstance(height, (int, float)):
            return width, height
        if image.is_file():
            try:
                return upright_size(str(image))
            except (OSError, ValueError):
                return None
        return None

    def _add(self, key: str, kind: str, name: str | None, own: dict[str, Any]) -> None:
        """Add a tag or text, with what our writer put aside of it."""
        kept = self._aside.get((key, kind, str(name)), [])
        ours = kept.pop(0) if kept else {}
        self.coming.rows.add(key, kind, name, attributes=attributes_of(ours), own=ours | own)

    @cached_property
    def _aside(self) -> dict[tuple[str, str, Any], list[dict[str, Any]]]:
        """What our writer put aside of tags and texts, by image, kind and label."""
        found: dict[tuple[str, str, Any], list[dict[str, Any]]] = {}
        for label_id, kept in self._kept.items():
            if isinstance(kept, dict) and kept.get("kind") in ("tag", "text"):
                place = (str(kept.get("image")), str(kept["kind"]), str(kept.get("label")))
                found.setdefault(place, []).append(kept | {"label_id": label_id})
        return found

    def _tags(
        self, key: str, file: Path, where: str, column: str, value: Any, names: list[str]
    ) -> None:
        values = value if isinstance(value, list) else [] if value is None else [value]
        for number in values:
            name = _name(number, names)
            if name is None:
                self.problems.add(where, f"{column} is {number!r:.60}, which is no class", file)
            else:
                self._add(key, "tag", name, {})

    def _objects(
        self, key: str, file: Path, where: str, objects: dict[str, Any], names: list[str]
    ) -> None:
        boxes = objects.get("bbox")
        column = next((c for c in CATEGORIES if isinstance(objects.get(c), list)), None)
        categories = objects[column] if column else None
        if not isinstance(boxes, list) or categories is None or len(boxes) != len(categories):
            self.problems.add(where, "has no lists of one length bbox and categories", file)
            return
        ids, parts = objects.get("id"), objects.get("segmentation")
        for number, (box, category) in enumerate(zip(boxes, categories, strict=True)):
            name = _name(category, names)
            if name is None:
                self.problems.add(f"{where}.{column}[{number}]", f"{category!r:.60} is no class",
                                  file)  # fmt: skip
                continue
            label_id = ids[number] if isinstance(ids, list) and len(ids) == len(boxes) else None
            is_ours = isinstance(label_id, str) and label_id in self._kept
            kept = own_of(self._kept.get(str(label_id)))
            own = kept | ({"label_id": label_id} if is_ours else {})
            try:
                values = [float(v) for v in box]
                if len(values) != 4 or not all(map(math.isfinite, values)) or min(values[2:]) < 0:
                    raise ValueError("is no x, y, width, height in pixels")
                outline = parts[number] if isinstance(parts, list) and number < len(parts) else None
                kind, geometry = restored(own)
                if outline and kind in ("box", "polygon"):
                    rings = flat_to_rings(outline)
                    kind = "polygon"
                    geometry = rings[0] if _is_bare(own.get("geometry")) else rings
                    values = values if is_ours else bounds(rings)
            except (TypeError, ValueError) as error:
                self.problems.add(f"{where}.bbox[{number}]", f"{error}; mend it", file)
                continue
            self.coming.rows.add(key, kind, name, values, geometry, attributes_of(own), own)

    def dataset(self, *, unlabelled: bool) -> Dataset:
        """All that was read."""
        if unlabelled:
            known = {str(Path(where)) for where in self.paths.values()}
            for name in walk(self.folder, SUFFIXES):
                where = str(self.folder / name)
                if where not in known and name not in self.coming.images:
                    self.coming.images[name] = {"name": name, "status": "todo"}
                    self.paths[name] = where
        seen: set[str] = set()
        groups = {}
        for name, names in self.meaning.groups.items():
            fresh = [tag for tag in names if tag not in seen]
            seen |= set(fresh)
            if fresh:
                groups[name] = {"choices": fresh, "multiple": name in self.meaning.several}
        saved = self.side.get("schema")
        dataset = self.coming.dataset(
            saved=saved,
            classes=() if saved else self.meaning.classes,
            tags={} if saved else groups,
        )
        images = dataset.images
        images["path"] = [self.paths[key] for key in images.index]
        for column in dict.fromkeys(c for row in self.more.values() for c in row):
            images[column] = [self.more.get(key, {}).get(column) for key in images.index]
        return dataset


def _is_bare(geometry: Any) -> bool:
    """Whether the polygon was one ring without a list around it."""
    try:
        return isinstance(geometry[0][0], (int, float))
    except (TypeError, IndexError, KeyError):
        return False


def _name(value: Any, names: list[str]) -> str | None:
    """The name of a class, from its number or as it stands; None if it is none."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None if names else str(value)
    return value if isinstance(value, str) and value.strip() else None


def sniff(path: Path) -> bool:
    """Whether the folder, or those below it, hold metadata of images."""
    if path.is_dir():
        side = read_side(path)
        if side:
            return side.get("format") == "hf_imagefolder"
        return bool(metadata_files(path))
    return path.name in _FILES

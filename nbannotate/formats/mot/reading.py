"""The reader of MOT Challenge sequences."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError
from nbannotate.formats.mot.finding import (
    RATE,
    USUAL_RATE,
    Sequence,
    find,
    frames,
    info,
    sequence_side,
)
from nbannotate.formats.shared.files import upright_size
from nbannotate.formats.shared.json_files import blamed, check_side
from nbannotate.formats.shared.reading import read_text
from nbannotate.formats.shared.side import SIDE_FILE, read_side, side_schema, texts
from nbannotate.formats.shared.tables import OnError, Problems, with_attributes
from nbannotate.formats.shared.values import set_scores

CLASSES = (
    "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle",
    "static person", "distractor", "occluder", "occluder on the ground", "occluder full",
    "reflection", "crowd",
)  # fmt: skip
"""The classes of MOT16, MOT17 and MOT20, from number 1."""

WORLD = ("x_m", "y_m", "z_m")
"""The place on the ground that MOT15 has in columns 8 to 10, in metres."""

_COLUMNS = 10
_MOST_NUMBER = 2**53  # beyond it floats skip whole numbers
_ENDS = re.compile(r"^[ \t]+|[ \t,]+$", re.MULTILINE)
_GAP = re.compile(r"[ \t]*,[ \t]*|[ \t]+")

Numbers = NDArray[np.float64]


@collector_off()
def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    images: str | Path | None = None,
    file: Literal["gt", "det"] | None = None,
    based: Literal[0, 1] = 1,
) -> Dataset:
    """Read MOT Challenge sequences: ``gt/gt.txt`` or ``det/det.txt`` of each.

    Every frame is an image, ``SEQUENCE/img1/000001.jpg``. Of ``gt`` the flag 0 becomes the
    attribute ``ignored`` and the visibility an attribute; of ``det`` the confidence becomes the
    score, or the attribute ``confidence`` if it is no probability. World coordinates, as in MOT15,
    become the attributes ``x_m``, ``y_m`` and ``z_m``. A class without a number is a pedestrian.
    Columns are separated by commas or spaces. A sequence without the file is to do.

    Parameters
    ----------
    path
        A text file, a sequence, a folder of sequences, or one of splits with sequences.
    on_error
        ``"raise"`` at the first bad line, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the frames, or of folders called like the sequences; None: that of
        ``seqinfo.ini``, else ``img1``.
    file
        Which file is read; None: ``"gt"`` if any sequence has it, else ``"det"``.
    based
        The number of the first pixel: 1, as the benchmark has it, or 0, as CVAT and others write.

    Raises
    ------
    FormatError
        Naming the file, the line and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    if file not in (None, "gt", "det"):
        raise FormatError(path, "", f"file={file!r}; use 'gt' or 'det'")
    sequences = find(path, file)
    if not sequences:
        raise FormatError(
            path, "", "leads to no sequence with gt/gt.txt, det/det.txt or seqinfo.ini; give the "
            "folder of a sequence, or one that holds them"
        )  # fmt: skip
    problems = Problems(path, on_error)
    with blamed(path):
        reader = _Reader(_side(sequences[0].root), problems, based)
        for sequence in sequences:
            reader.take(sequence, None if images is None else Path(images))
        return problems.finish(reader.dataset())


def _side(root: Path) -> dict[str, Any]:
    """What our writer put beside the sequences, or beside the folders of their splits."""
    folders = (root, *root.resolve().parents[:2])
    found = next((folder for folder in folders if (folder / SIDE_FILE).is_file()), None)
    side = {} if found is None else read_side(found)
    return side if side.get("format") == "mot" else {}


class _Reader:
    """Sequences in, one at a time; a data set out."""

    def __init__(self, side: dict[str, Any], problems: Problems, based: int) -> None:
        self.side, self.problems, self.based = side, problems, based
        self.real = texts(side, "names")
        self.listed: list[str] = []
        self.images: list[dict[str, Any]] = []
        self.keys = set[str]()
        self.tables: list[pd.DataFrame] = []

    def take(self, sequence: Sequence, folder: Path | None) -> None:
        """Take in a sequence."""
        try:
            numbers = self._numbers(sequence)
            names = self._names(sequence)
            keys, is_numbered = self._frames(sequence, folder, numbers)
        except FormatError as error:
            self.problems.add(error.where, error.why, Path(error.path))
            return
        own = sequence_side(self.side, sequence)
        table = pd.DataFrame(numbers[:, 2:6], columns=BOX)
        table[["x", "y"]] -= self.based
        frame = numbers[:, 0].astype(np.int64)
        table["image"] = [keys[number] for number in frame.tolist()]
        table["frame"] = pd.array(frame - 1, dtype="Int64")
        if is_numbered:
            table["frame"] = pd.NA
        track = numbers[:, 1].astype(np.int64)
        alone = own.get("alone")
        none = track < 0
        if isinstance(alone, int):
            none |= track >= min(alone, _MOST_NUMBER)
        shift = own.get("shift")
        moved = shift if isinstance(shift, int) and abs(shift) < _MOST_NUMBER else 0
        table["track"] = pd.array(np.where(none, 0, track - moved), dtype="Int64")
        table.loc[none, "track"] = pd.NA
        is_det = sequence.file is not None and sequence.file.parent.name != "gt"
        self._more(table, numbers, names, is_det=is_det)
        self.tables.append(table)

    def _more(
        self, table: pd.DataFrame, numbers: Numbers, names: dict[int, str], *, is_det: bool
    ) -> None:
        """Classes, scores and attributes."""
        classes, visibility = numbers[:, 7], numbers[:, 8]
        attributes: list[dict[str, Any]] = [{} for _ in range(len(numbers))]
        whole = (classes == np.round(classes)) & (classes >= -1) & (classes < _MOST_NUMBER)
        is_world = bool((~np.isnan(numbers[:, 9])).any()) and not (whole | np.isnan(classes)).all()
        if is_world:
            _set(attributes, WORLD, numbers[:, 7:10])
            classes = np.full(len(numbers), -1.0)
        elif not is_det:
            _set(attributes, ("visibility",), np.where(visibility < 0, np.nan, visibility)[:, None])
        number = np.where(np.isnan(classes) | (classes < 0), 1, np.round(classes)).astype(np.int64)
        unique, place = np.unique(number, return_inverse=True)
        named = [names.get(one, str(one)) for one in unique.tolist()]
        table["label"] = np.array(named, dtype=object)[place]
        self.listed += [name for name in named if name not in self.listed]
        flag = numbers[:, 6]
        if not is_det:
            for row in np.flatnonzero(flag == 0).tolist():
                attributes[row]["ignored"] = True
        table["attributes"] = pd.Series(attributes, dtype=object)
        table["confidence"] = np.where(flag == -1, np.nan, flag) if is_det else np.nan

    def _numbers(self, sequence: Sequence) -> Numbers:
        """The lines of the file, shape (n, 10), NaN where a line is shorter."""
        if sequence.file is None:
            return np.empty((0, _COLUMNS))
        text = read_text(sequence.file)
        numbers = _at_once(text)
        if numbers is None:
            numbers = _line_by_line(text, self.problems, sequence.file)
        return numbers

    def _names(self, sequence: Sequence) -> dict[int, str]:
        """The classes by their numbers, which those of all sequences come to the scheme from."""
        for folder in ("gt", "det"):
            file = sequence.root / folder / "labels.txt"
            if file.is_file():
                lines = [line.strip() for line in read_text(file).split("\n")]
                names = {n: self.real.get(name, name) for n, name in enumerate(lines, 1) if name}
                break
        else:
            names = dict(enumerate(CLASSES, 1))
        self.listed += [name for name in names.values() if name not in set(self.listed)]
        return names

    def _frames(
        self, sequence: Sequence, images: Path | None, numbers: Numbers
    ) -> tuple[dict[int, str], bool]:
        """The images by their frame's number, and whether only our writer numbered them."""
        said = info(sequence.root)
        folder = said.folder if images is None else _folder_in(images, sequence, said.folder.name)
        files = frames(folder)
        own = sequence_side(self.side, sequence)
        ours = _int_keys(own.get("frames"))
        sizes = own.get("sizes") if isinstance(own.get("sizes"), dict) else {}
        wanted = {*files, *ours, *np.unique(numbers[:, 0]).astype(np.int64).tolist()}
        if not files and not ours:
            wanted |= set(range(1, said.length + 1))
        keys = {}
        for number in sorted(wanted):
            file = files.get(number)
            name = f"{number:06d}{said.suffix}" if file is None else file.name
            key = ours.get(number, f"{sequence.name}/{said.folder.name}/{name}")
            keys[number] = key
            size = sizes.get(str(number), said.size) if isinstance(sizes, dict) else said.size
            self._image(sequence, key, file, size)
            self.images[-1][RATE] = said.rate or USUAL_RATE
        return keys, own.get("numbered") is True

    def _image(self, sequence: Sequence, key: str, file: Path | None, size: Any) -> None:
        why = f"the image {key!r} stands twice; mend {SIDE_FILE}" if key in self.keys else None
        if why is None and size is None and file is not None:
            try:
                size = upright_size(str(file))
            except (OSError, ValueError) as error:
                why = f"cannot be read as an image ({error}); mend it"
        if why is None and size is not None:
            why = check_side(*size)
        if why is not None:
            raise FormatError(sequence.root if file is None else file, "", why)
        self.keys.add(key)
        width, height = size or (None, None)
        self.images.append(
            {
                "image": key, "path": key if file is None else str(file), "width": width,
                "height": height, "split": sequence.split,
                "status": "todo" if sequence.file is None else "done",
            }
        )  # fmt: skip

    def dataset(self) -> Dataset:
        """All that was read."""
        columns = ["image", "path", "width", "height", "split", "status"]
        # A column of the user's own, which other formats say that they leave out.
        columns += [RATE] * any(image[RATE] != USUAL_RATE for image in self.images)
        images = pd.DataFrame(self.images, columns=columns)
        tables = [table for table in self.tables if len(table)] or self.tables[:1]
        if not tables:
            return Dataset(pd.DataFrame(columns=["image"]), images, Schema())
        labels = pd.concat(tables, ignore_index=True)
        scores = labels.pop("confidence").to_numpy(dtype=np.float64)
        set_scores(labels, scores)
        labels["kind"], labels["source"] = "box", "import:mot"
        schema = side_schema(self.side, labels["label"].unique().tolist())
        known = set() if schema is None else {attribute.name for attribute in schema.attributes}
        if schema is not None and "visibility" not in known:
            for attributes in labels["attributes"]:
                if attributes.get("visibility") == 1:  # which our writer filled in
                    del attributes["visibility"]
        if schema is None:
            schema = Schema(classes=self.listed)
        schema = with_attributes(schema, labels["attributes"])
        return Dataset(labels, images, schema)


def _set(rows: list[dict[str, Any]], names: tuple[str, ...], values: Numbers) -> None:
    for name, column in zip(names, values.T.tolist(), strict=True):
        for row, value in zip(rows, column, strict=True):
            if value == value:
                row[name] = value


def _folder_in(images: Path, sequence: Sequence, inner: str) -> Path:
    """The folder of the sequence's frames below the one that was given."""
    for name in (sequence.name, sequence.root.name):
        for folder in (images / name / inner, images / name):
            if folder.is_dir():
                return folder
    return images


def _int_keys(found: Any) -> dict[int, str]:
    if not isinstance(found, dict):
        return {}
    return {
        int(number): key
        for number, key in found.items()
        if number.isascii() and number.isdecimal() and len(number) < 16 and isinstance(key, str)
    }


def _at_once(text: str) -> Numbers | None:
    """All lines, shape (n, 10); None if one of them is odd, which is then told line by line."""
    if not text.strip():
        return np.empty((0, _COLUMNS))
    if '"' in text:
        return None
    data = _GAP.sub(",", _ENDS.sub("", text)).encode()
    convert = pa_csv.ConvertOptions(
        column_types={f"f{n}": pa.float64() for n in range(_COLUMNS)}, null_values=[]
    )
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data), pa_csv.ReadOptions(autogenerate_column_names=True),
            convert_options=convert,
        )  # fmt: skip
        found = np.column_stack([column.to_numpy() for column in table.columns]).astype(float)
    except (ValueError, pa.ArrowException):
        return None
    if not 6 <= found.shape[1] <= _COLUMNS or not np.isfinite(found).all():
        return None
    numbers = np.full((len(found), _COLUMNS), np.nan)
    numbers[:, : found.shape[1]] = found
    whole = numbers[:, :2] == np.round(numbers[:, :2])
    fits = (np.abs(numbers[:, :2]) < _MOST_NUMBER) & (numbers[:, 4:6] >= 0)
    return numbers if (whole & fits).all() and (numbers[:, 0] >= 1).all() else None


def _line_by_line(text: str, problems: Problems, file: Path) -> Numbers:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(_values(line))
        except ValueError as error:
            problems.add(f"line {number}", str(error), file)
    return np.array(rows, dtype=np.float64).reshape(-1, _COLUMNS)


def _values(line: str) -> list[float]:
    """The numbers of a line, NaN for those that it lacks; `ValueError` says what is wrong."""
    tokens = line.strip().rstrip(",").split(",") if "," in line else line.split()
    if not 6 <= len(tokens) <= _COLUMNS:
        raise ValueError(
            f"has {len(tokens)} columns; a box has 6 to 10: frame, id, left, top, width, height, "
            "confidence, class, visibility"
        )
    try:
        values = list(map(float, tokens))
    except ValueError as error:
        raise ValueError(f"holds what is no number ({error}); mend it") from error
    if not all(map(math.isfinite, values)):
        raise ValueError("holds NaN or infinity; mend it")
    frame, track = values[:2]
    if frame != round(frame) or not 1 <= frame < _MOST_NUMBER:
        raise ValueError(f"frame {frame:g} is no whole number from 1; mend it")
    if track != round(track) or abs(track) >= _MOST_NUMBER:
        raise ValueError(f"id {track:g} is no whole number; mend it")
    if values[4] < 0 or values[5] < 0:
        raise ValueError("has a negative width or height; mend it")
    return values + [math.nan] * (_COLUMNS - len(values))

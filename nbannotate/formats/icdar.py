"""ICDAR's text localization: a text file an image, a line a text with its corners.

Challenges differ: 2015 has four corners, 2013 (focused scene text) two, 2017 (multi-lingual) a
script before the text. Coordinates are whole pixels. Each split is a folder with ``images`` and
``gt``.

Source: rrc.cvc.uab.es, Robust Reading Competition, tasks of challenges 2, 4 and 8.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.rings import Ring, bounds, box_ring, is_box_ring
from nbannotate.core.schema import Schema
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, new_folder
from nbannotate.formats.shared.json_files import blamed
from nbannotate.formats.shared.outgoing import Label, Outgoing, outline
from nbannotate.formats.shared.pictures import plan_pictures
from nbannotate.formats.shared.rows import Rows
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_line,
    read_side,
    refuse_other_export,
    side_schema,
    texts,
    write_side,
)
from nbannotate.formats.shared.tables import (
    OnError,
    Only,
    Problems,
    Split,
    count_lost,
    on_images,
    reviewed,
    split_names,
    with_attributes,
)
from nbannotate.formats.shared.text_folders import Files, Layout, first_lines, write_texts

LAYOUT = Layout(
    labels=("gt", "gts", "labels"), images=("images", "imgs"), suffix=".jpg", prefix="gt_"
)
UNREAD = "###"
SCRIPTS = frozenset(
    ("Arabic", "Latin", "Chinese", "Japanese", "Korean", "Bangla", "Hindi", "Symbols", "Mixed",
     "None")
)  # fmt: skip
_CLASS = "text"
_YEARS = (2013, 2015, 2017)
_SCRIPT = "script"


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    year: Literal[2013, 2015, 2017] = 2015,
    decimals: int | None = 0,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    only: Only = "reviewed",
    root: str | Path | None = None,
    overwrite: bool = False,
) -> WriteReport:
    """Write a folder for each split with images and text files.

    Parameters
    ----------
    dataset
        What to write: boxes, rotated boxes and polygons of four points by their corners, other
        shapes by their bounding boxes; the ``text``, or ``###`` if there is none.
    path
        The folder.
    year
        The challenge whose lines are written: 2013 has bounding boxes, 2017 the attribute
        ``script``.
    decimals
        Of coordinates. ICDAR's own evaluation takes none; None: all that there are.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all images are in ``train``.
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
        If an image is no file, a number is not finite, or the folder holds other things.
    """
    path = Path(path)
    if year not in _YEARS:
        raise FormatError(path, "", f"year={year!r}; use one of {', '.join(map(str, _YEARS))}")
    refuse_other_export(path, "icdar")
    chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
    labels = on_images(dataset, chosen)
    placed = labels["kind"].isin(PLACED_KINDS)
    lost = losses(
        dataset, chosen, labels.assign(text=labels["text"].where(~placed)), "ICDAR",
        kinds=PLACED_KINDS, label_columns=("attributes",), image_columns=("split",),
    )  # fmt: skip
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    folders = ["train"] * len(chosen) if splits is None else [str(name) for name in splits]
    pictures = plan_pictures(chosen, None if root is None else Path(root), path, copy)
    outgoing = Outgoing(labels[placed], chosen.index, path)
    lines = _Lines(outgoing, lost, year, decimals)
    contents = ["".join(map(lines.line, found)) for found in outgoing.per_image(PLACED_KINDS)]
    classes = list(dict.fromkeys(outgoing.names))
    if len(classes) > 1:
        count_lost(lost, f"classes (all are {_CLASS!r})", len(classes))
    with new_folder(path, ("train", "val", "test"), SIDE_FILE, overwrite=overwrite) as out:
        for name in dict.fromkeys([*folders, *([] if folders else ["train"])]):
            rows = [row for row, folder in enumerate(folders) if folder == name]
            stems = [f"{LAYOUT.prefix}{pictures.stems[row]}" for row in rows]
            write_texts(out / name / "gt", stems, (contents[row] for row in rows))
        targets = zip(folders, pictures.names, strict=True)
        pictures.place((out / folder / "images" / name for folder, name in targets), copy)
        placed_at = zip(folders, pictures.stems, chosen.index, strict=True)
        keys = {f"{folder}/{stem}": key for folder, stem, key in placed_at}
        names = {classes[0]: _CLASS} if len(classes) == 1 else {}
        write_side(out, "icdar", dataset.schema, keys=keys, names=names, year=year)
    return WriteReport(path, len(chosen), len(outgoing), lost, tuple(pictures.notes))


class _Lines:
    """Labels as lines.

    Parameters
    ----------
    outgoing
        Where they come from.
    lost
        What is left out is counted here.
    year, decimals
        As in `write`.
    """

    def __init__(
        self, outgoing: Outgoing, lost: dict[str, int], year: int, decimals: int | None
    ) -> None:
        self._outgoing, self._lost, self._year = outgoing, lost, year
        self._decimals = decimals

    def line(self, label: Label) -> str:
        """The line of a label."""
        try:
            numbers = self._corners(label).ravel()
        except (ValueError, TypeError) as error:
            raise self._outgoing.bad(label, error) from error
        if self._decimals is not None:
            rounded = np.round(numbers, self._decimals)
            off = bool((np.abs(rounded - numbers) > 1e-9).any())
            count_lost(self._lost, f"places rounded to {self._decimals} decimals", off)
            numbers = rounded
        parts = [np.format_float_positional(value, trim="-") for value in numbers.tolist()]
        rest = dict(label.attributes)
        if self._year == 2017:
            script = rest.get(_SCRIPT)
            known = isinstance(script, str) and script in SCRIPTS and script != "None"
            parts.append(str(rest.pop(_SCRIPT)) if known else "None")
        count_lost(self._lost, "labels' attributes without a column", bool(rest))
        return f"{(', ' if self._year == 2013 else ',').join([*parts, self._text(label)])}\n"

    def _text(self, label: Label) -> str:
        if label.text is None:
            text = UNREAD
        else:
            text = one_line(label.text)
            count_lost(self._lost, "texts that are the sign for none", text == UNREAD)
            why = "line breaks and spaces at the ends of texts"
            count_lost(self._lost, why, text != label.text)
        if self._year != 2013:
            return text
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'

    def _corners(self, label: Label) -> NDArray[np.float64]:
        if self._year == 2013:
            if label.kind != "box":
                self._as_box(label)
            x, y, width, height = label.box
            return np.array([[x, y], [x + width, y + height]])
        parts = outline(label) if label.kind == "polygon" else None
        if parts is not None and len(parts) == 1 and len(parts[0]) == 4:
            return np.array(parts[0], dtype=np.float64)
        if label.kind == "rotated_box" and label.geometry:
            count_lost(self._lost, "rotated_box shapes (written as polygons)", 1)
            [corners] = rotated_corners(np.array([label.geometry], dtype=np.float64))
            return np.asarray(corners, dtype=np.float64)
        if label.kind != "box":
            self._as_box(label)
        return np.array(box_ring(label.box))

    def _as_box(self, label: Label) -> None:
        count_lost(self._lost, f"{label.kind} shapes (their bounding boxes are written)", 1)


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read ICDAR's text files, of any of the three challenges.

    Four corners become a box if they are one, else a polygon, of the class ``text``; the text
    ``###`` is none, a script an attribute. An image without a file is to do.

    Parameters
    ----------
    path
        A label file; a folder of them; the folder that holds it, or holds those of splits.
    on_error
        ``"raise"`` at the first bad line, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: ``images`` beside the label files.

    Raises
    ------
    FormatError
        Naming the file, the line and the mend.
    """
    path = Path(path)
    problems = Problems(path, on_error)
    with blamed(path):
        files = Files(path, LAYOUT, problems, images)
        name = texts(files.side, "names").get(_CLASS, _CLASS)
        rows = Rows("import:icdar")
        found = list(_found(files, problems))
        scripted = _are_scripted([rest for *_, rest in found], files.side.get("year"))
        for key, points, rest in found:
            kind, geometry, box = _shape(points)
            script = rest.pop(0) if scripted else None
            text = ",".join(rest)
            attributes = None if script in (None, "None") else {_SCRIPT: script}
            own = {} if text == UNREAD else {"text": text}
            rows.add(key, kind, name, box, geometry, attributes, own)
        labels = rows.table()
        schema = side_schema(files.side, set(labels["label"])) or Schema([name])
        schema = with_attributes(schema, labels["attributes"])
        return problems.finish(Dataset(labels, files.table, schema))


Line = tuple[Ring, list[str]]


def _found(files: Files, problems: Problems) -> Iterable[tuple[str, Ring, list[str]]]:
    for key, file, text in files.labels:
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            if line.strip():
                try:
                    points, rest = parse(line)
                except ValueError as error:
                    problems.add(f"line {number}", str(error), file)
                    continue
                yield key, points, rest


def parse(line: str) -> Line:
    """Corners of a line, two or four, and what follows; `ValueError` says what is wrong."""
    line = line.strip("\ufeff\r\n")
    tokens = line.split(",")
    numbers = _leading(tokens)
    if len(numbers) < 4:
        tokens = re.split(r"[ \t]+", line.strip(), maxsplit=4)
        numbers = _leading(tokens)
        if len(numbers) < 4:
            raise ValueError("does not begin with x and y of two or four corners; mend it")
        count = 4
    else:
        count = 8 if len(numbers) >= 8 else 4
    if not all(map(math.isfinite, numbers[:count])):
        raise ValueError("holds NaN or infinity; mend it")
    rest = tokens[count:]
    if count == 4:
        rest = [_unquoted(",".join(rest).strip())]
    points = [[numbers[i], numbers[i + 1]] for i in range(0, count, 2)]
    return points, rest


def _leading(tokens: list[str]) -> list[float]:
    """The numbers that the first tokens are, eight at most."""
    numbers: list[float] = []
    for token in tokens[:8]:
        try:
            numbers.append(float(token))
        except ValueError:
            break
    return numbers


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _are_scripted(rests: list[list[str]], year: Any) -> bool:
    """Whether a script comes before the texts: in all lines, if the year is not known."""
    if year in _YEARS:
        return bool(year == 2017)
    first = {rest[0] if len(rest) > 1 else "" for rest in rests}
    return bool(first) and first <= SCRIPTS


def _shape(points: Ring) -> tuple[str, Any, list[float]]:
    box = bounds([points])
    if len(points) == 2 or is_box_ring(points):
        return "box", None, box
    return "polygon", [points], box


def sniff(path: Path) -> bool:
    """Whether the path leads to label files of eight numbers and a text, or four and one quoted."""
    side = read_side(path) if path.is_dir() else {}
    if side:
        return side.get("format") == "icdar"
    lines = first_lines(path, LAYOUT)
    try:
        found = [parse(line) for line in lines]
    except ValueError:
        return False
    plain = [len(points) == 2 for points, _ in found]
    # Rows of numbers alone may be anything, such as MOT's.
    worded = any(rest and not _leading(rest) for _, rest in found)
    quoted = all(line.rstrip().endswith('"') for line in lines)
    return worded and (quoted if any(plain) else all("," in line for line in lines))


FORMAT = Format(
    name="icdar",
    kinds=("box", "polygon"),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "classes, outlines of other than four points, parts of a pixel, attributes other than "
        "script, tags, scores, who and when"
    ),
)

"""MOT Challenge: a folder a sequence, with a text file of boxes by frame and track.

A line is ``frame, id, left, top, width, height, confidence, class, visibility``; frames, ids and
pixels are counted from 1. In ``gt/gt.txt`` the confidence is a flag: boxes with 0 are not
evaluated. In ``det/det.txt`` it is a detector's score, and the id is -1.

Source: Milan et al., MOT16: A Benchmark for Multi-Object Tracking, arXiv 1603.00831, section 4;
Dendorfer et al., CVPR19 Tracking and Detection Challenge, arXiv 1906.04567, section 4;
motchallenge.net/instructions.

``labels.txt`` beside the boxes names the classes, as CVAT and datumaro have it; ``seqmaps`` lists
the sequences, as TrackEval wants. ``nbannotate.json`` holds the scheme, keys and names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.mot.finding import FRAMES_FOLDER, MOST_RATE, RATE, USUAL_RATE, find
from nbannotate.formats.mot.reading import read
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, distinct, new_folder, safe_paths, sizes
from nbannotate.formats.shared.pictures import Pictures, plan_pictures
from nbannotate.formats.shared.side import (
    SIDE_FILE,
    one_line,
    refuse_other_export,
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
from nbannotate.formats.shared.values import CONFIDENCE, scores

_LINE = "%d,%d,%.10g,%.10g,%.10g,%.10g,%.10g,%d,%.10g\n"
_INFO = """\
[Sequence]
name=%s
imDir=img1
frameRate=%d
seqLength=%d
imWidth=%d
imHeight=%d
imExt=%s
"""
_SEQUENCE = "nbannotate.sequence"
_DIGITS = re.compile(r"([0-9]{1,9})(\.[^.]*)?$")


@dataclass
class _Sequence:
    """A sequence as it will be written."""

    name: str
    rows: list[int]
    """Its images, as rows of the table."""
    frames: list[int] = field(default_factory=list)
    """The frame of each, from 0."""
    numbered: bool = False
    """Whether the frames are our numbers."""


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
    file: Literal["gt", "det"] = "gt",
    frame_rate: int | None = None,
    based: Literal[0, 1] = 1,
) -> WriteReport:
    """Write MOT Challenge sequences: ``SEQUENCE/gt/gt.txt``, ``seqinfo.ini``, ``img1``.

    Images of one folder are a sequence. Their frames are those of the labels; where labels have
    none or contradict each other, images are numbered in their order. The attributes ``ignored``
    (yes and no) and ``visibility`` (0 … 1) have columns in ``gt``; a label without the latter is
    written as fully visible. A label without a track gets one of its own.

    Parameters
    ----------
    dataset
        What to write; shapes other than boxes are written as their bounding boxes.
    path
        The folder.
    split
        Fractions of train, val and test, which get folders. None: the splits in
        ``dataset.images``; if there are none, there are no such folders.
    seed, by
        As in `Dataset.split`; without `by` a sequence stays together.
    copy
        ``"link"``: hard links, else symbolic links, else copies; ``"copy"``; ``"none"``: no images.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    overwrite
        Whether to replace an earlier export in the folder.
    file
        ``"gt"``: the truth; ``"det"``: detections with their scores, in ``det/det.txt``.
    frame_rate
        Frames a second, for ``seqinfo.ini``; None: what the images have in a column of that name,
        else 30.
    based
        The number of the first pixel: 1, as the benchmark has it, or 0, as CVAT reads.

    Raises
    ------
    FormatError
        If an image is no file, its size is unknown, a number is not finite, or the folder holds
        other things.
    """
    path = Path(path)
    if file not in ("gt", "det"):
        raise FormatError(path, "", f"file={file!r}; use 'gt' or 'det'")
    refuse_other_export(path, "mot")
    chosen = dataset.images[reviewed(dataset, PLACED_KINDS, only)]
    on_chosen = on_images(dataset, chosen)
    labels = on_chosen[on_chosen["kind"].isin(PLACED_KINDS)]
    refuse_bad_boxes(labels, path)
    carried = ("attributes", "frame", "track", *(["score"] if file == "det" else []))
    lost = losses(
        dataset, chosen, on_chosen, "MOT", kinds=PLACED_KINDS, label_columns=carried,
        image_columns=("split",),
    )  # fmt: skip
    lost.pop(f"images' column {RATE!r}", None)
    outlines = int(labels["kind"].ne("box").sum())
    count_lost(lost, "outlines of shapes (their bounding boxes are written)", outlines)
    names = _sequence_names(chosen.index.tolist())
    splits = split_names(
        Dataset(dataset.labels, dataset.images.assign(**{_SEQUENCE: ""}), dataset.schema),
        chosen.assign(**{_SEQUENCE: names}), split, seed=seed, by=by or _SEQUENCE, path=path,
    )  # fmt: skip
    folders = names if splits is None else [f"{s}/{n}" for s, n in zip(splits, names, strict=True)]
    sequences = _sequences(folders)
    size = sizes(chosen, None if root is None else Path(root), path)
    pictures = plan_pictures(chosen, None if root is None else Path(root), path, copy)
    written = written_names((c.name for c in dataset.schema.classes), one_line)
    columns = _Columns(dataset, labels, chosen.index, file, based, lost)
    aside: dict[str, Any] = {}
    owned = [folder.partition("/")[0] for folder in _earlier(path)]
    with new_folder(path, ["seqmaps", *owned], SIDE_FILE, overwrite=overwrite) as out:
        for sequence in sequences:
            columns.number(sequence)
            folder = out / sequence.name
            (folder / file).mkdir(parents=True)
            text, own = columns.lines(sequence)
            _put(folder / file / f"{file}.txt", text)
            _put(folder / file / "labels.txt", "".join(f"{name}\n" for name in written.values()))
            suffix = _place(pictures, sequence, folder, copy)
            length = max(sequence.frames, default=-1) + 1
            own["sizes"], common = _odd_sizes(sequence, size)
            name = sequence.name.rpartition("/")[2]
            rate = frame_rate or _rate(chosen, sequence)
            _put(folder / "seqinfo.ini", _INFO % (name, rate, length, *common, suffix))
            aside[sequence.name] = own
        _maps(out / "seqmaps", sequences, splits is not None)
        write_side(out, "mot", dataset.schema, keys={}, names=written, sequences=aside)
    return WriteReport(path, len(chosen), len(labels), lost, (*pictures.notes, *columns.notes))


def _rate(images: pd.DataFrame, sequence: _Sequence) -> int:
    """The frames a second that the images table says, else the usual ones."""
    if RATE in images:
        found = pd.to_numeric(images[RATE].iloc[sequence.rows], errors="coerce").dropna()
        if len(found) and 1 <= found.iloc[0] <= MOST_RATE:
            return int(round(float(found.iloc[0])))
    return USUAL_RATE


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _earlier(path: Path) -> list[str]:
    """Names of the sequences of an earlier export."""
    return [sequence.name for sequence in find(path, None)] if path.is_dir() else []


def _sequence_names(keys: list[str]) -> list[str]:
    """The sequence of each image: its folder as one name, without the ``img1`` at its end."""
    folders = []
    for key in safe_paths(keys, frozenset({"seqmaps"})):
        parts = key.split("/")[:-1]
        while len(parts) > 1 and parts[-1] == FRAMES_FOLDER:
            parts = parts[:-1]
        # A split in front comes from reading; its folder is made anew where there are splits.
        if len(parts) > 1 and parts[0] in ("train", "val", "test"):
            parts = parts[1:]
        folders.append("__".join(one_line(part) or "_" for part in parts) or "sequence")
    given = list(dict.fromkeys(folders))
    named = dict(zip(given, distinct(f"{name}_" if name in _TAKEN else name for name in given),
                     strict=True))  # fmt: skip
    return [named[folder] for folder in folders]


_TAKEN = frozenset({"train", "val", "test", "gt", "det", "seqmaps", FRAMES_FOLDER, SIDE_FILE})


def _sequences(folders: list[str]) -> list[_Sequence]:
    rows: dict[str, list[int]] = {}
    for row, folder in enumerate(folders):
        rows.setdefault(folder, []).append(row)
    return [_Sequence(name, found) for name, found in rows.items()]


class _Columns:
    """Labels as columns, in the order of the images."""

    def __init__(
        self,
        dataset: Dataset,
        labels: pd.DataFrame,
        keys: pd.Index[str],
        file: str,
        based: int,
        lost: dict[str, int],
    ) -> None:
        self.keys, self.file, self.lost = keys, file, lost
        self.notes: list[str] = []
        image = keys.get_indexer(pd.Index(labels["image"]))
        order = np.argsort(image, kind="stable")
        labels, self.image = labels.iloc[order], image[order]
        self.starts = np.searchsorted(self.image, np.arange(len(keys) + 1))
        self.frame = labels["frame"].to_numpy(dtype=np.float64, na_value=np.nan)
        self.track = labels["track"].to_numpy(dtype=np.float64, na_value=np.nan)
        numbers = {c.name: n for n, c in enumerate(dataset.schema.classes, 1)}
        classes = labels["label"].astype(object).map(numbers).to_numpy(dtype=np.float64)
        boxes = labels[BOX].to_numpy(copy=True)
        boxes[:, :2] += based
        flag, visibility = self._attributes(labels)
        if file == "det":
            flag = np.where(np.isnan(own := scores(labels)), -1, own)
        self.values = np.column_stack([np.round(boxes, 6), flag, classes, visibility])

    def _attributes(self, labels: pd.DataFrame) -> tuple[NDArray[np.float64], ...]:
        flag, visibility = np.ones(len(labels)), np.ones(len(labels))
        is_gt = self.file == "gt"
        if not is_gt:
            visibility[:] = -1
        for row, values in enumerate(labels["attributes"]):
            for name, value in (values or {}).items():
                if is_gt and name == "ignored" and isinstance(value, bool):
                    flag[row] = not value
                elif is_gt and name == "visibility" and _is_share(value):
                    visibility[row] = value
                elif value is not None and not (name == CONFIDENCE and not is_gt):
                    count_lost(self.lost, f"attribute {name!r} without a column of MOT", 1)
        return flag, visibility

    def _of(self, sequence: _Sequence) -> NDArray[np.int64]:
        """Rows of the labels of the sequence."""
        parts = [np.arange(self.starts[row], self.starts[row + 1]) for row in sequence.rows]
        return np.concatenate(parts).astype(np.int64)

    def number(self, sequence: _Sequence) -> None:
        """Find the frame of each image of a sequence."""
        given = [np.unique(self.frame[self.starts[row] : self.starts[row + 1]])
                 for row in sequence.rows]  # fmt: skip
        known = [int(found[0]) if len(found) == 1 and found[0] >= 0 else None for found in given]
        seen = [frame for frame in known if frame is not None]
        clear = all(frame is not None or not len(found)
                    for frame, found in zip(known, given, strict=True))  # fmt: skip
        if seen and clear and len(set(seen)) == len(seen):
            sequence.frames = _filled(known, [self.keys[row] for row in sequence.rows])
            return
        sequence.numbered = True
        sequence.frames = list(range(len(sequence.rows)))
        rows = self._of(sequence)
        why = "labels' frame (images are numbered in their order)"
        count_lost(self.lost, why, int((~np.isnan(self.frame[rows])).sum()))

    def lines(self, sequence: _Sequence) -> tuple[str, dict[str, Any]]:
        """The text, and what is put aside of the sequence."""
        rows = self._of(sequence)
        order = np.argsort([*sequence.frames], kind="stable").tolist()
        keys = {str(sequence.frames[at] + 1): self.keys[sequence.rows[at]] for at in order}
        aside: dict[str, Any] = {"frames": keys, "numbered": sequence.numbered}
        frame_of = dict(zip(sequence.rows, sequence.frames, strict=True))
        frame = np.array([frame_of[row] for row in self.image[rows].tolist()], dtype=np.int64)
        track = self.track[rows]
        none = np.isnan(track)
        shift = int(max(1 - np.min(track[~none], initial=1), 0))  # ids are counted from 1
        ids = np.where(none, -1, track + shift)
        if none.any() and self.file == "gt":
            # Evaluation wants every id once in a frame.
            aside["alone"] = alone = int(np.max(ids, initial=0)) + 1
            ids[none] = np.arange(alone, alone + none.sum())
        if shift:
            aside["shift"] = shift
        self._note_twice(sequence, frame, ids[~none], none)
        columns = np.column_stack([frame + 1, ids, self.values[rows]])
        columns = columns[np.argsort(frame, kind="stable")]
        return _LINE * len(columns) % tuple(columns.ravel().tolist()), aside

    def _note_twice(
        self,
        sequence: _Sequence,
        frame: NDArray[np.int64],
        ids: NDArray[np.float64],
        none: NDArray[np.bool_],
    ) -> None:
        pairs = np.column_stack([frame[~none], ids])
        twice = len(pairs) - len(np.unique(pairs, axis=0))
        if twice:
            self.notes.append(
                f"{sequence.name}: {twice} boxes have the track of another one in their frame, "
                "which evaluation refuses"
            )


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _filled(known: list[int | None], keys: list[str]) -> list[int]:
    """The frames, with those of images without labels: by the numbers in their names, else free."""
    matches = [_DIGITS.search(key) for key in keys]
    numbers = [None if match is None else int(match[1]) for match in matches]
    steps = {n - k for n, k in zip(numbers, known, strict=True) if n is not None and k is not None}
    if None not in numbers and len(steps) == 1:
        step = steps.pop()
        named = [n - step for n in numbers if n is not None]
        if min(named) >= 0 and len(set(named)) == len(named):
            return named
    taken = {frame for frame in known if frame is not None}
    frames, free = list[int](), 0
    for frame in known:
        if frame is None:
            frame = next(number for number in count(free) if number not in taken)
            taken.add(frame)
        frames.append(frame)
        free = frame + 1
    return frames


def _place(pictures: Pictures, sequence: _Sequence, folder: Path, copy: Copy) -> str:
    """Put the frames into ``img1``; their suffix."""
    names = [pictures.names[row] for row in sequence.rows]
    suffixes = {f".{name.rpartition('.')[2]}" for name in names}
    # All frames have the suffix that seqinfo.ini says.
    suffix = suffixes.pop() if len(suffixes) == 1 else ".png"
    files = None if pictures.files is None else [pictures.files[row] for row in sequence.rows]
    convert = [
        pictures.converted[row] or not name.endswith(suffix)
        for row, name in zip(sequence.rows, names, strict=True)
    ]
    part = Pictures(names, files, convert)
    part.place(_targets(folder / FRAMES_FOLDER, sequence.frames, suffix), copy)
    return suffix


def _targets(folder: Path, frames: list[int], suffix: str) -> Iterator[Path]:
    return (folder / f"{frame + 1:06d}{suffix}" for frame in frames)


def _odd_sizes(
    sequence: _Sequence, size: NDArray[np.int64]
) -> tuple[dict[str, list[int]], tuple[int, int]]:
    """The sizes of frames that have another one than most, by frame, and that of most."""
    own = size[sequence.rows]
    unique, counts = np.unique(own, axis=0, return_counts=True)
    common = unique[counts.argmax()]
    odd = np.flatnonzero((own != common).any(axis=1)).tolist()
    return {str(sequence.frames[at] + 1): own[at].tolist() for at in odd}, tuple(common.tolist())


def _maps(folder: Path, sequences: list[_Sequence], has_splits: bool) -> None:
    """A list of the sequences of each split, for evaluation."""
    listed: dict[str, list[str]] = {}
    for sequence in sequences:
        split, _, name = sequence.name.rpartition("/")
        listed.setdefault(split if has_splits else "all", []).append(name)
    folder.mkdir()
    for split, names in listed.items():
        _put(folder / f"{split}.txt", "".join(f"{name}\n" for name in ["name", *names]))


def sniff(path: Path) -> bool:
    """Whether the path leads to ``gt/gt.txt`` or ``det/det.txt``, or to frames of a sequence."""
    if path.is_file():
        return path.name in ("gt.txt", "det.txt") and path.parent.name == path.stem
    return any(True for _ in find(path, None))


FORMAT = Format(
    name="mot",
    kinds=("box",),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "outlines, tags, texts, who and when; scores beside the truth; attributes other than "
        "ignored and visibility"
    ),
)

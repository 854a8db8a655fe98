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

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.mot.columns import Columns, WrittenSequence
from nbannotate.formats.mot.finding import FRAMES_FOLDER, MOST_RATE, RATE, USUAL_RATE, find
from nbannotate.formats.mot.reading import read
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import Copy, new_folder, sizes
from nbannotate.formats.shared.names import distinct, safe_paths
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
    columns = Columns(dataset, labels, chosen.index, file, based, lost)
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


def _rate(images: pd.DataFrame, sequence: WrittenSequence) -> int:
    """The frames a second that the images table says, else the usual ones."""
    if RATE in images:
        found = pd.to_numeric(images[RATE].iloc[sequence.rows], errors="coerce").dropna()
        if len(found) and 1 <= found.iloc[0] <= MOST_RATE:
            return round(float(found.iloc[0]))
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


def _sequences(folders: list[str]) -> list[WrittenSequence]:
    rows: dict[str, list[int]] = {}
    for row, folder in enumerate(folders):
        rows.setdefault(folder, []).append(row)
    return [WrittenSequence(name, found) for name, found in rows.items()]


def _place(pictures: Pictures, sequence: WrittenSequence, folder: Path, copy: Copy) -> str:
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
    sequence: WrittenSequence, size: NDArray[np.int64]
) -> tuple[dict[str, list[int]], tuple[int, int]]:
    """The sizes of frames that have another one than most, by frame, and that of most."""
    own = size[sequence.rows]
    unique, counts = np.unique(own, axis=0, return_counts=True)
    common = unique[counts.argmax()]
    odd = np.flatnonzero((own != common).any(axis=1)).tolist()
    return {str(sequence.frames[at] + 1): own[at].tolist() for at in odd}, tuple(common.tolist())


def _maps(folder: Path, sequences: list[WrittenSequence], has_splits: bool) -> None:
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

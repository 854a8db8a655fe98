"""COCO instances: one JSON file with images, categories and annotations.

What COCO has no key for goes into ``"attributes"`` (as CVAT does) and ``"nbannotate"`` of each
annotation and image, which pycocotools ignores and our reader restores.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.coco.reading import FILE_NAME, json_files, read
from nbannotate.formats.coco.writing import Content
from nbannotate.formats.shared.tables import Only, Split

_OTHERS = (b"neg_category_ids", b"segments_info")  # of LVIS and of panoptic COCO


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
) -> WriteReport:
    """Write COCO instances.

    Category ids are the scheme's class ids. Images without labels are written too, if they are
    done.

    Parameters
    ----------
    dataset
        What to write. Boxes, polygons, masks and key points are COCO's own; other shapes are
        written as their bounding boxes, with the shape in ``"nbannotate"``.
    path
        A ``.json`` file; or a folder, which gets ``annotations.json``.
    split
        Fractions of train, val and test: the folder gets ``train.json``, ``val.json``, … each
        with all categories. None: one file, where images keep the split they have.
    seed, by
        As in `Dataset.split`.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start, to read sizes that the table lacks.
    extras
        Whether label ids, times, scores and the scheme go along in keys of our own.

    Raises
    ------
    FormatError
        If an image's size is unknown, or a number is NaN or infinite.
    """
    path = Path(path)
    given = None if split is None else (split, seed, by)
    content = Content(dataset, path, only=only, root=root, split=given, extras=extras)
    if content.splits is None:
        content.dump(path if path.suffix.lower() == ".json" else path / FILE_NAME)
    elif path.suffix.lower() == ".json":
        raise FormatError(path, "", "a split takes one file each; give the name of a folder")
    else:
        for name in (name for name in SPLITS if name in set(content.splits)):
            content.dump(path / f"{name}.json", name)
    return WriteReport(path, len(content.images), len(content.placed), content.lost)


def sniff(path: Path) -> bool:
    """Whether the file is a JSON object with COCO's lists, or the folder holds such files."""
    if path.is_dir():
        return any(sniff(file) for file in json_files(path))
    if path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
        return (
            start.startswith(b"{")
            and all(content.find(b'"%b"' % key) >= 0 for key in (b"images", b"categories"))
            and all(content.find(b'"%b"' % key) < 0 for key in _OTHERS)
        )


FORMAT = Format(
    name="coco",
    kinds=PLACED_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "tags, texts, ratings and choices; other tools see rotated boxes and polylines as "
        "bounding boxes"
    ),
)

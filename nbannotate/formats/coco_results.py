"""COCO results: a JSON list of detections, with the ids of the COCO file that they are scored by.

Source: cocodataset.org, "Results format".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels, mask_rle
from nbannotate.core.raster import polygon_pixels
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.coco.decoding import Image, decode, typed
from nbannotate.formats.coco.reading import Ask, read_family
from nbannotate.formats.coco.writing import Annotation, Content
from nbannotate.formats.shared.files import write_atomic
from nbannotate.formats.shared.tables import OnError, count_lost

Task = Literal["bbox", "segm", "keypoints"]
_KINDS: dict[Task, tuple[str, ...]] = {
    "bbox": PLACED_KINDS,
    "segm": ("polygon", "mask"),
    "keypoints": ("keypoints",),
}


class _Result(msgspec.Struct, omit_defaults=True):
    image_id: Any
    category_id: int
    score: float
    bbox: list[float] | None = None
    segmentation: Any = None
    keypoints: Any = None


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    task: Task = "bbox",
    truth: str | Path | None = None,
    root: str | Path | None = None,
) -> WriteReport:
    """Write the labels as results.

    Parameters
    ----------
    dataset
        What to write. A label without a score counts as sure: 1.0.
    path
        A ``.json`` file.
    task
        ``"bbox"``: the boxes of all shapes; ``"segm"``: polygons and masks, as run lengths, which
        is how pycocotools reads them; ``"keypoints"``.
    truth
        The COCO file that they are to be scored by, whose ids are taken. None: the ids that
        ``dataset.to_coco`` gives the same dataset.
    root
        Folder from which relative image paths start, to read sizes that the table lacks.

    Raises
    ------
    FormatError
        If an image or class is not in `truth`, or there is no label of the task.
    """
    path = Path(path)
    if path.suffix.lower() != ".json" or path.is_dir():
        raise FormatError(path, "", "results are one JSON file; give a name that ends in .json")
    if task not in _KINDS:
        raise FormatError(path, "", f"task={task!r}; use {', '.join(map(repr, _KINDS))}")
    content = Content(dataset, path, only="reviewed", root=root)
    mine = np.flatnonzero(content.placed["kind"].isin(_KINDS[task]).to_numpy())
    if not len(mine):
        raise FormatError(path, "", f"has no labels for {task!r}, and pycocotools fails at an "
                          "empty list; give another task=…")  # fmt: skip
    images, categories = _ids(Path(truth)) if truth is not None else ({}, {})
    results = []
    scores = content.placed["score"].to_numpy()[mine]
    for row, score in zip(content.annotations(mine), scores.tolist(), strict=True):
        image = content.images[row.image_id - 1]
        name = next(c["name"] for c in content.categories if c["id"] == row.category_id)
        result = _Result(row.image_id, row.category_id, 1.0 if score != score else score)
        if truth is not None:
            for key, known, what in ((image["file_name"], images, "image"),
                                     (name, categories, "category")):  # fmt: skip
                if key not in known:
                    raise FormatError(
                        truth, "", f"has no {what} {key!r}; leave it out or give the right file"
                    )
            result.image_id, result.category_id = images[image["file_name"]], categories[name]
        _set_shape(result, row, task, image)
        results.append(result)
    write_atomic(path, msgspec.json.encode(results))
    lost = dict(content.lost)
    count_lost(lost, f"labels that are no {task}", len(content.placed) - len(mine))
    sure = int(np.isnan(scores).sum())
    notes = (f"{sure} labels without a score got 1.0",) if sure else ()
    return WriteReport(path, len(content.images), len(results), lost, notes)


def _ids(truth: Path) -> tuple[dict[str, Any], dict[str, int]]:
    content = decode(truth)
    images = typed(content.images, Image) if content.images else []
    return {i.name: i.id for i in images}, {c.name: c.id for c in content.categories}


def _set_shape(result: _Result, row: Annotation, task: Task, image: dict[str, Any]) -> None:
    if task == "bbox":
        result.bbox = row.bbox
    elif task == "keypoints":
        result.keypoints = row.keypoints
    elif isinstance(row.segmentation, list):
        rings = [np.reshape(ring, (-1, 2)) for ring in row.segmentation]
        result.segmentation = mask_rle(polygon_pixels(rings, image["width"], image["height"]))
    else:  # pycocotools takes compressed run lengths only
        result.segmentation = mask_rle(mask_pixels(row.segmentation))


def read(
    path: str | Path,
    *,
    truth: str | Path | None = None,
    on_error: OnError = "raise",
    images: str | Path | None = None,
) -> Dataset:
    """Read results, such as a model's.

    Parameters
    ----------
    path
        The JSON file.
    truth
        The COCO file that has the names of their images and classes.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad rows and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside `truth`, or in ``images`` there.

    Raises
    ------
    FormatError
        Naming the file, the row as ``[1204]``, and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "", "is no file; give a .json of results")
    if truth is None:
        raise FormatError(
            path, "", "has ids only; give the COCO file that names images and classes: truth=…"
        )
    return read_family(Path(truth), on_error, Ask("coco_results", images, results=path))


def sniff(path: Path) -> bool:
    """Whether the file is a JSON list of objects with an image_id and a category_id."""
    if not path.is_file() or path.suffix.lower() != ".json":
        return False
    with path.open("rb") as file:
        start = file.read(65536).removeprefix(b"\xef\xbb\xbf").lstrip()
    head = start.partition(b"}")[0]
    return head.startswith(b"[") and b'"image_id"' in head and b'"category_id"' in head


FORMAT = Format(
    name="coco_results",
    kinds=PLACED_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="all but class, score and one shape; images without results; names (truth= has)",
)

"""LVIS: COCO's instances of many classes, with the classes that an image was checked for.

Each image says which classes are known not to be in it (``neg_category_ids``) and of which not all
are labelled (``not_exhaustive_category_ids``): columns of these names in ``dataset.images``. Each
category says how frequent it is: in up to 10 images (r), up to 100 (c), or more (f).

Source: Gupta, Dollar and Girshick, LVIS: A Dataset for Large Vocabulary Instance Segmentation,
and lvisdataset.org, "Data format".
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.coco.decoding import CHECKED
from nbannotate.formats.coco.reading import Ask, read_family
from nbannotate.formats.coco.writing import Content
from nbannotate.formats.shared.tables import OnError, Only

_RARE, _COMMON = 10, 100  # images


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
) -> WriteReport:
    """Write LVIS.

    Where ``dataset.images`` does not say what an image was checked for, one that is done was
    checked for all classes, and in another those that have labels may have more.

    Parameters
    ----------
    dataset
        What to write. Boxes get their corners as an outline, which readers of LVIS want.
    path
        A ``.json`` file.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start, to read sizes that the table lacks.
    extras
        Whether label ids, times, scores and the scheme go along in keys of our own.

    Raises
    ------
    FormatError
        If the name is another, an image's size is unknown, or a number is not finite.
    """
    path = Path(path)
    if path.suffix.lower() != ".json" or path.is_dir():
        raise FormatError(path, "", "LVIS is one JSON file; give a name that ends in .json")
    content = Content(dataset, path, only=only, root=root, extras=extras, outlined=True)
    seen = _seen(content)
    for image, checked in zip(content.images, _checked(content, seen), strict=True):
        name = image["file_name"]
        # Its own reader takes the name from the address.
        image |= {"coco_url": name if "://" in name else f"http://images/{name}"} | checked
    frequency = pd.Series([code for codes in seen for code in codes], dtype="int64").value_counts()
    instances = content.placed["label"].astype(object).value_counts()
    for category in content.categories:
        images = int(frequency.get(category["id"], 0))
        category |= {
            "frequency": "r" if images <= _RARE else "c" if images <= _COMMON else "f",
            "image_count": images,
            "instance_count": int(instances.get(category["name"], 0)),
            "synset": "",
            "synonyms": [category["name"]],
            "def": "",
        }
    lost = {why: n for why, n in content.lost.items() if not any(f"'{c}'" in why for c in CHECKED)}
    if not extras and (boxes := int(content.placed["kind"].eq("box").sum())):
        lost["boxes as such (others see their corners as outlines)"] = boxes
    content.dump(path)
    return WriteReport(path, len(content.images), len(content.placed), lost)


def _seen(content: Content) -> list[list[int]]:
    """The ids of the classes in each image."""
    ids = {category["name"]: category["id"] for category in content.categories}
    codes = np.array([ids[name] for name in content.placed["label"].astype(object)], dtype=np.int64)
    pairs = np.unique(np.stack([content.image, codes], axis=1), axis=0)
    ends = np.searchsorted(pairs[:, 0], np.arange(len(content.images) + 1))
    return [
        pairs[a:b, 1].tolist() for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


def _checked(content: Content, seen: list[list[int]]) -> list[dict[str, Any]]:
    chosen = content.chosen
    ids = [category["id"] for category in content.categories]
    done = chosen["status"].eq("done").tolist()
    result: list[dict[str, Any]] = [
        {
            "neg_category_ids": [i for i in ids if i not in set(there)] if whole else [],
            "not_exhaustive_category_ids": [] if whole else there,
        }
        for there, whole in zip(seen, done, strict=True)
    ]
    known = set(ids)
    for column in CHECKED:
        for row, given in enumerate(chosen.get(column, ())):
            if isinstance(given, (list, tuple, np.ndarray)):
                result[row][column] = [int(i) for i in given if i in known]
    return result


def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read LVIS.

    Class ids are the category ids. An image is called by the folder and name in its address.

    Parameters
    ----------
    path
        The JSON file.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad rows and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.

    Raises
    ------
    FormatError
        Naming the file, the row as ``annotations[1204]``, and the mend.
    """
    return read_family(Path(path), on_error, Ask("lvis", images, keypoints=False))


def sniff(path: Path) -> bool:
    """Whether the file is COCO's JSON with what LVIS adds."""
    if not path.is_file() or path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(
            content.find(b'"%b"' % key) >= 0
            for key in (b"images", b"categories", b"neg_category_ids")
        )


FORMAT = Format(
    name="lvis",
    kinds=PLACED_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="tags, texts, ratings and choices; other tools see boxes as outlines",
)
